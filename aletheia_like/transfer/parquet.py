"""A folder of Parquet files: rows by experiment, runs, artifacts, data sets, and their files.

    rows/{experiment}.parquet      a row for each row that was logged
    runs.parquet, artifacts.parquet, datasets.parquet, files.parquet
    artifacts/{sha256}/{filename}  bytes of every blob
    documents.parquet, blobs.parquet, others/{experiment}.parquet
                                   what is needed beside these to import without loss
    _aletheia.json                 whose project it is, and whether the folder is complete

Each field's metadata tells under which name a column was logged (`aletheia.name`) and what it is
(`aletheia.kind`); `json` is JSON text. An earlier export of the project is replaced file by file
when all is written; a folder in which that was interrupted says so, and exporting again mends it.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from aletheia_like.errors import AlreadyExistsError
from aletheia_like.extras import import_extra
from aletheia_like.model.digests import digest_bytes
from aletheia_like.model.rows import microseconds, moment
from aletheia_like.transfer import flat
from aletheia_like.transfer.bar import counting_bar
from aletheia_like.transfer.blobfolder import BlobFolder, NamedBlob
from aletheia_like.transfer.canonical import text_of
from aletheia_like.transfer.cells import ColumnNames, Kind, kinds_of, together, typed
from aletheia_like.transfer.gathering import Gathered, RunRows, gather
from aletheia_like.transfer.locking import locked
from aletheia_like.transfer.report import Tally
from aletheia_like.transfer.source import Source

MARK: Final = "_aletheia.json"
FORMAT: Final = 1
ROWS, OTHERS, DOCUMENTS, BLOBS = "rows", "others", "documents", "blobs"
NAME_KEY, KIND_KEY = b"aletheia.name", b"aletheia.kind"

_NEW = "_new"
_ROW_GROUP = 131_072
_UNSAFE = re.compile(r"[^\w.-]")
_MAX_NAME_BYTES = 100


def export_parquet(source: Source, folder: Path, *, show: bool | None) -> Tally:
    """Write a source into a folder; an earlier export of the same project is replaced.

    Raises:
        AlreadyExistsError: There is something else; it is left as it is.
        ConflictError: Another export writes into it.
        MissingExtraError: pyarrow is not installed.
    """
    import_extra("pyarrow.parquet", "sql")
    check_target(folder, source.project)
    with locked(folder):
        check_target(folder, source.project)
        with contextlib.closing(gather(source, show=show)) as gathered:
            return _Writer(source, gathered, folder, show=show).write()


def check_target(folder: Path, project: str) -> None:
    """Refuse to write into what is no earlier export of this project.

    Raises:
        AlreadyExistsError: It is something else.
    """
    is_empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    mark = None if is_empty else read_mark(folder)
    if not is_empty and (mark is None or mark.get("project") != project):
        message = (
            f"{folder} exists and is no export of project {project!r}: remove it, or choose "
            "another name"
        )
        raise AlreadyExistsError(message)


def read_mark(folder: Path) -> dict[str, Any] | None:
    """Return what a folder says about itself, or None if it is no export."""
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return mark if isinstance(mark, dict) and "project" in mark else None


class _Writer:
    def __init__(
        self, source: Source, gathered: Gathered, folder: Path, *, show: bool | None
    ) -> None:
        self._source = source
        self._gathered = gathered
        self._folder = folder
        self._new = folder / _NEW
        self._show = show
        self._tally = Tally(rows=gathered.rows + gathered.others)
        self._tables: list[str] = []
        self._names = file_names(list(gathered.kinds))

    def write(self) -> Tally:
        """Write all files aside, then put them in their places."""
        gathered = self._gathered
        for entry in gathered.documents:
            self._tally.document(entry.path, is_new=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        if read_mark(self._folder) is None:
            self._mark(complete=False)
        shutil.rmtree(self._new, ignore_errors=True)
        blobs = BlobFolder(self._folder, show=self._show)
        added = blobs.add(self._source, gathered.names)
        self._tally.blobs, self._tally.bytes = len(added), sum(one.blob.size for one in added)
        self._rows()
        for name, cells in flat.flat_tables(self._source.project, gathered.documents).items():
            self._plain_table(name, cells)
        self._documents(added)
        self._mark(complete=False)
        self._put_in_place()
        self._mark(complete=True)
        return self._tally

    def _mark(self, *, complete: bool) -> None:
        mark = {"project": self._source.project, "format": FORMAT, "complete": complete}
        temporary = self._folder / f".{MARK}.part"
        mark |= {"tables": self._tables, "experiments": self._names}
        temporary.write_text(json.dumps(mark, indent=2) + "\n", encoding="utf-8")
        temporary.replace(self._folder / MARK)

    def _put_in_place(self) -> None:
        for table in self._tables:
            place = self._folder / table
            place.parent.mkdir(exist_ok=True)
            (self._new / table).replace(place)
        shutil.rmtree(self._new, ignore_errors=True)
        for old in self._folder.glob("*/*.parquet"):
            name = old.relative_to(self._folder).as_posix()
            if name not in self._tables and old.parent.name in (ROWS, OTHERS):
                old.unlink()

    def _path(self, table: str) -> Path:
        self._tables.append(table)
        path = self._new / table
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _rows(self) -> None:
        with counting_bar("writing rows", self._gathered.rows, show=self._show) as done:
            for experiment, name in self._names.items():
                self._experiment(experiment, f"{name}.parquet", done)

    def _experiment(self, experiment: str, name: str, done: Any) -> None:
        from pyarrow import parquet

        found = self._gathered.kinds[experiment]
        kinds = {column: together(kinds) for column, kinds in found.items()}
        schema = _rows_schema(kinds)
        others: dict[str, list[Any]] = {column: [] for column in _OTHERS}
        with parquet.ParquetWriter(
            self._path(f"{ROWS}/{name}"), schema, compression="zstd"
        ) as writer:
            for table in _tables(self._gathered.runs(experiment), kinds, schema, others, done):
                writer.write_table(table, row_group_size=_ROW_GROUP)
        if others["run_id"]:
            self._plain_table(f"{OTHERS}/{name.removesuffix('.parquet')}", others)

    def _documents(self, blobs: Sequence[NamedBlob]) -> None:
        documents = self._gathered.documents
        self._plain_table(
            DOCUMENTS,
            {
                "path": [entry.path for entry in documents],
                "document": [text_of(entry.fields) for entry in documents],
            },
        )
        listed = sorted(blobs, key=lambda one: one.blob.digest)
        self._plain_table(
            BLOBS,
            {
                "sha256": [one.blob.digest for one in listed],
                "name": [one.name for one in listed],
                "size": [one.blob.size for one in listed],
                "media_type": [one.blob.media_type for one in listed],
            },
        )

    def _plain_table(self, name: str, cells: Mapping[str, Sequence[Any]]) -> None:
        """Write a table that need not be read back without loss."""
        import pyarrow as pa
        from pyarrow import parquet

        names = ColumnNames()
        kinds = {column: together(kinds_of(found)) for column, found in cells.items()}
        fields = [_field(names.add(column), column, kind) for column, kind in kinds.items()]
        count = len(next(iter(cells.values())))
        columns = typed(cells, kinds, count).columns
        arrays = [
            pa.array(columns[column], one.type) for column, one in zip(kinds, fields, strict=True)
        ]
        table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
        parquet.write_table(table, self._path(f"{name}.parquet"), compression="zstd")


_OTHERS = ("run_id", "timestamp", "stream", "writer", "sequence", "data")


def file_names(experiments: Sequence[str]) -> dict[str, str]:
    """Return a file's name for each experiment: safe everywhere, no two alike."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for experiment in experiments:
        plain = _UNSAFE.sub("_", experiment).strip("._")
        name = plain.encode()[:_MAX_NAME_BYTES].decode(errors="ignore")
        if name != experiment or name.casefold() in taken:
            name = f"{name}-{digest_bytes(experiment.encode())[:8]}"
        taken.add(name.casefold())
        names[experiment] = name
    return names


