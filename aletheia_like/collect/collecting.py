"""`gc`: what was deleted long ago goes for ever, and then every blob that nothing refers to.

The index of files is listed first, then everything that refers to blobs is read, and only what was
old when it was listed, is not referred to, and has not changed since is deleted. Decision 0024
tells why that loses nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from aletheia_like.collect.marking import Due, Marked, changed_since, mark
from aletheia_like.collect.references import Referring, on_this_machine, read_unread
from aletheia_like.collect.sweeping import Swept, Unreferenced, sweep
from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.purging import (
    claim,
    purge_experiment,
    purge_run,
    purge_version,
)
from aletheia_like.metastore.renewing import LEASE_SECONDS, SWEPT_BY, age_of
from aletheia_like.metastore.session import RENEW_SECONDS, Session
from aletheia_like.model import paths
from aletheia_like.ports.documents import Query
from aletheia_like.transfer.bar import counting_bar

GRACE = dt.timedelta(days=7)
"""So long a blob that nothing refers to stays, by default."""

LEAST_GRACE = dt.timedelta(seconds=4 * RENEW_SECONDS)
"""With less, a writer that takes long between storing and mentioning a blob might lose it."""

_MOST_ORPHANS, _MOST_ORPHANS_OF_ALL = 20, 0.1
"""More blobs without an index document are no accident: another store keeps its bytes there."""

KEEP = dt.timedelta(days=30)
"""So long what was deleted can be restored, by default."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to collect.

    Attributes:
        grace: Blobs that changed in this time are left alone, by the store's clock.
        keep: What was deleted in this time can still be restored.
        dry_run: Say what would be deleted, and write nothing.
        show: Whether to draw bars; None on a terminal.
        also: What else refers to blobs.
        exclusive: Nothing else uses the store, and no other store its blobs.
    """

    grace: dt.timedelta = GRACE
    keep: dt.timedelta = KEEP
    dry_run: bool = True
    show: bool | None = None
    also: Sequence[Referring] = ()
    exclusive: bool = False


@dataclass(slots=True)
class Collected:
    """What a collection found and did.

    Attributes:
        dry_run: Whether it only looked.
        projects: How many projects were read.
        documents: How many documents.
        deleted_kept: Runs, experiments and versions that can be restored yet.
        purged: Those that went for ever, by kind.
        blobs: How many blobs there were.
        size: Their bytes.
        referenced: How many blobs something refers to.
        young: Unreferenced ones that are not old enough.
        young_size: Their bytes.
        swept: Unreferenced ones that were deleted, or would be.
        swept_size: Their bytes.
        renewed: Those that somebody was about to refer to.
        postponed: Those that the next collection deletes.
        strangers: Blobs that this store never knew, so many that another store may know them.
        strangers_size: Their bytes.
        broken: Manifests and long values that are gone or damaged.
        stopped: Why no blob was deleted.
    """

    dry_run: bool
    projects: int = 0
    documents: int = 0
    deleted_kept: int = 0
    purged: dict[str, int] = field(default_factory=dict)
    blobs: int = 0
    size: int = 0
    referenced: int = 0
    young: int = 0
    young_size: int = 0
    swept: int = 0
    swept_size: int = 0
    renewed: int = 0
    postponed: int = 0
    strangers: int = 0
    strangers_size: int = 0
    broken: list[str] = field(default_factory=list)
    stopped: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it by name."""
        return asdict(self)


def check_options(grace: dt.timedelta, keep: dt.timedelta, *, exclusive: bool) -> None:
    """Refuse what is not safe.

    Raises:
        InvalidValueError: The grace is too short for writers that are busy, or a time is negative.
    """
    if grace < dt.timedelta(0) or keep < dt.timedelta(0):
        message = f"grace and keep are times, not less than none: {grace}, {keep}"
        raise InvalidValueError(message)
    if grace < LEAST_GRACE and not exclusive:
        message = (
            f"a grace of {grace} is too short while others may write: give "
            f"{LEAST_GRACE.days * 24} hours or more, or exclusive=True (--exclusive) if nothing "
            "else uses the store"
        )
        raise InvalidValueError(message)


