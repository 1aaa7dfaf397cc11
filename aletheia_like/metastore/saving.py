"""Publishes what a repository has staged, in one `apply`: all of it or nothing.

Every save also changes the repository's own document, by its revision. So savers take turns, a
release sees the repository between two saves, and a write that arrives late is refused. A save
that may have happened, though its answer was lost, is known by its entry in the audit trail.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aletheia_like.errors import AletheiaError, AlreadyExistsError, ConflictError
from aletheia_like.metastore.finding import ALIASES, aliases_of
from aletheia_like.metastore.session import Session, author, new_token
from aletheia_like.metastore.storing import LocalFile, store_files
from aletheia_like.metastore.versions import newest_of, next_number
from aletheia_like.model import paths
from aletheia_like.model.codec import SCHEMA_VERSION, to_fields
from aletheia_like.model.names import to_id
from aletheia_like.model.records import VersionRecord
from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.documents import MAX_WRITES, Create, Document, Removal, Update, Write

MAX_SAVED = MAX_WRITES - 10
"""Writes that the versions of one save may take; the rest is for what goes with them."""

GENERATION = "generation"
ORIGIN = "promoted_from"
"""Field of a promoted version: the artifact's name, version, and moment of creation."""

INPUTS = "inputs"
"""Field of a promoted version: the data sets that its run read, as its document told them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository's versions lie.

    Attributes:
        name: Of the repository.
        path: Of its document.
        generation: How often it was begun anew before.
        anew: Whether saving may begin this generation.
    """

    name: str
    path: str
    generation: int
    anew: bool = False

    @property
    def below(self) -> str:
        """Path below which artifacts and releases lie."""
        return paths.generation(self.path, self.generation)

    def owner(self, name: str) -> str:
        """Path of an artifact."""
        return paths.artifact(self.below, name)


