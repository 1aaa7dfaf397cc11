"""Whatever a project holds comes back from every kind of export, and goes out again the same."""

from __future__ import annotations

import filecmp
import sqlite3

import pytest

import aletheia_like as al
from tests.transfer.conftest import Thing, contents

FORMATS = ["jsonl", "parquet", "sqlite"]


def same_folders(left, right):
    names = sorted(path.relative_to(left) for path in left.rglob("*") if path.is_file())
    others = sorted(path.relative_to(right) for path in right.rglob("*") if path.is_file())
    return names == others and all(
        filecmp.cmp(left / name, right / name, shallow=False) for name in names
    )


def same_tables(left, right):
    if left.suffix == ".jsonl":
        return same_folders(left, right)
    if left.suffix == ".sqlite":
        first, second = (list(sqlite3.connect(path).iterdump()) for path in (left, right))
        return first == second
    from pyarrow import parquet

    names = [path.relative_to(left) for path in left.rglob("*.parquet")]
    tables = [[parquet.ParquetFile(one / name).read() for one in (left, right)] for name in names]
    return len(names) == len(list(right.rglob("*.parquet"))) and all(
        first.schema.equals(second.schema, check_metadata=True)
        # NaN is never equal to itself, but it prints the same.
        and repr(first.to_pylist()) == repr(second.to_pylist())
        for first, second in tables
    )


@pytest.fixture(params=FORMATS)
def suffix(request):
    return request.param


def test_an_export_is_imported_without_loss(filled, opened, tmp_path, suffix):
    filled.export(tmp_path / f"out.{suffix}")
    copy = opened("copy")

    copy.import_(tmp_path / f"out.{suffix}")

    assert contents(copy) == contents(filled)
    run = copy.experiment("which/one").run(2)
    assert run.rows().to_dicts()[6]["file"].local_path.read_text() == "a,b\n1,2\n"
    digest = run.latest("thing")
    assert copy.get_object(digest, trust=True).score == Thing.score
    assert run.hyper_params["long"] == "x" * 20_000


def test_numbers_that_tables_lack_come_back(opened, tmp_path, suffix):  # K17
    ms = opened()
    with ms.exper("odd").start_run(hyper_params={"seed": 2**80, "zero": -0.0}) as run:
        run.log(big=-(2**64), zero=-0.0, odd=[2**70, -0.0])
        run.log(big=1, zero=0.0)

    ms.export(tmp_path / f"out.{suffix}")

    copy = opened("copy")
    copy.import_(tmp_path / f"out.{suffix}")
    back = copy.experiment("odd").run(1)
    assert repr(back.hyper_params) == repr({"seed": 2**80, "zero": -0.0})
    assert repr(back.rows()["zero"]) == "[-0.0, 0.0]"
    assert back.rows()["big"] == [-(2**64), 1]
    assert repr(back.rows()["odd"][0]) == repr([2**70, -0.0])


def test_what_was_imported_is_exported_as_the_same(filled, opened, tmp_path, suffix):  # K17
    first, second = tmp_path / f"first.{suffix}", tmp_path / f"second.{suffix}"
    filled.export(first)
    copy = opened("copy")
    copy.import_(first)

    copy.export(second)

    assert same_tables(first, second)


def test_every_format_carries_the_same(filled, opened, tmp_path, suffix):
    filled.export(tmp_path / f"out.{suffix}")
    copy = opened("copy")
    copy.import_(tmp_path / f"out.{suffix}")
    filled.export(tmp_path / "mine.jsonl")

    copy.export(tmp_path / "its.jsonl")

    lines = [sorted_lines(tmp_path / name / "data.jsonl") for name in ("mine.jsonl", "its.jsonl")]
    assert lines[0] == lines[1]


def sorted_lines(path):
    """Return lines as values: the keys of a row may come in another order."""
    import json

    return [json.loads(line) for line in path.read_text().splitlines()]


