"""What can be moved: the documents and blobs of one project, wherever they lie.

Paths are below the project: `experiments/e/runs/1`; the project's own document has the path "".
An entry is a document as it was stored, so whatever it holds moves with it.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aletheia_like.metastore.marks import kept
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.values import Value
from aletheia_like.ports.documents import Document, Query

_BATCH = 300
_AHEAD = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """A document on its way.

    Attributes:
        path: Below the project.
        fields: Its values, as they are stored.
        changed_at: When it last changed by the clock of its store; None if nobody knows.
    """

    path: str
    fields: dict[str, Value]
    changed_at: dt.datetime | None = None

    @property
    def id(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Blob:
    """What is known of a blob beside its bytes."""

    digest: str
    size: int
    media_type: str


Extent = Mapping[str, tuple[int, int]]
"""How many rows each writer has, and the number of the last."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Documents of one collection, and the collections below each.

    Attributes:
        name: The last part of the collection's path.
        below: What lies below each document.
    """

    name: str
    below: tuple[Kind, ...] = field(default=())


_VERSIONS = Kind("versions", (Kind("files"),))
_SHELVES = (Kind("artifacts", (Kind("versions"),)), Kind("releases"))

ROWS = "rows"

KINDS = (
    Kind("metadata"),
    Kind("datasets", (_VERSIONS,)),
    Kind(
        "experiments",
        (Kind("artifacts", (_VERSIONS,)), Kind("runs", (Kind(ROWS),)), Kind("results")),
    ),
    Kind("repositories", (*_SHELVES, Kind("generations", _SHELVES), Kind("audit"))),
    Kind("collections", (Kind("revisions"),)),
)
"""Everything that a project holds, in the order in which it is moved."""


class Source(Protocol):
    """Where a project comes from: a store, or a file that one was exported to."""

    @property
    def project(self) -> str:
        """Name of the project."""
        ...

    def get(self, path: str) -> Entry | None:
        """Return one document; that of the project for "". Not for chunks of rows."""
        ...

    def collection(self, path: str) -> Iterator[Entry]:
        """Yield the documents directly in a collection, by their ids."""
        ...

    def blobs(self, digests: Iterable[str]) -> dict[str, Blob]:
        """Return those of these blobs that are here, by digest."""
        ...

    def extent(self, run_path: str) -> Extent | None:
        """Return what rows a run has, if that is cheaper to learn than to read them."""
        ...

    def download(self, digest: str, path: Path) -> None:
        """Write a blob that is here to a path.

        Raises:
            NotFoundError: Its bytes are gone.
            IntegrityError: Its bytes are not what they were.
        """
        ...


class StoreSource:
    """A project of a store.

    Args:
        session: The opened metastore.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._below = f"{session.project_path}/"

    @property
    def project(self) -> str:
        return self._session.project

    def get(self, path: str) -> Entry | None:
        found = self._session.documents.get(self._below + path if path else self._below[:-1])
        return None if found is None else self._entry(found)

    def collection(self, path: str) -> Iterator[Entry]:
        return map(self._entry, kept(self._session.documents.query(Query(self._below + path))))

    def blobs(self, digests: Iterable[str]) -> dict[str, Blob]:
        wanted = list(dict.fromkeys(digests))
        found: dict[str, Blob] = {}
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            indexed = self._session.documents.get_many([paths.file(digest) for digest in batch])
            found |= {
                digest: blob_of(digest, document.fields)
                for digest, document in zip(batch, indexed, strict=True)
                if document is not None
            }
        return found

    def extent(self, run_path: str) -> Extent | None:
        del run_path
        return None

    def download(self, digest: str, path: Path) -> None:
        self._session.blobs.download(digest, path)

    def _entry(self, document: Document) -> Entry:
        path = document.path.removeprefix(self._below[:-1]).removeprefix("/")
        return Entry(path, document.fields, document.updated_at)


def blob_of(digest: str, fields: Mapping[str, Any]) -> Blob:
    """Return what the index of files says about a blob."""
    media_type = fields.get("media_type")
    known = media_type if isinstance(media_type, str) else "application/octet-stream"
    return Blob(digest, int(fields.get("size", 0)), known)


def walk(source: Source, path: str = "", kinds: tuple[Kind, ...] = KINDS) -> Iterator[Entry]:
    """Yield every document below a path but the rows, each before those below it."""
    for kind in kinds:
        if kind.name == ROWS:
            continue
        for entry in source.collection(f"{path}/{kind.name}" if path else kind.name):
            yield entry
            yield from walk(source, entry.path, kind.below)


def whole_project(source: Source) -> Iterator[Entry]:
    """Yield the project's document and every one below it, but the rows."""
    project = source.get("")
    if project is not None:
        yield project
    yield from walk(source)


def with_rows(source: Source) -> Iterator[tuple[Entry, list[Entry]]]:
    """Yield every document, and with each run the chunks of its rows, read some runs ahead."""
    waiting: deque[tuple[Entry, Future[list[Entry]] | None]] = deque()
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="aletheia-rows") as pool:

        def read(path: str) -> list[Entry]:
            return list(source.collection(f"{path}/{ROWS}"))

        ahead = 0
        try:
            for entry in whole_project(source):
                is_one = is_run(entry.path)
                waiting.append((entry, pool.submit(read, entry.path) if is_one else None))
                ahead += is_one
                while ahead > _AHEAD:
                    first, future = waiting.popleft()
                    ahead -= future is not None
                    yield _read(first, future)
            while waiting:
                yield _read(*waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _read(entry: Entry, future: Future[list[Entry]] | None) -> tuple[Entry, list[Entry]]:
    return entry, [] if future is None else future.result()


def is_run(path: str) -> bool:
    """Whether a path is that of a run."""
    parts = path.split("/")
    return len(parts) == len(("experiments", "e", "runs", "r")) and parts[2] == "runs"


if TYPE_CHECKING:
    _: type[Source] = StoreSource
