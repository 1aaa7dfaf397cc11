"""Deletes versions of artifacts and data sets so that they can be restored, and restores them.

The document of the name repeats its newest version, so both change in one `apply`. A version that
an alias or a release leads to is refused: whoever follows these must not meet nothing.
"""

from __future__ import annotations

from aletheia_like.errors import NotFoundError, RunStateError
from aletheia_like.metastore.choosing import check_number
from aletheia_like.metastore.finding import aliases_of, restoring
from aletheia_like.metastore.labels import list_releases
from aletheia_like.metastore.marks import UNMARK, check_kept, check_whole, is_deleted, kept, marks
from aletheia_like.metastore.saving import (
    Place,
    audit_write,
    generation_refusal,
    repository_write,
)
from aletheia_like.metastore.session import Session, new_token
from aletheia_like.metastore.versions import newest_of
from aletheia_like.model import paths
from aletheia_like.model.names import from_id
from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.documents import REMOVE, Document, Query, Removal, Update, Write


def delete_version(
    session: Session,
    owner_path: str,
    number: int,
    where: str,
    *,
    place: Place | None = None,
    dry_run: bool = False,
) -> None:
    """Delete a version; its number is not used again.

    The document of the name changes, too, so that no alias can be given to it meanwhile.

    Args:
        session: The metastore.
        owner_path: Document of the artifact or data set.
        number: Which version.
        where: What it is and lies in, for messages: `artifact 'm' of experiment 'e'`.
        place: The repository, if it is in one.
        dry_run: Only find out whether it can be deleted.

    Raises:
        NotFoundError: There is no such version, or it was deleted already.
        RunStateError: An alias or a release leads to it.
        InvalidValueError: It is no number.
    """
    check_number(number)

    def attempt() -> None:
        owner, version = _read(session, owner_path, number, where)
        check_kept(version, f"version {number} of {where}", restoring(owner, number))
        given = [alias for alias, one in aliases_of(owner).items() if one == number]
        if given:
            message = f"version {number} of {where} has the alias {given[0]!r}: move that first"
            raise RunStateError(message)
        also = [] if place is None else _in_repository(session, place, owner, number, "delete")
        changes = [Update(version.path, marks(session), version.revision)]
        changed: dict[FieldPath, Value | Removal] = {("changed_at",): session.clock()}
        newest = newest_of(owner)
        if newest is not None and newest.version == number:
            others = _others(session, owner_path, number)
            latest = max(others, key=lambda one: int(one.id), default=None)
            changed[("latest",)] = REMOVE if latest is None else latest.fields
        changes.append(Update(owner_path, changed, owner.revision))
        if not dry_run:
            session.documents.apply([*changes, *also])

    session.retry(attempt)


def restore_version(
    session: Session, owner_path: str, number: int, where: str, *, place: Place | None = None
) -> bool:
    """Restore a version; return whether it had been deleted.

    Raises:
        NotFoundError: There is no such version: it was deleted for ever, or never was.
        InvalidValueError: It is no number.
    """
    check_number(number)

    def attempt() -> bool:
        owner, version = _read(session, owner_path, number, where)
        if not is_deleted(version.fields):
            return False
        check_whole(version, f"version {number} of {where}")
        also = [] if place is None else _in_repository(session, place, owner, number, "restore")
        changes = [Update(version.path, UNMARK, version.revision)]
        newest = newest_of(owner)
        if newest is None or newest.version < number:
            plain = {key: one for key, one in version.fields.items() if (key,) not in UNMARK}
            changes.append(Update(owner_path, {("latest",): plain}, owner.revision))
        session.documents.apply([*changes, *also])
        return True

    return session.retry(attempt)


def _read(session: Session, owner_path: str, number: int, where: str) -> tuple[Document, Document]:
    wanted = [owner_path, paths.version(owner_path, number)]
    owner, version = session.documents.get_many(wanted)
    if owner is None or version is None:
        message = f"no version {number} of {where} in project {session.project!r}"
        raise NotFoundError(message)
    return owner, version


def _others(session: Session, owner_path: str, number: int) -> list[Document]:
    found = kept(session.documents.query(Query(paths.versions(owner_path))))
    return [one for one in found if one.id != str(number)]


def _in_repository(
    session: Session, place: Place, owner: Document, number: int, action: str
) -> list[Write]:
    """Return the writes that let a change take its turn among those of the repository."""
    repository = session.documents.get(place.path)
    refusal = generation_refusal(place, repository)
    if refusal is not None:
        raise refusal
    name = from_id(owner.id)
    for release in list_releases(session, place):
        if release.versions.get(name) == number:
            message = f"version {number} of {name!r} is part of the release {release.tag!r}"
            raise RunStateError(message)
    now, token = session.clock(), new_token()
    entry = audit_write(place, token, now, action, {"artifact": name, "version": number})
    return [repository_write(place, repository, now, {"changed_at": now}), entry]
