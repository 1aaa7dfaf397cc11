"""Handlers of tables: data frames of pandas and Polars, and tables of Arrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.handlers.handler import Handler, Options, is_a, needed

_PANDAS, _POLARS, _ARROW = "pandas", "polars", "arrow"
_INSTALL = "'aletheia-like[polars]'"


class Parquet(Handler):
    """Parquet: types, names and index come back; `load(frame=…)` gives another kind of table."""

    name = "parquet"
    media_type = "application/vnd.apache.parquet"
    suffix = ".parquet"

    def accepts(self, value: Any) -> bool:
        return _kind(value) is not None

    def dump(self, value: Any, path: Path, **options: Any) -> Options:
        kind = _known(value)
        if kind == _PANDAS:
            needed("pyarrow")
            value.to_parquet(path, **{"engine": "pyarrow", **options})
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
        if kind == _POLARS:
            value.write_csv(path, **options)
        elif kind == _ARROW:
            needed("pyarrow.csv").write_csv(value, path, **options)
        else:
            levels = _index_levels(value) if options.get("index") is None else 0
            index = bool(levels) or bool(options.pop("index", False))
            value.to_csv(path, **{"lineterminator": "\n", "index": index, **options})
            if levels:
                return {"frame": kind, "index_col": list(range(levels))}
        return {"frame": kind}

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
        message = (
            f"a {type(value).__name__} is no DataFrame of pandas or Polars, nor a Table of Arrow"
        )
        raise InvalidValueError(message)
    return kind


def _asked(frame: str) -> str:
    if frame not in (_PANDAS, _POLARS, _ARROW):
        message = f"frame={frame!r}: it is one of pandas, polars, arrow"
        raise InvalidValueError(message)
    return frame


def _index_levels(frame: Any) -> int:
    """Return how many columns the index takes; none if it only counts the rows."""
    index = frame.index
    counts = is_a(index, "pandas", "RangeIndex") and index.name is None
    return 0 if counts and index.start == 0 and index.step == 1 else int(index.nlevels)
