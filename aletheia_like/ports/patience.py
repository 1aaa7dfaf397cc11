"""How long a caller waits, for whoever waits for a store on their behalf."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from contextvars import ContextVar

_UNTIL: ContextVar[float] = ContextVar("aletheia_until", default=math.inf)
"""When this thread's or task's caller stops waiting, by the monotonic clock."""


@contextlib.contextmanager
def waiting_until(moment: float) -> Iterator[None]:
    """Wait for no store inside the block after this moment of the monotonic clock."""
    token = _UNTIL.set(min(moment, _UNTIL.get()))
    try:
        yield
    finally:
        _UNTIL.reset(token)


def seconds_left(most: float, least: float = 0.0) -> float:
    """Return for how many seconds to wait.

    Args:
        most: If the caller has no hurry.
        least: If the caller has waited long enough already.
    """
    return max(least, min(most, _UNTIL.get() - time.monotonic()))
