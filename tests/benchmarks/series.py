"""W7: a long series written and read, many single points, many series; beside Lakota."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.options import Options
from tests.benchmarks.reporting import report

PEER = Path(__file__).parent / "peers" / "lakota_series.py"
SCHEMA = {"timestamp": "timestamp*", "value": "float"}
RAW = 16


def series(options: Options) -> None:
    """Measure in turn, so that a slow moment of the machine hits both alike."""
    rows, points, many = (20_000, 40, 50) if options.small else (5_260_000, 4_000, 10_000)
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(_measure(Path(folder), rows, points))
        peer = None if options.peers is None else options.peers / "lakota" / "bin" / "python"
        if peer is not None and peer.exists():
            with tempfile.TemporaryDirectory() as folder:
                theirs.append(_measure_peer(peer, Path(folder), rows, points))
    found: list[tuple[str, float, float | None]] = []
    names = {"write": f"{rows:,} rows written", "read": f"{rows:,} rows read"}
    names["points"] = f"{points:,} single points"
    for key, what in names.items():
        limit = _median(theirs, key) if theirs else None
        if limit is not None:
            found.append((f"Lakota: {what}", limit, None))
        found.append((f"series: {what}", _median(ours, key), limit))
    with tempfile.TemporaryDirectory() as folder:
        found += _grow(Path(folder), options)
        found.append(_list(Path(folder), many))
    for who, measured in (("series", ours), ("Lakota", theirs)):
        if measured:
            sizes = {key: int(_median(measured, key)) for key in ("bytes", "points bytes")}
            print(f"{who}: {sizes['bytes']:,} B for rows, {sizes['points bytes']:,} B for points")
    report("series", found)


def _open(folder: Path) -> Any:
    import aletheia_like as al

    return al.Metastore(
        "bench", url=(folder / "store").as_uri(), cache_dir=folder / "cache", git="off"
    )


def _measure(folder: Path, rows: int, points: int) -> dict[str, float]:
    timestamp = np.datetime64("2010-01-01", "s") + np.arange(rows) * np.timedelta64(60, "s")
    value = np.random.default_rng(0).random(rows)
    with _open(folder) as ms:
        one = ms.create_collection(SCHEMA, "c") / "s"
        begin = time.perf_counter()
        one.write({"timestamp": timestamp, "value": value})
        written = time.perf_counter()
        frame = one.frame()
        read = time.perf_counter()
    assert frame["value"].tobytes() == value.tobytes()
    seconds = _points(folder / "points", points)
    return {
        "write": written - begin,
        "read": read - written,
        "bytes": _stored(folder / "store"),
        "points": seconds,
        "points bytes": _stored(folder / "points" / "store"),
    }


def _points(folder: Path, points: int) -> float:
    value = np.random.default_rng(0).random(points)
    one = (
        _open(folder).create_collection(  # type: ignore[attr-defined]
            {"step": "int*", "value": "float"}, "c"
        )
        / "s"
    )
    begin = time.perf_counter()
    for number in range(points):
        one.write({"step": [number], "value": value[number : number + 1]})
    return time.perf_counter() - begin


def _grow(folder: Path, options: Options) -> list[tuple[str, float, float | None]]:
    """Measure ten times as many points, which take ten times as long if all is linear."""
    points = 200 if options.small else 100_000
    found: list[tuple[str, float, float | None]] = []
    for part, count in (("tenth", points // 10), ("whole", points)):
        seconds = _points(folder / part, count)
        size = _stored(folder / part / "store")
        print(f"{count:,} points: {size:,} B, {size / count / RAW:.1f} times their raw size")
        found.append((f"series: {count:,} single points", seconds, None))
    return found


def _list(folder: Path, many: int) -> tuple[str, float, float | None]:
    clct = _open(folder / "many").create_collection(SCHEMA, "c")
    with clct.multi():
        for number in range(many):
            (clct / f"{number:06}").write({"timestamp": ["2020-01-01"], "value": [1.0]})
    begin = time.perf_counter()
    assert len(clct.ls()) == many
    return f"series: {many:,} series listed", time.perf_counter() - begin, None


def _measure_peer(python: Path, folder: Path, rows: int, points: int) -> dict[str, float]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, PEER, folder, str(rows), str(points)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        sys.exit(done.stderr)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _median(measured: list[dict[str, float]], key: str) -> float:
    return statistics.median(one[key] for one in measured)


def _stored(folder: Path) -> int:
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
