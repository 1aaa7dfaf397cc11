"""MLflow without a server, on SQLite (variant `sqlite`) or files (`file`)."""

import os

from driving import COLUMNS, Driver, main

BATCH = 100


class MlflowRuns(Driver):
    """Runs of one experiment; each call of `log` is one `log_metrics`."""

    def load(self):
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        import mlflow

        self._mlflow = mlflow
        address = f"sqlite:///{self.folder}/mlflow.db"
        if self.variant == "file":
            address = (self.folder / "mlruns").as_uri()
        mlflow.set_tracking_uri(address)

    def open(self, run, params):
        self._mlflow.set_experiment("bench")
        self._run = self._mlflow.start_run(run_name=run)
        self._mlflow.log_params(params)

    def log(self, step, row):
        self._mlflow.log_metrics(row, step=step)

    def add(self, path, name):
        if path.is_dir():
            self._mlflow.log_artifacts(str(path), name)
        else:
            self._mlflow.log_artifact(str(path), name)

    def close(self):
        self._mlflow.end_run()

    def fill(self, run, params, rows):
        from mlflow.entities import Metric

        self.open(run, params)
        client = self._mlflow.MlflowClient()
        metrics = [
            Metric(name, value, 0, step)
            for step, row in enumerate(rows)
            for name, value in row.items()
        ]
        most = BATCH * len(COLUMNS)
        for start in range(0, len(metrics), most):
            client.log_batch(self._run.info.run_id, metrics[start : start + most])
        self.close()

    def _runs(self):
        return self._mlflow.search_runs(experiment_names=["bench"], output_format="list")

    def kept(self):
        client = self._mlflow.MlflowClient()
        return {
            one.info.run_id: [
                metric.step for metric in client.get_metric_history(one.info.run_id, COLUMNS[0])
            ]
            for one in self._runs()
        }

    def table(self):
        return len(self._mlflow.search_runs(experiment_names=["bench"]))

    def best(self):
        # Parameters are text: a number cannot be compared in MLflow's own search.
        found = [one for one in self._runs() if float(one.data.params["lr"]) < 0.1]
        return max(found, key=lambda one: one.data.metrics["m0"]).info.run_name

    def history(self, run):
        client = self._mlflow.MlflowClient()
        if not hasattr(self, "_ids"):
            self._ids = {one.info.run_name: one.info.run_id for one in self._runs()}
        histories = [client.get_metric_history(self._ids[run], column) for column in COLUMNS]
        return len(histories[0])

    def runs_frame(self):
        return self._mlflow.search_runs(experiment_names=["bench"])

    def rows_frame(self, run):
        import pandas as pd

        client = self._mlflow.MlflowClient()
        run_id = next(one.info.run_id for one in self._runs() if one.info.run_name == run)
        columns = {}
        for column in COLUMNS:
            history = client.get_metric_history(run_id, column)
            columns[column] = pd.Series({one.step: one.value for one in history})
        return pd.DataFrame(columns)


if __name__ == "__main__":
    main(MlflowRuns)
