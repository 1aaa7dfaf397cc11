"""The life of a run, over every store."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

import aletheia_like as al
from aletheia_like.ports.documents import Update
from aletheia_like.testing.stores import FailingDocumentStore


@pytest.fixture
def exper(ms):
    return ms.exper("e")


@pytest.fixture
def read_run(open_ms):
    """Read a run as another process would."""

    def read(run_id):
        return open_ms().experiment("e").run(run_id)

    return read


def test_a_run_is_running_inside_and_finished_after(exper, read_run):  # R1
    with exper.start_run(fold=1) as run:
        inside = read_run(run.id).status

    read = read_run(run.id)
    assert (inside, run.status, read.status) == ("running", "finished", "finished")
    assert read.ended_at >= read.started_at


def test_numbers_are_consecutive(exper):  # M6
    runs = [exper.start_run() for _ in range(3)]

    assert [run.id for run in runs] == ["1", "2", "3"]
    assert [run.number for run in runs] == [1, 2, 3]


def test_random_ids_are_distinct_and_named(ms):  # M11
    exper = ms.exper("e", auto_inc_ids=False)
    first, second = exper.start_run(), exper.start_run()

    assert first.id != second.id
    assert first.number is None
    assert "-" in first.name


def test_an_explicit_id_is_used_once(exper):  # M7
    exper.start_run(id="x").finish()

    with pytest.raises(al.AlreadyExistsError, match="resume='allow'"):
        exper.start_run(id="x")


def test_counting_passes_over_ids_that_were_taken_by_hand(exper):
    exper.start_run(id="1")
    exper.start_run(id="2")

    assert exper.start_run().id == "3"


def test_an_exception_makes_a_run_failed_and_goes_on(exper, read_run):  # R2
    with pytest.raises(ZeroDivisionError), exper.start_run() as run:
        1 / 0  # noqa: B018

    read = read_run(run.id)
    assert read.status == "failed"
    assert read.error.type == "ZeroDivisionError"
    assert read.error.message == "division by zero"
    assert "1 / 0" in read.error.traceback


def test_a_long_traceback_is_kept_whole(exper, read_run):
    with pytest.raises(ValueError), exper.start_run() as run:
        raise ValueError("x" * 300_000)

    assert len(read_run(run.id).error.traceback) > 300_000


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_makes_a_run_killed(exper, read_run, interruption):  # R3
    with pytest.raises(interruption), exper.start_run() as run:
        raise interruption

    assert read_run(run.id).status == "killed"


def test_hyper_params_come_back_equal(exper, read_run):  # R8, M26
    import numpy as np

    zone = dt.timezone(dt.timedelta(hours=2))
    given = {
        "lr": 0.1,
        "epochs": 3,
        "nesterov": True,
        "schedule": None,
        "layers": [[1, 2], [3]],
        "opt": {"name": "adam", "train/decay.rate": 1e-4},
        "big": 2**70,
        "when": dt.datetime(2026, 1, 2, 3, 4, 5, 6, zone),
        "naive": dt.datetime(2026, 1, 2),
        "inf": math.inf,
        5: "five",
        "numpy": np.float32(0.5),
        "array": np.arange(3),
    }
    with exper.start_run() as run:
        run.set_hyper_params({"old": 1})
        run.set_hyper_params(given)

    read = read_run(run.id).hyper_params
    assert read == {**given, "numpy": 0.5, "array": [0, 1, 2]}
    assert type(read["epochs"]) is int
    assert type(read["nesterov"]) is bool
    assert type(read["numpy"]) is float


def test_nan_survives(exper, read_run):
    with exper.start_run(hyper_params={"x": math.nan}) as run:
        run.add_metric("loss", math.nan)

    read = read_run(run.id)
    assert math.isnan(read.hyper_params["x"])
    assert math.isnan(read.metrics["loss"])


@dataclasses.dataclass
class Config:
    lr: float = 0.1
    inner: dict = dataclasses.field(default_factory=lambda: {"a": 1})


@pytest.mark.parametrize("given", [Config(), argparse.Namespace(lr=0.1, inner={"a": 1})])
def test_hyper_params_may_be_an_object(exper, given):
    run = exper.start_run(hyper_params=given)

    assert run.hyper_params == {"lr": 0.1, "inner": {"a": 1}}


def test_pydantic_models_are_hyper_params(exper):
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("M", lr=(float, 0.1))

    assert exper.start_run(hyper_params=model()).hyper_params == {"lr": 0.1}


@pytest.mark.parametrize("bad", [[1, 2], "lr=1", 3, object()])
def test_other_hyper_params_are_refused_before_any_write(exper, bad):
    with pytest.raises(al.InvalidValueError, match="hyper parameters"):
        exper.start_run(hyper_params=bad)

    assert len(exper.runs()) == 0


def test_a_value_without_stored_form_names_its_place(exper):
    run = exper.start_run()

    with pytest.raises(al.InvalidValueError, match=r"hyper_params\.opt\.loss"):
        run.set_hyper_params({"opt": {"loss": object()}})


def test_metrics_overwrite_and_stay_nested(exper, read_run):  # M23, R9
    with exper.start_run() as run:
        run.add_metric("acc", 1)
        run.add_metrics({"acc": 0.5, "val/loss.mean": 2, "ünï": 3})

    assert read_run(run.id).metrics == {"acc": 0.5, "val/loss.mean": 2, "ünï": 3}


def test_the_stored_document_holds_a_map_of_metrics(ms, exper):  # M23
    with exper.start_run() as run:
        run.add_metric("acc", 1)

    fields = ms.session.documents.get(run.path).fields
    assert fields["metrics"] == {"acc": 1}
    assert "metrics.acc" not in fields


def test_folds(exper, read_run):  # A21, R6
    with exper.start_run(fold=1) as run:
        run.set_fold()
    assert read_run(run.id).fold == 1

    with exper.start_run(fold=1) as run:
        run.set_fold(2)
    assert read_run(run.id).fold == 2

    with exper.start_run() as run, pytest.raises(al.InvalidValueError, match="fold"):
        run.set_fold()


def test_the_model_is_stored_with_all_its_fields(exper, read_run):  # A21, R7, M17
    with exper.start_run() as run:
        run.set_model("resnet18", desc="small", version=2, project="vision", layers=18)

    model = read_run(run.id).model
    assert (model.name, model.desc, model.version, model.project) == (
        "resnet18",
        "small",
        "2",
        "vision",
    )
    assert model.extra == {"layers": 18}


def test_free_fields_of_a_run(exper, read_run, tmp_path):  # A21, R19, M9
    with exper.start_run() as run:
        run.log_dir = tmp_path
        run.saved_model = "model.pt"
        run.desc = "d"
        run.notes = "n"
        run.tags = ["a"]
        run._private = 1
        with pytest.raises(al.ReadOnlyError):
            run.status = "finished"
        with pytest.raises(al.ReadOnlyError):
            run.metrics = {}

    read = read_run(run.id)
    assert (read.log_dir, read.saved_model, read.desc, read.notes, read.tags) == (
        str(tmp_path),
        "model.pt",
        "d",
        "n",
        ("a",),
    )
    with pytest.raises(AttributeError):
        _ = read.nothing_here


def test_a_loaded_run_refuses_changes(exper, read_run):  # M12, M13
    exper.start_run().finish()
    read = read_run("1")
    before = read.record

    for change in (
        lambda: read.log(loss=1),
        lambda: read.log_batch([{"loss": 1}]),
        lambda: read.set_value("loss", 1),
        lambda: read.add_metric("a", 1),
        lambda: read.set_hyper_params({}),
        lambda: setattr(read, "desc", "x"),
        lambda: setattr(read, "anything", "x"),
        lambda: read.add_artifact("a", __file__),
        lambda: read.get_dataset("d"),
    ):
        with pytest.raises(al.ReadOnlyError):
            change()
    with pytest.raises(al.RunStateError), read:
        pass
    assert read_run("1").record == before


def test_an_ended_run_refuses_changes_until_it_is_resumed(exper, read_run):  # R18
    run = exper.start_run(id="x")
    run.add_metric("a", 1)
    run.finish()
    started, ended = run.started_at, run.ended_at
    with pytest.raises(al.ReadOnlyError, match="resume"):
        run.add_metric("b", 2)

    with exper.start_run(id="x", resume="must") as again:
        assert again.status == "running"
        again.add_metric("b", 2)

    read = read_run("x")
    assert read.metrics == {"a": 1, "b": 2}
    assert read.started_at == started
    assert read.ended_at > ended
    board = exper.results().to_dicts()
    assert [(line["run"], line["metrics.b"]) for line in board] == [("x", 2)]


def test_a_run_that_another_ends_while_it_is_reopened_goes_on_here(metastore):
    exper = metastore.exper("e")
    exper.start_run(id="x").finish()

    class Overtaken(FailingDocumentStore):
        def apply(self, writes):
            revisions = super().apply(writes)
            if any(("resumed_at",) in getattr(write, "changes", ()) for write in writes):
                super().apply([Update(writes[0].path, {("status",): "finished"})])
            return revisions

    metastore._session.documents = Overtaken(metastore._session.documents)
    with exper.start_run(id="x", resume="allow") as run:
        run.log(a=1)

    assert exper.run("x").rows()["a"] == [1]


def test_a_run_that_another_ends_while_its_journal_is_taken_over_goes_on_here(metastore):
    exper = metastore.exper("e")
    exper.start_run(id="x").finish()
    path = exper.run("x").path

    class Overtaken(FailingDocumentStore):
        reads = 0

        def get(self, asked):
            if asked == path:
                self.reads += 1
                if self.reads > 1:
                    self.apply([Update(path, {("status",): "finished"})])
            return super().get(asked)

    metastore._session.documents = Overtaken(metastore._session.documents)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(al.Run, "_take_over", lambda run: 1)
        run = exper.start_run(id="x", resume="allow")
    run.log(a=1)
    run.finish()

    assert exper.run("x").rows()["a"] == [1]


def test_resume_words(exper):
    with pytest.raises(al.NotFoundError, match="resume"):
        exper.start_run(id="x", resume="must")
    with pytest.raises(al.InvalidValueError, match="must"):
        exper.start_run(resume="must")
    with pytest.raises(al.InvalidValueError, match="never, allow or must"):
        exper.start_run(id="x", resume="yes")

    exper.start_run(id="x", resume="allow").finish()
    exper.start_run(id="x", resume="allow").finish()
    assert exper.runs().ids == ["x"]


def test_child_runs_know_their_parent(exper, read_run):  # M10
    with exper.start_run() as run, run.start_run(fold=2) as child:
        pass

    assert read_run(child.id).parent == run.id
    assert child.id != run.id


def test_ending_twice_changes_nothing(exper):
    run = exper.start_run()
    run.finish()
    ended = run.ended_at
    run.finish("failed")

    assert (run.status, run.ended_at) == ("finished", ended)
    with pytest.raises(al.InvalidValueError, match="finished, failed or killed"):
        exper.start_run().finish("lost")


def test_long_text_moves_to_a_blob(ms, exper, read_run):  # M25
    text = "ä" * 3_000_000
    with exper.start_run() as run:
        run.set_hyper_params({"prompt": text})

    assert read_run(run.id).hyper_params == {"prompt": text}
    assert len(repr(ms.session.documents.get(run.path).fields)) < 20_000


def test_a_run_document_never_outgrows_its_limit(exper):
    run = exper.start_run()

    with pytest.raises(al.InvalidValueError, match="artifacts"):
        run.add_metrics({f"metric {number:060}": 0.5 for number in range(5_000)})
    run.add_metric("fine", 1)
    assert run.metrics == {"fine": 1}


def test_runs_as_a_table(exper):  # M12
    for lr, acc in ((0.1, 0.5), (0.2, 0.9), (0.3, None)):
        with exper.start_run(hyper_params={"opt": {"lr": lr}}) as run:
            if acc is not None:
                run.add_metric("acc", acc)

    table = exper.runs(order_by="-metrics.acc").to_pandas()
    assert list(table["hyper_params.opt.lr"]) == [0.2, 0.1, 0.3]
    assert len(exper.runs(limit=2)) == 2
    assert [record.id for record in exper.runs()] == ["1", "2", "3"]
    assert "hyper_params.opt.lr" in exper.runs()._repr_html_()


def test_the_leaderboard_has_a_flat_row_for_each_finished_run(exper):  # R20
    with exper.start_run(fold=1, hyper_params={"opt": {"lr": 0.1}}) as run:
        run.add_metric("acc", 0.9)
    with pytest.raises(RuntimeError), exper.start_run():
        raise RuntimeError

    board = exper.results().to_dicts()
    assert len(board) == 1
    assert board[0]["hyper_params.opt.lr"] == 0.1
    assert board[0]["metrics.acc"] == 0.9
    assert board[0]["fold"] == 1


def test_debug_runs_are_left_out_of_tables_unless_asked_for(ms, exper):
    ms.exper("e", debug=True).start_run().finish()
    exper.start_run().finish()

    assert len(exper.runs()) == 1
    assert len(exper.runs(debug=True)) == 2
    assert len(exper.results()) == 1
    assert len(exper.results(debug=True)) == 2


def test_the_environment_is_recorded(exper, read_run):  # R10
    with exper.start_run() as run:
        pass

    environment = read_run(run.id).environment
    assert environment.command
    assert environment.python.startswith("3.")
    assert environment.packages
    assert "numpy" in open_text(exper, environment.packages)


def open_text(exper, digest):
    return exper._session.cache.fetch(digest).read_text()


def test_loading_writes_nothing(ms, exper, open_ms):  # M12, invariant 7
    with exper.start_run() as run:
        run.add_metric("a", 1)
    before = ms.session.documents.get(run.path)

    other = open_ms()
    read = other.experiment("e")
    assert read.run(run.id).metrics == {"a": 1}
    assert len(read.runs()) == 1
    assert len(read.results()) == 1
    other.close()
    assert other.usage.document_writes == 0
    assert ms.session.documents.get(run.path).revision == before.revision


def test_an_unknown_run_is_not_found(exper):
    with pytest.raises(al.NotFoundError, match="'9'"):
        exper.run(9)


def test_a_line_of_ones_own_stands_in_the_leaderboard(ms, open_ms):  # R20
    exper = ms.exper("e")
    with exper.start_run() as run:
        run.add_metric("accuracy", 0.9)
    exper.add_result("paper", {"metrics": {"accuracy": 0.8}, "year": 2019})
    exper.add_result("paper", {"metrics": {"accuracy": 0.85}})

    board = open_ms().experiment("e").results().to_dicts()
    assert {row["name"]: row["metrics.accuracy"] for row in board if row["name"] == "paper"} == {
        "paper": 0.85
    }
    assert len(board) == 2
    with pytest.raises(al.AlreadyExistsError, match="run"):
        exper.add_result("1", {"metrics.accuracy": 1.0})


def test_a_reference_stays_with_its_run(ms, open_ms):  # V1
    with ms.exper("e").start_run() as run:
        run.add_artifact("pretrained", "gs://models/base", is_local=False)

    assert open_ms().experiment("e").run(1).artifacts["pretrained"].kind == "reference"


def test_parameters_that_contain_themselves_are_refused(ms):
    params = {}
    params["me"] = params
    run = ms.exper("e").start_run()
    with pytest.raises(al.InvalidValueError, match=r"itself|deep"):
        run.set_hyper_params(params)
    run.finish()


def test_a_run_opened_for_reading_cannot_be_ended(ms):
    ms.exper("e").start_run().finish()
    run = ms.exper("e").run(1)
    for change in (run.finish, lambda: run.fail(ValueError()), lambda: run.log_batch([])):
        with pytest.raises(al.ReadOnlyError):
            change()


def test_a_resumed_run_sees_what_its_dead_process_recorded(ms, store_url, tmp_path):  # R18
    import signal
    import subprocess
    import sys

    code = (
        "import os, sys, aletheia_like as al\n"
        "ms = al.Metastore('p', url=sys.argv[1], git='off')\n"
        "run = ms.exper('e').start_run(id='k', tags=['a'])\n"
        "run.flush(); run.add_metric('m', 7); run.tag('b'); run.log(a=1, step=5)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, store_url], check=False)
    assert done.returncode == -signal.SIGKILL

    with ms.exper("e").start_run(id="k", resume="must") as run:
        assert run.metrics == {"m": 7}
        run.tag("c")
        assert run.log(a=2)["step"] == 5

    again = ms.exper("e").run("k")
    assert again.tags == ("a", "b", "c")
    assert again.rows()["a"] == [1, 2]
    assert again.summary["a"]["last"] == 2


def test_long_texts_keep_their_ends_of_lines(exper, read_run):  # M25 M26
    text = "a\r\nb\r" * 100_000
    with exper.start_run() as run:
        run.set_hyper_params({"text": text})
        run.desc = text
        run.log(text=text)

    read = read_run(run.id)
    assert (read.hyper_params["text"] == text, read.desc == text) == (True, True)
    assert read.latest("text") == text


def test_tags_that_threads_add_at_once_are_all_kept():  # M19 B10
    with al.Metastore("p", url="memory://", git="off") as ms:
        run = ms.exper("e").start_run()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(run.tag, map(str, range(200))))

        assert len(run.tags) == 200


@pytest.mark.parametrize("tags", [None, 5, [["a"]]])
def test_what_is_no_list_of_tags_is_refused(tags):  # M19
    with al.Metastore("p", url="memory://", git="off") as ms:
        run = ms.exper("e").start_run()
        with pytest.raises(al.InvalidValueError, match="tag"):
            run.tags = tags

        with pytest.raises(al.InvalidValueError, match="tag"):
            run.tag(tags)


def test_a_run_is_resumed_by_its_number_too():  # M7 R18
    with al.Metastore("p", url="memory://", git="off") as ms:
        ms.exper("e").start_run().finish()

        assert ms.exper("e").start_run(id=1, resume="must").id == "1"


def test_a_parent_is_a_run_of_the_same_experiment():  # M10
    with al.Metastore("p", url="memory://", git="off") as ms:
        parent = ms.exper("e").start_run()

        assert ms.exper("e").start_run(parent=1).parent == "1"
        with pytest.raises(al.NotFoundError, match="no run 'nope'"):
            ms.exper("e").start_run(parent="nope")
        with pytest.raises(al.InvalidValueError, match="no run of experiment 'other'"):
            ms.exper("other").start_run(parent=parent)
        assert len(ms.exper("e").runs()) == 2