@dataclass(frozen=True, slots=True)
class Staged:
    """A version that waits for its save.

    Attributes:
        record: All that is known of it; number and moment are given when it is saved.
        files: What has to be in the blob store by then.
        allow_older: Whether it may have been promoted from something older than the newest.
    """

    record: VersionRecord
    files: tuple[LocalFile, ...] = ()
    allow_older: bool = False

    @property
    def writes(self) -> int:
        """How many writes its save takes at most: itself, its name, and each alias."""
        return 2 + len(self.record.aliases)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was read at one moment, and when that was."""

    repository: Document | None
    owners: Mapping[str, Document | None]
    now: dt.datetime


def save(
    session: Session, place: Place, staged: Sequence[Staged], tokens: Sequence[str]
) -> dict[str, VersionRecord | int]:
    """Store the bytes of what is staged, then publish it.

    Args:
        session: The metastore.
        place: Where to.
        staged: In the order of their numbers.
        tokens: The last names this save, those before it saves that failed, or seemed to.

    Returns:
        The published versions by their tokens; of one that an earlier save has published after
        all, its number.

    Raises:
        AlreadyExistsError: A promoted version is not newer than the newest of its name.
        ConflictError: The repository was begun anew since it was opened.
        IntegrityError: A file no longer has the content that was staged.
        UnavailableError: A store is away; what is staged can be saved again.
    """
    names = list(dict.fromkeys(one.record.name for one in staged))
    owner_paths = [place.owner(name) for name in names]
    entries = [_entry_path(place, one) for one in tokens]
    files = [file for one in staged for file in one.files]
    if files:
        store_files(session, files, place.name)

    def attempt() -> dict[str, VersionRecord | int] | AletheiaError:
        found = session.documents.get_many([place.path, *entries, *owner_paths])
        done = _numbers_of(found[1 : 1 + len(entries)])
        left = [one for one in staged if one.record.token not in done]
        owners = dict(zip(names, found[1 + len(entries) :], strict=True))
        seen = _Seen(found[0], owners, session.clock())
        refusal = _refusal(place, seen, left)
        if refusal is not None:
            return refusal
        if not left:
            return {**done}
        records = _numbered(left, owners, seen.now)
        project = [] if seen.repository is not None else session.project_writes()
        session.documents.apply([*project, *_writes(place, seen, records, tokens[-1])])
        return {**done, **{one.token: one for one in _as_seen(records)}}

    # What is refused is returned: these errors would be tried again.
    outcome = session.retry(attempt, AlreadyExistsError)
    if isinstance(outcome, AletheiaError):
        raise outcome
    return outcome


def generation_refusal(place: Place, repository: Document | None) -> ConflictError | None:
    """Return why a repository is not to be changed: it was begun anew since it was opened."""
    current = generation_of(repository)
    is_next = place.anew and current == place.generation - 1
    if current is None or current == place.generation or is_next:
        return None
    return ConflictError(
        f"repository {place.name!r} was begun anew since it was opened here: open it again; "
        f"what it held before is its generation {place.generation}"
    )


def generation_of(repository: Document | None) -> int | None:
    """Return how often a repository was begun anew; None if there is none."""
    if repository is None:
        return None
    stored = repository.fields.get(GENERATION)
    return stored if isinstance(stored, int) else 0


def repository_write(
    place: Place, repository: Document | None, now: dt.datetime, changes: Mapping[str, Value]
) -> Write:
    """Return the write by which every change of what a repository holds takes its turn."""
    if repository is None:
        first: dict[str, Value] = {"schema_version": SCHEMA_VERSION, "name": place.name}
        first |= {"created_at": now, "created_by": author(), GENERATION: place.generation}
        return Create(place.path, {**first, **changes})
    fields: dict[FieldPath, Value | Removal] = {(key,): changes[key] for key in changes}
    if generation_of(repository) != place.generation:
        fields |= {(GENERATION,): place.generation}
    return Update(place.path, fields, repository.revision)


def _generation_writes(place: Place, seen: _Seen) -> list[Write]:
    """Return the write that tells when a repository was begun anew, if it is."""
    if seen.repository is None or generation_of(seen.repository) == place.generation:
        return []
    fields: dict[str, Value] = {"schema_version": SCHEMA_VERSION, "created_at": seen.now}
    return [Create(place.below, {**fields, "created_by": author()})]


def audit_write(
    place: Place, token: str, now: dt.datetime, action: str, what: Mapping[str, Value]
) -> Create:
    """Return the write of an entry in the audit trail: what, when, and by whom."""
    fields: dict[str, Value] = {"schema_version": SCHEMA_VERSION, "action": action, "at": now}
    fields |= {"by": author(), "token": token, GENERATION: place.generation}
    return Create(_entry_path(place, token), {**fields, **what})


def not_newer(place: Place, newest: VersionRecord | None, promoted: VersionRecord) -> str | None:
    """Return why a version is not to be promoted, or None."""
    origin, newest_origin = _origin(promoted), None if newest is None else _origin(newest)
    if newest is None or origin is None or newest_origin is None:
        return None
    words = ("project", "experiment", "run")
    is_same = all(getattr(promoted, one) == getattr(newest, one) for one in words)
    where = f"{promoted.name}@{newest.version} of repository {place.name!r}"
    if is_same and origin == newest_origin:
        return f"{where} is this very version already"
    made, newest_made = origin[-1], newest_origin[-1]
    if made is not None and newest_made is not None and made < newest_made:
        return (
            f"{where} is newer, of {newest_made.isoformat()}: set an alias to go back to an older "
            "version, or give allow_older=True (--allow-older)"
        )
    return None


def _origin(record: VersionRecord) -> tuple[str, int, dt.datetime | None] | None:
    """Return what a version was promoted from, or itself: name, number, and moment."""
    origin = record.extra.get(ORIGIN)
    if not isinstance(origin, Mapping):
        return record.name, record.version, record.created_at
    return origin.get("name", ""), origin.get("version", -1), origin.get("created_at")


def _refusal(place: Place, seen: _Seen, staged: Sequence[Staged]) -> AletheiaError | None:
    refusal = generation_refusal(place, seen.repository)
    if refusal is not None:
        return refusal
    newest = {name: newest_of(owner) for name, owner in seen.owners.items()}
    for one in staged:
        name = one.record.name
        why = None if one.allow_older else not_newer(place, newest.get(name), one.record)
        if why is not None and ORIGIN in one.record.extra:
            return AlreadyExistsError(f"{name!r} is not promoted, and nothing is saved: {why}")
        newest[name] = one.record
    return None


def _numbered(
    staged: Sequence[Staged], owners: Mapping[str, Document | None], now: dt.datetime
) -> list[VersionRecord]:
    free = {name: next_number(owner) for name, owner in owners.items()}
    records = []
    for one in staged:
        number = free[one.record.name]
        free[one.record.name] = number + 1
        made = replace(one.record, version=number, created_at=now, created_by=author())
        records.append(made)
    return records


def _as_seen(records: Sequence[VersionRecord]) -> list[VersionRecord]:
    """Return versions as they can be read now: an alias that two took is the last one's."""
    holders = {(one.name, alias): one.version for one in records for alias in one.aliases}
    return [
        replace(one, aliases=tuple(a for a in one.aliases if holders[one.name, a] == one.version))
        for one in records
    ]


