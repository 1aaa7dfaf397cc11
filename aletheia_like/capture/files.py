"""Files and directories as they are on this machine: hashed, and noticed if they change."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from aletheia_like.capture.trees import (
    NOTHING_KNOWN,
    FileTree,
    Known,
    Seen,
    Take,
    Taken,
    manifest_of,
)
from aletheia_like.errors import (
    AccessDeniedError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
)
from aletheia_like.model.bulk import uncollected
from aletheia_like.model.digests import (
    check_all_relative,
    check_relative,
    digest_bytes,
)
from aletheia_like.ports.blobs import Progress, file_state

_HASH_THREADS = 2
_CHUNK_BYTES = 1 << 18
_SMALL_BYTES = 1 << 18
_SHORT_BYTES = 1 << 16
_TASK = 256, 16 << 20
_TAKEN = 240, 3 << 20
"""Files and bytes of a portion; of those that are taken, all are in memory."""

_SETTLED_NS = 2_000_000_000
_MAPS = Path("/proc/self/maps")


_Found = tuple[str, str, os.stat_result]
"""A file's relative name, where it is, and what `stat` says."""


def read_manifest(
    path: Path,
    progress: Progress | None = None,
    known: Known = NOTHING_KNOWN,
    take: Take | None = None,
) -> FileTree:
    """Hash a file, or every file below a directory; empty directories leave no trace.

    Args:
        path: What to read; symbolic links are followed, links out of a cycle are refused.
        progress: Called with the bytes of each file when it has been hashed.
        known: Files that were hashed before: one whose `stat` says the same is not read again.
        take: Given the small files of a directory that are read, some at a time, by two threads
            if they are not very small; none if they are few. What it raises ends the reading.

    Raises:
        NotFoundError: There is nothing at `path`.
        InvalidValueError: Something there is no regular file, or has a name that cannot be kept.
        AccessDeniedError: Something there may not be read.
        IntegrityError: A file changed while it was read, or the disk cannot read it.
    """
    if not _exists(path):
        link = ": it is a link to nothing" if path.is_symlink() else ""
        message = f"nothing at {path}{link}: check the path"
        raise NotFoundError(message)
    hashing = _Hashing(known.files, _mapped_inodes(), progress)
    find = _walk if path.is_dir() else _at
    with ExitStack() as stack:
        stack.enter_context(uncollected())
        # Reading may take long, and others make garbage meanwhile.
        seen = _seen(find(path), hashing, take, before_reading=stack.close)
        if find is _at:
            (one,) = seen.values()
            return FileTree(path, "file", one.digest, seen)
        if known.digest is not None and seen == known.files:
            return FileTree(path, "directory", known.digest, seen)
        manifest = manifest_of(seen)
        return FileTree(path, "directory", manifest.digest, seen, manifest)


def digests_of(stream: IO[bytes]) -> tuple[str, str]:
    """Return the sha-256 of an open file and its crc32c, read once, to its end."""
    import google_crc32c

    hasher, checksum = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK_BYTES):
        hasher.update(chunk)
        checksum = google_crc32c.extend(checksum, chunk)
    return hasher.hexdigest(), _crc32c_text(checksum)


def crc32c_of(data: bytes) -> str:
    """Return the crc32c of bytes as Cloud Storage shows it."""
    import google_crc32c

    return _crc32c_text(google_crc32c.value(data))


def _crc32c_text(checksum: int) -> str:
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()


def _seen(
    found: Sequence[_Found],
    hashing: _Hashing,
    take: Take | None,
    before_reading: Callable[[], object],
) -> dict[str, Seen]:
    """Return what is known of each file, or is read now."""
    _check_regular(found)
    recalled = [hashing.recalled(one) for one in found]
    unread = [one for one, seen in zip(found, recalled, strict=True) if seen is None]
    if unread:
        before_reading()
    read = iter(_read_all(unread, hashing, take))
    pairs = zip(found, recalled, strict=True)
    return {one[0]: next(read) if seen is None else seen for one, seen in pairs}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        message = f"{path} cannot be looked at: {error.strerror}"
        raise InvalidValueError(message) from error


def _at(path: Path) -> list[_Found]:
    name = check_relative(path.name)
    with _translated(path):
        return [(name, str(path), path.stat())]


def _walk(root: Path) -> list[_Found]:
    """Return every file below a directory."""
    with _translated(root):
        status = root.stat()
    found = list(_walk_inside(str(root), "", (_identity(status),)))
    check_all_relative([name for name, _, _ in found])
    return found


