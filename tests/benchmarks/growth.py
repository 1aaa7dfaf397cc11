"""W8: what a row and a question cost when the store already holds many rows."""

from __future__ import annotations

import sys
from typing import Any

from tests.benchmarks import systems
from tests.benchmarks.options import Options
from tests.benchmarks.reporting import table
from tests.benchmarks.systems import System

MOST_OF_SLOW = 10_000
COLUMNS = {
    "rows": "rows in store",
    "p50_us": "row p50 us",
    "row_us": "row, all in, us",
    "table_ms": "table ms",
    "best_ms": "best ms",
    "history_ms": "history ms",
    "table_first_ms": "table first ms",
    "disk_mb": "disk MB",
}


def growth(options: Options) -> list[str]:
    """Measure each system at 10^3 to 10^6 rows in 1,000 runs; return those that failed."""
    runs = 8 if options.small else 1_000
    most = runs if options.small else options.most
    sizes = [size for size in (runs * 10**power for power in range(7)) if size <= most]
    rows: dict[str, Any] = {}
    with systems.chosen(options) as found_systems:
        chosen = [one for one in found_systems if one.answers]
        for size in sizes:
            print(f"{size:,} rows", file=sys.stderr)
            fitting = [one for one in chosen if not one.slow or size <= MOST_OF_SLOW]
            found = systems.each(
                fitting, lambda one, size=size: _at(one, options, runs, size // runs)
            )
            rows |= {f"{name} @ {size:,}": row for name, row in found.items()}
    table("growth", COLUMNS, rows, runs=runs, rounds=options.rounds)
    return [one.name for one in chosen if f"{one.name} @ {sizes[0]:,}" not in rows]


def _at(system: System, options: Options, runs: int, each: int) -> dict[str, Any]:
    """Fill a store, ask it, and log more: always in new processes."""
    repeats, steps = (1, 10) if options.small else (options.rounds, 2_000)
    with systems.folder() as place:
        filled = systems.run(system, options, "fill", place, runs=runs, rows=each)
        read = systems.run(system, options, "read", place, run="run7", repeats=repeats)
        size = systems.size_mb(place)
        more = [
            systems.run(system, options, "log", place, run=f"more{number}", steps=steps)
            for number in range(repeats)
        ]
    middle = sorted(more, key=lambda one: one["log_s"] + one["close_s"])[repeats // 2]
    return {
        **read,
        "rows": filled["rows"],
        "fill_s": filled["seconds"],
        "p50_us": sorted(one["p50_us"] for one in more)[repeats // 2],
        "row_us": (middle["log_s"] + middle["close_s"]) / steps * 1e6,
        "disk_mb": size,
    }
