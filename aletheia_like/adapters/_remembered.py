"""Remembers the rows of the collection that was searched last, while its file stays as it was.

One question about runs is several queries, and questions come one after the other: reading the
texts again would take longer than looking into them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

Row = tuple[str, str, str, str]
"""Id, revision, time of the last change, fields."""

Stamp = tuple[object, ...]
"""Two reads with the same stamp would find the same."""

_MAX_CHARACTERS: Final = 8_000_000


@dataclass(frozen=True, slots=True)
class _Seen:
    collection: str
    stamp: Stamp
    rows: list[Row]


class RememberedRows:
    """The rows of one collection, 8 million characters at most; threads may share it."""

    def __init__(self) -> None:
        self._seen: _Seen | None = None

    def find(self, collection: str, stamp: Stamp) -> list[Row] | None:
        """Return the rows that a read of this stamp would find, if they are known."""
        seen = self._seen
        if seen is None or (seen.collection, seen.stamp) != (collection, stamp):
            return None
        return seen.rows

    def noted(self, collection: str, stamp: Stamp, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows; they are remembered when all were taken and are not too long."""
        self._seen = None
        taken: list[Row] = []
        size = 0
        for row in rows:
            size += len(row[3])
            if size <= _MAX_CHARACTERS:
                taken.append(row)
            elif taken:
                taken = []
            yield row
        if size <= _MAX_CHARACTERS:
            self._seen = _Seen(collection, stamp, taken)
