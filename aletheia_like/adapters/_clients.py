"""Network clients and `fork`: one client for each process, and no request in flight at a fork.

gRPC's own fork handling was measured: an inherited client fails or hangs in the child; a fresh
client works if no request was in flight when the process forked. So requests are counted, a fork
waits for them, and a child builds its own client.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from aletheia_like.adapters._forking import watch_forks

C = TypeVar("C")

_DRAIN_SECONDS = 15.0


class ForkGate:
    """Counts requests; a fork waits until none is in flight, and none starts meanwhile."""

    def __init__(self) -> None:
        self._reset()
        watch_forks(self._before, self._after, self._reset)

    def _reset(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._flying = 0
        self._closed_by: int | None = None

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count one request while the block runs."""
        with self._changed:
            while self._closed_by not in (None, threading.get_ident()):
                self._changed.wait()
            self._flying += 1
        try:
            yield
        finally:
            with self._changed:
                self._flying -= 1
                self._changed.notify_all()

    def _before(self) -> None:
        until = time.monotonic() + _DRAIN_SECONDS
        with self._changed:
            self._closed_by = threading.get_ident()
            while self._flying and time.monotonic() < until:
                self._changed.wait(timeout=0.1)

    def _after(self) -> None:
        with self._changed:
            self._closed_by = None
            self._changed.notify_all()


class PerProcess(Generic[C]):
    """Builds a client on its first use in each process.

    Args:
        build: Makes a client.
    """

    def __init__(self, build: Callable[[], C]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._client: C | None = None
        watch_forks(self._hold, self._release, self._forget)

    def get(self) -> C:
        """Return this process's client."""
        client = self._client
        if client is not None and self._pid == os.getpid():
            return client
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                self._client, self._pid = self._build(), os.getpid()
            return self._client

    def take(self) -> C | None:
        """Return the client if there is one, and forget it."""
        with self._lock:
            client = self._client if self._pid == os.getpid() else None
            self._client = None
        return client

    def _hold(self) -> None:
        self._lock.acquire()

    def _release(self) -> None:
        self._lock.release()

    def _forget(self) -> None:
        # The inherited client is kept alive but never used: closing it would reach into the
        # parent's connection.
        self._inherited = self._client
        self._client = None
        self._lock = threading.Lock()
