"""The verbs that move projects, as processes."""

from __future__ import annotations

import sqlite3

import aletheia_like as al


def test_export_and_import_tell_what_they_did(aletheia, recorded, tmp_path):
    out = aletheia("export", tmp_path / "x.db", "-p", "p")
    there = aletheia("import", tmp_path / "x.db", "-p", "copy", "--json")
    again = aletheia("import", tmp_path / "x.db", "-p", "copy", "--json")

    assert (out.code, there.code, again.code) == (0, 0, 0)
    assert out.out.startswith("0 rows, 3 runs, ")
    assert "written to" in out.err
    assert (there.json["runs"], there.json["artifacts"], there.json["datasets"]) == (3, 3, 1)
    assert (again.json["runs"], again.json["artifacts"], again.json["blobs"]) == (0, 0, 0)
    told = aletheia("import", tmp_path / "x.db", "-p", "copy").err.splitlines()[0]
    assert told == "nothing new: all of it was there already"
    (count,) = sqlite3.connect(tmp_path / "x.db").execute("SELECT count(*) FROM runs").fetchone()
    assert count == 3


def test_copy_prints_how_many_and_then_none(aletheia, recorded, tmp_path):  # C6
    home, target = tmp_path / "home", tmp_path / "merged"

    first, second = aletheia("copy", home, target), aletheia("copy", home, target)

    assert (first.code, second.code) == (0, 0)
    assert "3 runs" in first.out
    assert second.out.startswith(
        "0 rows, 0 runs, 0 artifact versions, 0 data set versions, 0 blobs"
    )
    assert second.err.startswith("nothing new: all of it was there already\n")
    assert "3 runs" in aletheia("copy", home, tmp_path / "one", "-p", "p").out


def test_push_and_pull_move_what_is_chosen(aletheia, recorded, tmp_path):
    target = (tmp_path / "other").as_uri()

    pushed = aletheia("push", target, "-p", "p", "--run", r"which\/one/2", "--json")
    pulled = aletheia("pull", target, "-p", "p", "--experiment", "which/one", "--json")

    assert (pushed.json["runs"], pushed.json["datasets"]) == (1, 1)
    assert (pulled.json["runs"], pulled.json["rows"]) == (0, 0)


def test_each_kind_of_failure_has_its_exit_code(aletheia, recorded, tmp_path):
    (tmp_path / "foreign.db").write_text("words" * 100)
    aletheia("export", tmp_path / "x.jsonl", "-p", "p")
    data = tmp_path / "x.jsonl" / "data.jsonl"
    data.write_text("".join(data.read_text().splitlines(keepends=True)[:-1]))

    assert aletheia("export", tmp_path / "x.xls", "-p", "p").code == 2
    assert aletheia("export", tmp_path / "foreign.db", "-p", "p").code == 5
    assert aletheia("export", tmp_path / "y.db", "-p", "p", "--experiment", "no").code == 3
    assert aletheia("import", tmp_path / "none.db", "-p", "p").code == 3
    assert aletheia("import", tmp_path / "foreign.db", "-p", "p").code == 2
    assert aletheia("import", tmp_path / "x.jsonl", "-p", "p").code == 6
    assert aletheia("copy", tmp_path / "nothing", tmp_path / "target").code == 3
    assert aletheia("copy", tmp_path / "foreign.db", tmp_path / "target").code == 2
    assert aletheia("push", "ftp://nowhere", "-p", "p").code == 2


def test_a_conflict_is_told_and_renaming_solves_it(aletheia, recorded, tmp_path):
    aletheia("export", tmp_path / "x.jsonl", "-p", "p")
    third = (tmp_path / "third").as_uri()
    with al.Metastore("p", url=third, cache_dir=tmp_path / "cache", git="off") as ms:
        ms.exper("which/one").start_run().finish()

    refused = aletheia("import", tmp_path / "x.jsonl", "-p", "p", "--url", third)
    solved = aletheia("import", tmp_path / "x.jsonl", "-p", "p", "--rename", "--url", third)

    assert refused.code == 5
    assert r"run which\/one/1" in refused.err
    assert "--rename" in refused.err
    assert (solved.code, "3 runs" in solved.out) == (0, True)
    assert r"renamed which\/one/1 to which\/one/1-" in solved.err


def test_an_import_from_another_tracker_tells_what_it_left(aletheia, tmp_path):
    (tmp_path / "x.csv").write_text("loss,who\n1,a\n2,b\n")

    told = aletheia("import", "x.csv", "-p", "p", "--experiment", "e", "--run-column", "who")
    plain = aletheia("import", "x.csv", "-p", "p", "--from", "csv", "--experiment", "e", "--json")
    nothing = aletheia("import", ".", "-p", "p", "--from", "wandb")

    assert (told.code, told.out.startswith("2 rows, 2 runs, ")) == (0, True)
    assert "imported from x.csv (csv)" in told.err
    assert "not carried: time of rows of run x.csv (2): no column has times" in told.err
    assert plain.json["left"][0]["count"] == 2
    assert (plain.json["format"], plain.json["found"]) == ("csv", 1)
    assert nothing.code == 3
