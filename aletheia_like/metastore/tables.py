"""Rows for people and data frames: what `runs()` and `results()` return."""

from __future__ import annotations

import datetime as dt
import functools
import html
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

from aletheia_like.errors import NotFoundError
from aletheia_like.extras import import_extra
from aletheia_like.metastore.changes import seen_record
from aletheia_like.metastore.texttable import (
    cell_text,
    column_texts,
    in_order,
    shown_places,
    text_table,
)
from aletheia_like.model import codec
from aletheia_like.model.bulk import uncollected
from aletheia_like.model.names import from_id
from aletheia_like.model.parameters import flattened
from aletheia_like.model.records import RunRecord, lasted, seen_status
from aletheia_like.model.values import INT64, LongText
from aletheia_like.ports.documents import Document

_PLAIN = frozenset("bool int float str bytes moment datetime date time timedelta".split())
_LISTS = frozenset(f"list {name}" for name in _PLAIN)
_SCALARS = frozenset({bool, int, float, str, bytes})
_UNKNOWN = "unknown"
_NO_COLUMNS = frozenset(
    "environment error datasets artifacts console summary summary_of_others token notes "
    "stop_requested heartbeat_at resumed_at updated_by used_artifacts dependencies".split()
)
"""Fields of a run that its row does not show, so that they need not be read for it."""

_ROW_FIELDS = tuple(
    "experiment id number name status fold model started_at ended_at updated_at git tags parent "
    "desc hyper_params metrics deleted_at extra".split()
)

RUN_COLUMNS = tuple(
    "experiment id number name status fold model started_at ended_at seconds commit tags parent "
    "desc".split()
)
"""The columns that every run has."""


class Table:
    """Rows with the union of their columns; what a row lacks is None.

    Args:
        rows: Values by column.
        first: Columns that come first, in this order. The others follow by their names, since a
            store may return the fields of a document in any order.
    """

    _noun = "rows"

    def __init__(self, rows: Sequence[Mapping[str, Any]], first: Sequence[str] = ()) -> None:
        self._rows = [dict(row) for row in rows]
        self._first = first

    @property
    def columns(self) -> list[str]:
        """Names of all columns: what every row has, parameters, metrics, others by their name."""
        return in_order(itertools.chain.from_iterable(self._rows), self._first)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries, every column in each."""
        columns = self.columns
        return [{column: row.get(column) for column in columns} for row in self._rows]

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame; what a row lacks is NaN."""
        pandas = import_extra("pandas", None)
        columns = self.columns
        data = {name: [row.get(name) for row in self._rows] for name in columns}
        return pandas.DataFrame(data, columns=columns, index=range(len(self)))

    def to_polars(self) -> Any:
        """Return a Polars DataFrame, with the columns of `to_arrow`."""
        frame = import_extra("polars", "polars").DataFrame
        columns = {name: _one_type(self._exported(name)) for name in self.columns}
        return frame(columns, strict=False)

    def to_arrow(self) -> Any:
        """Return an Arrow table.

        Columns of mixed types become text, dictionaries and lists of mixed types JSON, files
        their sha-256.
        """
        table = import_extra("pyarrow", "sql").table
        return table({name: _one_type(self._exported(name)) for name in self.columns})

    def _exported(self, name: str) -> list[Any]:
        """Return a column with nothing in it that other tables do not know."""
        return self[name]

    def __getitem__(self, column: str) -> list[Any]:
        if column not in self.columns:
            message = f"no column {column!r}: there are {', '.join(self.columns) or 'none'}"
            raise NotFoundError(message)
        return [row.get(column) for row in self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.to_dicts())

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return text_table(self._shown(), len(self), self._noun)

    def _repr_html_(self) -> str:
        columns = self._shown()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
        texts = [column_texts(name, cells) for name, cells in columns.items()]
        body = "".join(
            f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in row)}</tr>"
            for row in zip(*texts, strict=True)
        )
        size = f"{len(self):,} {self._noun} x {len(columns):,} columns"
        more = len(self) - len(shown_places(len(self)))
        left_out = f", {more:,} not shown" if more else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"{table}<p>{size}{left_out}</p>"

    def _shown(self) -> dict[str, list[Any]]:
        """Return of each column the cells that a person is shown."""
        rows = [self._rows[place] for place in shown_places(len(self))]
        return {name: [row.get(name) for row in rows] for name in self.columns}


