"""What lies at a path is recognised, or somebody has to say."""

from __future__ import annotations

import shutil
import sqlite3

import pytest

import aletheia_like as al


def test_what_may_be_several_is_refused_until_one_is_named(ms, produce, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(produce("tensorboard_runs") / "log", folder / "log")
    (folder / "x.csv").write_text("a\n1\n")

    with pytest.raises(al.InvalidValueError, match="tensorboard and csv: say which"):
        ms.import_(folder)

    assert ms.import_(folder, format="csv").runs == 1
    assert ms.import_(folder, format="tensorboard").runs == 2


def test_event_files_among_the_files_of_another_tracker_are_its_own(ms, copied, produce):
    folder = copied("wandb_runs") / "wandb"
    (files,) = folder.glob("*abcd1234/files")
    shutil.copytree(produce("tensorboard_runs") / "log", files / "log")

    told = ms.import_(folder)

    assert told.format == "wandb"
    assert "log" in ms.experiment("species").run("abcd1234").artifacts


def test_what_is_nothing_known_is_refused(ms, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "thesis.txt").write_text("my only copy")
    with sqlite3.connect(tmp_path / "other.sqlite") as connection:
        connection.execute("CREATE TABLE runs (a)")
    connection.close()
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"SQLite format 3\0" + b"x" * 5000)

    for name in ("empty", "thesis.txt", "other.sqlite", "broken.db"):
        with pytest.raises(al.InvalidValueError):
            ms.import_(tmp_path / name)
    for name in ("empty", "other.sqlite", "thesis.txt", "broken.db"):
        with pytest.raises((al.InvalidValueError, al.NotFoundError)):
            ms.import_(tmp_path / name, format="mlflow")
    with pytest.raises(al.NotFoundError, match="nothing at"):
        ms.import_(tmp_path / "nothing", format="mlflow")
    with pytest.raises(al.InvalidValueError, match=r"no format 'excel': there are .*mlflow"):
        ms.import_(tmp_path / "empty", format="excel")

    assert ms.projects() == []
    assert (tmp_path / "thesis.txt").read_text() == "my only copy"


def test_what_is_for_other_trackers_is_refused_with_an_export_of_ours(ms, tmp_path):
    ms.exper("e")
    ms.export(tmp_path / "x.db")

    with pytest.raises(al.InvalidValueError, match="leave experiment"):
        ms.import_(tmp_path / "x.db", experiment="other")


def test_what_was_imported_can_be_exported_and_imported_again(ms, produce, tmp_path):
    ms.import_(produce("tensorboard_runs") / "log")
    ms.export(tmp_path / "x.jsonl")

    copy = al.Metastore("copy", url=(tmp_path / "other").as_uri(), git="off")
    with copy:
        assert copy.import_(tmp_path / "x.jsonl").rows == 7
        assert copy.import_(produce("tensorboard_runs") / "log").rows == 0
