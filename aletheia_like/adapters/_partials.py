"""Downloads that go on where an earlier one, of this process or of another, broke off.

The seam to whoever calls `download(digest, path)` is one file beside `path`, `.{digest}.part`: the
beginning of the blob, in order. Only who holds its lock touches it; others download by themselves.
It is kept only after a transfer broke off, hashed again before it is continued, and removed when
the whole turns out to be wrong. Whoever cleans up may remove it at any time.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

from aletheia_like.adapters._verified import (
    VerifiedSink,
    chunks,
    raise_translated,
    translated,
    verified_sink,
    wrong_bytes,
)
from aletheia_like.errors import IntegrityError, UnavailableError
from aletheia_like.ports.blobs import Progress

KEPT_BYTES = 1 << 20
"""A shorter beginning is not worth keeping."""


@contextlib.contextmanager
def resumable_sink(
    path: Path, digest: str, what: str, progress: Progress | None
) -> Iterator[VerifiedSink]:
    """Yield something to write to, from its `size` on; see the module's docstring.

    Args:
        path: Where the blob goes by one rename, when it is complete and verified.
        digest: What it must hash to.
        what: The blob, for errors.
        progress: Told of each chunk, and of what is there already.

    Raises:
        IntegrityError: The content does not have the digest; `path` is untouched.
        InvalidValueError: There is no folder for it.
        UnavailableError: The disk is full, or what was continued was wrong: it begins anew.
    """
    partial = _partial(path, digest)
    stream = _taken(partial)
    if stream is None:
        with verified_sink(path, digest, what, progress) as sink:
            yield sink
        return
    with stream, VerifiedSink(stream, path, None) as sink:
        # What is there is the beginning: it passes the hash, not the disk.
        with translated(partial):
            for chunk in chunks(stream):
                sink.take(chunk)
        begun = sink.size
        sink.tell(progress)
        try:
            yield sink
        except BaseException as error:
            if sink.size < KEPT_BYTES or isinstance(error, IntegrityError):
                partial.unlink(missing_ok=True)
            raise
        try:
            _complete(sink, partial, path, digest, what, begun)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def is_begun(path: Path, digest: str) -> bool:
    """Whether a download broke off, or goes on, that others can go on with."""
    return os.path.exists(f"{os.path.dirname(path) or '.'}/.{digest}.part")  # noqa: PTH110, PTH120


def in_order(
    fetch: Callable[[int, memoryview], None], start: int, end: int, part: int, workers: int
) -> Iterator[memoryview]:
    """Yield the bytes from `start` to `end`, fetched by several threads, some parts ahead.

    Args:
        fetch: Fills a buffer with the bytes from a position on; called by threads.
        start: Position of the first byte.
        end: Position after the last byte.
        part: Bytes of one call.
        workers: How many threads. As many parts are in memory, and one; each that is yielded is
            filled anew when the next one is asked for.
    """
    positions = iter(range(start, end, part))
    # Memory that is used again costs much less than memory that is new for each part.
    free = [bytearray(min(part, end - start)) for _ in range(workers + 1)]
    with ThreadPoolExecutor(workers, thread_name_prefix="aletheia-range") as pool:
        waiting: deque[tuple[Future[None], bytearray, int]] = deque()

        def submit() -> None:
            position = next(positions, None)
            if position is not None:
                buffer, size = free.pop(), min(part, end - position)
                future = pool.submit(fetch, position, memoryview(buffer)[:size])
                waiting.append((future, buffer, size))

        for _ in range(workers):
            submit()
        try:
            while waiting:
                future, buffer, size = waiting.popleft()
                future.result()
                submit()
                yield memoryview(buffer)[:size]
                free.append(buffer)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _partial(path: Path, digest: str) -> Path:
    return path.with_name(f".{digest}.part")


def _complete(
    sink: VerifiedSink,
    partial: Path,
    path: Path,
    digest: str,
    what: str,
    begun: int,
) -> None:
    """Verify the whole, and give it its name."""
    if sink.digest != digest:
        if begun and not sink.is_anew:
            message = f"{what}: what an earlier download left was damaged: download it again"
            raise UnavailableError(message)
        raise wrong_bytes(what, digest)
    with translated(path):
        partial.replace(path)


def _taken(partial: Path) -> IO[bytes] | None:
    """Return the partial file, locked and open from its start; None if somebody else has it."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        # The usual way tells what is wrong with the folder.
        return None
    except OSError as error:
        raise_translated(error, partial)
    stream = open(descriptor, "r+b", buffering=0)  # noqa: PTH123, SIM115 - of a descriptor
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who had it may have completed it meanwhile: then this is the finished file.
        if _identity(os.fstat(descriptor)) == _identity(partial.stat()):
            return stream
    except OSError:
        pass
    stream.close()
    return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
