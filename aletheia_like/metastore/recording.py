"""What a run records while it goes on: rows, and what surrounds them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

from aletheia_like import logfiles
from aletheia_like.errors import InvalidValueError, ReadOnlyError
from aletheia_like.feeds import Changes
from aletheia_like.metastore import telling
from aletheia_like.metastore.accompanying import SYSTEM, Companion
from aletheia_like.metastore.assets import IN_LIST, File
from aletheia_like.metastore.handle import DocumentHandle
from aletheia_like.metastore.reading import read_columns
from aletheia_like.metastore.rows import Predicate, Rows, rows_of
from aletheia_like.metastore.summary import merged_by_step, summary_of
from aletheia_like.metastore.writing import Cells, RunWriter
from aletheia_like.model import codec
from aletheia_like.model.names import from_id
from aletheia_like.model.records import RunRecord
from aletheia_like.model.rows import shown_name
from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.documents import REMOVE, Removal, changed_fields

_NOTHING: Cells = {}
_NOWHERE: Mapping[int, Cells] = {}
_AROUND: ContextVar[Mapping[int, Cells]] = ContextVar("aletheia_context")
"""The contexts that this thread or task is in, by the identity of their run."""


class Recording(DocumentHandle):
    """A run as something that rows are logged to and read from."""

    _writer: RunWriter | None
    _companion: Companion | None
    _log_files: dict[FieldPath, Path]

    def log(self, row: Mapping[Any, Any] | None = None, /, **data: Any) -> dict[str, Any]:
        """Append a row; when this returns it survives the death of the process.

        The network is never waited for. A `step` goes on to later rows that have none.

        Args:
            row: Values by column: numbers, text, times, lists, dictionaries, `al.File`,
                `al.Folder`, a data frame, or any other object, which is pickled into a blob and
                leaves its sha-256.
            **data: More of them; these win.

        Returns:
            The row as it is stored, with `timestamp`, `run_id`, contexts and parameters.

        Raises:
            InvalidValueError: A name or value cannot be stored; nothing was.
            ReadOnlyError: The run has ended or was opened for reading.
        """
        writer = self._open_writer()
        if row is None or data:
            row = {**(row or {}), **data}
        if not _is_mapping(row):
            message = f"a row is a mapping of columns to values, not {row!r:.80}"
            raise InvalidValueError(message)
        if not row:
            telling.warn("an empty row is not logged")
            return {}
        stored = writer.log(row, _AROUND.get(_NOWHERE).get(id(self), _NOTHING))
        mirror = logfiles.active()
        if mirror is not None:
            mirror.row(stored)
        return stored

    def log_batch(self, rows: Iterable[Mapping[Any, Any]]) -> int:
        """Append many rows: dictionaries, or those of a pandas or Polars data frame.

        Returns:
            How many were logged.

        Raises:
            InvalidValueError: One cannot be stored; those before it are.
        """
        if isinstance(rows, Mapping | str) or not isinstance(rows, Iterable):
            message = "log_batch takes several rows, such as a list of dictionaries"
            raise InvalidValueError(message)
        self._open_writer()
        if hasattr(rows, "to_dicts"):
            rows = rows.to_dicts()
        elif hasattr(rows, "to_dict") and hasattr(rows, "columns"):
            rows = rows.to_dict("records")
        return sum(bool(self.log(row)) for row in rows)

    def log_artifact(self, path: str | Path, name: str | None = None) -> dict[str, Any]:
        """Append a row that holds a file, in the column `name` or that of the file's name."""
        return self.log({name or Path(path).name: File(path)})

    @contextlib.contextmanager
    def context(self, row: Mapping[Any, Any] | None = None, /, **data: Any) -> Iterator[Self]:
        """Add data to the rows that this thread or task logs inside the block.

        Contexts nest, and end with their block, however it ends.

        Args:
            row: Values by column, for columns that are no Python names.
            **data: More of them; these win.

        Raises:
            InvalidValueError: A name or value cannot be stored.
            ReadOnlyError: The run has ended or was opened for reading.
        """
        if row is not None and not _is_mapping(row):
            message = f"a context is a mapping of columns to values, not {row!r:.80}"
            raise InvalidValueError(message)
        cells = self._open_writer().encoded({**(row or {}), **data})
        around = _AROUND.get(_NOWHERE)
        token = _AROUND.set({**around, id(self): {**around.get(id(self), _NOTHING), **cells}})
        try:
            yield self
        finally:
            _AROUND.reset(token)

    def set_params(self, params: Mapping[Any, Any]) -> None:
        """Add data to every later row; a column of the row's own wins."""
        self._open_writer().set_params(params)

    def set_value(self, name: str, value: Any, where: Mapping[str, Any] | None = None) -> None:
        """Set a column of the rows that were logged so far, not of later ones.

        Args:
            name: The column.
            value: Its value from now on.
            where: Only rows that have these values.
        """
        self._open_writer().amend(name, value, {} if where is None else where)

    def capture_console(self) -> None:
        """Record what this program prints from now on, to stdout and stderr.

        The run's document shows the end of it, and all of it becomes a blob when the run ends.
        """
        self._accompanied().capture_console()

    def sample_system(self, interval: float = 10.0) -> None:
        """Sample the load of processors, memory, disk, network and GPUs until the run ends.

        Args:
            interval: Seconds between two samples; `system_rows` returns them.

        Raises:
            MissingExtraError: psutil is not installed.
        """
        if not interval > 0:
            message = f"the interval is a number of seconds above 0, not {interval!r}"
            raise InvalidValueError(message)
        self._accompanied().sample(interval)

    def rows(self) -> Rows:
        """Return all rows of this run, those of other processes too; a read for each chunk."""
        return self._stream(None)

    def system_rows(self) -> Rows:
        """Return the samples of the machine's load that were taken during the run."""
        return self._stream(SYSTEM)

    def latest(
        self,
        columns: str | Sequence[str] = "*",
        index: str | Sequence[str] | None = None,
        *,
        deep_merge: bool = True,
    ) -> Any:
        """Return the last value of columns; see `Rows.latest`."""
        return self.rows().latest(columns, index, deep_merge=deep_merge)

    def get(self, /, **keys: Any) -> Rows:
        """Return the rows that have all of these values."""
        return self.rows().get(**keys)

    def filter(self, predicate: Predicate) -> Rows:
        """Return the rows that a predicate accepts; see `Rows.filter`."""
        return self.rows().filter(predicate)

    @property
    def summary(self) -> dict[str, Any]:
        """Last, least, greatest value and step of every numeric column that was logged."""
        fields, writer = self._fields, self._writer
        own, others = fields.get("summary", {}), fields.get("summary_of_others", {})
        if writer is not None and writer.is_main:
            own = writer.summary
        elif writer is not None:
            others = merged_by_step(others, writer.summary)
        return merged_by_step(own, others)

    def _see_again(self, told: Changes) -> None:
        """See what was stored since the document was read, and over it what was told here."""
        document = self._session.documents.get(self._path)
        if document is not None:
            with self._lock:
                self._fields = changed_fields(document.fields, told)

    def _carry_step(self) -> None:
        """Go on with the step that the run had come to."""
        if self._writer is not None:
            self._writer.carry_step(self._fields.get("last_step"))

    def _learn(self, fields: Mapping[str, Value]) -> None:
        """See what the store added to the document when it was created, such as its number."""
        with self._lock:
            self._fields = {**fields, **self._fields}

    def _accompanied(self) -> Companion:
        writer = self._open_writer()
        if self._companion is None:
            self._companion = Companion(self._session, writer, self._change)
        return self._companion

    def _stream(self, stream: str | None) -> Rows:
        # Before the store is asked: what is sent meanwhile is found there.
        unsent = {writer.name: writer.unsent() for writer in self._writers_here()}
        stored = self._writer is None or not self._writer.is_unseen
        columns = read_columns(self._session, self._path, unsent, stream, stored=stored)
        return rows_of(self._session, columns, from_id(self._path.rpartition("/")[2]))

    def _writers_here(self) -> Iterator[RunWriter]:
        """Yield this process's writers of the run, those of other handles too."""
        if self._writer is not None:
            yield self._writer
        for run in self._session.live_runs.runs():
            if not isinstance(run, Recording) or run is self:
                continue
            path, writer = run._path, run._writer  # noqa: SLF001 - another handle of this run
            if path == self._path and writer is not None:
                yield writer

    def _open_writer(self) -> RunWriter:
        writer = self._writer
        if writer is None or self._refuse() is not None:
            raise ReadOnlyError(self._refuse() or f"{self!r} takes no rows")
        return writer

    def _part(self, name: str) -> RunRecord:
        """Return its record with one field alone, without reading all the others."""
        known = {name: self._fields[name]} if name in self._fields else {}
        return codec.run_record(self._path, known, None)

    def _record_changes(self, encoded: Mapping[FieldPath, Value | Removal]) -> None:
        if encoded:
            self._session.recorder.set(self._path, encoded, self._writer)

    def _note_log_file(self, where: FieldPath, path: Path) -> None:
        self._log_files[where] = path

    def _store_log_files(self) -> None:
        """Log what live log files have become."""
        files, self._log_files = self._log_files, {}
        for (column, *inside), path in files.items():
            if path.is_file():
                value: Any = File(path)
                for key in reversed(inside):
                    value = [value] if key == IN_LIST else {key: value}
                self.log({shown_name(column): value})

    def _sure_summary(self) -> dict[str, Any]:
        """Return the summary of columns of which some rows were changed, counted anew."""
        writer = self._writer
        if writer is None or not writer.unsure:
            return {}
        columns = read_columns(self._session, self._path, {writer.name: writer.unsent()})
        found = summary_of(columns)
        sure = {name: found[name] for name in writer.unsure if name in found}
        writer.correct(sure)
        return {name: sure.get(name, REMOVE) for name in writer.unsure}


def _is_mapping(row: object) -> bool:
    return type(row) is dict or isinstance(row, Mapping)
