"""W2: recording many short runs, and reading them as a table."""

from __future__ import annotations

import os
import sqlite3
import statistics
import tempfile
from pathlib import Path

from tests.benchmarks.options import Options
from tests.benchmarks.reporting import report, timed


def runs(options: Options) -> None:
    """Measure recording and reading of many short runs, against one SQLite statement."""
    import aletheia_like as al

    count = 5 if options.small else 1_000
    folder = Path(tempfile.mkdtemp())
    url = os.environ.get("ALETHEIA_BENCHMARK_URL", (folder / "store").as_uri())
    ms = al.Metastore("bench", url=url, cache_dir=folder / "cache", git="off")
    exper = ms.exper("many")
    exper.start_run().finish()

    def record() -> None:
        for number in range(count):
            with exper.start_run(
                hyper_params={f"p{key}": number * key for key in range(10)}
            ) as run:
                run.add_metrics({f"m{key}": number / (key + 1) for key in range(10)})

    recording = timed(record)
    reader = al.Metastore("bench", url=url, cache_dir=folder / "cache", git="off").experiment(
        "many"
    )
    first = timed(lambda: reader.runs().to_pandas())
    warm = statistics.median(
        timed(lambda: reader.runs().to_pandas()) for _ in range(options.rounds)
    )
    records = statistics.median(timed(lambda: list(reader.runs())) for _ in range(options.rounds))
    best = statistics.median(
        timed(lambda: reader.runs(order_by="-metrics.m0", limit=1)) for _ in range(options.rounds)
    )
    where = f"hyper_params.p1 < {count // 10}"
    filtered = statistics.median(
        timed(lambda: reader.runs(where, "-metrics.m0", 1)) for _ in range(options.rounds)
    )
    board = statistics.median(
        timed(lambda: reader.results().to_pandas()) for _ in range(options.rounds)
    )
    limit = _raw_table(folder, count, options.rounds)
    rows = [
        (f"record {count} runs", recording, None),
        ("raw SQLite: the same numbers as rows", limit, None),
        ("runs().to_pandas(), first (imports pandas)", first, limit),
        ("runs().to_pandas(), warm", warm, limit),
        ("runs(), as records", records, limit),
        ("the best run by a metric", best, limit),
        ("the best of the tenth that a condition names", filtered, limit),
        ("results().to_pandas()", board, limit),
    ]
    report(f"runs on {url.partition(':')[0]}", rows)
    ms.close()


def _raw_table(folder: Path, count: int, rounds: int) -> float:
    connection = sqlite3.connect(folder / "raw.sqlite")
    columns = ", ".join(f"c{number}" for number in range(20))
    connection.execute(f"CREATE TABLE runs ({columns})")
    values = ", ".join("?" * 20)
    rows = [tuple(float(number * key) for key in range(20)) for number in range(count)]
    connection.executemany(f"INSERT INTO runs VALUES ({values})", rows)
    connection.commit()
    return statistics.median(
        timed(lambda: connection.execute("SELECT * FROM runs").fetchall()) for _ in range(rounds)
    )
