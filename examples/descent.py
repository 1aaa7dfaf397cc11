"""How steep is the line? A run that is small enough to be done again at once.

    git init and commit, then
    python examples/descent.py --seed 1
    aletheia reproduce descent/slope/1

With the same seed the same comes of it, bit for bit; without one, only nearly.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path

import aletheia_like as al

POINTS = 40
RATE = 0.05


def register_points(ms: al.Metastore) -> None:
    """Add the data set: points about the line y = 2x + 1, always the same ones."""
    chance = random.Random(0)  # noqa: S311 - no secret
    places = [number / POINTS for number in range(POINTS)]
    points = [(x, 2 * x + 1 + chance.gauss(0, 0.1)) for x in places]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.json"
        path.write_text(json.dumps(points))
        ms.add_dataset("points", path, desc="points about a line")


def main() -> None:
    """Fit the line by stochastic gradient descent, and record how that goes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, help="of the order of the points; else by chance")
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    with al.Metastore("descent") as ms:
        register_points(ms)
        with (
            ms.exper("slope").start_run(hyper_params=options) as run,
            tempfile.TemporaryDirectory() as tmp,
        ):
            path = run.get_dataset("points", download=True).local_path
            points = json.loads(path.read_text())
            order = random.Random(options.seed)  # noqa: S311
            slope = offset = 0.0
            for epoch in range(options.epochs):
                order.shuffle(points)
                loss = 0.0
                for x, y in points:
                    error = slope * x + offset - y
                    slope -= RATE * error * x
                    offset -= RATE * error
                    loss += error**2 / len(points)
                run.log(step=epoch, loss=loss)
            run.add_metrics({"slope": slope, "offset": offset})
            line = Path(tmp) / "line.json"
            line.write_text(json.dumps({"points": len(points), "rising": slope > 0}))
            run.add_artifact("line", line)
            print(f"{run!r}")


if __name__ == "__main__":
    main()
