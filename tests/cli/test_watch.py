"""`aletheia watch`, as people and scripts call it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

import aletheia_like as al


@pytest.fixture
def watching(environment, tmp_path):
    """Start the command and return it once it watches; what still runs is ended."""
    started = []

    def start(*arguments):
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "aletheia_like", "watch", *arguments],
                env=environment,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        assert "watching p/which/one" in started[-1].stderr.readline()
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def exper(recorded, tmp_path):
    url = (tmp_path / "home").as_uri()
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        yield ms.exper("which/one")


def test_changes_are_printed_as_they_happen(watching, exper):
    process = watching(r"p/which\/one", "--interval=0.1")
    with exper.start_run(name="brave") as run:
        assert "added    4 (brave)  running" in process.stdout.readline()
        run.add_metric("acc", 0.5)
        run.flush()
        line = process.stdout.readline()
        while "acc" not in line:
            line = process.stdout.readline()
        assert "changed  4 (brave)" in line
        assert "metrics.acc=0.5" in line


def test_json_is_one_object_a_line(watching, exper):
    process = watching(r"which\/one", "-p", "p", "--json", "--interval=0.1", "--existing")
    lines = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert [(one["kind"], one["run"]["id"]) for one in lines] == [
        ("added", "1"),
        ("added", "2"),
        ("added", "3"),
    ]
    with exper.start_run(fold=7):
        change = json.loads(process.stdout.readline())

    assert (change["kind"], change["fields"], change["run"]["fold"]) == ("added", {}, 7)


def test_count_and_seconds_bound_it(aletheia, recorded):
    done = aletheia("watch", r"p/which\/one", "--existing", "--count=2")
    assert (done.code, len(done.out.splitlines())) == (0, 2)
    done = aletheia("watch", r"p/which\/one", "--for=0.5", "--json")
    assert (done.code, done.out) == (0, "")


def test_ctrl_c_ends_it_quietly(watching, exper):
    process = watching(r"p/which\/one")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err.strip()) == (0, "", "")


def test_an_experiment_that_is_not_there(aletheia, recorded):
    assert aletheia("watch", "p/nothing").code == 3
    assert aletheia("watch", "a/b/c").code == 2
    assert aletheia("watch", r"p/which\/one", "--interval=0").code == 2
