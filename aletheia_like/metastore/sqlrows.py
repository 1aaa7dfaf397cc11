"""The rows of runs as Arrow tables: from the cache where they cannot have changed, else anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from aletheia_like.errors import IntegrityError
from aletheia_like.metastore.accompanying import SYSTEM
from aletheia_like.metastore.arrowcolumns import (
    MOMENT,
    NONE,
    array,
    named,
    stacked,
    stored_array,
)
from aletheia_like.metastore.arrowcolumns import text as to_text
from aletheia_like.metastore.assets import complete
from aletheia_like.metastore.chunkcache import ChunkCache, RunRows
from aletheia_like.metastore.keptrows import FOLDER
from aletheia_like.metastore.reading import Unsent, columns_of
from aletheia_like.metastore.run import Run
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.sqlparsing import EXPERIMENT
from aletheia_like.model import paths
from aletheia_like.model.names import from_id
from aletheia_like.model.rows import (
    ABSENT,
    RUN_ID,
    TIMESTAMP,
    Line,
    shown_name,
    stored_columns,
)
from aletheia_like.model.values import LongText, LongValue, decode
from aletheia_like.ports.documents import Document, Query

OWN = ""
"""The part of a run's rows that its user logged; the others are streams."""

_THREADS = 8
_MICROSECONDS = 1_000_000
_STREAMS: Mapping[str, str | None] = {OWN: None, SYSTEM: SYSTEM}


def rows_table(
    session: Session,
    runs: Sequence[Document],
    part: str,
    columns: frozenset[str] | None,
    as_text: frozenset[str] = NONE,
) -> Any:
    """Return the rows of runs, one run after the other, each in its own order.

    A run that has ended costs nothing if its rows are in the cache, others a read for each chunk.

    Args:
        session: The metastore.
        runs: Documents of the runs, as just read.
        part: `OWN`, or the name of a stream.
        columns: In lower case, those whose long values are wanted; None for all.
        as_text: Columns that are text whatever these runs hold.

    Raises:
        IntegrityError: A chunk cannot be read.
    """
    found = run_tables(session, runs, part, columns)
    counts = [table.num_rows for table in found]
    kept = [table for table in found if table.num_rows]
    body = stacked(kept, as_text) if kept else pa.table({TIMESTAMP: pa.array([], MOMENT)})
    ids = [one.path.split("/") for one in runs]
    keys = {
        EXPERIMENT: _repeated([from_id(one[3]) for one in ids], counts),
        RUN_ID: _repeated([from_id(one[5]) for one in ids], counts),
    }
    return named(body.columns, [TIMESTAMP, *body.column_names[1:]], keys)


def run_tables(
    session: Session, runs: Sequence[Document], part: str, columns: frozenset[str] | None
) -> list[Any]:
    """Return a table for each run, `timestamp` before its own columns; else as `rows_table`."""
    return _Reader(session, part, columns).read_all(runs)


class _Reader:
    """Reads the rows of one run after another; safe for threads."""

    def __init__(self, session: Session, part: str, columns: frozenset[str] | None) -> None:
        self._session = session
        self._part = part
        self._columns = columns
        self._live = _unsent_here(session)
        self._cache = ChunkCache(
            Path(session.cache.root) / FOLDER,
            f"{session.settings.url} {session.blobs_url}",
            session.settings.rows_cache_max_bytes,
        )
        # A store in memory dies with its process, and another one has the same address.
        self._has_cache = not session.settings.url.startswith("memory:")

    def read_all(self, runs: Sequence[Document]) -> list[Any]:
        """Return the rows of each run, with a column `timestamp` before its own."""
        # Threads wait for the store together; for files they would only wait for each other.
        found = [self._kept(run) for run in runs]
        missing = [place for place, rows in enumerate(found) if rows is None]
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-sql") as pool:
            read = pool.map(self._read, [runs[place] for place in missing])
            for place, rows in zip(missing, read, strict=True):
                found[place] = rows
        self._cache.tidy()
        return [self._table(rows) for rows in found if rows is not None]

    def _table(self, rows: RunRows) -> Any:
        if self._part not in rows.parts:
            return pa.table({TIMESTAMP: pa.array([], MOMENT)})
        return self._completed(rows)

    def _keeps(self, run: Document) -> bool:
        """Whether what is read of a run stays right as long as its document does."""
        has_ended = run.fields.get("status", "running") != "running"
        return self._has_cache and has_ended and run.path not in self._live

    def _kept(self, run: Document) -> RunRows | None:
        return self._cache.load(run, self._part) if self._keeps(run) else None

    def _read(self, run: Document) -> RunRows:
        rows = self._read_anew(run.path)
        if self._keeps(run):
            self._cache.store(run, rows)
        return rows

    def _read_anew(self, path: str) -> RunRows:
        # Before the store is asked: what is sent meanwhile is found there.
        unsent = {name: lines() for name, lines in self._live.get(path, {}).items()}
        chunks = list(self._session.documents.query(Query(paths.rows(path))))
        quick = None if unsent else _quick_rows(self._session, chunks)
        return _any_rows(self._session, chunks, unsent) if quick is None else quick

    def _completed(self, rows: RunRows) -> Any:
        """Return a part with the long values that are wanted."""
        table = rows.parts[self._part]
        for name, cells in rows.elsewhere.get(self._part, {}).items():
            if not self._is_wanted(name.lower()):
                continue
            values = table.column(name).to_pylist()
            for row, kind in cells:
                values[row] = to_text(complete(self._session, _KINDS[kind](values[row])))
            place = table.column_names.index(name)
            table = table.set_column(place, name, pa.array(values, pa.string()))
        return table

    def _is_wanted(self, name: str) -> bool:
        # A name that differs from another by its capitals only got a number.
        return self._columns is None or any(
            one == name or one.startswith(f"{name}_") for one in self._columns
        )


