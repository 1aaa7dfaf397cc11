"""One SQLite file that any tool opens, with the tables `events`, `runs`, `artifacts`, and more.

`events` has a row for each row that was logged, `rows` is the same; `datasets` and `files` are
listed, and `assets` has the bytes of every blob. Tables whose names begin with an underscore hold
what is needed to import without loss:

    _export     whose project it is, and the format
    _documents  every document as JSON, by its path below the project
    _columns    what each column of `events` is, and under which name it was logged
    _spans      where the rows of each run stand in `events`
    _others     rows that are none of a run's own: streams, and changes of other rows

The file is written under another name and put in its place by one rename.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from aletheia_like.errors import AccessDeniedError, AlreadyExistsError, InvalidValueError
from aletheia_like.model.rows import moment
from aletheia_like.transfer import flat
from aletheia_like.transfer.bar import counting_bar
from aletheia_like.transfer.canonical import text_of
from aletheia_like.transfer.cells import ColumnNames, Kind, kinds_of, together, typed
from aletheia_like.transfer.gathering import Gathered, RunRows, gather
from aletheia_like.transfer.mentions import Names, inside, merge, safe_name
from aletheia_like.transfer.report import Tally
from aletheia_like.transfer.source import Source
from aletheia_like.transfer.times import shown_time, shown_times

APPLICATION_ID: Final = 0x416C6574
FORMAT: Final = 1
EVENTS: Final = "events"
OWN_COLUMNS: Final = ("experiment", "run_id", "timestamp", "_writer", "_sequence", "_exact")

_MAX_COLUMNS = 1_900
_ROWS_AT_ONCE = 16
_VALUES_AT_ONCE = 900
_LONG = 2_000
_MAX_BLOB_BYTES = 900_000_000
_TYPES: Mapping[Kind, str] = {
    "float": "DOUBLE",
    "int": "BIGINT",
    # DuckDB reads what is declared BOOLEAN as text, and SQLite has numbers only.
    "bool": "BIGINT",
    "text": "TEXT",
    "time": "TIMESTAMP",
    "bytes": "BLOB",
    "json": "TEXT",
}
_SCHEMA = """
CREATE TABLE _export (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE _documents (path TEXT PRIMARY KEY, document TEXT);
CREATE TABLE _columns (place BIGINT PRIMARY KEY, name TEXT, stored TEXT, kind TEXT);
CREATE TABLE _spans (experiment TEXT, run_id TEXT, first BIGINT, last BIGINT);
CREATE TABLE _others (
  experiment TEXT, run_id TEXT, timestamp TIMESTAMP, stream TEXT, writer TEXT, sequence BIGINT,
  data TEXT
);
CREATE TABLE assets (
  sha256 TEXT PRIMARY KEY, name TEXT, size BIGINT, media_type TEXT, data BLOB
);
"""


def export_sqlite(source: Source, path: Path, *, show: bool | None) -> Tally:
    """Write a source into a SQLite file; an earlier export of the same project is replaced.

    Raises:
        AlreadyExistsError: There is something else; it is left as it is.
        AccessDeniedError: Nothing can be written there.
        InvalidValueError: A blob is larger than SQLite holds.
    """
    check_target(path, source.project)
    temporary = _aside(path)
    try:
        with (
            contextlib.closing(gather(source, show=show)) as gathered,
            contextlib.closing(sqlite3.connect(temporary)) as connection,
        ):
            connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
            tally = _Writer(source, gathered, connection).write(show=show)
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return tally


def _aside(path: Path) -> Path:
    """Return a new empty file beside a path: reading a project only to fail takes long."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
    except OSError as error:
        message = f"cannot write into {path.parent}: {error.strerror}; choose another place"
        raise AccessDeniedError(message) from error
    return temporary


def check_target(path: Path, project: str) -> None:
    """Refuse to replace what is no earlier export of this project.

    Raises:
        AlreadyExistsError: It is something else.
    """
    if path.exists() and whose(path) != project:
        message = (
            f"{path} exists and is no export of project {project!r}: remove it, or choose "
            "another name"
        )
        raise AlreadyExistsError(message)


def whose(path: Path) -> str | None:
    """Return the project that an export is of, or None if it is no export."""
    if not path.is_file():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as found:
            (application,) = found.execute("PRAGMA application_id").fetchone()
            if application != APPLICATION_ID:
                return None
            row = found.execute("SELECT value FROM _export WHERE key = 'project'").fetchone()
    except sqlite3.DatabaseError:
        return None
    return None if row is None else str(row[0])


def quoted(name: str) -> str:
    """Return a name as SQL."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


class _Writer:
    def __init__(self, source: Source, gathered: Gathered, connection: sqlite3.Connection) -> None:
        self._source = source
        self._gathered = gathered
        self._connection = connection
        self._tally = Tally(rows=gathered.rows + gathered.others)
        self._kinds = _kinds(gathered)

    def write(self, *, show: bool | None) -> Tally:
        gathered, run = self._gathered, self._connection.execute
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN")
        run(f"PRAGMA application_id = {APPLICATION_ID}")
        head = {"project": self._source.project, "format": str(FORMAT)}
        self._connection.executemany("INSERT INTO _export VALUES (?, ?)", head.items())
        self._connection.executemany(
            "INSERT INTO _documents VALUES (?, ?)",
            ((entry.path, text_of(entry.fields)) for entry in gathered.documents),
        )
        for entry in gathered.documents:
            self._tally.document(entry.path, is_new=True)
        self._events(show=show)
        for name, cells in flat.flat_tables(self._source.project, gathered.documents).items():
            self._flat(name, cells)
        self._assets()
        self._connection.commit()
        return self._tally

    def _events(self, *, show: bool | None) -> None:
        names = ColumnNames({name.casefold() for name in OWN_COLUMNS})
        columns = [(names.add(stored), stored, kind) for stored, kind in self._kinds.items()]
        declared = [
            "experiment TEXT, run_id TEXT, timestamp TIMESTAMP",
            *(f"{quoted(name)} {_TYPES[kind]}" for name, _, kind in columns),
            "_writer TEXT, _sequence BIGINT, _exact TEXT",
        ]
        self._connection.execute(f"CREATE TABLE {EVENTS} ({', '.join(declared)})")
        self._connection.execute(f"CREATE VIEW rows AS SELECT * FROM {EVENTS}")  # noqa: S608
        self._connection.executemany(
            "INSERT INTO _columns VALUES (?, ?, ?, ?)",
            ((place, *column) for place, column in enumerate(columns)),
        )
        first = 1
        with counting_bar("writing rows", self._gathered.rows, show=show) as done:
            for run in self._runs():
                insert_columns(self._connection, EVENTS, self._columns_of(run), len(run))
                last = first + len(run) - 1
                self._connection.execute(
                    "INSERT INTO _spans VALUES (?, ?, ?, ?)",
                    (run.experiment, run.run_id, first, last),
                )
                first = last + 1
                self._others(run)
                done(len(run))

    def _runs(self) -> Iterator[RunRows]:
        for experiment in self._gathered.kinds:
            yield from self._gathered.runs(experiment)

    def _columns_of(self, run: RunRows) -> list[Sequence[Any]]:
        count = len(run)
        found = typed(run.columns.cells, self._kinds, count, before=run.before, has_nan=False)
        nothing = [None] * count
        columns = [
            _plain(found.columns[name], kind) if name in found.columns else nothing
            for name, kind in self._kinds.items()
        ]
        return [
            [run.experiment] * count,
            [run.run_id] * count,
            shown_times(run.columns.timestamps),
            *columns,
            run.writers,
            run.sequences,
            found.exact,
        ]

    def _others(self, run: RunRows) -> None:
        self._connection.executemany(
            "INSERT INTO _others VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    run.experiment,
                    run.run_id,
                    shown_time(moment(one.timestamp)),
                    one.stream,
                    one.writer,
                    one.sequence,
                    one.data,
                )
                for one in run.others
            ),
        )

    def _flat(self, table: str, cells: Mapping[str, Sequence[Any]]) -> None:
        names = ColumnNames()
        listed = dict(list(cells.items())[:_MAX_COLUMNS])
        kinds = {name: together(kinds_of(column)) for name, column in listed.items()}
        declared = ", ".join(f"{quoted(names.add(one))} {_TYPES[kinds[one]]}" for one in listed)
        self._connection.execute(f"CREATE TABLE {quoted(table)} ({declared})")
        count = len(next(iter(cells.values())))
        found = typed(listed, kinds, count)
        columns = [_plain(found.columns[name], kind) for name, kind in kinds.items()]
        insert_columns(self._connection, quoted(table), columns, count)

    def _assets(self) -> None:
        done: set[str] = set()
        wanted: Names = self._gathered.names
        with tempfile.TemporaryDirectory(prefix="aletheia-") as folder:
            path = Path(folder) / "blob"
            while wanted:
                found = self._source.blobs(one for one in wanted if one not in done)
                done.update(wanted)
                more: Names = {}
                for digest in sorted(found):
                    blob = found[digest]
                    if blob.size > _MAX_BLOB_BYTES:
                        message = (
                            f"a blob of {blob.size:,} bytes does not fit into SQLite: export to "
                            "a .parquet or .jsonl folder"
                        )
                        raise InvalidValueError(message)
                    self._source.download(digest, path)
                    merge(more, inside(path, wanted[digest]).items())
                    name = safe_name(wanted[digest], blob.media_type)
                    self._connection.execute(
                        "INSERT INTO assets VALUES (?, ?, ?, ?, ?)",
                        (digest, name, blob.size, blob.media_type, path.read_bytes()),
                    )
                    self._tally.blobs += 1
                    self._tally.bytes += blob.size
                wanted = {digest: name for digest, name in more.items() if digest not in done}


def _kinds(gathered: Gathered) -> dict[str, Kind]:
    """Return what each column is over all experiments, as many as SQLite takes."""
    found: dict[str, frozenset[Kind]] = {}
    for columns in gathered.kinds.values():
        for name, kinds in columns.items():
            found[name] = found.get(name, frozenset()) | kinds
    listed = list(found.items())[:_MAX_COLUMNS]
    return {name: together(kinds) for name, kinds in listed}


def _plain(column: Sequence[Any], kind: Kind) -> Sequence[Any]:
    """Return values as SQLite takes them."""
    return (
        [None if one is None else shown_time(one) for one in column] if kind == "time" else column
    )


def insert_columns(
    connection: sqlite3.Connection, table: str, columns: Sequence[Sequence[Any]], count: int
) -> None:
    """Append rows that are given by column to a table.

    What a column holds in every row stands in the statement, and a statement takes many rows:
    giving SQLite a value and letting it step cost most of the time.
    """
    fixed = [_literal(column) for column in columns]
    varying = [column for column, text in zip(columns, fixed, strict=True) if text is None]
    row = f"({', '.join(text or '?' for text in fixed)})"
    rows = zip(*varying, strict=True) if varying else iter([()] * count)
    together = max(1, min(_ROWS_AT_ONCE, _VALUES_AT_ONCE // (len(varying) + 1)))
    whole = count // together
    values = itertools.chain.from_iterable(itertools.islice(rows, whole * together))
    for number, rows_each, given in (
        (whole, together, zip(*[values] * (len(varying) * together), strict=True)),
        (count - whole * together, 1, rows),
    ):
        if number:
            insert = f"INSERT INTO {table} VALUES {', '.join([row] * rows_each)}"  # noqa: S608
            connection.executemany(insert, given if varying else [()] * number)


def _literal(column: Sequence[Any]) -> str | None:
    """Return as SQL what all cells of a column are; None if they differ, or are no plain text."""
    first = column[0] if column else ""
    if first is not None and (type(first) is not str or "\x00" in first or len(first) > _LONG):
        return None
    if column.count(first) != len(column):
        return None
    if first is None:
        return "NULL"
    escaped = first.replace("'", "''")
    return f"'{escaped}'"


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
