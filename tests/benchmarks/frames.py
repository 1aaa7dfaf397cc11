"""W2: data frames of many runs and of one run's rows, side by side with other systems."""

from __future__ import annotations

from typing import Any

from tests.benchmarks import systems
from tests.benchmarks.options import Options
from tests.benchmarks.reporting import table
from tests.benchmarks.systems import System

QUESTIONS = ("runs", "best", "rows")
COLUMNS = {
    f"{question}_{what}": f"{question} {heading}"
    for question in QUESTIONS
    for what, heading in (("first_ms", "first ms"), ("ms", "ms"), ("cpu_ms", "CPU ms"))
}
LEFT_OUT = ("raw SQLite, one commit", "Trackio", "xetrack, batches of 100", "KVA's method")
"""Systems that have no data frames of their own, or whose store is the same as another's."""


def frames(options: Options) -> list[str]:
    """Measure 1,000 runs of ten rows and one run of 10,000 rows; return what failed."""
    runs, rows = (3, 20) if options.small else (1_000, 10_000)
    with systems.chosen(options) as found:
        chosen = [one for one in found if one.answers and one.name not in LEFT_OUT]
        measured = systems.each(chosen, lambda one: _measured(one, options, runs, rows))
    table("frames", COLUMNS, measured, runs=runs, steps=rows, rounds=options.rounds)
    return [one.name for one in chosen if one.name not in measured]


def _measured(system: System, options: Options, runs: int, rows: int) -> dict[str, Any]:
    """Fill a store with many runs, and another with one long run; ask each in a new process."""
    found: dict[str, Any] = {}
    for count, each, questions in ((runs, 10, ["runs", "best"]), (1, rows, ["rows"])):
        with systems.folder() as place:
            systems.run(system, options, "fill", place, runs=count, rows=each)
            asked = {"questions": questions, "repeats": 1 if options.small else options.rounds}
            found |= systems.run(system, options, "frames", place, run="run0", **asked)
    return found
