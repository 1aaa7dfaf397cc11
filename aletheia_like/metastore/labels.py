"""What is said of a repository's versions afterwards: aliases, expiry, releases, and who did it.

Each change is one `apply` with its entry in the audit trail.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any

from aletheia_like.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidValueError,
    NotFoundError,
    RunStateError,
)
from aletheia_like.metastore.choosing import is_live
from aletheia_like.metastore.finding import ALIASES, aliases_of, known_owner, read_candidates
from aletheia_like.metastore.marks import is_deleted
from aletheia_like.metastore.saving import (
    Place,
    alias_move,
    audit_write,
    generation_of,
    generation_refusal,
    repository_write,
)
from aletheia_like.metastore.session import Session, author, new_token
from aletheia_like.metastore.versions import newest_of
from aletheia_like.model import paths
from aletheia_like.model.codec import SCHEMA_VERSION
from aletheia_like.model.names import check_name, from_id, to_id
from aletheia_like.model.values import FieldPath, Value, decode
from aletheia_like.ports.documents import (
    REMOVE,
    Create,
    Document,
    Query,
    Removal,
    Update,
    Write,
)

_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Release:
    """A tag, and the versions that were the newest when it was given.

    Attributes:
        tag: Unique within the repository.
        versions: Numbers by the names of artifacts.
    """

    tag: str
    versions: Mapping[str, int]
    created_at: dt.datetime | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was done to a repository.

    Attributes:
        action: `save`, `alias`, `expiry`, `release`, `delete` or `restore`.
        at: When.
        by: Who.
        generation: How often the repository was begun anew before.
        details: What exactly: of an alias its `artifact`, `alias`, and the versions `from`, `to`.
    """

    action: str
    at: dt.datetime | None
    by: str | None
    generation: int
    details: Mapping[str, Any] = field(default_factory=dict)

    def concerns(self, name: str) -> bool:
        """Whether it was done to an artifact."""
        if self.action == "release":
            return name in self.details.get("artifacts", {})
        saved = self.details.get("versions", ())
        return self.details.get("artifact") == name or any(one["name"] == name for one in saved)


def check_alias(alias: str) -> str:
    """Return what can be an alias.

    Raises:
        InvalidValueError: It cannot name anything, or would be taken for a number or a date.
    """
    check_name(alias, "alias")
    if alias.lstrip("+-").isdigit() or _is_date(alias):
        message = f"{alias!r} cannot be an alias: it reads as the number or date of a version"
        raise InvalidValueError(message)
    return alias


def given_aliases(aliases: str | Iterable[str]) -> tuple[str, ...]:
    """Return what can be aliases; a text is one.

    Raises:
        InvalidValueError: One cannot be an alias.
    """
    return tuple(map(check_alias, (aliases,) if isinstance(aliases, str) else aliases))


def _is_date(text: str) -> bool:
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def read_aliases(session: Session, owner_path: str, where: str) -> dict[str, int]:
    """Return numbers of versions by their aliases, sorted by these."""
    return dict(sorted(aliases_of(known_owner(session, owner_path, where)).items()))


def move_alias(
    session: Session,
    place: Place,
    name: str,
    alias: str,
    number: int | None,
    expected: int | EllipsisType | None,
) -> None:
    """Let an alias name another version, None for nothing; see `Repository.set_alias`."""
    check_alias(alias)
    where = f"repository {place.name!r}"
    token, path = new_token(), place.owner(name)

    def attempt() -> ConflictError | NotFoundError | None:
        # Read anew each time: whoever moved it meanwhile stands in the trail as `from`.
        owner = known_owner(session, path, where)
        gone = None if number is None else _gone(session, owner, number)
        if gone is not None:
            return gone
        old = aliases_of(owner).get(alias)
        if expected is not ... and old != expected:
            return ConflictError(
                f"alias {alias!r} of {name!r} names {_numbered(old)}, not {_numbered(expected)}: "
                "look at it again"
            )
        if number is None and old is None:
            return NotFoundError(f"{name!r} in {where} has no alias {alias!r}")
        if old != number:
            change = REMOVE if number is None else number
            changes: dict[FieldPath, Value | Removal] = {(ALIASES, to_id(alias, "alias")): change}
            what = alias_move(name, alias, old, number)
            entry = audit_write(place, token, session.clock(), "alias", what)
            session.documents.apply([Update(path, changes, owner.revision), entry])
        return None

    refusal = session.retry(attempt, AlreadyExistsError)
    if refusal is not None:
        raise refusal


def _gone(session: Session, owner: Document, number: int) -> NotFoundError | None:
    """Return why no alias can lead to a version: it was deleted since somebody chose it."""
    version = session.documents.get(paths.version(owner.path, number))
    if version is not None and not is_deleted(version.fields):
        return None
    return NotFoundError(f"version {number} of {from_id(owner.id)!r} was deleted meanwhile")


def _numbered(number: int | None) -> str:
    return "no version" if number is None else f"version {number}"


