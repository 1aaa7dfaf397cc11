"""What rows hold beside plain values: files, folders, tables and any Python object, as blobs.

A file leaves `{"@file": {"name", "sha256", "size"}}` in its row, an object its sha-256. The bytes
wait in the spool, so a row with a file returns as fast as this machine's disk takes the file.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import IO, Any

from aletheia_like.errors import InvalidValueError, NotFoundError, UntrustedArtifactError
from aletheia_like.extras import import_extra
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.storing import local_blob, local_file, read_text
from aletheia_like.model.digests import check_digest
from aletheia_like.model.rows import cell_text, read_cell
from aletheia_like.model.values import (
    FieldPath,
    LongText,
    LongValue,
    UnknownKindError,
    Value,
    decode,
    encode,
    is_key,
)

FILE = "@file"
IN_LIST = "[]"
"""Stands for every place in a list, in the way to a value."""

_ATOMS = frozenset({type(None), bool, int, float, str, bytes})
_HEAD_CHARACTERS = 200
_MAX_NESTING = 20


class File:
    """A file in a row: given to `run.log` by its path, and given back by the rows.

    Args:
        path: Where it is. It is read when it is logged.
    """

    def __init__(self, path: str | Path) -> None:
        self._path: Path | None = Path(path).expanduser()
        self._name = self._path.name
        self._digest: str | None = None
        self._size: int | None = None
        self._fetch: Callable[[], Path] | None = None

    @classmethod
    def stored(cls, fields: Mapping[str, Any], fetch: Callable[[], Path]) -> File:
        """Return a file that is in the store.

        Args:
            fields: Its name, sha-256 and size.
            fetch: Gives a local copy.
        """
        file = cls.__new__(cls)
        file._be_stored(fields, fetch)  # noqa: SLF001 - of this class
        return file

    def _be_stored(self, fields: Mapping[str, Any], fetch: Callable[[], Path]) -> None:
        self._path, self._name = None, Path(str(fields.get("name", ""))).name
        self._digest, self._size, self._fetch = fields["sha256"], fields.get("size"), fetch

    @property
    def path(self) -> Path | None:
        """Where it was logged from; None if it was read from the store."""
        return self._path

    @property
    def name(self) -> str:
        """What the file is called."""
        return self._name

    @property
    def digest(self) -> str | None:
        """sha-256 of its content; None before it is logged."""
        return self._digest

    @property
    def size(self) -> int | None:
        """Bytes; None before it is logged."""
        return self._size

    @property
    def local_path(self) -> Path:
        """A local copy, verified; fetched if need be."""
        if self._fetch is not None:
            return self._fetch()
        if self._path is None:
            message = f"{self.name}: the file is not in a store"
            raise NotFoundError(message)
        return self._path

    def open(self) -> IO[bytes]:
        """Open it for reading."""
        return self.local_path.open("rb")

    def as_df(self) -> Any:
        """Return it as a pandas DataFrame: Parquet by its suffix, else comma-separated values."""
        pd = import_extra("pandas", "sql")
        path = self.local_path
        if self.name.endswith(".parquet"):
            return pd.read_parquet(path)
        if isinstance(self, Table):
            return _csv_frame(pd, path)
        return pd.read_csv(path)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, File):
            return NotImplemented
        mine, its = (self._digest, self._name), (other._digest, other._name)
        return mine == its and (self._digest is not None or self._path == other._path)

    def __hash__(self) -> int:
        return hash((self._digest, self._name))

    def __repr__(self) -> str:
        size = "" if self._size is None else f" {self._size:,} bytes"
        digest = "" if self._digest is None else f" {self._digest[:12]}"
        return f"<{type(self).__name__} {self._path or self._name}{size}{digest}>"


class Table(File):
    """A data frame in a row, given back with its types, column names and index by `as_df`.

    A bare data frame in a row is a table, too, of comma-separated values that every program reads.

    Args:
        frame: A data frame of pandas or Polars, an Arrow table, or a mapping of columns.
        name: What its file is called; by default as the row's column.
    """

    _is_named = True
    _frame: Any = None

    def __init__(self, frame: Any, name: str | None = None) -> None:
        super().__init__(name or "table.parquet")
        self._path = None
        self._is_named = name is not None
        self._frame = frame

    @property
    def frame(self) -> Any:
        """What it was made of; None if it was read from the store."""
        return self._frame

    def data(self) -> bytes:
        """Return the bytes of its file: equal ones for equal tables.

        Raises:
            InvalidValueError: It is no table, or one that Parquet cannot hold.
            MissingExtraError: pyarrow is not installed.
        """
        pa = import_extra("pyarrow", "sql")
        parquet = import_extra("pyarrow.parquet", "sql")
        frame = self._frame
        try:
            if isinstance(frame, Mapping):
                frame = pa.table(dict(frame))
            elif hasattr(frame, "to_arrow"):
                frame = frame.to_arrow()
            elif not isinstance(frame, pa.Table):
                # Without columns nothing else would tell how many rows there are.
                counted = None if len(frame.columns) else True
                frame = pa.Table.from_pandas(frame, preserve_index=counted)
            sink = pa.BufferOutputStream()
            parquet.write_table(frame, sink)
        except (
            pa.ArrowException,
            ArithmeticError,
            AttributeError,
            TypeError,
            ValueError,
        ) as error:
            message = f"al.Table: a {type(self._frame).__name__} cannot be stored: {error}"
            raise InvalidValueError(message) from error
        return bytes(sink.getvalue())

    def file_name(self, column: str) -> str:
        """Return what its file is called in this column of a row."""
        stem = self._name.removesuffix(".parquet") if self._is_named else column
        return f"{stem}.parquet"


class LogFile(File):
    """A file that still grows: its row says where it is, and the run's end stores what it became.

    Args:
        path: Where it is; it need not exist yet.
    """


class Folder:
    """A folder in a row: a map of names to files and folders.

    Args:
        path: Where it is. It is read when it is logged.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).expanduser()

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    def __repr__(self) -> str:
        return f"<Folder {self._path}>"


