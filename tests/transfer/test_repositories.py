"""Repositories move with their project: versions, aliases, releases, and who did what."""

from __future__ import annotations

import pytest

import aletheia_like as al
from aletheia_like.transfer.source import StoreSource, whole_project
from tests.transfer.conftest import comparable


@pytest.fixture
def stocked(filled):
    """A project with a repository that was begun anew, and a promoted version in it."""
    old = filled.repository("models")
    old.log_artifact("features", [0], handler="json", aliases=["best"])
    old.save()
    old.release("v1")
    new = filled.repository("models", "w")
    new.log_artifact("features", [0, 1], handler="json")
    new.save()
    filled.experiment("which/one").run("1").promote_artifact(new, "table", aliases=["best"])
    return filled


def contents(ms):
    """Return every document of the project's repositories."""
    documents = whole_project(StoreSource(ms.session))
    found = {one.path: one.fields for one in documents if one.path.startswith("repositories/")}
    assert len(found) == 15
    return comparable(found)


def test_a_repository_moves_whole(stocked, opened):
    copy = opened("copy")

    stocked.push(copy)

    assert contents(copy) == contents(stocked)
    assert copy.repository("models", "r").load_artifact("features") == [0, 1]
    first = copy.repository("models", "r", generation=0)
    assert first.released("v1").load_artifact("features") == [0]
    assert first.aliases("features") == {"best": 0}


def test_moving_a_repository_again_moves_nothing(stocked, opened):
    copy = opened("copy")
    stocked.push(copy)

    again = stocked.push(copy)

    assert (again.artifacts, again.blobs, again.changed, again.kept) == (0, 0, 0, ())


@pytest.mark.parametrize("name", ["p.jsonl", "p.db", "p.parquet"])
def test_a_repository_survives_every_kind_of_export(stocked, opened, tmp_path, name):
    copy = opened("copy")
    stocked.export(tmp_path / name)

    copy.import_(tmp_path / name)

    assert contents(copy) == contents(stocked)


def test_new_versions_and_aliases_are_added_and_others_stay(stocked, opened):
    copy = opened("copy")
    stocked.push(copy)
    copy.repository("models").set_alias("features", "best", 0)
    here = stocked.repository("models")
    here.log_artifact("features", [0, 1, 2], handler="json", aliases=["best", "next"])
    here.save()

    stocked.push(copy)

    there = copy.repository("models", "r")
    assert there.aliases("features") == {"best": 0, "next": 1}
    assert there.load_artifact("features", "next") == [0, 1, 2]


def test_versions_of_one_number_get_another_with_rename(stocked, opened):
    copy = opened("copy")
    other = copy.repository("models")
    other.log_artifact("features", ["other"], handler="json")
    other.save()

    stocked.push(copy, rename=True)

    first = copy.repository("models", "r", generation=0)
    assert first.load_artifact("features", 0) == ["other"]
    assert first.load_artifact("features", 1) == [0]
    assert first.aliases("features") == {"best": 1}
    assert first.released("v1").load_artifact("features") == [0]


def test_runs_that_are_chosen_bring_no_repository(stocked, opened):
    copy = opened("copy")

    stocked.push(copy, runs=["which\\/one/1"])

    assert copy.repositories() == []


def test_aliases_of_a_chosen_run_come_and_those_of_others_do_not(filled, opened):
    exper = filled.exper("named")
    for number in range(2):
        with exper.start_run() as run:
            run.add_artifact("a", [number], handler="json", aliases=[f"of {number}"])
    copy = opened("copy")

    filled.push(copy, runs=["named/1"])

    found = copy.experiment("named")
    assert found.load_artifact("a", "of 0") == [0]
    with pytest.raises(al.NotFoundError):
        found.load_artifact("a", "of 1")
    filled.push(copy)
    assert found.load_artifact("a", "of 1") == [1]
