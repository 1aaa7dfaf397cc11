"""The examples by which KVA and xetrack explain themselves, in our names, with what they print.

Ids and times differ. What a comment of theirs gets wrong is what their own tests say: the latest
step is 2. The column that groups a frame is an ordinary one, as their page shows it.
"""

from __future__ import annotations

import subprocess
import sys

import cloudpickle
import numpy as np
import pandas as pd
import pytest

import aletheia_like as al
from aletheia_like import active

OURS = ["timestamp", "run_id"]


@pytest.fixture
def kva(monkeypatch, store_url, tmp_path):
    """The module, on every store."""
    monkeypatch.setenv("ALETHEIA_URL", store_url)
    monkeypatch.setenv("ALETHEIA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ALETHEIA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ALETHEIA_GIT", "off")
    yield al
    al.finish()
    if active._PROCESS.metastore is not None:
        active._PROCESS.metastore.close()
    active._PROCESS.metastore = None


@pytest.fixture
def start(ms):
    """What makes a tracker: a run, and the data of every row."""

    def starter(params):
        run = ms.exper("database").start_run()
        run.set_params(params)
        return run

    yield starter
    for live in ms.session.live_runs.runs():
        live.finish()


def frame_of(rows):
    return rows.to_pandas().drop(columns=[*OURS, "experiment"], errors="ignore")


def test_kva_first_example(kva):  # K2, K4, K8, K9, K10, K11
    kva.init(run_id="some-run")
    kva.log(config={"foo": "bar"})
    # Oups there was something missing in the config
    kva.log(config={"hello": "world"})
    kva.log(step=1, loss=42)
    kva.log(step=2)
    kva.log(loss=4.2)

    rows = kva.get(run_id="some-run")
    assert rows.latest("config") == {"foo": "bar", "hello": "world"}
    assert rows.latest("config", deep_merge=False) == {"hello": "world"}
    assert rows.latest("loss") == 4.2
    assert rows.latest(["loss", "step"]) == {"loss": 4.2, "step": 2}
    frame = rows.latest("loss", index="step")
    expected = pd.DataFrame({"step": [1, 2], "loss": [42.0, 4.2]})
    pd.testing.assert_frame_equal(frame, expected)
    pd.testing.assert_frame_equal(frame, rows.latest(["loss"], index=["step"]))
    # Their frame has floats for steps, because rows without a step are NaN.
    assert frame.astype(float).to_string() == "   step  loss\n0   1.0  42.0\n1   2.0   4.2"


def test_kva_log_appends_the_data_and_that_of_init(kva):  # K4
    kva.init(run_id="r", model="gpt")
    stored = kva.log(loss=1.0)

    assert {key: stored[key] for key in ("run_id", "model", "loss")} == {
        "run_id": "r",
        "model": "gpt",
        "loss": 1.0,
    }


def test_kva_log_saves_files(kva, tmp_path):  # K5
    path = tmp_path / "image.png"
    path.write_bytes(b"pixels")
    kva.init(run_id="r")

    kva.log(output=kva.File(path))

    assert kva.latest("output").local_path.read_bytes() == b"pixels"


def test_kva_filter_returns_rows_that_are_accepted(kva):  # K6
    kva.init(run_id="r")
    for step in range(5):
        kva.log(step=step, loss=10 - step)

    found = kva.filter(lambda row: row.get("loss", 99) < 8)

    assert found["step"] == [3, 4]
    assert found.latest("loss") == 6


def test_kva_context_adds_data_to_subsequent_calls(kva):  # K14
    kva.init(run_id="r")
    with kva.context(epoch=1):
        kva.log(loss=2.0)
        with kva.context(phase="val"):
            kva.log(loss=1.0)
    kva.log(loss=0.5)

    frame = frame_of(kva.get(run_id="r"))
    assert frame["loss"].tolist() == [2.0, 1.0, 0.5]
    assert frame["epoch"].tolist()[:2] == [1.0, 1.0]
    assert np.isnan(frame["epoch"][2])
    assert frame["phase"].dropna().tolist() == ["val"]


def test_kva_get_wants_all_keys(kva):  # K7
    kva.init(run_id="some-run")
    kva.log(step=1, loss=42)
    kva.log(step=2, loss=4.2)

    assert kva.get(run_id="some-run", step=1)["loss"] == [42]
    assert kva.get(run_id="some-run", step=2, loss=4.2)["loss"] == [4.2]
    assert len(kva.get(run_id="some-run", step=2, loss=42)) == 0


