"""Directories, and files under their own names: made of blobs, whole before they have a name."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from aletheia_like.cache.copies import Copies
from aletheia_like.cache.leases import Lease
from aletheia_like.cache.places import PART, Places
from aletheia_like.cache.records import (
    Seen,
    folders_of,
    is_settled,
    read_tree_record,
    seen,
    write_record,
    write_tree_record,
)
from aletheia_like.model.digests import ManifestEntry

_EXISTS = frozenset({errno.EEXIST, errno.ENOTEMPTY})

GetAll = Callable[[Sequence[ManifestEntry]], None]
"""Makes sure that the blobs of these files are in the cache, and right."""


class Trees:
    """The directories of a cache.

    Args:
        places: The cache.
        copies: Its blobs.
    """

    def __init__(self, places: Places, copies: Copies) -> None:
        self._places = places
        self._copies = copies

    def stale(self, digest: str, entries: Iterable[ManifestEntry]) -> list[ManifestEntry]:
        """Return the files that are missing, or do not look as they did when verified."""
        known = read_tree_record(self._places.tree_record(digest))
        below = f"{self._places.tree(digest)}/"
        return [one for one in entries if not _is_known(below, one, known)]

    def make(
        self,
        digest: str,
        stale: Sequence[ManifestEntry],
        whole: Sequence[ManifestEntry] | None,
        get_all: GetAll,
    ) -> None:
        """Put files in their places and remember how they look.

        Args:
            digest: Of the directory.
            stale: Files that have to be put there.
            whole: All files of the directory: others are set aside. None lets others be.
            get_all: Brings blobs here.
        """
        with Lease(self._places) as lease:
            # Until they have their second names, nobody may make room by removing these.
            lease.take(*(one.digest for one in stale))
            get_all(stale)
            self._place_all(digest, stale)
        folder, record = self._places.tree(digest), self._places.tree_record(digest)
        known = read_tree_record(record)
        if whole is not None:
            names = {one.path for one in whole}
            self._set_others_aside(folder, names)
            known = {name: one for name, one in known.items() if name in names}
        # Only now: every further link to a blob changes the ctime of the earlier ones.
        for one in stale:
            status = seen(f"{folder}/{one.path}")
            if status is not None:
                known[one.path] = (one.digest, status)
        write_tree_record(self._places, record, folder, known)

    def _place_all(self, digest: str, entries: Sequence[ManifestEntry]) -> None:
        folder = self._places.tree(digest)
        if not folder.exists() and self._build(digest, folder, entries):
            return
        for one in folders_of(entry.path for entry in entries):
            self._places.make(folder / one)
        for entry in entries:
            self._place(entry, folder / entry.path)

    def _build(self, digest: str, folder: Path, entries: Sequence[ManifestEntry]) -> bool:
        """Make a directory under another name, then rename it; False if somebody was faster."""
        aside = folder.with_name(f".{digest}.{secrets.token_hex(8)}{PART}")
        try:
            for one in folders_of(entry.path for entry in entries):
                self._places.make(aside / one)
            for entry in entries:
                self._link_or_copy(entry.digest, f"{aside}/{entry.path}")
            os.rename(aside, folder)  # noqa: PTH104 - of a folder, and nothing is replaced
        except OSError as error:
            if error.errno not in _EXISTS:
                raise
            return False
        else:
            return True
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _place(self, entry: ManifestEntry, target: Path) -> None:
        """Put a blob at its place in a directory, whole."""
        with contextlib.suppress(FileNotFoundError):
            if target.samefile(self._places.blob(entry.digest)):
                return
        if target.is_dir():
            self._copies.quarantine(target)
        temporary = f"{target.parent}/.{secrets.token_hex(8)}{PART}"
        try:
            self._link_or_copy(entry.digest, temporary)
            os.replace(temporary, target)  # noqa: PTH105 - once a file, for speed
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108
            raise

    def _link_or_copy(self, digest: str, target: str) -> None:
        blob, record = self._places.blob_name(digest), self._places.record_name(digest)
        try:
            os.link(blob, target)  # once a file, so not by way of Path
        except FileNotFoundError:
            raise
        except OSError:
            # Another file system, somebody else's file, or too many links to one file.
            shutil.copyfile(blob, target)
            os.chmod(target, 0o444)  # noqa: PTH101
            return
        if os.path.exists(record):  # noqa: PTH110
            # A new link changes the blob's ctime, which its record holds too.
            path = Path(record)
            with contextlib.suppress(OSError):
                write_record(self._places, path, seen(blob), settled=is_settled(path))

    def _set_others_aside(self, folder: Path, names: set[str]) -> None:
        """Leave nothing in a directory that is not of it: whoever lists it would read that."""
        for path in list(_files_beside(folder, "", names)):
            if path.name.startswith(".") and path.name.endswith(PART):
                path.unlink(missing_ok=True)
            else:
                self._copies.quarantine(path)


def _is_known(below: str, entry: ManifestEntry, known: dict[str, tuple[str, Seen]]) -> bool:
    digest, status = known.get(entry.path, (None, None))
    return digest == entry.digest and status == seen(below + entry.path)


def _files_beside(folder: Path, prefix: str, names: set[str]) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _files_beside(folder / entry.name, f"{name}/", names)
            elif name not in names:
                yield folder / entry.name
