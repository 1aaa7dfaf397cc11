"""Goes on with the runs of `mlflow_runs`: `mlflow_more.py URI`."""

import sys
from pathlib import Path

import mlflow

mlflow.set_tracking_uri(sys.argv[1])
parent, running = Path("ids.txt").read_text().split()
client = mlflow.MlflowClient()
client.log_metric(running, "loss", 0.25, step=1)
client.log_param(running, "late", "1")
client.set_terminated(running, "KILLED")
with mlflow.start_run(run_id=parent):
    mlflow.log_metrics({"loss": 0.01, "val/acc": 0.99}, step=4)
