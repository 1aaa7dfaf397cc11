"""Rows on their way: in the form they are stored in, whoever wrote them, in the order they were.

Nothing is decoded and no change is applied, so what is packed again is what was unpacked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aletheia_like.errors import IntegrityError
from aletheia_like.metastore.reading import taken
from aletheia_like.model.rows import Absent, Columns, joined, unpack_stored
from aletheia_like.transfer.source import Entry


@dataclass(frozen=True, slots=True)
class WriterRows:
    """The rows of one writer.

    Attributes:
        writer: Its unique name.
        sequences: Where each row stands among all that the writer wrote, from 1.
        columns: The rows, columns in the order of their first appearance.
    """

    writer: str
    sequences: list[int]
    columns: Columns

    def __len__(self) -> int:
        return len(self.sequences)


def read_writers(chunks: Iterable[Entry]) -> list[WriterRows]:
    """Return the rows of a run by writer, in the order of their names.

    Raises:
        IntegrityError: A chunk cannot be read.
    """
    by_writer: dict[str, list[Entry]] = {}
    for chunk in chunks:
        by_writer.setdefault(str(chunk.fields.get("writer")), []).append(chunk)
    return [_of_writer(writer, by_writer[writer]) for writer in sorted(by_writer)]


def cells_of(columns: Columns) -> Iterable[dict[str, Any]]:
    """Yield the cells that each row has."""
    names = list(columns.cells)
    if not names:
        return [{} for _ in range(len(columns))]
    rows = zip(*columns.cells.values(), strict=True)
    if any(Absent in map(type, column) for column in columns.cells.values()):
        return (
            {name: cell for name, cell in zip(names, row, strict=True) if type(cell) is not Absent}
            for row in rows
        )
    return (dict(zip(names, row, strict=True)) for row in rows)


def _of_writer(writer: str, chunks: Sequence[Entry]) -> WriterRows:
    parts: list[Columns] = []
    sequences: list[int] = []
    for chunk in sorted(chunks, key=lambda entry: int(entry.fields.get("first", 0))):
        fields = chunk.fields
        try:
            count, first, last = int(fields["count"]), int(fields["first"]), int(fields["last"])
            columns = unpack_stored(fields["columns"], count)
        except (ValueError, KeyError, TypeError) as error:
            message = f"{chunk.path} holds no rows that can be read: was it edited? {error}"
            raise IntegrityError(message) from error
        # Lines that a crash tore leave a gap, and nobody knows where: put it before the last.
        numbers = [*range(first, first + count - 1), last]
        covered = sequences[-1] if sequences else 0
        if first <= covered:
            # Stored twice: by a writer in its last moment, and by whoever sent what it left.
            kept = [place for place, number in enumerate(numbers) if number > covered]
            columns, numbers = taken(columns, kept), [numbers[place] for place in kept]
        parts.append(columns)
        sequences += numbers
    return WriterRows(writer, sequences, joined(parts))
