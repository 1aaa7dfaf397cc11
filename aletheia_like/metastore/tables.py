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
from aletheia_like.metastore.frames import frame_of
from aletheia_like.metastore.runcolumns import RUN_COLUMNS, run_columns
from aletheia_like.metastore.texttable import (
    cell_text,
    column_texts,
    in_order,
    shown_places,
    text_table,
)
from aletheia_like.model.bulk import uncollected
from aletheia_like.model.names import from_id
from aletheia_like.model.records import RunRecord
from aletheia_like.model.values import INT64, LongText
from aletheia_like.ports.documents import Document

_PLAIN = frozenset("bool int float str bytes moment datetime date time timedelta".split())
_LISTS = frozenset(f"list {name}" for name in _PLAIN)
_SCALARS = frozenset({bool, int, float, str, bytes})
_UNKNOWN = "unknown"


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

    @functools.cached_property
    def _by_column(self) -> dict[str, list[Any]]:
        """The columns, in their order."""
        names = in_order(itertools.chain.from_iterable(self._rows), self._first)
        return {name: [row.get(name) for row in self._rows] for name in names}

    @property
    def columns(self) -> list[str]:
        """Names of all columns: what every row has, parameters, metrics, others by their name."""
        return list(self._by_column)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries, every column in each."""
        names = self.columns
        rows = zip(*self._by_column.values(), strict=True) if names else ((),) * len(self)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame; what a row lacks is NaN."""
        return frame_of(self._by_column, len(self))

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
        if column not in self._by_column:
            message = f"no column {column!r}: there are {', '.join(self.columns) or 'none'}"
            raise NotFoundError(message)
        return list(self._by_column[column])

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
        places = shown_places(len(self))
        return {
            name: [cells[place] for place in places] for name, cells in self._by_column.items()
        }


class Runs(Table):
    """Run records; parameters and metrics are columns `hyper_params.x` and `metrics.y`.

    Args:
        documents: The runs' documents; they are read when something is asked for.
    """

    _noun = "runs"

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = list(documents)

    @functools.cached_property
    def _by_column(self) -> dict[str, list[Any]]:
        with uncollected():
            columns = run_columns(self._documents)
        return {name: columns[name] for name in in_order(columns, RUN_COLUMNS)}

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
