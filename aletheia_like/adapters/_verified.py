"""What every blob store does alike: never hand out, and never keep, wrong bytes."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, BinaryIO, NoReturn, Self, cast

from aletheia_like.errors import (
    AccessDeniedError,
    AletheiaError,
    IntegrityError,
    InvalidValueError,
    UnavailableError,
)
from aletheia_like.ports.blobs import Progress

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Call = Callable[[Callable[[], bytes]], bytes]

CHUNK_BYTES = 1 << 20
_DIGEST = re.compile("[0-9a-f]{64}")

_PARALLEL_BYTES = 2 << 20

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def wrong_bytes(what: str, digest: str) -> IntegrityError:
    """Return the error for bytes that are not what their name says."""
    return IntegrityError(f"{what} does not have the sha-256 {digest}: its bytes were changed")


def check_file(path: Path) -> Path:
    """Return `path` if there is a file to store.

    Raises:
        InvalidValueError: There is none.
    """
    if not path.is_file():
        message = f"there is no file to store at {path}"
        raise InvalidValueError(message)
    return path


def only_digests(names: Iterable[str]) -> Iterator[str]:
    """Yield the names of blobs, out of whatever else lies beside them."""
    yield from (name for name in names if _DIGEST.fullmatch(name))


def chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what is left of a stream, a mebibyte at a time."""
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def write_verified(
    path: Path,
    content: Iterable[bytes | memoryview],
    digest: str,
    what: str,
    progress: Progress | None,
) -> None:
    """Write content to a temporary neighbour, verify it, and put it in place by one rename.

    Raises:
        IntegrityError: The content does not have the digest; `path` is untouched.
        InvalidValueError: There is no folder for it.
        UnavailableError: The disk is full.
        AccessDeniedError: The folder may not be written.
    """
    with verified_sink(path, digest, what, progress) as sink:
        for chunk in content:
            sink.write(chunk)


def write_whole(
    path: Path | str, data: bytes, digest: str, what: str, progress: Progress | None
) -> None:
    """Do what `write_verified` does, by as few calls as possible, with what is in memory.

    Raises:
        AletheiaError: As `write_verified` does.
    """
    if hashlib.sha256(data).hexdigest() != digest:
        raise wrong_bytes(what, digest)
    folder, name = os.path.split(path)
    temporary = f"{folder or '.'}/.{name[:80]}.{secrets.token_hex(8)}.part"
    with translated(path):
        try:
            _write_new(temporary, data)
            os.replace(temporary, path)  # noqa: PTH105 - once a file, for speed
        except BaseException as error:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            if isinstance(error, (FileNotFoundError, NotADirectoryError)):
                raise _no_folder(path) from error
            raise
    if progress is not None:
        progress(len(data))


