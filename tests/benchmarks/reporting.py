"""Timing, tables, and the line of JSON that ends a benchmark."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

_DIGITS = ((1, 3), (10, 2), (100, 1))


def timed(action: Callable[[], object]) -> float:
    """Return the seconds an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def report(name: str, rows: list[tuple[str, float, float | None]]) -> None:
    """Print what, seconds, and the ratio to the physical limit."""
    print(f"\n{name}")
    for what, seconds, limit in rows:
        ratio = f"{seconds / limit:8.1f} x the limit" if limit else ""
        print(f"  {what:48} {seconds * 1e3:10.1f} ms {ratio}")
    print(json.dumps({"benchmark": name, **{what: seconds for what, seconds, _ in rows}}))


def medians(rounds: Sequence[Row]) -> dict[str, float]:
    """Return the median of every number that was measured in each round."""
    names = [name for name, value in rounds[0].items() if isinstance(value, (int, float))]
    return {name: statistics.median(one[name] for one in rounds if name in one) for name in names}


def table(name: str, columns: Mapping[str, str], rows: Mapping[str, Row], **facts: Any) -> None:
    """Print a table in Markdown, and the same facts as one line of JSON.

    Args:
        name: The benchmark.
        columns: Heading of each column, by the name of what it shows.
        rows: What was found, by system.
        **facts: What else the line should tell.
    """
    lines = [["system", *columns.values()], ["---"] * (len(columns) + 1)]
    lines += [[system, *(_shown(row.get(key)) for key in columns)] for system, row in rows.items()]
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns) + 1)]
    print(f"\n{name}: {', '.join(f'{key} {value}' for key, value in facts.items())}")
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(f"| {' | '.join(cells)} |")
    print(json.dumps({"benchmark": name, **facts, "systems": rows}, default=str))


def _shown(value: Any) -> str:
    """Show a number with about three digits."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    digits = next((digits for bound, digits in _DIGITS if abs(value) < bound), 0)
    return f"{value:,.{digits}f}"