def collect(session: Session, options: Options) -> Collected:
    """Collect in the whole store, all projects of it.

    Raises:
        UnavailableError: The store is away; done again, it goes on.
    """
    collected = Collected(options.dry_run)
    seen = _Seen()
    _list_index(session, options, seen)
    _list_orphans(session, options, seen)
    if not options.exclusive:
        _leave_strangers(seen, collected)
    marked = _mark(session, options)
    collected.projects, collected.documents = marked.projects, marked.documents
    collected.deleted_kept, collected.broken = marked.kept, marked.references.broken
    if not _purge(session, marked, options, collected):
        collected.stopped = "something deleted was restored meanwhile: collect again"
    _count(seen, marked, collected)
    chosen = [one for one in seen.old.values() if one.digest not in marked.references]
    if options.dry_run:
        collected.swept, collected.swept_size = len(chosen), sum(one.size for one in chosen)
    elif collected.stopped is None:
        with counting_bar("deleting blobs", len(chosen), show=options.show) as done:
            _told(collected, sweep(session, chosen, done))
    return collected


@dataclass(slots=True)
class _Seen:
    """The blobs as they were listed first.

    Attributes:
        sizes: Bytes of each, by digest.
        old: Those that may be deleted, if nothing refers to them.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    old: dict[str, Unreferenced] = field(default_factory=dict)
    now: dt.datetime | None = None


def _list_index(session: Session, options: Options, seen: _Seen) -> None:
    grace = options.grace.total_seconds()
    with counting_bar("listing files", None, show=options.show) as done:
        for one in session.documents.query(Query(paths.FILES)):
            size = int(one.fields.get("size") or 0)
            seen.sizes[one.id] = size
            seen.now = one.read_at
            # What a collection that died was deleting is not waited for once more.
            least = LEASE_SECONDS if SWEPT_BY in one.fields else grace
            if age_of(one) > least:
                seen.old[one.id] = Unreferenced(one.id, size, one.revision)
            done(1)


def _list_orphans(session: Session, options: Options, seen: _Seen) -> None:
    """Take in bytes without an index document: their writer died before it wrote that."""
    now = seen.now or _store_time(session)
    for blob in session.blobs.stored():
        if blob.digest in seen.sizes:
            continue
        seen.sizes[blob.digest] = blob.size
        if blob.stored_at is not None and now is not None and now - blob.stored_at > options.grace:
            seen.old[blob.digest] = Unreferenced(blob.digest, blob.size, None)


def _leave_strangers(seen: _Seen, collected: Collected) -> None:
    """Leave blobs without an index document alone if they are more than killed writers leave."""
    orphans = [one for one in seen.old.values() if one.revision is None]
    if len(orphans) > max(_MOST_ORPHANS, _MOST_ORPHANS_OF_ALL * len(seen.sizes)):
        collected.strangers = len(orphans)
        collected.strangers_size = sum(one.size for one in orphans)
        for one in orphans:
            del seen.old[one.digest]
            del seen.sizes[one.digest]


def _store_time(session: Session) -> dt.datetime | None:
    """Return the time by the store's clock; None if it has no document."""
    found = session.documents.query(Query(paths.PROJECTS, limit=1))
    return next((one.read_at for one in found), None)


def _mark(session: Session, options: Options) -> Marked:
    with counting_bar("reading what refers to them", None, show=options.show) as done:
        marked = mark(session, options.keep.total_seconds(), done)
        for _ in on_this_machine(session, marked.references):
            done(1)
        for refer in options.also:
            refer(session, marked.references)
        read_unread(session, marked.references)
    return marked


def _purge(session: Session, marked: Marked, options: Options, collected: Collected) -> bool:
    """Delete for ever what is due; return whether all of it was still to be deleted."""
    whole = True
    with counting_bar("deleting documents", len(marked.due), show=options.show) as done:
        for due in marked.due:
            if options.dry_run or _purge_one(session, due, options.keep.total_seconds()):
                collected.purged[due.kind] = collected.purged.get(due.kind, 0) + 1
            else:
                whole = False
            done(1)
    return whole


def _purge_one(session: Session, due: Due, keep_seconds: float) -> bool:
    is_experiment = due.kind == "experiment"
    if is_experiment and changed_since(session, due.path, keep_seconds):
        return False
    if not claim(session, due.path, only_deleted=True):
        return False
    if is_experiment:
        purge_experiment(session, due.path)
    elif due.kind == "run":
        purge_run(session, due.path)
    else:
        purge_version(session, due.path)
    return True


def _count(seen: _Seen, marked: Marked, collected: Collected) -> None:
    collected.blobs, collected.size = len(seen.sizes), sum(seen.sizes.values())
    for digest, size in seen.sizes.items():
        if digest in marked.references:
            collected.referenced += 1
        elif digest not in seen.old:
            collected.young += 1
            collected.young_size += size


def _told(collected: Collected, swept: Swept) -> None:
    collected.swept, collected.swept_size = swept.blobs, swept.size
    collected.renewed, collected.postponed = swept.renewed, swept.postponed
