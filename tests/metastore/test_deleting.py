"""A run can be deleted, with its rows, and nothing else is."""

from __future__ import annotations

import pytest

from aletheia_like.errors import NotFoundError, ReadOnlyError, RunStateError, UnavailableError
from aletheia_like.metastore.deleting import carry_out, delete_run, plan_deletion
from aletheia_like.model import paths
from aletheia_like.ports.documents import Create, Query
from aletheia_like.testing.stores import FailingDocumentStore


@pytest.fixture
def exper(ms, tmp_path):
    """An experiment of two finished runs, each with rows, an artifact and a result."""
    (tmp_path / "a.txt").write_text("a")
    exper = ms.exper("e")
    for _ in range(2):
        with exper.start_run() as run:
            run.log(loss=1)
            run.flush()
            run.add_artifact("a", tmp_path / "a.txt")
    return exper


def chunks(ms, run_id):
    path = paths.run(paths.experiment(ms.session.project_path, "e"), run_id)
    return list(ms.session.documents.query(Query(paths.rows(path))))


def test_a_run_goes_with_its_rows_and_its_result(ms, exper):  # Q30, C3
    exper.delete_run(1)

    assert exper.runs().ids == ["2"]
    assert [row["run"] for row in exper.results()] == ["2"]
    assert chunks(ms, "1") == []
    assert ms.rows()["run_id"] == ["2"]


def test_the_bytes_of_its_artifacts_stay(ms, exper):
    artifact = exper.run("2").artifacts["a"]
    exper.delete_run("1")

    assert ms.session.blobs.exists(artifact.digest)
    assert ms.session.documents.get(paths.file(artifact.digest)) is not None


def test_its_number_is_not_given_again(ms, exper):
    exper.delete_run(2)

    with ms.exper("e").start_run() as run:
        assert run.id == "3"


def test_a_run_that_is_not_there_is_an_error(exper):
    exper.delete_run(1)
    with pytest.raises(NotFoundError, match="'1'"):
        exper.delete_run(1)


def test_a_running_run_is_refused_unless_forced(exper):
    with exper.start_run() as run:
        with pytest.raises(RunStateError, match="--force"):
            exper.delete_run(run.id)
        assert exper.run(run.id).status == "running"
    with exper.start_run() as run:
        run.finish()
        exper.delete_run(run.id, force=True)


def test_who_only_reads_cannot_delete(ms, exper):
    with pytest.raises(ReadOnlyError):
        ms.experiment("e").delete_run(1)


def test_planning_writes_nothing_and_counts(ms, exper):
    before = ms.usage.document_writes
    plan = plan_deletion(ms.session, exper, "1")

    assert (plan.rows, len(plan.chunks), plan.status) == (1, 1, "finished")
    assert ms.usage.document_writes == before
    assert len(chunks(ms, "1")) == 1


def test_very_many_chunks_are_deleted_in_several_applies(ms, exper):
    run_path = exper.run(1).path
    for start in range(0, 1_200, 400):
        ms.session.documents.apply(
            [
                Create(paths.chunk(run_path, "w", number), {"writer": "w", "count": 1})
                for number in range(start, start + 400)
            ]
        )

    assert delete_run(ms.session, exper, "1").rows == 1_201
    assert chunks(ms, "1") == []


def test_an_interrupted_deletion_can_be_repeated(ms, exper):
    session = ms.session
    failing = FailingDocumentStore(session.documents)
    plan = plan_deletion(session, exper, "1")
    failing.outage.begin(1, "after")
    session.documents = failing
    with pytest.raises(UnavailableError):
        carry_out(session, plan)
    assert chunks(ms, "1") == []
    assert exper.run(1).status == "finished"

    exper.delete_run(1)
    assert exper.runs().ids == ["2"]
