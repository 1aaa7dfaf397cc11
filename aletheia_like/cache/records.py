"""What `stat` said when a file was last verified: a file of which it says the same is unchanged.

Size, time of modification, inode and time of the last change of any kind are compared. Whoever
writes to a file, truncates, replaces or renames it, or sets its times, changes one of these. What
they cannot show is a medium that decays, or a clock that was set back to the very nanosecond: for
that a file has to be hashed.

Nobody waits for the disk when a file is downloaded, so a power cut may leave a file that looks
right and holds zeros. A record of new files therefore names the time since the machine was started
(its boot), and is not believed in another one, until the files were forced to disk by a later use.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Iterable, Mapping
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any

from aletheia_like.cache.places import Places
from aletheia_like.errors import InvalidValueError
from aletheia_like.model.digests import check_digest, check_relative

Seen = tuple[int, ...]
"""Size, mtime in ns, inode, ctime in ns."""

_seen = attrgetter("st_size", "st_mtime_ns", "st_ino", "st_ctime_ns")
_folder_seen = attrgetter("st_mtime_ns", "st_ino")
_WIDTH = 4
_FORMAT = 2
_SETTLED_BYTES = 1 << 20
"""A smaller file is not forced to disk: the system has written it by then."""

_RECENT_SECONDS = 60.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def seen(path: str | Path) -> Seen | None:
    """Return what tells a file from a changed one, or None if there is none."""
    try:
        status: Seen = _seen(os.stat(path))  # noqa: PTH116 - paths of trees are texts, for speed
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status


@functools.cache
def this_boot() -> str:
    """Return what names the time since this machine was started; empty where nothing does."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def read_record(path: Path) -> Seen | None:
    """Return what is known of a blob; None if that may have been lost since."""
    try:
        parts = path.read_text().split()
        if parts[_WIDTH:] not in ([], [this_boot()]):
            return None
        return tuple(int(part) for part in parts[:_WIDTH])
    except (OSError, ValueError):
        return None


def write_record(places: Places, path: Path, record: Seen | None, *, settled: bool) -> None:
    """Remember what is known of a blob.

    Args:
        places: The cache.
        path: Where to remember it.
        record: What was seen; None is nothing to remember.
        settled: Whether the blob is on the disk for sure.
    """
    if record is not None:
        boot = [] if settled else [this_boot()]
        places.replace(path, " ".join([*map(str, record), *boot]).encode())


def is_settled(path: Path) -> bool:
    """Whether the record of a blob does not name a boot."""
    with contextlib.suppress(OSError):
        return len(path.read_bytes().split()) <= _WIDTH
    return False


