"""What every measured system is asked to do; standard library only, each in its own process.

A driver script binds one system to `Driver` and calls `main`; the harness runs it as
`python SCRIPT TASK FOLDER ARGUMENTS`, and reads the last line it prints: one JSON object.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import sys
import time
from pathlib import Path

COLUMNS = tuple(f"m{number}" for number in range(10))
SEED = 20_240_607
LONG_MS = 10_000


class Driver:
    """One system, recording one run at a time into a folder."""

    durable = True
    """Whether a returned `log` is meant to survive `kill -9`; else only `close` makes it last."""

    def __init__(self, folder: Path, variant: str) -> None:
        self.folder = folder
        self.variant = variant

    def load(self) -> None:
        """Import the system."""

    def open(self, run: str, params: dict) -> None:
        """Open the store and start a run."""
        raise NotImplementedError

    def log(self, step: int, row: dict) -> None:
        """Record one row of the run."""
        raise NotImplementedError

    def close(self) -> None:
        """End the run, and return when everything is stored."""
        raise NotImplementedError

    def fill(self, run: str, params: dict, rows: list) -> None:
        """Record a whole run, as fast as the system can."""
        self.open(run, params)
        for step, row in enumerate(rows):
            self.log(step, row)
        self.close()

    def recover(self) -> None:
        """Do what the system offers to save what a killed process left."""

    def kept(self) -> dict:
        """Return the steps of each run, in stored order, by the run's name."""
        raise NotImplementedError

    def table(self) -> int:
        """Make a table of runs, their parameters and last values; return how many there are."""
        raise NotImplementedError

    def best(self) -> object:
        """Return the run with the greatest last `m0` of those with `lr` under 0.1."""
        raise NotImplementedError

    def history(self, run: str) -> int:
        """Read every row of one run; return how many there are."""
        raise NotImplementedError

    def runs_frame(self) -> object:
        """Return a pandas DataFrame of all runs, their parameters and last values."""
        raise NotImplementedError

    def rows_frame(self, run: str) -> object:
        """Return a pandas DataFrame of one run's rows, a column for each metric."""
        raise NotImplementedError

    def add(self, path: Path, name: str) -> None:
        """Store a file or a folder of the run as a named artifact; return when it is stored."""
        raise NotImplementedError

    def usage(self) -> dict:
        """Return counted operations, if the system counts them."""
        return {}


def make_rows(count: int, seed: int = SEED) -> list:
    """Return rows of ten floats, the same ones for each system."""
    source = random.Random(seed)
    return [{column: source.random() for column in COLUMNS} for _ in range(count)]


def make_params(number: int) -> dict:
    """Return the parameters of a run."""
    return {"lr": (number % 100) / 500, "depth": number % 7, "optimizer": "adam"}


def peak_mib() -> float:
    """Return the peak resident memory of this process and its living descendants."""
    return sum(_peak_kib(process) for process in _family(os.getpid())) / 1024


def _peak_kib(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line), 0)


def _family(process: int) -> list:
    found = [process]
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [one for child in children.read_text().split() for one in _family(int(child))]
        except OSError:
            continue
    return found


def _quantile(values: list, share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def _log_all(driver: Driver, rows: list) -> list:
    """Log every row; return nanoseconds for each."""
    clock, log = time.perf_counter_ns, driver.log
    took = [0] * len(rows)
    for step, row in enumerate(rows):
        start = clock()
        log(step, row)
        took[step] = clock() - start
    return took


def run_log(driver: Driver, run: str, steps: int, *, die: bool = False) -> dict:
    """Record one run, timed; or vanish before closing it."""
    rows = make_rows(steps)
    driver.load()
    before = peak_mib()
    clock = time.perf_counter
    started, worked = clock(), time.process_time()
    driver.open(run, make_params(1))
    opened = clock()
    took = _log_all(driver, rows)
    logged = clock()
    if die:
        os.kill(os.getpid(), 9)
    peak = peak_mib()
    closing = clock()
    driver.close()
    closed = clock()
    took.sort()
    return {
        "open_s": opened - started,
        "log_s": logged - opened,
        "close_s": closed - closing,
        "total_s": logged - started + closed - closing,
        "cpu_s": time.process_time() - worked,
        "p50_us": _quantile(took, 0.5) / 1e3,
        "p99_us": _quantile(took, 0.99) / 1e3,
        "max_us": took[-1] / 1e3,
        "peak_mb": max(peak, peak_mib()),
        "growth_mb": max(peak, peak_mib()) - before,
        **driver.usage(),
    }


def run_load(driver: Driver) -> dict:
    """Import only."""
    driver.load()
    return {"peak_mb": peak_mib()}


def run_first(driver: Driver) -> dict:
    """Say when the first row is durable."""
    driver.load()
    driver.open("first", make_params(1))
    driver.log(0, make_rows(1)[0])
    if not driver.durable:
        driver.close()
    return {"at": time.monotonic(), "peak_mb": peak_mib()}


def run_write(driver: Driver, run: str, steps: int) -> dict:
    """One of many writers: be ready, wait for the word, record a run."""
    rows = make_rows(steps)
    driver.load()
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.monotonic()
    driver.open(run, make_params(1))
    took = _log_all(driver, rows)
    driver.close()
    took.sort()
    return {
        "started": started,
        "ended": time.monotonic(),
        "p50_us": _quantile(took, 0.5) / 1e3,
        "p99_us": _quantile(took, 0.99) / 1e3,
    }


def run_die(driver: Driver, run: str, steps: int, seconds: float) -> dict:
    """Log at a steady pace until killed, telling in shared memory what was acknowledged."""
    rows = make_rows(steps)
    path = driver.folder / "acknowledged"
    path.write_bytes(bytes(8))
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), 8) as memory:
        driver.load()
        driver.open(run, make_params(1))
        print("ready", flush=True)
        start = time.monotonic()
        for step, row in enumerate(rows):
            driver.log(step, row)
            memory[:] = (step + 1).to_bytes(8, "little")
            ahead = start + seconds * step / steps - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
        sys.stdin.readline()
    return {}


