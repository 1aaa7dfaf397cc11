"""Deletes the bytes of columns that nothing mentions, in two steps with a grace time between.

First a blob is marked in the index of files. Who writes its content again takes the mark away, so
what is still marked after the grace time was wanted by nobody; it is deleted under a precondition
that fails if the mark was taken away meanwhile.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from aletheia_like.errors import ConflictError, InvalidValueError, NotFoundError
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.ports.documents import REMOVE, Delete, Document, Filter, Query, Update
from aletheia_like.series.columnstore import MEDIA_TYPE
from aletheia_like.series.documents import blobs_of


@dataclass(slots=True)
class Collected:
    """What a collection of garbage did.

    Attributes:
        deleted: Blobs that are gone.
        marked: Blobs that nothing mentions and that wait for their grace time to pass.
        bytes: Of the deleted ones.
    """

    deleted: int = 0
    marked: int = 0
    bytes: int = 0


def collect(session: Session, *, grace: float, dry_run: bool) -> Collected:
    """Mark and delete what nothing mentions; see `SeriesMetastore.gc`.

    Raises:
        InvalidValueError: The grace time is below 0.
    """
    if grace < 0:
        message = f"grace={grace}: it is a number of seconds, not below 0"
        raise InvalidValueError(message)
    # What is stored later than this query is no candidate, so it need not be looked for.
    columns = Filter(("media_type",), "==", MEDIA_TYPE)
    candidates = list(session.documents.query(Query(paths.FILES, (columns,))))
    wanted = set(_mentioned(session))
    done = Collected()
    for one in candidates:
        try:
            if one.id in wanted:
                _unmark(session, one, dry_run=dry_run)
            else:
                _mark_or_delete(session, one, dt.timedelta(seconds=grace), done, dry_run=dry_run)
        except (ConflictError, NotFoundError):
            # Somebody writes this content again, or deletes it too.
            continue
    return done


def _mentioned(session: Session) -> Iterator[str]:
    documents = session.documents
    for project in documents.query(Query(paths.PROJECTS)):
        for collection in documents.query(Query(paths.collections(project.path))):
            for one in documents.query(Query(f"{collection.path}/revisions")):
                yield from blobs_of(one.fields)


def _unmark(session: Session, one: Document, *, dry_run: bool) -> None:
    if "unreferenced_at" in one.fields and not dry_run:
        session.documents.apply([Update(one.path, {("unreferenced_at",): REMOVE}, one.revision)])


def _mark_or_delete(
    session: Session, one: Document, grace: dt.timedelta, done: Collected, *, dry_run: bool
) -> None:
    since = one.fields.get("unreferenced_at")
    if not isinstance(since, dt.datetime):
        done.marked += 1
        if not dry_run:
            marked: dict[tuple[str, ...], object] = {("unreferenced_at",): one.read_at}
            session.documents.apply([Update(one.path, marked, one.revision)])
        return
    if one.read_at - since < grace:
        done.marked += 1
        return
    done.deleted += 1
    done.bytes += int(one.fields.get("size", 0))
    if dry_run:
        return
    if not one.fields.get("deleting"):
        session.documents.apply([Update(one.path, {("deleting",): True}, one.revision)])
    session.known_files.discard(one.id)
    session.blobs.delete(one.id)
    session.documents.apply([Delete(one.path)])
