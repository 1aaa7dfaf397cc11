"""The module-level way: one active run of this process."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import aletheia_like as al
from aletheia_like import active

OURS = ("timestamp", "run_id")


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """Give the process a store of its own, and no active run before and after."""
    folder = tmp_path / "home"
    monkeypatch.setenv("ALETHEIA_HOME", str(folder))
    monkeypatch.setenv("ALETHEIA_GIT", "off")
    for name in ("FIRESTORE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    # Settings are looked for from here upwards.
    monkeypatch.chdir(tmp_path)
    yield folder
    al.finish()
    if active._PROCESS.metastore is not None:
        active._PROCESS.metastore.close()
    active._PROCESS.metastore = None


def own(rows):
    return [{k: v for k, v in row.items() if k not in (*OURS, "experiment")} for row in rows]


def test_init_and_log(home):  # Q1
    run = al.init("p", "e", run_id="r")
    al.log(config={"foo": "bar"})

    (row,) = al.get(run_id="r")

    assert (row["run_id"], row["experiment"], row["config"]) == ("r", "e", {"foo": "bar"})
    assert (run.id, run.experiment.name, run.status) == ("r", "e", "running")
    assert home.is_dir()


def test_everything_has_a_default():  # Q33
    run = al.init()

    assert re.fullmatch("[0-9a-f]{8}", run.id)
    assert run.experiment.name == "default"
    assert "default" in run.path


def test_a_warning_points_at_the_users_line_and_comes_once(monkeypatch, recwarn, tmp_path):
    monkeypatch.setenv("ALETHEIA_GIT", "refuse")
    monkeypatch.setattr("aletheia_like.capture.git._usual_starts", lambda: [tmp_path])
    al.init("p")
    al.init("q")

    (told,) = recwarn
    assert ("no git repository" in str(told.message), told.filename) == (True, __file__)


def test_the_project_may_come_from_the_settings(monkeypatch):
    monkeypatch.setenv("ALETHEIA_PROJECT", "named")

    assert al.init().path.startswith("projects/named/")


def test_logging_without_init_starts_a_run():
    row = al.log(loss=0.5)

    assert al.get(run_id=row["run_id"])["loss"] == [0.5]
    assert active.active_run().id == row["run_id"]


def test_the_context_of_init_is_in_every_row_and_the_row_wins():  # Q13
    al.init("p", model="resnet18", epoch=0)
    al.log(a=1)
    al.log({"a": 2}, epoch=5)

    assert own(al.get()) == [
        {"model": "resnet18", "epoch": 0, "a": 1},
        {"model": "resnet18", "epoch": 5, "a": 2},
    ]


def test_the_way_of_other_trackers():  # Q33
    run = al.init("p", config={"lr": 0.1, "opt": {"name": "adam"}})
    al.log({"acc": 1})
    run.flush()

    assert run.config == {"lr": 0.1, "opt": {"name": "adam"}}
    assert run.summary["acc"]["last"] == 1
    assert run.id
    assert al.latest("config") == run.config


def test_contexts_nest_and_end_with_an_exception():  # Q13
    al.init("p", run_id="r")
    with pytest.raises(ZeroDivisionError), al.context(phase="train"):
        with al.context(batch=1):
            al.log(a=1)
        al.log(a=2)
        1 / 0  # noqa: B018
    al.log(a=3)

    assert own(al.get()) == [
        {"phase": "train", "batch": 1, "a": 1},
        {"phase": "train", "a": 2},
        {"a": 3},
    ]


def test_after_finish_rows_carry_nothing_of_the_run():  # Q14
    al.init("p", run_id="r", model="resnet18")
    al.log(step=5)
    al.finish()
    row = al.log(loss=1)

    assert set(row) == {"loss", *OURS}
    assert row["run_id"] != "r"
    assert al.get(run_id="r")["model"] == ["resnet18"]


def test_finish_ends_the_run_and_stores_its_log_files(tmp_path):  # Q14
    path = tmp_path / "train.log"
    path.write_text("x")
    run = al.init("p", run_id="r")
    al.log(log=al.LogFile(path))
    al.finish()
    al.finish()

    assert run.status == "finished"
    assert al.get(run_id="r").latest("log").digest is not None


def test_a_second_init_ends_the_first_run_and_starts_fresh():  # Q14, Q15
    first = al.init("p", run_id="a", model="m")
    al.log(step=7)
    second = al.init("p", run_id="b")

    assert first.status == "finished"
    assert al.log(x=1) == {**second.rows()[-1]}
    assert own(al.get(run_id="b")) == [{"x": 1}]


def test_an_earlier_run_goes_on_under_its_id():  # R18
    al.init("p", "e", run_id="r")
    al.log(a=1)
    al.finish()
    al.init("p", "e", run_id="r")
    al.log(a=2)

    assert al.get(run_id="r")["a"] == [1, 2]
    assert al.latest("a") == 2


def test_get_filter_and_latest_read_what_was_logged_a_moment_ago():  # Q4, Q5, Q6
    al.init("p", run_id="r")
    al.log(step=1, loss=42)
    al.log(step=2, loss=4.2)

    assert al.get(run_id="r", step=1)["loss"] == [42]
    assert al.filter(lambda row: row["loss"] < 5)["step"] == [2]
    assert al.latest("loss") == 4.2
    assert al.latest(["loss", "step"]) == {"loss": 4.2, "step": 2}
    assert al.latest("loss", index="step")["loss"].tolist() == [42.0, 4.2]


def test_rows_of_other_projects_are_not_seen():  # M1
    al.init("one")
    al.log(a=1)
    al.init("two")
    al.log(a=2)

    assert al.get()["a"] == [2]
    assert al.Metastore("one").rows()["a"] == [1]


def test_latest_without_a_run_says_what_to_do():
    with pytest.raises(al.RunStateError, match=r"al\.get\(run_id="):
        al.latest("loss")


def test_a_run_that_was_finished_by_itself_is_active_no_longer():
    run = al.init("p", run_id="r")
    run.finish()

    with pytest.raises(al.RunStateError):
        al.latest("loss")
    assert al.log(a=1)["run_id"] != "r"


def test_an_artifact_is_logged_under_its_name_or_one_that_is_given(tmp_path):  # K15
    path = tmp_path / "model.pt"
    path.write_text("weights")
    al.init("p", run_id="r")

    assert al.log_artifact(path)["model.pt"].name == "model.pt"
    al.log_artifact(path, "weights")

    assert al.latest("weights").open().read() == b"weights"


def test_a_context_that_cannot_be_stored_is_refused():
    with pytest.raises(al.InvalidValueError):
        al.init("p", "e", run_id="r", timestamp=5)

    assert al.Metastore("p").experiment("e").run("r").status == "failed"
    with pytest.raises(al.RunStateError):
        al.latest()


def test_the_active_run_ends_with_the_process(home):  # R1
    program = "import aletheia_like as al; al.init('p', 'e', run_id='r'); al.log(a=1)"

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

    run = al.Metastore("p").experiment("e").run("r")
    assert run.status == "finished"
    assert run.rows()["a"] == [1]
    assert list((home / "journal").rglob("*.journal")) == []


def test_an_active_run_fails_with_an_uncaught_exception(home):  # R2
    program = "import aletheia_like as al; al.init('p', 'e', run_id='r'); al.log(a=1); 1 / 0"

    subprocess.run([sys.executable, "-c", program], check=False, timeout=60, capture_output=True)

    run = al.Metastore("p").experiment("e").run("r")
    assert (run.status, run.error.type) == ("failed", "ZeroDivisionError")
    assert run.rows()["a"] == [1]