def _walk_inside(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[_Found]:
    with _translated(folder), os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.is_symlink() and not _exists(Path(entry.path)):
            message = f"{entry.path} is a link that leads nowhere or in a circle: remove it"
            raise InvalidValueError(message)
        name = prefix + entry.name
        try:
            status = entry.stat()
        except OSError as error:
            _raise_translated(error, entry.path)
        if not stat.S_ISDIR(status.st_mode):
            yield name, entry.path, status
            continue
        identity = _identity(status)
        if identity in above:
            message = f"{entry.path} is a link to a directory that contains it: remove it"
            raise InvalidValueError(message)
        yield from _walk_inside(entry.path, f"{name}/", (*above, identity))


def _check_regular(found: Sequence[_Found]) -> None:
    """Refuse what is no file before anything is read."""
    for _, path, status in found:
        if not stat.S_ISREG(status.st_mode):
            message = f"{path} is no regular file: sockets, pipes and devices cannot be stored"
            raise InvalidValueError(message)


def _check_readable(found: Sequence[_Found]) -> None:
    """Refuse what may not be read before anything is taken."""
    for _, path, _ in found:
        if not os.access(path, os.R_OK):
            _raise_translated(PermissionError(path), path)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


@dataclass(frozen=True, slots=True)
class _Hashing:
    """How files are hashed: what is known already, mapped files' inodes, whom to tell."""

    known: Mapping[str, Seen]
    mapped: frozenset[int]
    progress: Progress | None

    def recalled(self, one: _Found) -> Seen | None:
        """Return what is known of a file, None if it has to be read."""
        name, _, status = one
        known = self.known.get(name)
        if known is None or known.state != file_state(status):
            return None
        return None if status.st_ino in self.mapped else known

    def read(self, one: _Found) -> tuple[Seen, bytes]:
        """Return what a file holds, with its bytes if it is small."""
        _, path, status = one
        settled = status.st_ino not in self.mapped and _age(status) > _SETTLED_NS
        try:
            digest, crc32c, after, data = _read(path, status.st_size)
        except OSError as error:
            _raise_translated(error, path)
        if file_state(status)[:3] != file_state(after)[:3]:
            message = f"{path} changed while it was read: wait until it is complete"
            raise IntegrityError(message)
        if self.progress is not None:
            self.progress(after.st_size)
        # Reading may not change the ctime; a link that was made meanwhile may.
        settled = settled and status.st_ctime_ns == after.st_ctime_ns
        return Seen(file_state(after), digest, crc32c, settled), data


def _age(status: os.stat_result) -> int:
    """Return for how many nanoseconds nobody has changed a file."""
    return time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)


def _read(path: str, size: int) -> tuple[str, str, os.stat_result, bytes]:
    # Should a pipe have taken the file's place, opening it must not wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        data = os.read(descriptor, size + 1) if size <= _SMALL_BYTES else b""
        if 0 < len(data) == size:
            # Of many small files the calls of the system cost more than the bytes.
            return digest_bytes(data), crc32c_of(data), os.fstat(descriptor), data
        if data:
            os.lseek(descriptor, 0, os.SEEK_SET)
        with open(descriptor, "rb", buffering=0, closefd=False) as stream:
            digest, crc32c = digests_of(stream)
        return digest, crc32c, os.fstat(descriptor), b""
    finally:
        os.close(descriptor)


def _read_all(found: Sequence[_Found], hashing: _Hashing, take: Take | None) -> list[Seen]:
    tasks = list(_tasks(found, *(_TASK if take is None else _TAKEN)))
    if len(tasks) <= 1:
        return [hashing.read(one)[0] for one in found]
    if take is not None:
        _check_readable(found)
    sizes = [one[2].st_size for one in found]
    small = [size for size in sizes if size <= _SMALL_BYTES]
    in_all = sum(small), len(small)

    def read_some(some: Sequence[_Found]) -> list[Seen]:
        if take is None:
            return [hashing.read(one)[0] for one in some]
        read = [hashing.read(one) for one in some]
        pairs = zip(some, read, strict=True)
        taken = [Taken(one[1], seen, data) for one, (seen, data) in pairs if data]
        if taken:
            take(taken, *in_all)
        return [seen for seen, _ in read]

    if take is not None and sum(sizes) <= _SHORT_BYTES * len(sizes):
        # Two threads would mostly wait for each other.
        return [one for some in tasks for one in read_some(some)]
    with ThreadPoolExecutor(_HASH_THREADS, thread_name_prefix="aletheia-hash") as pool:
        # Each in a copy of this context, so that what is stored is counted for the same run.
        reading = [pool.submit(copy_context().run, read_some, some) for some in tasks]
        try:
            return [one for future in reading for one in future.result()]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _tasks(
    found: Sequence[_Found], task_files: int, task_bytes: int
) -> Iterator[Sequence[_Found]]:
    """Yield files in portions: to hand over a small file costs more than to hash it."""
    start = size = 0
    for number, (_, _, status) in enumerate(found):
        size += status.st_size
        if size >= task_bytes or number - start + 1 == task_files:
            yield found[start : number + 1]
            start, size = number + 1, 0
    if start < len(found):
        yield found[start:]


def _mapped_inodes() -> frozenset[int]:
    """Return which files this process has mapped for writing; such writes show in no `stat`."""
    try:
        lines = _MAPS.read_bytes().splitlines()
    except OSError:
        return frozenset()
    fields = (line.split(None, 5) for line in lines if b"s " in line)
    return frozenset(int(one[4]) for one in fields if one[1][1:4:2] == b"ws")


@contextmanager
def _translated(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _raise_translated(error, path)


def _raise_translated(error: OSError, path: str | Path) -> NoReturn:
    """Raise what the operating system says of a file in our words."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        message = f"{path} vanished while it was read"
        raise IntegrityError(message) from error
    if isinstance(error, PermissionError):
        message = f"{path} may not be read: change its permissions"
        raise AccessDeniedError(message) from error
    message = f"{path} cannot be read: {error.strerror or error}"
    raise IntegrityError(message) from error
