"""Rows of a file become the documents that hold rows in a store."""

from __future__ import annotations

import itertools
import operator
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aletheia_like.metastore.chunks import FULL_BYTES, MAX_TEXT_BYTES, chunk_fields
from aletheia_like.model.rows import ABSENT, Columns, Line, pack_columns, pack_rows
from aletheia_like.model.values import Value

T = TypeVar("T")


@dataclass(slots=True)
class FileRows:
    """The rows of one writer.

    Attributes:
        sequences: Where each stands among all that the writer wrote; in any order.
        timestamps: Moment of each, in seconds since 1970.
        cells: Those of each row, or all by column; in their stored form.
        sizes: About how many bytes each row takes.
    """

    sequences: list[int] = field(default_factory=list)
    timestamps: list[float] = field(default_factory=list)
    cells: list[dict[str, Any]] | dict[str, list[Any]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.sequences)

    def lines(self) -> list[Line]:
        """Return the rows as they travel."""
        return list(map(Line, self.sequences, self.timestamps, self.by_row()))

    def by_row(self) -> list[dict[str, Any]]:
        """Return the cells of each row, which are kept so from now on."""
        if not isinstance(self.cells, list):
            self.cells = _by_row(self.cells, len(self))
        return self.cells

    def taken(self, places: Sequence[int] | slice) -> FileRows:
        """Return the rows at these places."""
        if isinstance(self.cells, list):
            cells: list[dict[str, Any]] | dict[str, list[Any]] = _taken(self.cells, places)
        else:
            cells = {name: _taken(column, places) for name, column in self.cells.items()}
        return FileRows(
            _taken(self.sequences, places),
            _taken(self.timestamps, places),
            cells,
            _taken(self.sizes, places),
        )

    def extend(self, more: FileRows) -> None:
        """Add rows."""
        cells = self.by_row()
        cells += more.by_row()
        self.sequences += more.sequences
        self.timestamps += more.timestamps
        self.sizes += more.sizes

    def text(self) -> str:
        """Return the rows as a chunk holds them."""
        if isinstance(self.cells, list):
            return pack_rows(self.timestamps, self.cells)
        return pack_columns(Columns(self.timestamps, self.cells))


def packed(writer: str, rows: FileRows) -> Iterator[dict[str, Value]]:
    """Yield the documents that hold a writer's rows, as few as possible."""
    rows = _in_order(rows)
    ends = list(itertools.accumulate(rows.sizes))
    begin = 0
    while begin < len(ends):
        room = (ends[begin - 1] if begin else 0) + FULL_BYTES
        end = max(begin + 1, bisect_right(ends, room, begin))
        yield from _chunks(writer, rows.taken(slice(begin, end)))
        begin = end


def _in_order(rows: FileRows) -> FileRows:
    numbers = rows.sequences
    if all(map(operator.lt, numbers, itertools.islice(numbers, 1, None))):
        return rows
    # A row that stands in a file twice is one row: the first.
    places = {numbers[place]: place for place in reversed(range(len(numbers)))}
    return rows.taken([places[number] for number in sorted(places)])


def _chunks(writer: str, rows: FileRows) -> Iterator[dict[str, Value]]:
    """Yield the chunk of some rows, or more if its columns are many and nearly empty."""
    text, count = rows.text(), len(rows)
    if len(text.encode()) <= MAX_TEXT_BYTES or count == 1:
        span = (rows.sequences[0], rows.sequences[-1])
        times = (rows.timestamps[0], rows.timestamps[-1])
        yield chunk_fields(writer, span, count, times, text)
        return
    yield from _chunks(writer, rows.taken(slice(0, count // 2)))
    yield from _chunks(writer, rows.taken(slice(count // 2, count)))


def _by_row(columns: dict[str, list[Any]], count: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, column in columns.items():
        for row, cell in zip(rows, column, strict=True):
            if cell is not ABSENT:
                row[name] = cell
    return rows


def _taken(values: list[T], places: Sequence[int] | slice) -> list[T]:
    return values[places] if isinstance(places, slice) else [values[place] for place in places]
