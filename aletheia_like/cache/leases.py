"""What living processes were given, so that nobody takes it away from them.

    leases/{name}.lease     digests, one a line; locked for as long as its process lives
    leases/.gate            locked while digests are added, and while something is removed

A process adds a digest before it looks whether the files are here; who removes files holds the
gate from reading the leases until the files are gone. So whoever finds files has them for as long
as it lives. The system releases the locks of a process that ends, however it does; those of a
process that was forked live as long as either of the two.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from aletheia_like.cache.places import Places
from aletheia_like.journal import lock

_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.001
_CACHES_A_PROCESS = 64
_SUFFIX = ".lease"


class Lease:
    """What this process was given of one cache.

    Args:
        places: The cache.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._held: set[str] = set()
        self._path = places.leases
        self._descriptor: int | None = None
        self._process = os.getpid()

    def take(self, *digests: str) -> None:
        """Keep what has these digests from being removed while this process lives.

        A cache that may not be written gives no leases: nothing is said then.
        """
        new = set(digests) - self._held
        if not new and self._process == os.getpid():
            return
        # A child goes on with all that its parent was given.
        told = new if self._process == os.getpid() else new | self._held
        with contextlib.suppress(OSError), gate(self._places):
            descriptor = self._opened()
            rest = "".join(f"{one}\n" for one in told).encode()
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        self._held |= new

    def release(self) -> None:
        """Give everything back."""
        self._held.clear()
        if self._descriptor is not None and self._process == os.getpid():
            # The name goes before the lock, so that nobody else has to remove it.
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> int:
        if self._process != os.getpid():
            inherited, self._descriptor = self._descriptor, None
            self._process = os.getpid()
            if inherited is not None:
                os.close(inherited)
        if self._descriptor is None:
            _read_leases(self._places)
            name = f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
            self._path = self._places.leases / name
            descriptor = self._places.open(self._path, os.O_RDWR | os.O_APPEND)
            try:
                lock(descriptor)
            except OSError:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
        return self._descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # Bound here: when the interpreter ends, the modules' names are gone already.
        if self._descriptor is not None:
            try:
                close(self._descriptor)
            except OSError:
                return


@functools.lru_cache(_CACHES_A_PROCESS)
def lease_on(root: Path) -> Lease:
    """Return what this process has of a cache, whatever opened it and how often.

    A path that was given out is used long after the metastore that gave it is gone.
    """
    return Lease(Places(root))


def leased(places: Places) -> set[str]:
    """Return the digests that living processes were given; what others left is removed.

    Who removes files calls this with the gate held.
    """
    try:
        return _read_leases(places)
    except FileNotFoundError:
        return set()


@contextlib.contextmanager
def gate(places: Places) -> Iterator[None]:
    """Hold the gate; go on without it if somebody holds it far too long.

    Raises:
        OSError: The cache may not be written.
    """
    descriptor = places.open(places.leases / ".gate", os.O_RDWR)
    try:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not _is_locked(descriptor) and time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _read_leases(places: Places) -> set[str]:
    found: set[str] = set()
    for path in places.leases.glob(f"*{_SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if _is_locked(descriptor):
                    path.unlink(missing_ok=True)
                else:
                    found |= set(path.read_text().split())
            finally:
                os.close(descriptor)
    return found


def _is_locked(descriptor: int) -> bool:
    """Lock an open file; whether that was possible."""
    try:
        lock(descriptor)
    except BlockingIOError:
        return False
    return True
