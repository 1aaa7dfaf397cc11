"""From what a series shows to rows: which rows of which columns, then these columns decoded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aletheia_like.errors import IntegrityError
from aletheia_like.metastore.session import Session
from aletheia_like.series import columnstore
from aletheia_like.series.casting import Columns, absent, from_bound, join, sort_keys
from aletheia_like.series.encoding import DTYPES, Array, count_of, decode, decode_into
from aletheia_like.series.frame import Frame, empty
from aletheia_like.series.history import State
from aletheia_like.series.intervals import EVERYTHING, HIGHEST, LOWEST, Bound, Interval, Top
from aletheia_like.series.revisions import Op
from aletheia_like.series.schema import Column, Schema

_THREADED_ROWS = 200_000
_THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Slice:
    """Some rows of the columns of one write.

    Attributes:
        op: The write.
        first: The first row, counted from the start of its columns.
        last: The one after the last.
        where: The interval in which the write is seen there.
    """

    op: Op
    first: int
    last: int
    where: Interval

    def __len__(self) -> int:
        return self.last - self.first


class Reader:
    """Reads the series of one collection.

    Args:
        session: Where the columns are.
        schema: Of the collection.
    """

    def __init__(self, session: Session, schema: Schema) -> None:
        self._session = session
        self._schema = schema

    def read(
        self,
        state: State,
        label: str,
        where: Interval = EVERYTHING,
        *,
        limit: int | None = None,
        offset: int = 0,
        names: Sequence[str] | None = None,
    ) -> Frame:
        """Return the rows of a series in an interval.

        Args:
            state: What is shown.
            label: Name of the series.
            where: Which rows.
            limit: At most so many.
            offset: Leave so many out at the start; a negative one counts from the end.
            names: Which columns, in this order; all by default.
        """
        wanted = list(names) if names is not None else self._schema.names
        if self._schema.kind == "kv":
            columns = self._keyed(state, label, where)
            first, last = window(len(columns[self._schema.names[0]]), limit, offset)
            return Frame(self._schema, {name: columns[name][first:last] for name in wanted})
        found = self.slices(state, label, where)
        if limit is not None or offset:
            found = _cut(found, *window(sum(map(len, found)), limit, offset))
        return self.rows(found, wanted)

    def count(self, state: State, label: str, where: Interval = EVERYTHING) -> int:
        """Return how many rows there are in an interval."""
        if self._schema.kind == "kv":
            return len(self._keyed(state, label, where)[self._schema.names[0]])
        return sum(map(len, self.slices(state, label, where)))

    def slices(self, state: State, label: str, where: Interval = EVERYTHING) -> list[Slice]:
        """Return which rows of which writes are seen in an interval, in order."""
        found = []
        for piece, op in state.layers(label).within(where):
            if op.kind != "write" or op.rows == 0:
                continue
            first, last = op.first, op.first + op.rows
            if not piece.covers(op.where):
                arrays = [
                    self._column(op, column, Slice(op, first, last, piece))
                    for column in self._schema.index
                ]
                last = first + position(self._schema, arrays, piece.hi)
                first += position(self._schema, arrays, piece.lo)
            if first < last:
                found.append(Slice(op, first, last, piece))
        return found

    def renamed(self, state: State, label: str, to: str) -> list[Op]:
        """Return what has to be done so that a series shows what another does, and that ends."""
        if self._schema.kind == "kv":
            kept = [op._replace(series=to, origin="", place=0) for op in state.ops(label)]
        else:
            kept = [
                Op("write", to, one.where, len(one), one.op.columns, one.first)
                for one in self.slices(state, label)
            ]
        return [Op("delete", to), *kept, Op("delete", label)]

    def rows(self, slices: Sequence[Slice], names: Sequence[str]) -> Frame:
        """Return the columns of some slices, one after the other."""
        if not slices:
            return empty(self._schema, names)
        together = joined(slices)
        columns = [self._schema[name] for name in names]
        total = sum(map(len, together))
        if total < _THREADED_ROWS:
            found = {one.name: self._gather(one, together, total, None) for one in columns}
            return Frame(self._schema, found)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-columns") as pool:
            found = {one.name: self._gather(one, together, total, pool) for one in columns}
        return Frame(self._schema, found)

    def _gather(
        self, column: Column, slices: Sequence[Slice], total: int, pool: ThreadPoolExecutor | None
    ) -> Array:
        if column.base == "str" or column.is_nullable:
            parts = [self._column(one.op, column, one) for one in slices]
            return join(parts)
        out: Array = np.empty(total, DTYPES[column.base])
        work = []
        start = 0
        for one in slices:
            work.append((one, out[start : start + len(one)]))
            start += len(one)
        if pool is None:
            for one, target in work:
                self._fill(column, one, target)
        else:
            list(pool.map(lambda pair: self._fill(column, *pair), work))
        return out

    def _fill(self, column: Column, one: Slice, target: Array) -> None:
        data = self._bytes(one.op, column)
        if one.first == 0 and count_of(data) == len(one):
            decode_into(data, column.base, target)
        else:
            target[:] = self._cut_column(decode(data, column.base), one)

    def _column(self, op: Op, column: Column, one: Slice) -> Array:
        if column.name not in op.columns and column.is_nullable:
            return absent(column, len(one))
        return self._cut_column(decode(self._bytes(op, column), column.base), one)

    def _cut_column(self, values: Array, one: Slice) -> Array:
        if len(values) < one.last:
            message = (
                f"revision {one.op.origin} tells of {one.last} rows of {one.op.series!r}, its "
                f"columns have {len(values)}: it was damaged"
            )
            raise IntegrityError(message)
        return values[one.first : one.last]

    def _bytes(self, op: Op, column: Column) -> bytes:
        what = f"revision {op.origin} of series {op.series!r}"
        ref = op.columns.get(column.name)
        if ref is None:
            message = f"{what} has no column {column.name!r}: it was damaged"
            raise IntegrityError(message)
        return columnstore.fetch(self._session, ref, what)

    def _keyed(self, state: State, label: str, where: Interval) -> Columns:
        columns, _ = self.keyed(state, label)
        arrays = [columns[one.name] for one in self._schema.index]
        first = position(self._schema, arrays, where.lo)
        last = max(first, position(self._schema, arrays, where.hi))
        return {name: column[first:last] for name, column in columns.items()}

    def keyed(self, state: State, label: str) -> tuple[Columns, list[Op]]:
        """Return the rows of a key-value series with the column "" of who wrote each.

        Returns:
            The columns, and the writes that the numbers in "" stand for.
        """
        names = self._schema.names
        writers: list[Op] = []
        rows = _no_rows(self._schema)
        waiting: list[Columns] = []
        for op in state.ops(label):
            if op.kind == "delete":
                rows = _without(self._schema, self._merged(rows, waiting), op.where)
                waiting = []
            elif op.rows:
                one = Slice(op, op.first, op.first + op.rows, op.where)
                part = {name: self._column(op, self._schema[name], one) for name in names}
                waiting.append(part | {"": np.full(op.rows, len(writers))})
                writers.append(op)
        return self._merged(rows, waiting), writers

    def _merged(self, rows: Columns, waiting: Sequence[Columns]) -> Columns:
        if not waiting:
            return rows
        parts = [rows, *waiting]
        together: Columns = {}
        for name in rows:
            together[name] = join([part[name] for part in parts])
        return sort_keys(self._schema, together)


def position(schema: Schema, arrays: Sequence[Array], bound: Bound) -> int:
    """Return how many rows come before a bound; the rows are in order."""
    first, last = 0, len(arrays[0])
    if bound in (LOWEST, HIGHEST):
        return first if bound == LOWEST else last
    _, values, side = bound
    for column, array, value in zip(schema.index, arrays, values, strict=False):
        if isinstance(value, Top):
            return last
        part = array[first:last]
        sought = from_bound(column, value)
        low, high = _search(part, sought)
        first, last = first + low, first + high
    return last if side else first


def _search(part: Array, sought: Any) -> tuple[int, int]:
    return int(np.searchsorted(part, sought, "left")), int(np.searchsorted(part, sought, "right"))


def window(count: int, limit: int | None, offset: int) -> tuple[int, int]:
    """Return the first of `count` rows that are wanted, and the one after the last."""
    first = max(0, count + offset) if offset < 0 else min(offset, count)
    last = count if limit is None else min(count, first + limit)
    return first, last


def _cut(slices: Iterable[Slice], first: int, last: int) -> list[Slice]:
    """Return the rows from one to another of some slices."""
    found = []
    start = 0
    for one in slices:
        low, high = max(first, start) - start, min(last, start + len(one)) - start
        if low < high:
            found.append(replace(one, first=one.first + low, last=one.first + high))
        start += len(one)
    return found


def joined(slices: Sequence[Slice]) -> list[Slice]:
    """Return slices with those together that follow each other in the same columns."""
    found = list(slices[:1])
    for one in slices[1:]:
        before = found[-1]
        if one.op.columns is before.op.columns and one.first == before.last:
            found[-1] = replace(before, last=one.last)
        else:
            found.append(one)
    return found


def _is_masked(column: Column) -> bool:
    return column.is_nullable and column.base in ("int", "bool")


def _no_rows(schema: Schema) -> Columns:
    found: Columns = {}
    for one in schema.columns:
        values: Array = np.empty(0, DTYPES[one.base])
        found[one.name] = np.ma.MaskedArray(values) if _is_masked(one) else values
    return found | {"": np.empty(0, int)}


def _without(schema: Schema, rows: Columns, where: Interval) -> Columns:
    arrays = [rows[one.name] for one in schema.index]
    first = position(schema, arrays, where.lo)
    last = max(first, position(schema, arrays, where.hi))
    kept = np.r_[0:first, last : len(arrays[0])]
    return {name: column[kept] for name, column in rows.items()}