class Runs(Table):
    """Run records; parameters and metrics are columns `hyper_params.x` and `metrics.y`.

    Args:
        documents: The runs' documents; they are read when something is asked for.
    """

    _noun = "runs"

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = list(documents)
        self._first = RUN_COLUMNS

    @functools.cached_property
    def _rows(self) -> list[dict[str, Any]]:  # type: ignore[override]
        with uncollected():
            return [_row(_seen_values(one)) for one in self._documents]

    @functools.cached_property
    def records(self) -> list[RunRecord]:
        """Everything that is stored about each run."""
        return [seen_record(document) for document in self._documents]

    def filter(self, accept: Callable[[RunRecord], Any]) -> Runs:
        """Return the runs whose record a function accepts, in their order."""
        pairs = zip(self._documents, self.records, strict=True)
        return Runs([document for document, record in pairs if accept(record)])

    @property
    def documents(self) -> list[Document]:
        """The runs' documents, as they were read."""
        return list(self._documents)

    @property
    def ids(self) -> list[str]:
        """Ids of the runs."""
        return [from_id(document.id) for document in self._documents]

    @overload
    def __getitem__(self, key: str) -> list[Any]: ...
    @overload
    def __getitem__(self, key: int) -> RunRecord: ...
    @overload
    def __getitem__(self, key: slice) -> Runs: ...
    def __getitem__(self, key: str | int | slice) -> list[Any] | RunRecord | Runs:
        """Return a column by its name, a run's record by its place, or some of the runs."""
        if isinstance(key, str):
            return super().__getitem__(key)
        if isinstance(key, slice):
            return Runs(self._documents[key])
        return self.records[key]

    def __iter__(self) -> Iterator[RunRecord]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self._documents)


def _seen_values(document: Document) -> dict[str, Any]:
    """Return what a run's row shows; to make a record of it would take half as long again."""
    fields = {name: value for name, value in document.fields.items() if name not in _NO_COLUMNS}
    values = codec.run_values(document.path, fields, document.updated_at)
    given = values.get("status", "running")
    return values | {"status": seen_status(given, document.updated_at, document.read_at)}


def run_row(record: RunRecord) -> dict[str, Any]:
    """Return a run as one flat row."""
    return _row({name: getattr(record, name) for name in _ROW_FIELDS})


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    get = values.get
    model, git, until = get("model"), get("git"), get("ended_at") or get("updated_at")
    duration = lasted(get("started_at"), until)
    row: dict[str, Any] = {
        "experiment": values["experiment"],
        "id": values["id"],
        "number": get("number"),
        "name": get("name"),
        "status": values["status"],
        "fold": get("fold"),
        "model": model.name if model else None,
        "started_at": get("started_at"),
        "ended_at": get("ended_at"),
        "seconds": duration.total_seconds() if duration else None,
        "commit": git.commit if git else None,
        "tags": list(get("tags") or ()),
        "parent": get("parent"),
        "desc": get("desc"),
    }
    parameters = get("hyper_params")
    if isinstance(parameters, Mapping):
        row |= flattened(parameters, "hyper_params.")
    row |= flattened(get("metrics") or {}, "metrics.")
    if get("deleted_at") is not None:
        row["deleted_at"] = get("deleted_at")
    row |= get("extra") or {}
    return row


def _one_type(values: Sequence[Any]) -> list[Any]:
    """Return a column as it is if its values share a type that all tables know, else as text."""
    types = {type(value) for value in values} - {type(None)}
    if int in types and any(type(value) is int and value not in INT64 for value in values):
        return [None if value is None else _as_text(value) for value in values]
    if types == {int, float}:
        values = [None if value is None else float(value) for value in values]
    elif len(types) > 1 or not types <= _SCALARS:
        kinds = {_kind(value) for value in values if value is not None}
        # An empty list goes with lists of any kind.
        if len(kinds) > 1 and kinds - {"list"} <= _LISTS:
            kinds.discard("list")
        if len(kinds) > 1 or _UNKNOWN in kinds:
            return [None if value is None else _as_text(value) for value in values]
    return list(values)


def _kind(value: Any) -> str:
    """Return a value's type as columns distinguish them; of a list, what is inside."""
    if isinstance(value, dt.datetime):
        return "datetime" if value.tzinfo is None else "moment"
    if isinstance(value, list):
        inner = {_kind(item) for item in value}
        if not inner:
            return "list"
        found = f"list {min(inner)}"
        return found if len(inner) == 1 and found in _LISTS else _UNKNOWN
    name = type(value).__name__
    return name if name in _PLAIN else _UNKNOWN


def _as_text(value: Any) -> str:
    if isinstance(value, LongText):
        return cell_text(value)
    if isinstance(value, dict | list):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)
