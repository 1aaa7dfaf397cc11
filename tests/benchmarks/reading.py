"""W2: reading the rows of one run, and the last values by step."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.options import Options
from tests.benchmarks.reporting import report, timed

QUERY = "SELECT * FROM rows ORDER BY step"
COLUMNS = [f"m{number}" for number in range(10)]


def reading(options: Options) -> None:
    """Measure how a run's history is read, and `latest` over 20,000 rows of it."""
    import pandas as pd

    import aletheia_like as al

    count = 200 if options.small else 10_000
    folder = Path(tempfile.mkdtemp())
    url = os.environ.get("ALETHEIA_BENCHMARK_URL", (folder / "store").as_uri())
    source = random.Random(options.seed)
    rows = [{"step": step} | {key: source.random() for key in COLUMNS} for step in range(count)]
    ms = al.Metastore("bench", url=url, cache_dir=folder / "cache", git="off")
    exper = ms.exper("reading")
    with exper.start_run() as once, exper.start_run() as twice:
        once.log_batch(rows)
        for start in (0, 5):
            twice.log_batch([{key: row[key] for key in _half(start)} for row in rows])
    ms.close()

    reader = al.Metastore("bench", url=url, cache_dir=folder / "cache", git="off")
    one, two = (reader.experiment("reading").run(run.id) for run in (once, twice))
    raw = _raw_store(folder / "raw.sqlite", rows)
    limit_first, limit = _repeated(lambda: pd.read_sql_query(QUERY, raw), options.rounds)
    lines = folder / "raw.jsonl"
    lines.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    lines_first, lines_warm = _repeated(lambda: _read_lines(lines), options.rounds)
    history_first, history = _repeated(lambda: one.rows().to_pandas(), options.rounds)
    _, latest = _repeated(lambda: two.latest(index="step"), options.rounds)
    _, loss = _repeated(lambda: two.latest(["m0"], index="step"), options.rounds)
    _, last = _repeated(lambda: two.latest(["m0", "step"]), options.rounds)
    what = [
        (f"raw SQLite: {count} rows to a DataFrame, first", limit_first, None),
        ("raw SQLite: the same, warm", limit, None),
        ("raw JSON lines: the same rows to a DataFrame, first", lines_first, limit_first),
        ("raw JSON lines: the same, warm", lines_warm, limit),
        ("run.rows().to_pandas(), first", history_first, limit_first),
        ("run.rows().to_pandas(), warm", history, limit),
        (f"run.latest(index='step') over {2 * count} rows", latest, limit),
        (f"run.latest(['m0'], index='step') over {2 * count} rows", loss, limit),
        (f"run.latest(['m0', 'step']) over {2 * count} rows", last, limit),
    ]
    report(f"reading on {url.partition(':')[0]}", what)
    reader.close()


def _read_lines(path: Path) -> object:
    import pandas as pd

    with path.open(encoding="utf-8") as stream:
        return pd.DataFrame([json.loads(line) for line in stream])


def _half(start: int) -> list[str]:
    return ["step", *COLUMNS[start : start + 5]]


def _repeated(action: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the seconds of the first time, and the median of the others."""
    first = timed(action)
    return first, statistics.median(timed(action) for _ in range(rounds))


def _raw_store(path: Path, rows: list[dict[str, float]]) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE rows (step, {', '.join(COLUMNS)})")
    insert = f"INSERT INTO rows VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"
    connection.executemany(insert, [tuple(row.values()) for row in rows])
    connection.commit()
    return connection