def _writes(
    place: Place, seen: _Seen, records: Sequence[VersionRecord], token: str
) -> list[Write]:
    saved: list[Value] = [
        {"name": one.name, "version": one.version, "token": one.token, "digest": one.digest}
        for one in records
    ]
    writes: list[Write] = [
        repository_write(place, seen.repository, seen.now, {"saved_at": seen.now}),
        audit_write(place, token, seen.now, "save", {"versions": saved}),
        *_generation_writes(place, seen),
    ]
    for name in dict.fromkeys(one.name for one in records):
        mine = [one for one in records if one.name == name]
        writes += _owner_writes(place, seen, mine)
    return writes


def _owner_writes(place: Place, seen: _Seen, records: Sequence[VersionRecord]) -> list[Write]:
    """Return the writes of the new versions of one name, and of the aliases they take."""
    name, path = records[0].name, place.owner(records[0].name)
    owner = seen.owners[name]
    known = aliases_of(owner)
    moved = {alias: one.version for one in records for alias in one.aliases}
    aliases: dict[str, Value] = {to_id(alias, "alias"): moved[alias] for alias in moved}
    bare = [replace(one, aliases=()) for one in records]
    counted = {"next_version": records[-1].version + 1, "latest": to_fields(bare[-1])}
    writes: list[Write] = [
        Create(paths.version(path, one.version), to_fields(one)) for one in bare
    ]
    if owner is None:
        first: dict[str, Value] = {"schema_version": SCHEMA_VERSION, "name": name}
        writes.append(Create(path, {**first, "created_at": seen.now, ALIASES: aliases, **counted}))
    else:
        changes: dict[FieldPath, Value | Removal] = {(key,): counted[key] for key in counted}
        changes |= {(ALIASES, key): aliases[key] for key in aliases}
        writes.append(Update(path, changes, owner.revision))
    for alias, number in moved.items():
        what = alias_move(name, alias, known.get(alias), number)
        writes.append(audit_write(place, new_token(), seen.now, "alias", what))
    return writes


def alias_move(name: str, alias: str, old: int | None, new: int | None) -> dict[str, Value]:
    """Return what the audit trail tells of an alias that moved; None is nowhere."""
    return {"artifact": name, "alias": alias, "from": old, "to": new}


def _entry_path(place: Place, token: str) -> str:
    return f"{paths.audit(place.path)}/{token}"


def _numbers_of(entries: Sequence[Document | None]) -> dict[str, int]:
    """Return numbers of versions by their tokens, as entries of saves tell."""
    numbers: dict[str, int] = {}
    for entry in entries:
        saved = None if entry is None else entry.fields.get("versions")
        for one in saved if isinstance(saved, list) else ():
            if isinstance(one, dict):
                numbers[str(one.get("token"))] = int(one.get("version", -1))
    return numbers
