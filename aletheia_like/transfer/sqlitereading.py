"""Reads the file that `sqlite` writes."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from aletheia_like.errors import IntegrityError, InvalidValueError, NotFoundError
from aletheia_like.model import jsontext
from aletheia_like.model.names import from_id
from aletheia_like.transfer.filesource import FileSource
from aletheia_like.transfer.packing import FileRows
from aletheia_like.transfer.source import Blob, Extent
from aletheia_like.transfer.sqlite import EVENTS, FORMAT, quoted, whose
from aletheia_like.transfer.tablerows import TableRows


class SqliteSource(FileSource):
    """An exported file.

    Args:
        path: The file.

    Raises:
        InvalidValueError: It is no export.
        IntegrityError: It is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._file = path
        project = whose(path)
        if project is None:
            message = f"{path} is no export of ours: give a file that `export` wrote"
            raise InvalidValueError(message)
        try:
            with self._open() as connection:
                _check(connection, path)
                run = connection.execute
                documents = {
                    found: jsontext.from_text(text)
                    for found, text in run("SELECT path, document FROM _documents")
                }
                blobs = {
                    digest: Blob(digest, size, media_type)
                    for digest, size, media_type in run(
                        "SELECT sha256, size, media_type FROM assets"
                    )
                }
                columns = run("SELECT name, stored, kind FROM _columns ORDER BY place").fetchall()
                self._spans = {
                    (experiment, run_id): (first, last)
                    for experiment, run_id, first, last in run("SELECT * FROM _spans")
                }
        except (sqlite3.DatabaseError, ValueError) as error:
            message = f"{path} is damaged ({error}): export again"
            raise IntegrityError(message) from error
        self._names = [name for name, _, _ in columns]
        self._stored = [stored for _, stored, _ in columns]
        self._kinds = [kind for _, _, kind in columns]
        super().__init__(path, project, documents, blobs)

    def rows(self, run_path: str) -> Mapping[str, FileRows]:
        _, experiment, _, run_id = map(from_id, run_path.split("/"))
        found = TableRows(self._stored, self._kinds)
        try:
            with self._open() as connection:
                self._read_events(connection, found, self._spans.get((experiment, run_id), (1, 0)))
                self._read_others(connection, found, experiment, run_id)
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            message = f"the rows of {experiment}/{run_id} in {self._file} are damaged: {error}"
            raise IntegrityError(message) from error
        return found.by_writer

    def extent(self, run_path: str) -> Extent | None:
        _, experiment, _, run_id = map(from_id, run_path.split("/"))
        query = (
            "SELECT writer, count(*), max(sequence) FROM ("
            " SELECT _writer AS writer, _sequence AS sequence FROM events"
            " WHERE rowid BETWEEN ? AND ? UNION ALL SELECT writer, sequence FROM _others"
            " WHERE experiment = ? AND run_id = ?) GROUP BY writer"
        )
        first, last = self._spans.get((experiment, run_id), (1, 0))
        with self._open() as connection:
            found = connection.execute(query, (first, last, experiment, run_id))
            return {writer: (count, highest) for writer, count, highest in found}

    def download(self, digest: str, path: Path) -> None:
        with self._open() as connection:
            query = "SELECT data FROM assets WHERE sha256 = ?"
            row = connection.execute(query, (digest,)).fetchone()
        if row is None:
            message = f"{self._file} lacks the bytes of {digest}: export again"
            raise NotFoundError(message)
        if hashlib.sha256(row[0]).hexdigest() != digest:
            message = f"{self._file} has other bytes under {digest}: export again"
            raise IntegrityError(message)
        path.write_bytes(row[0])

    def _blob_path(self, digest: str) -> Path | None:
        return self._file if digest in self._blobs else None

    def _read_events(
        self, connection: sqlite3.Connection, found: TableRows, span: tuple[int, int]
    ) -> None:
        own = ["timestamp", "_writer", "_sequence", "_exact"]
        selected = ", ".join([*own, *map(quoted, self._names)])
        query = f"SELECT {selected} FROM {EVENTS} WHERE rowid BETWEEN ? AND ?"  # noqa: S608
        rows = connection.execute(query, span).fetchall()
        if not rows:
            return
        times, writers, sequences, exact, *columns = zip(*rows, strict=True)
        values = [
            [None if one is None else _moment(one) for one in column] if kind == "time" else column
            for kind, column in zip(self._kinds, columns, strict=True)
        ]
        found.add(list(map(_seconds, times)), writers, sequences, exact, values)

    def _read_others(
        self, connection: sqlite3.Connection, found: TableRows, experiment: str, run_id: str
    ) -> None:
        query = (
            "SELECT timestamp, writer, sequence, data FROM _others "
            "WHERE experiment = ? AND run_id = ?"
        )
        for at, writer, sequence, data in connection.execute(query, (experiment, run_id)):
            found.add_other(_seconds(at), writer, sequence, data)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        address = f"{self._file.as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            yield connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if state != "ok":
        message = f"{path} is damaged ({state}): export again"
        raise IntegrityError(message)
    row = connection.execute("SELECT value FROM _export WHERE key = 'format'").fetchone()
    if row is None or row[0] != str(FORMAT):
        message = f"{path} has the format {row and row[0]}: a newer version reads it"
        raise InvalidValueError(message)


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def _seconds(text: str) -> float:
    return dt.datetime.fromisoformat(f"{text}+00:00").timestamp()