def _write_new(path: str, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write bytes to an open file, by as many calls as the system wants."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def verified_sink(
    path: Path, digest: str, what: str, progress: Progress | None
) -> Iterator[VerifiedSink]:
    """Yield something to write to; what was written is verified, then put in place."""
    temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(8)}.part")
    try:
        with translated(path):
            stream = _created(temporary)
        with stream, VerifiedSink(stream, path, progress) as sink:
            yield sink
        if sink.digest != digest:
            raise wrong_bytes(what, digest)
        with translated(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _created(path: Path) -> IO[bytes]:
    try:
        return path.open("xb", buffering=0)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _no_folder(path) from error


def _no_folder(path: Path | str) -> InvalidValueError:
    return InvalidValueError(
        f"there is no folder {Path(path).parent} to download to: create it first"
    )


class VerifiedSink:
    """Hashes what is written, and tells the progress.

    Large chunks are hashed by a thread while they are written. Nothing is forced to disk: whoever
    believes a file later without hashing it sees to that.

    Args:
        stream: Where the bytes go.
        path: Named in errors.
        progress: Told of each chunk.
    """

    def __init__(self, stream: IO[bytes], path: Path, progress: Progress | None) -> None:
        self._stream = stream
        self._path = path
        self._progress = progress
        self._hasher = hashlib.sha256()
        self._pool: ThreadPoolExecutor | None = None
        self._is_anew = False
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    @property
    def digest(self) -> str:
        """sha-256 of what was written."""
        return self._hasher.hexdigest()

    @property
    def is_anew(self) -> bool:
        """Whether what was there at first was given up."""
        return self._is_anew

    def take(self, chunk: bytes | memoryview) -> None:
        """Hash what is in the stream already."""
        self._hasher.update(chunk)
        self.size += len(chunk)

    def tell(self, progress: Progress | None) -> None:
        """Tell the progress from now on, and first of what is there already."""
        self._progress = progress
        if progress is not None and self.size:
            progress(self.size)

    def restart(self) -> None:
        """Give up everything that is there."""
        if not self.size:
            return
        if self._progress is not None:
            self._progress(-self.size)
        with translated(self._path):
            self._stream.seek(0)
            self._stream.truncate()
        self._hasher, self._is_anew, self.size = hashlib.sha256(), True, 0

    def write(self, chunk: bytes | memoryview) -> int:
        """Write one chunk; when this returns, its memory may be used for another one.

        Raises:
            UnavailableError: The disk is full.
        """
        view = memoryview(chunk)
        size = len(view)
        if size < _PARALLEL_BYTES:
            self._hasher.update(view)
            self._write(view)
        else:
            hashing = self._thread().submit(self._hasher.update, view)
            try:
                self._write(view)
            finally:
                hashing.result()
        self.size += size
        if self._progress is not None:
            self._progress(size)
        return size

    def _write(self, view: memoryview) -> None:
        with translated(self._path):
            while view:
                view = view[self._stream.write(view) :]

    def _thread(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="aletheia-hash")
        return self._pool


@contextmanager
def translated(path: Path | str) -> Iterator[None]:
    """Turn the operating system's errors about files into ours."""
    try:
        yield
    except AletheiaError:
        raise
    except OSError as error:
        raise_translated(error, path)


def raise_translated(error: OSError, path: Path | str) -> NoReturn:
    """Raise our error for one of the operating system's."""
    if error.errno in _FULL:
        message = f"no space left for {path}: free some, or choose another folder"
        raise UnavailableError(message) from error
    if error.errno in _DENIED:
        message = f"{path} may not be written or read: {error.strerror}"
        raise AccessDeniedError(message) from error
    message = f"{path}: {error.strerror or error}"
    raise UnavailableError(message) from error


class VerifyingReader(io.RawIOBase):
    """A stream that is compared with its digest when the reader comes to the end.

    Args:
        stream: Where the bytes come from; closed with this one.
        digest: What they must hash to.
        what: Named in the error.
        call: Makes each request, with errors in our words.
    """

    def __init__(
        self, stream: IO[bytes], digest: str, what: str, call: Call | None = None
    ) -> None:
        self._stream = stream
        self._call = call
        self._digest = digest
        self._what = what
        self._hasher = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self._next(len(view))
        view[: len(chunk)] = chunk
        self._hasher.update(chunk)
        if not chunk and self._hasher.hexdigest() != self._digest:
            raise wrong_bytes(self._what, self._digest)
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()

    def _next(self, size: int) -> bytes:
        if self._call is None:
            return self._stream.read(size)
        return self._call(lambda: self._stream.read(size))


def verifying(stream: IO[bytes], digest: str, what: str, call: Call | None = None) -> BinaryIO:
    """Return a buffered `VerifyingReader`."""
    reader = VerifyingReader(stream, digest, what, call)
    return cast("BinaryIO", io.BufferedReader(reader, CHUNK_BYTES))


class HashingReader(io.RawIOBase):
    """A file that is hashed, and its progress told, while somebody else reads it.

    At the end of a file that does not have the digest it raises `IntegrityError`, so that whoever
    sends it breaks off before anything is stored.

    Args:
        path: The file.
        digest: What it must hash to.
        progress: Told of each chunk when it is read for the first time.
    """

    def __init__(self, path: Path, digest: str, progress: Progress | None) -> None:
        self._path = path
        self._file = path.open("rb", buffering=0)
        self._digest = digest
        self._progress = progress
        self._hasher = hashlib.sha256()
        self._hashed = 0
        self.size = os.fstat(self._file.fileno()).st_size
        if not self.size:
            # Nobody may ever read it.
            self._check()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        start = self._file.tell()
        # In parts, so that progress is told while a large buffer fills.
        view = memoryview(buffer).cast("B")[:CHUNK_BYTES]
        count = self._file.readinto(view) or 0
        # A client that repeats a part reads it again: only what is new counts.
        fresh = max(0, start + count - self._hashed)
        if fresh:
            self._hasher.update(view[count - fresh : count])
            self._hashed += fresh
        if self._hashed >= self.size or not count:
            self._check()
        if fresh and self._progress is not None:
            self._progress(fresh)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _check(self) -> None:
        if self._hasher.hexdigest() != self._digest:
            self.close()
            raise wrong_bytes(str(self._path), self._digest)
