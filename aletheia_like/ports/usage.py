"""What the stores were asked to do, counted as Google bills it, and what that may cost."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from aletheia_like.forking import watch_forks


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for each operation; estimates, from a list that is as old as `as_of` says."""

    as_of: str = "2025-06, US multi-region, public list"
    document_reads: float = 0.06 / 100_000
    document_writes: float = 0.18 / 100_000
    document_deletes: float = 0.02 / 100_000
    blob_writes: float = 0.005 / 1_000
    blob_reads: float = 0.0004 / 1_000


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """Operations and bytes at one moment.

    Attributes:
        document_reads: Documents read; a query counts at least one.
        blob_writes: Class A operations: uploads and listings.
        blob_reads: Class B operations: downloads and look-ups.
        bytes_up: Bytes of blobs sent.
        bytes_down: Bytes of blobs received.
    """

    document_reads: int = 0
    document_writes: int = 0
    document_deletes: int = 0
    blob_reads: int = 0
    blob_writes: int = 0
    bytes_up: int = 0
    bytes_down: int = 0

    def __sub__(self, earlier: UsageRecord) -> UsageRecord:
        names = (one.name for one in dataclasses.fields(self))
        return UsageRecord(
            **{name: getattr(self, name) - getattr(earlier, name) for name in names}
        )

    def plus(self, counts: Mapping[str, int]) -> UsageRecord:
        """Return these and more, by their names."""
        more = {name: getattr(self, name) + count for name, count in counts.items()}
        return dataclasses.replace(self, **more)

    def estimate(self, prices: Prices | None = None) -> float:
        """Return an estimated price in US dollars; storage and network are not in it."""
        table = prices or Prices()
        return (
            self.document_reads * table.document_reads
            + self.document_writes * table.document_writes
            + self.document_deletes * table.document_deletes
            + self.blob_reads * table.blob_reads
            + self.blob_writes * table.blob_writes
        )

    def to_dict(self) -> Mapping[str, int]:
        """Return the counts by name."""
        return dataclasses.asdict(self)


_MEANT_FOR: ContextVar[str | None] = ContextVar("aletheia_usage", default=None)
"""Path of the run that this thread or task works for."""


@contextlib.contextmanager
def meant_for(path: str) -> Iterator[None]:
    """Count what is done inside the block for one run, too."""
    token = _MEANT_FOR.set(path)
    try:
        yield
    finally:
        _MEANT_FOR.reset(token)


class Usage:
    """Counts operations, in all and for each run; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._of_runs: dict[str, Counter[str]] = {}
        watch_forks(None, None, self._after_fork)

    def add(self, **counts: int) -> None:
        """Count operations by the names of `UsageRecord`."""
        path = _MEANT_FOR.get()
        with self._lock:
            _count(self._counts, counts)
            if path is not None:
                _count(self._of_runs.setdefault(path, Counter()), counts)

    def _after_fork(self) -> None:
        """Forget that a thread of the parent may have been counting."""
        self._lock = threading.Lock()

    def of(self, path: str) -> UsageRecord:
        """Return what was counted for one run so far."""
        with self._lock:
            return UsageRecord(**self._of_runs.get(path, Counter()))

    def snapshot(self) -> UsageRecord:
        """Return what was counted so far."""
        with self._lock:
            return UsageRecord(**self._counts)


def _count(total: Counter[str], counts: Mapping[str, int]) -> None:
    # A quarter of the time of `Counter.update`, which counts any iterable.
    for name, count in counts.items():
        total[name] += count
