"""Remembers the rows of the runs that were read last, as long as their chunks stay as they are."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aletheia_like.model.rows import Columns
from aletheia_like.ports.documents import Document

_MAX_CHARACTERS: Final = 8_000_000

Place = tuple[str, str | None]
"""A run's path, and the name of a stream of its rows."""


@dataclass(frozen=True, slots=True)
class _Seen:
    chunks: tuple[tuple[str, str], ...]
    characters: int
    columns: Columns


class RecentRows:
    """Rows that were made of 8 million characters of chunks at most; threads may share it.

    Only rows without containers are remembered: their user could change those in place.
    """

    def __init__(self) -> None:
        self._seen: dict[Place, _Seen] = {}
        self._lock = threading.Lock()

    def find(self, place: Place, chunks: Sequence[Document]) -> Columns | None:
        """Return what was remembered of these chunks in these revisions, or None."""
        with self._lock:
            seen = self._seen.pop(place, None)
            if seen is None or seen.chunks != _revisions(chunks):
                return None
            self._seen[place] = seen
        columns = seen.columns
        return Columns(columns.timestamps, dict(columns.cells), columns.is_plain)

    def remember(self, place: Place, chunks: Sequence[Document], columns: Columns) -> None:
        """Remember what was read from chunks, if it is plain; what was asked for longest goes."""
        characters = sum(len(str(one.fields["columns"])) for one in chunks)
        if not columns.is_plain or characters > _MAX_CHARACTERS:
            return
        with self._lock:
            self._seen.pop(place, None)
            self._seen[place] = _Seen(_revisions(chunks), characters, columns)
            while sum(one.characters for one in self._seen.values()) > _MAX_CHARACTERS:
                del self._seen[next(iter(self._seen))]


def _revisions(chunks: Sequence[Document]) -> tuple[tuple[str, str], ...]:
    return tuple((one.path, one.revision) for one in chunks)
