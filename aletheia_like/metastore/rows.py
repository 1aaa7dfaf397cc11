"""Rows as they are read: by key, by predicate, the latest of each column, as a table."""

from __future__ import annotations

import csv
import difflib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.extras import import_extra
from aletheia_like.metastore.assets import complete
from aletheia_like.metastore.frames import frame_of
from aletheia_like.metastore.latest import last, last_by_key
from aletheia_like.metastore.rowfiles import check_target, csv_cell, is_uniform
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.tables import Table
from aletheia_like.metastore.texttable import shown_places
from aletheia_like.model.rows import ABSENT, RUN_ID, TIMESTAMP, Columns, check_mapping, moment
from aletheia_like.model.values import LongText, LongValue

_NAMED = 10
"""How many columns an error names."""

Predicate = Callable[[dict[str, Any]], bool]


class Rows(Table):
    """Logged rows, in the order they were logged; reading never changes them.

    Args:
        columns: Values by column, all of one length; `ABSENT` where a row lacks the column.
        count: How many rows there are.
        read: Completes a value that lies elsewhere, such as a long text.
        whole: Columns of which no value does.
    """

    def __init__(
        self,
        columns: Mapping[str, Sequence[Any]],
        count: int,
        read: Callable[[Any], Any] | None = None,
        whole: Iterable[str] = (),
    ) -> None:
        self._columns = dict(columns)
        self._count = count
        self._read = read
        self._complete = set(whole)

    @property
    def columns(self) -> list[str]:
        """Names of all columns, in the order of first appearance."""
        return list(self._columns)

    def get(self, /, **keys: Any) -> Rows:
        """Return the rows that have all of these values."""
        kept: Sequence[int] = range(self._count)
        for name, value in keys.items():
            if name not in self._columns:
                return self.chosen([])
            cells = self._cells(name)
            kept = [index for index in kept if _is_equal(cells[index], value)]
        return self.chosen(kept)

    def filter(self, predicate: Predicate | Mapping[str, Any]) -> Rows:
        """Return the rows that a predicate accepts; an error it raises goes on to the caller.

        Args:
            predicate: Takes a row as a dictionary, which holds only the columns it has. Or a
                mapping of columns to values or to predicates of the value, which a row without
                the column does not satisfy.
        """
        if callable(predicate):
            chosen = [index for index, row in enumerate(self) if predicate(row)]
            return self.chosen(chosen)
        check_mapping(predicate, "values to filter by, if not a function,")
        kept: Sequence[int] = range(self._count)
        for name, accepts in predicate.items():
            if name not in self._columns:
                return self.chosen([])
            cells = self._cells(name)
            if not callable(accepts):
                kept = [i for i in kept if _is_equal(cells[i], accepts)]
                continue
            kept = [i for i in kept if cells[i] is not ABSENT and accepts(cells[i])]
        return self.chosen(kept)

    def head(self, n: int = 5) -> Rows:
        """Return the first rows."""
        return self.chosen(range(self._count)[: _count(n)])

    def tail(self, n: int = 5) -> Rows:
        """Return the last rows."""
        return self.chosen(range(self._count)[max(0, self._count - _count(n)) :])

    def latest(
        self,
        columns: str | Sequence[str] = "*",
        index: str | Sequence[str] | None = None,
        *,
        deep_merge: bool = True,
        keep_rows_without_values: bool = False,
    ) -> Any:
        """Return the last value of columns: over all rows, or for each value of an index.

        None counts as no value. Dictionaries are merged, key by key, later rows winning.

        Args:
            columns: One name, several, or `"*"` for every column there is.
            index: One or several columns that group the rows.
            deep_merge: False takes the last dictionary as it is.
            keep_rows_without_values: With an index, keep groups in which no column has a value.

        Returns:
            Without an index: the value or None for one name, else a dictionary of the columns
            that have one. With an index: a pandas DataFrame, one row for each distinct index,
            sorted by it, the index as ordinary columns first.
        """
        one = isinstance(columns, str) and columns != "*"
        names = self.columns if columns == "*" else _names(columns)
        if index is not None:
            keep = keep_rows_without_values
            table = self.latest_columns(columns, index, deep_merge=deep_merge, keep=keep)
            return frame_of(table, len(next(iter(table.values()))))
        found = {
            name: last(self._backwards(name), merge=deep_merge)
            for name in names
            if name in self._columns
        }
        if one:
            return found.get(names[0])
        return {name: value for name, value in found.items() if value is not None}

    def latest_columns(
        self,
        columns: str | Sequence[str],
        index: str | Sequence[str],
        *,
        deep_merge: bool = True,
        keep: bool = False,
    ) -> dict[str, list[Any]]:
        """Return what `latest` returns with an index, as lists: every value is what was logged."""
        keys, every = _names(index), columns == "*"
        if not keys:
            message = "an index is one column or several, not none"
            raise InvalidValueError(message)
        apart = {*keys, TIMESTAMP, RUN_ID} if every else {*keys}
        names = self.columns if every else _names(columns)
        wanted = [name for name in names if name not in apart]
        if any(name not in self._columns for name in keys):
            return {name: [] for name in [*keys, *wanted]}
        known = {name: self._cells(name) for name in wanted if name in self._columns}
        found = last_by_key([self._cells(key) for key in keys], known, merge=deep_merge, keep=keep)
        table = {**dict(zip(keys, found.keys, strict=True)), **found.columns}
        return {name: table[name] for name in [*keys, *wanted] if name in table}

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries, each with the columns it has."""
        return list(self)

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame; what a row lacks is NaN."""
        is_raw = self._read is not None and TIMESTAMP not in self._complete
        stamps = TIMESTAMP if is_raw else None
        return frame_of(self._columns, self._count, self.__getitem__, stamps)

    def to_csv(self, path: str | Path) -> Path:
        """Write the rows as comma-separated values; dictionaries and lists as JSON."""
        target = check_target(path)
        with target.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(self.columns)
            columns = [[csv_cell(value) for value in self[name]] for name in self._columns]
            writer.writerows(zip(*columns, strict=True))
        return target

    def to_parquet(self, path: str | Path) -> Path:
        """Write the rows as a Parquet file, with the columns of `to_arrow`."""
        target = check_target(path)
        import_extra("pyarrow.parquet", "sql").write_table(self.to_arrow(), target)
        return target

    @overload
    def __getitem__(self, column: str) -> list[Any]: ...
    @overload
    def __getitem__(self, column: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, column: slice) -> Rows: ...
    def __getitem__(self, column: object) -> list[Any] | dict[str, Any] | Rows:
        """Return a column, None where a row lacks it; a row by its number; or a slice of rows.

        Raises:
            NotFoundError: There is no such column.
            IndexError: There is no such row.
        """
        if isinstance(column, slice):
            return self.chosen(range(self._count)[column])
        if isinstance(column, int):
            if not -self._count <= column < self._count:
                message = f"no row {column}: there are {self._count}"
                raise IndexError(message)
            return next(iter(self.chosen([column % self._count])))
        if not isinstance(column, str):
            message = (
                f"rows are asked for a column, a number or a slice, not {column!r:.80}: "
                "to_pandas() makes a table of several columns"
            )
            raise InvalidValueError(message)
        if column not in self._columns:
            near = difflib.get_close_matches(column, self.columns) or self.columns[:_NAMED]
            message = f"no column {column!r:.80}: there is {', '.join(near) or 'none'}"
            raise NotFoundError(message)
        return [None if cell is ABSENT else cell for cell in self._cells(column)]

    def stored(self, column: str) -> Sequence[Any]:
        """Return a column as it is stored: files, and what is long, as references; nothing read.

        It holds `ABSENT` where a row lacks the column.
        """
        return self._columns[column]

    def __contains__(self, column: object) -> bool:
        return column in self._columns

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for name in self._columns:
            self._cells(name)
        return (self._row(index) for index in range(self._count))

    def _shown(self) -> dict[str, list[Any]]:
        places = shown_places(self._count)
        return {
            name: [self._seen(cells[place], name) for place in places]
            for name, cells in self._columns.items()
        }

    def _seen(self, cell: Any, name: str) -> Any:
        """Return a cell as far as it is known here: to look at a table reads nothing."""
        if cell is ABSENT:
            return None
        if self._read is None or name in self._complete or type(cell) in _ELSEWHERE:
            return cell
        return _as_moment(cell) if name == TIMESTAMP else self._read(cell)

    def _ipython_key_completions_(self) -> list[str]:
        return self.columns

    def _exported(self, name: str) -> list[Any]:
        cells = self[name]
        if is_uniform(cells):
            return [cell if isinstance(cell, list) else csv_cell(cell) for cell in cells]
        return [csv_cell(cell) for cell in cells]

    def _row(self, index: int) -> dict[str, Any]:
        return {
            name: cell
            for name in self._columns
            if (cell := self._cells(name)[index]) is not ABSENT
        }

    def _cells(self, name: str) -> Sequence[Any]:
        """Return a column with what lies elsewhere read."""
        cells = self._columns[name]
        if self._read is not None and name not in self._complete:
            self._complete.add(name)
            if name == TIMESTAMP:
                cells = self._columns[name] = [_as_moment(cell) for cell in cells]
            elif not _SIMPLE.issuperset(map(type, cells)):
                cells = self._columns[name] = [self._read(cell) for cell in cells]
        return cells

    def _backwards(self, name: str) -> Iterator[Any]:
        """Yield a column from its end, and read what lies elsewhere only as far as it is asked."""
        read = None if name in self._complete else self._read
        if name == TIMESTAMP:
            read = _as_moment
        for cell in reversed(self._columns[name]):
            plain = read is None or (type(cell) in _SIMPLE and read is not _as_moment)
            yield cell if read is None or plain else read(cell)

    def with_column(self, name: str, value: Any) -> Rows:
        """Return the same rows with a column of one value, where they do not have it."""
        if not self._count:
            return self
        cells = self._columns.get(name, [ABSENT] * self._count)
        filled = [value if cell is ABSENT else cell for cell in cells]
        return Rows({**self._columns, name: filled}, self._count, self._read)

    def chosen(self, indices: Sequence[int]) -> Rows:
        """Return the rows of these numbers, in this order."""
        if indices == range(self._count):
            return self
        columns: dict[str, list[Any]] = {}
        for name, cells in self._columns.items():
            kept = [cells[index] for index in indices]
            if any(cell is not ABSENT for cell in kept):
                columns[name] = kept
        return Rows(columns, len(indices), self._read)


