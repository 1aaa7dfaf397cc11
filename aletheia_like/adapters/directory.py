"""Blobs as files named by their digest, `{root}/{digest[:2]}/{digest}`, read-only.

Anyone can check them with `sha256sum`. A blob appears under its name by one rename, complete to
every reader. Large files are forced to disk behind the back of whoever stores them, small ones are
left to the system: a power cut may lose what is younger, and any read notices.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ParamSpec, TypeVar

from aletheia_like.adapters._forcing import Forcing
from aletheia_like.adapters._verified import (
    check_file,
    chunks,
    only_digests,
    raise_translated,
    translated,
    verifying,
    write_all,
    write_verified,
    wrong_bytes,
)
from aletheia_like.errors import IntegrityError, NotFoundError
from aletheia_like.model.digests import check_digest, digest_bytes, digest_stream
from aletheia_like.ports.blobs import (
    BlobStore,
    Content,
    FileState,
    Progress,
    StoredBlob,
    TakesBytes,
    TakesHashed,
    file_state,
)

P = ParamSpec("P")
T = TypeVar("T")

_MODE = 0o444
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_STALE_SECONDS = 24 * 3600.0
_FORCED_BYTES = 1 << 20
"""A larger file is forced to disk."""


class DirectoryBlobStore:
    """Blobs below a folder, which is created by the first upload.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: set[str] = set()
        self._forcing = Forcing()

    def exists(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def upload(self, digest: str, path: Path, progress: Progress | None = None) -> bool:
        return self._upload(digest, path, None, progress)

    def upload_hashed(
        self, digest: str, path: Path, state: FileState, progress: Progress | None = None
    ) -> bool:
        return self._upload(digest, path, state, progress)

    def upload_bytes(
        self, contents: Sequence[Content], progress: Progress | None = None
    ) -> list[bool]:
        writing = _Writing()
        stored = [self._upload_bytes(digest, data, writing) for digest, data in contents]
        if progress is not None:
            sizes = (len(data) for _, data in contents)
            progress(sum(itertools.compress(sizes, stored)))
        return stored

    def _upload_bytes(self, digest: str, data: bytes, writing: _Writing) -> bool:
        folder = f"{self._root}/{check_digest(digest)[:2]}"
        target = f"{folder}/{digest}"
        if _is_there(target):
            return False
        try:
            self._in_folder(folder, writing.write, target, digest, data)
        except OSError as error:
            raise_translated(error, target)
        if len(data) > _FORCED_BYTES:
            self._forcing.add(target)
        return True

    def _upload(
        self, digest: str, path: Path, state: FileState | None, progress: Progress | None
    ) -> bool:
        # As text: of a small file, making a path takes as long as what is done with it.
        folder = f"{self._root}/{check_digest(digest)[:2]}"
        target = f"{folder}/{digest}"
        if _is_there(target):
            return False
        if state is None:
            check_file(path)
        with translated(target):
            size = self._in_folder(folder, _copy_verified, path, target, digest, state)
        if size > _FORCED_BYTES:
            self._forcing.add(target)
        if progress is not None:
            progress(size)
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
        found = sorted(self._root.glob("[0-9a-f][0-9a-f]/*"))
        yield from only_digests(path.name for path in found)

    def stored(self) -> Iterator[StoredBlob]:
        for digest in self.digests():
            with contextlib.suppress(FileNotFoundError):
                found = self._path(digest).stat()
                moment = dt.datetime.fromtimestamp(found.st_mtime, dt.UTC)
                yield StoredBlob(digest, found.st_size, moment)

    def close(self) -> None:
        """Return when the disk has what was stored; no file stays open."""
        self._forcing.wait()

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

    def _in_folder(self, folder: str, write: Callable[P, T], *of: P.args, **by: P.kwargs) -> T:
        """Return what `write` does in a folder, which is made if need be."""
        try:
            if folder not in self._folders:
                self._make_folder(folder)
            return write(*of, **by)
        except FileNotFoundError:
            # Somebody took the folder away since it was made.
            self._make_folder(folder)
            return write(*of, **by)

    def _make_folder(self, folder: str) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        _remove_leftovers(Path(folder))
        self._folders.add(folder)


@dataclass(slots=True)
class _Writing:
    """Writes small blobs, one after the other."""

    _token: str = field(default_factory=lambda: secrets.token_hex(8))
    _changes_mode: bool | None = None

    def write(self, target: str, digest: str, data: bytes) -> None:
        """Put bytes in their place."""
        temporary = f"{target[: -len(digest)]}.{digest}.{self._token}.part"
        try:
            descriptor = os.open(temporary, _NEW, _MODE)
            try:
                if self._changes_mode is not False:
                    self._set_mode(descriptor)
                write_all(descriptor, data)
            finally:
                os.close(descriptor)
            os.replace(temporary, target)  # noqa: PTH105 - once a file, so not by way of Path
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108
            raise

    def _set_mode(self, descriptor: int) -> None:
        if self._changes_mode is None:
            # The first tells whether the system takes away from the mode of all.
            self._changes_mode = stat.S_IMODE(os.fstat(descriptor).st_mode) != _MODE
        if self._changes_mode:
            os.fchmod(descriptor, _MODE)


def _is_there(target: str) -> bool:
    # Raises nothing inside when it is not there, as `isfile` does.
    return os.access(target, os.F_OK) and os.path.isfile(target)  # noqa: PTH113


def _copy_verified(source: Path, target: str, digest: str, state: FileState | None) -> int:
    """Copy a file to its place if it has the digest; return its size."""
    folder = target[: -len(digest)]
    temporary = f"{folder}.{digest}.{secrets.token_hex(8)}.part"
    try:
        size = source.stat().st_size if state is None else state[0]
        if size <= _FORCED_BYTES:
            size = _copy_small(source, temporary, digest, state)
        elif state is None or not _copy_hashed(source, temporary, state):
            check_file(source)
            size = source.stat().st_size
            _copy_large(source, temporary, digest)
        os.replace(temporary, target)  # noqa: PTH105 - once a file, so not by way of Path
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    return size


def _copy_small(source: Path, temporary: str, digest: str, state: FileState | None) -> int:
    """Copy in memory, with as few calls of the system as a small file is worth."""
    data = _read_small(source, digest, state)
    descriptor = os.open(temporary, _NEW, _MODE)
    try:
        os.fchmod(descriptor, _MODE)
        write_all(descriptor, data)
    finally:
        os.close(descriptor)
    return len(data)


def _read_small(source: Path, digest: str, state: FileState | None) -> bytes:
    """Return the bytes of a file; those of this state need no other proof.

    Raises:
        IntegrityError: It has another digest.
        InvalidValueError: It is no file.
    """
    try:
        # Should a pipe have taken the file's place, opening it must not wait for a writer.
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        check_file(source)
        raise
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            check_file(source)
        data = os.read(descriptor, before.st_size + 1)
        while len(data) != before.st_size and (more := os.read(descriptor, _FORCED_BYTES)):
            data += more
        is_known = state == file_state(before) and len(data) == before.st_size
        if is_known and state == file_state(os.fstat(descriptor)):
            return data
    finally:
        os.close(descriptor)
    if digest_bytes(data) != digest:
        raise wrong_bytes(str(source), digest)
    return data


def _copy_large(source: Path, temporary: str, digest: str) -> None:
    """Hash while the kernel copies, and make sure that both saw the same."""
    before = source.stat()
    with ThreadPoolExecutor(1, thread_name_prefix="aletheia-copy") as pool:
        copying = pool.submit(_copy, source, temporary)
        with source.open("rb", buffering=0) as stream:
            found = digest_stream(stream)
        copied = copying.result()
    if found != digest:
        raise wrong_bytes(str(source), digest)
    if (before.st_mtime_ns, before.st_size) != (source.stat().st_mtime_ns, copied):
        message = f"{source} changed while it was stored: wait until it is complete"
        raise IntegrityError(message)


def _copy_hashed(source: Path, temporary: str, state: FileState) -> bool:
    """Let the kernel copy what was hashed; whether it was in that very state before and after."""
    if file_state(source.stat()) != state:
        return False
    copied = _copy(source, temporary)
    if (file_state(source.stat()), copied) == (state, state[0]):
        return True
    os.unlink(temporary)  # noqa: PTH108
    return False


def _copy(source: Path, temporary: str) -> int:
    """Copy, and return how many bytes are there."""
    shutil.copyfile(source, temporary)
    os.chmod(temporary, _MODE)  # noqa: PTH101
    return os.stat(temporary).st_size  # noqa: PTH116


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
    _hashed: type[TakesHashed] = DirectoryBlobStore
    _bytes: type[TakesBytes] = DirectoryBlobStore
