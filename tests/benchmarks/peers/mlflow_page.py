"""Fills MLflow's store for its page: many runs, and one with a long curve; prints their ids."""

from __future__ import annotations

import math
import sys

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient


def main(url: str, runs: int, points: int) -> None:
    client = MlflowClient(tracking_uri=url)
    sweep = client.create_experiment("sweep")
    for number in range(runs):
        run = client.create_run(sweep)
        client.log_batch(
            run.info.run_id,
            metrics=[Metric("acc", number / runs, 0, 0), Metric("loss", 1 - number / runs, 0, 0)],
            params=[Param("lr", str(0.1 / (number + 1)))],
        )
        client.set_terminated(run.info.run_id)
    long = client.create_experiment("long")
    run = client.create_run(long)
    for start in range(0, points, 1_000):
        metrics = [
            Metric("loss", math.exp(-5 * at / points), at, at)
            for at in range(start, min(points, start + 1_000))
        ]
        client.log_batch(run.info.run_id, metrics=metrics)
    client.set_terminated(run.info.run_id)
    print(sweep, long, run.info.run_id)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
