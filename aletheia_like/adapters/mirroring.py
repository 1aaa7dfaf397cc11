"""Remembers the documents that data sets, artifacts and series are opened by, for offline work.

Online every answer comes from the store and is remembered; offline it comes from what was
remembered, and nothing can be written. Of series the changelog is remembered as far as it was read
or written on this machine. Blobs come from the local cache in either case.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from aletheia_like.errors import AletheiaError, UnavailableError
from aletheia_like.ports.blobs import BlobStore, Progress, StoredBlob
from aletheia_like.ports.documents import (
    Create,
    Delete,
    Document,
    DocumentStore,
    Query,
    Update,
    Write,
)
from aletheia_like.ports.listening import Listener, Listening, Wake, listen_to

_log = logging.getLogger("aletheia")
_KEPT = ("datasets", "artifacts", "collections")
_LISTED = "collections"
_HOW_TO_GO_ON = "open the metastore without offline=True (ALETHEIA_OFFLINE)"


class MirroringDocumentStore:
    """Remembers documents of data sets, artifacts and series as they are read.

    Args:
        inner: The store that does the work.
        mirror: Where to remember, on this machine.
        prepare: Called before something is remembered for the first time.
    """

    def __init__(
        self,
        inner: DocumentStore,
        mirror: DocumentStore,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._inner = inner
        self._mirror = mirror
        self._prepare = prepare
        self._remembered: dict[str, str] = {}

    def get(self, path: str) -> Document | None:
        document = self._inner.get(path)
        if document is not None and _is_kept(path):
            with _only_missed():
                self._remember(document)
        return document

    def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        return self._inner.get_many(paths)

    def query(self, query: Query) -> Iterator[Document]:
        if not _is_listed(query.collection):
            return self._inner.query(query)
        return self._remembered_one_by_one(query)

    def _remembered_one_by_one(self, query: Query) -> Iterator[Document]:
        for document in self._inner.query(query):
            with _only_missed():
                self._remember(document)
            yield document

    def apply(self, writes: Sequence[Write]) -> list[str | None]:
        revisions = self._inner.apply(writes)
        for write in writes:
            if _is_listed(write.path):
                with _only_missed():
                    for one in _unconditional(write):
                        self._keep([one])
        return revisions

    def listen(
        self, collection: str, known: Mapping[str, str], since: dt.datetime | None, wake: Wake
    ) -> Listener | None:
        return listen_to(self._inner, collection, known, since, wake)

    def close(self) -> None:
        self._inner.close()
        self._mirror.close()

    def _keep(self, writes: Sequence[Write]) -> None:
        if self._prepare is not None:
            self._prepare()
            self._prepare = None
        self._mirror.apply(writes)

    def _remember(self, document: Document) -> None:
        if self._remembered.get(document.path) == document.revision:
            return
        kept = self._mirror.get(document.path)
        if kept is None or kept.fields != document.fields:
            if kept is not None:
                self._forget_other(kept, document)
                self._keep([Delete(document.path)])
            self._keep([Create(document.path, document.fields)])
            self._remember_newest(document)
        self._remembered[document.path] = document.revision

    def _remember_newest(self, owner: Document) -> None:
        """Remember the version that a name's document repeats also as the document of its number.

        It stays when the name has a newer one, as its bytes do in the cache.
        """
        latest = owner.fields.get("latest")
        if not isinstance(latest, dict) or not isinstance(latest.get("version"), int):
            return
        path = f"{owner.path}/versions/{latest['version']}"
        self._keep([Delete(path)])
        self._keep([Create(path, latest)])

    def _forget_other(self, kept: Document, document: Document) -> None:
        """Forget the changelog of a collection that was made anew or shortened since."""
        if any(kept.fields.get(word) != document.fields.get(word) for word in ("token", "epoch")):
            below = f"{document.path}/revisions"
            if _is_listed(below):
                found = list(self._mirror.query(Query(below)))
                for one in found:
                    self._keep([Delete(one.path)])


class OfflineDocumentStore:
    """Answers from what was remembered, and touches no network.

    Args:
        mirror: What was remembered.
    """

    def __init__(self, mirror: DocumentStore) -> None:
        self._mirror = mirror

    def get(self, path: str) -> Document | None:
        document = self._mirror.get(path)
        if document is None:
            message = f"offline, and {path} was not read on this machine before: {_HOW_TO_GO_ON}"
            raise UnavailableError(message)
        return document

    def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        return [self.get(path) for path in paths]

    def query(self, query: Query) -> Iterator[Document]:
        if _is_listed(query.collection):
            return self._mirror.query(query)
        message = f"offline, so {query.collection} cannot be listed: {_HOW_TO_GO_ON}"
        raise UnavailableError(message)

    def apply(self, writes: Sequence[Write]) -> list[str | None]:
        message = f"offline, so {writes[0].path} cannot be written: {_HOW_TO_GO_ON}"
        raise UnavailableError(message)

    def close(self) -> None:
        self._mirror.close()


class OfflineBlobStore:
    """Has no blobs: offline they come from the local cache."""

    def exists(self, digest: str) -> bool:
        raise self._away(digest)

    def upload(self, digest: str, path: Path, progress: Progress | None = None) -> bool:
        del path, progress
        raise self._away(digest)

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        del path, progress
        raise self._away(digest)

    def open(self, digest: str) -> BinaryIO:
        raise self._away(digest)

    def delete(self, digest: str) -> None:
        raise self._away(digest)

    def digests(self) -> Iterator[str]:
        return iter(())

    def stored(self) -> Iterator[StoredBlob]:
        return iter(())

    def close(self) -> None:
        pass

    def _away(self, digest: str) -> UnavailableError:
        message = f"offline, and blob {digest} is not in the local cache: {_HOW_TO_GO_ON}"
        return UnavailableError(message)


def _unconditional(write: Write) -> list[Write]:
    """Return a write that happened in the store as it is done to what is remembered of it."""
    match write:
        case Create(path):
            return [Delete(path), write]
        case Update(path, changes):
            return [Update(path, changes)]
        case Delete(path):
            return [Delete(path)]


@contextlib.contextmanager
def _only_missed() -> Iterator[None]:
    """Go on if something cannot be remembered: it is only missed offline."""
    try:
        yield
    except AletheiaError as error:
        _log.debug("not remembered: %s", error)


def _is_listed(path: str) -> bool:
    """Whether a path is that of collections of series, or below one."""
    return _LISTED in path.split("/")[2::2]


def _is_kept(path: str) -> bool:
    return any(part in _KEPT for part in path.split("/")[2::2])


if TYPE_CHECKING:
    _mirroring: type[DocumentStore] = MirroringDocumentStore
    _listening: type[Listening] = MirroringDocumentStore
    _offline: type[DocumentStore] = OfflineDocumentStore
    _blobs: type[BlobStore] = OfflineBlobStore
