"""A data frame that is made of arrays is the one that pandas makes of the values."""

from __future__ import annotations

import datetime as dt

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

import aletheia_like as al
from aletheia_like.metastore.frames import frame_of

KINDS = st.sampled_from(
    [
        st.floats(),
        st.integers(-5, 5),
        st.integers(2**62, 2**65),
        st.booleans(),
        st.text(max_size=2),
        st.just("same"),
        st.none(),
        st.one_of(st.floats(), st.integers(-5, 5)),
        st.one_of(st.booleans(), st.integers(0, 1)),
        st.one_of(st.floats(), st.none()),
        st.datetimes(timezones=st.just(dt.UTC), min_value=dt.datetime(1970, 1, 2)),
        st.lists(st.integers(0, 3), max_size=2),
    ]
)


@given(st.data())
def test_columns_of_any_kind_become_what_pandas_makes_of_them(data):  # Q20
    count = data.draw(st.integers(0, 5))
    columns = {
        name: data.draw(st.lists(data.draw(KINDS), min_size=count, max_size=count))
        for name in data.draw(st.sets(st.sampled_from(["a", "b", "c"])))
    }

    frame = frame_of(columns, count)

    expected = pd.DataFrame(columns, columns=list(columns), index=range(count))
    pd.testing.assert_frame_equal(frame, expected)


@given(st.lists(st.integers(-(10**15), 9 * 10**15), min_size=1, max_size=20))
def test_seconds_become_the_moments_that_pandas_makes_of_datetimes(microseconds):  # Q20
    seconds = [one / 1_000_000 for one in microseconds]
    moments = [dt.datetime.fromtimestamp(one, dt.UTC) for one in seconds]

    frame = frame_of({"at": seconds}, len(seconds), {"at": moments}.__getitem__, "at")

    pd.testing.assert_frame_equal(frame, pd.DataFrame({"at": moments}))


def test_rows_have_their_moments_whether_these_were_looked_at_before_or_not():  # Q20
    with al.Metastore("p", url="memory://", git="off") as ms:
        with ms.exper("e").start_run() as run:
            run.log_batch([{"step": step, "loss": step / 3, "s": "a"} for step in range(4)])
        rows, looked_at = run.rows(), run.rows()
        assert all(moment.tzinfo is dt.UTC for moment in looked_at["timestamp"])

        pd.testing.assert_frame_equal(rows.to_pandas(), looked_at.to_pandas())
        assert rows.to_pandas()["timestamp"].tolist() == looked_at["timestamp"]
