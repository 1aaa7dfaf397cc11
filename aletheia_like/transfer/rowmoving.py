"""Moves rows in their chunks; a row is the same everywhere by its writer and its number.

A store merges small chunks into larger ones as a run goes on, so the same rows may lie in other
chunks here than there. What the target has of a writer is replaced only by what holds all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from aletheia_like.errors import AlreadyExistsError, ConflictError
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.sizes import value_size
from aletheia_like.ports.documents import (
    MAX_APPLY_BYTES,
    MAX_WRITES,
    Create,
    Delete,
    Document,
    Query,
    Update,
    Write,
)
from aletheia_like.transfer import mentions
from aletheia_like.transfer.blobmoving import BlobMover
from aletheia_like.transfer.source import Entry, Extent

_ROOM = 200_000


def move_rows(
    chunks: Iterable[Entry], session: Session, run_path: str, blobs: BlobMover, *, known: bool
) -> int:
    """Bring the rows of chunks into a run; return how many it did not have.

    Args:
        chunks: All chunks of the run, in the order of their ids.
        session: Where to.
        run_path: The run's document, which need not exist yet.
        blobs: Moves what the rows mention.
        known: Whether the run exists, and so may have rows.

    Raises:
        ConflictError: Each side has rows of one writer that the other lacks.
    """
    if not known:
        moved = 0
        rest: list[Entry] = []
        for batch in _batches(chunks):
            _move_blobs(batch, blobs)
            try:
                session.documents.apply([_create(run_path, one) for one in batch])
            except AlreadyExistsError:
                # An earlier attempt was interrupted.
                rest += batch
            else:
                moved += sum(map(_count, batch))
        return moved + (_reconcile(rest, session, run_path, blobs) if rest else 0)
    return _reconcile(list(chunks), session, run_path, blobs)


def has_all(session: Session, run_path: str, extent: Extent | None) -> bool:
    """Whether a run has all rows of this extent; False if that is not known."""
    if extent is None:
        return False
    there = _by_writer(session.documents.query(Query(paths.rows(run_path))))
    return all(
        _rows(there.get(writer, [])) >= count and _last(there.get(writer, [])) >= last
        for writer, (count, last) in extent.items()
    )


def _by_writer(documents: Iterable[Document]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {}
    for document in documents:
        found.setdefault(str(document.fields.get("writer")), []).append(document)
    return found


def _reconcile(chunks: Sequence[Entry], session: Session, run_path: str, blobs: BlobMover) -> int:
    here: dict[str, list[Entry]] = {}
    for chunk in chunks:
        here.setdefault(str(chunk.fields["writer"]), []).append(chunk)
    there = _by_writer(session.documents.query(Query(paths.rows(run_path))))
    moved = 0
    for writer, mine in here.items():
        its = there.get(writer, [])
        missing = _rows(mine) - _rows(its)
        if missing <= 0 and _last(its) >= _last(mine):
            continue
        if _last(its) > _last(mine):
            message = f"{run_path}: each store has rows of writer {writer} that the other lacks"
            raise ConflictError(message)
        _move_blobs(mine, blobs)
        for writes in _replacing(run_path, mine, its):
            session.documents.apply(writes)
        moved += max(missing, 0)
    return moved


def _replacing(
    run_path: str, mine: Sequence[Entry], its: Sequence[Document]
) -> Iterator[list[Write]]:
    """Yield writes, to be applied one after the other, that replace chunks by others."""
    places = {document.path: document for document in its}
    same = {
        path
        for chunk in mine
        if (path := f"{paths.rows(run_path)}/{chunk.id}") in places
        and places[path].fields.get("last") == chunk.fields.get("last")
        and places[path].fields.get("count") == chunk.fields.get("count")
    }
    old = [document for document in its if document.path not in same]
    new = [chunk for chunk in mine if f"{paths.rows(run_path)}/{chunk.id}" not in same]
    for batch in _batches(sorted(new, key=_first)):
        begin, end = _first(batch[0]), max(int(chunk.fields["last"]) for chunk in batch)
        gone = [one for one in old if begin <= int(one.fields["first"]) <= end]
        old = [one for one in old if one not in gone]
        writes = [_write(run_path, chunk, places) for chunk in batch]
        kept = {write.path for write in writes}
        rest = [Delete(one.path, one.revision) for one in gone if one.path not in kept]
        yield [*writes, *rest[: MAX_WRITES // 2]]
        for start in range(MAX_WRITES // 2, len(rest), MAX_WRITES):
            yield list(rest[start : start + MAX_WRITES])


def _write(run_path: str, chunk: Entry, places: Mapping[str, Document]) -> Create | Update:
    create = _create(run_path, chunk)
    earlier = places.get(create.path)
    if earlier is None:
        return create
    return Update(
        create.path, {(key,): value for key, value in chunk.fields.items()}, earlier.revision
    )


def _create(run_path: str, chunk: Entry) -> Create:
    return Create(f"{paths.rows(run_path)}/{chunk.id}", chunk.fields)


def _move_blobs(chunks: Iterable[Entry], blobs: BlobMover) -> None:
    names: mentions.Names = {}
    for chunk in chunks:
        found = mentions.of_rows(str(chunk.fields["columns"]), _count(chunk))
        mentions.merge(names, found.items())
    blobs.move(names)


def _batches(chunks: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield chunks in parts that one apply takes."""
    batch: list[Entry] = []
    size = 0
    for chunk in chunks:
        grown = size + value_size(chunk.fields)
        if batch and (grown > MAX_APPLY_BYTES - _ROOM or len(batch) >= MAX_WRITES // 2):
            yield batch
            batch, grown = [], grown - size
        batch.append(chunk)
        size = grown
    if batch:
        yield batch


def _count(chunk: Entry) -> int:
    return int(chunk.fields["count"])


def _first(chunk: Entry) -> int:
    return int(chunk.fields["first"])


def _rows(chunks: Sequence[Entry] | Sequence[Document]) -> int:
    """Return how many rows there are; a row may be in two chunks."""
    total = covered = 0
    spans = ((int(one.fields["first"]), one.fields["last"], one.fields["count"]) for one in chunks)
    for _, last, count in sorted(spans):
        total += max(0, min(int(count), last - covered))
        covered = max(covered, last)
    return total


def _last(chunks: Sequence[Entry] | Sequence[Document]) -> int:
    return max((int(one.fields["last"]) for one in chunks), default=0)
