"""How one writer's rows become few documents: chunks that grow, and are merged when they are many.

The newest rows go into a small chunk that is written again as it grows. Small chunks that are
complete wait until they fill a large one together, or until the run ends. A chunk is named by its
writer and first row, and every change carries the revision it replaces, so a write that arrives
late or twice is refused, never doubled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aletheia_like.model import paths
from aletheia_like.model.codec import SCHEMA_VERSION
from aletheia_like.model.rows import Line, from_line, moment, pack
from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.documents import (
    MAX_APPLY_BYTES,
    Create,
    Delete,
    Document,
    DocumentStore,
    Filter,
    Query,
    Update,
    Write,
)

SMALL_BYTES = 32_000
"""A chunk of up to this many bytes of rows is written again when it grows."""

FULL_BYTES = 800_000
"""Chunks that hold this many bytes of rows together become one."""

MAX_SMALL_CHUNKS = 24
MAX_TEXT_BYTES = 900_000
_ROOM_FOR_OTHERS = 400_000

Span = tuple[int, int]
"""Sequence numbers of a first and a last row."""

Source = Callable[[int], list[bytes]]
"""Gives the next lines, about as many bytes of them as it is told."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that lie in one document.

    Attributes:
        lines: The rows.
        size: Bytes of their lines.
        revision: That of the document; None before it is stored.
    """

    lines: tuple[Line, ...]
    size: int
    revision: str | None = None

    @property
    def first(self) -> int:
        """Sequence number of the first row."""
        return self.lines[0].sequence


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write, and which chunks there will be.

    Attributes:
        writes: The documents that change.
        stored: Chunks in the order of those `writes` that create or update one.
        small: Of these, and of those before, the ones that may still be merged.
        lines: How many new rows it stores.
    """

    writes: tuple[Write, ...]
    stored: tuple[Chunk, ...]
    small: tuple[Chunk, ...]
    lines: tuple[Line, ...]


