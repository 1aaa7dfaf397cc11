"""Taking turns, so that one process downloads what many wait for.

A lock only saves bandwidth: what is published is whole with or without it. It is the system's, so
it goes with the process that holds it; a holder that lives but says nothing any more is not waited
for.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aletheia_like.cache.places import Places
from aletheia_like.ports.blobs import Progress

if TYPE_CHECKING:
    import filelock

_SILENT_SECONDS = 300.0
_SIGN_SECONDS = 5.0
_POLL_SECONDS = 0.02


class Turn:
    """The right to download something, and the duty to show that it goes on."""

    def __init__(self, path: Path, lock: filelock.BaseFileLock | None) -> None:
        self._path = path
        self._lock = lock
        self._shown = time.monotonic()

    @property
    def is_alone(self) -> bool:
        """Whether nobody else is at it; a cache that has no locks does not know."""
        return self._lock is not None

    def show(self, progress: Progress | None) -> Progress:
        """Return a progress that also shows those who wait that it goes on."""

        def told(count: int) -> None:
            if progress is not None:
                progress(count)
            now = time.monotonic()
            if now - self._shown > _SIGN_SECONDS:
                self._shown = now
                with contextlib.suppress(OSError):
                    os.utime(self._path)

        return told


@contextlib.contextmanager
def turn(places: Places, name: str) -> Iterator[Turn]:
    """Wait for the others that work on the same; go on without a lock where there are none."""
    path = places.locks / f"{name}.lock"
    lock = _wait(places, path)
    try:
        yield Turn(path, lock)
    finally:
        if lock is not None:
            # What was waited for is there now, so a lock of the same name does no harm.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            lock.release()


def _wait(places: Places, path: Path) -> filelock.BaseFileLock | None:
    import filelock

    with contextlib.suppress(OSError, NotImplementedError):
        places.make(path.parent)
        lock = filelock.FileLock(path, mode=places.file_mode, thread_local=False)
        while True:
            try:
                lock.acquire(timeout=_SILENT_SECONDS, poll_interval=_POLL_SECONDS)
            except filelock.Timeout:
                # `Timeout` is an OSError, so it must not get as far as `suppress`.
                if _is_silent(path):
                    return None
            else:
                return lock
    return None


def _is_silent(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _SILENT_SECONDS
    except OSError:
        return False
