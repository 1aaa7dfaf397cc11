"""Run a benchmark and print its table and one line of JSON.

python -m tests.benchmarks start      W3: import, and process start to the first stored run
python -m tests.benchmarks runs       W2: recording 1,000 runs and reading them as a table
python -m tests.benchmarks files      W6: adding, adding again and fetching files
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPEATS = 5


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


def start(*, small: bool) -> None:
    """Measure whole processes, interleaved with a bare interpreter."""
    first_run = (
        "import tempfile, aletheia_like as al\n"
        "folder = tempfile.mkdtemp()\n"
        "ms = al.Metastore('p', url=f'file://{folder}/s', cache_dir=folder, git='off')\n"
        "run = ms.exper('e').start_run()\n"
        "import os; os._exit(0)\n"
    )
    programs = {
        "bare interpreter": "pass",
        "import aletheia_like": "import aletheia_like",
        "to the first stored run, embedded": first_run,
    }
    environment = {
        key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"
    }
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(2 if small else 2 * REPEATS):
        for name, program in programs.items():
            command = [sys.executable, "-c", program]
            times[name].append(
                timed(lambda c=command: subprocess.run(c, check=True, env=environment))
            )
    bare = statistics.median(times["bare interpreter"])
    report("start", [(name, statistics.median(took), bare) for name, took in times.items()])


def runs(*, small: bool) -> None:
    """Measure recording and reading of many short runs, against one SQLite statement."""
    import aletheia_like as al

    count = 20 if small else 1_000
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
    warm = statistics.median(timed(lambda: reader.runs().to_pandas()) for _ in range(REPEATS))
    records = statistics.median(timed(reader.runs) for _ in range(REPEATS))
    best = statistics.median(
        timed(lambda: reader.runs(order_by="-metrics.m0", limit=1)) for _ in range(REPEATS)
    )
    board = statistics.median(timed(lambda: reader.results().to_pandas()) for _ in range(REPEATS))
    limit = _raw_table(folder, count)
    rows = [
        (f"record {count} runs", recording, None),
        ("raw SQLite: the same numbers as rows", limit, None),
        ("runs().to_pandas(), first (imports pandas)", first, limit),
        ("runs().to_pandas(), warm", warm, limit),
        ("runs(), as records", records, limit),
        ("the best run by a metric", best, limit),
        ("results().to_pandas()", board, limit),
    ]
    report(f"runs on {url.partition(':')[0]}", rows)
    ms.close()


def _raw_table(folder: Path, count: int) -> float:
    connection = sqlite3.connect(folder / "raw.sqlite")
    columns = ", ".join(f"c{number}" for number in range(20))
    connection.execute(f"CREATE TABLE runs ({columns})")
    values = ", ".join("?" * 20)
    rows = [tuple(float(number * key) for key in range(20)) for number in range(count)]
    connection.executemany(f"INSERT INTO runs VALUES ({values})", rows)
    connection.commit()
    return statistics.median(
        timed(lambda: connection.execute("SELECT * FROM runs").fetchall()) for _ in range(REPEATS)
    )


def files(*, small: bool) -> None:
    """Measure one large file and many small ones, against the copy and hash they need."""
    import hashlib
    import shutil

    import aletheia_like as al

    folder = Path(tempfile.mkdtemp())
    ms = al.Metastore("b", url=(folder / "store").as_uri(), cache_dir=folder / "cache", git="off")
    large = folder / "large.bin"
    size = (8 if small else 1024) << 20
    with large.open("wb") as stream:
        for _ in range(size >> 20):
            stream.write(os.urandom(1 << 20))
    many = folder / "many"
    many.mkdir()
    for number in range(100 if small else 10_000):
        (many / f"{number:05}").write_bytes(os.urandom(10_240))

    def hash_and_copy() -> None:
        with large.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")
        shutil.copyfile(large, folder / "copy.bin")

    limit = timed(hash_and_copy)
    tree_limit = timed(lambda: shutil.copytree(many, folder / "tree-copy"))
    rows = [
        (f"hash, then kernel copy, {size >> 20} MiB", limit, None),
        ("add it", timed(lambda: ms.add_dataset("large", large)), limit),
        ("add it again", timed(lambda: ms.add_dataset("large", large)), limit),
        ("fetch it", timed(lambda: ms.get_dataset("large", download=True)), limit),
        ("fetch it, warm", timed(lambda: ms.get_dataset("large", download=True)), None),
        ("cp -r of many small files", tree_limit, None),
        ("add them", timed(lambda: ms.add_dataset("many", many)), tree_limit),
        ("add them again", timed(lambda: ms.add_dataset("many", many)), tree_limit),
        ("fetch them", timed(lambda: ms.get_dataset("many", download=True)), tree_limit),
        ("fetch them, warm", timed(lambda: ms.get_dataset("many", download=True)), None),
    ]
    report("files", rows)
    shutil.rmtree(folder)


BENCHMARKS: dict[str, Callable[..., None]] = {"start": start, "runs": runs, "files": files}


def main(arguments: list[str]) -> None:
    """Run the named benchmarks."""
    names = [one for one in arguments if not one.startswith("-")]
    if not names or set(names) - set(BENCHMARKS):
        sys.exit(f"{__doc__}\nchoose from {', '.join(BENCHMARKS)}")
    for name in names:
        BENCHMARKS[name](small="--small" in arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
