"""Rows that are read from tables, where cells have types and some stand apart to be exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aletheia_like.transfer.cells import Kind, cells_of_row, read_json, stored_columns
from aletheia_like.transfer.packing import FileRows

_KIND_BYTES = 24
_LONG = frozenset({str, bytes})


@dataclass(slots=True)
class TableRows:
    """The rows of a run, as they come.

    Attributes:
        names: Stored name of each column.
        kinds: What each is.
        by_writer: What has come.
    """

    names: Sequence[str]
    kinds: Sequence[Kind]
    by_writer: dict[str, FileRows] = field(default_factory=dict)

    def add(
        self,
        times: list[float],
        writers: Sequence[str],
        sequences: Sequence[int],
        exact: Sequence[str | None],
        columns: Sequence[Sequence[Any]],
    ) -> None:
        """Take in the own rows of a run, all at once and first.

        Args:
            times: Moment of each, in seconds since 1970.
            writers: Who wrote each.
            sequences: Where each stands among all that its writer wrote.
            exact: What its columns do not show exactly.
            columns: The values.
        """
        sizes = self._sizes(exact, columns)
        is_plain = exact.count(None) == len(exact)
        if is_plain and writers.count(writers[0]) == len(writers):
            cells = stored_columns(self.names, self.kinds, columns)
            self.by_writer[writers[0]] = FileRows(list(sequences), times, cells, sizes)
            return
        rows = zip(*columns, strict=True) if columns else iter([()] * len(times))
        for at, writer, sequence, odd, row, size in zip(
            times, writers, sequences, exact, rows, sizes, strict=True
        ):
            self._append(
                at, writer, sequence, cells_of_row(self.names, self.kinds, row, odd), size
            )

    def add_other(self, at: float, writer: str, sequence: int, data: str) -> None:
        """Take in a row of a stream, or a change of rows before it."""
        self._append(at, writer, sequence, read_json(data), len(data))

    def _append(
        self, at: float, writer: str, sequence: int, cells: dict[str, Any], size: int
    ) -> None:
        more = FileRows([sequence], [at], [cells], [size])
        known = self.by_writer.setdefault(writer, more)
        if known is not more:
            known.extend(more)

    def _sizes(self, exact: Sequence[str | None], columns: Sequence[Sequence[Any]]) -> list[int]:
        sizes = [_KIND_BYTES * (len(columns) + 1)] * len(exact)
        for column in (exact, *columns):
            if not _LONG.isdisjoint(map(type, column)):
                sizes = [
                    size + (len(cell) if type(cell) in _LONG else 0)
                    for size, cell in zip(sizes, column, strict=True)
                ]
        return sizes
