"""Deletes for ever: what lies below a run, an experiment or a version, and that one last.

The first step is a claim: from then on it cannot be restored, and whoever comes after an
interruption goes on. Bytes are not touched here; nothing mentions them any more, and `aletheia gc`
takes them when they are old enough.
"""

from __future__ import annotations

from collections.abc import Iterable

from aletheia_like.metastore.marks import DELETED_AT, PURGED_AT, is_deleted, marks
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.ports.documents import MAX_WRITES, Delete, Document, Query, Update


def claim(session: Session, path: str, *, only_deleted: bool = False) -> bool:
    """Make sure that a document cannot be restored any more.

    Args:
        session: The metastore.
        path: The document of a run, an experiment or a version.
        only_deleted: Leave what is not, or no longer, deleted.

    Returns:
        Whether it is claimed, or gone.
    """

    def attempt() -> bool:
        document = session.documents.get(path)
        if document is None or document.fields.get(PURGED_AT) is not None:
            return True
        if only_deleted and not is_deleted(document.fields):
            return False
        changes = {} if DELETED_AT in document.fields else marks(session)
        changes[PURGED_AT,] = session.clock()
        session.documents.apply([Update(path, changes, document.revision)])
        return True

    return session.retry(attempt)


def purge_run(session: Session, run_path: str) -> int:
    """Delete a run: its rows, then its line in the leaderboard and its document at once.

    Returns:
        How many documents were deleted.
    """
    claim(session, run_path)
    experiment_path, _, id_ = run_path.partition("/runs/")
    result_path = f"{paths.results(experiment_path)}/{id_}"

    def attempt() -> int:
        document = session.documents.get(run_path)
        if document is None:
            return 0
        rows = _delete_all(session, paths.rows(run_path))
        # A writer that added rows meanwhile has changed the document, too: then once more.
        session.documents.apply([Delete(result_path), Delete(run_path, document.revision)])
        return rows + 2

    return session.retry(attempt)


def purge_version(session: Session, version_path: str) -> int:
    """Delete a version of an artifact or data set; return how many documents that were."""
    claim(session, version_path)
    files = _delete_all(session, paths.version_files(version_path))
    session.documents.apply([Delete(version_path)])
    return files + 1


def purge_experiment(session: Session, experiment_path: str) -> int:
    """Delete an experiment with its runs, results and artifacts; return how many documents."""
    claim(session, experiment_path)
    count = 0
    for run in _all(session, paths.runs(experiment_path)):
        count += purge_run(session, run.path)
    count += _delete_all(session, paths.results(experiment_path))
    for owner in _all(session, paths.artifacts(experiment_path)):
        for version in _all(session, paths.versions(owner.path)):
            count += purge_version(session, version.path)
        session.documents.apply([Delete(owner.path)])
        count += 1
    session.documents.apply([Delete(experiment_path)])
    return count + 1


def _all(session: Session, collection: str) -> list[Document]:
    return list(session.documents.query(Query(collection)))


def _delete_all(session: Session, collection: str) -> int:
    found = [one.path for one in _all(session, collection)]
    for batch in _batches(found):
        session.documents.apply([Delete(one) for one in batch])
    return len(found)


def _batches(found: list[str]) -> Iterable[list[str]]:
    return (found[start : start + MAX_WRITES] for start in range(0, len(found), MAX_WRITES))
