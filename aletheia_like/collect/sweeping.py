"""Deletes blobs that nothing refers to: first it is said, then done, then forgotten.

Each step is a write that fails if the index document is not as it was seen, so a writer who renews
it wins, and several collections at once do not disturb each other. What was begun and not ended is
ended by a later collection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aletheia_like.errors import AlreadyExistsError, ConflictError, NotFoundError
from aletheia_like.metastore.renewing import LEASE_SECONDS, SWEPT_BY
from aletheia_like.metastore.session import Session, new_token
from aletheia_like.model import paths
from aletheia_like.model.codec import SCHEMA_VERSION
from aletheia_like.ports.documents import Create, Delete, Update, Write

_BATCH = 100
_THREADS = 16
_SWEEP_SECONDS = LEASE_SECONDS / 4


@dataclass(frozen=True, slots=True)
class Unreferenced:
    """A blob that nothing refers to.

    Attributes:
        digest: Its sha-256.
        size: Its bytes.
        revision: Of its index document, as it was seen; None if it has none.
    """

    digest: str
    size: int
    revision: str | None


@dataclass(slots=True)
class Swept:
    """What became of the blobs that were to be deleted.

    Attributes:
        blobs: How many are gone.
        size: Their bytes.
        renewed: How many are not, because somebody was about to refer to them.
        postponed: How many will be deleted by the next collection: it took too long.
    """

    blobs: int = 0
    size: int = 0
    renewed: int = 0
    postponed: int = 0


def sweep(session: Session, blobs: Sequence[Unreferenced], done: Callable[[int], None]) -> Swept:
    """Delete blobs and their index documents.

    Args:
        session: The metastore.
        blobs: What nothing refers to.
        done: Told how many more have been dealt with.

    Raises:
        UnavailableError: The store is away; the next collection goes on.
    """
    swept = Swept()
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-sweep") as pool:
        for start in range(0, len(blobs), _BATCH):
            batch = blobs[start : start + _BATCH]
            begun = _Clock()
            claimed = _claim(session, batch)
            swept.renewed += len(batch) - len(claimed)
            gone = [
                one
                for one, is_gone in pool.map(
                    lambda one: (one, _delete(session, one, begun)),  # noqa: B023 - in this round
                    [one for one in batch if one.digest in claimed],
                )
                if is_gone
            ]
            swept.postponed += len(claimed) - len(gone)
            _forget(session, {one.digest: claimed[one.digest] for one in gone})
            swept.blobs += len(gone)
            swept.size += sum(one.size for one in gone)
            done(len(batch))
    return swept


class _Clock:
    """Tells how long ago something was; a machine that slept meanwhile counts that, too."""

    def __init__(self) -> None:
        self._begun = (time.monotonic(), time.time())

    def seconds(self) -> float:
        """Return how long ago it was begun, or more."""
        return max(time.monotonic() - self._begun[0], time.time() - self._begun[1])


def _claim(session: Session, blobs: Sequence[Unreferenced]) -> dict[str, str]:
    """Say in the index that these are being deleted; return the new revisions by digest."""
    token = new_token()
    writes = {one.digest: _claiming(one, token) for one in blobs}
    return {digest: str(new) for digest, new in _applied(session, writes) if new is not None}


def _claiming(one: Unreferenced, token: str) -> Write:
    path = paths.file(one.digest)
    if one.revision is not None:
        return Update(path, {(SWEPT_BY,): token}, one.revision)
    fields = {"schema_version": SCHEMA_VERSION, "size": one.size, SWEPT_BY: token}
    return Create(path, fields)


def _delete(session: Session, one: Unreferenced, begun: _Clock) -> bool:
    # Late, a writer may rely on the blob again: see `LEASE_SECONDS`.
    if begun.seconds() > _SWEEP_SECONDS:
        return False
    session.known_files.pop(one.digest, None)
    session.blobs.delete(one.digest)
    return True


def _forget(session: Session, revisions: Mapping[str, str]) -> None:
    writes: dict[str, Write] = {
        digest: Delete(paths.file(digest), revision) for digest, revision in revisions.items()
    }
    for _ in _applied(session, writes):
        pass


def _applied(session: Session, writes: Mapping[str, Write]) -> Iterator[tuple[str, str | None]]:
    """Apply writes at once; if somebody interferes, one by one, without those that fail."""
    met = (AlreadyExistsError, ConflictError, NotFoundError)
    try:
        revisions = session.documents.apply(list(writes.values())) if writes else []
    except met:
        for digest, write in writes.items():
            try:
                (revision,) = session.documents.apply([write])
            except met:
                continue
            yield digest, revision
    else:
        yield from zip(writes, revisions, strict=True)
