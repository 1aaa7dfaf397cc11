"""Stores that the other trackers themselves write, once a session; no network is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from filelock import FileLock

import aletheia_like as al
from aletheia_like.metastore.artifacts import ArtifactVersion
from aletheia_like.metastore.versions import read_version
from aletheia_like.model import paths

PROGRAMS = Path(__file__).parent / "producers"
QUIET = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "NO_PROXY": "*",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
}


@pytest.fixture(scope="session")
def produce(tmp_path_factory, worker_id):
    """Run a program of `producers` in a folder of its own, once for all workers; return it."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "produced"
    shared.mkdir(exist_ok=True)

    def run(name, *arguments, cwd=None):
        if cwd is not None:
            execute(cwd, name, *arguments)
            return cwd
        folder = shared / "-".join([name, *(re.sub(r"\W", "", one) for one in arguments)])
        with FileLock(f"{folder}.lock"):
            done = shared / f"{folder.name}.done"
            if not done.exists():
                folder.mkdir()
                execute(folder, name, *arguments)
                done.touch()
        return folder

    return run


def execute(folder, name, *arguments):
    kept = {one: os.environ[one] for one in ("PATH", "HOME", "TMPDIR") if one in os.environ}
    places = {f"WANDB_{one}_DIR": str(folder / "wandb-own") for one in ("CACHE", "CONFIG")}
    places["WANDB_DATA_DIR"] = str(folder / "staging")
    finished = subprocess.run(
        [sys.executable, str(PROGRAMS / f"{name}.py"), *arguments],
        env={**kept, **QUIET, **places},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.fixture
def copied(produce, tmp_path):
    """Give a copy of what a program makes, to be changed at will."""

    def copy(name, *arguments):
        target = tmp_path / f"copy of {name} {len(list(tmp_path.iterdir()))}"
        shutil.copytree(produce(name, *arguments), target, symlinks=True)
        return target

    return copy


@pytest.fixture
def ms(tmp_path):
    """An empty embedded store."""
    url = (tmp_path / "store").as_uri()
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as opened:
        yield opened


def everything(ms):
    """Return the documents of all runs and their rows, but not when they were last changed."""
    found = {}
    for exper in ms.experiments(debug=True):
        for record in exper.runs(debug=True):
            run = exper.run(record.id)
            found[exper.name, record.id] = (repr(run._fields), repr(run.rows().to_dicts()))
    return found


def what_is_left(report):
    counts = Counter()
    for one in report.left:
        counts[one.what] += one.count
    return dict(counts)


def artifact(ms, experiment, name):
    """Open the newest version of an artifact."""
    session = ms.session
    path = paths.artifact(paths.experiment(session.project_path, experiment), name)
    return ArtifactVersion(session, read_version(session, path, "artifact", None))
