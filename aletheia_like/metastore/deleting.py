"""Deletes a run: its rows, its line in the leaderboard, and its document last.

The bytes of its artifacts and of the objects in its rows stay: other runs may share them. Its
number is not given again, since the experiment goes on counting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aletheia_like.errors import NotFoundError, RunStateError
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.records import Status, seen_status
from aletheia_like.ports.documents import MAX_WRITES, Delete, Document, Query

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
    """

    run_path: str
    result_path: str
    status: Status
    chunks: tuple[str, ...]
    rows: int


def plan_deletion(
    session: Session, experiment: Experiment, id_: str, *, force: bool = False
) -> Deletion:
    """Return what deleting a run would take away; a read for each chunk, and nothing is written.

    Args:
        session: The metastore.
        experiment: What the run belongs to.
        id_: Which run.
        force: Delete it even if it is running.

    Raises:
        NotFoundError: There is no such run.
        RunStateError: It is running.
    """
    path = paths.run(experiment.path, id_)
    document = session.documents.get(path)
    if document is None:
        message = f"no run {id_!r} in experiment {experiment.name!r} of {session.project!r}"
        raise NotFoundError(message)
    status = _status(document)
    if status == "running" and not force:
        message = (
            f"run {experiment.name}/{id_} is running: end it first, "
            "or give force=True (--force) to delete it all the same"
        )
        raise RunStateError(message)
    chunks = [
        (one.path, int(one.fields.get("count", 0)))
        for one in session.documents.query(Query(paths.rows(path)))
    ]
    return Deletion(
        run_path=path,
        result_path=paths.result(experiment.path, id_),
        status=status,
        chunks=tuple(chunk for chunk, _ in chunks),
        rows=sum(count for _, count in chunks),
    )


def carry_out(session: Session, deletion: Deletion) -> None:
    """Delete what was planned; after an interruption it can be planned and done again.

    Raises:
        UnavailableError: The store is away; what is left can be deleted later.
    """
    chunks = deletion.chunks
    for start in range(0, len(chunks), MAX_WRITES):
        session.documents.apply([Delete(one) for one in chunks[start : start + MAX_WRITES]])
    session.documents.apply([Delete(deletion.result_path), Delete(deletion.run_path)])


def delete_run(
    session: Session, experiment: Experiment, id_: str, *, force: bool = False
) -> Deletion:
    """Delete a run, and return what that took away; see `plan_deletion`."""
    deletion = plan_deletion(session, experiment, id_, force=force)
    carry_out(session, deletion)
    return deletion


def _status(document: Document) -> Status:
    stored: Status = document.fields.get("status", "running")
    return seen_status(stored, document.updated_at, document.read_at)
