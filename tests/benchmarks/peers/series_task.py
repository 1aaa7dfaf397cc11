"""One thing done with series, by either system, in a process of its own; prints one JSON object.

The harness runs it as `python SCRIPT SYSTEM TASK FOLDER COUNT`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

SCHEMA = {"timestamp": "timestamp*", "value": "float"}
PARTS = 10


class Aletheia:
    """The project, with an embedded store."""

    def __init__(self, folder: Path) -> None:
        import aletheia_like as al

        self.metastore = al.Metastore(
            "bench", url=(folder / "store").as_uri(), cache_dir=folder / "cache", git="off"
        )
        self.collection = self.metastore.create_collection(al.Schema(SCHEMA), "c", exist_ok=True)

    def close(self) -> None:
        self.metastore.close()


class Lakota:
    """Lakota, with a folder."""

    def __init__(self, folder: Path) -> None:
        from lakota import Repo, Schema

        repository = Repo(str(folder / "store"))
        schema = Schema(**SCHEMA)
        self.collection = repository.create_collection(schema, "c", raise_if_exists=False)

    def close(self) -> None:
        pass


def peak_kib() -> int:
    """Return the most memory that this process had resident at once."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)


def rows_of(count: int) -> dict:
    """Return rows of a minute's timestamp and a random number."""
    minutes = np.arange(count) * np.timedelta64(60, "s")
    value = np.random.default_rng(0).random(count)
    return {"timestamp": np.datetime64("2010-01-01", "s") + minutes, "value": value}


def write(system: type, folder: Path, count: int) -> dict:
    """Write a long series."""
    opened, data = system(folder), rows_of(count)
    series, before = opened.collection.series("s"), peak_kib()
    found = timed(lambda: series.write(data))
    opened.close()
    return found | {"growth_mb": (peak_kib() - before) / 1024}


def read(system: type, folder: Path, count: int) -> dict:
    """Read a long series whole."""
    opened = system(folder)
    series, before, kept = opened.collection.series("s"), peak_kib(), []
    found = timed(lambda: kept.append(series.frame()))
    grown = (peak_kib() - before) / 1024
    if kept[0]["value"].tobytes() != rows_of(count)["value"].tobytes():
        sys.exit("what was read is not what was written")
    return found | {"growth_mb": grown}


def points(system: type, folder: Path, count: int) -> dict:
    """Write one point at a time; seconds of the processor for each tenth of them."""
    opened, data = system(folder), rows_of(count)
    series, parts = opened.collection.series("s"), []
    for part in range(PARTS):
        numbers = range(count * part // PARTS, count * (part + 1) // PARTS)

        def act(numbers: range = numbers) -> None:
            for number in numbers:
                series.write({name: one[number : number + 1] for name, one in data.items()})

        parts.append(timed(act))
    opened.close()
    return {name: sum(one[name] for one in parts) for name in ("s", "cpu_s")} | {
        "tenths_cpu_s": [round(one["cpu_s"], 2) for one in parts]
    }


def count(system: type, folder: Path, count: int) -> dict:
    """Open what was written point by point, and count it."""
    kept = []
    found = timed(lambda: kept.append(len(system(folder).collection.series("s"))))
    if kept != [count]:
        sys.exit(f"there are {kept[0]} points")
    return found


def many(system: type, folder: Path, count: int) -> dict:
    """Write many short series at once."""
    opened = system(folder)

    def act() -> None:
        with opened.collection.multi():
            for number in range(count):
                row = {"timestamp": ["2020-01-01"], "value": [1.0]}
                opened.collection.series(f"{number:06}").write(row)

    found = timed(act)
    opened.close()
    return found


def listed(system: type, folder: Path, count: int) -> dict:
    """List many series: in a new process first, then again."""
    opened, kept = system(folder), []
    found = timed(lambda: kept.append(opened.collection.ls()))
    again = min((timed(opened.collection.ls) for _ in range(5)), key=lambda one: one["s"])
    if len(kept[0]) != count:
        sys.exit(f"{len(kept[0])} series are listed")
    return found | {"again_s": again["s"]}


def timed(action: object) -> dict:
    """Return the seconds that an action takes, of the clock and of the processor."""
    begun, worked = time.perf_counter(), time.process_time()
    action()
    return {"s": time.perf_counter() - begun, "cpu_s": time.process_time() - worked}


SYSTEMS = {"aletheia": Aletheia, "lakota": Lakota}
TASKS = {
    "write": write,
    "read": read,
    "points": points,
    "count": count,
    "many": many,
    "listed": listed,
}

if __name__ == "__main__":
    name, task, place, number = sys.argv[1:]
    print(json.dumps(TASKS[task](SYSTEMS[name], Path(place), int(number))))