class AssetWriter:
    """Turns what a user logs into cells of a row.

    Args:
        session: Where bytes go.
        live: Told of log files: the way to them, from their column on, and their path.
    """

    def __init__(self, session: Session, live: Callable[[FieldPath, Path], None]) -> None:
        self._session = session
        self._live = live

    def cell(self, column: str, value: Any) -> Value:
        """Return the storable form of a value, with all that is too large or foreign spooled.

        Raises:
            NotFoundError: There is no such file or folder.
            InvalidValueError: The value can neither be stored nor pickled.
        """
        if type(value) in _ATOMS:
            return encode(value, (column,))
        return self._cell((column,), value)

    def shown(self, value: Value) -> Any:
        """Return the user's value of a cell."""
        return complete(self._session, decode(value))

    def shrink(self, cells: Mapping[str, Value], most: int) -> dict[str, Value]:
        """Return a row's cells, those of more than so many bytes moved to blobs."""
        return {name: self._shrunk(name, value, most) for name, value in cells.items()}

    def _cell(self, where: tuple[str, ...], value: Any) -> Value:
        if isinstance(value, LogFile):
            return self._log_file(where, value)
        if isinstance(value, Table) and value.frame is not None:
            return self._table(where, value)
        if isinstance(value, File):
            return self._file(value)
        if isinstance(value, Folder):
            return self._folder(where, value)
        if _is_frame(value):
            return self._frame(where, value)
        try:
            return encode(value, where)
        except UnknownKindError:
            if len(where) > _MAX_NESTING:
                raise
            return self._foreign(where, value)

    def _foreign(self, where: tuple[str, ...], value: Any) -> Value:
        """Encode a container part by part, a record by its fields; pickle everything else."""
        if isinstance(value, Mapping):
            cells = {key: self._cell((*where, str(key)), one) for key, one in value.items()}
            if all(is_key(key) and not key.startswith("@") for key in cells):
                return cells
            pairs = ((encode(key, where), cell) for key, cell in cells.items())
            return {"@items": [{"key": key, "value": cell} for key, cell in pairs]}
        if isinstance(value, list | tuple | AbstractSet):
            return [self._item((*where, IN_LIST), one) for one in value]
        if hasattr(value, "model_dump"):
            return self._cell(where, value.model_dump())
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            return self._cell(where, {one.name: getattr(value, one.name) for one in fields})
        return self._pickled(where, value)

    def _item(self, where: tuple[str, ...], value: Any) -> Value:
        cell = self._cell(where, value)
        return {"@list": cell} if isinstance(cell, list) else cell

    def _file(self, file: File) -> Value:
        if file.path is None:
            kind = {"kind": "table"} if isinstance(file, Table) else {}
            return {FILE: {"name": file.name, "sha256": file.digest, "size": file.size, **kind}}
        path = file.path
        _check_file(path)
        digest, size = self._session.spool.put_file(path)
        return {FILE: {"name": path.name, "sha256": digest, "size": size}}

    def _log_file(self, where: tuple[str, ...], file: LogFile) -> Value:
        path = (file.path or Path(file.name)).absolute()
        self._live(where, path)
        return {FILE: {"name": path.name, "live": str(path)}}

    def _folder(self, where: tuple[str, ...], folder: Folder) -> Value:
        return self._cell(where, _tree(folder.path, len(where)))

    def _frame(self, where: tuple[str, ...], frame: Any) -> Value:
        try:
            has_index = hasattr(frame, "to_csv") and _has_index(frame)
            text = frame.to_csv(index=has_index) if hasattr(frame, "to_csv") else frame.write_csv()
            data = text.encode()
        except Exception as error:
            message = f"{'.'.join(where)}: a data frame that is no CSV: {error}; try al.Table"
            raise InvalidValueError(message) from error
        name = f"{where[0]}.csv"
        digest = self._session.spool.put_bytes(data, name)
        return {FILE: {"name": name, "sha256": digest, "size": len(data), "kind": "table"}}

    def _table(self, where: tuple[str, ...], table: Table) -> Value:
        data, name = table.data(), table.file_name(where[0])
        digest = self._session.spool.put_bytes(data, name)
        return {FILE: {"name": name, "sha256": digest, "size": len(data), "kind": "table"}}

    def _pickled(self, where: tuple[str, ...], value: Any) -> Value:
        import cloudpickle

        try:
            data = cloudpickle.dumps(value)
        except Exception as error:
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            message = f"{'.'.join(where)}: a {kind} can neither be stored nor pickled: {error}"
            raise InvalidValueError(message) from error
        return self._session.spool.put_bytes(data, f"{where[0]}.cloudpickle")

    def _shrunk(self, name: str, value: Value, most: int) -> Value:
        data = cell_text(value).encode()
        if len(data) <= most or (isinstance(value, dict) and value.keys() == {FILE}):
            return value
        if isinstance(value, str):
            text = value.encode()
            digest = self._session.spool.put_bytes(text, f"{name}.txt")
            return {"@text": [digest, len(text), value[:_HEAD_CHARACTERS]]}
        digest = self._session.spool.put_bytes(data, f"{name}.json")
        return {"@json": [digest, len(data)]}


