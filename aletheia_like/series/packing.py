"""Which documents of a changelog are put together, so that many small writes stay small."""

from __future__ import annotations

from collections.abc import Iterable

from aletheia_like.series.documents import Stored

PACKED = 128
"""So many documents of one revision each are packed together."""

LEVEL_PACKS = 16
"""So many packs become one, and again."""

PACK_BYTES = 600_000
"""What is packed together at most, and names of blobs beside it; a document takes 1 MiB."""


def packable(stored: Iterable[Stored], level: int) -> list[Stored]:
    """Return the documents of a level that are to be packed together now, the oldest first."""
    of_level = [one for one in stored if one.level == level]
    wanted = PACKED if level == 0 else LEVEL_PACKS
    if len(of_level) < wanted:
        return []
    batch: list[Stored] = []
    size = 0
    for one in sorted(of_level, key=lambda one: one.arrival):
        size += one.size
        if size > PACK_BYTES or len(batch) == 2 * PACKED:
            break
        batch.append(one)
    return batch if len(batch) >= wanted // 2 else []
