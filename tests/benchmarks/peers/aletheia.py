"""The project itself, embedded or (variant `firestore`) on the emulators."""

import subprocess
import sys

from driving import Driver, main

LOW = 0.1


class Aletheia(Driver):
    """An experiment of one metastore; the journal is under `ALETHEIA_HOME`."""

    def __init__(self, folder, variant):
        super().__init__(folder, variant)
        self._ms = None
        self._url = (folder / "store").as_uri()
        if variant == "firestore":
            self._url = f"firestore://demo-{folder.name}/(default)?bucket=aletheia-emulator"

    def load(self):
        import aletheia_like

        self._open = aletheia_like.Metastore  # the package itself imports nothing before

    def _metastore(self):
        if self._ms is None:
            cache = self.folder / "cache"
            self._ms = self._open("bench", url=self._url, cache_dir=cache, git="off")
        return self._ms

    def open(self, run, params):
        self._run = self._metastore().exper("bench").start_run(run, hyper_params=params)

    def log(self, step, row):
        self._run.log(row, step=step)

    def add(self, path, name):
        self._run.add_artifact(name, path)

    def close(self):
        self._run.finish()

    def fill(self, run, params, rows):
        self.open(run, params)
        self._run.log_batch([{"step": step, **row} for step, row in enumerate(rows)])
        self._run.add_metric("m0", rows[-1]["m0"])
        self.close()

    def recover(self):
        command = [sys.executable, "-m", "aletheia_like", "sync", "--project", "bench"]
        command += ["--url", self._url]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def kept(self):
        exper = self._metastore().experiment("bench")
        return {
            f"{one.name}/{one.id}": [row["step"] for row in exper.run(one.id).rows().to_dicts()]
            for one in exper.runs()
        }

    def table(self):
        return len(self._metastore().experiment("bench").runs().to_pandas())

    def best(self):
        exper = self._metastore().experiment("bench")
        return exper.runs(f"hyper_params.lr < {LOW}", "-metrics.m0", 1)[0].name

    def history(self, run):
        exper = self._metastore().experiment("bench")
        if not hasattr(self, "_ids"):
            self._ids = {one.name: one.id for one in exper.runs()}
        return len(exper.run(self._ids[run]).rows().to_pandas())

    def usage(self):
        usage = self._ms.usage
        return {"document_writes": usage.document_writes, "document_reads": usage.document_reads}

    def runs_frame(self):
        return self._metastore().experiment("bench").runs().to_pandas()

    def rows_frame(self, run):
        return self._metastore().experiment("bench")[run].rows().to_pandas()


if __name__ == "__main__":
    main(Aletheia)
