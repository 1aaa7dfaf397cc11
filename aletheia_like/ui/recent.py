"""What was read a moment ago: the parts of a page that ask for the same share one reading."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

SECONDS = 0.7
"""Rows of a live run are seen within 2 seconds; this is a part of them."""


@dataclass(slots=True)
class _Reading:
    """Something that is being read, or was."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float | None = None
    value: Any = None


class Recent:
    """Keeps readings for a moment; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: dict[Hashable, _Reading] = {}

    def get(self, key: Hashable, read: Callable[[], Any]) -> Any:
        """Return what was read under this key a moment ago, else what `read` returns now.

        Whoever asks for what is being read waits for it. An error is everybody's own.
        """
        with self._lock:
            self._forget(time.monotonic() - SECONDS)
            reading = self._readings.setdefault(key, _Reading())
        with reading.lock:
            if reading.at is None or time.monotonic() - reading.at > SECONDS:
                reading.value = read()
                reading.at = time.monotonic()
            return reading.value

    def _forget(self, before: float) -> None:
        """Drop what is too old to be shared; rows may be many."""
        old = [
            key for key, one in self._readings.items() if one.at is not None and one.at < before
        ]
        for key in old:
            del self._readings[key]
