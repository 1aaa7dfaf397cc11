"""A project into files and back: 1,000 runs of 1,000 rows, beside the same rows written bare."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import tempfile
from functools import partial
from pathlib import Path

from tests.benchmarks.options import Options
from tests.benchmarks.reporting import report, timed

COLUMNS = ("step", "loss", "acc", "lr")


def export(options: Options) -> None:
    """Measure each format out, again, and in; and a copy between two stores."""
    import aletheia_like as al

    runs, each = (2, 10) if options.small else (1_000, 1_000)
    folder = Path(tempfile.mkdtemp())
    url = os.environ.get("ALETHEIA_BENCHMARK_URL", (folder / "store").as_uri())
    ms = al.Metastore("bench", url=url, cache_dir=folder / "cache", git="off")
    source = random.Random(options.seed)
    rows = [dict(zip(COLUMNS, (step, *_three(source)), strict=True)) for step in range(each)]
    exper = ms.exper("export")
    for number in range(runs):
        with exper.start_run(hyper_params={"lr": number}) as run:
            run.log_batch(rows)
    raw = {
        "jsonl": lambda: _raw_lines(folder / "raw.jsonl", rows, runs),
        "sqlite": lambda: _raw_table(folder / "raw.db", rows, runs),
        "parquet": lambda: _raw_parquet(folder / "raw.parquet", rows, runs),
    }
    what: list[tuple[str, float, float | None]] = []
    for name, write in raw.items():
        limit = timed(write)
        what.append((f"{name}: the same rows, written bare", limit, None))
        target = folder / f"out.{name}"
        copy = al.Metastore(f"copy of {name}", url=url, cache_dir=folder / "cache", git="off")
        for word, action in (("export", ms.export), ("import", copy.import_)):
            what += [
                (f"{name}: {word}{again}", timed(partial(action, target)), limit)
                for again in ("", " again")
            ]
    other = al.Metastore(
        "bench", url=(folder / "other").as_uri(), cache_dir=folder / "cache", git="off"
    )
    what.append(("push to another store", timed(lambda: ms.push(other)), None))
    what.append(("push again", timed(lambda: ms.push(other)), None))
    report(f"export of {runs} runs of {each} rows on {url.partition(':')[0]}", what)
    other.close()
    ms.close()
    shutil.rmtree(folder, ignore_errors=True)


def _three(source: random.Random) -> tuple[float, float, float]:
    return source.random(), source.random(), source.random()


def _raw_lines(path: Path, rows: list[dict[str, float]], runs: int) -> None:
    with path.open("w") as stream:
        for run in range(runs):
            stream.writelines(json.dumps({"run": run, **row}) + "\n" for row in rows)


def _raw_table(path: Path, rows: list[dict[str, float]], runs: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE rows (run, {', '.join(COLUMNS)})")
    for run in range(runs):
        connection.executemany(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?)", ((run, *row.values()) for row in rows)
        )
    connection.commit()


def _raw_parquet(path: Path, rows: list[dict[str, float]], runs: int) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {name: [row[name] for row in rows] * runs for name in COLUMNS}
    parquet.write_table(pa.table(columns), path, compression="zstd")