def settle(path: str | Path) -> None:
    """Force a file to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def touch(record: Path) -> bool:
    """Remember that something was used now; whether that was not known for a minute.

    A cache that may not be written just does not remember.
    """
    with contextlib.suppress(OSError):
        if time.time() - record.stat().st_mtime > _RECENT_SECONDS:
            os.utime(record)
            return True
    return False


def settle_blob(places: Places, blob: Path, path: Path) -> None:
    """Force a blob to disk, if its record names a boot, and remember that."""
    with contextlib.suppress(OSError):
        status = seen(blob)
        if not is_settled(path) and status == read_record(path):
            settle(blob)
            write_record(places, path, status, settled=True)


def settle_tree(places: Places, folder: Path, path: Path) -> None:
    """Force the large files of a directory to disk, if its record names a boot."""
    known = _load(path)
    if known is None or not known.pop("boot", None):
        return
    import orjson

    with contextlib.suppress(OSError):
        for name, size in zip(known["paths"], known["stats"][::_WIDTH], strict=True):
            if size > _SETTLED_BYTES:
                settle(f"{folder}/{name}")
        places.replace(path, orjson.dumps(known))


def is_intact(folder: Path, path: Path, count: int) -> bool:
    """Whether a directory has all its files as they were verified, and nothing beside them.

    This is all that a hit of a directory costs: one file is read, and each file and folder is
    looked at once.

    Args:
        folder: The directory.
        path: Its record.
        count: How many files it has.
    """
    known = _load(path)
    if known is None or len(known["paths"]) != count or _is_of_another_boot(known):
        return False
    try:
        folders = map(os.stat, [f"{folder}/{one}" for one in known["folders"]])
        if list(chain.from_iterable(map(_folder_seen, folders))) != known["folder_stats"]:
            return False
        stats: object = known["stats"]
        return _seen_below(folder, known["paths"]) == stats
    except (OSError, TypeError, ValueError):
        # A record that somebody else wrote may hold anything.
        return False


def _seen_below(folder: Path, names: list[str]) -> list[int]:
    """Return what tells files of a folder from changed ones, one after the other."""
    look = os.stat
    if look not in os.supports_dir_fd:
        return [part for name in names for part in _seen(look(f"{folder}/{name}"))]
    # The system looks up a short path in three quarters of the time.
    descriptor = os.open(folder, getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC)
    try:
        return [part for name in names for part in _seen(look(name, dir_fd=descriptor))]
    finally:
        os.close(descriptor)


def read_tree_record(path: Path, *, believed: bool = True) -> dict[str, tuple[str, Seen]]:
    """Return the sha-256 and what was seen of each file; none if the record is broken.

    Args:
        path: The record.
        believed: Only what is known for sure: nothing, if that may have been lost since.
    """
    known = _load(path)
    if known is None or (believed and _is_of_another_boot(known)):
        return {}
    stats = zip(*[iter(known["stats"])] * _WIDTH, strict=True)
    found = zip(known["paths"], known["sha256"], stats, strict=True)
    return {name: (digest, one) for name, digest, one in found if _is_named(name, digest)}


def write_tree_record(
    places: Places, path: Path, folder: Path, files: Mapping[str, tuple[str, Seen]]
) -> None:
    """Remember what is known of a directory.

    Args:
        places: The cache.
        path: Where to remember it.
        folder: The directory.
        files: sha-256 and what was seen of each file, by its path.
    """
    import orjson

    below = f"{folder}/"
    folders = {name: _folder_seen(os.stat(below + name)) for name in folders_of(files)}  # noqa: PTH116
    known = {
        "format": _FORMAT,
        "boot": this_boot(),
        "paths": list(files),
        "sha256": [digest for digest, _ in files.values()],
        "stats": list(chain.from_iterable(one for _, one in files.values())),
        "folders": list(folders),
        "folder_stats": list(chain.from_iterable(folders.values())),
    }
    places.replace(path, orjson.dumps(known))


def _is_named(name: object, digest: object) -> bool:
    """Whether a record names a file inside its directory."""
    try:
        check_relative(name)  # type: ignore[arg-type]
        check_digest(digest)
    except (InvalidValueError, TypeError):
        return False
    return True


def folders_of(names: Iterable[str]) -> list[str]:
    """Return every folder that files with these paths lie in, the topmost first."""
    found = {""}
    for name in names:
        above = name.rpartition("/")[0]
        while above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    return sorted(found)


def _is_of_another_boot(known: Mapping[str, object]) -> bool:
    return known.get("boot", "") not in ("", this_boot())


def _load(path: Path) -> dict[str, Any] | None:
    import orjson

    try:
        known = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return known if _is_sound(known) else None


def _is_sound(known: object) -> bool:
    """Whether a record can be what this module wrote: lists that fit each other."""
    if not isinstance(known, dict) or known.get("format") != _FORMAT:
        return False
    names = ("paths", "sha256", "stats", "folders", "folder_stats")
    if not all(isinstance(known.get(name), list) for name in names):
        return False
    count, folders = len(known["paths"]), len(known["folders"])
    return (
        len(known["sha256"]) == count
        and len(known["stats"]) == _WIDTH * count
        and len(known["folder_stats"]) == 2 * folders
    )