@dataclass(slots=True)
class Chunker:
    """Turns one writer's rows into writes; a plan that was not confirmed is returned again.

    It has to be the same plan, since an answer may be lost or come late: of two that were equal
    the store refuses one, of two that differ it could take both.

    Attributes:
        run_path: The run that the rows belong to.
        writer: Unique name of the writer.
        source: Where new rows come from.
    """

    run_path: str
    writer: str
    source: Source
    _small: tuple[Chunk, ...] = ()
    _fresh: list[tuple[Line, int]] = field(default_factory=list)
    _open: Plan | None = None

    @property
    def in_doubt(self) -> bool:
        """Whether a plan is neither confirmed nor known to be refused."""
        return self._open is not None

    def plan(self, *, last: bool) -> Plan | None:
        """Return what to write next, or None.

        Args:
            last: Whether no row will follow, so that what is small is merged.
        """
        if self._open is None:
            self._open = self._next(last=last)
        return self._open

    def _next(self, *, last: bool) -> Plan | None:
        size = sum(size for _, size in self._fresh)
        if size < FULL_BYTES:
            taken = self.source(FULL_BYTES - size)
            self._fresh += [(from_line(line), len(line)) for line in taken]
            # A signal handler may have logged between the number of a row and its writing.
            self._fresh.sort(key=lambda one: one[0].sequence)
            size += sum(map(len, taken))
        if not self._fresh and not (last and len(self._small) > 1):
            return None
        involved = self._involved(size, last=last)
        plan = self._planned(involved)
        if plan is None and self._fresh:
            return self._planned(())
        return plan

    def confirm(self, plan: Plan, revisions: Sequence[str | None]) -> None:
        """A plan's writes are stored, with these revisions."""
        known = {
            chunk.first: replace(chunk, revision=revision)
            for chunk, revision in zip(plan.stored, revisions, strict=False)
        }
        self._open = None
        self._small = tuple(known.get(one.first, one) for one in plan.small)
        del self._fresh[: len(plan.lines)]

    def resume(self, covered: Sequence[Span]) -> None:
        """Learn which rows the store has already."""
        self._open = None
        self._small = ()
        self._fresh = [
            (line, size)
            for line, size in self._fresh
            if not any(first <= line.sequence <= last for first, last in covered)
        ]

    def unconfirmed(self) -> list[Line]:
        """Return the rows that were taken from the source and are not known to be stored."""
        return [line for line, _ in self._fresh]

    def _involved(self, size: int, *, last: bool) -> tuple[Chunk, ...]:
        """Return the chunks that are to be written again, together with what is new."""
        waiting = sum(chunk.size for chunk in self._small)
        # What is large on its own would stand between its neighbours and later rows.
        is_large = size >= FULL_BYTES // 2 or waiting + size >= FULL_BYTES
        if last or is_large or len(self._small) >= MAX_SMALL_CHUNKS:
            return self._small
        if self._small and self._small[-1].size + size <= SMALL_BYTES:
            return self._small[-1:]
        return ()

    def _planned(self, involved: tuple[Chunk, ...]) -> Plan | None:
        """Return the plan that puts these chunks and all new rows together; None if too large."""
        fresh = tuple(line for line, _ in self._fresh)
        sized = [
            (line, chunk.size // len(chunk.lines)) for chunk in involved for line in chunk.lines
        ]
        chunks, texts = [], []
        for part in _cut([*sized, *self._fresh]):
            for chunk, text in _packed(part):
                chunks.append(chunk)
                texts.append(text)
        if involved and sum(map(len, texts)) > MAX_APPLY_BYTES - _ROOM_FOR_OTHERS:
            return None
        earlier = {chunk.first: chunk for chunk in involved}
        writes: list[Write] = [
            self._write(chunk, text, earlier.pop(chunk.first, None))
            for chunk, text in zip(chunks, texts, strict=True)
        ]
        writes += [Delete(self._path(old), old.revision) for old in earlier.values()]
        small = self._small[: len(self._small) - len(involved)]
        for chunk in chunks:
            # Only neighbours may be merged: a chunk is a span of sequence numbers.
            small = (*small, chunk) if chunk.size < FULL_BYTES // 2 else ()
        return Plan(tuple(writes), tuple(chunks), small, fresh)

    def _path(self, chunk: Chunk) -> str:
        return paths.chunk(self.run_path, self.writer, chunk.first)

    def _write(self, chunk: Chunk, text: str, earlier: Chunk | None) -> Write:
        fields = _fields(self.writer, chunk, text)
        if earlier is None:
            return Create(self._path(chunk), fields)
        changes: Mapping[FieldPath, Value] = {(name,): value for name, value in fields.items()}
        return Update(self._path(chunk), changes, earlier.revision)


def stored_chunks(documents: DocumentStore, run_path: str, writer: str) -> Iterator[Document]:
    """Yield the chunks that a writer has in the store; one read each."""
    query = Query(paths.rows(run_path), (Filter(("writer",), "==", writer),))
    yield from documents.query(query)


def stored_spans(documents: DocumentStore, run_path: str, writer: str) -> list[Span]:
    """Return which rows of a writer are in the store, by their first and last; sorted."""
    chunks = stored_chunks(documents, run_path, writer)
    return sorted((int(one.fields["first"]), int(one.fields["last"])) for one in chunks)


def chunk_fields(
    writer: str, span: Span, count: int, times: tuple[float, float], text: str
) -> dict[str, Value]:
    """Return the document that holds rows.

    Args:
        writer: Unique name of their writer.
        span: Sequence numbers of the first and the last.
        count: How many there are.
        times: Moments of the first and the last, in seconds since 1970.
        text: The rows, packed.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "writer": writer,
        "first": span[0],
        "last": span[1],
        "count": count,
        "from": moment(times[0]),
        "to": moment(times[1]),
        "columns": text,
    }


def _fields(writer: str, chunk: Chunk, text: str) -> dict[str, Value]:
    first, last = chunk.lines[0], chunk.lines[-1]
    span, times = (first.sequence, last.sequence), (first.timestamp, last.timestamp)
    return chunk_fields(writer, span, len(chunk.lines), times, text)


def _cut(sized: Sequence[tuple[Line, int]]) -> list[list[tuple[Line, int]]]:
    """Cut rows into parts that fill a chunk each."""
    parts: list[list[tuple[Line, int]]] = []
    room = 0
    for line, size in sized:
        if size > room:
            parts.append([])
            room = FULL_BYTES
        parts[-1].append((line, size))
        room -= size
    return parts


def _packed(part: list[tuple[Line, int]]) -> list[tuple[Chunk, str]]:
    """Return the chunks of a part: one, or more if its columns are many and nearly empty."""
    lines = tuple(line for line, _ in part)
    text = pack(lines)
    if len(text.encode()) <= MAX_TEXT_BYTES or len(part) == 1:
        return [(Chunk(lines, sum(size for _, size in part)), text)]
    half = len(part) // 2
    return [*_packed(part[:half]), *_packed(part[half:])]
