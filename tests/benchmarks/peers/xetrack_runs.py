"""xetrack on SQLite, a row at a time or (variant `batches`) a hundred."""

from driving import Driver, main

BATCH = 100


class XetrackRuns(Driver):
    """A tracker for each run; xetrack keeps parameters in each row."""

    def __init__(self, folder, variant):
        super().__init__(folder, variant)
        self.durable = variant != "batches"
        self._path = str(folder / "track.db")

    def load(self):
        import xetrack

        self._xetrack = xetrack

    def open(self, run, params):
        self._tracker = self._xetrack.Tracker(
            self._path, params=params, track_id=run, warnings=False
        )
        self._batch = []

    def log(self, step, row):
        if self.durable:
            self._tracker.log({"step": step, **row})
            return
        self._batch.append({"step": step, **row})
        if len(self._batch) == BATCH:
            self._send()

    def _send(self):
        self._tracker.log_batch(self._batch)
        self._batch = []

    def close(self):
        if self._batch:
            self._send()

    def fill(self, run, params, rows):
        self.open(run, params)
        self._batch = [{"step": step, **row} for step, row in enumerate(rows)]
        self._send()

    def _ask(self, query, *values):
        if not hasattr(self, "_reader"):
            self._reader = self._xetrack.Reader(self._path)
        query = query.format(table=self._reader.engine.table_name)
        return self._reader.engine.execute(query, list(values)).fetchall()

    def kept(self):
        runs = {}
        if "step" not in self._xetrack.Reader(self._path).columns:
            return runs  # no row came this far
        for run, step in self._ask("SELECT track_id, step FROM {table} ORDER BY rowid"):
            runs.setdefault(run, []).append(step)
        return runs

    def table(self):
        return len(self._ask("SELECT *, max(step) FROM {table} GROUP BY track_id"))

    def best(self):
        last = "SELECT track_id, m0, max(step) FROM {table} WHERE lr < 0.1 GROUP BY track_id"
        return self._ask(f"SELECT track_id FROM ({last}) ORDER BY m0 DESC LIMIT 1")[0][0]

    def history(self, run):
        return len(self._ask("SELECT * FROM {table} WHERE track_id = ?", run))

    def runs_frame(self):
        # xetrack has no table of runs: the last row of each is one.
        frame = self._xetrack.Reader(self._path).to_df()
        return frame.groupby("track_id").tail(1)

    def rows_frame(self, run):
        return self._xetrack.Reader(self._path).to_df(track_id=run)


if __name__ == "__main__":
    main(XetrackRuns)
