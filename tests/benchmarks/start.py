"""W3: what importing costs, and how soon a new process has recorded something."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

from tests.benchmarks import systems
from tests.benchmarks.options import Options
from tests.benchmarks.reporting import medians, table, timed
from tests.benchmarks.systems import System

BARE = "bare interpreter"
COLUMNS = {
    "import_ms": "import, whole process, ms",
    "import_mb": "memory MB",
    "first_ms": "to the first durable row, ms",
    "first_mb": "memory then MB",
}


def start(options: Options) -> list[str]:
    """Measure whole processes, interleaved with a bare interpreter; return what failed."""
    bare: list[float] = []

    def once(system: System) -> dict[str, Any]:
        bare.append(timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)))
        return _once(system, options)

    with systems.chosen(options) as chosen:
        rounds = systems.interleaved(chosen, options, once)
    rows: dict[str, Any] = {BARE: {"import_ms": statistics.median(bare) * 1e3}}
    rows |= {name: medians(found) for name, found in rounds.items()}
    table("start", COLUMNS, rows, rounds=options.rounds)
    return [one.name for one in chosen if one.name not in rows]


def _once(system: System, options: Options) -> dict[str, Any]:
    with systems.folder() as place:
        found = {}
        if system.module:
            found["import_ms"] = timed(lambda: systems.execute(system, options, place)) * 1e3
            found["import_mb"] = systems.run(system, options, "load", place)["peak_mb"]
        began = time.monotonic()
        first = systems.run(system, options, "first", place)
    return found | {"first_ms": (first["at"] - began) * 1e3, "first_mb": first["peak_mb"]}
