"""W1: a run of many rows in one process, until every row is stored and the run is closed."""

from __future__ import annotations

import signal
from typing import Any

from tests.benchmarks import systems
from tests.benchmarks.options import Options
from tests.benchmarks.reporting import medians, table
from tests.benchmarks.systems import LIMIT, System

ODD = 7
"""So many rows fewer are logged before a kill: batches must not end with the last row."""

COLUMNS = {
    "total_s": "total s",
    "ratio": "p50 / limit",
    "open_s": "open s",
    "log_s": "log s",
    "close_s": "close s",
    "cpu_s": "CPU s",
    "p50_us": "p50 us",
    "p99_us": "p99 us",
    "disk_mb": "disk MB",
    "peak_mb": "RSS MB",
    "growth_mb": "RSS growth MB",
    "survive": "survive kill -9",
    "document_writes": "document writes",
}


def logging(options: Options) -> list[str]:
    """Measure a run of 10,000 rows of ten numbers in each system; return those that failed."""
    steps = 50 if options.small else 10_000
    with systems.chosen(options) as chosen:
        survivors = systems.each(chosen, lambda one: _survivors(one, options, steps))
        alive = [one for one in chosen if one.name in survivors]
        rounds = systems.interleaved(alive, options, lambda one: _once(one, options, steps))
    rows: dict[str, dict[str, Any]] = {name: medians(found) for name, found in rounds.items()}
    limit = rows.get(LIMIT, {}).get("p50_us")
    for name, row in rows.items():
        row["survive"] = survivors[name]
        row["ratio"] = row["p50_us"] / limit if limit else None
    table("logging", COLUMNS, rows, steps=steps, rounds=options.rounds)
    return [one.name for one in chosen if one.name not in rows]


def _once(system: System, options: Options, steps: int) -> dict[str, float]:
    with systems.folder() as place:
        found = systems.run(system, options, "log", place, run="one", steps=steps)
        return found | {"disk_mb": systems.size_mb(place)}


def _survivors(system: System, options: Options, steps: int) -> str:
    """Count the rows that a later process finds when the last one was killed before closing."""
    steps -= ODD
    with systems.folder() as place:
        process = systems.start(system, options, "log", place, run="one", steps=steps, die=True)
        _, errors = process.communicate()
        if process.returncode != -signal.SIGKILL:
            raise systems.FailedError(system.name, errors)
        systems.settle(system)
        found = systems.run(system, options, "kept", place, recover=True)["runs"]
    kept = sum(one["distinct"] for one in found.values())
    return "all" if kept >= steps else "none" if not kept else f"{kept:,} of {steps:,}"
