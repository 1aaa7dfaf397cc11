"""W5: a process is killed at random moments; what it acknowledged must be there, once."""

from __future__ import annotations

import random
import time
from typing import Any

from tests.benchmarks import systems
from tests.benchmarks.options import Options
from tests.benchmarks.reporting import table
from tests.benchmarks.systems import PROJECT, System

MOMENTS_OF_OTHERS = 5
COLUMNS = {
    "moments": "kills",
    "acknowledged": "rows acknowledged",
    "lost": "lost",
    "worst": "most lost at once",
    "doubled": "doubled",
    "disordered": "runs out of order",
    "recover_s": "recovery s",
}


def crash(options: Options) -> list[str]:
    """Kill each system's process at random moments; return the systems that failed."""
    moments = 1 if options.small else options.moments
    with systems.chosen(options) as chosen:
        rows = systems.each(chosen, lambda one: _kills(one, options, moments))
    table("crash", COLUMNS, rows, seed=options.seed)
    return [one.name for one in chosen if one.name not in rows]


def _kills(system: System, options: Options, moments: int) -> dict[str, Any]:
    source = random.Random(options.seed)
    if system.module != PROJECT:
        moments = min(moments, MOMENTS_OF_OTHERS)
    steps, seconds = (200, 0.2) if options.small else (5_000, 2.5)
    found = [
        _kill(system, options, steps, seconds, source.uniform(0, seconds)) for _ in range(moments)
    ]
    return {
        "moments": moments,
        "acknowledged": sum(one["acknowledged"] for one in found),
        "lost": sum(one["lost"] for one in found),
        "worst": max(one["lost"] for one in found),
        "doubled": sum(one["doubled"] for one in found),
        "disordered": sum(one["disordered"] for one in found),
        "recover_s": sorted(one["recover_s"] for one in found)[moments // 2],
    }


def _kill(
    system: System, options: Options, steps: int, seconds: float, moment: float
) -> dict[str, Any]:
    """Kill a logging process `moment` seconds after its run was opened."""
    with systems.folder() as place:
        arguments = {"run": "one", "steps": steps, "seconds": seconds}
        process = systems.start(system, options, "die", place, **arguments)
        systems.await_ready(process)
        time.sleep(moment)
        if process.poll() is not None:
            raise systems.FailedError(system.name, process.communicate()[1])
        process.kill()
        process.communicate()
        systems.settle(system)
        acknowledged = int.from_bytes((place / "acknowledged").read_bytes(), "little")
        kept = systems.run(system, options, "kept", place, recover=True)
    rows = sum(one["rows"] for one in kept["runs"].values())
    distinct = sum(one["distinct"] for one in kept["runs"].values())
    return {
        "acknowledged": acknowledged,
        # A row whose acknowledgement was cut off may be there: it is neither lost nor doubled.
        "lost": max(0, acknowledged - distinct),
        "doubled": rows - distinct,
        "disordered": sum(not one["ordered"] for one in kept["runs"].values()),
        "recover_s": kept["recover_s"],
    }
