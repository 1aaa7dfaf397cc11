"""Remembers the rows of the collection that was searched last, while its file stays as it was.

One question about runs is several queries, and questions come one after the other: reading the
texts again would take longer than looking into them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aletheia_like.adapters._knownrows import KnownRows, Row

Stamp = tuple[object, ...]
"""Two reads with the same stamp would find the same."""

_MAX_CHARACTERS: Final = 8_000_000


@dataclass(frozen=True, slots=True)
class _Seen:
    collection: str
    stamp: Stamp
    rows: KnownRows


class RememberedRows:
    """The rows of one collection, 8 million characters at most; threads may share it."""

    def __init__(self) -> None:
        self._seen: _Seen | None = None

    def find(self, collection: str, stamp: Stamp) -> KnownRows | None:
        """Return the rows that a read of this stamp would find, if they are known."""
        seen = self._seen
        if seen is None or (seen.collection, seen.stamp) != (collection, stamp):
            return None
        return seen.rows

    def read(self, collection: str, stamp: Stamp, rows: Iterable[Row]) -> Iterable[Row]:
        """Return the rows of a read; they are remembered, unless they are too long."""
        self._seen = None
        taken: list[Row] = []
        size = 0
        unread = iter(rows)
        for row in unread:
            taken.append(row)
            size += len(row[3])
            if size > _MAX_CHARACTERS:
                return itertools.chain(taken, unread)
        known = KnownRows(taken)
        self._seen = _Seen(collection, stamp, known)
        return known
