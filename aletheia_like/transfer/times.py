"""The moments of rows as text; rows of one second share most of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from aletheia_like.model.rows import moment

_MICROSECONDS = 1_000_000


def shown_time(at: dt.datetime) -> str:
    """Return a moment in UTC as SQLite and DuckDB read it."""
    return at.isoformat(" ")[: -len("+00:00")]


def shown_times(timestamps: Sequence[float]) -> list[str]:
    """Return seconds since 1970 as `shown_time` shows moments, to the microsecond."""
    return _texts(timestamps, " ", "", ".000000")


def iso_times(timestamps: Sequence[float]) -> list[str]:
    """Return seconds since 1970 as `isoformat` shows moments in UTC."""
    return _texts(timestamps, "T", "+00:00", "")


def _texts(timestamps: Sequence[float], separator: str, zone: str, zero: str) -> list[str]:
    texts = []
    begin, end, start = 0, 0, ""
    for at in [round(timestamp * _MICROSECONDS) for timestamp in timestamps]:
        if not begin <= at < end:
            second = at // _MICROSECONDS
            begin, end = second * _MICROSECONDS, (second + 1) * _MICROSECONDS
            start = moment(second).isoformat(separator)[: len("2026-01-31 12:00:00")]
        # A one in front keeps the zeros, and is faster than any way to format a number.
        rest = f".{str(_MICROSECONDS + at - begin)[1:]}" if at > begin else zero
        texts.append(f"{start}{rest}{zone}")
    return texts
