"""Columns as a pandas DataFrame: columns of one plain kind become arrays at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aletheia_like.extras import import_extra
from aletheia_like.model.rows import microseconds, moment

_EXACT_SECONDS = 2**32
"""Before the year 2106 a float of seconds has room for the microseconds."""

_TEXTS = frozenset({str})
_FLOATS = "f8"
_ARRAYS: Mapping[frozenset[type], str] = {
    frozenset({float}): _FLOATS,
    frozenset({int}): "i8",
    frozenset({bool}): "?",
}


def frame_of(
    columns: Mapping[str, Sequence[Any]],
    count: int,
    read: Callable[[str], Sequence[Any]] | None = None,
    timestamps: str | None = None,
) -> Any:
    """Return the DataFrame that pandas would make of columns.

    Args:
        columns: Values by column, as they are stored.
        count: How many there are in each.
        read: Gives the values of a column to the user; None if they are stored so.
        timestamps: Column that is stored as seconds since 1970 and read as moments in UTC.
    """
    read = read or columns.__getitem__
    table = {name: _array(cells, name == timestamps) for name, cells in columns.items()}
    return import_extra("pandas", None).DataFrame(
        {name: read(name) if known is None else known for name, known in table.items()},
        columns=list(columns),
        index=range(count),
    )


def _array(cells: Sequence[Any], are_moments: bool) -> Any:
    """Return a column's plain values as an array, or one for all; None if pandas has to look."""
    import numpy as np

    kinds = frozenset(map(type, cells))
    kind = _ARRAYS.get(kinds)
    if are_moments:
        is_exact = kind == _FLOATS and min(cells) >= 0 and max(cells) < _EXACT_SECONDS
        return _moments(cells) if is_exact else None
    if kinds == _TEXTS and cells.count(cells[0]) == len(cells):
        # Such as the id of a run: pandas repeats one value faster than it looks at each.
        return cells[0]
    try:
        return None if kind is None else np.array(cells, kind)
    except OverflowError:
        return None


def _moments(timestamps: Sequence[float]) -> Any:
    import pandas as pd

    # Whether pandas counts in microseconds or less is a matter of its version.
    kind = pd.Series([moment(timestamps[0])]).dtype
    plain = pd.Series(microseconds(timestamps).astype("M8[us]"))
    return plain.dt.tz_localize("UTC").astype(kind)
