"""What is in a cache: directories, files, kept rows, and the room that each takes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aletheia_like.cache.places import Places

Inode = tuple[int, int]
"""Device and number: what two names of one file have in common."""


@dataclass(frozen=True, slots=True)
class CachedBlob:
    """One blob in the cache.

    Attributes:
        used_at: Seconds since the epoch when it, or a directory with it, was last asked for.
        is_pinned: Whether it is never pruned.
    """

    digest: str
    size: int
    used_at: float
    path: Path
    is_pinned: bool = False


@dataclass(frozen=True, slots=True)
class Holding:
    """What is pruned as a whole: a blob, a directory or named file, or the rows of a run.

    Attributes:
        kind: `blob`, `tree` or `rows`.
        digest: Its name.
        used_at: Seconds since the epoch when it was last asked for.
        files: Bytes of each file by its inode.
    """

    kind: Literal["blob", "tree", "rows"]
    digest: str
    path: Path
    used_at: float
    files: dict[Inode, int]

    @property
    def size(self) -> int:
        """Bytes of its files, wherever else they have a name."""
        return sum(self.files.values())


def holdings(places: Places) -> list[Holding]:
    """Return everything that can be fetched or made again, the least recently used first."""
    trees = list(_trees(places))
    # A blob is as fresh as the freshest directory that it is in.
    fresh: dict[Inode, float] = {}
    for tree in trees:
        for inode in tree.files:
            fresh[inode] = max(tree.used_at, fresh.get(inode, 0.0))
    found = [*trees, *_blobs(places, fresh), *_rows(places)]
    return sorted(found, key=lambda one: (one.used_at, one.kind == "blob", one.digest))


def size_of(found: list[Holding]) -> int:
    """Return the bytes that holdings take: a file with several names counts once."""
    return sum({inode: size for one in found for inode, size in one.files.items()}.values())


def blob_paths(places: Places) -> Iterator[Path]:
    """Yield every blob, complete or damaged, but not what is being written."""
    for path in sorted(places.blobs.glob("[0-9a-f][0-9a-f]/*")):
        if not path.name.startswith("."):
            yield path


def pins(places: Places) -> set[str]:
    """Return the digests that are pinned."""
    with contextlib.suppress(FileNotFoundError):
        return {name for name in os.listdir(places.pins) if not name.startswith(".")}  # noqa: PTH208
    return set()


def _blobs(places: Places, fresh: dict[Inode, float]) -> Iterator[Holding]:
    for path in blob_paths(places):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            inode = (status.st_dev, status.st_ino)
            used_at = max(_used_at(places.record(path.name), path), fresh.get(inode, 0.0))
            yield Holding("blob", path.name, path, used_at, {inode: status.st_size})


def _trees(places: Places) -> Iterator[Holding]:
    for path in sorted(places.trees.glob("[0-9a-f]*")):
        with contextlib.suppress(FileNotFoundError):
            used_at = _used_at(places.tree_record(path.name), path)
            yield Holding("tree", path.name, path, used_at, dict(_files_below(path)))


def _rows(places: Places) -> Iterator[Holding]:
    for path in sorted(places.rows.glob("??/*")):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            files = {(status.st_dev, status.st_ino): status.st_size}
            if not path.name.startswith("."):
                yield Holding("rows", path.name, path, status.st_mtime, files)


def _files_below(folder: str | Path) -> Iterator[tuple[Inode, int]]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(entry.path)
            else:
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    yield (status.st_dev, status.st_ino), status.st_size


def _used_at(record: Path, path: Path) -> float:
    try:
        return record.stat().st_mtime
    except OSError:
        return path.stat().st_mtime
