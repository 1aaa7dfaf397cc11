"""Wrappers of both ports that try again while a store is unavailable, up to a deadline.

Only `UnavailableError` is tried again. An `apply` whose answer was lost may have happened all the
same: when the repetition is then refused, what is stored is read back. A new document that carries
the random `token` of ours proves that all writes of its call happened, whatever others did since;
without a token everything must be as we would have left it.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from aletheia_like.errors import (
    AlreadyExistsError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    UnavailableError,
)
from aletheia_like.model.values import equal
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
from aletheia_like.ports.documents import (
    Create,
    Delete,
    Document,
    DocumentStore,
    Query,
    Update,
    Write,
    changed_fields,
)
from aletheia_like.ports.listening import Listener, Listening, Wake, listen_to
from aletheia_like.ports.patience import seconds_left

T = TypeVar("T")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.5
_AWAY_SECONDS = 15.0


class Patience:
    """Tries again while a store is unavailable; only once if that was in vain a moment ago.

    Args:
        deadline: Seconds for one call, all repetitions included.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._away_until = 0.0

    def persist(self, action: Callable[[], T]) -> T:
        """Return `action()`, repeated with growing, jittered pauses."""
        begun = time.monotonic()
        return self._persist(action, lambda: begun)

    def transfer(self, action: Callable[[Progress], T], progress: Progress | None) -> T:
        """Return `action(progress)`, repeated; the deadline counts from the last new byte.

        Progress of an attempt that failed is taken back, so that a bar never passes its end.
        """
        moved, furthest = time.monotonic(), 0

        def attempt() -> T:
            told = 0

            def tell(count: int) -> None:
                nonlocal told, moved, furthest
                told += count
                if told > furthest:
                    furthest, moved = told, time.monotonic()
                if progress is not None:
                    progress(count)

            try:
                return action(tell)
            except (UnavailableError, IntegrityError):
                tell(-told)
                raise

        return self._persist(attempt, lambda: moved)

    def _persist(self, action: Callable[[], T], moved: Callable[[], float]) -> T:
        try:
            return action()
        except UnavailableError:
            if self.is_over:
                raise
            return self._again(action, moved)

    @property
    def is_over(self) -> bool:
        """Whether trying again was in vain a moment ago."""
        return time.monotonic() < self._away_until

    def repeat(self, action: Callable[[], T], begun: float) -> T:
        """Return `action()`, which has failed once since `begun`."""
        return self._again(action, lambda: begun)

    def _again(self, action: Callable[[], T], moved: Callable[[], float]) -> T:
        try:
            return _repeat(action, self._deadline, moved)
        except UnavailableError:
            self._away_until = time.monotonic() + _AWAY_SECONDS
            raise


def _repeat(action: Callable[[], T], deadline: float, moved: Callable[[], float]) -> T:
    """Return `action()`, tried again until nothing has moved for a while."""
    import tenacity

    until = time.monotonic() + seconds_left(math.inf)

    def is_over(state: tenacity.RetryCallState) -> bool:
        # What the first attempt took counts too: it may have waited for its own timeout.
        return time.monotonic() + state.upcoming_sleep >= min(moved() + deadline, until)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(UnavailableError),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE),
        stop=is_over,
        reraise=False,
    )
    try:
        return retrying(action)
    except tenacity.RetryError as error:
        last = error.last_attempt.exception()
        message = f"{last} (tried for {deadline:.0f} s)"
        raise UnavailableError(message) from last


