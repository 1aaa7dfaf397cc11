"""A project with everything in it, and stores to move it into."""

from __future__ import annotations

import datetime as dt
import secrets

import pytest

import aletheia_like as al
from aletheia_like.testing.stores import FailingBlobStore, FailingDocumentStore, Outage


class Thing:
    """What a row holds as an object."""

    score = 7


@pytest.fixture
def opened(tmp_path):
    """Open the project `p` in an embedded store of a name, which is made if there is none."""
    stores = []

    def opener(name="store", project="p", **options):
        url = options.pop("url", (tmp_path / name).as_uri())
        ms = al.Metastore(project, url=url, cache_dir=tmp_path / "cache", git="off", **options)
        stores.append(ms)
        return ms

    yield opener
    for ms in stores:
        ms.close()


@pytest.fixture
def cloud_url(request):
    """The address of an empty store on the emulators."""
    request.getfixturevalue("firestore_emulator")
    request.getfixturevalue("gcs_emulator")
    return f"firestore://demo-{secrets.token_hex(6)}/(default)?bucket=aletheia-emulator"


@pytest.fixture
def files(tmp_path):
    """A file, and a folder with two files."""
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / "table.csv").write_text("a,b\n1,2\n")
    (folder / "sub" / "one.txt").write_text("one")
    (folder / "sub" / "two.bin").write_bytes(b"\x00\x02")
    return folder


@pytest.fixture
def filled(opened, files):
    """Three runs with rows of several kinds, changes, streams, artifacts, data sets, metadata."""
    ms = opened()
    fill(ms, files)
    return ms


def fill(ms, files):
    ms.add_metadata("notes", {"list": [1, [2, 3]], "odd": float("nan")})
    ms.add_dataset("table", files / "table.csv", type="table", desc="two columns")
    ms.add_dataset("tree", files / "sub", partitions={"first": "one*"})
    exper = ms.exper("which/one", desc="why")
    for fold in range(3):
        with exper.start_run(
            fold=fold, hyper_params={"lr": 0.5**fold, "long": "x" * 20_000}
        ) as run:
            run.get_dataset("table")
            log_rows(run, files)
            run.add_metric("acc", 0.5 + fold / 10)
            run.add_artifact("table", files / "table.csv")
            run.add_artifact("tree", files / "sub")
    with exper.start_run(id="1", resume="must") as run:
        run.log(step=9, loss=0.01, later=fold)
    exper.add_artifact("whole", files / "sub")
    ms.exper("empty one", debug=True)
    ms.flush()


def log_rows(run, files):
    run.log(step=0, loss=1, note=None, flag=True)
    for step in range(1, 5):
        run.log(step=step, loss=1 / step, note=f"at {step}")
    run.set_value("note", "changed", where={"step": 2})
    run.log(
        {"Loss": 3, "a; DROP TABLE x": "it's", "@odd": "x", "big": 2**70, "deep": [[1], {2: 3}]}
    )
    run.log(thing=Thing(), file=al.File(files / "table.csv"), long=["y" * 50_000, {"a": 1}])
    run.log(at=dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC), data=b"\x00\xff", nan=float("nan"))
    run.log(mixed=1, infinite=float("-inf"), day=dt.date(2026, 1, 31))
    run.log(mixed="text")
    run._open_writer().log_stream("system", {"cpu": 12.5})


def contents(ms):
    """Return everything a project holds, as its users see it."""
    runs = {}
    for exper in ms.experiments(debug=True):
        for record in exper.runs(debug=True):
            run = exper.run(record.id)
            fields = {**run._fields, "rows": run.rows().to_dicts()}
            runs[f"{exper.name}/{record.id}"] = fields
    found = {
        "runs": runs,
        "experiments": {one.name: one.record for one in ms.experiments(debug=True)},
        "results": [one.results().to_dicts() for one in ms.experiments(debug=True)],
        "datasets": [one.record for one in ms.datasets()],
        "files": [[one.open(file.path).read() for file in one.files()] for one in ms.datasets()],
        "metadata": ms.get_metadata("notes"),
    }
    return comparable(found)


def comparable(value):
    """Return a value whose maps have one order, and whose NaN is equal to itself."""
    if isinstance(value, dict):
        return {key: comparable(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return repr(value)


class FailsAt(Outage):
    """Fails one call: the one of a number, from 1, and all after it."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def pass_through(self, work):
        self.number -= 1
        if self.number <= 0:
            self.begin(1)
        return super().pass_through(work)


def failing(session, *, documents=None, blobs=None):
    """Let the stores of a session fail at the calls of these numbers."""
    if documents is not None:
        session.documents = FailingDocumentStore(session.documents)
        session.documents.outage = FailsAt(documents)
    if blobs is not None:
        session.blobs = FailingBlobStore(session.blobs)
        session.blobs.outage = FailsAt(blobs)
