"""Trackio, into its local database; without the sampling of CPU and GPU."""

import os

from driving import Driver, main

PROJECT = "bench"


class TrackioRuns(Driver):
    """A run of one project; Trackio sends what was logged every half second."""

    durable = False

    def load(self):
        os.environ["TRACKIO_DIR"] = str(self.folder / "trackio")
        import trackio
        from trackio.sqlite_storage import SQLiteStorage

        self._trackio = trackio
        self._storage = SQLiteStorage

    def open(self, run, params):
        self._run = self._trackio.init(
            PROJECT, name=run, config=params, auto_log_cpu=False, auto_log_gpu=False, embed=False
        )

    def log(self, step, row):
        self._trackio.log(row, step=step)

    def add(self, path, name):
        self._trackio.log_artifact(path, name=name, type="data")

    def close(self):
        self._trackio.finish()

    def fill(self, run, params, rows):
        steps = list(range(len(rows)))
        self._storage.bulk_log(PROJECT, run, rows, steps, config=params)

    def _runs(self):
        try:
            return self._trackio.Api().runs(PROJECT)
        except ValueError:  # nothing has reached the database yet
            return []

    def _rows(self, run, run_id):
        return self._storage.get_logs(PROJECT, run, run_id=run_id)

    def kept(self):
        return {
            f"{one.name}/{one.id}": [row["step"] for row in self._rows(one.name, one.id)]
            for one in self._runs()
        }

    def _table(self):
        configs = self._storage.get_all_run_configs(PROJECT)
        for one in self._runs():
            last = self._rows(one.name, one.id)[-1]
            yield {"name": one.name} | configs[one.id] | last

    def table(self):
        return len(list(self._table()))

    def best(self):
        return max((row["m0"], row["name"]) for row in self._table() if row["lr"] < 0.1)[1]

    def history(self, run):
        return len(self._rows(run, run))


if __name__ == "__main__":
    main(TrackioRuns)