class RetryingDocumentStore:
    """Tries again while the documents are unavailable.

    Args:
        inner: The store that does the work.
        deadline: Seconds for one call, all repetitions included.
    """

    def __init__(self, inner: DocumentStore, *, deadline: float = 8.0) -> None:
        self._inner = inner
        self._patience = Patience(deadline)

    def get(self, path: str) -> Document | None:
        return self._patience.persist(lambda: self._inner.get(path))

    def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        return self._patience.persist(lambda: self._inner.get_many(paths))

    def query(self, query: Query) -> Iterator[Document]:
        """Yield the answer; an outage is overcome before the first document, not after it."""
        nothing = iter(())

        def first() -> tuple[list[Document], Iterator[Document]]:
            answer = self._inner.query(query)
            for document in answer:
                return [document], answer
            return [], nothing

        begun, rest = self._patience.persist(first)
        yield from begun
        yield from rest

    def apply(self, writes: Sequence[Write]) -> list[str | None]:
        begun = time.monotonic()
        try:
            return self._inner.apply(writes)
        except UnavailableError:
            if self._patience.is_over:
                raise
            return self._patience.repeat(lambda: self._apply_again(writes), begun)

    def listen(
        self, collection: str, known: Mapping[str, str], since: dt.datetime | None, wake: Wake
    ) -> Listener | None:
        return listen_to(self._inner, collection, known, since, wake)

    def close(self) -> None:
        self._inner.close()

    def _apply_again(self, writes: Sequence[Write]) -> list[str | None]:
        try:
            return self._inner.apply(writes)
        except (AlreadyExistsError, ConflictError, NotFoundError):
            stored = self._inner.get_many([write.path for write in writes])
            pairs = list(zip(writes, stored, strict=True))
            if any(_is_ours(*pair) for pair in pairs) or all(_is_done(*pair) for pair in pairs):
                return [None if found is None else found.revision for found in stored]
            raise


def _is_ours(write: Write, document: Document | None) -> bool:
    """Whether a document can only have been created by this write."""
    if document is None or not isinstance(write, Create):
        return False
    token = write.fields.get("token")
    return bool(token) and document.fields.get("token") == token


def _is_done(write: Write, document: Document | None) -> bool:
    """Whether a document is as the write would have left it."""
    match write:
        case Delete():
            return document is None
        case Create(_, fields):
            return document is not None and equal(document.fields, dict(fields))
        case Update(_, changes):
            if document is None:
                return False
            return equal(document.fields, changed_fields(document.fields, changes))


class RetryingBlobStore:
    """Tries again while the blobs are unavailable; every operation on blobs may be repeated.

    Args:
        inner: The store that does the work.
        deadline: Seconds for one call, all repetitions included; for a transfer, seconds without
            a new byte.
    """

    def __init__(self, inner: BlobStore, *, deadline: float = 8.0) -> None:
        self._inner = inner
        self._patience = Patience(deadline)

    def exists(self, digest: str) -> bool:
        return self._patience.persist(lambda: self._inner.exists(digest))

    def upload(self, digest: str, path: Path, progress: Progress | None = None) -> bool:
        return self._patience.transfer(
            lambda told: self._inner.upload(digest, path, told), progress
        )

    def upload_hashed(
        self, digest: str, path: Path, state: FileState, progress: Progress | None = None
    ) -> bool:
        return self._patience.transfer(
            lambda told: upload_hashed(self._inner, digest, path, state, told), progress
        )

    def upload_bytes(
        self, contents: Sequence[Content], progress: Progress | None = None
    ) -> list[bool]:
        return self._patience.transfer(
            lambda told: upload_bytes(self._inner, contents, told), progress
        )

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        def attempt(told: Progress) -> None:
            self._inner.download(digest, path, told)

        try:
            self._patience.transfer(attempt, progress)
        except IntegrityError:
            # Perhaps they were changed on their way; what is wrong at rest stays so.
            self._patience.transfer(attempt, progress)

    def download_many(
        self, wanted: Iterable[tuple[str, str]], progress: Progress | None = None
    ) -> Iterator[tuple[str, int]]:
        return download_many(self._inner, wanted, progress)

    def open(self, digest: str) -> BinaryIO:
        return self._patience.persist(lambda: self._inner.open(digest))

    def delete(self, digest: str) -> None:
        self._patience.persist(lambda: self._inner.delete(digest))

    def digests(self) -> Iterator[str]:
        yield from self._patience.persist(lambda: list(self._inner.digests()))

    def stored(self) -> Iterator[StoredBlob]:
        yield from self._patience.persist(lambda: list(self._inner.stored()))

    def close(self) -> None:
        self._inner.close()


if TYPE_CHECKING:
    _documents: type[DocumentStore] = RetryingDocumentStore
    _listening: type[Listening] = RetryingDocumentStore
    _blobs: type[BlobStore] = RetryingBlobStore
    _hashed: type[TakesHashed] = RetryingBlobStore
    _many: type[GivesMany] = RetryingBlobStore
    _bytes: type[TakesBytes] = RetryingBlobStore
