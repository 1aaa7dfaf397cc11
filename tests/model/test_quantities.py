"""Bytes and seconds as people read them."""

from __future__ import annotations

import pytest

from aletheia_like.model.quantities import shown_bytes, shown_seconds


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, ""),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 * 1024**3, "5.0 GiB"),
        (3 * 1024**5, "3072.0 TiB"),
    ],
)
def test_bytes_have_a_unit(count, text):
    assert shown_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.25, "0.25 s"),
        (59.4, "59 s"),
        (75, "1 min 15 s"),
        (7_260, "2 h 1 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_are_coarser_the_longer_they_are(seconds, text):
    assert shown_seconds(seconds) == text
