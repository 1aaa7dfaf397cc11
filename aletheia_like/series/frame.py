"""Rows that were read: columns as numpy arrays, and as the tables of other libraries."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from aletheia_like.extras import import_extra
from aletheia_like.series.casting import Columns, absent
from aletheia_like.series.encoding import Array
from aletheia_like.series.schema import Column, Schema


class Frame:
    """Rows of a series, ordered by the index.

    `frame["value"]` is a numpy array: `datetime64[ns]` in UTC, `float64`, `int64`, `bool`, or
    objects for text; masked where whole numbers or booleans may be absent.

    Args:
        schema: Of the series.
        columns: Arrays of one length, in the order in which they are shown.
    """

    def __init__(self, schema: Schema, columns: Columns) -> None:
        self._schema = schema
        self._columns = columns

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self._columns)

    @property
    def schema(self) -> Schema:
        """The schema of the series, whichever columns were selected."""
        return self._schema

    def df(self) -> Any:
        """Return a pandas DataFrame, the index as ordinary columns."""
        pandas = import_extra("pandas", None)
        data = {name: self._series(pandas, name) for name in self._columns}
        return pandas.DataFrame(data, columns=list(self._columns), index=range(len(self)))

    to_pandas = df

    def to_arrow(self) -> Any:
        """Return an Arrow table.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        arrow = import_extra("pyarrow", "sql")
        arrays = [
            arrow.array(_plain(column), _arrow_type(arrow, self._schema[name]), _mask(column))
            for name, column in self._columns.items()
        ]
        return arrow.table(dict(zip(self._columns, arrays, strict=True)))

    def to_polars(self) -> Any:
        """Return a Polars DataFrame.

        Raises:
            MissingExtraError: Polars is not installed.
        """
        polars = import_extra("polars", "polars")
        found = []
        for name, column in self._columns.items():
            one = self._schema[name]
            kinds = {"float": polars.Float64, "int": polars.Int64, "bool": polars.Boolean}
            if one.base == "timestamp":
                series = polars.Series(name, _plain(column))
                if one.zone:
                    series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(one.zone)
            elif one.base in kinds and not isinstance(column, np.ma.MaskedArray):
                series = polars.Series(name, column, kinds[one.base])
            else:
                series = polars.Series(name, column.tolist(), kinds.get(one.base, polars.String))
            found.append(series)
        return polars.DataFrame(found)

    def to_csv(self, target: str | Path | IO[str]) -> None:
        """Write the rows with a line of names; what is absent is empty."""
        if isinstance(target, str | Path):
            with Path(target).open("w", encoding="utf-8", newline="") as stream:
                self.to_csv(stream)
            return
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(self.names)
        writer.writerows(self.texts())

    def to_parquet(self, path: str | Path) -> None:
        """Write the rows into a Parquet file.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        table = self.to_arrow()
        import_extra("pyarrow.parquet", "sql").write_table(table, path, compression="zstd")

    def texts(self) -> Iterator[tuple[str, ...]]:
        """Yield each row as texts, as they stand in CSV."""
        columns = [self._texts(name) for name in self._columns]
        return zip(*columns, strict=True)

    def zoned(self, name: str) -> Any:
        """Return a column as what it means: one of moments in a time zone as pandas has it."""
        if self._schema[name].zone is None:
            return self._columns[name]
        return self._series(import_extra("pandas", None), name)

    def records(self) -> list[dict[str, Any]]:
        """Return each row as a mapping with plain values: moments as texts, None for no value."""
        columns = {
            name: [text or None for text in self._texts(name)]
            if self._schema[name].base == "timestamp"
            else column.tolist()
            for name, column in self._columns.items()
        }
        return [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]

    def slice(self, start: int, stop: int) -> Frame:
        """Return some of the rows."""
        return Frame(self._schema, {name: one[start:stop] for name, one in self._columns.items()})

    def equals(self, other: Frame) -> bool:
        """Whether another frame has the same columns and rows."""
        return self.names == other.names and all(
            same(self[name], other[name]) for name in self._columns
        )

    def __getitem__(self, name: str) -> Array:
        if name not in self._columns:
            self._schema[name]
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def __repr__(self) -> str:
        return f"<Frame of {len(self):,} rows: {', '.join(self._columns)}>"

    def _repr_html_(self) -> str:
        return str(self.df()._repr_html_())

    def _series(self, pandas: Any, name: str) -> Any:
        column, one = self._columns[name], self._schema[name]
        if one.base == "timestamp" and one.zone:
            index = pandas.DatetimeIndex(column, tz="UTC").tz_convert(one.zone)
            return pandas.Series(index)
        if isinstance(column, np.ma.MaskedArray):
            kind = "Int64" if one.base == "int" else "boolean"
            return pandas.Series(column.tolist(), dtype=kind)
        return pandas.Series(column, dtype="str" if one.base == "str" else None)

    def _texts(self, name: str) -> Sequence[str]:
        column, one = self._columns[name], self._schema[name]
        if one.base == "timestamp":
            if one.zone:
                pandas = import_extra("pandas", None)
                moments = self._series(pandas, name)
                return ["" if pandas.isna(when) else when.isoformat() for when in moments]
            return [_moment_text(text) for text in np.datetime_as_string(column).tolist()]
        if one.base == "str":
            return ["" if value is None else value for value in column.tolist()]
        if one.base == "bool":
            return ["" if v is None else str(v).lower() for v in column.tolist()]
        return ["" if v is None or math.isnan(v) else repr(v) for v in column.tolist()]


def empty(schema: Schema, names: Sequence[str] | None = None) -> Frame:
    """Return a frame without rows."""
    wanted = schema.names if names is None else names
    return Frame(schema, {name: absent(schema[name], 0) for name in wanted})


def same(left: Array, right: Array) -> bool:
    """Whether two columns have the same values; what is absent equals what is absent."""
    if len(left) != len(right):
        return False
    if left.dtype.kind == "f":
        return bool((left.view("<i8") == right.view("<i8")).all())
    if left.dtype.kind == "M":
        return bool((left.view("<i8") == right.view("<i8")).all())
    if isinstance(left, np.ma.MaskedArray) or isinstance(right, np.ma.MaskedArray):
        masks = np.ma.getmaskarray(left), np.ma.getmaskarray(right)
        if not bool((masks[0] == masks[1]).all()):
            return False
        return bool((np.ma.filled(left, 0)[~masks[0]] == np.ma.filled(right, 0)[~masks[0]]).all())
    return bool(np.asarray(left == right).all())


def _moment_text(text: str) -> str:
    if text == "NaT":
        return ""
    seconds, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    return f"{seconds}.{fraction}" if fraction else seconds


def _plain(column: Array) -> Array:
    return column.filled(0) if isinstance(column, np.ma.MaskedArray) else column


def _mask(column: Array) -> Array | None:
    return np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None


def _arrow_type(arrow: Any, column: Column) -> Any:
    if column.base == "timestamp":
        return arrow.timestamp("ns", tz=column.zone)
    kinds = {"float": arrow.float64, "int": arrow.int64, "bool": arrow.bool_}
    return kinds.get(column.base, arrow.string)()