def set_expiry(
    session: Session, place: Place, name: str, number: int, moment: dt.datetime | None
) -> None:
    """Let a version expire at a moment, None for now; see `Repository.set_expiry`."""
    path, token = place.owner(name), new_token()

    def attempt() -> None:
        owner, version = session.documents.get_many([path, paths.version(path, number)])
        if owner is None or version is None:
            message = f"no version {number} of artifact {name!r} in repository {place.name!r}"
            raise NotFoundError(message)
        now = session.clock()
        changes: dict[FieldPath, Value | Removal] = {("expires_at",): moment or now}
        writes: list[Write] = [Update(version.path, changes, version.revision)]
        newest = newest_of(owner)
        if newest is not None and newest.version == number:
            repeated: dict[FieldPath, Value | Removal] = {("latest", "expires_at"): moment or now}
            writes.append(Update(path, repeated, owner.revision))
        what: dict[str, Value] = {"artifact": name, "version": number, "expires_at": moment or now}
        session.documents.apply([*writes, audit_write(place, token, now, "expiry", what)])

    session.retry(attempt, AlreadyExistsError)


def create_release(session: Session, place: Place, tag: str) -> None:
    """Note the newest versions under a tag; see `Repository.release`."""
    path, token = paths.release(place.below, tag), new_token()

    def attempt() -> Exception | None:
        repository, there = session.documents.get_many([place.path, path])
        if there is not None:
            if there.fields.get("token") == token:
                return None
            return AlreadyExistsError(
                f"repository {place.name!r} has a release {tag!r} already, and it stays as it is"
            )
        refusal = generation_refusal(place, repository)
        if refusal is not None:
            return refusal
        now = session.clock()
        versions = _newest_numbers(session, place, now)
        if repository is None or generation_of(repository) != place.generation or not versions:
            return RunStateError(
                f"repository {place.name!r} has nothing to release: log_artifact and save() first"
            )
        fields: dict[str, Value] = {"schema_version": SCHEMA_VERSION, "tag": tag}
        fields |= {"created_at": now, "created_by": author(), "token": token}
        fields |= {"versions": {to_id(one, "artifact"): versions[one] for one in versions}}
        session.documents.apply(
            [
                # Whoever saves meanwhile makes this fail: a release lies between two saves.
                repository_write(place, repository, now, {"released_at": now}),
                Create(path, fields),
                audit_write(place, token, now, "release", {"tag": tag, "artifacts": versions}),
            ]
        )
        return None

    refusal = session.retry(attempt, AlreadyExistsError)
    if refusal is not None:
        raise refusal


def _newest_numbers(session: Session, place: Place, now: dt.datetime) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for owner in session.documents.query(Query(paths.artifacts(place.below))):
        newest = newest_of(owner)
        if newest is None:
            continue
        live = (
            [newest]
            if is_live(newest, now)
            else [one for one in read_candidates(session, owner).records if is_live(one, now)]
        )
        if live:
            numbers[newest.name] = max(one.version for one in live)
    return numbers


def list_releases(session: Session, place: Place) -> list[Release]:
    """Return the releases, oldest first."""
    found = map(_release, session.documents.query(Query(paths.releases(place.below))))
    return sorted(found, key=lambda one: (one.created_at or _LONG_AGO, one.tag))


def read_release(session: Session, place: Place, tag: str) -> Release:
    """Return one release.

    Raises:
        NotFoundError: There is none of this tag.
    """
    document = session.documents.get(paths.release(place.below, tag))
    if document is None:
        tags = ", ".join(repr(one.tag) for one in list_releases(session, place)[-10:]) or "none"
        message = f"no release {tag!r} of repository {place.name!r}: there are {tags}"
        raise NotFoundError(message)
    return _release(document)


def _release(document: Document) -> Release:
    fields = document.fields
    versions = fields.get("versions")
    numbers = versions if isinstance(versions, dict) else {}
    return Release(
        from_id(document.id),
        {from_id(key): one for key, one in numbers.items() if isinstance(one, int)},
        _moment(fields.get("created_at")),
        _text(fields.get("created_by")),
    )


def read_audit(session: Session, place: Place, name: str | None) -> list[AuditEntry]:
    """Return what was done to a repository, oldest first."""
    entries = map(_entry, session.documents.query(Query(paths.audit(place.path))))
    chosen = [one for one in entries if name is None or one.concerns(name)]
    return sorted(chosen, key=_order)


def _order(entry: AuditEntry) -> tuple[dt.datetime, bool]:
    """Sort by time; aliases that a save moved come after it."""
    return entry.at or _LONG_AGO, entry.action != "save"


def _entry(document: Document) -> AuditEntry:
    known: Sequence[str] = ("action", "at", "by", "generation", "token", "schema_version")
    fields = document.fields
    generation = fields.get("generation")
    return AuditEntry(
        _text(fields.get("action")) or "",
        _moment(fields.get("at")),
        _text(fields.get("by")),
        generation if isinstance(generation, int) else 0,
        {key: decode(value) for key, value in fields.items() if key not in known},
    )


def _moment(value: Value) -> dt.datetime | None:
    return value if isinstance(value, dt.datetime) else None


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None
