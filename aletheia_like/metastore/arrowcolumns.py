"""Values as Arrow columns: one type a column, by one rule, however the values arrive.

Numbers, truth values, texts, moments, dates, times, durations and bytes keep their type; whole
numbers beside floats become floats. Dictionaries and lists become JSON, files their sha-256. A
column that mixes anything else becomes text, as do decimals, complex numbers and integers beyond
64 bits. What a row lacks, and None, is NULL; NaN stays NaN.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from aletheia_like.metastore.assets import File
from aletheia_like.model.rows import ABSENT, Absent
from aletheia_like.model.values import INT64, LongText, LongValue

MOMENT = pa.timestamp("us", tz="UTC")

GIVEN_NAME = "aletheia.name"
"""Names the column as it was given, in the metadata of a field that is shown under another."""

NONE: frozenset[str] = frozenset()
NO_KEYS: Mapping[str, Any] = {}

_TEXT = pa.string()
_NUMBERS = (pa.int64(), pa.float64())
_TYPES: Mapping[type, Any] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: _TEXT,
    bytes: pa.binary(),
    dt.date: pa.date32(),
    dt.timedelta: pa.duration("us"),
}
_TIMES: Mapping[tuple[Any, ...], Any] = {
    (dt.datetime, True): MOMENT,
    (dt.datetime, False): pa.timestamp("us"),
    (dt.time, False): pa.time64("us"),
}
_NESTED = frozenset({dict, list})
_NOT_SO = (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError)

Read = Callable[[Any], Any]
"""Gives the user's value of a stored one."""


def stored_array(column: Any, count: int, read: Read) -> Any:
    """Return a column of a chunk, in any of the forms that `model.rows.pack` gives it."""
    if isinstance(column, list):
        return _stored_values(column, read)
    if "all" in column:
        return pa.repeat(_stored_values([column["all"]], read)[0], count)
    values = _stored_values(column["values"], read)
    places = np.full(count, -1)
    if "at" in column:
        places[np.array(column["at"], dtype=np.int64)] = np.arange(len(values))
    else:
        present = np.ones(count, dtype=bool)
        present[np.array(column["not_at"], dtype=np.int64)] = False
        places[present] = np.arange(len(values))
    return values.take(pa.array(places, mask=places < 0))


def array(values: Sequence[Any]) -> Any:
    """Return a user's values as an Arrow array."""
    kinds = set(map(type, values))
    known = [None if one is ABSENT else one for one in values] if Absent in kinds else values
    wanted = _type_of(kinds - {type(None), Absent}, known)
    if wanted is not None:
        with contextlib.suppress(*_NOT_SO):
            return pa.array(known, wanted)
    if wanted == pa.float64() and all(_is_small(value) for value in known):
        return pa.array([None if value is None else float(value) for value in known], wanted)
    return pa.array([text(value) for value in known], _TEXT)


def stacked(parts: Sequence[Any], as_text: frozenset[str] = NONE) -> Any:
    """Return tables one after the other; a column that one lacks is NULL there.

    Args:
        parts: At least one table.
        as_text: Columns that are text whatever these tables hold: others mix the types.
    """
    first = parts[0].schema
    if not as_text and all(part.schema.equals(first) for part in parts):
        return pa.concat_tables(parts)
    kinds: dict[str, list[Any]] = {}
    for part in parts:
        for one in part.schema:
            kinds.setdefault(one.name, []).append(one.type)
    schema = pa.schema(
        [(name, _TEXT if name in as_text else common_type(types)) for name, types in kinds.items()]
    )
    return pa.concat_tables([_fitted(part, schema) for part in parts])


def text(value: Any) -> str | None:
    """Return a value as text; containers as JSON in which NaN and infinity are texts too."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return _float_text(value)
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case File():
            return value.digest or value.name
        case LongText() | LongValue():
            return value.digest
        case Mapping() | list() | tuple():
            return _json(value)
    return str(value)


def _stored_values(values: list[Any], read: Read) -> Any:
    if _NESTED.isdisjoint(map(type, values)):
        return array(values)
    return array([read(value) if type(value) in _NESTED else value for value in values])


def _type_of(kinds: set[type], values: Sequence[Any]) -> Any:
    """Return the Arrow type that may hold values of these kinds, or None if only text does."""
    if not kinds:
        return pa.null()
    if kinds == {int, float}:
        return pa.float64()
    if len(kinds) > 1:
        return None
    (kind,) = kinds
    if kind in (dt.datetime, dt.time):
        aware = {value.tzinfo is not None for value in values if value is not None}
        return _TIMES.get((kind, *aware))
    return _TYPES.get(kind)


def _is_small(value: Any) -> bool:
    return type(value) is not int or value in INT64


def common_type(types: Iterable[Any]) -> Any:
    """Return the type of a column whose parts have these types."""
    known = set(types) - {pa.null()}
    if not known:
        return pa.null()
    if len(known) == 1:
        return next(iter(known))
    return pa.float64() if known == set(_NUMBERS) else _TEXT


def _fitted(part: Any, schema: Any) -> Any:
    columns = {name: part.column(name) for name in part.column_names}
    fitted = [
        _cast(columns[one.name], one.type)
        if one.name in columns
        else pa.nulls(part.num_rows, one.type)
        for one in schema
    ]
    return pa.table(fitted, schema=schema)


def _cast(column: Any, wanted: Any) -> Any:
    if column.type == wanted:
        return column
    if wanted == _TEXT and column.type != pa.null():
        return as_texts(column)
    return column.cast(wanted, safe=False)


def as_texts(column: Any) -> Any:
    """Return a column with every value as text."""
    return pa.array([text(value) for value in column.to_pylist()], _TEXT)


def _json(value: Any) -> str:
    try:
        data = orjson.dumps(value, text, orjson.OPT_PASSTHROUGH_DATETIME)
    except (TypeError, orjson.JSONEncodeError):
        data = b"null"
    # NaN and infinity come out as null: whoever has one takes the slower way, which keeps it.
    if b"null" not in data:
        return data.decode()
    return json.dumps(_jsonable(value), default=text, ensure_ascii=False, separators=(",", ":"))


def _jsonable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return _float_text(value)
    if isinstance(value, Mapping):
        return {str(key): _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(inner) for inner in value]
    return value


def _float_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def named(columns: Sequence[Any], names: Sequence[str], keys: Mapping[str, Any] = NO_KEYS) -> Any:
    """Return a table of columns under names of their own, after the keys.

    A column whose name had to be changed has the name that it was given as `GIVEN_NAME` in the
    metadata of its field.
    """
    fields = [pa.field(name, column.type) for name, column in keys.items()]
    for name, shown, column in zip(names, own_names(names, keys), columns, strict=True):
        given = None if shown == name else {GIVEN_NAME: name}
        fields.append(pa.field(shown, column.type, metadata=given))
    return pa.table([*keys.values(), *columns], schema=pa.schema(fields))


def given_name(field: Any) -> str | None:
    """Return the name that a column was given if it is shown under another one."""
    found = (field.metadata or {}).get(GIVEN_NAME.encode())
    return None if found is None else found.decode()


def own_names(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Return names for columns that differ also for who does not heed capitals, as SQL does."""
    used = {name.lower() for name in taken}
    chosen = []
    for name in names:
        free, number = name, 0
        while free.lower() in used:
            number += 1
            free = f"{name}_{number}"
        used.add(free.lower())
        chosen.append(free)
    return chosen
