"""Event files that TensorBoard's own writers wrote."""

from __future__ import annotations

import shutil
import sys

import pytest

import aletheia_like as al
from tests.transfer.foreign.conftest import everything, what_is_left


def test_each_folder_with_event_files_is_a_run(ms, produce):
    told = ms.import_(produce("tensorboard_runs") / "log")

    exper = ms.experiment("log")
    deep = exper.run("valid/deep")
    rows = deep.rows().to_dicts()
    assert (told.format, told.found, told.runs, told.rows) == ("tensorboard", 2, 2, 7)
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["loss"] for row in rows] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert [row["acc/top1"] for row in rows] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert [row["timestamp"].timestamp() for row in rows][:2] == [1_700_000_000, 1_700_000_010]
    assert deep.record.status == "finished"
    assert (deep.ended_at - deep.started_at).total_seconds() == 40.25


def test_parameters_status_and_texts_come_too(ms, produce):
    ms.import_(produce("tensorboard_runs") / "log", experiment="trial")

    run = ms.experiment("trial").run("train")
    assert run.hyper_params == {"lr": 0.5, "opt": "adam", "layers": 3, "deep": True}
    assert run.record.status == "failed"
    assert run.started_at.timestamp() == 1_699_999_999
    assert run.ended_at.timestamp() == 1_700_000_060
    assert run.rows()["note"] == [None, "a note"]


def test_what_is_no_scalar_is_told(ms, produce):
    told = ms.import_(produce("tensorboard_runs") / "log")

    assert what_is_left(told) == {"histogram": 1, "status": 1}


def test_importing_again_adds_nothing_even_from_elsewhere(ms, copied):
    folder = copied("tensorboard_runs")
    ms.import_(folder / "log")
    before = everything(ms)

    moved = shutil.move(folder / "log", folder / "other")
    again = ms.import_(moved, experiment="log")

    assert (again.found, again.runs, again.rows, again.changed) == (2, 0, 0, 0)
    assert everything(ms) == before


def test_a_run_that_goes_on_gets_more_rows(ms, copied, produce):
    folder = copied("tensorboard_runs")
    ms.import_(folder / "log")
    produce("tensorboard_more", cwd=folder)

    told, again = ms.import_(folder / "log"), ms.import_(folder / "log")

    assert (told.runs, told.rows, told.changed) == (0, 3, 1)
    assert (again.rows, again.changed) == (0, 0)
    assert ms.experiment("log").run("valid/deep").rows()["step"] == list(range(8))


def test_of_a_half_written_file_what_is_whole_is_read_and_the_rest_later(ms, copied):
    folder = copied("tensorboard_runs") / "log" / "valid"
    (file,) = folder.glob("deep/*")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - 100])

    told = ms.import_(folder)
    file.write_bytes(whole)
    later = ms.import_(folder)

    assert what_is_left(told)["end of an event file"] == 1
    assert 0 < told.rows < 5
    assert "end of an event file" not in what_is_left(later)
    losses = [one for one in ms.experiment("valid").run("deep").rows()["loss"] if one is not None]
    assert losses == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])


def test_of_a_damaged_file_what_is_before_the_damage_is_read(ms, copied):
    (file,) = (copied("tensorboard_runs") / "log" / "valid").glob("deep/*")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)

    told = ms.import_(file)

    assert what_is_left(told)["end of an event file"] > 1
    assert 0 < told.rows < 5


def test_what_is_no_event_file_is_refused(ms, tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    (tmp_path / "store").mkdir(exist_ok=True)
    (folder / "events.out.tfevents.1.x").write_bytes(b"no events, only words" * 50)

    with pytest.raises(al.InvalidValueError, match="no event that could be read"):
        ms.import_(folder)
    with pytest.raises(al.NotFoundError, match="no event files"):
        ms.import_(tmp_path / "store", format="tensorboard")

    assert ms.projects() == []


def test_without_tensorboard_its_line_to_install_is_told(ms, produce, monkeypatch):
    folder = produce("tensorboard_runs") / "log"
    for name in [one for one in sys.modules if one.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)

    with pytest.raises(al.MissingExtraError, match=r"aletheia-like\[importers\]"):
        ms.import_(folder)


def test_a_copy_of_a_run_beside_it_is_told(ms, copied):
    folder = copied("tensorboard_runs") / "log"
    shutil.copytree(folder / "train", folder / "train copy")

    told = ms.import_(folder)

    assert (told.runs, what_is_left(told)["run"]) == (2, 1)
    assert "train" in ms.experiment("log").runs().ids
