"""Copies collections between stores: only revisions and blobs that are missing move."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aletheia_like.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
)
from aletheia_like.metastore.session import Session
from aletheia_like.model.names import from_id
from aletheia_like.series import columnstore
from aletheia_like.series.changelog import Changelog
from aletheia_like.series.documents import revisions_of
from aletheia_like.series.history import History, State
from aletheia_like.series.revisions import Revision, folded
from aletheia_like.series.schema import Schema
from aletheia_like.transfer.blobmoving import BlobMover
from aletheia_like.transfer.report import Tally
from aletheia_like.transfer.source import Entry, Source, StoreSource

_MOVED = 500
_AHEAD = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Origin:
    """A collection that is to be copied, wherever it lies.

    Attributes:
        label: Its name.
        schema: Its columns.
        history: Its revisions.
        source: Where its blobs are.
    """

    label: str
    schema: Schema
    history: History
    source: Source


def stored(changelog: Changelog) -> Origin:
    """Return a collection of a store, as it is now.

    Raises:
        IntegrityError: A revision is gone or damaged.
    """
    changelog.refresh().check_whole()
    session = changelog.session
    return Origin(changelog.label, changelog.schema, changelog.history, StoreSource(session))


def exported(source: Source, entry: Entry, folder: Path) -> Origin:
    """Return a collection of an export.

    Args:
        source: The export.
        entry: The collection's document.
        folder: For what has to be unpacked.

    Raises:
        IntegrityError: It cannot be read.
    """
    schema = Schema.from_text(str(entry.fields.get("schema")), str(entry.fields.get("kind")))
    history = History()
    for one in source.collection(f"{entry.path}/revisions"):
        body = None
        payload = one.fields.get("payload")
        if isinstance(payload, str):
            source.download(payload, folder / payload)
            body = (folder / payload).read_bytes()
        for found in revisions_of(one.path, one.fields, schema, body):
            history.add(found)
    return Origin(from_id(entry.id), schema, history, source)


def move_collection(
    origin: Origin, target: Changelog, *, shallow: bool = False, tally: Tally | None = None
) -> int:
    """Bring what a collection has and another lacks into that; repeating it moves nothing.

    Args:
        origin: Where from.
        target: Where to.
        shallow: Move what is shown at each head instead of the history.
        tally: Counts what is moved.

    Returns:
        How many revisions were new.

    Raises:
        InvalidValueError: The schemas differ; nothing was moved.
        IntegrityError: A blob of the source is gone or damaged.
    """
    check_schemas(origin, target.refresh())
    counted = tally if tally is not None else Tally()

    def attempt() -> int:
        target.refresh()
        wanted = _snapshots(origin, target) if shallow else _missing(origin, target)
        for start in range(0, len(wanted), _MOVED):
            part = wanted[start : start + _MOVED]
            _move_blobs(origin.source, target.session, part, counted)
            target.add_many(part)
            counted.revisions += len(part)
        _warn_of_future(target, wanted)
        return len(wanted)

    return target.session.retry(attempt, AlreadyExistsError)


def check_schemas(origin: Origin | Changelog, target: Changelog) -> None:
    """Refuse to mix series of different schemas.

    Raises:
        InvalidValueError: They differ.
    """
    if origin.schema != target.schema:
        message = (
            f"collection {target.label!r} there has another schema, {target.schema}, than "
            f"{origin.label!r} here, {origin.schema}: choose another name; nothing was moved"
        )
        raise InvalidValueError(message)


def _missing(source: Origin, target: Changelog) -> list[Revision]:
    """Return the revisions that the target lacks and has not forgotten on purpose."""
    known = target.history.revisions
    unwanted = {gone for one in known.values() for gone in one.covers}
    for one in known.values():
        if one.is_base:
            unwanted |= source.history.ancestors(one.id)
    return [
        source.history.revisions[one]
        for one in source.history.ids
        if one not in known and one not in unwanted
    ]


def _snapshots(source: Origin, target: Changelog) -> list[Revision]:
    """Return the heads with all that they show; with the history where some of it is there."""
    known = target.history.revisions.keys()
    found: list[Revision] = []
    partly: set[str] = set()
    for id_ in source.history.heads:
        before = source.history.ancestors(id_)
        if known & before:
            partly |= before
        else:
            one = source.history.revisions[id_]
            state = State(source.schema.kind, source.history.operations(id_))
            found.append(folded(one, one.parents, state.needed(), is_base=True))
    return [one for one in _missing(source, target) if one.id in partly] + found


def _move_blobs(
    source: Source, target: Session, revisions: Sequence[Revision], tally: Tally
) -> None:
    digests = sorted({digest for one in revisions for digest in one.digests()})
    columnstore.revive(target, digests)
    mover = BlobMover(source, target)
    try:
        mover.move(dict.fromkeys(digests, "column"))
    except NotFoundError as error:
        message = f"a column of these revisions is gone where they come from: {error}"
        raise IntegrityError(message) from error
    tally.blobs += mover.moved
    tally.bytes += mover.bytes


def _warn_of_future(target: Changelog, revisions: Sequence[Revision]) -> None:
    """Warn of revisions that a clock that runs ahead has made."""
    latest = max(revisions, key=lambda one: one.id, default=None)
    if latest is not None and latest.at > target.now() + _AHEAD:
        ahead = latest.at - target.now()
        target.session.warn_once(
            f"collection {target.label!r}: revision {latest.id} was made by a clock that is "
            f"{ahead.total_seconds():.0f} s ahead; writes from here on come after it, but it "
            "wins over what others wrote at the same time: set that clock"
        )
