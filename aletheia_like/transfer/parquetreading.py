"""Reads the folder that `parquet` writes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aletheia_like.errors import IntegrityError, InvalidValueError
from aletheia_like.extras import import_extra
from aletheia_like.model import jsontext
from aletheia_like.model.names import from_id
from aletheia_like.transfer.blobfolder import BlobFolder
from aletheia_like.transfer.filesource import FileSource
from aletheia_like.transfer.packing import FileRows
from aletheia_like.transfer.parquet import (
    BLOBS,
    DOCUMENTS,
    FORMAT,
    KIND_KEY,
    MARK,
    NAME_KEY,
    OTHERS,
    ROWS,
    read_mark,
)
from aletheia_like.transfer.source import Blob, Extent
from aletheia_like.transfer.tablerows import TableRows

_MICROSECONDS = 1_000_000
_NEEDED = {
    ROWS: frozenset({"run_id", "timestamp", "_writer", "_sequence", "_exact"}),
    OTHERS: frozenset({"run_id", "timestamp", "writer", "sequence", "data"}),
}


class ParquetSource(FileSource):
    """An exported folder.

    Args:
        folder: The folder.

    Raises:
        InvalidValueError: It is no export.
        IntegrityError: It is half written or damaged.
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        import_extra("pyarrow.parquet", "sql")
        mark = read_mark(folder)
        if mark is None:
            message = f"{folder} is no export of ours: it has no {MARK}"
            raise InvalidValueError(message)
        if mark.get("format") != FORMAT:
            message = f"{folder} has the format {mark.get('format')}: a newer version reads it"
            raise InvalidValueError(message)
        lost = [one for one in mark.get("tables", ()) if not (folder / one).is_file()]
        if not mark.get("complete") or lost:
            what = f"lacks {', '.join(lost[:3])}" if mark.get("complete") else "is half written"
            message = f"{folder} {what}: export again, which completes it"
            raise IntegrityError(message)
        self._root = folder
        self._folder = BlobFolder(folder)
        self._tables: dict[Path, Any] = {}
        self._lock = threading.Lock()
        documents = {
            row["path"]: jsontext.from_text(row["document"])
            for row in self._read(f"{DOCUMENTS}.parquet").to_pylist()
        }
        blobs = {
            row["sha256"]: Blob(row["sha256"], row["size"], row["media_type"])
            for row in self._read(f"{BLOBS}.parquet").to_pylist()
        }
        self._files = dict(mark.get("experiments", {}))
        super().__init__(folder, mark["project"], documents, blobs)
        self.check_blobs()
        self._check_tables(mark.get("tables", ()))

    def rows(self, run_path: str) -> Mapping[str, FileRows]:
        _, experiment, _, run_id = map(from_id, run_path.split("/"))
        name = self._files[experiment]
        table = self._of_run(f"{ROWS}/{name}.parquet", run_id)
        found = TableRows((), ()) if table is None else _own_rows(table)
        others = self._of_run(f"{OTHERS}/{name}.parquet", run_id)
        if others is not None:
            times = others["timestamp"].cast("int64").to_pylist()
            rows = others.drop_columns(["timestamp"]).to_pylist()
            for at, row in zip(times, rows, strict=True):
                found.add_other(at / _MICROSECONDS, row["writer"], row["sequence"], row["data"])
        return found.by_writer

    def extent(self, run_path: str) -> Extent | None:
        _, experiment, _, run_id = map(from_id, run_path.split("/"))
        name = self._files[experiment]
        found: dict[str, tuple[int, int]] = {}
        for folder, mark in ((ROWS, "_"), (OTHERS, "")):
            table = self._of_run(f"{folder}/{name}.parquet", run_id)
            if table is not None:
                _count_rows(found, table, f"{mark}writer", f"{mark}sequence")
        return found

    def _blob_path(self, digest: str) -> Path | None:
        return self._folder.path(digest)

    def _of_run(self, name: str, run_id: str) -> Any:
        """Return the rows of one run in a table, or None if there is no table."""
        from pyarrow import compute

        if not (self._root / name).is_file():
            return None
        with self._lock:
            table = self._tables.get(self._root / name)
            if table is None:
                # Runs come experiment by experiment: one table at a time is enough.
                self._tables = {
                    path: kept
                    for path, kept in self._tables.items()
                    if path.name == Path(name).name
                }
                table = self._tables[self._root / name] = self._read(name)
        return table.filter(compute.equal(table["run_id"], run_id))

    def _check_tables(self, tables: Iterable[str]) -> None:
        """Refuse tables of rows that are cut off or somebody else's, before anything is moved."""
        for name in tables:
            needed = _NEEDED.get(name.partition("/")[0], frozenset())
            if needed:
                with self._opened(name) as table:
                    lost = needed - set(table.schema_arrow.names)
                if lost:
                    message = f"{self._root / name} lacks {', '.join(sorted(lost))}: export again"
                    raise IntegrityError(message)

    def _read(self, name: str) -> Any:
        with self._opened(name) as table:
            return table.read()

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        import pyarrow as pa
        from pyarrow import parquet

        try:
            with parquet.ParquetFile(self._root / name) as table:
                yield table
        except (pa.ArrowException, OSError) as error:
            message = f"{self._root / name} is damaged ({error}): export again"
            raise IntegrityError(message) from error


def _count_rows(found: dict[str, tuple[int, int]], table: Any, writer: str, sequence: str) -> None:
    counted = table.group_by(writer).aggregate([(sequence, "count"), (sequence, "max")])
    for row in counted.to_pylist():
        count, last = found.get(row[writer], (0, 0))
        found[row[writer]] = (
            count + row[f"{sequence}_count"],
            max(last, row[f"{sequence}_max"]),
        )


def _own_rows(table: Any) -> TableRows:
    fields = [one for one in table.schema if NAME_KEY in (one.metadata or {})]
    found = TableRows(
        [one.metadata[NAME_KEY].decode() for one in fields],
        [one.metadata[KIND_KEY].decode() for one in fields],
    )
    if len(table):
        times = table["timestamp"].cast("int64").to_pylist()
        found.add(
            [moment / _MICROSECONDS for moment in times],
            table["_writer"].to_pylist(),
            table["_sequence"].to_pylist(),
            table["_exact"].to_pylist(),
            [table[one.name].to_pylist() for one in fields],
        )
    return found
