"""One number for each period: the greatest of a month, the mean of 15 minutes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.extras import import_extra
from aletheia_like.series.frame import Frame
from aletheia_like.series.schema import Schema

_PERIODS = {
    "second": "s",
    "minute": "min",
    "hour": "h",
    "day": "D",
    "week": "W",
    "month": "M",
    "quarter": "Q",
    "year": "Y",
}
_FLOORED = frozenset({"s", "min", "h", "D"})
_FUNCTIONS = frozenset("min max sum first last mean median std count".split())
_PERIOD = re.compile(r"(?:(\d+)\s*)?([a-z]+?)s?")
_QUANTILE = re.compile(r"q(\d{1,2}(?:\.\d+)?|100)")
_PERCENT = 100


def aggregate(frame: Frame, period: str, columns: Mapping[str, Any]) -> Any:
    """Return a pandas DataFrame with one row for each period that has rows.

    Args:
        frame: The rows; the first column of their index is a timestamp, and each combination of
            the others has rows of its own.
        period: Such as `month` or `15 minutes`.
        columns: Function, or a list of them, by column; the mean of every number by default. A
            list makes columns such as `value_max`.

    Raises:
        InvalidValueError: The index has no timestamp first, or there is no such period, column or
            function.
    """
    schema = frame.schema
    first, *others = schema.index
    if first.base != "timestamp":
        message = f"{first.name!r} is no timestamp: only time has periods"
        raise InvalidValueError(message)
    asked = _asked(schema, columns)
    data = frame.df()
    data[first.name] = _floored(data[first.name], period)
    grouped = data.groupby([first.name, *(one.name for one in others)], sort=True)
    found = {
        name: grouped[column].quantile(function)
        if isinstance(function, float)
        else getattr(grouped[column], function)()
        for name, column, function in asked
    }
    return import_extra("pandas", None).DataFrame(found).reset_index()


def _asked(schema: Schema, columns: Mapping[str, Any]) -> list[tuple[str, str, str | float]]:
    if not columns:
        names = [one.name for one in schema.columns if one.base in ("float", "int")]
        columns = {name: "mean" for name in names if not schema[name].is_index}
    found: list[tuple[str, str, str | float]] = []
    for name, asked in columns.items():
        schema[name]
        if isinstance(asked, str):
            found.append((name, name, _function(asked)))
        else:
            found += [(f"{name}_{one}", name, _function(one)) for one in asked]
    return found


def _function(name: Any) -> str | float:
    if name in _FUNCTIONS:
        return str(name)
    quantile = _QUANTILE.fullmatch(name) if isinstance(name, str) else None
    if quantile is None:
        known = ", ".join(sorted(_FUNCTIONS))
        message = f"no function {name!r}: there are {known}, and quantiles such as q90"
        raise InvalidValueError(message)
    return float(quantile[1]) / _PERCENT


def _floored(moments: Any, period: str) -> Any:
    found = _PERIOD.fullmatch(period.strip().lower()) if isinstance(period, str) else None
    unit = _PERIODS.get(found[2]) if found else None
    count = int(found[1] or 1) if found else 0
    if unit is None or count < 1 or (count > 1 and unit not in _FLOORED):
        known = ", ".join(_PERIODS)
        message = f"no period {period!r}: there are {known}, and so many seconds to days"
        raise InvalidValueError(message)
    if unit in _FLOORED:
        return moments.dt.floor(f"{count}{unit}")
    zone = moments.dt.tz
    naive = moments.dt.tz_localize(None) if zone is not None else moments
    starts = naive.dt.to_period(unit).dt.start_time
    return starts.dt.tz_localize(zone) if zone is not None else starts
