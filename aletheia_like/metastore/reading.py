"""Reads a run's rows: its chunks in the store, and what its writers here have not sent yet."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aletheia_like.errors import IntegrityError
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.rows import (
    ABSENT,
    AMEND,
    STREAM,
    Columns,
    Line,
    from_lines,
    joined,
    shown_name,
    unpack,
)
from aletheia_like.ports.documents import Document, Query

Unsent = Mapping[str, Sequence[Line]]
"""Rows that are on this machine only, by the name of their writer."""

NOTHING_UNSENT: Unsent = {}


def read_columns(
    session: Session,
    run_path: str,
    unsent: Unsent,
    stream: str | None = None,
    *,
    stored: bool = True,
) -> Columns:
    """Return the rows of a run in the order of their moments; a read for each chunk.

    A writer's own rows stay in the order it logged them, whatever its clock did. What is returned
    is not to be changed: the next who asks may get the same.

    Args:
        session: The metastore.
        run_path: The run's document.
        unsent: What was not sent at some moment before this call.
        stream: None for the run's own rows, else those of the stream of this name.
        stored: Whether the store may have any; it is not asked if not.

    Raises:
        IntegrityError: A chunk cannot be read.
    """
    chunks = list(session.documents.query(Query(paths.rows(run_path)))) if stored else []
    if not chunks or any(unsent.values()):
        return columns_of(chunks, unsent, stream)
    place = (run_path, stream)
    columns = session.recent_rows.find(place, chunks)
    if columns is None:
        columns = columns_of(chunks, stream=stream)
        session.recent_rows.remember(place, chunks, columns)
    return columns


def columns_of(
    chunks: Iterable[Document], unsent: Unsent = NOTHING_UNSENT, stream: str | None = None
) -> Columns:
    """Return the rows of a run whose chunks were read, as `read_columns` does."""
    stored: dict[str, list[Document]] = {}
    for one in chunks:
        stored.setdefault(str(one.fields.get("writer")), []).append(one)
    writers = [
        _of_writer(stored.get(name, []), unsent.get(name, ()))
        for name in dict.fromkeys([*stored, *unsent])
    ]
    return _shown(amended(merged_by_time([one for one in writers if len(one)])), stream)


def _of_writer(stored: Sequence[Document], unsent: Sequence[Line]) -> Columns:
    parts = []
    covered = 0
    for one in sorted(stored, key=lambda document: document.fields["first"]):
        columns, last = _unpacked(one), int(one.fields["last"])
        if one.fields["first"] <= covered:
            # Stored twice: by a writer that was killed, in its last moment, and by `sync`.
            new = max(0, min(len(columns), last - covered))
            columns = taken(columns, range(len(columns) - new, len(columns)))
        parts.append(columns)
        covered = max(covered, last)
    later = [line for line in unsent if line.sequence > covered]
    return joined([*parts, from_lines(later)] if later else parts)


def _unpacked(document: Document) -> Columns:
    try:
        return unpack(document.fields["columns"], document.fields["count"])
    except (ValueError, KeyError, TypeError) as error:
        message = f"{document.path} holds no rows that can be read: was it edited? {error}"
        raise IntegrityError(message) from error


def merged_by_time(writers: Sequence[Columns]) -> Columns:
    """Return the rows of all writers by time; those of each keep their order."""
    if not writers:
        return Columns()
    together = joined(writers)
    if len(writers) == 1:
        return together
    # A clock that steps back must not reorder what one writer logged.
    keys = itertools.chain.from_iterable(
        itertools.accumulate(writer.timestamps, max) for writer in writers
    )
    moments = list(keys)
    return taken(together, sorted(range(len(together)), key=moments.__getitem__))


def amended(columns: Columns) -> Columns:
    """Apply every later change to the rows before it, and leave the changes out."""
    changes = columns.cells.get(AMEND)
    if changes is None:
        return columns
    cells = {name: list(column) for name, column in columns.cells.items()}
    for index, change in enumerate(changes):
        if isinstance(change, Mapping):
            column = cells.setdefault(change["name"], [ABSENT] * len(columns))
            for row in _matching(cells, changes, index, change["where"]):
                column[row] = change["value"]
    kept = [index for index, change in enumerate(changes) if change is ABSENT]
    del cells[AMEND]
    return taken(Columns(columns.timestamps, cells), kept)


def _matching(
    cells: Mapping[str, Sequence[Any]],
    changes: Sequence[Any],
    until: int,
    where: Sequence[Mapping[str, Any]],
) -> Iterable[int]:
    streams = cells.get(STREAM)
    for row in range(until):
        if changes[row] is not ABSENT or (streams is not None and streams[row] is not ABSENT):
            continue
        if all(one["name"] in cells and cells[one["name"]][row] == one["value"] for one in where):
            yield row


def _shown(columns: Columns, stream: str | None) -> Columns:
    """Return the rows of one stream, under the names their user gave."""
    streams = columns.cells.get(STREAM)
    if streams is None and stream is not None:
        return Columns()
    if streams is not None:
        wanted = ABSENT if stream is None else stream
        columns = taken(columns, [i for i, one in enumerate(streams) if one == wanted])
    named = {shown_name(name): column for name, column in columns.cells.items()}
    cells = {
        name: column
        for name, column in named.items()
        if name is not None and (streams is None or any(one is not ABSENT for one in column))
    }
    return Columns(columns.timestamps, cells, columns.is_flat)


def taken(columns: Columns, order: Sequence[int]) -> Columns:
    """Return the rows at these places."""
    return Columns(
        [columns.timestamps[index] for index in order],
        {name: [cells[index] for index in order] for name, cells in columns.cells.items()},
        columns.is_flat,
    )
