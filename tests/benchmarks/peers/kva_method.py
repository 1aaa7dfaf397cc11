"""KVA's method, written plainly: rows stay in memory, and go to one file of JSON lines at exit."""

import datetime as dt
import json

from driving import Driver, main


class BufferedLines(Driver):
    """Each row is made JSON and back when it is logged, as KVA hands it back to its caller."""

    durable = False

    def open(self, run, params):
        self._context = {"run_id": run, **params}
        self._path = self.folder / f"{run}.data.jsonl"
        self._rows = []

    def log(self, step, row):
        data = {
            **self._context,
            "timestamp": dt.datetime.now(dt.UTC).isoformat(),
            "step": step,
            **row,
        }
        self._rows.append(json.loads(json.dumps(data)))

    def close(self):
        with self._path.open("a") as stream:
            for row in self._rows:
                stream.write(json.dumps(row) + "\n")

    def _load(self):
        paths = sorted(self.folder.glob("*.data.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def kept(self):
        runs = {}
        for row in self._load():
            runs.setdefault(row["run_id"], []).append(row["step"])
        return runs

    def _latest(self):
        if not hasattr(self, "_loaded"):
            self._loaded = self._load()
        latest = {}
        for row in self._loaded:
            latest.setdefault(row["run_id"], {}).update(row)
        return latest

    def table(self):
        return len(self._latest())

    def best(self):
        runs = self._latest().items()
        return max((row["m0"], run) for run, row in runs if row["lr"] < 0.1)[1]

    def history(self, run):
        self._latest()
        return len([row for row in self._loaded if row["run_id"] == run])


if __name__ == "__main__":
    main(BufferedLines)
