"""Cells of rows as columns of one type, as tables and databases have them, and back without loss.

A column has the type that all its cells share. What a cell is beyond that, such as an integer in a
column of floats or a value that was changed later, stands in the row's own column of exact cells.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from aletheia_like.model import jsontext
from aletheia_like.model.rows import ABSENT, Absent, shown_name
from aletheia_like.model.values import INT64

Kind = Literal["float", "int", "bool", "text", "time", "bytes", "json"]

NO_CELL = "__absent__"
"""Among exact cells: the row did not have the column when it was logged."""

_PLAIN: Mapping[type, frozenset[Kind]] = {
    float: frozenset({"float"}),
    bool: frozenset({"bool"}),
    str: frozenset({"text"}),
    list: frozenset({"json"}),
    type(None): frozenset(),
    Absent: frozenset(),
}
_INTEGERS: frozenset[Kind] = frozenset({"int"})
_TYPES: Mapping[Kind, type] = {"float": float, "int": int, "bool": bool, "text": str}
_SCALARS: frozenset[Kind] = frozenset({"float", "int", "bool", "text"})
_ODD_FLOAT = b"null"


def kinds_of(cells: Sequence[Any]) -> frozenset[Kind]:
    """Return the kinds of a column's cells."""
    if isinstance(cells, array):
        return _PLAIN[float] if cells.typecode == "d" else _INTEGERS
    found: frozenset[Kind] = frozenset()
    types = set(map(type, cells))
    for kind in types:
        if kind is int:
            numbers = cells if len(types) == 1 else [one for one in cells if type(one) is int]
            is_inside = min(numbers) in INT64 and max(numbers) in INT64
            found |= _INTEGERS if is_inside else {"json"}
        elif kind is dict:
            found |= {_kind_of_map(one) for one in cells if type(one) is dict}
        else:
            found |= _PLAIN[kind]
    return found


def together(kinds: frozenset[Kind]) -> Kind:
    """Return the kind of a column whose cells are of these kinds."""
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {"float", "int"}:
        return "float"
    return "text" if kinds <= _SCALARS else "json"


@dataclass(slots=True)
class Typed:
    """Columns of one type each.

    Attributes:
        columns: Values by stored name, lists or arrays; None where there is none.
        exact: JSON of the cells of each row that the columns do not show exactly, or None.
    """

    columns: dict[str, Sequence[Any]]
    exact: list[str | None]


def typed(
    cells: Mapping[str, Sequence[Any]],
    kinds: Mapping[str, Kind],
    count: int,
    *,
    before: Mapping[int, Mapping[str, Any]] | None = None,
    has_nan: bool = True,
) -> Typed:
    """Return cells as columns of these kinds.

    Args:
        cells: Cells by column.
        kinds: What each column is to be; one that is left out stays among the exact cells.
        count: How many rows there are.
        before: Cells that were changed later, as they were logged, by row and column.
        has_nan: Whether what the columns are for tells NaN from nothing, and -0.0 from 0.0.
    """
    exact: dict[int, dict[str, Any]] = {}
    columns: dict[str, Sequence[Any]] = {}
    for name, column in cells.items():
        kind = kinds.get(name)
        if kind is None:
            for row, cell in enumerate(column):
                if type(cell) is not Absent:
                    exact.setdefault(row, {})[name] = cell
        elif _is_exact(column, kind, has_nan=has_nan):
            columns[name] = (
                [None if type(cell) is Absent else cell for cell in column]
                if Absent in _types_of(column)
                else column
            )
        else:
            columns[name] = _converted(name, column, kind, exact, has_nan=has_nan)
    for row, earlier in (before or {}).items():
        exact.setdefault(row, {}).update(earlier)
    texts: list[str | None] = [None] * count
    for row, odd in exact.items():
        texts[row] = cell_json({name: _noted(cell) for name, cell in odd.items()})
    return Typed(columns, texts)


def cells_of_row(
    names: Sequence[str], kinds: Sequence[Kind], values: Iterable[Any], exact: str | None
) -> dict[str, Any]:
    """Return a row's cells as they were logged; the inverse of `typed`.

    Args:
        names: Stored name of each column.
        kinds: What each is.
        values: The row.
        exact: What its columns do not show exactly.
    """
    odd: dict[str, Any] = {} if exact is None else read_json(exact)
    cells: dict[str, Any] = {}
    for name, kind, value in zip(names, kinds, values, strict=True):
        if name in odd:
            cells[name] = odd.pop(name)
        elif value is not None:
            cells[name] = _BACK[kind](value)
    cells |= odd
    if exact is not None and NO_CELL in exact:
        return {name: cell for name, cell in cells.items() if cell != {NO_CELL: True}}
    return cells


def stored_columns(
    names: Sequence[str], kinds: Sequence[Kind], columns: Sequence[Sequence[Any]]
) -> dict[str, list[Any]]:
    """Return columns as they were logged, of rows that show all their cells exactly.

    Args:
        names: Stored name of each column.
        kinds: What each is.
        columns: The values.
    """
    found: dict[str, list[Any]] = {}
    for name, kind, column in zip(names, kinds, columns, strict=True):
        types = set(map(type, column))
        if types == {type(None)}:
            continue
        back = _BACK[kind]
        if types == {_TYPES.get(kind)}:
            found[name] = list(column)
        else:
            found[name] = [ABSENT if one is None else back(one) for one in column]
    return found


