"""Reads the versions of a name, no more of them than the question needs."""

from __future__ import annotations

from dataclasses import replace

from aletheia_like.errors import NotFoundError
from aletheia_like.metastore.choosing import Candidates, Version, check_match, choose, is_live
from aletheia_like.metastore.marks import check_kept
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.versions import (
    list_newest,
    list_versions,
    newest_of,
    next_number,
)
from aletheia_like.model import paths
from aletheia_like.model.codec import version_record
from aletheia_like.model.names import from_id
from aletheia_like.model.records import VersionRecord
from aletheia_like.ports.documents import Document, Query

ALIASES = "aliases"
"""Field of a name's document: numbers of versions by the ids of their aliases."""


def find_version(
    session: Session, owner_path: str, where: str, version: Version = None, match: str = "exact"
) -> VersionRecord:
    """Return the version that is meant; the newest costs one read, a number or an alias two.

    Args:
        session: The metastore.
        owner_path: Document of the artifact.
        where: What it lies in, for messages: `repository 'models'`.
        version: Number, alias or date; None for the newest.
        match: `asof` takes the newest of that date or before.

    Raises:
        NotFoundError: There is no such artifact, or no such version of it.
        InvalidValueError: It is no version, or `asof` does not go with it.
    """
    check_match(version, match)
    owner = known_owner(session, owner_path, where)
    newest = newest_of(owner)
    if version is None and newest is not None and is_live(newest, session.clock()):
        return with_aliases(newest, owner)
    number = aliases_of(owner).get(version) if isinstance(version, str) else version
    if isinstance(number, int) and match == "exact":
        document = session.documents.get(paths.version(owner_path, number))
        if document is not None:
            name = from_id(owner.id)
            check_kept(document, f"version {number} of {name!r}", restoring(owner, number))
            return with_aliases(version_record(document.path, document.fields), owner)
    candidates = read_candidates(session, owner)
    return with_aliases(choose(candidates, version, match, session.clock()), owner)


def find_all(session: Session, owner_path: str, where: str) -> list[VersionRecord]:
    """Return every version of an artifact, oldest first.

    Raises:
        NotFoundError: There is no such artifact.
    """
    owner = known_owner(session, owner_path, where)
    return [with_aliases(one, owner) for one in list_versions(session, owner_path)]


def find_newest(session: Session, collection: str) -> list[VersionRecord]:
    """Return the newest version of every name in a collection, one read each."""
    owners = session.documents.query(Query(collection))
    found = ((newest_of(owner), owner) for owner in owners)
    return [with_aliases(newest, owner) for newest, owner in found if newest is not None]


def known_owner(session: Session, owner_path: str, where: str) -> Document:
    """Return the document of a name.

    Raises:
        NotFoundError: There is none; the message tells which there are.
    """
    owner = session.documents.get(owner_path)
    if owner is not None and newest_of(owner) is not None:
        return owner
    name = from_id(owner_path.rpartition("/")[2])
    if owner is not None and (number := next_number(owner)):
        message = (
            f"every version of artifact {name!r} in {where} was deleted: "
            f"{restoring(owner, number - 1)} brings the last one back"
        )
        raise NotFoundError(message)
    names = [one.name for one in list_newest(session, owner_path.rpartition("/")[0])][:10]
    known = f"there are {', '.join(map(repr, names))}" if names else "there are none yet"
    message = f"no artifact {name!r} in {where}: {known}"
    raise NotFoundError(message)


def restoring(owner: Document, number: int) -> str:
    """Return the call that brings a version of a name back, for messages."""
    collection = owner.path.split("/")[-2]
    call = "restore_artifact" if collection == "artifacts" else "ms.restore_dataset"
    return f"{call}({from_id(owner.id)!r}, {number})"


def read_candidates(session: Session, owner: Document) -> Candidates:
    """Return every version of a name and its aliases."""
    records = list_versions(session, owner.path)
    # Documents of earlier days tell of aliases in the versions only.
    given = {alias: one.version for one in records for alias in one.aliases}
    what = f"artifact {from_id(owner.id)!r}"
    return Candidates(what, records, given | aliases_of(owner))


def aliases_of(owner: Document | None) -> dict[str, int]:
    """Return numbers of versions by their aliases."""
    stored = None if owner is None else owner.fields.get(ALIASES)
    if not isinstance(stored, dict):
        return {}
    return {from_id(key): number for key, number in stored.items() if isinstance(number, int)}


def with_aliases(record: VersionRecord, owner: Document | None) -> VersionRecord:
    """Return a version with the aliases that it has now; they move, its document stays."""
    if owner is None or ALIASES not in owner.fields:
        return record
    names = [alias for alias, number in aliases_of(owner).items() if number == record.version]
    return replace(record, aliases=tuple(sorted(names)))
