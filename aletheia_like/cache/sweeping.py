"""Removing what killed processes left, so that nothing grows."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from aletheia_like.cache.places import PART, Places
from aletheia_like.cache.pruning import empty_trash

_DAY_SECONDS = 24 * 3600.0
_SILENT_SECONDS = 60.0
_QUARANTINE_SECONDS = 7 * _DAY_SECONDS


def sweep_daily(places: Places) -> None:
    """Sweep, unless that was done today."""
    mark = places.root / ".swept"
    with contextlib.suppress(OSError):
        if time.time() - mark.stat().st_mtime < _DAY_SECONDS:
            return
    with contextlib.suppress(OSError):
        places.replace(mark, b"")
        sweep(places)


def sweep(places: Places) -> None:
    """Remove files and folders that were being written a day ago, and old quarantine."""
    empty_trash(places)
    for pattern in (f"blobs/??/.*{PART}", f"records/*/.*{PART}", f"pins/.*{PART}", f".*{PART}"):
        _remove_older(places.root.glob(pattern), _DAY_SECONDS)
    _remove_older(places.trees.glob(f".*{PART}"), _DAY_SECONDS)
    _remove_older(places.trees.glob(f"[0-9a-f]*/**/.*{PART}"), _DAY_SECONDS)
    _remove_older(places.locks.glob("*.lock"), _DAY_SECONDS)
    _remove_older(places.rows.glob("??/.tmp-*"), _DAY_SECONDS)
    _remove_older(places.quarantine.glob("*"), _QUARANTINE_SECONDS)


def remove_parts(blob: Path, *, is_alone: bool) -> None:
    """Remove what downloads that were killed left in the folder of a blob.

    Args:
        blob: Where the blob belongs.
        is_alone: Whether nobody else downloads it: then what grew no more for a minute goes, else
            what is a day old.
    """
    names = [name for name in os.listdir(blob.parent) if name.endswith(PART)]  # noqa: PTH208
    if not names:
        return
    _remove_older((blob.parent / name for name in names), _DAY_SECONDS)
    # Names with a random part are written once; others may be meant to be gone on with.
    once = re.compile(rf"\.{blob.name}\.[0-9a-f]{{16}}\{PART}")
    own = (blob.parent / name for name in names if is_alone and once.fullmatch(name))
    _remove_older(own, _SILENT_SECONDS)


def _remove_older(paths: Iterable[Path], seconds: float) -> None:
    oldest = time.time() - seconds
    for path in _listed(paths):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()


def _listed(paths: Iterable[Path]) -> list[Path]:
    """Return what can be listed: folders that others remove meanwhile are no loss."""
    found: list[Path] = []
    with contextlib.suppress(OSError):
        found.extend(paths)
    return found
