"""One number for each period: the greatest of a month, the mean of 15 minutes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.extras import import_extra
from aletheia_like.series.frame import Frame
from aletheia_like.series.schema import Column, Schema

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
_ANYTHING = frozenset({"min", "max", "first", "last", "count"})
_CENTURY = 36_525 * 24 * 60 * 60
_SECONDS = {"s": 1, "min": 60, "h": 3_600, "D": 86_400}


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
    asked = _asked(schema, columns, frame.names)
    data = frame.df()
    periods = _floored(data[first.name], period)
    keys = [periods, *(data[one.name] for one in others)]
    grouped = data.groupby(keys, sort=True)
    found = {
        name: grouped[column].quantile(function)
        if isinstance(function, float)
        else getattr(grouped[column], function)()
        for name, column, function in asked
    }
    return import_extra("pandas", None).DataFrame(found).reset_index()


def needed(schema: Schema, columns: Any, select: Any = None) -> list[str]:
    """Return the columns to read: the index, and those of which something is asked.

    Raises:
        InvalidValueError: What is asked is no mapping.
    """
    if not isinstance(columns, Mapping):
        message = f"columns={columns!r:.80}: write {{column: function}}, as in {{'value': 'max'}}"
        raise InvalidValueError(message)
    also = [select] if isinstance(select, str) else select or ()
    wanted = columns or also or schema.names
    return list(dict.fromkeys([*(one.name for one in schema.index), *wanted]))


def _asked(
    schema: Schema, columns: Mapping[str, Any], read: Iterable[str]
) -> list[tuple[str, str, str | float]]:
    if not columns:
        numbers = [one for one in schema.columns if one.base in ("float", "int")]
        names = [one.name for one in numbers if not one.is_index and one.name in read]
        columns = dict.fromkeys(names, "mean")
    found: list[tuple[str, str, str | float]] = []
    for name, asked in columns.items():
        column = schema[name]
        if isinstance(asked, str) and not column.is_index:
            found.append((name, name, _suited(column, asked)))
        else:
            # What is asked of the index cannot have its name, which the periods have.
            several = (
                [asked] if isinstance(asked, str) or not isinstance(asked, Iterable) else asked
            )
            found += [(f"{name}_{one}", name, _suited(column, one)) for one in several]
    if not found:
        message = "no column to aggregate: write {column: function}, as in {'value': 'max'}"
        raise InvalidValueError(message)
    return found


def _suited(column: Column, name: Any) -> str | float:
    """Return a function that values of a column have.

    Raises:
        InvalidValueError: There is no such function, or it is one of numbers only.
    """
    function = _function(name)
    is_mean = column.base == "bool" and function in ("sum", "mean")
    if column.base not in ("float", "int") and function not in _ANYTHING and not is_mean:
        message = f"column {column.name!r} is of type {column.type}, which has no {name}"
        raise InvalidValueError(message)
    return function


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
    is_long = count * _SECONDS.get(unit or "", 1) > _CENTURY
    if unit is None or count < 1 or is_long or (count > 1 and unit not in _FLOORED):
        known = ", ".join(_PERIODS)
        message = f"no period {period!r}: there are {known}, and so many seconds to days"
        raise InvalidValueError(message)
    zone = moments.dt.tz
    naive = moments.dt.tz_localize(None) if zone is not None else moments
    if unit in _FLOORED:
        starts = naive.dt.floor(f"{count}{unit}")
    else:
        starts = naive.dt.to_period(unit).dt.start_time
    if zone is None:
        return starts
    # Of an hour that comes twice each has its own periods; a day whose midnight is left out by a
    # change of clocks begins when the next hour does.
    summer = moments.map(lambda one: bool(one.dst())).to_numpy(bool)
    return starts.dt.tz_localize(zone, ambiguous=summer, nonexistent="shift_forward")