def cell_json(value: Any) -> str:
    """Return a stored value as valid JSON; NaN and infinity as `model.jsontext` writes them."""
    data = orjson.dumps(value)
    if _ODD_FLOAT in data:
        return jsontext.to_text({"v": value})[len('{"v":') : -1]
    return data.decode()


def read_json(text: str) -> Any:
    """Return the value of a text that `cell_json` wrote."""
    return jsontext.from_text(f'{{"v":{text}}}')["v"] if '{"__' in text else orjson.loads(text)


@dataclass(slots=True)
class ColumnNames:
    """Names under which tables can have columns side by side: no two differ by case only.

    Attributes:
        taken: Names that are in use, folded.
        shown: What each stored column is called.
    """

    taken: set[str] = field(default_factory=set)
    shown: dict[str, str] = field(default_factory=dict)

    def add(self, stored: str) -> str:
        """Return what a stored column is called in the table."""
        known = self.shown.get(stored)
        if known is not None:
            return known
        name = (shown_name(stored) or stored).replace("\x00", "_")
        unique, number = name, 1
        while unique.casefold() in self.taken:
            number += 1
            unique = f"{name}_{number}"
        self.taken.add(unique.casefold())
        self.shown[stored] = unique
        return unique


def _kind_of_map(cell: Mapping[str, Any]) -> Kind:
    if cell.keys() == {"@at"} and isinstance(cell["@at"], str):
        return "time"
    if cell.keys() == {"@bytes"} and isinstance(cell["@bytes"], str):
        return "bytes"
    return "json"


def _types_of(column: Sequence[Any]) -> set[type]:
    if isinstance(column, array):
        return {float} if column.typecode == "d" else {int}
    return set(map(type, column))


def _is_exact(column: Sequence[Any], kind: Kind, *, has_nan: bool) -> bool:
    """Whether a column shows every cell as it is."""
    types = _types_of(column)
    if types - {Absent} != {_TYPES.get(kind)}:
        return False
    if kind != "float" or has_nan:
        return True
    cells = [cell for cell in column if type(cell) is float] if Absent in types else column
    if math.isnan(sum(cells)):
        return False
    return 0.0 not in cells or not any(map(_is_odd, cells))


def _converted(
    name: str,
    column: Sequence[Any],
    kind: Kind,
    exact: dict[int, dict[str, Any]],
    *,
    has_nan: bool,
) -> list[Any]:
    convert = _THERE[kind]
    values: list[Any] = [None] * len(column)
    for row, cell in enumerate(column):
        if type(cell) is Absent:
            continue
        value, is_exact = convert(cell)
        values[row] = value
        if not is_exact or (kind == "float" and not has_nan and _is_odd(value)):
            exact.setdefault(row, {})[name] = cell
    return values


def _is_odd(number: float) -> bool:
    """Whether SQLite would keep it as something else: NaN as nothing, -0.0 as 0."""
    return math.isnan(number) or (number == 0 and math.copysign(1, number) < 0)


def _noted(cell: Any) -> Any:
    return {NO_CELL: True} if type(cell) is Absent else cell


def _float(cell: Any) -> tuple[Any, bool]:
    if type(cell) is int:
        return float(cell), False
    return (cell, True) if type(cell) is float else (None, False)


def _of_type(kind: type) -> Callable[[Any], tuple[Any, bool]]:
    def convert(cell: Any) -> tuple[Any, bool]:
        return (cell, True) if type(cell) is kind else (None, False)

    return convert


def _shown_text(cell: Any) -> tuple[Any, bool]:
    if type(cell) is str:
        return cell, True
    return (None if cell is None else cell_json(cell)), False


def _time(cell: Any) -> tuple[Any, bool]:
    try:
        moment = dt.datetime.fromisoformat(cell["@at"]).astimezone(dt.UTC)
    except (TypeError, ValueError, KeyError, OverflowError):
        return None, False
    return moment, moment.isoformat() == cell["@at"]


def _bytes(cell: Any) -> tuple[Any, bool]:
    try:
        data = base64.b64decode(cell["@bytes"], validate=True)
    except (TypeError, ValueError, KeyError, binascii.Error):
        return None, False
    return data, True


_THERE: Mapping[Kind, Callable[[Any], tuple[Any, bool]]] = {
    "float": _float,
    "int": _of_type(int),
    "bool": _of_type(bool),
    "text": _shown_text,
    "time": _time,
    "bytes": _bytes,
    "json": lambda cell: (cell_json(cell), True),
}


def _same(value: Any) -> Any:
    return value


_BACK: Mapping[Kind, Callable[[Any], Any]] = {
    "float": float,
    "int": int,
    "bool": bool,
    "text": _same,
    "time": lambda moment: {"@at": moment.astimezone(dt.UTC).isoformat()},
    "bytes": lambda data: {"@bytes": base64.b64encode(data).decode()},
    "json": read_json,
}
