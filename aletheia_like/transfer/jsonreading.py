"""Reads the folder that `jsonlines` writes."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from aletheia_like.errors import (
    AletheiaError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
)
from aletheia_like.model import jsontext
from aletheia_like.transfer.blobfolder import BlobFolder
from aletheia_like.transfer.filesource import FileSource
from aletheia_like.transfer.jsonlines import DATA, groups, parsed, project_of, run_key
from aletheia_like.transfer.packing import FileRows
from aletheia_like.transfer.source import Blob, Extent

Span = tuple[int, int]
"""Where lines begin and end in the file."""


@dataclass(slots=True)
class _Content:
    """What the lines come to, in their order.

    Attributes:
        project: Whose it is; None if there are no lines.
        ended: Whether the last line says that it is the end.
    """

    project: str | None = None
    ended: bool = False
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    blobs: dict[str, Blob] = field(default_factory=dict)
    rows: dict[str, list[Span]] = field(default_factory=dict)
    counts: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    def count(self, path: str, writer: str, sequences: Sequence[int]) -> None:
        """Rows of a writer stand here."""
        counts = self.counts.setdefault(path, {})
        count, last = counts.get(writer, (0, 0))
        for sequence in sequences:
            if sequence > last:
                count, last = count + 1, sequence
        counts[writer] = (count, last)

    def place(self, path: str, span: Span) -> None:
        """Rows of a run stand there."""
        spans = self.rows.setdefault(path, [])
        if spans and spans[-1][1] == span[0]:
            spans[-1] = (spans[-1][0], span[1])
        else:
            spans.append(span)

    def forget(self, path: str) -> None:
        below = f"{path}/"
        for one in [one for one in self.documents if one == path or one.startswith(below)]:
            del self.documents[one]
        for one in [one for one in self.rows if one == path or one.startswith(below)]:
            del self.rows[one], self.counts[one]


class JsonSource(FileSource):
    """An exported folder; every line of it has been checked.

    Args:
        folder: The folder.

    Raises:
        NotFoundError: There is none, or nothing in it.
        IntegrityError: It is half written or damaged.
        InvalidValueError: It is something else.
    """

    def __init__(self, folder: Path) -> None:
        self._data = folder / DATA
        if not self._data.is_file():
            message = f"{folder} is no export of ours: it has no {DATA}"
            raise InvalidValueError(message)
        content = _read(self._data)
        if content.project is None:
            message = f"{self._data} is empty: nothing was exported to {folder} yet"
            raise NotFoundError(message)
        if not content.ended:
            message = (
                f"{folder} is half written, as its export was interrupted: "
                "export again, which completes it"
            )
            raise IntegrityError(message)
        self._spans, self._counts = content.rows, content.counts
        self._folder = BlobFolder(folder)
        super().__init__(folder, content.project, content.documents, content.blobs)
        self.check_blobs()

    def rows(self, run_path: str) -> Mapping[str, FileRows]:
        found: dict[str, FileRows] = {}
        with self._data.open("rb") as stream:
            for begin, end in self._spans.get(run_path, ()):
                stream.seek(begin)
                for prefix, lines in groups(io.BytesIO(stream.read(end - begin))):
                    for writer, rows in self._read_rows(prefix, lines):
                        known = found.setdefault(writer, rows)
                        if known is not rows:
                            known.extend(rows)
        return found

    def _read_rows(self, prefix: bytes, lines: Sequence[bytes]) -> Iterator[tuple[str, FileRows]]:
        if prefix:
            yield str(orjson.loads(prefix + b"0}")["writer"]), _of_lines(prefix, lines)
            return
        for line in lines:
            row = _loads(line)
            at = _seconds(row["timestamp"])
            yield row["writer"], FileRows([row["sequence"]], [at], [row["data"]], [len(line)])

    def extent(self, run_path: str) -> Extent | None:
        return self._counts.get(run_path, {})

    def _blob_path(self, digest: str) -> Path | None:
        return self._folder.path(digest)


def _read(path: Path) -> _Content:
    content = _Content()
    position, number = 0, 0
    with path.open("rb") as stream:
        for prefix, lines in groups(stream):
            content.ended = False
            if not lines[-1].endswith(b"\n"):
                content.project = content.project or ""
                break
            size = sum(map(len, lines))
            span = (position, position + size)
            if prefix and number and _take_rows(content, prefix, lines, span):
                position, number = position + size, number + len(lines)
                continue
            for line in lines:
                number += 1
                _take_line(content, line, number, position, path)
                position += len(line)
    return content


def _take_line(content: _Content, line: bytes, number: int, position: int, path: Path) -> None:
    """Take in one line.

    Raises:
        IntegrityError: It is damaged.
    """
    content.ended = False
    try:
        found = _loads(line)
        if number == 1:
            content.project = _project(found, path)
        _take(content, found, (position, position + len(line)))
        wrong_end = content.ended and found["lines"] != number - 1
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, AletheiaError):
            raise
        parsed(line, number, path)
        message = f"line {number} of {path} lacks something: {error!r}"
        raise IntegrityError(message) from error
    if wrong_end:
        message = (
            f"line {number} of {path} ends {found['lines']:,} lines, not {number - 1:,}: "
            "lines were added or removed; restore the file"
        )
        raise IntegrityError(message)


def _take_rows(content: _Content, prefix: bytes, lines: Sequence[bytes], span: Span) -> bool:
    """Take in rows of one writer; False, and nothing done, if one of them is damaged."""
    try:
        path, writer = run_key(orjson.loads(prefix + b"0}"))
        rows = _of_lines(prefix, lines)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    content.count(path, writer, rows.sequences)
    content.place(path, span)
    return True


def _project(head: Any, path: Path) -> str:
    project = project_of(head)
    if project is None:
        message = f"{path} is no export of ours: give a folder that `export` wrote"
        raise InvalidValueError(message)
    return project


def _take(content: _Content, found: dict[str, Any], span: Span) -> None:
    match found["kind"]:
        case "row":
            path, writer = run_key(found)
            _seconds(found["timestamp"])
            if not isinstance(found["sequence"], int) or not isinstance(found["data"], dict):
                message = "a row has a number and data"
                raise TypeError(message)
            content.count(path, writer, [found["sequence"]])
            content.place(path, span)
        case "document":
            content.documents[found["path"]] = dict(found["fields"])
        case "file":
            digest = found["sha256"]
            content.blobs[digest] = Blob(digest, int(found["size"]), str(found["media_type"]))
        case "deleted":
            content.forget(found["path"])
        case "end":
            content.ended = True


def _of_lines(prefix: bytes, lines: Sequence[bytes]) -> FileRows:
    """Return the rows of one writer; see `groups`.

    Raises:
        ValueError: A line is damaged, or more than one row.
        KeyError: It lacks something.
        TypeError: It has something of another kind.
    """
    # To read many lines at once is faster. A line cannot hide that it is none or two: whatever
    # it leaves open is wrong where the next begins.
    rest = b"".join(lines)[len(prefix) :].replace(b"\n" + prefix, b'],[{"sequence":')
    text = b'[[{"sequence":%b]]' % rest
    if b'{"__' in rest:
        rows = [row for (row,) in jsontext.from_text(f'{{"v":{text.decode()}}}')["v"]]
    else:
        rows = [row for (row,) in orjson.loads(text)]
    sequences = [row["sequence"] for row in rows]
    cells = [row["data"] for row in rows]
    if set(map(type, sequences)) != {int} or set(map(type, cells)) != {dict}:
        message = "a row has a number and data"
        raise TypeError(message)
    moments = map(dt.datetime.fromisoformat, [row["timestamp"] for row in rows])
    times = [moment.timestamp() for moment in moments]
    return FileRows(sequences, times, cells, list(map(len, lines)))


def _loads(line: bytes) -> Any:
    # Whatever JSON lacks stands in a map with a key that no field can have.
    return jsontext.from_text(line.decode()) if b'{"__' in line else orjson.loads(line)


def _seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()
