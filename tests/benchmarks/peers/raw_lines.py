"""The limit: one line of JSON and one system call a row."""

import json
import os

from driving import Driver, main


class RawLines(Driver):
    """A file of JSON lines for each run."""

    def open(self, run, params):
        path = self.folder / f"{run}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(self._file, json.dumps(params).encode() + b"\n")

    def log(self, step, row):
        os.write(self._file, json.dumps({"step": step, **row}).encode() + b"\n")

    def close(self):
        os.close(self._file)

    def _runs(self):
        for path in sorted(self.folder.glob("*.jsonl")):
            params, *rows = path.read_text().splitlines()
            yield path.stem, json.loads(params), rows

    def kept(self):
        return {run: [json.loads(line)["step"] for line in rows] for run, _, rows in self._runs()}

    def table(self):
        return len([params | json.loads(rows[-1]) for _, params, rows in self._runs()])

    def best(self):
        rows = (
            (json.loads(rows[-1])["m0"], run)
            for run, params, rows in self._runs()
            if params["lr"] < 0.1
        )
        return max(rows)[1]

    def history(self, run):
        lines = (self.folder / f"{run}.jsonl").read_text().splitlines()[1:]
        return len([json.loads(line) for line in lines])

    def runs_frame(self):
        import pandas as pd

        return pd.DataFrame(params | json.loads(rows[-1]) for _, params, rows in self._runs())

    def rows_frame(self, run):
        import pandas as pd

        with (self.folder / f"{run}.jsonl").open() as lines:
            lines.readline()
            return pd.read_json(lines, lines=True)


if __name__ == "__main__":
    main(RawLines)
