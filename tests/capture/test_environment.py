"""What surrounds a run is recorded, and no secret with it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from aletheia_like.capture.environment import (
    find_lock_files,
    mask,
    mask_arguments,
    read_environment,
    read_packages,
)


def test_the_process_and_the_machine(monkeypatch, tmp_path):  # R10
    monkeypatch.chdir(tmp_path)
    environment = read_environment()

    assert environment.command == tuple(mask_arguments(sys.orig_argv))
    assert environment.cwd == str(tmp_path)
    assert environment.python == ".".join(map(str, sys.version_info[:3]))
    assert environment.executable == sys.executable
    for known in (environment.host, environment.user, environment.os, environment.cpu):
        assert known
    assert environment.cpu_count >= 1
    assert environment.memory > 1 << 20


@pytest.mark.parametrize(
    ("arguments", "masked"),
    [
        (["--api-key=abc"], ["--api-key=***"]),
        (["--password", "abc", "x"], ["--password", "***", "x"]),
        (["--token", "--lr", "1"], ["--token", "--lr", "1"]),
        (["OPENAI_API_KEY=abc"], ["OPENAI_API_KEY=***"]),
        (["--lr=0.1", "--tokenizer", "bpe"], ["--lr=0.1", "--tokenizer", "***"]),
        (["postgres://me:pw@host/db"], ["postgres://***@host/db"]),
        (["ghp_" + "a" * 36], ["***"]),
        (["AKIA" + "A" * 16, "train.py"], ["***", "train.py"]),
        (["--keys", "a,b"], ["--keys", "a,b"]),
    ],
)
def test_secrets_in_a_command_line_are_masked(arguments, masked):
    assert list(mask_arguments(arguments)) == masked


def test_plain_text_is_left_alone():
    for text in ("https://example.org/a?b=c", "key", "skip", "a@b.org", "x" * 200):
        assert mask(text) == text


def test_only_allowed_variables_are_recorded_and_secrets_masked(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("CUDA_SECRET", "hush")
    monkeypatch.setenv("DATABASE_URL", "postgres://me:pw@host/db")
    monkeypatch.setenv("OTHER", "x")

    assert read_environment().variables == {}
    variables = read_environment(allow=["CUDA_*", "DATABASE_URL"]).variables
    assert variables["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert variables["CUDA_SECRET"] == "***"
    assert variables["DATABASE_URL"] == "postgres://***@host/db"
    assert "OTHER" not in variables


def test_ids_of_schedulers(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")

    assert read_environment().job["SLURM_JOB_ID"] == "17"
    assert read_environment().job["SLURM_ARRAY_TASK_ID"] == "3"


def test_packages_are_listed_with_their_versions():
    import click

    packages = json.loads(read_packages())
    assert packages["click"]["version"]
    assert click.__name__ in packages
    assert list(packages) == sorted(packages, key=str.lower)
    assert read_packages() == read_packages()


def test_packages_that_come_and_go_meanwhile_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    before = json.loads(read_packages())
    place = tmp_path / "fresh_one-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: fresh-one\nVersion: 1.0\n")

    assert json.loads(read_packages()) == {**before, "fresh-one": {"version": "1.0"}}
    (place / "METADATA").unlink()
    place.rmdir()
    assert json.loads(read_packages()) == before


def test_lock_files_are_found(tmp_path):
    for name in ("uv.lock", "requirements.txt", "requirements-dev.txt", "train.py", "pylock.toml"):
        (tmp_path / name).write_text("x")

    found = find_lock_files(tmp_path)
    assert list(found) == ["pylock.toml", "requirements-dev.txt", "requirements.txt", "uv.lock"]


SHOW = "from aletheia_like.capture.environment import *\nprint(read_environment().entry_point)\n"


def test_the_entry_point_is_the_script_or_the_module(tmp_path, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    (tmp_path / "train.py").write_text(SHOW)
    by_path = [sys.executable, str(tmp_path / "train.py")]
    by_module = [sys.executable, "-m", "train"]

    for command, entry_point in ((by_path, tmp_path / "train.py"), (by_module, "-m train")):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(entry_point)


def test_lock_files_and_variables_of_a_run(open_run, tmp_path):
    run = open_run()
    locks = run.environment.lock_files

    assert list(locks) == ["requirements.txt"]
    stored = run.experiment._session.cache.fetch(locks["requirements.txt"])
    assert stored.read_text() == "numpy==2\n"


@pytest.fixture
def open_run(tmp_path, monkeypatch):
    """Record a run in a repository with a lock file, and read it as another process would."""
    import aletheia_like as al

    root = tmp_path / "code"
    root.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / "requirements.txt").write_text("numpy==2\n")
    monkeypatch.setattr("aletheia_like.capture.git._usual_starts", lambda: [root])
    options = {"url": (tmp_path / "store").as_uri(), "cache_dir": tmp_path / "cache"}

    def record():
        with al.Metastore("p", git="snapshot", **options) as ms, ms.exper("e").start_run():
            pass
        return al.Metastore("p", **options).experiment("e").run(1)

    return record
