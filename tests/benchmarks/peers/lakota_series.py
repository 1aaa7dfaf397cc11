"""Lakota: rows of a series written and read, and single points. Prints seconds as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from lakota import Repo, Schema

folder, rows, points = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
timestamp = np.datetime64("2010-01-01", "s") + np.arange(rows) * np.timedelta64(60, "s")
value = np.random.default_rng(0).random(rows)
schema = Schema(timestamp="timestamp*", value="float")


def stored(path: Path) -> int:
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


series = Repo(str(folder / "rows")).create_collection(schema, "c").series("s")
begin = time.perf_counter()
series.write({"timestamp": timestamp, "value": value})
written = time.perf_counter()
frame = Repo(str(folder / "rows")).collection("c").series("s").frame()
assert len(frame["value"]) == rows
read = time.perf_counter()

series = Repo(str(folder / "points")).create_collection(schema, "c").series("s")
start = time.perf_counter()
for number in range(points):
    series.write(
        {"timestamp": timestamp[number : number + 1], "value": value[number : number + 1]}
    )
end = time.perf_counter()
print(
    json.dumps(
        {
            "write": written - begin,
            "read": read - written,
            "bytes": stored(folder / "rows"),
            "points": end - start,
            "points bytes": stored(folder / "points"),
        }
    )
)
