"""Folders that W&B leaves when it is offline."""

from __future__ import annotations

import math
import shutil
import sys

import pytest

import aletheia_like as al
from tests.transfer.foreign.conftest import artifact, everything, what_is_left


def file_of(folder, run_id):
    (file,) = folder.glob(f"wandb/offline-run-*{run_id}/*.wandb")
    return file


def test_runs_come_with_all_that_they_have(ms, produce):
    told = ms.import_(produce("wandb_runs") / "wandb")

    run = ms.experiment("species").run("abcd1234")
    assert (told.format, told.found, told.runs) == ("wandb", 2, 2)
    assert run.name == "first"
    assert run.notes == "why"
    assert run.tags == ("base", "a; DROP TABLE x")
    assert run.hyper_params == {
        "lr": 0.1,
        "opt": {"name": "adam", "betas": [0.9, 0.99]},
        "late": 1,
    }
    assert run.metrics["best"] == 0.9
    assert run.metrics["nested"] == {"a": 4}
    assert run.record.status == "finished"
    assert run.started_at <= run.ended_at
    assert run.record.extra["imported"]["group"] == "folds"


def test_history_becomes_rows_with_steps_and_times(ms, produce):
    ms.import_(produce("wandb_runs") / "wandb")

    run = ms.experiment("species").run("abcd1234")
    rows = run.rows().to_dicts()
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4, 5, 6]
    assert [row["loss"] for row in rows[:5]] == [1, 0.5, 1 / 3, 0.25, 0.2]
    assert math.isnan(rows[0]["odd"])
    assert rows[1]["nested"] == {"a": 1}
    assert rows[6]["text"] == "word " * 20_000
    assert all(run.started_at <= row["timestamp"] <= run.ended_at for row in rows)
    assert "memory_percent" in run.system_rows().columns


def test_a_run_that_failed_has_failed(ms, produce):
    ms.import_(produce("wandb_runs") / "wandb")

    run = ms.experiment("species").run("bad00001")
    assert run.record.status == "failed"
    assert "exit code 3" in run.error.message


def test_files_come_and_links_out_of_the_folder_are_told(ms, produce, tmp_path):
    folder = produce("wandb_runs")

    told = ms.import_(folder / "wandb")
    names = set(ms.experiment("species").run("abcd1234").artifacts)
    then = ms.import_(folder / "wandb", artifacts=folder)
    (tmp_path / "empty").mkdir()
    last = ms.import_(folder / "wandb", artifacts=tmp_path / "empty")

    assert {"media", "requirements.txt"} <= names
    assert "weights.txt" not in names
    assert what_is_left(told)["artifact"] == 2
    assert what_is_left(told)["file"] == 1
    assert (then.runs, then.artifacts, "file" in what_is_left(then)) == (0, 1, False)
    assert (last.artifacts, what_is_left(last)["file"]) == (0, 1)
    assert artifact(ms, "species", "weights.txt").open().read() == b"weights"


def test_importing_again_adds_nothing(ms, copied, tmp_path):
    folder = copied("wandb_runs")
    ms.import_(folder)
    before = everything(ms)

    again = ms.import_(shutil.move(folder / "wandb", tmp_path / "elsewhere"))

    assert (again.found, again.runs, again.rows, again.changed, again.artifacts) == (2, 0, 0, 0, 0)
    assert everything(ms) == before


def test_of_a_half_written_file_what_is_whole_is_read_and_the_rest_later(ms, copied):
    file = file_of(copied("wandb_runs"), "abcd1234")
    whole = file.read_bytes()
    file.write_bytes(whole[:40_000])

    told = ms.import_(file)
    status = ms.experiment("species").run("abcd1234").record.status
    file.write_bytes(whole)
    later = ms.import_(file)

    run = ms.experiment("species").run("abcd1234")
    assert (status, run.record.status) == ("running", "finished")
    assert what_is_left(told)["end of a file"] == 1
    assert "end of a file" not in what_is_left(later)
    assert (later.runs, later.changed) == (0, 1)
    assert run.rows()["step"] == list(range(7))


def test_of_a_damaged_file_what_is_before_the_damage_is_read(ms, copied):
    file = file_of(copied("wandb_runs"), "abcd1234")
    data = bytearray(file.read_bytes())
    data[35_000] ^= 0xFF
    file.write_bytes(data)

    told = ms.import_(file)

    assert what_is_left(told)["end of a file"] == 1
    assert told.rows > 0


def test_what_is_no_file_of_theirs_is_refused(ms, tmp_path):
    (tmp_path / "run-x.wandb").write_text("only words")
    (tmp_path / "empty").mkdir()

    with pytest.raises(al.InvalidValueError, match="no run that could be read"):
        ms.import_(tmp_path / "run-x.wandb")
    with pytest.raises(al.NotFoundError, match=r"no \*\.wandb"):
        ms.import_(tmp_path / "empty", format="wandb")

    assert ms.projects() == []


def test_without_wandb_its_line_to_install_is_told(ms, produce, monkeypatch):
    for name in [one for one in sys.modules if one.partition(".")[0] == "wandb"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wandb", None)

    with pytest.raises(al.MissingExtraError, match=r"aletheia-like\[wandb\]"):
        ms.import_(produce("wandb_runs"))
