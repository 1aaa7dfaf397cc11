"""Remembers the documents that data sets and artifacts are opened by, for offline work.

Online every answer comes from the store and is remembered; offline it comes from what was
remembered, and nothing can be written. Blobs come from the local cache in either case.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Mapping, Sequence
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
    Write,
)
from aletheia_like.ports.listening import Listener, Listening, Wake, listen_to

_log = logging.getLogger("aletheia")
_KEPT = ("datasets", "artifacts")
_HOW_TO_GO_ON = "open the metastore without offline=True (ALETHEIA_OFFLINE)"


class MirroringDocumentStore:
    """Remembers the documents of data sets and artifacts as they are read one by one.

    Args:
        inner: The store that does the work.
        mirror: Where to remember, on this machine.
    """

    def __init__(self, inner: DocumentStore, mirror: DocumentStore) -> None:
        self._inner = inner
        self._mirror = mirror
        self._remembered: dict[str, str] = {}

    def get(self, path: str) -> Document | None:
        document = self._inner.get(path)
        if document is not None and _is_kept(path):
            try:
                self._remember(document)
            except AletheiaError as error:
                # What cannot be remembered is only missed offline.
                _log.debug("%s is not remembered: %s", path, error)
        return document

    def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        return self._inner.get_many(paths)

    def query(self, query: Query) -> Iterator[Document]:
        return self._inner.query(query)

    def apply(self, writes: Sequence[Write]) -> list[str | None]:
        return self._inner.apply(writes)

    def listen(
        self, collection: str, known: Mapping[str, str], since: dt.datetime | None, wake: Wake
    ) -> Listener | None:
        return listen_to(self._inner, collection, known, since, wake)

    def close(self) -> None:
        self._inner.close()
        self._mirror.close()

    def _remember(self, document: Document) -> None:
        if self._remembered.get(document.path) == document.revision:
            return
        kept = self._mirror.get(document.path)
        if kept is None or kept.fields != document.fields:
            if kept is not None:
                self._mirror.apply([Delete(document.path)])
            self._mirror.apply([Create(document.path, document.fields)])
        self._remembered[document.path] = document.revision


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


def _is_kept(path: str) -> bool:
    return any(part in _KEPT for part in path.split("/")[2::2])


if TYPE_CHECKING:
    _mirroring: type[DocumentStore] = MirroringDocumentStore
    _listening: type[Listening] = MirroringDocumentStore
    _offline: type[DocumentStore] = OfflineDocumentStore
    _blobs: type[BlobStore] = OfflineBlobStore
