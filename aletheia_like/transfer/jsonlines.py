"""A folder that Git sees as added lines only: `data.jsonl`, and blobs below `artifacts/`.

A line is one JSON object; its `kind` tells what it is:

    {"kind":"export","format":1,"project":"p"}                     the first line
    {"kind":"file","sha256":"…","size":8,"media_type":"…","name":"t.csv"}
    {"kind":"document","path":"experiments/e","fields":{…}}        a later one replaces it
    {"kind":"row","experiment":"e","run_id":"1","writer":"…","sequence":1,"timestamp":"…","data":{…}}
    {"kind":"deleted","path":"experiments/e/runs/1"}               it and all below it, until here
    {"kind":"end","lines":41}                                      all before belongs together

What is stored already is not written again. A file that does not end with `end` is half written,
and the next export completes it. What JSON lacks is written as `model.jsontext` does.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from aletheia_like.errors import AlreadyExistsError, IntegrityError, InvalidValueError
from aletheia_like.model import jsontext
from aletheia_like.model.names import from_id, to_id
from aletheia_like.model.rows import Columns, moment
from aletheia_like.transfer import mentions
from aletheia_like.transfer.bar import counting_bar
from aletheia_like.transfer.blobfolder import BlobFolder, NamedBlob
from aletheia_like.transfer.canonical import text_of
from aletheia_like.transfer.locking import locked
from aletheia_like.transfer.report import Tally
from aletheia_like.transfer.source import Blob, Entry, Source, is_run, with_rows
from aletheia_like.transfer.storedrows import WriterRows, cells_of, read_writers
from aletheia_like.transfer.times import iso_times

DATA = "data.jsonl"
FORMAT = 1

_BATCH_BYTES = 1 << 20
_HEAD = re.compile(
    rb'\{"kind":"row",(?:"(?:experiment|run_id|writer)":"(?:[^"\\]|\\.)*",){3}"sequence":'
)
_BLOCK_ROWS = 2_000
_NUMBERS = frozenset({float, int, bool})
_PLAIN = frozenset({float, int, bool, str})

Key = tuple[str, str]
"""Path of a run, and the name of a writer."""


@dataclass(slots=True)
class Written:
    """What a file holds already.

    Attributes:
        project: Whose it is; None for an empty file.
        lines: How many whole lines there are.
        size: Bytes of the whole lines.
        ended: Whether the last of them says that it is the end.
        documents: Hash of each document's last line, by path.
        tokens: What tells a run from another of the same id, by path.
        rows: The last row of each writer.
        files: Blobs, by digest.
    """

    project: str | None = None
    lines: int = 0
    size: int = 0
    ended: bool = False
    documents: dict[str, bytes] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    rows: dict[Key, int] = field(default_factory=dict)
    files: dict[str, NamedBlob] = field(default_factory=dict)

    def forget(self, path: str) -> None:
        """A document is gone, with all that lies below it."""
        below = f"{path}/"
        for known in [one for one in self.documents if one == path or one.startswith(below)]:
            del self.documents[known]
            self.tokens.pop(known, None)
        for key in [one for one in self.rows if one[0] == path or one[0].startswith(below)]:
            del self.rows[key]


def export_lines(source: Source, folder: Path, *, whole: bool, show: bool | None) -> Tally:
    """Add to a folder what the source has and the folder has not.

    Args:
        source: What to export.
        folder: Where to; made if there is none.
        whole: Whether the source shows the whole project, so that what it lacks was deleted.
        show: Whether to draw a bar; None draws on a terminal.

    Raises:
        AlreadyExistsError: The folder holds something else; it is left as it is.
        ConflictError: Another export writes into it.
    """
    check_folder(folder)
    with locked(folder):
        written = read_written(folder)
        if written.project not in (None, source.project):
            message = (
                f"{folder} holds an export of project {written.project!r}, not of "
                f"{source.project!r}: choose another folder"
            )
            raise AlreadyExistsError(message)
        blobs = BlobFolder(folder, dict(written.files), show=False)
        with (folder / DATA).open("r+b" if (folder / DATA).exists() else "w+b") as stream:
            stream.seek(written.size)
            stream.truncate()
            return _Writer(source, stream, written, blobs).write(whole=whole, show=show)


def check_folder(folder: Path) -> None:
    """Refuse a file where a folder should be.

    Raises:
        AlreadyExistsError: It is one.
    """
    if folder.exists() and not folder.is_dir():
        message = f"{folder} is a file: give the path of a folder"
        raise AlreadyExistsError(message)


def read_written(folder: Path) -> Written:
    """Return what a folder holds.

    Raises:
        AlreadyExistsError: It is no folder, or one of somebody else.
        IntegrityError: A line in the middle cannot be read.
    """
    data = folder / DATA
    check_folder(folder)
    if not data.exists():
        if folder.is_dir() and any(folder.iterdir()):
            message = f"{folder} has files in it and is no export: choose an empty folder"
            raise AlreadyExistsError(message)
        return Written()
    written = Written()
    with data.open("rb") as stream:
        for prefix, lines in groups(stream):
            if not lines[-1].endswith(b"\n"):
                break
            if prefix and written.lines:
                _note_rows(written, prefix, lines, data)
            else:
                _note(written, parsed(lines[0], written.lines + 1, data), lines[0], data)
            written.ended = lines[-1].startswith(b'{"kind":"end"')
            written.lines += len(lines)
            written.size += sum(map(len, lines))
    if written.project is None and data.stat().st_size:
        message = f"{data} is no export of ours: choose an empty folder"
        raise AlreadyExistsError(message)
    return written


def parsed(line: bytes, number: int, path: Path) -> dict[str, Any]:
    """Return the object of a line.

    Raises:
        IntegrityError: It is none.
    """
    try:
        found = jsontext.from_text(line.decode())
    except ValueError as error:
        message = f"line {number} of {path} is damaged ({error}): restore the file"
        raise IntegrityError(message) from error
    return found


def project_of(head: dict[str, Any]) -> str | None:
    """Return whose export the first line of one tells of; None if it is not that.

    Raises:
        InvalidValueError: It is an export of a later version.
    """
    if head.get("kind") != "export" or "project" not in head:
        return None
    if head.get("format") != FORMAT:
        message = f"an export of the format {head.get('format')}: a newer version reads it"
        raise InvalidValueError(message)
    return str(head["project"])


def run_key(row: dict[str, Any]) -> Key:
    """Return whose a row is."""
    return _run_path(row["experiment"], row["run_id"]), str(row["writer"])


@functools.lru_cache(maxsize=1_000)
def _run_path(experiment: str, run: str) -> str:
    return f"experiments/{to_id(experiment, 'experiment')}/runs/{to_id(run, 'run')}"


def groups(stream: IO[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield lines, those of one writer's rows together if they follow each other.

    Yields:
        What rows of this writer begin with, up to their number, and their lines; or nothing, and
        another line. Only the last of all may lack its end.
    """
    while lines := stream.readlines(_BATCH_BYTES):
        start = 0
        while start < len(lines):
            found = _HEAD.match(lines[start])
            prefix = found.group() if found is not None else b""
            end = start + 1
            while prefix and end < len(lines) and lines[end].startswith(prefix):
                end += 1
            if not lines[end - 1].endswith(b"\n") and end - start > 1:
                end -= 1
            yield prefix, lines[start:end]
            start = end