def run_kept(driver: Driver, recover: bool) -> dict:
    """Say what a later process finds."""
    driver.load()
    start = time.perf_counter()
    if recover:
        driver.recover()
    recovering = time.perf_counter() - start
    runs = {}
    for run, steps in driver.kept().items():
        found = [int(step) for step in steps]
        runs[run] = {
            "rows": len(found),
            "distinct": len(set(found)),
            "last": max(found, default=-1),
            "ordered": found == sorted(found),
        }
    return {"runs": runs, "recover_s": recovering}


def run_fill(driver: Driver, runs: int, rows: int) -> dict:
    """Fill a store with runs of so many rows each."""
    driver.load()
    start = time.perf_counter()
    for number in range(runs):
        driver.fill(f"run{number}", make_params(number), make_rows(rows, number))
    return {"seconds": time.perf_counter() - start, "rows": runs * rows}


def _ask(question, repeats: int) -> tuple:
    """Ask once and then repeatedly, unless that takes long; return milliseconds and the answer."""
    took = []
    while len(took) <= repeats and sum(took) < LONG_MS:
        start = time.perf_counter()
        answer = question()
        took.append((time.perf_counter() - start) * 1e3)
    return took, answer


def run_read(driver: Driver, run: str, repeats: int) -> dict:
    """Time the three questions, each once cold and then repeatedly."""
    driver.load()
    times, answers = {}, {}
    for name, ask in (
        ("table", driver.table),
        ("best", driver.best),
        ("history", lambda: driver.history(run)),
    ):
        try:
            took, answers[name] = _ask(ask, repeats)
        except NotImplementedError:
            continue
        times[f"{name}_first_ms"] = took[0]
        times[f"{name}_ms"] = sorted(took[1:] or took)[len(took[1:]) // 2]
    return {**times, "answers": {name: str(answer) for name, answer in answers.items()}}


def run_frames(driver: Driver, run: str, questions: list, repeats: int) -> dict:
    """Time how data frames are made, first and then repeatedly, by the clock and the processor."""
    driver.load()
    asked = {
        "runs": lambda: len(driver.runs_frame()),
        "best": driver.best,
        "rows": lambda: len(driver.rows_frame(run)),
    }
    found: dict = {"answers": {}}
    for question in questions:
        first, answer = _ask(asked[question], 0)
        before, started = time.process_time(), time.perf_counter()
        took, _ = _ask(asked[question], repeats)
        share = (time.process_time() - before) / max(time.perf_counter() - started, 1e-9)
        middle = sorted(took)[len(took) // 2]
        found |= {f"{question}_first_ms": first[0], f"{question}_ms": middle}
        found[f"{question}_cpu_ms"] = middle * share
        found["answers"][question] = str(answer)
    return found


def _worked() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run_add(driver: Driver, mebibytes: int, files: int) -> dict:
    """Add one large file and a folder of many small ones, each twice, by clock and processor."""
    large, many = driver.folder / "large.bin", driver.folder / "many"
    with large.open("wb") as stream:
        for _ in range(mebibytes):
            stream.write(os.urandom(1 << 20))
    many.mkdir()
    for number in range(files):
        (many / f"{number:05}").write_bytes(os.urandom(10_240))
    # Nobody adds a file in the very moment in which it is written; some trust it less then.
    os.sync()
    time.sleep(2.5)
    driver.load()
    driver.open("adding", make_params(1))
    found = {}
    # The small files first: who forces the large one to disk keeps the disk busy after that.
    for path, what in ((many, "many"), (large, "large")):
        for turn in ("first", "again"):
            started, worked = time.perf_counter(), _worked()
            driver.add(path, what)
            found[f"{what}_{turn}_s"] = time.perf_counter() - started
            found[f"{what}_{turn}_cpu_s"] = _worked() - worked
    found["peak_mb"] = peak_mib()
    driver.close()
    return found


TASKS = {
    "add": run_add,
    "log": run_log,
    "load": run_load,
    "first": run_first,
    "write": run_write,
    "die": run_die,
    "kept": run_kept,
    "fill": run_fill,
    "read": run_read,
    "frames": run_frames,
}


def main(driver: type) -> None:
    """Do the task of the command line."""
    task, folder, variant, arguments = sys.argv[1:5]
    done = TASKS[task](driver(Path(folder), variant), **json.loads(arguments))
    sys.stdout.write("\n" + json.dumps(done) + "\n")
    sys.stdout.flush()
