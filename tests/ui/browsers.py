"""Which browser tests drive."""

from __future__ import annotations

import shutil

_PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")


def find_browser() -> str | None:
    """Return the program of a Chromium, best the one without windows, which takes half the time."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)