def _note_rows(written: Written, prefix: bytes, lines: Sequence[bytes], path: Path) -> None:
    """Take in rows of one writer; of all but the first only the number is read."""
    first, *rest = lines
    found = parsed(first, written.lines + 1, path)
    _note(written, found, first, path)
    skipped = len(prefix)
    try:
        numbers = [int(line[skipped : line.index(b",", skipped)]) for line in rest]
    except ValueError as error:
        message = f"a row after line {written.lines + 1} of {path} has no number: restore the file"
        raise IntegrityError(message) from error
    key = run_key(found)
    written.rows[key] = max([written.rows[key], *numbers])


def _note(written: Written, found: dict[str, Any], line: bytes, path: Path) -> None:
    """Take in one line."""
    if written.lines == 0:
        project = project_of(found)
        if project is None:
            message = f"{path} is no export of ours: choose an empty folder"
            raise AlreadyExistsError(message)
        written.project = project
        return
    try:
        match found["kind"]:
            case "document":
                written.documents[found["path"]] = hashlib.sha256(line).digest()
                if is_run(found["path"]):
                    written.tokens[found["path"]] = found["fields"].get("token")
            case "row":
                key = run_key(found)
                written.rows[key] = max(written.rows.get(key, 0), int(found["sequence"]))
            case "file":
                blob = Blob(found["sha256"], int(found["size"]), found["media_type"])
                written.files[blob.digest] = NamedBlob(blob, found["name"])
            case "deleted":
                written.forget(found["path"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"line {written.lines + 1} of {path} lacks something: {error!r}"
        raise IntegrityError(message) from error


class _Writer:
    """Appends what is missing."""

    def __init__(
        self, source: Source, stream: IO[bytes], written: Written, blobs: BlobFolder
    ) -> None:
        self._source = source
        self._stream = stream
        self._written = written
        self._blobs = blobs
        self._waiting: list[bytes] = []
        self._waiting_lines = 0
        self._size = 0
        self._names: mentions.Names = {}
        self._tally = Tally()
        self._lines = written.lines

    def write(self, *, whole: bool, show: bool | None) -> Tally:
        if not self._lines:
            head = {"kind": "export", "format": FORMAT, "project": self._source.project}
            self._stream.write(_dumped(head))
            self._lines = 1
        gone = dict.fromkeys(self._written.documents)
        with counting_bar(f"exporting {self._source.project}", None, show=show) as done:
            for entry, chunks in with_rows(self._source):
                gone.pop(entry.path, None)
                self._document(entry)
                if chunks:
                    self._rows(entry.path, chunks)
                done(1)
        for path in gone if whole else ():
            if path in self._written.documents:
                self._delete(path)
        if self._lines > self._written.lines or self._waiting or not self._written.ended:
            self._flush()
            self._add(_dumped({"kind": "end", "lines": self._lines}))
            self._flush()
            self._stream.flush()
            os.fsync(self._stream.fileno())
        return self._tally

    def _document(self, entry: Entry) -> None:
        path = entry.path
        if self._is_other_run(entry):
            self._delete(path)
        line = f'{{"kind":"document","path":{text_of(path)},"fields":{text_of(entry.fields)}}}\n'
        data = line.encode()
        hashed = hashlib.sha256(data).digest()
        if self._written.documents.get(path) == hashed:
            return
        self._mention(mentions.of_fields(entry.fields))
        self._add(data)
        self._tally.document(path, is_new=path not in self._written.documents)

    def _is_other_run(self, entry: Entry) -> bool:
        """Whether a run was deleted and another has its id now."""
        known = self._written.tokens.get(entry.path)
        return known is not None and known != entry.fields.get("token")

    def _delete(self, path: str) -> None:
        self._add(_dumped({"kind": "deleted", "path": path}))
        self._written.forget(path)

    def _rows(self, run_path: str, chunks: Sequence[Entry]) -> None:
        grown: set[str] = set()
        for chunk in chunks:
            writer = str(chunk.fields.get("writer"))
            if int(chunk.fields.get("last", 0)) > self._written.rows.get((run_path, writer), 0):
                grown.add(writer)
                columns, count = chunk.fields.get("columns"), chunk.fields.get("count")
                if isinstance(columns, str) and isinstance(count, int):
                    self._mention(mentions.of_rows(columns, count))
        wanted = [one for one in chunks if str(one.fields.get("writer")) in grown]
        for rows in read_writers(wanted):
            known = self._written.rows.get((run_path, rows.writer), 0)
            if rows.sequences and rows.sequences[-1] > known:
                for lines, count in _row_blocks(run_path, rows, known):
                    self._tally.rows += count
                    self._add(lines, count)

    def _mention(self, names: mentions.Names) -> None:
        mentions.merge(self._names, names.items())

    def _add(self, lines: bytes, count: int = 1) -> None:
        self._waiting.append(lines)
        self._waiting_lines += count
        self._size += len(lines)
        if self._size > _BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Write what waits, after the blobs that it mentions."""
        added = self._blobs.add(self._source, self._names)
        self._tally.blobs += len(added)
        self._tally.bytes += sum(one.blob.size for one in added)
        lines = [_dumped(_file(one)) for one in sorted(added, key=lambda one: one.blob.digest)]
        self._stream.writelines(lines + self._waiting)
        self._lines += len(lines) + self._waiting_lines
        self._waiting, self._waiting_lines, self._names, self._size = [], 0, {}, 0


def _file(one: NamedBlob) -> dict[str, Any]:
    blob = one.blob
    return {
        "kind": "file",
        "sha256": blob.digest,
        "size": blob.size,
        "media_type": blob.media_type,
        "name": one.name,
    }


def _row_blocks(run_path: str, rows: WriterRows, known: int) -> Iterator[tuple[bytes, int]]:
    """Yield the lines of the rows after one, many at a time, with how many they are."""
    _, experiment, _, run = run_path.split("/")
    head = {"kind": "row", "experiment": from_id(experiment), "run_id": from_id(run)}
    start = _dumped(head | {"writer": rows.writer})[:-2] + b',"sequence":'
    begin, count = bisect_right(rows.sequences, known), len(rows)
    for place in range(begin, count, _BLOCK_ROWS):
        part = slice(place, min(place + _BLOCK_ROWS, count))
        cells = {name: column[part] for name, column in rows.columns.cells.items()}
        columns = Columns(rows.columns.timestamps[part], cells)
        numbers = rows.sequences[part]
        lines = _even_lines(start, numbers, columns)
        if lines is None:
            lines = b"".join(_lines(start, numbers, columns))
        yield lines, len(numbers)


def _even_lines(start: bytes, numbers: Sequence[int], columns: Columns) -> bytes | None:
    """Return the lines of rows that have all columns, of plain cells; None if they are others."""
    pieces: list[Iterable[str]] = [
        map(str, numbers),
        itertools.repeat(',"timestamp":"'),
        iso_times(columns.timestamps),
    ]
    before = '","data":{'
    for name, column in columns.cells.items():
        texts = _texts(column)
        if texts is None:
            return None
        pieces += [itertools.repeat(f"{before}{_dumped(name)[:-1].decode()}:"), texts]
        before = ","
    if not columns.cells:
        return None
    between = "}}\n" + start.decode()
    pieces.append(itertools.repeat(between))
    # Piece by piece is three times as fast as an object for each row.
    joined = "".join(itertools.chain.from_iterable(zip(*pieces, strict=False)))
    return start + joined[: len("}}\n") - len(between)].encode()


def _texts(column: Sequence[Any]) -> list[str] | None:
    """Return plain cells as JSON; None if some are no such cells, or are NaN or infinity."""
    types = set(map(type, column))
    if types <= _NUMBERS:
        data = orjson.dumps(column)
        return None if b"null" in data else data[1:-1].decode().split(",")
    return [orjson.dumps(one).decode() for one in column] if types <= _PLAIN else None


def _lines(start: bytes, numbers: Sequence[int], columns: Columns) -> Iterator[bytes]:
    for number, at, cells in zip(
        numbers, map(moment, columns.timestamps), cells_of(columns), strict=True
    ):
        data = orjson.dumps({"timestamp": at, "data": cells})
        if b"null" in data:
            # NaN and infinity come out as null: whoever has one takes the slower way.
            row = {"timestamp": at.isoformat(), "data": cells}
            data = jsontext.to_text(row).encode()
        yield b"%b%d,%b\n" % (start, number, data[1:])


def _dumped(value: dict[str, Any] | str) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
