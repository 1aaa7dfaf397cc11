"""Making room: the least recently used goes first, and never what is pinned or in use."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aletheia_like.cache.leases import gate, leased
from aletheia_like.cache.places import TRASH, Places, translated
from aletheia_like.cache.taking_stock import Holding, Inode, holdings, pins, size_of

_BATCH = 64
_SPARE = 10


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was removed to make room, or would be.

    Attributes:
        removed: What went, the least recently used first.
        freed: Bytes that this freed.
        size: Bytes that are left.
        missing: Bytes by which a bound is still passed: everything else is pinned or in use.
    """

    removed: tuple[Holding, ...]
    freed: int
    size: int
    missing: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a cache may take.

    Attributes:
        max_size: Bytes of all its files; None is without bound.
        min_free: Bytes that stay free on its disk; None is without bound.
    """

    max_size: int | None = None
    min_free: int | None = None

    @property
    def are_set(self) -> bool:
        """Whether there is any bound."""
        return self.max_size is not None or self.min_free is not None

    def excess(self, size: int, free: int) -> int:
        """Return how many bytes have to go.

        Args:
            size: Bytes that the cache takes.
            free: Bytes that are free on its disk.
        """
        over = 0 if self.max_size is None else size - self.max_size
        scarce = 0 if self.min_free is None else self.min_free - free
        return max(over, scarce, 0)

    def lowered(self) -> Bounds:
        """Return bounds with some room below these, so that not each download makes room."""
        most = None if self.max_size is None else self.max_size - self.max_size // _SPARE
        least = None if self.min_free is None else self.min_free + self.min_free // _SPARE
        return Bounds(most, least)


def free_bytes(places: Places) -> int:
    """Return how much room there is on the disk of a cache."""
    folder = places.root
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def choose(
    found: Sequence[Holding], kept: Iterable[str], excess: int
) -> tuple[list[Holding], int]:
    """Return what has to go to free some bytes, and how many that really frees.

    A file is free when its last name is gone: a blob whose directory stays is not worth removing.

    Args:
        found: Everything, the least recently used first.
        kept: Digests of what stays in any case.
        excess: How many bytes to free.
    """
    names = Counter(inode for one in found for inode in one.files)
    safe = set(kept)
    stays: set[Inode] = {inode for one in found if one.digest in safe for inode in one.files}
    chosen: list[Holding] = []
    freed = 0
    for one in found:
        if freed >= excess:
            break
        if one.digest in safe or (one.kind == "blob" and stays.issuperset(one.files)):
            continue
        chosen.append(one)
        for inode, size in one.files.items():
            names[inode] -= 1
            freed += 0 if names[inode] else size
    return chosen, freed


def prune(places: Places, bounds: Bounds, *, dry_run: bool = False) -> PruneReport:
    """Remove what is needed to keep the bounds.

    Args:
        places: The cache.
        bounds: What to keep.
        dry_run: Only tell.

    Raises:
        AccessDeniedError: The cache may not be written.
    """
    found = holdings(places)
    size = size_of(found)
    excess = bounds.excess(size, free_bytes(places))
    chosen, freed = choose(found, _kept(places), excess)
    if dry_run or not chosen:
        return PruneReport(tuple(chosen), freed, size - freed, max(0, excess - freed))
    with translated(places.root):
        removed = _remove_all(places, chosen)
    gone = {id(one) for one in removed}
    left = size_of([one for one in found if id(one) not in gone])
    freed = size - left
    return PruneReport(tuple(removed), freed, left, max(0, excess - freed))


def empty_trash(places: Places) -> None:
    """Remove what is on its way out, also what killed processes left."""
    for path in places.trees.glob(f".*{TRASH}"):
        shutil.rmtree(path, ignore_errors=True)


def _kept(places: Places) -> set[str]:
    """Return what is pinned or in use, as far as that can be known here."""
    with contextlib.suppress(OSError), gate(places):
        return pins(places) | leased(places)
    return pins(places)


def _remove_all(places: Places, chosen: Sequence[Holding]) -> list[Holding]:
    """Remove in batches, so that nobody waits long at the gate; skip what is used meanwhile."""
    removed: list[Holding] = []
    for start in range(0, len(chosen), _BATCH):
        with gate(places):
            kept = pins(places) | leased(places)
            for one in chosen[start : start + _BATCH]:
                if one.digest not in kept:
                    _remove(places, one)
                    removed.append(one)
        empty_trash(places)
    return removed


def _remove(places: Places, one: Holding) -> None:
    """Take names away; a directory goes by one rename."""
    if one.kind == "tree":
        places.tree_record(one.digest).unlink(missing_ok=True)
        aside = places.trees / f".{secrets.token_hex(8)}{TRASH}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(one.path, aside)  # noqa: PTH104 - of a folder, and nothing is replaced
        return
    if one.kind == "blob":
        places.record(one.digest).unlink(missing_ok=True)
    Path(one.path).unlink(missing_ok=True)
