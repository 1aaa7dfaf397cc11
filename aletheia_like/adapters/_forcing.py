"""Forces files to disk behind the back of whoever stored them.

The disk needs longer for a large file than hashing and copying it do. The thread that waits for it
is no daemon: an interpreter that ends waits for it, too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from dataclasses import dataclass, field

_log = logging.getLogger("aletheia")


@dataclass(slots=True)
class _Work:
    """What one process has to do; a forked child has a thread neither, nor its parent's work."""

    pid: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: deque[str] = field(default_factory=deque)
    thread: threading.Thread | None = None


class Forcing:
    """Forces files to disk, one after the other; any number of threads may name some."""

    def __init__(self) -> None:
        self._work = _Work()

    def add(self, path: str) -> None:
        """Begin to force a file to disk; one that is gone by then is left out."""
        work = self._own()
        with work.lock:
            work.waiting.append(path)
            if work.thread is not None or _is_begun(work):
                return
        # The interpreter ends and begins no thread any more.
        _force_all(work)

    def wait(self) -> None:
        """Return when the disk has everything, or has reported that it does not."""
        work = self._own()
        with work.lock:
            thread = work.thread
        if thread is not None:
            thread.join()

    def _own(self) -> _Work:
        if self._work.pid != os.getpid():
            self._work = _Work()
        return self._work


def _is_begun(work: _Work) -> bool:
    thread = threading.Thread(target=_force_all, args=(work,), name="aletheia-disk")
    try:
        thread.start()
    except RuntimeError:
        return False
    work.thread = thread
    return True


def _force_all(work: _Work) -> None:
    while True:
        with work.lock:
            if not work.waiting:
                work.thread = None
                return
            path = work.waiting.popleft()
        try:
            _force(path)
        except OSError as error:
            _log.error(
                "the disk may not have %s (%s): check it by `aletheia verify`, and store it again "
                "from its source if it is damaged",
                path,
                error,
            )


def _force(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
