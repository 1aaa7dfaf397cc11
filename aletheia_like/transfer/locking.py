"""One export at a time writes into a folder."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from aletheia_like.errors import ConflictError
from aletheia_like.journal import lock

SECONDS = 60.0
_PAUSE = 0.05


@contextlib.contextmanager
def locked(folder: Path, seconds: float = SECONDS) -> Iterator[None]:
    """Make a folder, and hold it against other exports, also those of other processes.

    The folder itself is what is locked: a file for it would be one more line in `git status`.
    Where folders cannot be locked, as on Windows, nothing is.

    Args:
        folder: Where to write.
        seconds: How long to wait for an export that is being written.

    Raises:
        ConflictError: It is still being written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        yield
        return
    try:
        _await_lock(descriptor, folder, seconds)
        yield
    finally:
        os.close(descriptor)


def _await_lock(descriptor: int, folder: Path, seconds: float) -> None:
    latest = time.monotonic() + seconds
    while True:
        try:
            lock(descriptor)
        except BlockingIOError as error:
            if time.monotonic() > latest:
                message = f"another export is being written into {folder}: try again when it ends"
                raise ConflictError(message) from error
            time.sleep(_PAUSE)
        except OSError:
            # A file system without locks, such as some that lie on servers.
            return
        else:
            return
