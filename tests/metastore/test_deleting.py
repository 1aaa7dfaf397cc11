"""Runs, experiments and versions are deleted, and restored as they were; or deleted for ever."""

from __future__ import annotations

import pytest

from aletheia_like.errors import (
    AlreadyExistsError,
    InvalidValueError,
    NotFoundError,
    ReadOnlyError,
    RunStateError,
    UnavailableError,
)
from aletheia_like.metastore.deleting import carry_out, delete_run, plan_deletion
from aletheia_like.metastore.purging import claim
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
    exper.delete_run(1, forever=True)

    assert exper.runs(deleted=True).ids == ["2"]
    assert [row["run"] for row in exper.results()] == ["2"]
    assert chunks(ms, "1") == []
    assert ms.rows()["run_id"] == ["2"]


def test_the_bytes_of_its_artifacts_stay(ms, exper):
    artifact = exper.run("2").artifacts["a"]
    exper.delete_run("1", forever=True)

    assert ms.session.blobs.exists(artifact.digest)
    assert ms.session.documents.get(paths.file(artifact.digest)) is not None


def test_its_number_is_not_given_again(ms, exper):
    exper.delete_run(2)

    with ms.exper("e").start_run() as run:
        assert run.id == "3"


def test_a_run_that_is_not_there_is_an_error(exper):
    exper.delete_run(1)
    with pytest.raises(NotFoundError, match="was deleted"):
        exper.delete_run(1)
    with pytest.raises(NotFoundError, match="'9'"):
        exper.delete_run(9)


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

    assert delete_run(ms.session, exper, "1", forever=True).rows == 1_201
    assert chunks(ms, "1") == []


def test_an_interrupted_deletion_can_be_repeated(ms, exper):
    session = ms.session
    failing = FailingDocumentStore(session.documents)
    plan = plan_deletion(session, exper, "1", forever=True)
    session.documents = failing
    with pytest.raises(UnavailableError):
        failing.outage.after(3)
        carry_out(session, plan)
    session.documents = failing
    with pytest.raises(NotFoundError, match="deleted"):
        exper.run(1)

    exper.delete_run(1, forever=True)
    assert exper.runs(deleted=True).ids == ["2"]
    assert chunks(ms, "1") == []


def everything(ms):
    """All that a reader sees of the project."""
    ms.flush()
    return (
        ms.runs().to_dicts(),
        ms.rows().to_dicts(),
        [one.name for one in ms.experiments()],
        ms.experiment("e").results().to_dicts(),
        ms.experiment("e").artifact("a").record,
    )


def test_a_deleted_run_is_nowhere_and_comes_back_as_it_was(ms, exper):
    before = everything(ms)
    exper.delete_run(1)

    assert exper.runs().ids == ms.runs().ids == ["2"]
    assert [row["run"] for row in exper.results()] == ["2"]
    assert ms.rows()["run_id"] == ["2"]
    assert len(ms.rows(experiment="e", run_id="1")) == 0
    assert [one["run_id"] for one in ms.sql("SELECT run_id FROM rows").to_dict("records")] == ["2"]
    assert ms.sql("SELECT count(*) AS n FROM results")["n"][0] == 1
    assert "1" not in exper
    assert exper.runs(deleted=True)["deleted_at"][1] is None
    assert exper.run(1, deleted=True).metrics == {}
    for asked in (lambda: exper.run(1), lambda: exper.start_run(id="1", resume="allow")):
        with pytest.raises(NotFoundError, match=r"deleted on 2.*restore_run\('1'\)"):
            asked()

    assert exper.restore_run(1)
    assert not exper.restore_run(1)
    assert everything(ms) == before


def test_a_deleted_run_keeps_its_id(exper):
    exper.delete_run(1)
    with pytest.raises(AlreadyExistsError, match="restored"):
        exper.start_run(id="1")


def test_what_is_deleted_for_ever_cannot_be_restored(ms, exper):
    exper.delete_run(1)
    assert claim(ms.session, exper.run(1, deleted=True).path)

    with pytest.raises(NotFoundError, match="being deleted for ever"):
        exper.restore_run(1)
    exper.delete_run(1, forever=True)
    with pytest.raises(NotFoundError, match="no run '1'"):
        exper.restore_run(1)


def test_an_experiment_goes_with_all_it_holds_and_comes_back(ms, exper):
    before = everything(ms)
    ms.delete_experiment("e")

    assert (ms.experiments(), len(ms.runs()), len(ms.rows()), "e" in ms) == ([], 0, 0, False)
    assert len(ms.rows(experiment="e")) == 0
    assert ms.sql("SELECT count(*) AS n FROM runs WHERE experiment = 'e'")["n"][0] == 0
    assert [one.name for one in ms.experiments(deleted=True)] == ["e"]
    for asked in (lambda: ms.exper("e"), lambda: ms.experiment("e"), exper.start_run):
        with pytest.raises(NotFoundError, match=r"restore_experiment\('e'\)"):
            asked()

    assert ms.restore_experiment("e")
    assert everything(ms) == before


