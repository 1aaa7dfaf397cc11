"""W4: eight processes write into one store at once."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from tests.benchmarks import systems
from tests.benchmarks.options import Options
from tests.benchmarks.reporting import medians, table
from tests.benchmarks.systems import System

PROCESSES = 8
PROCESSES_OF_SMALL = 2
COLUMNS = {
    "kept": "rows kept",
    "runs": "runs",
    "failed": "processes failed",
    "wall_s": "wall s",
    "p50_us": "p50 us",
    "p99_us": "p99 us",
}


def writers(options: Options) -> list[str]:
    """Measure eight processes of 2,000 rows each in each system; return those that failed."""
    steps = 10 if options.small else 2_000
    processes = PROCESSES_OF_SMALL if options.small else PROCESSES
    with systems.chosen(options) as chosen:
        rounds = systems.interleaved(
            chosen, options, lambda one: _once(one, options, steps, processes)
        )
    rows = {name: medians(found) for name, found in rounds.items()}
    facts = {"processes": processes, "steps": steps, "rounds": options.rounds}
    table("writers", COLUMNS, rows, **facts)
    return [one.name for one in chosen if one.name not in rows]


def _once(system: System, options: Options, steps: int, count: int) -> dict[str, float]:
    with systems.folder() as place:
        # Several peers cannot create one store from several processes at once.
        systems.run(system, options, "fill", place, runs=1, rows=1)
        processes = [
            systems.start(system, options, "write", place, run=f"writer{number}", steps=steps)
            for number in range(count)
        ]
        for process in processes:
            systems.await_ready(process)
        start = time.monotonic()
        for process in processes:
            with contextlib.suppress(BrokenPipeError):
                systems.send(process, "go")
        found: list[dict[str, Any]] = []
        for process in processes:
            with contextlib.suppress(systems.FailedError):
                found.append(systems.result(system, process))
        kept = systems.run(system, options, "kept", place, recover=False)["runs"]
    if not found:
        raise systems.FailedError(system.name, "every writer failed")
    return {
        "kept": sum(one["distinct"] for one in kept.values()) - 1,
        "runs": len(kept) - 1,
        "failed": count - len(found),
        "wall_s": max(one["ended"] for one in found) - start,
        "p50_us": max(one["p50_us"] for one in found),
        "p99_us": max(one["p99_us"] for one in found),
    }
