"""Carries out a plan: blobs before the documents that mention them, rows before their run.

Whenever it is interrupted, what is there is whole, and repeating it moves the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aletheia_like.errors import AlreadyExistsError, ConflictError
from aletheia_like.metastore.reading import read_columns
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.summary import merged, summary_of
from aletheia_like.model.values import FieldPath, Value, equal
from aletheia_like.ports.documents import (
    REMOVE,
    Create,
    Document,
    Removal,
    Update,
    Write,
)
from aletheia_like.transfer import mentions
from aletheia_like.transfer.bar import counting_bar
from aletheia_like.transfer.blobmoving import BlobMover
from aletheia_like.transfer.planning import Plan, RunMove, VersionMove, plan_move
from aletheia_like.transfer.report import Tally
from aletheia_like.transfer.rowmoving import has_all, move_rows
from aletheia_like.transfer.source import ROWS, Entry, Source, StoreSource

T = TypeVar("T")

_THREADS = 8
_FILES = 400
_ENDINGS = ("ended_at", "error")
_NAMED = 10


def move(source: Source, session: Session, *, rename: bool = False) -> Tally:
    """Bring what a source has and a project lacks into it; repeating it moves nothing.

    Args:
        source: Where from.
        session: Where to.
        rename: Give new names to runs and versions whose names mean something else there.

    Raises:
        ConflictError: Names mean something else there and `rename` is false; nothing was written.
        UnavailableError: A store is away; repeating it moves the rest.
    """
    plan = plan_move(source, StoreSource(session), rename=rename)
    if plan.conflicts:
        names = ", ".join(plan.conflicts[:_NAMED])
        more = f" and {len(plan.conflicts) - _NAMED} more" if len(plan.conflicts) > _NAMED else ""
        message = (
            f"project {session.project!r} has something else under these names: {names}{more}; "
            "nothing was moved: give rename=True (--rename) to move them under new ones"
        )
        raise ConflictError(message)
    return _Carrier(source, session).carry_out(plan)


class _Carrier:
    def __init__(self, source: Source, session: Session) -> None:
        self._source = source
        self._session = session
        self._blobs = BlobMover(source, session)
        self._tally = Tally()
        self._lock = threading.Lock()

    def carry_out(self, plan: Plan) -> Tally:
        with counting_bar(
            f"moving {self._source.project}",
            len(plan.versions) + len(plan.runs),
            show=self._session.settings.progress,
        ) as done:
            for entry in plan.new:
                self._create(entry)
            for path, number in plan.counters.items():
                self._raise(path, "next_run_number", number)
            for path, number in plan.generations.items():
                self._raise(path, "generation", number)
            for version in plan.versions:
                self._publish(version)
                done(1)
            for path, aliases in plan.aliases.items():
                self._add_aliases(path, aliases)
            self._each(self._move_run, plan.runs, done)
        self._tally.renamed = plan.renamed
        self._tally.kept = tuple(plan.kept)
        self._tally.blobs, self._tally.bytes = self._blobs.moved, self._blobs.bytes
        return self._tally

    def _each(
        self, action: Callable[[T], None], items: Sequence[T], done: Callable[[int], None]
    ) -> None:
        """Do something for each, several at once; the first error ends it."""
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-move") as pool:
            futures = [pool.submit(action, item) for item in items]
            try:
                for future in futures:
                    future.result()
                    done(1)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _path(self, path: str) -> str:
        return f"{self._session.project_path}/{path}" if path else self._session.project_path

    def _create(self, entry: Entry) -> None:
        self._blobs.move(mentions.of_fields(entry.fields))
        try:
            if entry.path:
                self._session.apply_in_project(
                    lambda: [Create(self._path(entry.path), entry.fields)]
                )
            else:
                self._session.documents.apply(self._session.project_writes(entry.fields))
        except AlreadyExistsError:
            # Somebody created it since it was planned: what is there stays.
            return
        self._tally.document(entry.path, is_new=True)

    def _raise(self, path: str, word: str, least: int) -> None:
        """Let a document count as far as the source does."""

        def decide(document: Document | None) -> Sequence[Write]:
            if document is None or document.fields.get(word, 0) >= least:
                return []
            return [Update(document.path, {(word,): least}, document.revision)]

        self._session.change(self._path(path), decide)

    def _add_aliases(self, path: str, aliases: Mapping[str, int]) -> None:
        def decide(document: Document | None) -> Sequence[Write]:
            if document is None:
                return []
            known = document.fields.get("aliases")
            taken = known if isinstance(known, dict) else {}
            changes: dict[FieldPath, Value | Removal] = {
                ("aliases", one): aliases[one] for one in aliases if one not in taken
            }
            return [Update(document.path, changes, document.revision)] if changes else []

        self._session.change(self._path(path), decide)

    def _publish(self, move: VersionMove) -> None:
        """Store a version's blobs, then its files' documents, then the version itself."""
        files = list(self._source.collection(f"{move.source}/files"))
        names = mentions.of_fields(move.fields)
        for file in files:
            mentions.merge(names, mentions.of_fields(file.fields).items())
        self._blobs.move(names)
        owner_path = self._path(move.owner.path)
        path = f"{owner_path}/versions/{move.number}"
        creates = [Create(f"{path}/files/{file.id}", file.fields) for file in files]
        for begin in range(0, len(creates), _FILES):
            self._create_missing(creates[begin : begin + _FILES])

        other: list[Document] = []

        def decide(owner: Document | None) -> Sequence[Write]:
            there = self._session.documents.get(path)
            if there is None:
                return [*_owner_writes(owner_path, owner, move), Create(path, move.fields)]
            other[:] = [there] if _token(there.fields) != _token(move.fields) else []
            return []

        self._session.change(owner_path, decide)
        _check_mine(path, other)
        self._count(f"{move.owner.path}/versions/{move.number}", is_new=True)

    def _create_missing(self, creates: Sequence[Create]) -> None:
        try:
            self._session.documents.apply(creates)
        except AlreadyExistsError:
            # An earlier attempt was interrupted here.
            found = self._session.documents.get_many([one.path for one in creates])
            missing = [one for one, there in zip(creates, found, strict=True) if there is None]
            self._session.documents.apply(missing)

    def _move_run(self, move: RunMove) -> None:
        path = self._path(move.path)
        chunks: Iterable[Entry] = self._source.collection(f"{move.source}/{ROWS}")
        if move.known and has_all(self._session, path, self._source.extent(move.source)):
            chunks = ()
        rows = move_rows(chunks, self._session, path, self._blobs, known=move.known)
        with self._lock:
            self._tally.rows += rows
        if move.known and not move.further:
            if rows or move.differs:
                self._summarise(path)
            return
        self._blobs.move(mentions.of_fields(move.fields) | mentions.of_fields(move.result))
        writes: list[Write] = []
        other: list[Document] = []

        def decide(document: Document | None) -> Sequence[Write]:
            stranger = document is not None and _token(document.fields) != _token(move.fields)
            other[:] = [document] if document is not None and stranger else []
            writes[:] = [] if stranger else self._run_writes(path, document, move)
            return writes

        self._session.change(path, decide)
        _check_mine(path, other)
        if writes:
            self._count(move.path, is_new=not move.known)

    def _summarise(self, path: str) -> None:
        """Let a run's summary tell of rows that both sides changed."""
        summary = merged({}, summary_of(read_columns(self._session, path, {})))
        writes: list[Write] = []

        def decide(document: Document | None) -> Sequence[Write]:
            is_same = document is None or equal(document.fields.get("summary", {}), summary)
            changes: dict[FieldPath, Value | Removal] = {("summary",): summary}
            writes[:] = (
                [] if is_same or document is None else [Update(path, changes, document.revision)]
            )
            return writes

        self._session.change(path, decide)
        if writes:
            self._count(path.removeprefix(self._path("") + "/"), is_new=False)

    def _run_writes(self, path: str, document: Document | None, move: RunMove) -> list[Write]:
        writes: list[Write] = []
        if document is None:
            writes.append(Create(path, move.fields))
        else:
            gone = [word for word in _ENDINGS if word not in move.fields]
            writes += _update(document, move.fields, gone)
        if move.result is not None:
            experiment, _, run = path.partition("/runs/")
            result = self._session.documents.get(f"{experiment}/results/{run}")
            if result is None:
                writes.append(Create(f"{experiment}/results/{run}", move.result))
            else:
                writes += _update(result, move.result, list(result.fields))
        return writes

    def _count(self, path: str, *, is_new: bool) -> None:
        with self._lock:
            self._tally.document(path, is_new=is_new)


