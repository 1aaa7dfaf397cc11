"""Rows that are remembered are never older than those of the store."""

from __future__ import annotations

import datetime as dt

from aletheia_like.metastore.recentrows import RecentRows
from aletheia_like.model.rows import Columns, pack_rows, unpack
from aletheia_like.ports.documents import Document

NOW = dt.datetime.now(dt.UTC)


def chunk(revision, rows, path="p/a/rows/w-1"):
    text = pack_rows([float(number) for number in range(len(rows))], rows)
    return Document(path, {"columns": text, "count": len(rows)}, revision, NOW, NOW)


def read(one):
    return unpack(one.fields["columns"], one.fields["count"])


def test_rows_are_found_by_the_very_revisions_of_their_chunks():
    recent, one = RecentRows(), chunk("r1", [{"x": 1.5}])
    recent.remember(("p/a", None), [one], read(one))

    assert recent.find(("p/a", None), [one]) == read(one)
    assert recent.find(("p/a", "system"), [one]) is None
    assert recent.find(("p/a", None), [chunk("r2", [{"x": 1.5}])]) is None
    assert recent.find(("p/a", None), [one]) is None, "what is older goes at once"


def test_a_run_with_more_chunks_is_another():
    recent, one = RecentRows(), chunk("r1", [{"x": 1.5}])
    recent.remember(("p/a", None), [one], read(one))

    assert recent.find(("p/a", None), [one, chunk("r1", [{"x": 2}], "p/a/rows/w-2")]) is None


def test_what_a_user_could_change_is_not_remembered():
    recent, one = RecentRows(), chunk("r1", [{"config": {"lr": 0.1}}])
    recent.remember(("p/a", None), [one], read(one))

    assert recent.find(("p/a", None), [one]) is None


def test_a_column_that_is_taken_out_stays_remembered():
    recent, one = RecentRows(), chunk("r1", [{"x": 1.5, "y": "a"}])
    recent.remember(("p/a", None), [one], read(one))
    del recent.find(("p/a", None), [one]).cells["x"]

    assert list(recent.find(("p/a", None), [one]).cells) == ["x", "y"]


def test_no_more_than_so_many_characters_are_remembered():
    recent = RecentRows()
    long = [chunk("r", [{"x": "a" * 3_000_000}], f"p/{name}/rows/w-1") for name in "abc"]
    for one in long:
        recent.remember((one.path, None), [one], read(one))

    found = [recent.find((one.path, None), [one]) is not None for one in long]
    assert found == [False, True, True]
    huge = chunk("r", [{"x": "a" * 9_000_000}])
    recent.remember(("p/huge", None), [huge], read(huge))
    assert recent.find(("p/huge", None), [huge]) is None
    assert recent.find((long[2].path, None), [long[2]]) is not None


def test_columns_of_one_value_count_by_their_rows():
    recent, constant = RecentRows(), {f"c{number}": "resnet" for number in range(40)}
    many = chunk("r", [constant] * 50_000)
    assert len(many.fields["columns"]) < 1_000_000

    recent.remember(("p/many", None), [many], read(many))

    assert recent.find(("p/many", None), [many]) is None


def test_rows_of_another_process_are_seen_at_once(ms, open_ms):  # Q1
    with ms.exper("e").start_run(id="r") as run:
        run.log(x=1)
        run.flush()
        reader = open_ms().experiment("e").run("r")

        assert reader.rows()["x"] == reader.rows()["x"] == [1]
        run.log(x=2)
        run.flush()
        assert reader.rows()["x"] == [1, 2]
        run.set_value("x", 5, where={"x": 1})
        run.flush()
        assert reader.rows()["x"] == [5, 2]


def test_what_is_done_with_rows_does_not_change_those_that_follow(ms):  # Q1
    with ms.exper("e").start_run(id="r") as run:
        run.log_batch([{"step": step, "x": step / 2} for step in range(3)])
    rows = ms.experiment("e").run("r").rows()
    rows["x"].append(9.9)
    frame = rows.to_pandas()
    frame["x"] += 1
    rows.to_dicts()[0]["x"] = 7

    again = ms.experiment("e").run("r").rows()
    assert again["x"] == [0.0, 0.5, 1.0]
    assert again["timestamp"] == rows["timestamp"]
    assert again.to_dicts() == rows.to_dicts()


def test_plain_rows_are_known_to_be_plain():
    rows = [{"x": 1.5, "note": "[a] {b}"}, {"x": None, "flag": True}]

    assert read(chunk("r", rows)).is_flat is False, "brackets in a text are looked at closely"
    assert read(chunk("r", [{"x": 1.5, "s": "a"}, {"x": 2, "flag": True}])).is_flat
    assert not read(chunk("r", [{"x": [1]}])).is_flat
    assert not Columns().is_flat
