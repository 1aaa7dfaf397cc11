"""The embedded default: documents in one SQLite file, readable by any SQLite tool.

One row holds one document: its collection, its id, and its fields as JSON text; a long text, as
chunks of rows have, is compressed. Many threads and processes of one machine may write at
once; SQLite's locks do not work on most network file systems, so machines that share a store need
Firestore.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, TypeVar, cast

from aletheia_like.adapters._connections import Connections
from aletheia_like.adapters._knownrows import Row, passing
from aletheia_like.adapters._longtexts import packed, unpacked
from aletheia_like.adapters._matching import (
    changes_nothing,
    check_precondition,
    compiled,
    field_at,
    ordered,
)
from aletheia_like.adapters._prefilter import text_tests
from aletheia_like.adapters._topmost import SortedBy, first_of, sorted_by
from aletheia_like.errors import IntegrityError
from aletheia_like.model.checking import check_fields
from aletheia_like.model.jsontext import from_text, to_text
from aletheia_like.model.values import Fields, Value
from aletheia_like.ports.documents import (
    Create,
    Delete,
    Document,
    DocumentStore,
    Query,
    Update,
    Write,
    changed_fields,
    check_path,
    check_size,
    check_writes,
)

T = TypeVar("T")

_Found = tuple[Row, dict[str, Value] | None]
"""A row and its fields, if they were needed already."""

_CREATE: Final = "INSERT INTO documents VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_COLUMNS: Final = "id, revision, updated_at, fields"
_DECODED_CHARACTERS: Final = 4_000_000
_SPILL_CHARACTERS: Final = 32_000_000

_SAFE_CHARACTERS: Final = 40_000
"""A shorter text cannot belong to a document over a limit of bytes or of index entries."""


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class SqliteDocumentStore:
    """Documents in one SQLite file; folder and file appear with the first write.

    Args:
        path: The file.
        clock: Tells the time of changes and of reads.
        timeout: Seconds to wait while another process writes.

    Attributes:
        path: The file, absolute.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], dt.datetime] = _now,
        timeout: float = 10.0,
    ) -> None:
        self.path = path.absolute()
        self._clock = clock
        self._connections = Connections(self.path, timeout)

    def get(self, path: str) -> Document | None:
        return self.get_many([path])[0]

    def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        places = [_place(check_path(path)) for path in paths]

        def read(connection: sqlite3.Connection) -> list[Row | None]:
            with _one_moment(connection):
                return [_row_at(connection, place) for place in places]

        nowhere: list[Row | None] = [None] * len(places)
        rows = self._connections.read(read, nowhere)
        read_at = self._clock()
        return [
            None if row is None else self._document(path.rpartition("/")[0], row, read_at)
            for path, row in zip(paths, rows, strict=True)
        ]

    def query(self, query: Query) -> Iterator[Document]:
        """Yield the documents that match, in order, as they are when the first is asked for.

        An ordered answer is held in memory; a long unordered one waits in a temporary file.
        """
        if query.order_by:
            yield from self._ordered(query)
            return
        nothing: Iterator[_Found] = iter(())
        found = self._look(query, lambda rows: _kept(self._matching(rows, query)), nothing)
        read_at = self._clock()
        for row, fields in found:
            yield self._document(query.collection, row, read_at, fields)

    def apply(self, writes: Sequence[Write]) -> list[str | None]:
        check_writes(writes)
        if not writes:
            return []
        texts = [
            packed(to_text(write.fields)) if isinstance(write, Create) else "" for write in writes
        ]

        def write_all(connection: sqlite3.Connection) -> list[str | None]:
            now = self._clock().astimezone(dt.UTC).isoformat()
            tokens = secrets.token_hex(8 * len(writes))
            revisions = [tokens[start : start + 16] for start in range(0, len(tokens), 16)]
            if len(writes) > 1 and all(type(write) is Create for write in writes):
                return self._create_all(connection, writes, texts, now, revisions)
            return [
                self._write(connection, write, text, now, revision)
                for write, text, revision in zip(writes, texts, revisions, strict=True)
            ]

        return self._connections.write(write_all)

    def close(self) -> None:
        self._connections.close()

    def _create_all(
        self,
        connection: sqlite3.Connection,
        writes: Sequence[Write],
        texts: Sequence[str | bytes],
        now: str,
        revisions: Sequence[str],
    ) -> list[str | None]:
        rows = [
            (*_place(write.path), revision, now, text)
            for write, revision, text in zip(writes, revisions, texts, strict=True)
        ]
        if connection.executemany(_CREATE, rows).rowcount < len(rows):
            for write, revision in zip(writes, revisions, strict=True):
                row = _row_at(connection, _place(write.path))
                check_precondition(write, None if row and row[1] == revision else "there")
        return list(revisions)

    def _write(
        self,
        connection: sqlite3.Connection,
        write: Write,
        stored: str | bytes,
        now: str,
        revision: str,
    ) -> str | None:
        place = _place(write.path)
        if isinstance(write, Create):
            # What is there keeps its place: to look first would take as long again.
            done = connection.execute(_CREATE, (*place, revision, now, stored))
            if not done.rowcount:
                check_precondition(write, "there")
            return revision
        row = _row_at(connection, place)
        check_precondition(write, row[1] if row else None)
        match write:
            case Update(path, changes):
                assert row is not None  # noqa: S101 - see check_precondition
                fields = self._fields(path, row[3])
                if changes_nothing(fields, changes):
                    return row[1]
                fields = changed_fields(fields, changes)
                text = to_text(fields)
                _check_outcome(path, fields, text)
                connection.execute(
                    "UPDATE documents SET revision = ?, updated_at = ?, fields = ?"
                    " WHERE collection = ? AND id = ?",
                    (revision, now, packed(text), *place),
                )
                return revision
            case Delete():
                connection.execute("DELETE FROM documents WHERE collection = ? AND id = ?", place)
                return None

    def _ordered(self, query: Query) -> list[Document]:
        def read(rows: Iterable[Row]) -> list[Document]:
            found = list(self._matching(rows, query))
            read_at = self._clock()
            return [
                self._document(query.collection, row, read_at, fields) for row, fields in found
            ]

        return ordered(self._look(query, read, []), query.order_by)[: query.limit]

    def _look(self, query: Query, action: Callable[[Iterable[Row]], T], nothing: T) -> T:
        """Return what `action` makes of the rows of a collection, by id."""
        if query.filters:
            every = functools.partial(_rows_in, query.collection, None)
            return self._connections.search(query.collection, every, action, nothing)
        some = functools.partial(_rows_in, query.collection, _limit(query))
        return self._connections.read(lambda connection: action(some(connection)), nothing)

    def _matching(self, rows: Iterable[Row], query: Query) -> Iterator[_Found]:
        """Yield what matches; no more than the limit, unless it has yet to be sorted."""
        by = sorted_by(query)
        if by is not None:
            return iter(self._first(rows, query, by))
        if not query.filters:
            return ((row, None) for row in itertools.islice(rows, _limit(query)))
        found = self._filtered(passing(rows, text_tests(query.filters)), query)
        return itertools.islice(found, _limit(query))

    def _first(self, rows: Iterable[Row], query: Query, by: SortedBy) -> list[_Found]:
        """Return what matches and may be among the first of the order."""
        matches = compiled(query.filters)
        path = query.order_by[0].path
        # What it is sorted by is read from every text anyway, and compared.
        tests = text_tests([one for one in query.filters if one.path != path])
        found: list[_Found] = []

        def decoded(row: Row) -> Value:
            if not all(test(row[3]) for test in tests):
                return None
            fields = self._fields(f"{query.collection}/{row[0]}", row[3])
            if not matches(fields):
                return None
            found.append((row, fields))
            return field_at(fields, path)

        first_of(rows, by, decoded)
        return found

    def _filtered(self, rows: Iterable[Row], query: Query) -> Iterator[_Found]:
        matches = compiled(query.filters)
        for row in rows:
            fields = self._fields(f"{query.collection}/{row[0]}", row[3])
            if matches(fields):
                yield row, fields

    def _document(
        self,
        collection: str,
        row: Row,
        read_at: dt.datetime,
        fields: dict[str, Value] | None = None,
    ) -> Document:
        id_, revision, updated_at, text = row
        path = f"{collection}/{id_}"
        if fields is None:
            fields = self._fields(path, text)
        return Document(path, fields, revision, dt.datetime.fromisoformat(updated_at), read_at)

    def _fields(self, path: str, text: str) -> dict[str, Value]:
        try:
            return from_text(text)
        except (ValueError, TypeError) as error:
            message = (
                f"the fields of {path} in {self.path} are damaged ({error}): "
                "correct their JSON text in the table `documents`, or delete the row"
            )
            raise IntegrityError(message) from error