def test_kva_a_run_is_active_until_finish(kva):  # K3
    kva.init(run_id="first", model="a")
    kva.log(x=1)
    kva.finish()
    kva.init(run_id="second")
    kva.log(x=2)

    assert kva.get(run_id="first")["model"] == ["a"]
    assert kva.get(run_id="second").columns == ["x", *OURS, "experiment"]


def test_kva_log_artifact_is_log_of_a_file(kva, tmp_path):  # K15
    path = tmp_path / "weights.bin"
    path.write_bytes(b"123")
    kva.init(run_id="r")

    stored = kva.log_artifact(path)

    assert stored["weights.bin"] == kva.log(file=kva.File(path))["file"]
    assert kva.latest("weights.bin").open().read() == b"123"


def test_kva_panel_of_the_latest_of_everything(kva):  # K22
    kva.init(run_id="r")
    kva.log(config={"a": 1})
    kva.log(loss=1.0)
    kva.log(config={"b": 2})

    latest = kva.get(run_id="r").latest(columns="*")

    assert (latest["config"], latest["loss"], latest["run_id"]) == ({"a": 1, "b": 2}, 1.0, "r")


def test_kva_panel_of_a_line_plot(kva):  # K22
    kva.init(run_id="r")
    for step in range(4):
        kva.log(step=step, loss=1 / (step + 1))
        kva.log(square=step**2)

    frame = kva.get(run_id="r").latest(columns=["loss", "square"], index="step")

    assert list(frame.columns) == ["step", "loss", "square"]
    assert frame["square"].tolist() == [0, 1, 4, 9]
    assert frame["loss"].tolist() == [1 / (step + 1) for step in range(4)]


def test_kva_panel_of_samples(kva):  # K22
    kva.init(run_id="r")
    for answer in ("a cat", "a dog"):
        kva.log(input="what is it?", output=answer)
    kva.log(input="who are you?", output="a model")

    frame = kva.get(run_id="r").latest(columns=["output"], index=["input"])

    assert frame.to_dict("records") == [
        {"input": "what is it?", "output": "a dog"},
        {"input": "who are you?", "output": "a model"},
    ]


def test_kva_panel_of_images_over_training(kva, tmp_path):  # K22, K23
    kva.init(run_id="r")
    for step in range(3):
        path = tmp_path / "image.png"
        path.write_bytes(f"image {step}".encode())
        kva.log(step=step, image=kva.File(path))

    frame = kva.get(run_id="r").latest("image", index="step")

    images = [file.open().read() for file in frame["image"]]
    assert images == [b"image 0", b"image 1", b"image 2"]


def test_xetrack_quickstart(ms, start):  # X1, X2, X3, X4
    tracker = start({"model": "resnet18"})
    stored = tracker.log({"accuracy": 0.9, "loss": 0.1, "epoch": 1})  # All you really need

    latest = tracker.rows()[-1]

    assert latest == stored
    expected = {"accuracy": 0.9, "loss": 0.1, "epoch": 1, "model": "resnet18"}
    assert {key: value for key, value in latest.items() if key not in OURS} == expected
    frame = frame_of(ms.rows())  # Retrieve all the runs as a data frame
    pd.testing.assert_frame_equal(frame[list(expected)], pd.DataFrame([expected]))


def test_xetrack_params_are_added_to_every_future_row(start):  # X5
    tracker = start({"model": "resnet18"})
    tracker.log({"accuracy": 0.9, "loss": 0.1, "epoch": 1})

    tracker.set_params({"model": "resnet18", "dataset": "cifar10"})
    row = tracker.log({"accuracy": 0.9, "loss": 0.1, "epoch": 2})

    assert {key: value for key, value in row.items() if key not in OURS} == {
        "accuracy": 0.9,
        "loss": 0.1,
        "epoch": 2,
        "model": "resnet18",
        "dataset": "cifar10",
    }
    assert "dataset" not in tracker.rows()[0]


def test_xetrack_a_value_is_set_back_in_time(start):  # X6
    tracker = start({"model": "resnet18"})
    tracker.log({"accuracy": 0.9, "loss": 0.1, "epoch": 1})
    tracker.set_params({"model": "resnet18", "dataset": "cifar10"})
    tracker.log({"accuracy": 0.9, "loss": 0.1, "epoch": 2})

    tracker.set_value("test_accuracy", 0.9)  # Only known at the end of the experiment

    frame = frame_of(tracker.rows())
    columns = ["model", "loss", "epoch", "accuracy", "dataset", "test_accuracy"]
    expected = [
        ["resnet18", 0.1, 1, 0.9, None, 0.9],
        ["resnet18", 0.1, 2, 0.9, "cifar10", 0.9],
    ]
    assert set(frame.columns) == set(columns)
    found = frame[columns].astype(object)
    assert found.where(found.notna(), None).to_numpy().tolist() == expected


