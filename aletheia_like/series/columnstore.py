"""Columns as blobs: small ones travel inside their revision, others by their digest."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aletheia_like.cache import LocalCache
from aletheia_like.errors import ConflictError, IntegrityError, NotFoundError
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.storing import LocalFile, store_files
from aletheia_like.model import paths
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.blobs import Progress
from aletheia_like.ports.documents import REMOVE, Document, Update, Write
from aletheia_like.series.revisions import Ref

MEDIA_TYPE = "application/vnd.aletheia.column"
"""What the index of files says about blobs that only revisions mention."""

_BLOB_BYTES = 16_384
_BATCH = 300
_DELETING_SECONDS = 30.0
_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class _Placed:
    """A file that is the blob already."""

    file: Path

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        """Move the file to its place in the cache."""
        del digest, progress
        self.file.replace(path)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A column as bytes.

    Attributes:
        ref: How a revision mentions it.
        data: The bytes.
    """

    ref: Ref
    data: bytes


def encoded(data: bytes) -> Encoded:
    """Return a column with how revisions mention it."""
    return Encoded(data if len(data) <= _BLOB_BYTES else digest_bytes(data), data)


def refs(columns: Mapping[str, Encoded], waiting: dict[str, bytes]) -> dict[str, Ref]:
    """Return how a revision mentions columns, noting the long ones for the store."""
    waiting |= {one.ref: one.data for one in columns.values() if isinstance(one.ref, str)}
    return {name: one.ref for name, one in columns.items()}


def store(session: Session, waiting: dict[str, bytes]) -> None:
    """Store columns that are not there yet, and keep copies of them in the local cache.

    Raises:
        UnavailableError: The store is away.
        ConflictError: One is being deleted and stays so.
    """
    if not waiting:
        return
    missing = revive(session, waiting)
    with tempfile.TemporaryDirectory(prefix="aletheia-") as folder:
        files = []
        for digest in missing:
            path = Path(folder) / digest
            path.write_bytes(waiting[digest])
            files.append(LocalFile(digest, len(waiting[digest]), path, MEDIA_TYPE))
        session.known_files.difference_update(missing)
        store_files(session, files, "columns")
        for file in files:
            _keep(session.cache, file)
    waiting.clear()


def _keep(cache: LocalCache, file: LocalFile) -> None:
    cache.fetch(file.digest, source=_Placed(file.path))


def revive(session: Session, wanted: Iterable[str]) -> list[str]:
    """Return the blobs that are not there; those that were to be deleted stay from now on."""
    deadline = time.monotonic() + _DELETING_SECONDS
    listed = list(wanted)
    missing: list[str] = []
    for start in range(0, len(listed), _BATCH):
        batch = listed[start : start + _BATCH]
        while True:
            found = session.documents.get_many([paths.file(one) for one in batch])
            deleting = [one for one in found if one is not None and one.fields.get("deleting")]
            if not deleting:
                break
            if time.monotonic() > deadline:
                message = f"{deleting[0].path} is being deleted: run gc again, then write again"
                raise ConflictError(message)
            time.sleep(_PAUSE)
        session.retry(lambda found=found: _unmark(session, found))  # type: ignore[misc]
        missing += [one for one, there in zip(batch, found, strict=True) if there is None]
    return missing


def _unmark(session: Session, found: Sequence[Document | None]) -> None:
    marked = [one for one in found if one is not None and "unreferenced_at" in one.fields]
    writes: list[Write] = [
        Update(one.path, {("unreferenced_at",): REMOVE}, one.revision) for one in marked
    ]
    if writes:
        session.documents.apply(writes)


def fetch(session: Session, ref: Ref, what: str) -> bytes:
    """Return the bytes of a column.

    Args:
        session: Where it is.
        ref: How a revision mentions it.
        what: Whose it is, for the message.

    Raises:
        IntegrityError: The store has no such blob, or wrong bytes.
        UnavailableError: The store is away, and the blob is not in the cache.
    """
    if isinstance(ref, bytes):
        return ref
    try:
        return session.cache.fetch(ref).read_bytes()
    except NotFoundError as error:
        message = (
            f"{what} mentions blob {ref}, which is not in the store: pull the collection again "
            "from a store that has it"
        )
        raise IntegrityError(message) from error
