"""Reads the file that `sqlite` writes."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aletheia_like.errors import IntegrityError, InvalidValueError, NotFoundError
from aletheia_like.model import jsontext
from aletheia_like.model.names import from_id
from aletheia_like.model.rows import Line
from aletheia_like.transfer.cells import cells_of_row, read_json
from aletheia_like.transfer.filesource import FileSource, SizedLines
from aletheia_like.transfer.source import Blob, Extent
from aletheia_like.transfer.sqlite import EVENTS, FORMAT, quoted, whose

_LEFT = 3
"""Columns of `events` before those that were logged."""


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

    def rows(self, run_path: str) -> SizedLines:
        _, experiment, _, run_id = map(from_id, run_path.split("/"))
        found: dict[str, list[tuple[Line, int]]] = {}
        try:
            with self._open() as connection:
                for line, writer, size in self._all_rows(connection, experiment, run_id):
                    found.setdefault(writer, []).append((line, size))
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            message = f"the rows of {experiment}/{run_id} in {self._file} are damaged: {error}"
            raise IntegrityError(message) from error
        return found

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

    def _all_rows(
        self, connection: sqlite3.Connection, experiment: str, run_id: str
    ) -> Iterator[tuple[Line, str, int]]:
        first, last = self._spans.get((experiment, run_id), (1, 0))
        columns = ", ".join(
            ["timestamp", "_writer", "_sequence", "_exact", *map(quoted, self._names)]
        )
        query = f"SELECT {columns} FROM {EVENTS} WHERE rowid BETWEEN ? AND ?"  # noqa: S608
        for timestamp, writer, sequence, exact, *values in connection.execute(
            query, (first, last)
        ):
            read = (
                _moment(value) if kind == "time" and value is not None else value
                for kind, value in zip(self._kinds, values, strict=True)
            )
            cells = cells_of_row(self._stored, self._kinds, read, exact)
            yield Line(sequence, _moment(timestamp).timestamp(), cells), writer, _size(cells)
        query = (
            "SELECT timestamp, writer, sequence, data FROM _others "
            "WHERE experiment = ? AND run_id = ?"
        )
        for timestamp, writer, sequence, data in connection.execute(query, (experiment, run_id)):
            cells = read_json(data)
            yield Line(sequence, _moment(timestamp).timestamp(), cells), writer, len(data)

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


def _size(cells: dict[str, Any]) -> int:
    return sum(len(name) + len(repr(cell)) + 4 for name, cell in cells.items())
