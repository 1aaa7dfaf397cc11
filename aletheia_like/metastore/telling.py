"""Warnings for the user: each once in a process, and at the user's own line."""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

_PACKAGE = str(Path(__file__).parents[1]) + os.sep


@dataclass(slots=True)
class _Process:
    """What was told already, whichever metastore told it."""

    told: set[str] = field(default_factory=set)


_PROCESS = _Process()


def warn(message: str) -> None:
    """Warn at the line outside of this package that led here."""
    level = 1
    frame = sys._getframe()  # noqa: SLF001 - inspect.stack reads source files
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, stacklevel=level)


def warn_once(message: str) -> None:
    """Warn as `warn` does, but not twice of the same thing in one process."""
    if message not in _PROCESS.told:
        _PROCESS.told.add(message)
        warn(message)


def forget() -> None:
    """Tell everything anew; for tests."""
    _PROCESS.told.clear()