def _token(fields: Mapping[str, Any]) -> Any:
    return fields.get("token")


def _check_mine(path: str, other: Sequence[Document]) -> None:
    """Refuse to go on if somebody took a path since it was planned.

    Raises:
        ConflictError: Somebody did.
    """
    if other:
        message = f"{path} was created by somebody else meanwhile: move it again"
        raise ConflictError(message)


def _owner_writes(path: str, owner: Document | None, move: VersionMove) -> list[Write]:
    """Return the write that makes a name count a version, and repeat it if it is the newest."""
    counted = move.owner.fields.get("next_version", 0)
    if owner is None:
        first = {"next_version": max(counted, move.number + 1), "latest": move.fields}
        return [Create(path, {**move.owner.fields, **first})]
    changes: dict[FieldPath, Value | Removal] = {
        ("next_version",): max(counted, owner.fields.get("next_version", 0), move.number + 1)
    }
    latest = owner.fields.get("latest")
    if not isinstance(latest, dict) or latest.get("version", -1) < move.number:
        changes["latest",] = move.fields
    return [Update(path, changes, owner.revision)]


def _update(
    document: Document, fields: Mapping[str, Any], gone: Sequence[str]
) -> Iterator[Update]:
    """Yield the write that gives a document these fields and takes others away, if need be."""
    changes: dict[FieldPath, Value | Removal] = {
        (key,): value
        for key, value in fields.items()
        if key not in document.fields or not equal(document.fields[key], value)
    }
    changes |= {(key,): REMOVE for key in gone if key in document.fields and key not in fields}
    if changes:
        yield Update(document.path, changes, document.revision)
