"""Both ports in dictionaries: the reference to read, and a store for tests that leaves nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from aletheia_like.adapters._matching import (
    changes_nothing,
    check_precondition,
    compiled,
    ordered,
)
from aletheia_like.adapters._verified import (
    check_file,
    chunks,
    translated,
    verifying,
    write_verified,
    wrong_bytes,
)
from aletheia_like.errors import NotFoundError
from aletheia_like.forking import watch_forks
from aletheia_like.model.checking import check_fields
from aletheia_like.model.digests import check_digest, digest_bytes
from aletheia_like.model.values import Value
from aletheia_like.ports.blobs import BlobStore, Content, Progress, StoredBlob, TakesBytes
from aletheia_like.ports.documents import (
    Create,
    Delete,
    Document,
    DocumentStore,
    Query,
    Update,
    Write,
    changed_fields,
    check_path,
    check_size,
    check_writes,
)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A document; its fields are never changed, only replaced."""

    fields: dict[str, Value]
    revision: str
    updated_at: dt.datetime


class MemoryDocumentStore:
    """Documents in this process's memory; a child after `fork` goes on with a copy of its own.

    Args:
        clock: Tells the time of changes and of reads.
    """

    def __init__(self, *, clock: Callable[[], dt.datetime] = _now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._collections: dict[str, dict[str, _Stored]] = {}
        watch_forks(self._lock_all, self._unlock_all, self._unlock_all)

    def get(self, path: str) -> Document | None:
        return self.get_many([path])[0]

    def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        for path in paths:
            check_path(path)
        with self._lock:
            found = [self._at(path) for path in paths]
            read_at = self._clock()
        return [
            None if stored is None else _own_copy(_document(path, stored, read_at))
            for path, stored in zip(paths, found, strict=True)
        ]

    def query(self, query: Query) -> Iterator[Document]:
        with self._lock:
            found = sorted(self._collections.get(query.collection, {}).items())
            read_at = self._clock()
        matches = compiled(query.filters)
        matching = [
            _document(f"{query.collection}/{id_}", stored, read_at)
            for id_, stored in found
            if matches(stored.fields)
        ]
        for document in ordered(matching, query.order_by)[: query.limit]:
            yield _own_copy(document)

    def apply(self, writes: Sequence[Write]) -> list[str | None]:
        check_writes(writes)
        with self._lock:
            now = self._clock()
            outcomes = [_outcome(write, self._at(write.path), now) for write in writes]
            for write, outcome in zip(writes, outcomes, strict=True):
                self._put(write.path, outcome)
        return [None if outcome is None else outcome.revision for outcome in outcomes]

    def close(self) -> None:
        """Do nothing: what is in memory stays until the object goes."""

    def _at(self, path: str) -> _Stored | None:
        collection, _, id_ = path.rpartition("/")
        return self._collections.get(collection, {}).get(id_)

    def _put(self, path: str, stored: _Stored | None) -> None:
        collection, _, id_ = path.rpartition("/")
        documents = self._collections.setdefault(collection, {})
        if stored is None:
            documents.pop(id_, None)
        else:
            documents[id_] = stored

    def _lock_all(self) -> None:
        self._lock.acquire()

    def _unlock_all(self) -> None:
        self._lock.release()


class MemoryBlobStore:
    """Blobs in this process's memory; a child after `fork` goes on with a copy of its own."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._stored_at: dict[str, dt.datetime] = {}

    def exists(self, digest: str) -> bool:
        return check_digest(digest) in self._blobs

    def upload(self, digest: str, path: Path, progress: Progress | None = None) -> bool:
        if self.exists(digest):
            return False
        with translated(check_file(path)):
            data = path.read_bytes()
        if digest_bytes(data) != digest:
            raise wrong_bytes(str(path), digest)
        return self._keep(digest, data, progress)

    def upload_bytes(
        self, contents: Sequence[Content], progress: Progress | None = None
    ) -> list[bool]:
        return [
            not self.exists(digest) and self._keep(digest, data, progress)
            for digest, data in contents
        ]

    def _keep(self, digest: str, data: bytes, progress: Progress | None) -> bool:
        if progress is not None:
            progress(len(data))
        self._stored_at.setdefault(digest, _now())
        return self._blobs.setdefault(digest, data) is data

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        content = chunks(io.BytesIO(self._at(digest)))
        write_verified(path, content, digest, f"blob {digest} in memory", progress)

    def open(self, digest: str) -> BinaryIO:
        return verifying(io.BytesIO(self._at(digest)), digest, f"blob {digest} in memory")

    def delete(self, digest: str) -> None:
        self._blobs.pop(check_digest(digest), None)
        self._stored_at.pop(digest, None)

    def digests(self) -> Iterator[str]:
        yield from list(self._blobs)

    def stored(self) -> Iterator[StoredBlob]:
        for digest, data in list(self._blobs.items()):
            yield StoredBlob(digest, len(data), self._stored_at.get(digest))

    def close(self) -> None:
        """Do nothing: what is in memory stays until the object goes."""

    def _at(self, digest: str) -> bytes:
        data = self._blobs.get(check_digest(digest))
        if data is None:
            message = f"there is no blob {digest} in memory"
            raise NotFoundError(message)
        return data


def _outcome(write: Write, stored: _Stored | None, now: dt.datetime) -> _Stored | None:
    """Return what a write makes of a document; the very same object if it changes nothing."""
    check_precondition(write, stored.revision if stored else None)
    match write:
        case Create(_, fields):
            return _Stored(_copy(fields), secrets.token_hex(8), now)
        case Update(path, changes):
            assert stored is not None  # noqa: S101 - see check_precondition
            if changes_nothing(stored.fields, changes):
                return stored
            fields = _copy(changed_fields(stored.fields, changes))
            check_fields(fields)
            check_size(path, fields)
            return _Stored(fields, secrets.token_hex(8), now)
        case Delete():
            return None


def _document(path: str, stored: _Stored, read_at: dt.datetime) -> Document:
    return Document(path, stored.fields, stored.revision, stored.updated_at, read_at)


def _own_copy(document: Document) -> Document:
    return dataclasses.replace(document, fields=_copy(document.fields))


def _copy(value: Any) -> Any:
    """Return the same value, sharing nothing that can change; times as UTC has them."""
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value.astimezone(dt.UTC) if isinstance(value, dt.datetime) else value


if TYPE_CHECKING:
    _documents: type[DocumentStore] = MemoryDocumentStore
    _blobs: type[BlobStore] = MemoryBlobStore
    _bytes: type[TakesBytes] = MemoryBlobStore
