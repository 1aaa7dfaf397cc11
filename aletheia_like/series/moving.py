"""Copies collections between stores: only revisions and blobs that are missing move."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from aletheia_like.errors import AlreadyExistsError, InvalidValueError
from aletheia_like.metastore.session import Session
from aletheia_like.series import columnstore
from aletheia_like.series.changelog import Changelog
from aletheia_like.series.history import State
from aletheia_like.series.revisions import Revision, folded
from aletheia_like.transfer.blobmoving import BlobMover
from aletheia_like.transfer.report import Tally
from aletheia_like.transfer.source import StoreSource

_MOVED = 500
_AHEAD = dt.timedelta(minutes=5)


def move_collection(
    source: Changelog, target: Changelog, *, shallow: bool = False, tally: Tally | None = None
) -> int:
    """Bring what a collection has and another lacks into that; repeating it moves nothing.

    Args:
        source: Where from.
        target: Where to.
        shallow: Move what is shown at each head instead of the history.
        tally: Counts what is moved.

    Returns:
        How many revisions were new.

    Raises:
        InvalidValueError: The schemas differ; nothing was moved.
        IntegrityError: A revision or blob of the source is gone or damaged.
    """
    source.refresh().check_whole()
    target.refresh()
    check_schemas(source, target)
    counted = tally if tally is not None else Tally()

    def attempt() -> int:
        target.refresh()
        wanted = _snapshots(source, target) if shallow else _missing(source, target)
        for start in range(0, len(wanted), _MOVED):
            part = wanted[start : start + _MOVED]
            _move_blobs(source.session, target.session, part, counted)
            target.add_many(part)
            counted.revisions += len(part)
        _warn_of_future(target, wanted)
        return len(wanted)

    return target.session.retry(attempt, AlreadyExistsError)


def check_schemas(source: Changelog, target: Changelog) -> None:
    """Refuse to mix series of different schemas.

    Raises:
        InvalidValueError: They differ.
    """
    if source.schema != target.schema:
        message = (
            f"collection {target.label!r} there has another schema, {target.schema}, than "
            f"{source.label!r} here, {source.schema}: choose another name; nothing was moved"
        )
        raise InvalidValueError(message)


def _missing(source: Changelog, target: Changelog) -> list[Revision]:
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


def _snapshots(source: Changelog, target: Changelog) -> list[Revision]:
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
    source: Session, target: Session, revisions: Sequence[Revision], tally: Tally
) -> None:
    digests = sorted({digest for one in revisions for digest in one.digests()})
    columnstore.revive(target, digests)
    mover = BlobMover(StoreSource(source), target)
    mover.move(dict.fromkeys(digests, "column"))
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
