"""W6: adding a large file and many small ones, each twice, side by side with other systems."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from tests.benchmarks import systems
from tests.benchmarks.options import Options
from tests.benchmarks.reporting import medians, table
from tests.benchmarks.systems import LIMITS, System

ADDED = ("large_first", "large_again", "many_first", "many_again")
COLUMNS = {
    f"{added}_{what}": f"{added.replace('_', ' ')} {heading}"
    for added in ADDED
    for what, heading in (("s", "s"), ("cpu_s", "CPU s"))
} | {"peak_mb": "peak MB"}
PROGRAMS = (
    System("cp -r", "raw_copy.py", "cp"),
    System("sha256sum", "raw_copy.py", "sha256sum"),
    System("limit: hashed, copied under its hash", "raw_addressed.py", ""),
)
_LARGE_BYTES = 1 << 20
_OTHERS = {one.name for one in LIMITS}
_WITHOUT = ("W&B offline", "xetrack", "xetrack, batches of 100", "MLflow SQLite")
"""Systems that send artifacts elsewhere, have none, or store them as another of the list."""


def adding(options: Options) -> list[str]:
    """Measure 1 GiB and 10,000 files of 10 KiB; return what failed."""
    mebibytes, files = (2, 10) if options.small else (1024, 10_000)
    with systems.folder() as kept, systems.chosen(options) as found:
        ours = [one for one in found if one.name not in {*_OTHERS, *_WITHOUT}]
        chosen = [*PROGRAMS, *ours]

        def measure(system: System) -> dict[str, Any]:
            place = kept / secrets.token_hex(6)
            place.mkdir()
            measured = systems.run(system, options, "add", place, mebibytes=mebibytes, files=files)
            _remove_large(place)
            return measured

        rounds = systems.interleaved(chosen, options, measure)
    measured = {name: medians(found) for name, found in rounds.items()}
    facts = {"mebibytes": mebibytes, "files": files, "rounds": options.rounds}
    table("adding", COLUMNS, measured, **facts)
    return [one.name for one in chosen if one.name not in measured]


def _remove_large(folder: Path) -> None:
    """Make room; the many small files stay until the end.

    For minutes after thousands of files were removed, making others is slow on ext4, which looks
    for numbers of files that were not in use lately.
    """
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > _LARGE_BYTES:
            path.unlink()