def test_importing_again_changes_nothing(filled, opened, tmp_path, suffix):  # Q31
    told = filled.export(tmp_path / f"out.{suffix}")
    copy = opened("copy")
    first = copy.import_(tmp_path / f"out.{suffix}")
    assert (told.rows, told.runs, told.blobs) == (first.rows, first.runs, first.blobs)

    second = copy.import_(tmp_path / f"out.{suffix}")

    assert (first.runs, first.experiments, first.metadata) == (3, 2, 1)
    assert (first.artifacts, first.datasets) == (7, 2)
    assert first.rows == 3 * 12 + 1
    assert (second.rows, second.runs, second.blobs, second.changed) == (0, 0, 0, 0)


def test_numbers_of_imported_runs_are_not_given_again(filled, opened, tmp_path, suffix):
    filled.exper("which/one").delete_run(3)
    filled.export(tmp_path / f"out.{suffix}")
    copy = opened("copy")
    copy.import_(tmp_path / f"out.{suffix}")

    with copy.exper("which/one").start_run() as run:
        version = run.add_artifact("table", tmp_path / "files" / "table.csv")

    assert run.id == "4"
    assert version.version == 3


def test_an_export_of_the_cloud_is_that_of_the_embedded_store(filled, opened, cloud_url, tmp_path):
    filled.export(tmp_path / "mine.jsonl")
    cloud = opened(url=cloud_url)
    cloud.import_(tmp_path / "mine.jsonl")

    cloud.export(tmp_path / "its.jsonl")

    assert same_folders(tmp_path / "mine.jsonl", tmp_path / "its.jsonl")


def test_experiments_and_runs_can_be_chosen(filled, opened, tmp_path, suffix):
    with filled.exper("other").start_run() as run:
        run.get_dataset("tree")

    filled.export(tmp_path / f"out.{suffix}", experiments=["other"], runs=[r"which\/one/2"])

    copy = opened("copy")
    tally = copy.import_(tmp_path / f"out.{suffix}")
    assert {one.name for one in copy.experiments()} == {"other", "which/one"}
    assert copy.experiment("which/one").runs().ids == ["2"]
    assert (tally.runs, tally.artifacts, tally.datasets, tally.metadata) == (2, 2, 2, 0)
    with copy.exper("which/one").start_run() as run:
        assert run.id == "4"


def test_choosing_what_is_not_there_is_refused(filled, tmp_path, suffix):
    for chosen in ({"experiments": ["no"]}, {"runs": ["no/1"]}, {"runs": [r"which\/one/9"]}):
        with pytest.raises(al.NotFoundError):
            filled.export(tmp_path / f"out.{suffix}", **chosen)
    for chosen in ({"experiments": "no"}, {"runs": ["just one"]}):
        with pytest.raises(al.InvalidValueError):
            filled.export(tmp_path / f"out.{suffix}", **chosen)

    assert not (tmp_path / f"out.{suffix}").exists()


def test_an_empty_project_is_not_exported(opened, tmp_path, suffix):
    with pytest.raises(al.NotFoundError, match="nothing to export"):
        opened("nothing").export(tmp_path / f"out.{suffix}")

    assert not (tmp_path / f"out.{suffix}").exists()


def test_a_running_run_catches_up_with_a_later_import(opened, tmp_path, suffix):
    ms, copy = opened(), opened("copy")
    run = ms.exper("e").start_run()
    run.log(step=1, loss=0.5)
    run.flush()
    ms.export(tmp_path / f"out.{suffix}")
    copy.import_(tmp_path / f"out.{suffix}")
    seen = copy.experiment("e").run(1).status

    run.log(step=2, loss=0.25)
    run.finish()
    ms.export(tmp_path / f"out.{suffix}")
    tally = copy.import_(tmp_path / f"out.{suffix}")

    assert seen == "running"
    assert (tally.rows, tally.runs, tally.changed) == (1, 0, 1)
    assert copy.experiment("e").run(1).status == "finished"
    assert copy.experiment("e").run(1).rows()["loss"] == [0.5, 0.25]
    assert len(copy.experiment("e").results()) == 1
