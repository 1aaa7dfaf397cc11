"""Moments of rows as text are what Python says they are."""

from __future__ import annotations

import datetime as dt

from hypothesis import example, given
from hypothesis import strategies as st

from aletheia_like.transfer.times import iso_times, shown_time, shown_times

MOMENTS = st.lists(st.integers(-10_000_000_000_000, 4_200_000_000_000_000), max_size=5)


@given(MOMENTS)
@example([1_000_000, 1_999_999, 2_000_000, 1, 0, -1])
def test_moments_are_shown_to_the_microsecond(microseconds):
    start = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    moments = [start + dt.timedelta(microseconds=one) for one in microseconds]
    times = [one / 1_000_000 for one in microseconds]

    assert iso_times(times) == [one.isoformat() for one in moments]
    assert shown_times(times) == [
        shown_time(one) if one.microsecond else f"{shown_time(one)}.000000" for one in moments
    ]