def complete(session: Session, value: Any) -> Any:
    """Return a decoded cell with files as `File` and long values read from their blobs."""
    if isinstance(value, LongText):
        return read_text(session, value.digest)
    if isinstance(value, LongValue):
        return complete(session, read_cell(local_blob(session, value.digest).read_bytes()))
    if isinstance(value, list):
        return [complete(session, one) for one in value]
    if isinstance(value, dict):
        if value.keys() == {FILE} and isinstance(value[FILE], dict):
            return _stored_file(session, value[FILE])
        return {key: complete(session, one) for key, one in value.items()}
    return value


def _stored_file(session: Session, fields: Mapping[str, Any]) -> File:
    if "sha256" not in fields:
        return LogFile(str(fields.get("live", fields.get("name", ""))))
    digest, name = fields["sha256"], str(fields.get("name") or "file")
    kind = Table if fields.get("kind") == "table" else File
    return kind.stored(fields, lambda: local_file(session, digest, name))


def _is_frame(value: Any) -> bool:
    return any(
        kind.__name__ == "DataFrame" and kind.__module__.split(".")[0] in ("pandas", "polars")
        for kind in type(value).__mro__
    )


def _csv_frame(pd: Any, path: Path) -> Any:
    """Return what was a data frame in a row: its texts such as NA are no gaps."""
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    except pd.errors.EmptyDataError:
        return pd.DataFrame()


def _check_file(path: Path) -> None:
    """Refuse what is no file, with the reason."""
    if path.is_file():
        return
    if path.is_dir():
        message = f"{path} is a folder: log it as al.Folder; the row is not logged"
        raise NotFoundError(message)
    if path.exists():
        message = f"{path} is a socket, pipe or device, and no file; the row is not logged"
        raise InvalidValueError(message)
    what = "is a link to nothing, or in a circle" if path.is_symlink() else "does not exist"
    message = f"{path} {what}; the row is not logged"
    raise NotFoundError(message)


def _tree(folder: Path, depth: int, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the files of a folder by their names, and those of folders in it.

    Raises:
        NotFoundError: It is no folder, or a file in it is not there.
        InvalidValueError: It is too deep or contains itself, or there is no file but a pipe.
    """
    if not folder.is_dir():
        message = f"{folder} is no folder; the row is not logged"
        raise NotFoundError(message)
    real = os.path.realpath(folder)
    if real in above:
        message = f"{folder} is a link to a folder that contains it; the row is not logged"
        raise InvalidValueError(message)
    if depth + len(above) > _MAX_NESTING:
        message = f"{folder} is too deep for a row, which is not logged: add it as an artifact"
        raise InvalidValueError(message)
    found: dict[str, Any] = {}
    for one in sorted(folder.iterdir()):
        if one.is_dir():
            found[one.name] = _tree(one, depth, (*above, real))
        else:
            _check_file(one)
            found[one.name] = File(one)
    return found


def _has_index(frame: Any) -> bool:
    """Whether a pandas frame's index says more than the order of its rows."""
    return type(frame.index).__name__ != "RangeIndex"


def load_object(session: Session, digest: str, *, trust: bool) -> Any:
    """Return an object that was logged in a row, by the sha-256 that the row holds.

    Raises:
        UntrustedArtifactError: `trust` is not given: unpickling runs code.
        NotFoundError: There is no such object.
    """
    check_digest(digest)
    if not trust:
        message = (
            f"{digest[:12]} is a pickled object, and reading it runs code: "
            "give trust=True if you know who logged it"
        )
        raise UntrustedArtifactError(message)
    import cloudpickle

    with local_blob(session, digest).open("rb") as stream:
        return cloudpickle.load(stream)
