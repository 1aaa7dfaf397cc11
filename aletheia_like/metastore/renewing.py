"""Which blobs may be relied on: the writers' half of the agreement with `aletheia gc`.

A blob counts as young as long as its index document changed a short time ago, by the store's
clock. Whoever is about to mention a blob that is there already renews a document that is not; then
`gc`, which deletes in the revision that it saw, cannot take it. While `gc` deletes bytes, the
document says so, and nobody relies on them: one waits until it is done, or until it has surely
died. See decision 0024.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aletheia_like.errors import ConflictError, NotFoundError
from aletheia_like.metastore.session import Session, new_token
from aletheia_like.model import paths
from aletheia_like.ports.documents import Document, Update

SWEPT_BY = "swept_by"
"""Field of an index document whose blob is being deleted: which collection does it."""

RENEWED = "renewed"
"""Field of an index document; another value each time, so that it changes."""

LEASE_SECONDS = 120.0
"""So long after it said so, by the store's clock, no collection deletes the blob any more."""

_READ_BATCH = 300
_WRITE_BATCH = 400
_LONGEST_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Looked:
    """What the index of files says about some blobs.

    Attributes:
        here: They are in the store, and stay long enough to be mentioned.
        missing: They must be stored, and then indexed.
        left: Index documents of missing ones that a collection left when it died.
    """

    here: set[str]
    missing: set[str]
    left: dict[str, Document]


def look(session: Session, digests: Iterable[str]) -> Looked:
    """Look blobs up in the index, renew those that need it, wait for those being deleted."""
    looked = Looked(set(), set(), {})
    pause = 0.05
    asked = list(dict.fromkeys(digests))
    while asked:
        busy = [one for batch in _batches(asked) for one in _look(session, batch, looked)]
        if busy:
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        asked = busy
    return looked


def is_known(session: Session, digest: str) -> bool:
    """Whether this process has seen lately that a blob is there."""
    seen = session.known_files.get(digest)
    return seen is not None and time.monotonic() - seen < session.renew_seconds


def age_of(document: Document) -> float:
    """Return for how many seconds a document has not changed, by the store's clock."""
    return (document.read_at - document.updated_at).total_seconds()


def _look(session: Session, digests: Sequence[str], looked: Looked) -> list[str]:
    """Sort some blobs into `looked`; return those that must be looked up again."""
    found = session.documents.get_many([paths.file(digest) for digest in digests])
    busy: list[str] = []
    old: list[Document] = []
    for digest, document in zip(digests, found, strict=True):
        if document is None:
            looked.missing.add(digest)
        elif SWEPT_BY in document.fields:
            if age_of(document) < LEASE_SECONDS:
                busy.append(digest)
            else:
                looked.missing.add(digest)
                looked.left[digest] = document
        elif age_of(document) > session.renew_seconds:
            old.append(document)
        else:
            looked.here.add(digest)
    for start in range(0, len(old), _WRITE_BATCH):
        some = old[start : start + _WRITE_BATCH]
        try:
            session.documents.apply(
                [Update(one.path, {(RENEWED,): new_token()}, one.revision) for one in some]
            )
        except (ConflictError, NotFoundError):
            # Somebody renewed or collected one of them just now.
            busy += [one.id for one in some]
        else:
            looked.here.update(one.id for one in some)
    return busy


def _batches(items: Sequence[str]) -> Iterable[Sequence[str]]:
    return (items[start : start + _READ_BATCH] for start in range(0, len(items), _READ_BATCH))
