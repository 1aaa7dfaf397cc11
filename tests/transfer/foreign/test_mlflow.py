"""Runs that MLflow recorded, in its database and in its folder."""

from __future__ import annotations

import math
import shutil
import sqlite3

import pytest

import aletheia_like as al
from aletheia_like.transfer.foreign.mlflow import read_param
from tests.transfer.foreign.conftest import artifact, everything, what_is_left

STORES = {"database": ("sqlite:///mlflow.db", "mlflow.db"), "folder": ("./mlruns", "mlruns")}


@pytest.fixture(params=STORES)
def store(request):
    return STORES[request.param]


def runs_of(ms):
    exper = ms.experiment("which species")
    return {one.name: exper.run(one.id) for one in exper.runs()}


def test_runs_come_with_all_that_they_have(ms, produce, store):
    folder = produce("mlflow_runs", store[0])

    told = ms.import_(folder / store[1])

    runs = runs_of(ms)
    parent = runs["parent"]
    assert (told.format, told.found, told.runs, told.rows) == ("mlflow", 4, 4, 9)
    assert parent.id == (folder / "ids.txt").read_text().split()[0]
    assert parent.hyper_params == {
        "lr": 0.1,
        "flag": True,
        "opt": "adam",
        "code": "007",
        "depth": 3,
    }
    assert parent.metrics == {"loss": 0.2, "val/acc": 0.8, "odd": -math.inf}
    assert parent.tags == ("team=a; DROP TABLE runs",)
    assert parent.notes == "why"
    assert (parent.started_at < parent.ended_at, runs["child"].parent) == (True, parent.id)


def test_metrics_keep_their_steps_times_and_odd_values(ms, produce, store):
    ms.import_(produce("mlflow_runs", store[0]) / store[1])

    rows = runs_of(ms)["parent"].rows().to_dicts()
    (child,) = runs_of(ms)["child"].rows().to_dicts()
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4, 5, 6]
    assert [row["loss"] for row in rows[:5]] == [1.0, 0.5, 1 / 3, 0.25, 0.2]
    assert [row["val/acc"] for row in rows[:5]] == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert math.isnan(rows[5]["odd"])
    assert rows[6]["odd"] == -math.inf
    assert child["timestamp"].timestamp() == 1_700_000_000.123


def test_each_status_has_its_like(ms, produce, store):
    ms.import_(produce("mlflow_runs", store[0]) / store[1])

    runs = runs_of(ms)
    assert {name: run.record.status for name, run in runs.items()} == {
        "parent": "finished",
        "child": "finished",
        "failing": "failed",
        "still running": "running",
    }
    assert runs["failing"].error is not None
    assert runs["still running"].ended_at is None


def test_artifacts_come_with_their_bytes(ms, produce, store):
    told = ms.import_(produce("mlflow_runs", store[0]) / store[1])

    assert (told.artifacts, set(runs_of(ms)["parent"].artifacts)) == (2, {"model", "one.txt"})
    assert artifact(ms, "which species", "one.txt").open().read() == b"one"
    assert artifact(ms, "which species", "model").open("weights.txt").read() == b"weights"


def test_what_is_not_carried_is_told(ms, produce, store):
    told = ms.import_(produce("mlflow_runs", store[0]) / store[1])

    assert what_is_left(told) == {"deleted run": 1, "tag of an experiment": 1}
    with pytest.raises(AttributeError):
        told.left = ()


def test_importing_again_adds_nothing(ms, copied, store):
    folder = copied("mlflow_runs", store[0])
    ms.import_(folder / store[1])
    before = everything(ms)

    # The same store, at another place.
    (folder.parent / "elsewhere").mkdir()
    moved = shutil.move(folder, folder.parent / "elsewhere" / "moved")
    again = ms.import_(moved / store[1])

    assert (again.found, again.runs, again.rows, again.changed, again.blobs) == (4, 0, 0, 0, 0)
    assert everything(ms) == before


def test_a_grown_store_adds_what_is_new(ms, copied, produce, store):
    folder = copied("mlflow_runs", store[0])
    ms.import_(folder / store[1])
    produce("mlflow_more", store[0], cwd=folder)
    # MLflow itself would write to where the folder was before it was copied.
    (file,) = folder.glob("mlruns/*/*/artifacts/one.txt")
    file.write_text("two")

    told = ms.import_(folder / store[1])
    again = ms.import_(folder / store[1])

    parent, other = runs_of(ms)["parent"], runs_of(ms)["still running"]
    assert (told.runs, told.rows, told.changed) == (0, 2, 2)
    assert (again.rows, again.changed, again.artifacts) == (0, 0, 0)
    assert parent.rows().to_dicts()[-1]["loss"] == 0.01
    assert parent.metrics["val/acc"] == 0.99
    assert other.record.status == "killed"
    assert other.hyper_params == {"late": 1}
    assert (told.artifacts, parent.artifacts["one.txt"].version) == (1, 1)


def test_another_experiment_can_be_named(ms, produce, store):
    ms.import_(produce("mlflow_runs", store[0]) / store[1], experiment="old/ones")

    assert [one.name for one in ms.experiments()] == ["old/ones"]
    assert len(ms.experiment("old/ones").runs()) == 4


def test_the_folder_around_a_store_will_do(ms, produce, store):
    assert ms.import_(produce("mlflow_runs", store[0])).runs == 4


