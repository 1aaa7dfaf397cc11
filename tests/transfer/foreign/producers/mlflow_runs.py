"""Records with MLflow: `mlflow_runs.py URI`."""

import math
import sys
from pathlib import Path

import mlflow


def record():
    mlflow.set_experiment("which species")
    mlflow.set_experiment_tag("owner", "nobody")
    with mlflow.start_run(run_name="parent", tags={"team": "a; DROP TABLE runs"}) as run:
        mlflow.log_params({"lr": 0.1, "flag": True, "opt": "adam", "code": "007", "depth": 3})
        mlflow.set_tag("mlflow.note.content", "why")
        for step in range(5):
            mlflow.log_metrics({"loss": 1 / (step + 1), "val/acc": step / 5}, step=step)
        mlflow.log_metric("odd", math.nan, step=5)
        mlflow.log_metric("odd", -math.inf, step=6)
        Path("model").mkdir()
        Path("model/weights.txt").write_text("weights")
        Path("one.txt").write_text("one")
        mlflow.log_artifact("one.txt")
        mlflow.log_artifacts("model", "model")
        with mlflow.start_run(run_name="child", nested=True):
            mlflow.log_metric("loss", 0.5, timestamp=1_700_000_000_123)
    fail()
    with mlflow.start_run(run_name="unwanted") as unwanted:
        pass
    mlflow.delete_run(unwanted.info.run_id)
    open_ = mlflow.MlflowClient().create_run(run.info.experiment_id, run_name="still running")
    Path("ids.txt").write_text(f"{run.info.run_id} {open_.info.run_id}")


def fail():
    try:
        with mlflow.start_run(run_name="failing"):
            mlflow.log_metric("loss", 9.0)
            raise ValueError  # noqa: TRY301 - what MLflow is to see
    except ValueError:
        pass


mlflow.set_tracking_uri(sys.argv[1])
record()
