"""Columns as blobs: small ones travel inside their revision, others by their digest."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aletheia_like.cache import LocalCache
from aletheia_like.capture.files import crc32c_of
from aletheia_like.capture.trees import Seen
from aletheia_like.errors import IntegrityError, NotFoundError
from aletheia_like.metastore.renewing import is_known, look
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.storing import LocalFile, store_files
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.blobs import Progress, file_state
from aletheia_like.series.revisions import Ref

MEDIA_TYPE = "application/vnd.aletheia.column"
"""What the index of files says about blobs that revisions mention."""

_BLOB_BYTES = 16_384
_THREADS, _MANY = 4, 8


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
    """
    if not waiting:
        return
    missing = revive(session, waiting)
    with tempfile.TemporaryDirectory(prefix="aletheia-") as folder:
        files = _written({Path(folder) / digest: waiting[digest] for digest in missing})
        store_files(session, files, "columns")
        for file in files:
            _keep(session.cache, file)
    waiting.clear()


def _written(columns: Mapping[Path, bytes]) -> list[LocalFile]:
    if len(columns) < _MANY:
        return list(map(_written_one, columns, columns.values()))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-columns") as pool:
        return list(pool.map(_written_one, columns, columns.values()))


def _written_one(path: Path, data: bytes) -> LocalFile:
    """Write a column to a file that nobody else knows: it need not be hashed again."""
    path.write_bytes(data)
    seen = Seen(file_state(path.stat()), path.name, crc32c_of(data))
    return LocalFile(path.name, len(data), path, MEDIA_TYPE, seen)


def _keep(cache: LocalCache, file: LocalFile) -> None:
    cache.fetch(file.digest, source=_Placed(file.path))


def revive(session: Session, wanted: Iterable[str]) -> list[str]:
    """Return the blobs that are not there; those that are stay until they are mentioned."""
    listed = list(dict.fromkeys(wanted))
    begun = time.monotonic()
    looked = look(session, listed)
    session.known_files.update(dict.fromkeys(looked.here, begun))
    return [one for one in listed if one in looked.missing]


def renew(session: Session, mentioned: Iterable[str]) -> None:
    """Let blobs stay that documents mention anew, unless they were looked up lately.

    A collection that is under way may have passed the place where they are mentioned next.
    """
    wanted = [one for one in mentioned if not is_known(session, one)]
    if wanted:
        revive(session, wanted)


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