def _place(path: str) -> tuple[str, str]:
    collection, _, id_ = path.rpartition("/")
    return collection, id_


def _limit(query: Query) -> int | None:
    """Return how many rows are enough, if they are in order already."""
    return None if query.order_by else query.limit


def _rows_in(collection: str, limit: int | None, connection: sqlite3.Connection) -> Iterator[Row]:
    stored = connection.execute(
        f"SELECT {_COLUMNS} FROM documents WHERE collection = ? ORDER BY id LIMIT ?",  # noqa: S608
        (collection, -1 if limit is None else limit),
    )
    return map(_unpacked, stored)


def _row_at(connection: sqlite3.Connection, place: tuple[str, str]) -> Row | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM documents WHERE collection = ? AND id = ?",  # noqa: S608
        place,
    ).fetchone()
    return None if row is None else _unpacked(row)


def _unpacked(row: tuple[str, str, str, str | bytes]) -> Row:
    id_, revision, updated_at, stored = row
    if isinstance(stored, str):
        return cast("Row", row)
    return id_, revision, updated_at, unpacked(stored)


@contextmanager
def _one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def _check_outcome(path: str, fields: Fields, text: str) -> None:
    if len(text) > _SAFE_CHARACTERS:
        check_fields(fields)
        check_size(path, fields)


def _kept(found: Iterable[_Found]) -> Iterator[_Found]:
    """Take everything now and give it out later; a long answer waits in a file without a name."""
    held: list[_Found] = []
    spilled: IO[str] | None = None
    size = 0
    for row, fields in found:
        size += len(row[3])
        if size <= _SPILL_CHARACTERS:
            held.append((row, fields if size <= _DECODED_CHARACTERS else None))
            continue
        spilled = spilled or tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        # JSON writes every line break inside a text as an escape.
        spilled.write(json.dumps(row) + "\n")
    return _given_out(held, spilled)


def _given_out(held: list[_Found], spilled: IO[str] | None) -> Iterator[_Found]:
    yield from held
    if spilled is not None:
        with spilled:
            spilled.seek(0)
            for line in spilled:
                id_, revision, updated_at, text = json.loads(line)
                yield (id_, revision, updated_at, text), None


if TYPE_CHECKING:
    _: type[DocumentStore] = SqliteDocumentStore
