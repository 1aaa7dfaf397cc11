"""Goes through every project: what is referred to, and which documents have been deleted long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from aletheia_like.collect.references import References
from aletheia_like.metastore.marks import PURGED_AT, is_deleted
from aletheia_like.metastore.renewing import age_of
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.ports.documents import Document, Query
from aletheia_like.transfer.source import KINDS, Kind

DueKind = Literal["run", "experiment", "version"]
_DUE: dict[str, DueKind] = {"runs": "run", "experiments": "experiment", "versions": "version"}
_UNREFERRING = frozenset({"audit"})
"""Documents that tell what was, and keep nothing alive."""

_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Due:
    """A document that was deleted so long ago that it goes for ever, with all below it."""

    kind: DueKind
    path: str


@dataclass(slots=True)
class Marked:
    """What was found in all projects.

    Attributes:
        references: Digests that are referred to.
        due: What is to go for ever; references of these do not count.
        kept: How many documents are deleted, but can be restored yet.
        projects: How many there are.
        documents: How many were read.
    """

    references: References
    due: list[Due]
    kept: int = 0
    projects: int = 0
    documents: int = 0


def mark(session: Session, keep_seconds: float, done: Callable[[int], None]) -> Marked:
    """Read every document of every project.

    Args:
        session: The metastore.
        keep_seconds: So long what was deleted can be restored.
        done: Told how many more documents were read.
    """
    marked = Marked(References(), [])
    walker = _Walker(session, marked, keep_seconds, done)
    for project in list(session.documents.query(Query(paths.PROJECTS))):
        marked.projects += 1
        walker.take(project)
        walker.walk(project.path, KINDS)
    return marked


@dataclass(slots=True)
class _Walker:
    session: Session
    marked: Marked
    keep_seconds: float
    done: Callable[[int], None]

    def walk(self, path: str, kinds: tuple[Kind, ...]) -> None:
        """Take in every document below a path."""
        for kind in kinds:
            if kind.name in _UNREFERRING:
                continue
            leaves = all(not below.below for below in kind.below)
            found = self._taken(f"{path}/{kind.name}", kind)
            if leaves and kind.below:
                self._take_leaves(found, kind)
                continue
            for document in found:
                self.walk(document.path, kind.below)

    def take(self, document: Document) -> None:
        """Take in one document."""
        self.marked.documents += 1
        self.marked.references.add_value(document.fields)
        self.done(1)

    def _taken(self, collection: str, kind: Kind) -> Iterator[Document]:
        """Take in a collection, and yield what stays of it."""
        for document in list(self.session.documents.query(Query(collection))):
            is_marked = is_deleted(document.fields)
            if kind.name in _DUE and is_marked and self._is_due(document):
                self.marked.due.append(Due(_DUE[kind.name], document.path))
                continue
            self.marked.kept += is_marked and kind.name in _DUE
            self.take(document)
            yield document

    def _is_due(self, document: Document) -> bool:
        claimed = document.fields.get(PURGED_AT) is not None
        return claimed or age_of(document) > self.keep_seconds

    def _take_leaves(self, found: Iterator[Document], kind: Kind) -> None:
        """Take in what lies below many documents, some of them at once."""
        collections = [f"{one.path}/{below.name}" for one in found for below in kind.below]
        with ThreadPoolExecutor(_AHEAD, thread_name_prefix="aletheia-marking") as pool:
            for documents in pool.map(self._read, collections):
                for document in documents:
                    self.take(document)

    def _read(self, collection: str) -> list[Document]:
        return list(self.session.documents.query(Query(collection)))


def changed_since(session: Session, experiment_path: str, seconds: float) -> bool:
    """Whether a run of a deleted experiment has changed in the last so many seconds."""
    found = session.documents.query(Query(paths.runs(experiment_path)))
    return any(age_of(one) <= seconds for one in found if not is_deleted(one.fields))
