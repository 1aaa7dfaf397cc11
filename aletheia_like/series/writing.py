"""What a write does to a series, decided in view of what is shown; nothing is written here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from aletheia_like.errors import InvalidValueError
from aletheia_like.series.casting import (
    Columns,
    absent,
    as_bound,
    cast,
    cast_value,
    check_sorted,
    join,
    sort_keys,
)
from aletheia_like.series.changelog import Draft
from aletheia_like.series.columnstore import Encoded, encoded, refs
from aletheia_like.series.encoding import encode
from aletheia_like.series.frame import Frame
from aletheia_like.series.given import columns_of
from aletheia_like.series.history import State
from aletheia_like.series.intervals import (
    EVERYTHING,
    Bound,
    Closed,
    Interval,
    check_closed,
    interval,
)
from aletheia_like.series.reading import Reader, position
from aletheia_like.series.revisions import Op
from aletheia_like.series.schema import Schema

CHUNK_ROWS = 1 << 19
"""Rows of one column blob: a read of a range decodes no more than it needs."""

_THREADS = min(8, os.cpu_count() or 1)


class Rows:
    """Rows on their way into a series.

    Args:
        schema: Of the series.
        data: What people gave.
        start: First value of the interval that they replace; else of the first row.
        stop: The last one.
        closed: Which ends belong to the interval.

    Raises:
        InvalidValueError: The rows are not possible, or outside of the interval.
    """

    def __init__(
        self, schema: Schema, data: Any, start: Any = None, stop: Any = None, closed: str = "both"
    ) -> None:
        ends = check_closed(closed)
        columns = cast(schema, data)
        self._schema = schema
        if schema.kind == "kv":
            if start is not None or stop is not None:
                message = "a key-value series has no intervals: leave out start and stop"
                raise InvalidValueError(message)
            ends = "both"
            columns = sort_keys(schema, columns)
        else:
            check_sorted(schema, columns)
        arrays = [columns[one.name] for one in schema.index]
        count = len(arrays[0])
        first = index_values(schema, start) or (index_row(arrays, 0) if count else None)
        last = index_values(schema, stop) or (index_row(arrays, count - 1) if count else None)
        self.where = Interval((0, (), 0), (0, (), 0))
        if first is not None and last is not None:
            self.where = interval(first, last, ends, len(arrays))
            self._check_inside(arrays, first, last)
        elif start is not None or stop is not None:
            self.where = interval(first, last, ends, len(arrays))
        low = position(schema, arrays, self.where.lo)
        high = max(low, position(schema, arrays, self.where.hi))
        self._columns = {name: column[low:high] for name, column in columns.items()}
        self._ops: list[Op] | None = None
        self._encoded: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._columns[self._schema.names[0]])

    def _check_inside(self, arrays: Any, first: tuple[Any, ...], last: tuple[Any, ...]) -> None:
        whole = interval(first, last, "both", len(arrays))
        if position(self._schema, arrays, whole.lo) > 0:
            message = "the first row comes before `start`: leave it out, or start earlier"
            raise InvalidValueError(message)
        if position(self._schema, arrays, whole.hi) < len(arrays[0]):
            message = "the last row comes after `stop`: leave it out, or stop later"
            raise InvalidValueError(message)
        if last < first:
            message = "`stop` comes before `start`"
            raise InvalidValueError(message)

    def draft(self, label: str, state: State, reader: Reader) -> Draft | None:
        """Return what has to be done so that the series shows these rows; None for nothing."""
        if self.where.is_empty or self._is_shown(label, state, reader):
            return None
        return Draft(self._operations(label), dict(self._encoded))

    def _is_shown(self, label: str, state: State, reader: Reader) -> bool:
        if self._schema.kind == "kv":
            return bool(len(self)) and self._has_keys(label, state, reader)
        pieces = state.layers(label).within(self.where)
        if not pieces:
            return not len(self)
        if not any(op.kind == "write" for _, op in pieces):
            return not len(self)
        shown = reader.slices(state, label, self.where)
        if sum(map(len, shown)) != len(self):
            return False
        return reader.rows(shown, self._schema.names).equals(Frame(self._schema, self._columns))

    def _has_keys(self, label: str, state: State, reader: Reader) -> bool:
        shown, _ = reader.keyed(state, label)
        both = {name: join([shown[name], column]) for name, column in self._columns.items()}
        merged = sort_keys(self._schema, both)
        before = Frame(self._schema, {name: shown[name] for name in merged})
        return before.equals(Frame(self._schema, merged))

    def _operations(self, label: str) -> list[Op]:
        if self._ops is None:
            self._ops = self._encode(label)
        return self._ops

    def _encode(self, label: str) -> list[Op]:
        count = len(self)
        if count == 0:
            return [Op("delete", label, self.where)]
        starts = range(0, count, CHUNK_ROWS)
        arrays = [self._columns[one.name] for one in self._schema.index]
        bounds: list[Bound] = [self.where.lo]
        bounds += [(0, index_row(arrays, start), 0) for start in starts[1:]]
        bounds.append(self.where.hi)
        if len(starts) == 1:
            chunks = [self._chunk(0)]
        else:
            with ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-columns") as pool:
                chunks = list(pool.map(self._chunk, starts))
        return [
            Op(
                "write",
                label,
                Interval(bounds[number], bounds[number + 1]),
                min(CHUNK_ROWS, count - start),
                refs(chunks[number], self._encoded),
            )
            for number, start in enumerate(starts)
        ]

    def _chunk(self, start: int) -> Mapping[str, Encoded]:
        return encode_columns(self._schema, self._columns, start, start + CHUNK_ROWS)


def encode_columns(schema: Schema, columns: Columns, start: int, stop: int) -> dict[str, Encoded]:
    """Return some rows of columns as bytes, by name."""
    return {
        one.name: encoded(encode(columns[one.name][start:stop], one.base))
        for one in schema.columns
    }


def index_values(schema: Schema, given: Any) -> tuple[Any, ...] | None:
    """Return what people give as one end of a range, as values of the index.

    Raises:
        InvalidValueError: It is of another type, or has more parts than the index.
    """
    if given is None:
        return None
    parts = given if isinstance(given, tuple | list) else (given,)
    if not parts or len(parts) > len(schema.index):
        names = ", ".join(one.name for one in schema.index)
        message = f"{given!r:.80} has {len(parts)} parts, the index has {names}"
        raise InvalidValueError(message)
    return tuple(
        cast_value(column, part) for column, part in zip(schema.index, parts, strict=False)
    )


def range_of(schema: Schema, start: Any, stop: Any, closed: str) -> Interval:
    """Return the interval that people mean; an absent end is unbounded."""
    ends: Closed = check_closed(closed)
    first, last = index_values(schema, start), index_values(schema, stop)
    if first is None and last is None:
        return EVERYTHING
    return interval(first, last, ends, len(schema.index))


def index_row(arrays: Any, row: int) -> tuple[Any, ...]:
    """Return the values of the index of one row."""
    return tuple(as_bound(array[row]) for array in arrays)


def updated(schema: Schema, shown: Frame, given: Any) -> Columns:
    """Return rows with some of their columns replaced; rows beyond the ends are added.

    Args:
        schema: Of the series.
        shown: The rows in the interval of what is given.
        given: The index, and the columns to replace.

    Raises:
        InvalidValueError: Inside the interval the index differs, or no column is to change.
    """
    data = columns_of(given)
    unknown = [name for name in data if name not in schema]
    if unknown:
        message = f"no column {unknown[0]!r}: the schema has {', '.join(schema.names)}"
        raise InvalidValueError(message)
    index = [one.name for one in schema.index]
    missing = [name for name in index if name not in data]
    if missing or len(data) == len(index):
        message = f"an update has the index ({', '.join(index)}) and at least one other column"
        raise InvalidValueError(message)
    names = [name for name in schema.names if name in data]
    columns = cast(schema, data, names)
    check_sorted(schema, columns)
    arrays = [columns[name] for name in index]
    here = [shown[name] for name in index]
    count, kept = len(arrays[0]), len(here[0])
    first = 0
    if kept:
        first = position(schema, arrays, (0, index_row(here, 0), 0))
    for mine, its in zip(arrays, here, strict=True):
        part = mine[first : first + kept]
        if len(part) != kept or not bool(np.asarray(part == its).all()):
            message = (
                "the index of an update must be that of the rows in its interval "
                f"({kept:,} are there): read them, change the column, and give these"
            )
            raise InvalidValueError(message)
    for one in schema.columns:
        if one.name not in columns:
            values = absent(one, count)
            values[first : first + kept] = shown[one.name]
            columns[one.name] = values
    return {one.name: columns[one.name] for one in schema.columns}
