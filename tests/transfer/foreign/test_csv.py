"""CSV files, as pandas and people write them."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

import aletheia_like as al
from tests.transfer.foreign.conftest import everything, what_is_left

HEAD = "timestamp,step,loss,note,ok\n"
FIRST = "1700000000.5,0,1,one,true\n1700000001,1,,,false\n"
NEXT = '1700000002,2,0.25,"a, ""b""\nc",true\n'


def text(run, column):
    return [row.get(column) for row in run.rows().to_dicts()]


def test_a_file_is_a_run_and_its_columns_have_types(ms, tmp_path):
    (tmp_path / "first.csv").write_text(HEAD + FIRST + NEXT)

    told = ms.import_(tmp_path / "first.csv")

    run = ms.experiment("first").run("first")
    assert (told.format, told.runs, told.rows, told.left) == ("csv", 1, 3, ())
    assert text(run, "step") == [0, 1, 2]
    assert text(run, "loss") == [1.0, None, 0.25]
    assert text(run, "note") == ["one", None, 'a, "b"\nc']
    assert text(run, "ok") == [True, False, True]
    assert run.started_at == dt.datetime(2023, 11, 14, 22, 13, 20, 500_000, dt.UTC)
    assert (run.ended_at - run.started_at).total_seconds() == 1.5


def test_each_file_of_a_folder_is_a_run(ms, tmp_path):
    folder = tmp_path / "sweep"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.csv").write_text(HEAD + FIRST)

    told = ms.import_(folder)

    assert (told.runs, told.rows) == (2, 4)
    assert sorted(ms.experiment("sweep").runs().ids) == ["a", "b"]


def test_a_column_can_tell_runs_apart(ms, tmp_path):
    table = pd.DataFrame(
        {"which": ["01", "2", "01"], "at": pd.to_datetime(["2026-01-31"] * 3), "loss": [1, 2, 3]}
    )
    table.to_csv(tmp_path / "all.csv", index=False)

    ms.import_(tmp_path / "all.csv", experiment="e", run_column="which", time_column="at")

    exper = ms.experiment("e")
    assert sorted(exper.runs().ids) == ["01", "2"]
    assert exper.run("01").rows()["loss"] == [1, 3]
    assert exper.run("2").started_at == dt.datetime(2026, 1, 31, tzinfo=dt.UTC)


def test_nan_is_a_number_and_words_are_words(ms, tmp_path):
    (tmp_path / "a.csv").write_text(
        "timestamp,loss,step,country,ok\n1,nan,NaN,NA,True\n2,0.5,2,None,NA\n3,NA,3,nan,False\n"
    )

    ms.import_(tmp_path / "a.csv")

    rows = ms.experiment("a").run("a").rows()
    assert repr(rows["loss"]) == "[nan, 0.5, None]"
    assert repr(rows["step"]) == "[nan, 2, 3]"
    assert rows["country"] == ["NA", "None", "nan"]
    assert rows["ok"] == [True, None, False]


def test_what_we_export_as_csv_is_imported_as_it_was(ms, tmp_path):  # Q23
    with ms.exper("mine").start_run() as run:
        run.log(loss=1.5, note="None")
        run.log(loss=float("nan"), note="a,b")
        run.log(loss=float("inf"))
    run.rows().to_csv(tmp_path / "rows.csv")

    ms.import_(tmp_path / "rows.csv")

    back = ms.experiment("rows").run("rows").rows()
    assert repr(back["loss"]) == "[1.5, nan, inf]"
    assert back["note"] == ["None", "a,b", None]


def test_rows_without_times_have_that_of_the_file_which_is_told(ms, tmp_path):
    (tmp_path / "x.csv").write_text("loss\n1\n2\n")

    told = ms.import_(tmp_path / "x.csv")

    assert what_is_left(told) == {"time of rows": 2}
    assert ms.experiment("x").run("x").rows()["loss"] == [1, 2]


@pytest.mark.parametrize("head", [HEAD, HEAD.replace("timestamp", "seconds")])
def test_importing_again_adds_only_what_is_new(ms, tmp_path, head):
    path = tmp_path / "x.csv"
    path.write_text(head + FIRST)
    ms.import_(path)
    before = everything(ms)
    again = ms.import_(path)
    after = everything(ms)
    path.write_text(head + FIRST + NEXT)

    told, last = ms.import_(path), ms.import_(path)

    assert (again.runs, again.rows, again.changed, after) == (0, 0, 0, before)
    assert (told.runs, told.rows, told.changed) == (0, 1, 1)
    assert (last.rows, last.changed) == (0, 0)
    assert text(ms.experiment("x").run("x"), "loss") == [1, None, 0.25]


def test_rows_that_were_changed_are_told_and_ours_stay(ms, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(HEAD + FIRST)
    ms.import_(path)
    path.write_text(HEAD + FIRST.replace("one", "two") + NEXT)

    told = ms.import_(path)

    assert (told.rows, what_is_left(told)) == (0, {"row": 1})
    assert text(ms.experiment("x").run("x"), "note") == ["one", None]


def test_another_file_of_the_same_name_is_a_conflict(ms, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").write_text(HEAD + FIRST)
    ms.import_(tmp_path / "a" / "x.csv")

    with pytest.raises(al.ConflictError, match="run x/x"):
        ms.import_(tmp_path / "b" / "x.csv")
    told = ms.import_(tmp_path / "b" / "x.csv", rename=True)
    again = ms.import_(tmp_path / "b" / "x.csv", rename=True)

    assert (told.runs, again.runs, again.rows) == (1, 0, 0)
    assert len(ms.experiment("x").runs()) == 2


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("", al.InvalidValueError, "is empty"),
        ("a,b,a\n1,2,3\n", al.InvalidValueError, "'a' twice"),
        ("a,,c\n1,2,3\n", al.InvalidValueError, "nameless"),
        ("a,b\n1,2\n3\n", al.IntegrityError, "line 3 of .* 1 cells"),
        ("a,b\n1,2,3\n", al.IntegrityError, "line 2 of .* 3 cells"),
        ('a,b\n1,"2\n', al.IntegrityError, "no CSV file"),
        ("a,timestamp\n1,yesterday\n", al.IntegrityError, "row 1 .*'yesterday'"),
        ("a;b\n1;2\n", al.InvalidValueError, "part its cells by commas"),
        ("a,timestamp\n1,\n", al.IntegrityError, "no run or no time"),
        ("a,timestamp\n1,1e300\n", al.InvalidValueError, "no second since 1970"),
        ("a,timestamp\n1,-5\n", al.InvalidValueError, "no second since 1970"),
    ],
)
def test_what_is_damaged_is_refused_and_nothing_is_changed(ms, tmp_path, content, error, words):
    (tmp_path / "x.csv").write_text(content)

    with pytest.raises(error, match=words):
        ms.import_(tmp_path / "x.csv")

    assert ms.projects() == []


def test_what_is_no_text_is_refused(ms, tmp_path):
    (tmp_path / "x.csv").write_bytes(b"a,b\n\xff\xfe,2\n")
    (tmp_path / "y.csv").write_bytes(b"a,b\n\0,2\n")

    with pytest.raises(al.IntegrityError, match="no CSV file"):
        ms.import_(tmp_path / "x.csv")


def test_a_row_that_names_no_run_is_refused(ms, tmp_path):
    (tmp_path / "x.csv").write_text("which,loss\na,1\n,2\n")

    with pytest.raises(al.IntegrityError, match=r"row 2 .* has no run"):
        ms.import_(tmp_path / "x.csv", run_column="which")


def test_a_path_where_nothing_lies_is_told(ms, tmp_path):
    for name in ("x.csv", "x.txt", "x.db"):
        with pytest.raises(al.NotFoundError, match="nothing at"):
            ms.import_(tmp_path / name)


def test_a_column_that_is_not_there_is_named(ms, tmp_path):
    (tmp_path / "x.csv").write_text(HEAD + FIRST)

    with pytest.raises(al.InvalidValueError, match="no column 'who': it has timestamp, step"):
        ms.import_(tmp_path / "x.csv", run_column="who")


def test_hostile_names_stay_names(ms, tmp_path):
    rows = "run,a; DROP TABLE x,../../y,@at,__z__\n../../etc,1,2,3,4\n@x,1,2,3,4\n"
    (tmp_path / "x.csv").write_text(rows)

    told = ms.import_(tmp_path / "x.csv", run_column="run", experiment="a; DROP TABLE runs")

    exper = ms.experiment("a; DROP TABLE runs")
    assert sorted(exper.runs().ids) == ["../../etc", "x"]
    assert what_is_left(told)["name"] == 1
    assert exper.run("../../etc").rows()["a; DROP TABLE x"] == [1]
    assert exper.run("../../etc").rows()["@at"] == [3]
