"""Stores for tests: real ones with an outage before or after their work, one that remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeVar

from aletheia_like.errors import UnavailableError
from aletheia_like.ports.blobs import BlobStore, Progress, StoredBlob
from aletheia_like.ports.documents import Document, DocumentStore, Query, Write

T = TypeVar("T")
When = Literal["before", "after"]


class Outage:
    """Fails the next calls.

    Attributes:
        left: How many calls still fail.
        when: Before the work is done, or after it, so that only the answer is lost.
        met: How many calls have failed.
        spared: How many calls pass before the next one fails.
    """

    def __init__(self) -> None:
        self.left = 0
        self.when: When = "before"
        self.met = 0
        self.spared = 0

    def begin(self, calls: int, when: When = "before") -> None:
        """Let the next calls fail."""
        self.left, self.when = calls, when
        self.spared = 0

    def after(self, calls: int) -> None:
        """Let so many calls pass, and the next one fail."""
        self.begin(1)
        self.spared = calls

    def pass_through(self, work: Callable[[], T]) -> T:
        """Do the work, unless the call is to fail.

        Raises:
            UnavailableError: It is.
        """
        if self.left == 0:
            return work()
        if self.spared:
            self.spared -= 1
            return work()
        self.left -= 1
        self.met += 1
        if self.when == "after":
            work()
        message = f"an outage on purpose, {self.left} more to come"
        raise UnavailableError(message)


class FailingDocumentStore:
    """A document store whose `outage` can be told to begin.

    Args:
        inner: The store that does the work.
    """

    def __init__(self, inner: DocumentStore) -> None:
        self._inner = inner
        self.outage = Outage()

    def get(self, path: str) -> Document | None:
        return self.outage.pass_through(lambda: self._inner.get(path))

    def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        return self.outage.pass_through(lambda: self._inner.get_many(paths))

    def query(self, query: Query) -> Iterator[Document]:
        yield from self.outage.pass_through(lambda: list(self._inner.query(query)))

    def apply(self, writes: Sequence[Write]) -> list[str | None]:
        return self.outage.pass_through(lambda: self._inner.apply(writes))

    def close(self) -> None:
        self._inner.close()


class FailingBlobStore:
    """A blob store whose `outage` can be told to begin.

    Args:
        inner: The store that does the work.
    """

    def __init__(self, inner: BlobStore) -> None:
        self._inner = inner
        self.outage = Outage()

    def exists(self, digest: str) -> bool:
        return self.outage.pass_through(lambda: self._inner.exists(digest))

    def upload(self, digest: str, path: Path, progress: Progress | None = None) -> bool:
        return self.outage.pass_through(lambda: self._inner.upload(digest, path, progress))

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        self.outage.pass_through(lambda: self._inner.download(digest, path, progress))

    def open(self, digest: str) -> BinaryIO:
        return self.outage.pass_through(lambda: self._inner.open(digest))

    def delete(self, digest: str) -> None:
        self.outage.pass_through(lambda: self._inner.delete(digest))

    def digests(self) -> Iterator[str]:
        return self._inner.digests()

    def stored(self) -> Iterator[StoredBlob]:
        return self._inner.stored()

    def close(self) -> None:
        self._inner.close()


class RecordingDocumentStore:
    """A document store that remembers what it was asked.

    Args:
        inner: The store that does the work.

    Attributes:
        queries: Every query, in order.
    """

    def __init__(self, inner: DocumentStore) -> None:
        self._inner = inner
        self.queries: list[Query] = []

    def get(self, path: str) -> Document | None:
        return self._inner.get(path)

    def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        return self._inner.get_many(paths)

    def query(self, query: Query) -> Iterator[Document]:
        self.queries.append(query)
        return self._inner.query(query)

    def apply(self, writes: Sequence[Write]) -> list[str | None]:
        return self._inner.apply(writes)

    def close(self) -> None:
        self._inner.close()


if TYPE_CHECKING:
    _failing: type[DocumentStore] = FailingDocumentStore
    _failing_blobs: type[BlobStore] = FailingBlobStore
    _recording: type[DocumentStore] = RecordingDocumentStore
