"""W2, W8: the same rows by SQL, against DuckDB on one Parquet file."""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.options import Options
from tests.benchmarks.reporting import report, timed

COLUMNS = [f"m{number}" for number in range(10)]
QUERY = "SELECT * FROM rows"


def sql(options: Options) -> None:
    """Measure a run's history, the table of many runs, and a million rows in one and many runs."""
    import aletheia_like as al

    many, most = (8, 80) if options.small else (1_000, options.most)
    history = 20 if options.small else 10_000
    folder = Path(tempfile.mkdtemp())
    url = os.environ.get("ALETHEIA_BENCHMARK_URL", (folder / "store").as_uri())
    with al.Metastore("bench", url=url, cache_dir=folder / "cache", git="off") as ms:
        _record(ms, "history", 1, history, options.seed)
        _record(ms, "one", 1, most, options.seed)
        _record(ms, "many", many, most // many, options.seed)

    found: list[tuple[str, float, float | None]] = []
    for what, experiment in (
        (f"one run of {history:,} rows", "history"),
        (f"one run of {most:,} rows", "one"),
        (f"{many:,} runs of {most // many:,} rows", "many"),
    ):
        # A new metastore knows nothing but what lies in the cache.
        with al.Metastore("bench", url=url, cache_dir=folder / "cache", git="off") as ms:
            ask = _asker(ms, f"{QUERY} WHERE experiment = '{experiment}'")
            first = timed(ask)
            _parquet(ask(), folder / "rows.parquet")
            limit = _median(lambda: _frame(folder / "rows.parquet"), options.rounds)
            reads = ms.usage.document_reads
            warm = _median(ask, options.rounds)
            found += [
                (f"DuckDB on Parquet: {what}", limit, None),
                (f"ms.sql: {what}, first", first, limit),
                (f"ms.sql: {what}, warm", warm, limit),
            ]
            print(f"{what}: {(ms.usage.document_reads - reads) // options.rounds} reads when warm")
    with al.Metastore("bench", url=url, cache_dir=folder / "cache", git="off") as ms:
        for what, query in (
            (f"table of {many:,} runs", "SELECT * FROM runs WHERE experiment = 'many'"),
            (
                "best run",
                """SELECT run_id FROM runs WHERE experiment = 'many' AND hyper_params.p1 < 0.5
                ORDER BY metrics.m0 DESC LIMIT 1""",
            ),
            ("one of many runs", f"{QUERY} WHERE experiment = 'many' AND run_id = '7'"),
            ("mean by run", "SELECT run_id, avg(m0) FROM rows GROUP BY run_id"),
        ):
            found.append((what, _median(_asker(ms, query), options.rounds), None))
    report(f"sql on {url.partition(':')[0]}", found)


def _record(ms: Any, experiment: str, runs: int, rows: int, seed: int) -> None:
    source = random.Random(seed)
    exper = ms.exper(experiment)
    for number in range(runs):
        params = {f"p{key}": source.random() for key in range(10)}
        with exper.start_run(hyper_params=params) as run:
            run.log_batch(
                {"step": step} | {key: source.random() for key in COLUMNS} for step in range(rows)
            )
            run.add_metrics({f"m{key}": number / (key + 1) for key in range(10)})


def _asker(ms: Any, query: str) -> Callable[[], Any]:
    return lambda: ms.sql(query)


def _parquet(frame: Any, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    pyarrow.parquet.write_table(pa.Table.from_pandas(frame), path)


def _frame(path: Path) -> Any:
    import duckdb

    with duckdb.connect() as connection, warnings.catch_warnings(action="ignore"):
        return connection.execute(f"SELECT * FROM '{path}'").df()


def _median(action: Callable[[], object], rounds: int) -> float:
    return statistics.median(timed(action) for _ in range(rounds))
