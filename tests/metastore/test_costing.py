"""Estimates of what recording costs are near what the stores are really asked to do."""

from __future__ import annotations

import time

import pytest

import aletheia_like as al
from aletheia_like.metastore.costing import (
    Recorded,
    experiment_recorded,
    project_recorded,
    projected,
    run_recorded,
)


@pytest.fixture
def exper(metastore):
    """An experiment whose first run has told what surrounds this process."""
    exper = metastore.exper("e")
    with exper.start_run():
        pass
    return exper


def recorded(exper, run):
    return run_recorded(exper._session, exper.path, run.id)


def is_near(estimate, truth, *, late=0.0):
    """Whether an estimate is within a third, or a few, of the truth.

    Each second by which a busy machine was late may have had a chunk more, written once or twice
    and merged away again.
    """
    return abs(estimate - truth) <= max(3, truth / 3) + 3 * late


def test_a_run_is_counted(exper, tmp_path):
    (tmp_path / "a.txt").write_text("four")
    (tmp_path / "b.txt").write_text("seven b")
    with exper.start_run() as run:
        run.log(file=al.File(tmp_path / "b.txt"))
        run.log_batch({"x": 1} for _ in range(99))
        run.add_artifact("a", tmp_path / "a.txt")
    found = recorded(exper, run)

    assert (found.runs, found.results, found.rows, found.chunks) == (1, 1, 100, 1)
    assert (found.versions, found.files, found.blobs, found.blob_bytes) == (1, 1, 1, 11)
    assert found.documents == 5


@pytest.mark.parametrize(("rows", "pause"), [(0, 0), (10, 0), (2_000, 0), (12, 0.3)])
def test_the_estimate_is_near_what_was_counted(metastore, exper, rows, pause):
    before, began = metastore.usage, time.monotonic()
    with exper.start_run() as run:
        for step in range(rows):
            run.log(step=step, **{f"metric{number}": step / 7 for number in range(10)})
            time.sleep(pause)
    counted, late = metastore.usage - before, time.monotonic() - began - rows * pause
    estimate = recorded(exper, run).estimate()

    assert is_near(estimate.document_writes, counted.document_writes, late=late)
    assert is_near(estimate.document_reads, counted.document_reads)
    assert is_near(estimate.document_deletes, counted.document_deletes, late=late)


def test_the_estimate_of_files_is_near_what_was_counted(metastore, exper, tmp_path):
    (tmp_path / "tree").mkdir()
    for number in range(20):
        (tmp_path / "tree" / f"{number}.txt").write_text(str(number))
    before = metastore.usage
    with exper.start_run() as run:
        run.add_artifact("tree", tmp_path / "tree")
    counted = metastore.usage - before
    estimate = recorded(exper, run).estimate()

    assert is_near(estimate.document_writes, counted.document_writes)
    assert is_near(estimate.document_reads, counted.document_reads)
    assert is_near(estimate.blob_writes, counted.blob_writes)


def test_an_experiment_is_the_sum_of_its_runs(metastore, exper):
    for number in range(3):
        with exper.start_run() as run:
            run.log_batch({"x": 1} for _ in range(number))
    found = experiment_recorded(metastore.session, exper.path)

    assert (found.runs, found.sampled, found.rows, found.results) == (4, 4, 3, 4)
    assert found.documents == 1 + 4 + 4 + 2


def test_of_many_runs_some_stand_for_all(metastore, exper):
    for _ in range(9):
        with exper.start_run() as run:
            run.log_batch({"x": 1} for _ in range(10))
    found = experiment_recorded(metastore.session, exper.path, sample=5)

    assert (found.runs, found.sampled) == (10, 5)
    assert found.rows == 80


def test_a_project_is_all_its_experiments_and_data_sets(metastore, exper, tmp_path):
    (tmp_path / "a.txt").write_text("four")
    metastore.add_dataset("d", tmp_path / "a.txt")
    with metastore.exper("f").start_run() as run:
        run.log(x=1)
    found = project_recorded(metastore.session)

    assert (found.runs, found.rows, found.versions, found.files) == (2, 1, 1, 1)
    assert found.others == 4


def test_nothing_recorded_costs_nothing(metastore):
    assert Recorded().estimate().estimate() == 0
    assert project_recorded(metastore.session).documents == 1


def test_a_projection_is_like_what_is_known_except_in_what_is_given():
    known = Recorded(
        runs=2, sampled=2, rows=200, row_bytes=20_000, seconds=120.0, busy_seconds=60, versions=2
    )
    one = projected(known, None, None)
    assert (one.runs, one.rows, one.row_bytes, one.seconds, one.versions) == (
        1,
        100,
        10_000,
        60,
        1,
    )
    other = projected(known, 10_000, 10.0)
    assert (other.rows, other.row_bytes, other.busy_seconds) == (10_000, 1_000_000, 10)
    assert projected(Recorded(), 10_000, None).seconds == 3_600
