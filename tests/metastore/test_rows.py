"""Rows are logged and read alike over every store."""

from __future__ import annotations

import datetime as dt
import math
import threading
import time

import numpy as np
import pandas as pd
import pytest

import aletheia_like as al
from aletheia_like.model.rows import ABSENT

OURS = ("timestamp", "run_id")


@pytest.fixture
def exper(ms):
    """An experiment whose runs end with the test."""
    yield ms.exper("e")
    for live in ms.session.live_runs.runs():
        live.finish()


@pytest.fixture
def run(exper):
    return exper.start_run(id="r")


@pytest.fixture
def local_run():
    """A run over memory, for what no store has a say in."""
    with al.Metastore("p", url="memory://", git="off") as metastore:
        yield metastore.exper("e").start_run(id="r")


def own(rows):
    """Return rows without the columns that every row has."""
    return [{k: v for k, v in row.items() if k not in OURS} for row in rows]


def table(*rows):
    """Return rows as they are read, without a store."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name, ABSENT) for row in rows] for name in names}
    return al.Rows(columns, len(rows))


def test_a_logged_row_is_read_back_by_its_run(ms, run):  # Q1
    run.set_params({"run": "r"})
    run.log(config={"foo": "bar"})

    (row,) = ms.rows(run_id="r")

    assert (row["config"], row["run"], row["run_id"]) == ({"foo": "bar"}, "r", "r")


def test_rows_outlive_their_process(open_ms, run):  # Q1, R22
    run.log(loss=0.5)
    run.flush()

    other = open_ms()

    assert other.experiment("e").run("r").rows()["loss"] == [0.5]


def test_reading_does_not_change_rows(run):  # Q2
    run.log(config={"a": {"b": 1}})
    run.log(config={"a": {"c": 2}})
    before = run.rows().to_dicts()

    run.latest("config")["a"]["b"] = 5
    rows = run.rows()
    rows.latest("config")
    rows.latest("*", index="run_id")

    assert rows.to_dicts() == run.rows().to_dicts() == before


def test_rows_stay_in_the_order_they_were_logged_in(run):  # Q2
    for number in range(50):
        run.log(n=number)
        if number % 20 == 0:
            run.flush()

    assert run.rows()["n"] == list(range(50))
    run.finish()
    assert run.rows()["n"] == list(range(50))


def test_log_takes_a_dictionary_and_keywords_which_win(run):  # Q3
    stored = run.log({"a": 1, "c": 1}, b=2, c=3)

    assert own([stored]) == own(run.rows()) == [{"a": 1, "c": 3, "b": 2}]


def test_get_by_several_keys(ms, run):  # Q4
    run.log(step=1, loss=2.0)
    run.log(step=2, loss=1.0)
    run.log(loss=0.5)

    assert run.get(step=2, loss=0.5)["loss"] == [0.5]
    assert len(run.get(step=2)) == 2
    assert ms.rows(run_id="r", step=1)["loss"] == [2.0]
    assert len(run.get(step=1, loss=1.0)) == 0
    assert len(run.get(unknown=1)) == 0


def test_get_does_not_take_one_for_true(local_run):  # Q4
    local_run.log_batch([{"a": 1}, {"a": True}, {"a": 1.0}, {"a": None}, {"b": 1}])

    assert local_run.get(a=1)["a"] == [1, 1.0]
    assert local_run.get(a=True)["a"] == [True]
    assert len(local_run.get(a=None)) == 1


def test_filter_by_a_predicate_gives_rows_again(run):  # Q5
    run.log_batch([{"loss": 9.5}, {"loss": 4.0}, {"acc": 1}, {"loss": 3.0}])

    rows = run.filter(lambda row: row.get("loss", 9) < 5)

    assert rows["loss"] == [4.0, 3.0]
    assert rows.latest("loss") == 3.0


def test_filter_by_predicates_of_columns(local_run):  # Q5
    local_run.log_batch([{"loss": 9.5}, {"loss": 4.0}, {"acc": 1}])
    rows = local_run.rows()

    assert rows.filter({"loss": lambda value: value < 5})["loss"] == [4.0]
    assert rows.filter({"loss": 9.5})["loss"] == [9.5]
    assert len(rows.filter({"unknown": lambda value: True})) == 0


def test_an_error_of_a_predicate_goes_on_to_the_caller(local_run):  # Q5
    local_run.log_batch([{"a": 1}, {"b": 1}])

    with pytest.raises(KeyError):
        local_run.filter(lambda row: row["a"] == 1)


def test_latest_of_one_column(run):  # Q6
    run.log(step=1, loss=42)
    run.log(step=2)
    run.log(loss=4.2)

    assert run.latest("loss") == 4.2
    assert run.latest("unknown") is None


def test_latest_of_several_columns(run):  # Q7
    run.log(step=1, loss=42)
    run.log(step=2)
    run.log(loss=4.2)

    assert run.latest(["loss", "step", "unknown"]) == {"loss": 4.2, "step": 2}


def test_latest_merges_dictionaries_deeply(run):  # Q8
    run.log(config={"foo": "bar", "opt": {"lr": 1, "name": "adam"}})
    run.log(config={"hello": "world", "opt": {"lr": 2}})

    assert run.latest("config") == {
        "foo": "bar",
        "opt": {"lr": 2, "name": "adam"},
        "hello": "world",
    }
    assert run.latest("config", deep_merge=False) == {"hello": "world", "opt": {"lr": 2}}


def test_what_is_no_dictionary_ends_the_merge():  # Q8
    assert table({"c": {"a": 1}}, {"c": 5}, {"c": {"b": 2}}).latest("c") == {"b": 2}
    assert table({"c": {"a": 1}}, {"c": 5}).latest("c") == 5


def test_latest_takes_none_for_no_value():  # Q6, Q9
    rows = table({"step": 1, "loss": 0.5}, {"step": 1, "loss": None})

    assert rows.latest("loss") == 0.5
    assert rows.latest("loss", index="step")["loss"].tolist() == [0.5]


def test_latest_by_an_index(run):  # Q9
    run.log(step=2, loss=1.0)
    run.log(step=1, loss=42)
    run.log(step=2, acc=0.5)
    run.log(loss=4.2)

    frame = run.latest("loss", index="step")

    assert list(frame.columns) == ["step", "loss"]
    assert frame.to_numpy().tolist() == [[1.0, 42.0], [2.0, 4.2]]
    assert frame.index.tolist() == [0, 1]
    pd.testing.assert_frame_equal(frame, run.latest(["loss"], index=["step"]))


def test_latest_by_an_index_merges_and_replaces():  # Q8, Q9
    rows = table(
        {"step": 1, "c": {"a": 1}}, {"step": 2, "c": {"z": 0}}, {"step": 1, "c": {"b": 2}}
    )

    assert rows.latest("c", index="step")["c"].tolist() == [{"a": 1, "b": 2}, {"z": 0}]
    assert rows.latest("c", index="step", deep_merge=False)["c"].tolist() == [{"b": 2}, {"z": 0}]


def test_latest_by_several_columns(run):  # Q10
    run.log(step=1, input="b", output="x")
    run.log(step=1, input="a", output="y")
    run.log(step=1, input="a", output="z")
    run.log(step=2, input="a", output="w")

    frame = run.latest("output", index=["step", "input"])

    assert frame.to_numpy().tolist() == [[1, "a", "z"], [1, "b", "x"], [2, "a", "w"]]


def test_an_absent_index_gives_an_empty_frame():  # Q10
    frame = table({"loss": 1}).latest("loss", index=["step", "loss"])

    assert len(frame) == 0
    assert list(frame.columns) == ["step", "loss"]


def test_an_index_may_hold_what_cannot_be_sorted_or_hashed():  # Q10
    rows = table({"k": [1], "v": 1}, {"k": "a", "v": 2}, {"k": [1], "v": 3}, {"k": None, "v": 4})

    assert rows.latest("v", index="k").to_numpy().tolist() == [[[1], 3], ["a", 2]]


def test_groups_without_values_are_dropped_unless_they_are_wanted():  # Q11
    rows = table({"step": 1}, {"step": 2, "loss": 1.0})

    assert rows.latest("loss", index="step")["step"].tolist() == [2]
    kept = rows.latest("loss", index="step", keep_rows_without_values=True)
    assert kept["step"].tolist() == [1, 2]
    assert math.isnan(kept["loss"][0])


def test_latest_of_everything(run):  # Q12
    run.log(a=1)
    last = run.log(b=None, c="x")

    latest = run.latest()

    assert latest == {"a": 1, "c": "x", "timestamp": last["timestamp"], "run_id": "r"}
    by_run = run.latest("*", index="run_id").to_dict("records")
    assert by_run == [{"run_id": "r", "a": 1, "b": None, "c": "x"}]


def test_contexts_nest_and_end_with_their_block(run):  # Q13
    with run.context(phase="train", fold=1):
        run.log(a=1)
        with run.context(phase="val", batch=2):
            run.log(a=2)
        run.log(a=3, fold=9)
    run.log(a=4)

    assert own(run.rows()) == [
        {"phase": "train", "fold": 1, "a": 1},
        {"phase": "val", "fold": 1, "batch": 2, "a": 2},
        {"phase": "train", "fold": 9, "a": 3},
        {"a": 4},
    ]


def test_a_context_ends_with_an_exception_too(local_run):  # Q13
    with pytest.raises(ZeroDivisionError), local_run.context(phase="train"):
        1 / 0  # noqa: B018

    assert own([local_run.log(a=1)]) == [{"a": 1}]


def test_a_context_is_of_its_thread_and_its_run(local_run, ms):  # Q13
    other = ms.exper("other").start_run()
    with local_run.context(phase="train"):
        thread = threading.Thread(target=lambda: local_run.log(a=1))
        thread.start()
        thread.join()
        other.log(a=1)

    assert own(local_run.rows()) == own(other.rows()) == [{"a": 1}]


def test_an_ended_run_takes_no_rows(run):  # Q14
    run.log(a=1)
    run.finish()

    with pytest.raises(al.ReadOnlyError, match="has ended"):
        run.log(a=2)
    with pytest.raises(al.ReadOnlyError), run.context(a=1):
        pass
    assert run.rows()["a"] == [1]


def test_a_step_goes_on_to_later_rows(exper, run):  # Q15
    run.log(loss=9.0)
    run.log(step=2)
    run.log(loss=4.2)
    run.log(loss=1.0, step=None)
    run.log(loss=0.5)

    assert run.rows()["step"] == [None, 2, 2, None, 2]
    assert "step" not in exper.start_run().log(loss=1)


def test_a_refused_row_leaves_no_step(local_run):  # Q15
    with pytest.raises(al.InvalidValueError):
        local_run.log({"step": 7, "": 1})

    assert "step" not in local_run.log(a=1)


def test_each_row_has_a_time_with_a_zone_and_its_run(run):  # Q16
    before = dt.datetime.now(dt.UTC)
    stored = run.log(a=1)

    (row,) = run.rows()

    assert row == stored
    assert before <= row["timestamp"] <= dt.datetime.now(dt.UTC)
    assert row["timestamp"].utcoffset() == dt.timedelta()
    assert run.environment.cwd
    assert run.environment.command
    assert run.started_at <= row["timestamp"]


def test_a_row_may_bring_its_own_time(run):  # Q16
    when = dt.datetime(2020, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    run.log(a=1)
    run.log(a=2, timestamp=when)
    run.finish()

    assert run.rows()["timestamp"][1] == when
    assert run.rows()["a"] == [1, 2]


@pytest.mark.parametrize("year", [1, 1900, 2100])
def test_a_far_time_is_read_as_it_was_returned(local_run, year):  # Q16
    stored = local_run.log(a=1, timestamp=dt.datetime(year, 1, 1, 1, 1, 1, 123457, tzinfo=dt.UTC))
    local_run.finish()

    assert local_run.rows()[0] == stored


@pytest.mark.parametrize(
    "when",
    [
        dt.datetime(2020, 1, 1),
        "2020-01-01",
        5,
        None,
        pd.NaT,
        dt.datetime.max.replace(tzinfo=dt.UTC),
    ],
)
def test_a_time_of_its_own_has_a_zone(local_run, when):  # Q16
    with pytest.raises(al.InvalidValueError, match="timestamp"):
        local_run.log(a=1, timestamp=when)

    assert len(local_run.rows()) == 0


def test_a_row_may_name_its_own_run_only(local_run):  # Q16
    local_run.log(a=1, run_id="r")

    with pytest.raises(al.InvalidValueError, match="run_id"):
        local_run.log(a=1, run_id="another")
    with pytest.raises(al.InvalidValueError, match="run_id"):
        local_run.set_params({"run_id": "r"})


def test_params_reach_later_rows_and_the_row_wins(run):  # Q17
    run.log(a=1)
    run.set_params({"model": "resnet18", "epoch": 0})
    run.set_params({"dataset": "cifar10"})
    stored = run.log(a=2, epoch=5)

    assert own([stored]) == [{"model": "resnet18", "epoch": 5, "dataset": "cifar10", "a": 2}]
    assert own(run.rows()) == [{"a": 1}, *own([stored])]


def test_a_value_is_set_back_in_time(exper, run):  # Q18
    other = exper.start_run()
    other.log(epoch=1)
    run.log(epoch=1)
    run.log(epoch=2, acc=0.1)

    run.set_value("acc", 0.9)
    run.log(epoch=3)

    expected = [{"epoch": 1, "acc": 0.9}, {"epoch": 2, "acc": 0.9}, {"epoch": 3}]
    assert own(run.rows()) == expected
    run.finish()
    assert own(run.rows()) == expected
    assert own(other.rows()) == [{"epoch": 1}]


def test_a_value_is_set_where_others_are(run):  # Q19
    run.log_batch([{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"b": "x"}])

    run.set_value("c", 7, where={"a": 1, "b": "x"})
    run.set_value("a", 5, where={"c": 7})

    assert run.rows()["c"] == [7, None, None, None]
    assert run.rows()["a"] == [5, 1, 2, None]


def test_a_long_value_is_set_too(run):  # Q18, M25
    run.log(a=1)
    run.set_value("report", "x" * 200_000)
    run.set_value("config", {"values": list(range(30_000))})
    run.finish()

    (row,) = run.rows()

    assert row["report"] == "x" * 200_000
    assert len(row["config"]["values"]) == 30_000


def test_the_returned_row_is_the_last_that_is_read(run):  # Q20
    run.set_params({"model": "resnet18"})
    with run.context(phase="train"):
        stored = run.log({"accuracy": np.float32(0.5), "tags": ("a", "b")}, epoch=1)

    assert run.rows()[-1] == stored
    assert (stored["accuracy"], stored["tags"]) == (0.5, ["a", "b"])


def test_frames_of_one_run_and_of_all(ms, exper, run):  # Q21
    run.log(a=1)
    run.log(a=2, b="x")
    other = exper.start_run(id="s")
    other.log(c=0.5)

    mine, everything = run.rows().to_pandas(), ms.rows().to_pandas()

    assert mine["a"].tolist() == [1, 2]
    assert pd.isna(mine["b"][0])
    assert list(mine.columns) == ["a", "b", *OURS]
    assert everything["run_id"].tolist() == ["r", "r", "s"]
    assert everything["experiment"].tolist() == ["e", "e", "e"]
    assert pd.isna(everything["c"][0])


def test_rows_of_all_runs_can_be_chosen(ms, exper, run):  # Q21
    run.log(a=1)
    with ms.exper("other").start_run(id="r") as other:
        other.log(a=1)
        other.log(a=2)

    assert len(ms.rows()) == 3
    assert len(ms.rows(run_id="r", a=1)) == 2
    assert ms.rows(experiment="other")["a"] == [1, 2]
    assert ms.rows(experiment="e", run_id="r")["a"] == [1]
    assert len(ms.rows(experiment="unknown")) == 0
    assert len(ms.rows(run_id="unknown")) == 0


def test_rows_of_all_runs_lie_by_time_but_never_across_a_runs_own_order(ms, exper, run):  # Q21
    run.log(a=1)
    other = exper.start_run(id="s")
    other.log(a=2)
    run.log(a=3)
    run.log(a=4, timestamp=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))

    assert ms.rows()["a"] == [1, 2, 3, 4]


def test_a_column_called_experiment_is_the_users(ms, run):  # Q29
    run.log(a=1, experiment="mine")
    run.log(a=2)

    assert ms.rows(experiment="e")["experiment"] == ["mine", "e"]


def test_a_run_opened_for_reading_here_shows_what_is_not_sent_yet(ms, exper, run):  # Q26
    run.log(a=1)

    assert exper.run("r").rows()["a"] == [1]
    assert ms.experiment("e").run("r").rows()["a"] == [1]


def test_columns_by_name_and_rows_by_number(run):  # Q22
    run.log_batch([{"accuracy": 0.1}, {"loss": 1}, {"accuracy": 0.3}])
    rows = run.rows()

    assert rows["accuracy"] == [0.1, None, 0.3]
    assert (rows[0]["accuracy"], rows[-1]["accuracy"]) == (0.1, 0.3)
    assert "accuracy" not in rows[1]
    assert "accuracy" in rows
    assert rows[1:]["accuracy"] == [None, 0.3]
    with pytest.raises(al.NotFoundError, match="no column 'acc': there is accuracy"):
        rows["acc"]
    with pytest.raises(IndexError):
        rows[3]


def test_rows_print_as_a_table():  # Q22
    rows = table(*({"a": n, "note": "x" * 100} for n in range(30)))

    shown = str(rows).splitlines()
    assert [line.split()[0] for line in shown[:2]] == ["a", "0"]
    assert shown[-1] == "[30 rows x 2 columns]"
    assert len(shown) == 18
    assert str(rows.get(a=99)) == "[0 rows x 0 columns]"
    assert repr(rows) == str(rows)
    assert "<th>note</th>" in rows._repr_html_()


def test_head_tail_and_length(run):  # Q23
    run.log_batch({"n": n} for n in range(7))
    rows = run.rows()

    assert len(rows) == 7
    assert (rows.head(2)["n"], rows.tail(2)["n"]) == ([0, 1], [5, 6])
    assert (len(rows.head()), len(rows.tail()), len(rows.tail(99))) == (5, 5, 7)
    assert (len(rows.head(0)), len(rows.tail(0))) == (0, 0)
    with pytest.raises(al.InvalidValueError):
        rows.head(-1)


def test_a_csv_file_is_read_back_equal(run, tmp_path):  # Q23
    run.log_batch([{"a": 1, "b": 'x,"y"\n'}, {"a": 2}, {"a": 3, "b": "é", "c": {"d": [1]}}])

    frame = pd.read_csv(run.rows().to_csv(tmp_path / "rows.csv"))

    assert frame["a"].tolist() == [1, 2, 3]
    assert frame["b"].dropna().tolist() == ['x,"y"\n', "é"]
    assert frame["c"][2] == '{"d": [1]}'
    assert pd.to_datetime(frame["timestamp"], utc=True).tolist() == run.rows()["timestamp"]


def test_a_parquet_file_is_read_back_equal(run, tmp_path):  # Q23
    run.log_batch([{"a": 1, "b": 0.5, "l": [1, 2]}, {"a": 2, "b": math.nan}, {"s": "x"}])
    rows = run.rows()

    frame = pd.read_parquet(rows.to_parquet(tmp_path / "rows.parquet"))

    assert frame["a"].tolist()[:2] == [1, 2]
    assert frame["l"][0].tolist() == [1, 2]
    assert frame["s"][2] == "x"
    assert frame["timestamp"].tolist() == rows["timestamp"]


def test_whatever_is_in_rows_goes_into_every_kind_of_table(local_run, tmp_path):  # Q23
    pytest.importorskip("polars")
    path = tmp_path / "f.txt"
    path.write_text("x")
    first = {"file": al.File(path), "dict": {"a": 1}, "mixed": 1, "list": [1, "x"], "huge": 2**70}
    second = {"dict": {"a": "x", "f": al.File(path)}, "mixed": "x", "list": [[1]], "b": b"x"}
    more = {"z": 1 + 2j, "day": dt.date(2020, 1, 1), "empty": {}, "none": None, "nothing": []}
    local_run.log_batch([first, second, more])
    rows = local_run.rows()

    rows.to_parquet(tmp_path / "rows.parquet")
    rows.to_csv(tmp_path / "rows.csv")

    arrow, polars = rows.to_arrow().to_pylist(), rows.to_polars().to_dicts()
    assert arrow[0]["file"] == polars[0]["file"] == rows["file"][0].digest
    assert arrow[0]["dict"] == polars[0]["dict"] == '{"a": 1}'
    assert [row["mixed"] for row in arrow] == ["1", "x", None]
    assert arrow[0]["list"] == polars[0]["list"] == '[1, "x"]'
    assert arrow[0]["huge"] == polars[0]["huge"] == str(2**70)
    assert arrow[2]["day"] == polars[2]["day"] == dt.date(2020, 1, 1)
    assert len(rows.to_pandas()) == 3


def test_a_batch_of_thousands_loses_none(run):  # Q28
    when = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    count = run.log_batch({"n": n, "timestamp": when} for n in range(5_000))
    run.finish()

    rows = run.rows()
    assert count == len(rows) == 5_000
    assert rows["n"] == list(range(5_000))
    assert set(rows["timestamp"]) == {when}


def test_a_batch_may_be_a_frame(local_run):  # Q28
    pl = pytest.importorskip("polars")
    columns = {"a": [1, 2], "b": ["x", "y"]}

    assert local_run.log_batch(pd.DataFrame(columns)) == 2
    assert local_run.log_batch(pl.DataFrame(columns)) == 2
    assert own(local_run.rows()) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}] * 2


@pytest.mark.parametrize("rows", [{"a": 1}, "text", [5], [["a", 1]]])
def test_a_batch_is_of_mappings(local_run, rows):  # Q28
    with pytest.raises(al.InvalidValueError):
        local_run.log_batch(rows)


def test_a_row_is_a_mapping(local_run):
    for wrong in (5, "text", [("a", 1)], pd.Series({"a": 1})):
        with pytest.raises(al.InvalidValueError, match="a row is a mapping"):
            local_run.log(wrong)


def test_an_empty_row_is_a_warning(local_run):
    with pytest.warns(UserWarning, match="an empty row is not logged"):
        assert local_run.log({}) == {}

    assert len(local_run.rows()) == 0


@pytest.mark.parametrize(
    "name",
    ["a b", "@@", "@set", "@stream", "@", ".", "a.b", "a/b", "x" * 200, "__x__", "é",
     "a; DROP TABLE x", "'", '"', "\\", "\n", "columns", "self", "row"],
)  # fmt: skip
def test_any_text_names_a_column(ms, run, name):  # Q29
    stored = run.log({name: 1, "other": 2})
    run.log({name: 3})
    run.set_value("new", 5, where={name: 1})

    assert stored[name] == 1
    assert run.rows()[name] == [1, 3]
    assert run.get(**{name: 3})[name] == [3]
    assert run.latest(name) == 3
    run.finish()
    assert own(run.rows()) == [{name: 1, "other": 2, "new": 5}, {name: 3}]


def test_whole_numbers_name_columns_by_their_text(run):  # Q29
    assert own([run.log({1: "a", -2: "b"})]) == [{"1": "a", "-2": "b"}]
    assert own(run.rows()) == [{"1": "a", "-2": "b"}]


@pytest.mark.parametrize("row", [{1: 1, "1": 2}, {"": 1}, {None: 1}, {1.5: 1}, {"x" * 1_501: 1}])
def test_other_names_are_refused_and_nothing_is_written(local_run, row):  # Q29
    with pytest.raises(al.InvalidValueError):
        local_run.log(row)

    assert len(local_run.rows()) == 0


def test_any_value_comes_back(run):  # Q34, M26
    noon = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    row = {
        "none": None,
        "bool": True,
        "int": -7,
        "huge": 2**70 + 1,
        "float": 0.1,
        "nan": math.nan,
        "inf": -math.inf,
        "text": "é\u2028\x00",
        "bytes": b"\x00\xff",
        "aware": noon,
        "naive": dt.datetime(2026, 1, 31, 12),
        "date": dt.date(2026, 1, 31),
        "delta": dt.timedelta(microseconds=1),
        "nested": {"a": [[1, {"b": math.inf}], []], 1: {"@x": None}},
    }
    run.log(row)
    run.log(row)
    run.finish()

    for read in own(run.rows()):
        assert math.isnan(read.pop("nan"))
        assert read == {key: value for key, value in row.items() if key != "nan"}
        assert [type(value) for value in read.values()] == [
            type(value) for key, value in row.items() if key != "nan"
        ]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int8(3), 3),
        (np.bool_(True), True),
        (np.arange(3), [0, 1, 2]),
        (np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
        ((1, 2), [1, 2]),
        ({3, 1}, [1, 3]),
        (pd.Timestamp("2026-01-31", tz="UTC"), dt.datetime(2026, 1, 31, tzinfo=dt.UTC)),
        (pd.Series([1, 2]), [1, 2]),
        ({1: "a"}, {1: "a"}),
    ],
    ids=str,
)
def test_what_resembles_a_value_becomes_one(local_run, value, stored):  # Q34, M26
    assert local_run.log(x=value)["x"] == stored
    (read,) = local_run.rows()["x"]
    assert read == stored
    assert type(read) is type(stored)


@pytest.mark.parametrize("value", ["\ud800", 10**4_000, (lock for lock in ()), threading.Lock()])
def test_what_cannot_be_stored_is_refused_and_nothing_is_written(local_run, value):  # Q34, M26
    with pytest.raises(al.InvalidValueError):
        local_run.log(x=value, y=1)

    assert len(local_run.rows()) == 0


def test_the_second_of_two_like_rows_is_as_exact_as_the_first(local_run):  # Q34, M26
    values = [2**70 + 1, math.nan, None, "null", True, 10**18, -0.0, "x" * 100_000]
    for value in values:
        local_run.log(x=value)
        local_run.log(x=value)
    local_run.flush()

    read = local_run.rows()["x"]

    assert [repr(one) for one in read] == [repr(one) for one in values for _ in range(2)]


def test_the_summary_is_of_every_numeric_column(run):  # Q33
    run.log(step=1, loss=2.0, acc=5, name="x", ok=True)
    run.log(step=2, loss=0.5, note=math.nan)
    run.log(step=3, loss=math.nan)
    run.finish()

    summary = run.summary

    assert summary["acc"] == {"last": 5, "min": 5, "max": 5, "step": 1}
    assert (summary["loss"]["min"], summary["loss"]["max"]) == (0.5, 2.0)
    assert math.isnan(summary["loss"]["last"])
    assert summary["loss"]["step"] == 3
    assert set(summary) == {"loss", "acc", "note"}


def test_the_summary_knows_values_that_were_set(ms, exper, run):  # Q18, Q33
    run.log_batch([{"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 2, "c": 2}])
    run.set_value("a", 9)
    run.set_value("b", 9, where={"c": 1})
    run.set_value("c", "text")
    run.set_value("d", 4)
    run.finish()

    expected = {"a": (9, 9, 9), "b": (2, 2, 9), "d": (4, 4, 4)}
    for found in (run.summary, exper.run("r").summary):
        assert {k: (v["last"], v["min"], v["max"]) for k, v in found.items()} == expected


def test_a_value_set_before_any_row_has_no_summary(run):  # Q18
    run.set_value("early", 5)
    run.log(a=1)
    run.finish()

    assert set(run.summary) == {"a"}


def test_integers_beyond_64_bits_do_not_stop_a_run(open_ms, run):  # M26
    for value in (2**64, -(2**100), 10**1_000):
        run.log(x=value)
    run.finish()

    loaded = open_ms().experiment("e").run("r")
    assert loaded.rows()["x"] == [2**64, -(2**100), 10**1_000]
    assert loaded.summary["x"] == {"last": math.inf, "min": -float(2**100), "max": math.inf}


def test_a_long_text_and_a_long_list_pass_no_limit(open_ms, run):  # M25
    text, numbers = "é" * 2_500_000, list(range(200_000))
    stored = run.log(text=text, numbers=numbers, small=1)
    run.finish()

    (row,) = open_ms().experiment("e").run("r").rows()

    assert row["text"] == stored["text"] == text
    assert row["numbers"] == stored["numbers"] == numbers


def test_a_row_of_very_many_columns_is_stored_or_refused(open_ms, run):  # M25
    run.log({f"column {n}": n / 7 for n in range(20_000)})
    with pytest.raises(al.InvalidValueError, match="log it in parts"):
        run.log({f"column {n}": "x" * 100 for n in range(20_000)})
    run.log(a=1)
    run.finish()

    rows = open_ms().experiment("e").run("r").rows()
    assert len(rows) == 2
    assert rows["column 19999"] == [19999 / 7, None]


def test_many_long_names_pass_no_limit(open_ms, run):  # M25
    for start in range(0, 2_000, 100):
        run.log({f"{n} {'x' * 1_000}": n for n in range(start, start + 100)})
    run.finish()

    loaded = open_ms().experiment("e").run("r")
    assert len(loaded.rows().columns) == 2_002
    assert 100 < len(loaded.summary) <= 1_000


def test_rows_whose_columns_differ_pass_no_limit(open_ms, run):  # M25
    run.log_batch({f"column {n}": n, f"other {n}": "x"} for n in range(1_500))
    run.finish()

    rows = open_ms().experiment("e").run("r").rows()
    assert len(rows) == 1_500
    assert rows[1_000]["column 1000"] == 1_000


def test_a_reader_sees_counts_that_only_grow(open_ms, run):  # Q26
    reader = open_ms()
    seen = []
    done = threading.Event()

    def look():
        while not done.is_set():
            seen.append(reader.experiment("e").run("r").rows()["n"] if seen else [])
            time.sleep(0.02)

    thread = threading.Thread(target=look)
    run.flush()
    run.log(n=0)
    run.flush()
    thread.start()
    for n in range(1, 3_000):
        run.log(n=n)
        if n % 300 == 0:
            run.flush()
    run.finish()
    done.set()
    thread.join()

    assert all(rows == list(range(len(rows))) for rows in seen)
    assert sorted(map(len, seen)) == list(map(len, seen))
    assert len(seen) > 2


def test_two_writers_of_one_run_in_one_process_see_each_other(exper, run):  # Q27
    other = exper.start_run(id="r", resume="must")
    run.log(a=1)
    other.log(a=2)
    run.log(a=3)

    assert run.rows()["a"] == other.rows()["a"] == [1, 2, 3]
    other.finish()
    run.finish()
    assert run.rows()["a"] == [1, 2, 3]


def test_threads_of_one_run_lose_no_row(run):  # Q27
    def work(name):
        for n in range(200):
            run.log({"thread": name, "n": n, f"only {name}": n})

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()

    rows = run.rows()
    assert len(rows) == 800
    for name in range(4):
        assert rows.get(thread=name)["n"] == list(range(200))


def test_what_pandas_puts_for_a_missing_value_is_none(local_run):  # Q34
    local_run.log({"at": pd.NaT, "count": pd.NA})

    assert own(local_run.rows()) == [{"at": None, "count": None}]


def test_a_context_takes_columns_that_are_no_python_names(local_run):  # Q13
    with local_run.context({"learning rate": 1, "@x": 2}, a=3):
        local_run.log(b=4)

    assert own(local_run.rows()) == [{"learning rate": 1, "@x": 2, "a": 3, "b": 4}]


@pytest.mark.parametrize(
    "misuse",
    [
        lambda run: run.log_batch(None),
        lambda run: run.set_params(5),
        lambda run: run.set_value("a", 1, where="a = 1"),
        lambda run: run.context(5).__enter__(),
        lambda run: run.log({"\ud800": 1}),
        lambda run: run.add_metrics([("a", 1)]),
        lambda run: run.wrap(params=5)(len)([]),
        lambda run: run.filter("a = 1"),
        lambda run: run.latest(5),
        lambda run: run.latest("a", index=5),
        lambda run: run.latest("a", index=[]),
        lambda run: run.rows()[["a"]],
        lambda run: run.rows()[None],
        lambda run: run.rows().to_csv("/"),
    ],
)
def test_misuse_is_told_by_the_errors_of_this_package(local_run, misuse):  # Q29
    local_run.log(a=1)

    with pytest.raises(al.InvalidValueError):
        misuse(local_run)
    assert own(local_run.rows()) == [{"a": 1}]