def test_an_experiment_with_a_running_run_is_refused(ms, exper):
    with exper.start_run(), pytest.raises(RunStateError, match="3"):
        ms.delete_experiment("e")
    ms.delete_experiment("e", forever=True)

    assert ms.experiments(deleted=True) == []
    assert ms.exper("e").runs(deleted=True).ids == []


def test_a_version_of_an_artifact_goes_and_comes_back(ms, exper, tmp_path):
    (tmp_path / "b.txt").write_text("b")
    newest = exper.add_artifact("a", tmp_path / "b.txt")
    exper.delete_artifact("a", newest.version)

    assert exper.artifact("a").version == newest.version - 1
    with pytest.raises(NotFoundError, match="was deleted"):
        exper.artifact("a", newest.version)
    assert exper.add_artifact("a", tmp_path / "b.txt").version == newest.version + 1
    exper.delete_artifact("a", newest.version + 1)
    assert exper.restore_artifact("a", newest.version)
    assert exper.artifact("a").record == newest.record


def test_a_version_with_an_alias_is_not_deleted(exper, tmp_path):
    made = exper.add_artifact("best", tmp_path / "a.txt", aliases=["production"])
    with pytest.raises(RunStateError, match="production"):
        exper.delete_artifact("best", made.version)


def test_a_version_of_a_data_set_is_refused_as_an_input(ms, tmp_path):
    (tmp_path / "d.csv").write_text("x\n1\n")
    ms.add_dataset("d", tmp_path / "d.csv")
    ms.delete_dataset("d", 0)

    for version in (None, 0):
        with pytest.raises(NotFoundError), ms.exper("e").start_run() as run:
            run.get_dataset("d", version)
    assert (ms.datasets(), ms.restore_dataset("d", 0)) == ([], True)
    assert ms.get_dataset("d").version == 0


def test_whether_a_version_could_be_deleted_is_found_out_without_deleting_it(ms, exper):
    made = exper.add_artifact("fresh", [1], aliases=["best"])
    repository = ms.repository("models")
    repository.log_artifact("m", [1])
    repository.save()

    with pytest.raises(RunStateError, match="alias 'best'"):
        exper.delete_artifact(made.name, made.version, dry_run=True)
    repository.delete_artifact("m", 0, dry_run=True)

    assert repository.load_artifact("m") == [1]


def test_what_is_deleted_tells_the_call_that_restores_it(ms, exper, tmp_path):
    (tmp_path / "d.csv").write_text("a")
    ms.add_dataset("d", tmp_path / "d.csv")
    exper.add_artifact("a", [1])
    exper.add_artifact("a", [2])
    ms.delete_dataset("d", 0)
    exper.delete_artifact("a", 0)

    with pytest.raises(NotFoundError, match=r"ms\.restore_dataset\('d', 0\) brings it back"):
        ms.delete_dataset("d", 0)
    with pytest.raises(NotFoundError, match=r": restore_artifact\('a', 0\) brings it back"):
        exper.delete_artifact("a", 0)


def test_only_a_number_names_a_version_to_delete(exper):
    exper.add_artifact("a", [1], aliases=["best"])

    for call in (exper.delete_artifact, exper.restore_artifact):
        with pytest.raises(InvalidValueError, match="a whole number"):
            call("a", "0")
    assert exper.load_artifact("a") == [1]


def test_a_name_without_versions_tells_how_they_come_back(ms):
    repository = ms.repository("models")
    repository.log_artifact("m", [1])
    repository.save()
    repository.delete_artifact("m", 0)

    for version in (None, 0):
        with pytest.raises(NotFoundError, match=r"deleted.*restore_artifact\('m', 0\)"):
            repository.load_artifact("m", version)


def test_no_alias_is_given_to_what_is_deleted_meanwhile(ms, monkeypatch):
    repository, other = ms.repository("models"), ms.repository("models")
    for value in (1, 2):
        repository.log_artifact("m", value)
    repository.save()
    found = repository.artifact("m", 0)
    monkeypatch.setattr(repository, "artifact", lambda *_: found)
    other.delete_artifact("m", 0)

    with pytest.raises(NotFoundError, match="was deleted meanwhile"):
        repository.set_alias("m", "best", 0)
    assert other.aliases("m") == {}


def test_a_version_of_a_release_is_not_deleted(ms):
    with ms.repository("models") as repo:
        repo.log_artifact("m", {"a": 1}, "json")
    repo.release("v1")
    with pytest.raises(RunStateError, match="v1"):
        repo.delete_artifact("m", 0)
    with repo:
        repo.log_artifact("m", {"a": 2}, "json")
    repo.delete_artifact("m", 1)

    assert repo.load_artifact("m") == {"a": 1}
    assert repo.restore_artifact("m", 1)
    assert repo.load_artifact("m") == {"a": 2}
    assert [one.action for one in repo.audit("m")][-2:] == ["delete", "restore"]
