"""Remembers the rows of the runs that were read last, as long as their chunks stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aletheia_like.model.rows import Columns
from aletheia_like.ports.documents import Document

_MOST: Final = 8_000_000
"""Characters of chunks, or a quarter of it in cells: some 15 MB of floats."""

_CELL: Final = 4

Place = tuple[str, str | None]
"""A run's path, and the name of a stream of its rows."""


@dataclass(frozen=True, slots=True)
class _Seen:
    chunks: tuple[tuple[str, str], ...]
    cost: int
    columns: Columns


class RecentRows:
    """Rows of some million cells at most; threads may share it, and a signal handler.

    Only rows without containers are remembered: their user could change those in place. Nothing
    is locked, since each step is whole: at worst two who read at once remember in vain.
    """

    def __init__(self) -> None:
        self._seen: dict[Place, _Seen] = {}

    def find(self, place: Place, chunks: Sequence[Document]) -> Columns | None:
        """Return what was remembered of these chunks in these revisions, or None."""
        seen = self._seen.pop(place, None)
        if seen is None or seen.chunks != _revisions(chunks):
            return None
        self._seen[place] = seen
        columns = seen.columns
        return Columns(columns.timestamps, dict(columns.cells), columns.is_flat)

    def remember(self, place: Place, chunks: Sequence[Document], columns: Columns) -> None:
        """Remember what was read from chunks, if it is flat; what was asked for longest goes."""
        characters = sum(len(str(one.fields["columns"])) for one in chunks)
        # A column of one value is a few characters, however many rows there are.
        cost = max(characters, _CELL * len(columns) * (len(columns.cells) + 1))
        if not columns.is_flat or cost > _MOST:
            return
        self._seen.pop(place, None)
        self._seen[place] = _Seen(_revisions(chunks), cost, columns)
        known = self._seen.copy()
        total = sum(one.cost for one in known.values())
        for oldest, one in known.items():
            if total <= _MOST:
                break
            self._seen.pop(oldest, None)
            total -= one.cost


def _revisions(chunks: Sequence[Document]) -> tuple[tuple[str, str], ...]:
    return tuple((one.path, one.revision) for one in chunks)
