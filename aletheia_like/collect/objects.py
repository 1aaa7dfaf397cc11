"""Deletes one object of rows at once, if nothing refers to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from aletheia_like.collect.collecting import LEAST_GRACE
from aletheia_like.collect.sweeping import Unreferenced, sweep
from aletheia_like.errors import NotFoundError, RunStateError
from aletheia_like.metastore.amending import amend, plan_amendment
from aletheia_like.metastore.reading import read_columns
from aletheia_like.metastore.renewing import SWEPT_BY, age_of
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.digests import check_digest
from aletheia_like.model.rows import Absent
from aletheia_like.ports.documents import Document, Query
from aletheia_like.transfer.source import KINDS, ROWS, Kind


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object is referred to.

    Attributes:
        path: The document, or that of the run whose row it is.
        column: The row's column, if the cell is the object's hash and nothing else.
    """

    path: str
    column: str | None = None


def delete_object(
    session: Session, digest: str, *, clear: bool, exclusive: bool, dry_run: bool = False
) -> int:
    """Delete an object and its index document; see `Metastore.delete_object`.

    Returns:
        In how many rows the reference was taken away.
    """
    document = session.documents.get(paths.file(check_digest(digest)))
    if document is None or SWEPT_BY in document.fields:
        message = f"no object {digest} in the store"
        raise NotFoundError(message)
    if not exclusive and age_of(document) < LEAST_GRACE.total_seconds():
        message = (
            f"{digest[:12]} was stored or used less than {LEAST_GRACE.days * 24} hours ago, so "
            "somebody may be about to refer to it: wait, or give exclusive=True (--exclusive) if "
            "nothing else uses the store"
        )
        raise RunStateError(message)
    cleared = _free(session, digest, clear=clear, dry_run=dry_run)
    if dry_run:
        return cleared
    size = int(document.fields.get("size") or 0)
    if sweep(session, [Unreferenced(digest, size, document.revision)], lambda _: None).renewed:
        message = f"{digest[:12]} was logged again just now: it stays"
        raise RunStateError(message)
    session.known_files.pop(digest, None)
    return cleared


def _free(session: Session, digest: str, *, clear: bool, dry_run: bool) -> int:
    """Make sure that nothing refers to an object; return how many rows were changed for that."""
    places = list(_places(session, digest))
    kept = [one for one in places if one.column is None or not clear]
    if kept:
        told = ", ".join(one.path + (f" {one.column}" if one.column else "") for one in kept)
        advice = "" if clear else "; clear=True takes the hash out of rows that hold nothing else"
        message = f"{digest[:12]} is referred to by {told[:500]}{advice}"
        raise RunStateError(message)
    changed = 0
    for one in places:
        plan = plan_amendment(session, one.path, str(one.column), None, {str(one.column): digest})
        if not dry_run:
            amend(session, plan)
        changed += plan.changed
    return changed


def _places(session: Session, digest: str) -> Iterator[_Place]:
    for project in list(session.documents.query(Query(paths.PROJECTS))):
        yield from _mentions(project, digest)
        yield from _below(session, project.path, KINDS, digest)


def _below(session: Session, path: str, kinds: tuple[Kind, ...], digest: str) -> Iterator[_Place]:
    for kind in kinds:
        for document in list(session.documents.query(Query(f"{path}/{kind.name}"))):
            if kind.name == ROWS:
                if digest in str(document.fields.get("columns")):
                    yield from _in_rows(session, path, digest)
                    break
                continue
            yield from _mentions(document, digest)
            yield from _below(session, document.path, kind.below, digest)


def _mentions(document: Document, digest: str) -> Iterator[_Place]:
    if digest in json.dumps(document.fields, default=str):
        yield _Place(document.path)


def _in_rows(session: Session, run_path: str, digest: str) -> Iterator[_Place]:
    """Yield the columns of a run that show an object now, whatever they showed once."""
    for name, cells in read_columns(session, run_path, {}).cells.items():
        held = [one for one in cells if not isinstance(one, Absent)]
        if digest in held:
            yield _Place(run_path, name)
        elif any(digest in repr(one) for one in held):
            yield _Place(run_path)
