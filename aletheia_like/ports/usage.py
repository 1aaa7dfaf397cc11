"""What the stores were asked to do, counted as Google bills it, and what that may cost."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from dataclasses import dataclass


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


class Usage:
    """Counts operations; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._record = UsageRecord()

    def add(self, **counts: int) -> None:
        """Count operations by the names of `UsageRecord`."""
        with self._lock:
            now = {name: getattr(self._record, name) + count for name, count in counts.items()}
            self._record = dataclasses.replace(self._record, **now)

    def snapshot(self) -> UsageRecord:
        """Return what was counted so far."""
        return self._record
