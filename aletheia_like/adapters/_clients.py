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

from aletheia_like.forking import watch_forks

C = TypeVar("C")

_DRAIN_SECONDS = 10.0


class ForkGate:
    """Counts requests; a fork waits until none is in flight, and none starts meanwhile.

    A fork waits ten seconds at most. A thread never waits for itself: not for a request inside
    its own request, nor, when it forks, for a request of its own.
    """

    def __init__(self) -> None:
        self._reset()
        watch_forks(self._before, self._after, self._reset)

    def _reset(self) -> None:
        # A reentrant lock, because a signal handler may make a request in the midst of one.
        self._changed = threading.Condition(threading.RLock())
        self._flying: dict[int, int] = {}
        self._forking: set[int] = set()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count one request while the block runs."""
        me = threading.get_ident()
        with self._changed:
            while self._forking - {me} and me not in self._flying:
                self._changed.wait()
            self._flying[me] = self._flying.get(me, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                left = self._flying.pop(me, 1) - 1
                if left:
                    self._flying[me] = left
                self._changed.notify_all()

    def _before(self) -> None:
        me = threading.get_ident()
        until = time.monotonic() + _DRAIN_SECONDS
        with self._changed:
            self._forking.add(me)
            while self._flying.keys() - {me} and (left := until - time.monotonic()) > 0:
                self._changed.wait(timeout=left)

    def _after(self) -> None:
        with self._changed:
            self._forking.discard(threading.get_ident())
            self._changed.notify_all()


class PerProcess(Generic[C]):
    """Builds a client on its first use in each process.

    Args:
        build: Makes a client.
    """

    def __init__(self, build: Callable[[], C]) -> None:
        self._build = build
        self._lock = threading.RLock()
        self._client: C | None = None
        self._pid = os.getpid()
        self._inherited: list[C | None] = []
        watch_forks(None, None, self._forget)

    def get(self) -> C:
        """Return this process's client."""
        # Not every fork tells Python.
        if self._pid != os.getpid():
            self._forget()
        client = self._client
        if client is not None:
            return client
        with self._lock:
            if self._client is None:
                self._client = self._build()
            return self._client

    def take(self) -> C | None:
        """Return the client if there is one, and forget it."""
        with self._lock:
            client, self._client = self._client, None
        return client

    def _forget(self) -> None:
        # The inherited client is kept alive but never used: taking it down would reach into the
        # parent's connection. The lock may have been held by a thread that is not here.
        self._inherited.append(self._client)
        self._client = None
        self._lock = threading.RLock()
        self._pid = os.getpid()
