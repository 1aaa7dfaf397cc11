"""Deletes runs and experiments so that they can be restored, and restores them.

A deleted run or experiment bears a mark and stays where it is: its id is not given again, and
restoring it takes nothing but the mark away. What is deleted for ever goes document by document,
the one that it is found by last, so that it can be done again after an interruption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aletheia_like.errors import NotFoundError, RunStateError
from aletheia_like.metastore.marks import UNMARK, check_kept, check_whole, is_deleted, kept, marks
from aletheia_like.metastore.purging import purge_experiment, purge_run
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.records import Status, seen_status
from aletheia_like.ports.documents import Document, Query, Update, Write

if TYPE_CHECKING:
    from aletheia_like.metastore.experiment import Experiment


@dataclass(frozen=True, slots=True)
class Deletion:
    """What deleting a run takes away.

    Attributes:
        run_path: The run's document.
        result_path: Its line in the leaderboard, if it has one.
        status: As it is seen.
        chunks: Paths of the documents that hold its rows.
        rows: How many rows these hold.
        forever: Whether it cannot be restored.
    """

    run_path: str
    result_path: str
    status: Status
    chunks: tuple[str, ...]
    rows: int
    forever: bool = False


def plan_deletion(
    session: Session,
    experiment: Experiment,
    id_: str,
    *,
    force: bool = False,
    forever: bool = False,
) -> Deletion:
    """Return what deleting a run would take away; a read for each chunk, and nothing is written.

    Args:
        session: The metastore.
        experiment: What the run belongs to.
        id_: Which run.
        force: Delete it even if it is running.
        forever: Delete its documents; it may have been deleted already.

    Raises:
        NotFoundError: There is no such run, or it was deleted already.
        RunStateError: It is running.
    """
    document = _run(session, experiment, id_)
    if not forever:
        check_kept(document, f"run {experiment.name}/{id_}", "restore_run")
    status = _status(document)
    if status == "running" and not force:
        message = (
            f"run {experiment.name}/{id_} is running: end it first, "
            "or give force=True (--force) to delete it all the same"
        )
        raise RunStateError(message)
    chunks = [
        (one.path, int(one.fields.get("count", 0)))
        for one in session.documents.query(Query(paths.rows(document.path)))
    ]
    return Deletion(
        run_path=document.path,
        result_path=paths.result(experiment.path, id_),
        status=status,
        chunks=tuple(chunk for chunk, _ in chunks),
        rows=sum(count for _, count in chunks),
        forever=forever,
    )


def carry_out(session: Session, deletion: Deletion) -> None:
    """Delete what was planned; after an interruption it can be planned and done again.

    Raises:
        NotFoundError: Somebody else has deleted the run for ever.
        UnavailableError: The store is away; what is left can be deleted later.
    """
    if deletion.forever:
        purge_run(session, deletion.run_path)
        return
    _mark_run(session, deletion.run_path, deletion.result_path, deleted=True)


def delete_run(
    session: Session,
    experiment: Experiment,
    id_: str,
    *,
    force: bool = False,
    forever: bool = False,
) -> Deletion:
    """Delete a run, and return what that took away; see `plan_deletion`."""
    deletion = plan_deletion(session, experiment, id_, force=force, forever=forever)
    carry_out(session, deletion)
    return deletion


def restore_run(session: Session, experiment: Experiment, id_: str) -> bool:
    """Restore a run; return whether it had been deleted.

    Raises:
        NotFoundError: There is no such run: it was deleted for ever, or never was.
    """
    document = _run(session, experiment, id_)
    if not is_deleted(document.fields):
        return False
    _mark_run(session, document.path, paths.result(experiment.path, id_), deleted=False)
    return True


def _run(session: Session, experiment: Experiment, id_: str) -> Document:
    document = session.documents.get(paths.run(experiment.path, id_))
    if document is None:
        message = f"no run {id_!r} in experiment {experiment.name!r} of {session.project!r}"
        raise NotFoundError(message)
    return document


def _mark_run(session: Session, run_path: str, result_path: str, *, deleted: bool) -> None:
    """Set or take away the marks of a run and of its line in the leaderboard, both or neither."""

    def attempt() -> None:
        run, result = session.documents.get_many([run_path, result_path])
        if run is None:
            message = f"{run_path} was deleted for ever"
            raise NotFoundError(message)
        if not deleted:
            check_whole(run, run_path)
        if is_deleted(run.fields) != deleted:
            changes = marks(session) if deleted else UNMARK
            writes: list[Write] = [Update(run_path, changes, run.revision)]
            if result is not None:
                writes.append(Update(result_path, changes, result.revision))
            session.documents.apply(writes)

    session.retry(attempt)


@dataclass(frozen=True, slots=True)
class ExperimentDeletion:
    """What deleting an experiment takes away.

    Attributes:
        path: The experiment's document.
        runs: How many runs it has.
        running: Ids of those that are running.
        forever: Whether it cannot be restored.
    """

    path: str
    runs: int
    running: tuple[str, ...]
    forever: bool = False


def plan_experiment_deletion(
    session: Session, name: str, *, force: bool = False, forever: bool = False
) -> ExperimentDeletion:
    """Return what deleting an experiment would take away; a read for each run.

    Raises:
        NotFoundError: There is no such experiment, or it was deleted already.
        RunStateError: Some of its runs are running, and `force` is not given.
    """
    document = _experiment(session, name)
    if not forever:
        check_kept(document, f"experiment {name!r}", "restore_experiment")
    runs = list(session.documents.query(Query(paths.runs(document.path))))
    running = tuple(one.id for one in kept(runs) if _status(one) == "running")
    if running and not force:
        message = (
            f"runs of experiment {name!r} are running: {', '.join(running[:10])}; end them first, "
            "or give force=True (--force) to delete it all the same"
        )
        raise RunStateError(message)
    return ExperimentDeletion(document.path, len(runs), running, forever)


def carry_out_experiment(session: Session, deletion: ExperimentDeletion) -> None:
    """Delete the experiment that was planned to be deleted; see `carry_out`."""
    if deletion.forever:
        purge_experiment(session, deletion.path)
    else:
        _mark_experiment(session, deletion.path, deleted=True)


def restore_experiment(session: Session, name: str) -> bool:
    """Restore an experiment; return whether it had been deleted.

    Raises:
        NotFoundError: There is no such experiment.
    """
    document = _experiment(session, name)
    if not is_deleted(document.fields):
        return False
    _mark_experiment(session, document.path, deleted=False)
    return True


def _experiment(session: Session, name: str) -> Document:
    document = session.documents.get(paths.experiment(session.project_path, name))
    if document is None:
        message = f"no experiment {name!r} in project {session.project!r}"
        raise NotFoundError(message)
    return document


def _mark_experiment(session: Session, path: str, *, deleted: bool) -> None:
    def decide(document: Document | None) -> list[Write]:
        if document is None:
            message = f"{path} was deleted for ever"
            raise NotFoundError(message)
        if not deleted:
            check_whole(document, path)
        if is_deleted(document.fields) == deleted:
            return []
        return [Update(path, marks(session) if deleted else UNMARK, document.revision)]

    session.change(path, decide)


def _status(document: Document) -> Status:
    stored: Status = document.fields.get("status", "running")
    return seen_status(stored, document.updated_at, document.read_at)
