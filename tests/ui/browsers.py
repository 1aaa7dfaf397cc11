"""Which browser tests drive."""

from __future__ import annotations

import shutil

_PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")


def find_browser() -> str | None:
    """Return the program of a Chromium, if possible the one that has no windows: it is cheaper."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)