def _unsent_here(session: Session) -> dict[str, dict[str, Callable[[], Sequence[Line]]]]:
    """Return how to get what writers of this process have not sent, by run and writer."""
    found: dict[str, dict[str, Callable[[], Sequence[Line]]]] = {}
    for run in session.live_runs.runs():
        writer = run._writer if isinstance(run, Run) else None  # noqa: SLF001 - for reading
        if isinstance(run, Run) and writer is not None:
            found.setdefault(run.path, {})[writer.name] = writer.unsent
    return found


class _LongValueMetError(Exception):
    """A cell stands for a value that lies elsewhere."""


def _quick_rows(session: Session, chunks: Sequence[Document]) -> RunRows | None:
    """Return the rows of one writer without streams and changes; None if they are not so."""
    if len({one.fields.get("writer") for one in chunks}) > 1:
        return None

    def read(value: Any) -> Any:
        decoded = decode(value)
        if isinstance(decoded, LongText | LongValue):
            raise _LongValueMetError
        return complete(session, decoded)

    parts = []
    for one in sorted(chunks, key=lambda chunk: chunk.fields["first"]):
        try:
            moments, stored = stored_columns(one.fields["columns"])
            if any(shown_name(name) is None for name in stored):
                return None
            count = one.fields["count"]
            cells = {shown_name(name): stored_array(stored[name], count, read) for name in stored}
            parts.append(pa.table({TIMESTAMP: _moments(moments), **cells}))
        except _LongValueMetError:
            return None
        except (ValueError, KeyError, TypeError, IndexError) as error:
            message = f"{one.path} holds no rows that can be read: was it edited? {error}"
            raise IntegrityError(message) from error
    return RunRows({OWN: stacked(parts).combine_chunks()} if parts else {})


def _any_rows(session: Session, chunks: Sequence[Document], unsent: Unsent) -> RunRows:
    """Return a run's rows whatever they are: of several writers, with streams and changes."""
    parts: dict[str, Any] = {}
    elsewhere: dict[str, dict[str, list[tuple[int, str]]]] = {}
    for part, stream in _STREAMS.items():
        columns = columns_of(chunks, unsent, stream)
        if not len(columns):
            continue
        moments = [round(one * _MICROSECONDS) for one in columns.timestamps]
        arrays = {TIMESTAMP: _moments(moments)}
        for name, cells in columns.cells.items():
            long = [
                (row, _kind(cell))
                for row, cell in enumerate(cells)
                if type(cell) in (LongText, LongValue)
            ]
            arrays[name] = array([_shown(session, cell) for cell in cells])
            if long:
                elsewhere.setdefault(part, {})[name] = long
        parts[part] = pa.table(arrays)
    return RunRows(parts, elsewhere)


_PLAIN = frozenset({type(None), bool, int, float, str, type(ABSENT)})
_KINDS: Mapping[str, Callable[[str], Any]] = {
    "text": lambda digest: LongText(digest, 0, ""),
    "json": lambda digest: LongValue(digest, 0),
}


def _kind(cell: LongText | LongValue) -> str:
    return "text" if isinstance(cell, LongText) else "json"


def _shown(session: Session, cell: Any) -> Any:
    if type(cell) in _PLAIN:
        return cell
    # A digest is text, so a column in which one stands for a value can take the value too.
    return cell.digest if isinstance(cell, LongText | LongValue) else complete(session, cell)


def _moments(microseconds: Sequence[int]) -> Any:
    return pa.array(microseconds, pa.int64()).cast(MOMENT)


def _repeated(names: Sequence[str], counts: Sequence[int]) -> Any:
    """Return each name as often as it is told, in a form that takes little room."""
    indices = np.repeat(np.arange(len(names), dtype=np.int32), counts)
    return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(names, pa.string()))