_ELSEWHERE = (LongText, LongValue)
_SIMPLE = frozenset({type(None), bool, int, float, str, bytes, type(ABSENT)})


def rows_of(session: Session, columns: Columns, run_id: str) -> Rows:
    """Return a run's rows for its user, with their moments and the run's id."""
    cells: dict[str, Sequence[Any]] = dict(columns.cells)
    # As numbers: hardly anybody asks for the moment of every row.
    cells[TIMESTAMP] = columns.timestamps
    cells[RUN_ID] = [run_id] * len(columns)
    whole = (*columns.cells, RUN_ID) if columns.is_flat else (RUN_ID,)
    return Rows(cells, len(columns), functools.partial(complete, session), whole)


def joined_rows(parts: Sequence[Rows]) -> Rows:
    """Return the rows of all parts, one part after the other."""
    names = dict.fromkeys(name for part in parts for name in part.columns)
    columns: dict[str, list[Any]] = {}
    for name in names:
        column: list[Any] = []
        for part in parts:
            column += part._columns.get(name) or [ABSENT] * len(part)  # noqa: SLF001 - its own kind
        columns[name] = column
    read = next((part._read for part in parts if part._read), None)  # noqa: SLF001
    return Rows(columns, sum(map(len, parts)), read)


def _as_moment(cell: Any) -> Any:
    return moment(cell) if type(cell) is float else cell


def _names(columns: str | Sequence[str]) -> list[str]:
    names = [columns] if isinstance(columns, str) else columns
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        message = f"columns are named by a text or a list of texts, not {columns!r:.80}"
        raise InvalidValueError(message)
    return list(names)


def _is_equal(cell: Any, value: Any) -> bool:
    if cell is ABSENT or isinstance(cell, bool) != isinstance(value, bool):
        return False
    return bool(cell == value)


def _count(n: int) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        message = f"a number of rows is 0 or more, not {n!r}"
        raise InvalidValueError(message)
    return n
