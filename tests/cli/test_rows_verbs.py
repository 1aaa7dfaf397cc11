"""The verbs that show and change rows, as people and scripts call them."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest

import aletheia_like as al

USAGE, NOT_FOUND, CONFLICT = 2, 3, 5
DIGEST = "492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470"


def test_head_and_tail_are_in_the_order_of_logging(aletheia, logged):  # C1, Q23
    first = aletheia("head", "-n", 2, "p/sweep/1", "--json").json
    assert [row["step"] for row in first] == [0, 1]
    last = aletheia("tail", "-n", 3, "sweep/1", "-p", "p", "--json").json
    assert [row["step"] for row in last] == [9, 9, 9]
    assert last[1]["file"] == {"file": "table.csv", "sha256": DIGEST, "size": 8}
    assert last[2]["loss"] == "nan"
    assert last[2]["data"] == {"base64": "MTI="}


def test_head_of_an_experiment_shows_whose_row_it_is(aletheia, logged):
    shown = aletheia("head", "-n", 20, "sweep", "-p", "p")
    assert shown.out.split()[:4] == ["|", "run_id", "|", "step"]
    assert shown.err.strip() == "20 of 24 rows"
    assert aletheia("head", "p/sweep").out == aletheia("head", "sweep", "-p", "p").out


def test_a_table_keeps_a_row_on_a_line(aletheia, logged):
    lines = aletheia("head", "-n", 2, "p/sweep/1", "-c", "step,note").out.splitlines()
    assert lines == [
        "| step | note   |",
        "| ---- | ------ |",
        "| 0    | step⏎0 |",
        "| 1    | step⏎1 |",
    ]


def test_a_table_of_markdown_has_a_line_for_each_row(aletheia, logged):  # C1
    with logged.exper("sweep").start_run() as run:
        run.log(note="a|b", wide="größe", missing=None)
    shown = aletheia("tail", "--n", 3, f"p/sweep/{run.id}", "-c", "note,wide,missing").out
    assert shown.splitlines() == [
        "| note | wide  | missing |",
        "| ---- | ----- | ------- |",
        r"| a\|b | größe |         |",
    ]


def test_options_are_called_alike(aletheia, logged):
    assert aletheia("head", "--n", 2, "p/sweep/1") == aletheia("head", "-n", 2, "p/sweep/1")
    for verb in ("latest", "stats"):
        named = aletheia(verb, "p/sweep/1", "step", "loss", "--json")
        assert aletheia(verb, "p/sweep/1", "-c", "step,loss", "--json") == named


def test_no_rows_are_no_lines(aletheia, logged):
    assert aletheia("head", "-n", 0, "p/sweep/1").out == ""


def test_truth_is_shown_as_it_is_typed(aletheia, logged):
    aletheia("set", "checked=true", "p/sweep/1")
    assert aletheia("head", "-n", 1, "-c", "checked", "p/sweep/1").out.split()[-2] == "true"
    assert aletheia("latest", "p/sweep/1", "checked").out == "true\n"


def test_csv_is_what_the_rows_export(aletheia, logged, tmp_path):
    exported = logged.experiment("sweep").run(1).rows().to_csv(tmp_path / "rows.csv")
    printed = aletheia("head", "-n", 100, "p/sweep/1", "--csv").out
    with exported.open(newline="") as stream:
        assert list(csv.reader(io.StringIO(printed))) == list(csv.reader(stream))

    chosen = aletheia("tail", "-n", 1, "p/sweep/1", "--csv", "-c", "loss", "-c", "step").out
    assert chosen == "loss,step\nnan,9\n"


def test_what_was_logged_cannot_move_the_cursor(several, logged):
    with logged.exper("sweep").start_run() as run:
        run.log(note="\x1b[2Jgone\r\t[red]here", n=1, nested={"\x1b[2J": ["\x1b[2J"]})
    name = f"p/sweep/{run.id}"
    head, *others = several(120, ["head", name], ["latest", name], ["stats", "--top=1", "n", name])

    assert "·[2Jgone· [red]here" in head.out
    for shown in (head, *others):
        assert (shown.code, "\x1b" in shown.out) == (0, False)


def test_names_of_columns_are_shown_as_they_are(aletheia, logged):
    with logged.exper("sweep").start_run() as run:
        run.log({"loss[train]": 1, "a,b": 2, "new\nline": 3})
    name = f"p/sweep/{run.id}"
    assert aletheia("head", name).out.splitlines()[0].split()[1:6:2] == [
        "loss[train]",
        "a,b",
        "new⏎line",
    ]
    assert aletheia("head", name, "-c", "a\\,b,loss[train]", "--csv").out.splitlines() == [
        '"a,b",loss[train]',
        "2,1",
    ]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_table_fits_the_terminal(several, logged, columns):
    for shown in several(
        columns,
        ["head", "p/sweep/1"],
        ["tail", "p/sweep"],
        ["stats", "p/sweep"],
        ["latest", "p/sweep/1", "--index", "step"],
    ):
        assert shown.code == 0
        assert max(map(len, shown.out.splitlines())) <= columns


def test_hidden_columns_are_counted_and_named(terminal, logged):
    shown = terminal(40, "head", "p/sweep/1").out
    assert "1 column hidden, choose with -c: timest" in shown
    assert "5 of 12 rows" in shown


def test_infinity_and_texts_have_no_statistics_and_no_warning(aletheia, logged):  # C8
    with logged.exper("sweep").start_run() as run:
        run.log(loss=float("inf"), note="words")
        run.log(loss=1.0)
    name = f"p/sweep/{run.id}"
    told = aletheia("stats", name, "loss", "--json")
    assert (told.json["loss"]["max"], told.err) == ("inf", "")
    assert aletheia("stats", "--top", 1, "note", name).err.strip() == "note holds no numbers"


def test_who_gives_a_name_is_told_the_id(aletheia, logged):  # C10
    with logged.exper("sweep").start_run(name="best of all") as run:
        pass
    missing = aletheia("show", "p/sweep/best of all")
    assert missing.code == NOT_FOUND
    assert f"{run.id!r} is the newest of that name" in missing.err


def test_no_rows_yet_and_names_that_are_not_there(aletheia, logged):
    with logged.exper("sweep").start_run() as run:
        pass
    assert aletheia("head", f"p/sweep/{run.id}").err.strip() == "no rows yet"
    assert aletheia("latest", f"p/sweep/{run.id}").err.strip() == "no rows yet"
    assert aletheia("stats", f"p/sweep/{run.id}").err.strip() == "no numeric columns yet"
    assert aletheia("head", "p/sweep/99").code == NOT_FOUND
    assert aletheia("head", "p/nothing").code == NOT_FOUND
    missing = aletheia("head", "p/sweep/1", "-c", "los")
    assert (missing.code, "there are step, loss" in missing.err) == (NOT_FOUND, True)
    assert aletheia("head", "sweep").code == USAGE
    assert aletheia("head", "p/a/b/c").code == USAGE
    assert aletheia("latest", "p/sweep").code == USAGE


def test_the_project_may_come_from_the_settings(aletheia, logged):
    assert aletheia("head", "sweep/1", "--json", ALETHEIA_PROJECT="p").code == 0
    assert aletheia("head", "sweep", "--json", ALETHEIA_PROJECT="p").code == 0


def test_latest_is_a_value_for_scripts(aletheia, logged):  # Q6, Q7, Q8
    assert aletheia("latest", "p/sweep/1", "step").out == "9\n"
    assert aletheia("latest", "p/sweep/1", "note").out == "step\n9\n"
    assert json.loads(aletheia("latest", "p/sweep/1", "config").out) == {
        "a": {"b": 1, "c": [1, 2]}
    }
    assert aletheia("latest", "p/sweep/1", "config", "--no-merge").out == '{"a": {"c": [1, 2]}}\n'
    assert aletheia("latest", "p/sweep/1", "step", "note", "--json").json == {
        "step": 9,
        "note": "step\n9",
    }
    everything = aletheia("latest", "p/sweep/1").out
    assert "table.csv (8 B, 492d5ea49605)" in everything
    assert aletheia("latest", "p/sweep/1", "nothing").code == NOT_FOUND


def test_latest_by_an_index(aletheia, logged):  # Q9
    found = aletheia("latest", "p/sweep/1", "note", "--index", "step", "--json").json
    assert [row["step"] for row in found] == list(range(10))
    assert found[3] == {"step": 3, "note": "step\n3"}


def test_stats_are_those_of_pandas(aletheia, logged):  # C8
    losses = pd.Series(logged.experiment("sweep").run(1).rows()["loss"], dtype=float)
    expected = losses.describe()
    found = aletheia("stats", "p/sweep/1", "--json").json
    assert found.keys() == {"step", "loss"}
    last = found["loss"].pop("last")
    assert last == "nan"
    assert found["loss"] == pytest.approx(dict(expected))


def test_stats_of_rows_that_stand_out(aletheia, logged):  # C8
    top = aletheia("stats", "p/sweep", "--top", 2, "loss", "--json").json
    assert [(row["run_id"], row["loss"]) for row in top] == [("1", 1.0), ("1", 0.5)]
    bottom = aletheia("stats", "p/sweep/1", "step", "--bottom", 1, "loss", "--json").json
    assert bottom == [{"step": 9}]
    assert aletheia("stats", "p/sweep", "--top", 2, "los").code == NOT_FOUND


def test_set_changes_typed_values_where_asked(aletheia, logged):  # C2
    done = aletheia("set", "loss=0.8", "p/sweep/1", "--where", "step=3", "--yes")
    assert (done.code, done.err.strip()) == (0, "1 row changed, 1 matched")
    rows = logged.experiment("sweep").run(1).rows()
    assert rows.get(step=3)["loss"] == [0.8]
    assert rows.get(step=4)["loss"] == [0.2]
    assert aletheia("set", "checked=true", "p/sweep/2", "--json").json["changed"] == 12
    assert set(logged.experiment("sweep").run(2).rows()["checked"]) == {True}
    aletheia("set", 'label="7"', "p/sweep/2")
    aletheia("set", "word=plain text", "p/sweep/2")
    first = logged.experiment("sweep").run(2).rows()[0]
    assert (first["label"], first["word"]) == ("7", "plain text")


def test_set_asks_before_values_are_replaced(aletheia, several, logged):
    refused = aletheia("set", "loss=1", "p/sweep/1")
    assert (refused.code, "--yes" in refused.err) == (USAGE, True)
    dry = aletheia("set", "loss=1", "p/sweep/1", "--dry-run")
    assert (dry.code, dry.err.strip()) == (0, "12 rows would be changed, 12 matched")
    asked, shown = ["set", "loss=1", "p/sweep/1"], ["latest", "p/sweep/1", "loss", "--index=step"]
    declined, unchanged, agreed = several(80, asked, shown, asked, keys="n\ny\n")
    assert (declined.code, "nothing was changed" in declined.out) == (1, True)
    assert "0.5" in unchanged.out
    assert (agreed.code, "12 rows changed" in agreed.out) == (0, True)
    assert set(logged.experiment("sweep").run(1).rows()["loss"]) == {1}


def test_set_refuses_what_makes_no_sense(aletheia, logged):
    assert aletheia("set", "loss", "p/sweep/1").code == USAGE
    assert aletheia("set", "run_id=1", "p/sweep/1").code == USAGE
    assert aletheia("set", "loss=1", "p/sweep").code == USAGE
    assert aletheia("set", "loss=1", "p/sweep/99").code == NOT_FOUND
    nowhere = aletheia("set", "loss=1", "p/sweep/1", "--where", "step=77")
    assert (nowhere.code, nowhere.err.strip()) == (0, "0 rows changed, 0 matched")


def test_delete_takes_a_run_away(aletheia, logged):  # C3
    dry = aletheia("delete", "p/sweep/1", "--dry-run")
    assert dry.err.strip() == "would delete the finished run sweep/1 with 12 rows"
    assert aletheia("delete", "p/sweep/1").code == USAGE
    assert [run["id"] for run in aletheia("ls", "p/sweep", "--json").json] == ["1", "2"]
    done = aletheia("delete", "p/sweep/1", "--yes", "--json").json
    assert (done["rows"], done["status"]) == (12, "finished")
    assert [run["id"] for run in aletheia("ls", "p/sweep", "--json").json] == ["2"]
    again = aletheia("delete", "p/sweep/1", "--yes")
    assert (again.code, again.out) == (NOT_FOUND, "")


def test_delete_asks(several, logged):
    delete, show = ["delete", "p/sweep/1"], ["show", "p/sweep/1"]
    done = several(80, delete, show, delete, show, keys="n\ny\n")

    assert [one.code for one in done] == [1, 0, 0, NOT_FOUND]


def test_delete_refuses_a_running_run(aletheia, logged, killed):
    killed()
    refused = aletheia("delete", "p/sweep/3", "--yes")
    assert (refused.code, "--force" in refused.err) == (1, True)
    assert aletheia("delete", "p/sweep/3", "--yes", "--force").code == 0
    assert aletheia("show", "p/sweep/3").code == NOT_FOUND


def test_get_writes_the_bytes(aletheia, logged, tmp_path):  # C5
    for hash_, out in ((DIGEST, "whole.csv"), (DIGEST[:8], "part.csv"), (DIGEST[:9].upper(), "u")):
        done = aletheia("get", hash_, out)
        assert (done.code, DIGEST in done.err) == (0, True)
        assert (tmp_path / out).read_text() == "a,b\n1,2\n"
    assert aletheia("get", DIGEST, "-").out == "a,b\n1,2\n"
    assert aletheia("get", DIGEST, "j", "--json").json == {
        "digest": DIGEST,
        "size": 8,
        "path": "j",
    }
    assert [path.name for path in tmp_path.glob(".*.part")] == []


def test_get_does_not_overwrite_by_accident(aletheia, logged, tmp_path):
    (tmp_path / "there").write_text("mine")
    assert aletheia("get", DIGEST, "there").code == CONFLICT
    assert (tmp_path / "there").read_text() == "mine"
    assert aletheia("get", DIGEST, "there", "--yes").code == 0
    assert (tmp_path / "there").read_text() == "a,b\n1,2\n"


def test_get_of_what_is_not_there(aletheia, logged, tmp_path):
    assert aletheia("get", "0" * 64, "out").code == NOT_FOUND
    assert aletheia("get", "0" * 8, "out").code == NOT_FOUND
    assert aletheia("get", "492d", "out").code == USAGE
    assert aletheia("get", "../../etc", "out").code == USAGE
    assert aletheia("get", DIGEST, tmp_path).code == USAGE
    assert aletheia("get", DIGEST, tmp_path / "no" / "out").code == NOT_FOUND
    assert not (tmp_path / "out").exists()


def test_get_of_an_object_of_a_row(aletheia, logged, tmp_path):
    with logged.exper("sweep").start_run() as run:
        digest = run.log(model=al.Folder)["model"]
    assert aletheia("get", digest, "model.pkl").code == 0
    assert (tmp_path / "model.pkl").stat().st_size > 0


def test_looking_at_rows_writes_nothing(aletheia, logged, tmp_path):
    database = tmp_path / "home" / "metastore.sqlite"
    before = database.read_bytes()
    for arguments in (("head",), ("tail",), ("latest",), ("stats",)):
        assert aletheia(*arguments, "p/sweep/1").code == 0
    assert aletheia("delete", "p/sweep/1", "--dry-run").code == 0

    assert database.read_bytes() == before
