"""Blobs as files named by their digest, `{root}/{digest[:2]}/{digest}`, read-only.

Anyone can check them with `sha256sum`. A blob appears under its name by one rename, complete.
Small files are not forced to disk one by one: a power cut may lose them, and any read notices.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from aletheia_like.adapters._verified import (
    SYNCED_BYTES,
    check_file,
    chunks,
    raise_translated,
    translated,
    verifying,
    write_verified,
    wrong_bytes,
)
from aletheia_like.errors import IntegrityError, NotFoundError
from aletheia_like.model.digests import check_digest, digest_stream
from aletheia_like.ports.blobs import BlobStore, Progress

_STALE_SECONDS = 24 * 3600.0


class DirectoryBlobStore:
    """Blobs below a folder, which is created by the first upload.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: set[Path] = set()

    def exists(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def upload(self, digest: str, path: Path, progress: Progress | None = None) -> bool:
        target = self._path(digest)
        if target.is_file():
            return False
        check_file(path)
        with translated(target):
            self._make_folder(target.parent)
            _copy_verified(path, target, digest)
        if progress is not None:
            progress(target.stat().st_size)
        return True

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        with self._stream(digest) as stream:
            write_verified(path, chunks(stream), digest, str(self._path(digest)), progress)

    def open(self, digest: str) -> BinaryIO:
        return verifying(self._stream(digest), digest, str(self._path(digest)))

    def delete(self, digest: str) -> None:
        with translated(self._root):
            self._path(digest).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        for path in sorted(self._root.glob("[0-9a-f][0-9a-f]/*")):
            if not path.name.startswith("."):
                yield path.name

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _path(self, digest: str) -> Path:
        return self._root / check_digest(digest)[:2] / digest

    def _stream(self, digest: str) -> BinaryIO:
        path = self._path(digest)
        try:
            return path.open("rb")
        except FileNotFoundError as error:
            message = f"there is no blob {digest} in {self._root}"
            raise NotFoundError(message) from error
        except OSError as error:
            raise_translated(error, path)

    def _make_folder(self, folder: Path) -> None:
        if folder in self._folders:
            return
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        self._folders.add(folder)


def _copy_verified(source: Path, target: Path, digest: str) -> None:
    """Hash, let the kernel copy, and make sure that nothing changed between the two."""
    before = source.stat()
    with source.open("rb", buffering=0) as stream:
        found = digest_stream(stream)
    if found != digest:
        raise wrong_bytes(str(source), digest)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    try:
        shutil.copyfile(source, temporary)
        after = source.stat()
        copied = temporary.stat().st_size
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, copied):
            message = f"{source} changed while it was stored: wait until it is complete"
            raise IntegrityError(message)
        temporary.chmod(0o444)
        if copied > SYNCED_BYTES:
            _sync(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(folder: Path) -> None:
    """Remove what uploads that were killed left here long ago."""
    oldest = time.time() - _STALE_SECONDS
    for path in folder.glob(".*.part"):
        try:
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue


if TYPE_CHECKING:
    _: type[BlobStore] = DirectoryBlobStore
