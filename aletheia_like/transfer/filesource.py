"""A project that lies in an export: its documents in memory, its rows where they are."""

from __future__ import annotations

import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aletheia_like.errors import IntegrityError, NotFoundError
from aletheia_like.transfer.packing import FileRows, packed
from aletheia_like.transfer.source import ROWS, Blob, Entry, Extent


class FileSource(ABC):
    """A source whose documents have been read.

    Args:
        path: The file or folder, for messages.
        project: Whose it is.
        documents: The fields of every document but the rows, by path.
        blobs: What is known of every blob.
    """

    def __init__(
        self,
        path: Path,
        project: str,
        documents: Mapping[str, dict[str, Any]],
        blobs: Mapping[str, Blob],
    ) -> None:
        self._path = path
        self._project = project
        self._documents = documents
        self._blobs = blobs
        self._turn = threading.Lock()
        self._children: dict[str, list[str]] = {}
        for one in sorted(documents):
            self._children.setdefault(one.rpartition("/")[0], []).append(one)

    @property
    def project(self) -> str:
        return self._project

    def get(self, path: str) -> Entry | None:
        fields = self._documents.get(path)
        return None if fields is None else Entry(path, fields)

    def collection(self, path: str) -> Iterator[Entry]:
        if path.endswith(f"/{ROWS}"):
            yield from self._chunks(path)
            return
        for one in self._children.get(path, ()):
            yield Entry(one, self._documents[one])

    def blobs(self, digests: Iterable[str]) -> dict[str, Blob]:
        return {one: self._blobs[one] for one in digests if one in self._blobs}

    def extent(self, run_path: str) -> Extent | None:
        del run_path
        return None

    def download(self, digest: str, path: Path) -> None:
        found = self._blob_path(digest)
        if found is None:
            message = f"{self._path} lacks the bytes of {digest}: was it copied whole?"
            raise NotFoundError(message)
        shutil.copyfile(found, path)

    @abstractmethod
    def rows(self, run_path: str) -> Mapping[str, FileRows]:
        """Return the rows of a run by their writer."""

    @abstractmethod
    def _blob_path(self, digest: str) -> Path | None:
        """Return a file with a blob's bytes."""

    def check_blobs(self) -> None:
        """Refuse an export that lacks some of its blobs.

        Raises:
            IntegrityError: It does.
        """
        lost = [digest for digest in self._blobs if self._blob_path(digest) is None]
        if lost:
            message = (
                f"{self._path} lacks {len(lost)} of its {len(self._blobs)} files, "
                f"such as {lost[0]}: was it copied whole?"
            )
            raise IntegrityError(message)

    def _chunks(self, path: str) -> list[Entry]:
        # Threads that do this at once only take turns, and pay for every turn.
        with self._turn:
            found = self.rows(path.rpartition("/")[0])
            return [
                Entry(f"{path}/{writer}-{fields['first']:010d}", fields)
                for writer in sorted(found)
                for fields in packed(writer, found[writer])
            ]