def test_xetrack_each_tracker_has_an_id_of_its_own(ms, start):  # X1
    one, other = start({}), start({})
    one.log(a=1)
    other.log(a=2)

    assert one.id != other.id
    assert (one.rows()["a"], other.rows()["a"], ms.rows()["a"]) == ([1], [2], [1, 2])


def test_xetrack_models_are_assets(ms, start, tmp_path):  # X15, X16, X17, X18
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    x, y = load_iris(return_X_y=True)
    tracker = start({"model": "logistic regression", "dataset": "iris"})
    lr = LogisticRegression(max_iter=200).fit(x, y)
    stored = tracker.log({"accuracy": float(lr.score(x, y)), "lr": lr})

    assert len(stored["lr"]) == 64  # <-- this is the model hash
    model = ms.get_object(stored["lr"], trust=True)  # retrieve an object
    assert model.score(x, y) == stored["accuracy"]

    # For the same object again, just insert the hash.
    tracker.log({"accuracy": 0.5, "lr": stored["lr"]})
    tracker.log({"accuracy": 0.5, "lr": lr})
    assert tracker.rows()["lr"] == [stored["lr"]] * 3

    tracker.finish()
    path = tmp_path / "model.cloudpickle"
    ms.session.blobs.download(stored["lr"], path)
    with path.open("rb") as stream:
        assert repr(cloudpickle.loads(stream.read())) == "LogisticRegression(max_iter=200)"


def test_xetrack_in_memory():  # X19
    with al.Metastore("p", url="memory://", git="off") as ms:
        tracker = ms.exper("e").start_run()
        tracker.log(accuracy=0.9)

        assert tracker.rows()["accuracy"] == [0.9]


def test_xetrack_is_like_pandas(start):  # X21, X22
    tracker = start({})
    tracker.log(b=2.0, a=1.0)
    tracker.log(a=1.0, accuracy=1.0)

    rows = tracker.rows()

    assert rows["accuracy"] == [None, 1.0]  # get accuracy column
    frame = frame_of(rows)  # get pandas data frame of current run
    assert frame["b"].tolist()[0] == 2.0
    assert frame.isna().sum().to_dict() == {"b": 1, "a": 0, "accuracy": 1}
    header, *lines, _ = str(rows).splitlines()
    assert header.split() == ["b", "a", "accuracy", *OURS]
    assert [line.split()[:3] for line in lines] == [["2.0", "1.0", "NaN"], ["NaN", "1.0", "1.0"]]


def test_xetrack_only_some_rows_are_set(ms, start):  # X7, X34
    one, other = start({}), start({})
    for tracker in (one, other):
        tracker.log(params="1b5b2294fc521d12", accuracy=0.9)
        tracker.log(params="another", accuracy=0.9)

    other.set_value("accuracy", 0.8, where={"params": "1b5b2294fc521d12"})

    assert one.rows()["accuracy"] == [0.9, 0.9]
    assert other.rows()["accuracy"] == [0.8, 0.9]


def test_xetrack_head_and_tail(ms, start):  # X34
    for model in ("xgboost", "lightgbm"):
        tracker = start({"model": model, "data": "mnist"})
        for _ in range(3):
            tracker.log(accuracy=0.9, params="1b5b2294fc521d12")

    assert ms.rows().head(2)["model"] == ["xgboost", "xgboost"]
    assert ms.rows().tail(1)["model"] == ["lightgbm"]


def test_xetrack_analysis_works_while_another_process_writes(ms, start, open_ms, store_url):  # X26
    program = """
import sys
import aletheia_like as al
run = al.Metastore("p", url=sys.argv[1], git="off").exper("database").start_run()
for epoch in range(200):
    run.log(epoch=epoch, accuracy=epoch / 200)
    if epoch == 100:
        run.flush()
        print("half", flush=True)
        sys.stdin.readline()
run.finish()
"""
    command = [sys.executable, "-c", program, store_url]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "half\n"
        tracker = start({})
        tracker.log(mine=1)

        while_it_writes = ms.rows().to_pandas()
        writer.stdin.write("\n")
        writer.stdin.close()
        assert writer.wait(60) == 0

    assert len(while_it_writes) >= 102
    epochs = while_it_writes["epoch"].dropna().tolist()
    assert epochs == list(range(len(epochs)))
    assert len(ms.rows()) == 201
