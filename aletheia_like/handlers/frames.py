"""Handlers of tables: data frames of pandas and Polars, and tables of Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.handlers.handler import Handler, Options, is_a, needed
from aletheia_like.model.names import with_article

_PANDAS, _POLARS, _ARROW = "pandas", "polars", "arrow"
_INSTALL = "'aletheia-like[polars]'"

_ALIKE = ("sep", "encoding", "compression", "decimal", "quotechar", "escapechar", "doublequote")
_PANDAS_READS = {**{name: name for name in _ALIKE}, "errors": "encoding_errors"}
_POLARS_READS = {
    "separator": "separator",
    "quote_char": "quote_char",
    "include_header": "has_header",
    "null_value": "null_values",
    "decimal_comma": "decimal_comma",
}
"""Options of writing CSV that reading needs, and what they are called there."""


class Parquet(Handler):
    """Parquet: types, names and index come back; `load(frame=…)` gives another kind of table."""

    name = "parquet"
    media_type = "application/vnd.apache.parquet"
    suffix = ".parquet"

    def accepts(self, value: Any) -> bool:
        return _kind(value) is not None

    def dump(self, value: Any, path: Path, **options: Any) -> Options:
        kind = _known(value)
        if kind == _ARROW and len(set(value.column_names)) < value.num_columns:
            message = (
                "two of its columns have the same name, and neither could be read: rename one"
            )
            raise InvalidValueError(message)
        if kind == _PANDAS:
            needed("pyarrow")
            # Nothing else in the file would tell how many rows there are.
            counted = {} if len(value.columns) else {"index": True}
            value.to_parquet(path, **{"engine": "pyarrow", **counted, **options})
        elif kind == _POLARS:
            value.write_parquet(path, **options)
        else:
            needed("pyarrow.parquet").write_table(value, path, **options)
        return {"frame": kind}

    def load(self, path: Path, frame: str = _PANDAS, **options: Any) -> Any:
        if _asked(frame) == _POLARS:
            return needed("polars", _INSTALL).read_parquet(path, **options)
        arrow = needed("pyarrow.parquet")
        if frame == _ARROW:
            return arrow.read_table(path, **options)
        return needed("pandas").read_parquet(path, **{"engine": "pyarrow", **options})

    def libraries(self, value: Any) -> tuple[str, ...]:
        kind = _kind(value)
        return (kind,) if kind == _POLARS else ("pandas", "pyarrow")[kind == _ARROW :]


class Csv(Handler):
    """Comma-separated values: types are guessed anew when they are read."""

    name = "csv"
    media_type = "text/csv"
    suffix = ".csv"

    def dump(self, value: Any, path: Path, **options: Any) -> Options:
        kind = _known(value)
        if not value.shape[1]:
            message = "it has no columns, and CSV cannot tell its rows: parquet can"
            raise InvalidValueError(message)
        if kind == _POLARS:
            value.write_csv(path, **options)
            return {"frame": kind, **_renamed(options, _POLARS_READS)}
        if kind == _ARROW:
            needed("pyarrow.csv").write_csv(value, path, **options)
            return {"frame": kind}
        levels = _levels_to_write(value, options)
        value.to_csv(path, **{"lineterminator": "\n", **options, "index": bool(levels)})
        return {"frame": kind, **_pandas_reads(value, levels, options)}

    def load(self, path: Path, frame: str = _PANDAS, **options: Any) -> Any:
        if _asked(frame) == _PANDAS:
            return needed("pandas").read_csv(path, **options)
        options.pop("index_col", None)
        if frame == _POLARS:
            return needed("polars", _INSTALL).read_csv(path, **options)
        return needed("pyarrow.csv").read_csv(path, **options)

    def libraries(self, value: Any) -> tuple[str, ...]:
        return {_POLARS: ("polars",), _ARROW: ("pyarrow",)}.get(str(_kind(value)), ("pandas",))


def _kind(value: Any) -> str | None:
    if is_a(value, "pandas", "DataFrame"):
        return _PANDAS
    if is_a(value, "polars", "DataFrame"):
        return _POLARS
    return _ARROW if is_a(value, "pyarrow", "Table") else None


def _known(value: Any) -> str:
    kind = _kind(value)
    if kind is None:
        given = with_article(type(value).__name__)
        message = f"{given} is no DataFrame of pandas or Polars, nor a Table of Arrow"
        raise InvalidValueError(message)
    return kind


def _asked(frame: str) -> str:
    if frame not in (_PANDAS, _POLARS, _ARROW):
        message = f"frame={frame!r}: it is one of pandas, polars, arrow"
        raise InvalidValueError(message)
    return frame


def _renamed(options: Options, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what reading needs to know of the options of writing, by the names it has there."""
    return {names[name]: value for name, value in options.items() if name in names}


def _pandas_reads(frame: Any, levels: int, options: Options) -> dict[str, Any]:
    """Return how pandas reads what it wrote: texts such as NA and None are no gaps then."""
    gaps = list(dict.fromkeys(["", str(options.get("na_rep", ""))]))
    reads = {"keep_default_na": False, "na_values": gaps, **_renamed(options, _PANDAS_READS)}
    if levels:
        reads["index_col"] = list(range(levels))
    if options.get("header", True) is False:
        reads["header"] = None
    elif frame.columns.nlevels > 1:
        reads["header"] = list(range(frame.columns.nlevels))
    return reads


def _levels_to_write(frame: Any, options: Options) -> int:
    """Return how many columns the index takes in the file."""
    index = options.get("index")
    if index is None and frame.columns.nlevels == 1:
        return _index_levels(frame)
    return 0 if index is False else int(frame.index.nlevels)


def _index_levels(frame: Any) -> int:
    """Return how many columns the index takes; none if it only counts the rows."""
    index = frame.index
    counts = is_a(index, "pandas", "RangeIndex") and index.name is None
    return 0 if counts and index.start == 0 and index.step == 1 else int(index.nlevels)