def test_runs_stand_beside_our_own(ms, produce, store, tmp_path):
    (tmp_path / "one.txt").write_text("mine")
    with ms.exper("which species").start_run() as run:
        run.add_artifact("one.txt", tmp_path / "one.txt")

    ms.import_(produce("mlflow_runs", store[0]) / store[1])

    exper = ms.experiment("which species")
    assert len(exper.runs()) == 5
    assert runs_of(ms)["parent"].artifacts["one.txt"].version == 1
    with ms.exper("which species").start_run() as run:
        assert run.id == "2"


def altered(folder, statement, *values):
    with sqlite3.connect(folder / "mlflow.db") as connection:
        connection.execute(statement, values)
    connection.close()
    return folder / "mlflow.db"


def test_artifacts_elsewhere_are_left_unless_their_folder_is_given(ms, copied, tmp_path):
    folder = copied("mlflow_runs", STORES["database"][0])
    shutil.move(folder / "mlruns", tmp_path / "secret")
    run_id = (folder / "ids.txt").read_text().split()[0]
    (place,) = (tmp_path / "secret").glob(f"*/{run_id}/artifacts")
    path = altered(
        folder, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", str(place), run_id
    )

    told = ms.import_(path)
    then = ms.import_(path, artifacts=tmp_path / "secret")

    assert (told.artifacts, what_is_left(told)["artifacts of a run"]) == (0, 1)
    assert (then.artifacts, then.runs, then.changed) == (2, 0, 1)


def test_links_out_of_the_store_are_not_followed(ms, copied, tmp_path):
    folder = copied("mlflow_runs", "./mlruns")
    (tmp_path / "secret.txt").write_text("secret")
    (artifacts,) = folder.glob("mlruns/*/*/artifacts/model")
    (artifacts / "link.txt").symlink_to(tmp_path / "secret.txt")
    (artifacts / "up").symlink_to(tmp_path)

    told = ms.import_(folder / "mlruns")

    assert what_is_left(told)["file"] == 2
    files = artifact(ms, "which species", "model").files()
    assert [one.path for one in files] == ["weights.txt"]


def test_hostile_names_stay_names(ms, copied):
    folder = copied("mlflow_runs", STORES["database"][0])
    altered(folder, "UPDATE experiments SET name = '../../etc' WHERE experiment_id = 1")
    altered(folder, "UPDATE params SET key = 'a\"; DROP TABLE x --' WHERE key = 'lr'")
    path = altered(folder, "UPDATE metrics SET key = '../../@x' WHERE key = 'odd'")

    ms.import_(path)

    exper = ms.experiment("../../etc")
    (parent,) = [exper.run(one.id) for one in exper.runs() if one.name == "parent"]
    assert parent.hyper_params['a"; DROP TABLE x --'] == 0.1
    assert "../../@x" in parent.rows().columns


def test_changed_rows_are_told_and_ours_stay(ms, copied):
    folder = copied("mlflow_runs", STORES["database"][0])
    ms.import_(folder / "mlflow.db")
    before = runs_of(ms)["failing"].rows().to_dicts()
    path = altered(folder, "UPDATE metrics SET value = 8.0 WHERE value = 9.0")

    told = ms.import_(path)

    (left,) = [one for one in told.left if one.what == "row"]
    assert "has changed" in left.why
    assert runs_of(ms)["failing"].rows().to_dicts() == before


def test_a_damaged_store_is_refused_and_nothing_is_changed(ms, copied):
    folder = copied("mlflow_runs", "./mlruns")
    (metric,) = folder.glob("mlruns/*/*/metrics/odd")
    metric.write_text("1795258882981 nan 4\nnot a metric\n")

    with pytest.raises(al.IntegrityError, match=r"line 2 of .*odd is no metric"):
        ms.import_(folder / "mlruns")
    metric.write_text("1" * 400 + " nan 4\n")
    with pytest.raises(al.AletheiaError, match=r"odd is no metric|is none"):
        ms.import_(folder / "mlruns")

    assert ms.projects() == []


def test_a_run_without_a_possible_time_is_refused(ms, copied):
    folder = copied("mlflow_runs", STORES["database"][0])
    path = altered(folder, "UPDATE runs SET start_time = 1e300")

    with pytest.raises(al.InvalidValueError, match=r"no second since 1970"):
        ms.import_(path)

    assert ms.projects() == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("1e-3", 0.001),
        ("-7", -7),
        ("True", True),
        ("false", "false"),
        ("007", "007"),
        ("1_000", "1_000"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("-inf", -math.inf),
        ("٣", "٣"),
        ("", ""),
        (".", "."),
        ("1.", 1.0),
        ("[1, 2]", "[1, 2]"),
    ],
)
def test_a_parameter_is_a_number_if_it_reads_as_one(text, value):
    read = read_param(text)

    assert (type(read), read) == (type(value), value)


def test_secrets_that_a_store_points_to_stay_where_they_are(ms, copied, tmp_path):
    folder = copied("mlflow_runs", "./mlruns")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_text("secret")
    (params,) = folder.glob("mlruns/*/*/params/lr")
    shutil.rmtree(params.parent)
    params.parent.symlink_to(tmp_path / "secrets")
    (model,) = folder.glob("mlruns/*/*/artifacts/model")
    shutil.rmtree(model.parent)
    model.parent.symlink_to(tmp_path / "secrets")

    told = ms.import_(folder / "mlruns")

    assert runs_of(ms)["parent"].hyper_params == {}
    assert told.artifacts == 0


def test_files_beside_a_database_are_not_its_own(ms, copied):
    folder = copied("mlflow_runs", STORES["database"][0])
    path = altered(folder, "UPDATE runs SET artifact_uri = ?", str(folder))
    shutil.rmtree(folder / "mlruns")

    told = ms.import_(path)

    assert (told.artifacts, what_is_left(told)["artifacts of a run"]) == (0, 4)
