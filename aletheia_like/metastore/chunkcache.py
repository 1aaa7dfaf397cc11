"""Rows of runs that have ended, as Arrow files in the local cache.

    {cache}/rows/{key[:2]}/{key}    a line of JSON that says what it holds of which revision of
                                    which run, with checksums; then the parts, as Arrow streams

A run that has ended changes only together with its document, so a file is right as long as the
document has the revision that the file was made of: asking costs the read of that document. A file
that is damaged, or of another revision, is as good as none; deleting any, or all, is always safe.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import pyarrow as pa

from aletheia_like.metastore.keptrows import (
    HEADER_BYTES,
    TEMPORARY,
    KeptRows,
    header_line,
    read_header,
)
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.documents import Document

FORMAT = 1
"""Files of another format are not read."""


@dataclass(frozen=True, slots=True)
class RunRows:
    """The rows of one run as Arrow tables.

    Attributes:
        parts: The run's own rows under `""`, those of streams by their name.
        elsewhere: By part and column the cells that stand for a long value, as row and kind
            (`text`, `json`).
    """

    parts: Mapping[str, Any]
    elsewhere: Mapping[str, Mapping[str, Sequence[tuple[int, str]]]] = field(default_factory=dict)


class ChunkCache:
    """Files with the rows of ended runs; any number of threads and processes may share them.

    Args:
        folder: Where they lie; made when the first is written.
        store: What tells this store from all others.
        max_bytes: What all files together may take after a query; the least recently used go.
    """

    def __init__(self, folder: Path, store: str, max_bytes: int) -> None:
        self._folder = folder
        self._store = store
        self._max_bytes = max_bytes
        self._wrote = False

    def load(self, run: Document, part: str) -> RunRows | None:
        """Return one part of a run's rows, or None if they have to be read from the store."""
        path = self._path(run)
        try:
            with path.open("rb") as stream:
                header = read_header(stream.readline(HEADER_BYTES))
                if header["revision"] != self._revision(run):
                    return None
                start, size, checksum = header["parts"].get(part, (0, 0, 0))
                stream.seek(stream.tell() + start)
                data = stream.read(size)
            if len(data) != size or google_crc32c.value(data) != checksum:
                return None
            table = pa.ipc.open_stream(pa.py_buffer(data)).read_all() if size else None
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return RunRows({} if table is None else {part: table}, header["elsewhere"])

    def store(self, run: Document, rows: RunRows) -> None:
        """Keep the rows of a run that has ended; a folder that cannot be written keeps none."""
        header: dict[str, Any] = {"revision": self._revision(run), "elsewhere": rows.elsewhere}
        header["run"] = run.path
        header["parts"] = {}
        body = b""
        for name, table in rows.parts.items():
            data = _to_bytes(table)
            header["parts"][name] = (len(body), len(data), google_crc32c.value(data))
            body += data
        line = header_line(header)
        if len(line) > HEADER_BYTES:
            return
        with contextlib.suppress(OSError):
            _replace(self._path(run), line, body)
            self._wrote = True

    def tidy(self) -> None:
        """Remove the least recently used files until the rest fits, if any was written."""
        if not self._wrote:
            return
        self._wrote = False
        KeptRows(self._folder).trim(self._max_bytes)

    def _path(self, run: Document) -> Path:
        key = digest_bytes(f"{self._store}\n{run.path}".encode())[:40]
        return self._folder / key[:2] / key

    def _revision(self, run: Document) -> str:
        changed = run.updated_at.isoformat()
        return f"{FORMAT} {run.fields.get('token', '')} {run.revision} {changed}"


def _to_bytes(table: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _replace(path: Path, *parts: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.writelines(parts)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
