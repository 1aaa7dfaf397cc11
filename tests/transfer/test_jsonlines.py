"""The folder of JSON lines only grows, and says so when it was cut off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import aletheia_like as al
from aletheia_like.model.digests import digest_bytes
from tests.transfer.conftest import contents


def git(folder, *arguments):
    done = subprocess.run(
        ["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_git_sees_added_lines_only(filled, files, tmp_path):  # V5, K17
    folder = tmp_path / "repo.jsonl"
    filled.export(folder)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")

    exper = filled.exper("which/one")
    with exper.start_run(id="2", resume="must") as run:
        run.log(step=11, loss=0.001, new_column="x")
        run.set_value("note", "changed again", where={"step": 3})
        run.add_artifact("more", files / "table.csv")
    with exper.start_run() as run:
        run.log({f"column {number}": number for number in range(30)})
    exper.delete_run(3)
    exper.desc = "changed"
    filled.export(folder)
    git(folder, "add", "-A", "-N")

    numbers = [line.split("\t") for line in git(folder, "diff", "--numstat").splitlines()]
    assert {name: deleted for _, deleted, name in numbers} == {"data.jsonl": "0"}


def test_a_grown_folder_imports_as_what_is_there_now(filled, opened, files, tmp_path):
    folder = tmp_path / "out.jsonl"
    filled.export(folder)
    exper = filled.exper("which/one")
    with exper.start_run(id="2", resume="must") as run:
        run.log(step=11, loss=0.001)
    exper.delete_run(3)
    exper.delete_run(1, forever=True)
    with exper.start_run(id="1") as run:
        run.log(step=1, loss=7.0)
    filled.export(folder)
    copy = opened("copy")

    copy.import_(folder)

    assert contents(copy) == contents(filled)


def test_nothing_new_leaves_the_file_as_it_is(filled, tmp_path):
    folder = tmp_path / "out.jsonl"
    filled.export(folder)
    before = (folder / "data.jsonl").read_bytes()

    tally = filled.export(folder)

    assert (folder / "data.jsonl").read_bytes() == before
    assert (tally.rows, tally.runs, tally.blobs, tally.changed) == (0, 0, 0, 0)


def test_files_lie_under_their_hash_by_their_name(filled, tmp_path):  # V4, K17
    filled.export(tmp_path / "out.jsonl")

    found = [path for path in (tmp_path / "out.jsonl" / "artifacts").rglob("*") if path.is_file()]
    assert {"table.csv", "one.txt", "two.bin", "manifest.jsonl"} <= {path.name for path in found}
    for path in found:
        assert digest_bytes(path.read_bytes()) == path.parent.name


def test_every_line_is_json_that_any_reader_takes(filled, tmp_path):
    import pandas as pd

    filled.export(tmp_path / "out.jsonl")

    def refuse(word):
        raise AssertionError(word)

    lines = (tmp_path / "out.jsonl" / "data.jsonl").read_text().splitlines()
    found = [json.loads(line, parse_constant=refuse) for line in lines]
    table = pd.read_json(tmp_path / "out.jsonl" / "data.jsonl", lines=True)
    assert {one["kind"] for one in found} == {"export", "file", "document", "row", "end"}
    assert (table["kind"] == "row").sum() == 3 * 12 + 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.8, 0.999])
def test_a_folder_that_was_cut_off_is_refused_and_mended(filled, opened, tmp_path, share):
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    filled.export(whole)
    filled.export(cut)
    data = (cut / "data.jsonl").read_bytes()
    (cut / "data.jsonl").write_bytes(data[: int(len(data) * share)])
    copy = opened("copy")

    with pytest.raises((al.IntegrityError, al.NotFoundError), match=r"half written|nothing was"):
        copy.import_(cut)
    assert copy.projects() == []

    filled.export(cut)
    copy.import_(cut)
    assert contents(copy) == contents(filled)


def test_an_export_that_was_killed_is_completed_by_the_next(opened, tmp_path):
    ms = opened()
    for _ in range(5):
        with ms.exper("e").start_run() as run:
            run.log_batch([{"step": step, "text": "x" * 400} for step in range(4_000)])
    folder = tmp_path / "out.jsonl"
    program = (
        "import sys, aletheia_like as al; al.Metastore('p', url=sys.argv[1]).export(sys.argv[2])"
    )
    child = subprocess.Popen([sys.executable, "-c", program, ms.url, str(folder)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and size(folder / "data.jsonl") < 1_000_000:
        time.sleep(0.001)

    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    copy = opened("copy")
    was_cut = (
        not (folder / "data.jsonl").read_bytes().splitlines()[-1].startswith(b'{"kind":"end"')
    )
    if was_cut:
        with pytest.raises(al.IntegrityError, match="half written"):
            copy.import_(folder)
    ms.export(folder)

    assert copy.import_(folder).rows == 20_000
    assert copy.experiment("e").run(5).rows()["step"] == list(range(4_000))


def size(path):
    return path.stat().st_size if path.exists() else 0


def test_lines_that_were_changed_are_found(filled, opened, tmp_path):
    folder = tmp_path / "out.jsonl"
    filled.export(folder)
    lines = (folder / "data.jsonl").read_bytes().splitlines(keepends=True)
    row = next(number for number, line in enumerate(lines) if line.startswith(b'{"kind":"row"'))
    damages = {
        "is damaged": [*lines[:row], b"not json\n", *lines[row + 1 :]],
        "lacks something": [*lines[:row], b'{"kind":"row"}\n', *lines[row + 1 :]],
        "were added or removed": [*lines[:row], *lines[row + 1 :]],
        f"line {row + 2} .*is damaged": [
            *lines[: row + 1],
            lines[row + 1].replace(b'"data":{', b'"data":[{"x":1},{'),
            *lines[row + 2 :],
        ],
        f"line {row + 3} .*lacks something": [
            *lines[: row + 2],
            lines[row + 2].replace(b'"data"', b'"date"'),
            *lines[row + 3 :],
        ],
    }
    copy = opened("copy")

    for words, damaged in damages.items():
        (folder / "data.jsonl").write_bytes(b"".join(damaged))
        with pytest.raises(al.IntegrityError, match=words):
            copy.import_(folder)
    assert copy.projects() == []


def test_a_missing_file_is_found_before_anything_is_written(filled, opened, tmp_path):
    folder = tmp_path / "out.jsonl"
    filled.export(folder)
    next(folder.rglob("table.csv")).unlink()
    copy = opened("copy")

    with pytest.raises(al.IntegrityError, match="lacks 1 of its"):
        copy.import_(folder)
    assert copy.projects() == []


def test_a_changed_file_is_not_imported(filled, opened, tmp_path):
    folder = tmp_path / "out.jsonl"
    filled.export(folder)
    next(folder.rglob("table.csv")).write_text("other")
    copy = opened("copy")

    with pytest.raises(al.IntegrityError, match=r"artifacts.\w{64}.table\.csv does not have"):
        copy.import_(folder)
    assert copy.datasets() == []


def test_cells_that_look_like_rows_are_written_as_they_are(opened, tmp_path):
    ms, folder = opened(), tmp_path / "out.jsonl"
    odd = [
        {"x": [{"a": 1}, {"timestamp": "t"}], "y": '},{"timestamp":"'},
        {"x": [{"timestamp": "t"}, {"timestamp": "t"}]},
        {"x": float("nan"), "y": "null"},
        {"x": None},
    ]
    written = []
    for rows in (odd, odd[:2], odd[1:3], [{"x": 1}, {"y": "},{"}]):
        with ms.exper("e").start_run() as run:
            run.log_batch(rows)
        written += rows

    ms.export(folder)

    lines = [json.loads(one) for one in (folder / "data.jsonl").read_bytes().splitlines()]
    found = [one["data"] for one in lines if one["kind"] == "row"]
    assert [list(one) for one in found] == [list(one) for one in written]
    assert [one["x"] for one in found[:2]] == [one["x"] for one in odd[:2]]
    assert found[0]["y"] == '},{"timestamp":"'
    assert found[2]["x"] == {"__float__": "nan"}


@pytest.mark.parametrize("count", [2_500, 40])
def test_rows_by_the_thousand_are_the_same_lines_one_by_one(opened, tmp_path, count):
    ms, copy = opened(), opened("copy")
    rows = [
        {"step": step, "x": step / 7, "t": f'"{step},', "b": not step} for step in range(count)
    ]
    with ms.exper("e").start_run() as run:
        run.log_batch(rows)

    ms.export(tmp_path / "out.jsonl")
    copy.import_(tmp_path / "out.jsonl")

    lines = (tmp_path / "out.jsonl" / "data.jsonl").read_text().splitlines()
    found = [line for line in lines if line.startswith('{"kind":"row"')]
    read = list(map(json.loads, found))
    assert [one["data"] for one in read] == rows
    assert [one["sequence"] for one in read] == list(range(1, count + 1))
    assert found == [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in read]
    assert copy.exper("e").run(1).rows().to_dicts() == ms.exper("e").run(1).rows().to_dicts()


def test_rows_of_writers_that_are_mixed_up_are_imported_in_order(opened, tmp_path):
    ms, copy, folder = opened(), opened("copy"), tmp_path / "out.jsonl"
    with ms.exper("e").start_run() as run:
        run.log_batch([{"step": step} for step in range(20)])
    ms.export(folder)
    lines = (folder / "data.jsonl").read_bytes().splitlines(keepends=True)
    places = [place for place, one in enumerate(lines) if one.startswith(b'{"kind":"row"')]
    mixed = [lines[place] for place in reversed(places)]
    (folder / "data.jsonl").write_bytes(
        b"".join([*lines[: places[0]], *mixed, *lines[places[-1] + 1 :]])
    )

    copy.import_(folder)
    again = ms.export(folder)

    assert [row["step"] for row in copy.exper("e").run(1).rows()] == list(range(20))
    assert again.rows == 0