def _rows_schema(kinds: Mapping[str, Kind]) -> Any:
    import pyarrow as pa

    names = ColumnNames(set(_OWN))
    left, right = list(_OWN.items())[:3], list(_OWN.items())[3:]
    return pa.schema(
        [
            *(_field(name, None, kind) for name, kind in left),
            *(_field(names.add(stored), stored, kind) for stored, kind in kinds.items()),
            *(_field(name, None, kind) for name, kind in right),
        ]
    )


_OWN: Mapping[str, Kind] = {
    "experiment": "text",
    "run_id": "text",
    "timestamp": "time",
    "_writer": "text",
    "_sequence": "int",
    "_exact": "text",
}


def _field(name: str, stored: str | None, kind: Kind) -> Any:
    import pyarrow as pa

    types = {
        "float": pa.float64(),
        "int": pa.int64(),
        "bool": pa.bool_(),
        "text": pa.string(),
        "time": pa.timestamp("us", tz="UTC"),
        "bytes": pa.binary(),
        "json": pa.string(),
    }
    metadata = {KIND_KEY: kind.encode()}
    if stored is not None:
        metadata[NAME_KEY] = stored.encode()
    return pa.field(name, types[kind], metadata=metadata)


def _tables(
    runs: Iterator[RunRows],
    kinds: Mapping[str, Kind],
    schema: Any,
    others: dict[str, list[Any]],
    done: Any,
) -> Iterator[Any]:
    """Yield tables that are large enough for a row group, and collect what is no row of a run."""
    import pyarrow as pa

    batches: list[Any] = []
    size = 0
    for run in runs:
        batches.append(_batch(run, kinds, schema))
        size += len(run)
        done(len(run))
        for one in run.others:
            moment_cell = {"@at": moment(one.timestamp).isoformat()}
            values = (run.run_id, moment_cell, one.stream, one.writer, one.sequence, one.data)
            for column, value in zip(_OTHERS, values, strict=True):
                others[column].append(value)
        if size >= _ROW_GROUP:
            yield pa.Table.from_batches(batches, schema)
            batches, size = [], 0
    if batches:
        yield pa.Table.from_batches(batches, schema)


def _batch(run: RunRows, kinds: Mapping[str, Kind], schema: Any) -> Any:
    import pyarrow as pa

    count = len(run)
    found = typed(run.columns.cells, kinds, count, before=run.before)
    arrays = [
        _repeated(run.experiment, count),
        _repeated(run.run_id, count),
        _array(microseconds(run.columns.timestamps), schema.field("timestamp").type),
    ]
    for place, stored in enumerate(kinds, len(arrays)):
        kind = schema.field(place).type
        values = found.columns.get(stored)
        arrays.append(pa.nulls(count, kind) if values is None else _array(values, kind))
    has_one = len(set(run.writers)) == 1
    arrays += [
        _repeated(run.writers[0], count) if has_one else pa.array(run.writers, pa.string()),
        _array(run.sequences, pa.int64()),
        pa.array(found.exact, pa.string()),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Any, kind: Any) -> Any:
    import pyarrow as pa

    if isinstance(values, list):
        return pa.array(values, kind)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _repeated(text: str, count: int) -> Any:
    import pyarrow as pa

    return pa.repeat(pa.scalar(text, pa.string()), count)
