"""W7: a long series written and read, many single points, many series; beside Lakota."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.options import Options
from tests.benchmarks.reporting import table

SCRIPT = Path(__file__).parent / "peers" / "series_task.py"
RAW = 16
MB = 1e6

COLUMNS = {
    "write": "rows written s",
    "write_cpu": "CPU s",
    "write_memory": "memory x data",
    "read": "rows read s",
    "read_cpu": "CPU s",
    "read_memory": "memory x data",
    "mb": "MB on disk",
    "points": "points written s",
    "points_x_raw": "x raw on disk",
    "listed_ms": "series listed ms",
    "again_ms": "again ms",
}


def series(options: Options) -> None:
    """Measure in turn, each task in a new process, and show the least of all rounds.

    What disturbs only makes things slower, and hits both alike.
    """
    rows, points, many = (2_000, 5, 5) if options.small else (5_260_000, 4_000, 10_000)
    systems = {"aletheia": Path(sys.executable)}
    peer = None if options.peers is None else options.peers / "lakota" / "bin" / "python"
    if peer is not None and peer.exists():
        systems["lakota"] = peer
    rounds: dict[str, list[dict[str, float]]] = {system: [] for system in systems}
    for _ in range(options.rounds):
        for system, python in systems.items():
            rounds[system].append(_measure(python, system, rows, points, many))
    least = {
        system: {name: min(one[name] for one in found) for name in found[0]}
        for system, found in rounds.items()
    }
    grown = _grow(10 if options.small else 100_000)
    facts = {"long": rows, "single": points, "many": many}
    table("series", COLUMNS, least, **facts, grown=grown)


def _measure(python: Path, system: str, rows: int, points: int, many: int) -> dict[str, float]:
    data = rows * RAW / MB
    with tempfile.TemporaryDirectory() as name:
        long, single, short = (Path(name) / one for one in ("long", "single", "short"))
        written = _run(python, system, "write", long, rows)
        read = _run(python, system, "read", long, rows)
        pointed = _run(python, system, "points", single, points)
        _run(python, system, "many", short, many)
        listed = _run(python, system, "listed", short, many)
        return {
            "write": written["s"],
            "write_cpu": written["cpu_s"],
            "write_memory": 1 + written["growth_mb"] * 2**20 / MB / data,
            "read": read["s"],
            "read_cpu": read["cpu_s"],
            "read_memory": read["growth_mb"] * 2**20 / MB / data,
            "mb": _stored(long / "store") / MB,
            "points": pointed["s"],
            "points_x_raw": _stored(single / "store") / points / RAW,
            "listed_ms": listed["s"] * 1e3,
            "again_ms": listed["again_s"] * 1e3,
        }


def _grow(points: int) -> dict[str, Any]:
    """Write many points one by one: every tenth of them takes as long if all is linear."""
    python = Path(sys.executable)
    with tempfile.TemporaryDirectory() as name:
        found = _run(python, "aletheia", "points", Path(name), points)
        size = _stored(Path(name) / "store")
        opened = _run(python, "aletheia", "count", Path(name), points)
    return {"points": points, **found, "x_raw": size / points / RAW, "opened_s": opened["s"]}


def _run(python: Path, system: str, task: str, folder: Path, count: int) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    environment = dict(os.environ)
    if python != Path(sys.executable):
        environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [python, SCRIPT, system, task, folder, str(count)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _stored(folder: Path) -> int:
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
