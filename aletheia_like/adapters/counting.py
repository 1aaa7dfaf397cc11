"""Wrappers of both ports that count every operation as Google bills it."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from aletheia_like.ports.blobs import (
    BlobStore,
    Content,
    FileState,
    GivesMany,
    Progress,
    StoredBlob,
    TakesBytes,
    TakesHashed,
    download_many,
    upload_bytes,
    upload_hashed,
)
from aletheia_like.ports.documents import Delete, Document, DocumentStore, Query, Write
from aletheia_like.ports.listening import Listener, Listening, Told, Wake, listen_to
from aletheia_like.ports.usage import Usage

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK_BYTES = 1 << 20


class CountingDocumentStore:
    """Counts reads, writes and deletes; a query counts at least one read, a hint one.

    Args:
        inner: The store that does the work.
        usage: Where to count.
    """

    def __init__(self, inner: DocumentStore, usage: Usage) -> None:
        self._inner = inner
        self._usage = usage

    def get(self, path: str) -> Document | None:
        document = self._inner.get(path)
        self._usage.add(document_reads=1)
        return document

    def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        documents = self._inner.get_many(paths)
        self._usage.add(document_reads=len(set(paths)))
        return documents

    def query(self, query: Query) -> Iterator[Document]:
        count = 0
        try:
            for document in self._inner.query(query):
                count += 1
                yield document
        finally:
            self._usage.add(document_reads=max(count, 1))

    def apply(self, writes: Sequence[Write]) -> list[str | None]:
        revisions = self._inner.apply(writes)
        deletes = sum(isinstance(write, Delete) for write in writes)
        self._usage.add(document_writes=len(writes) - deletes, document_deletes=deletes)
        return revisions

    def listen(
        self, collection: str, known: Mapping[str, str], since: dt.datetime | None, wake: Wake
    ) -> Listener | None:
        usage = self._usage

        def count(told: Told) -> None:
            usage.add(document_reads=len(told))
            wake(told)

        return listen_to(self._inner, collection, known, since, count)

    def close(self) -> None:
        self._inner.close()


class CountingBlobStore:
    """Counts operations and bytes of blobs.

    Args:
        inner: The store that does the work.
        usage: Where to count.
    """

    def __init__(self, inner: BlobStore, usage: Usage) -> None:
        self._inner = inner
        self._usage = usage

    def exists(self, digest: str) -> bool:
        found = self._inner.exists(digest)
        self._usage.add(blob_reads=1)
        return found

    def upload(self, digest: str, path: Path, progress: Progress | None = None) -> bool:
        stored = self._inner.upload(digest, path, progress)
        self._usage.add(blob_writes=1, bytes_up=path.stat().st_size if stored else 0)
        return stored

    def upload_hashed(
        self, digest: str, path: Path, state: FileState, progress: Progress | None = None
    ) -> bool:
        stored = upload_hashed(self._inner, digest, path, state, progress)
        self._usage.add(blob_writes=1, bytes_up=state[0] if stored else 0)
        return stored

    def upload_bytes(
        self, contents: Sequence[Content], progress: Progress | None = None
    ) -> list[bool]:
        stored = upload_bytes(self._inner, contents, progress)
        size = sum(len(one[1]) for one, is_new in zip(contents, stored, strict=True) if is_new)
        self._usage.add(blob_writes=len(contents), bytes_up=size)
        return stored

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        self._inner.download(digest, path, progress)
        self._usage.add(blob_reads=1, bytes_down=path.stat().st_size)

    def download_many(
        self, wanted: Iterable[tuple[str, str]], progress: Progress | None = None
    ) -> Iterator[tuple[str, int]]:
        for digest, size in download_many(self._inner, wanted, progress):
            self._usage.add(blob_reads=1, bytes_down=size)
            yield digest, size

    def open(self, digest: str) -> BinaryIO:
        stream = self._inner.open(digest)
        self._usage.add(blob_reads=1)
        counted = _CountingReader(stream, self._usage)
        return cast("BinaryIO", io.BufferedReader(counted, _CHUNK_BYTES))

    def delete(self, digest: str) -> None:
        self._inner.delete(digest)

    def digests(self) -> Iterator[str]:
        self._usage.add(blob_writes=1)
        yield from self._inner.digests()

    def stored(self) -> Iterator[StoredBlob]:
        self._usage.add(blob_writes=1)
        yield from self._inner.stored()

    def close(self) -> None:
        self._inner.close()


class _CountingReader(io.RawIOBase):
    """Counts the bytes that are read through it."""

    def __init__(self, stream: BinaryIO, usage: Usage) -> None:
        self._stream = stream
        self._usage = usage

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self._stream.read(len(view))
        view[: len(chunk)] = chunk
        self._usage.add(bytes_down=len(chunk))
        return len(chunk)

    def close(self) -> None:
        self._stream.close()
        super().close()


if TYPE_CHECKING:
    _documents: type[DocumentStore] = CountingDocumentStore
    _listening: type[Listening] = CountingDocumentStore
    _blobs: type[BlobStore] = CountingBlobStore
    _hashed: type[TakesHashed] = CountingBlobStore
    _many: type[GivesMany] = CountingBlobStore
    _bytes: type[TakesBytes] = CountingBlobStore
