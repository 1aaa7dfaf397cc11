"""Rows as JSON objects that any reader of logs understands, and back without loss.

Moments are ISO 8601 text, NaN and infinity the texts `NaN`, `Infinity` and `-Infinity`, bytes
base64, durations seconds. What a text or a list stands for is told apart, in a last key `@types`
that readers may ignore; a row without such cells has no `@types`.

    {"loss":"NaN","cells":[1,"2026-01-31"],"@types":{"loss":"float","cells":{"1":"date"}}}

The column `timestamp` is a moment without being told. A map whose keys are not all text is a list
of pairs, of the type `items`; keys of the row itself become text.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from aletheia_like.model.values import Value, decode

Types = str | list[Any] | dict[str, Any] | None
"""A type; `[type, types of what it is made of]`; or types by key or index."""

_TYPES = "@types"
_OWN_TYPES = re.compile(r"@+types")
_TIMESTAMP = "timestamp"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00")
_ODD_FLOATS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def to_plain(row: Value) -> dict[str, Any]:
    """Return the JSON object of a row that `values.encode` returned."""
    plain, types = _plain(row)
    if isinstance(plain, list):
        # Keys that are no text: as a row's, the names of its columns, they become text.
        plain, types = _plain({"@items": _with_text_keys(row["@items"])})
    types = dict(types) if isinstance(types, dict) else {}
    moment = plain.get(_TIMESTAMP)
    looks_so = isinstance(moment, str) and _MOMENT.fullmatch(moment)
    if looks_so and types.pop(_TIMESTAMP, None) != "datetime":
        types[_TIMESTAMP] = "str"
    if any(map(_OWN_TYPES.fullmatch, plain)):
        plain, types = _renamed(plain, lambda key: f"@{key}"), _renamed(types, lambda k: f"@{k}")
    return {**plain, _TYPES: types} if types else plain


def from_plain(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a JSON object that `to_plain` returned, or of any other one.

    Raises:
        ValueError: The types do not fit the cells.
    """
    types = plain.get(_TYPES, {})
    row = {key: value for key, value in plain.items() if key != _TYPES}
    try:
        moment = row.get(_TIMESTAMP)
        if _TIMESTAMP not in types and isinstance(moment, str) and _MOMENT.fullmatch(moment):
            row[_TIMESTAMP] = dt.datetime.fromisoformat(moment)
        row = _restored(row, types)
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        message = f"types that do not fit: {types!r:.80}"
        raise ValueError(message) from error
    return _renamed(row, lambda key: key[1:])


def _renamed(row: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    return {change(key) if _OWN_TYPES.fullmatch(key) else key: row[key] for key in row}


def _with_text_keys(pairs: list[dict[str, Value]]) -> list[dict[str, Value]]:
    return [{**pair, "key": str(decode(pair["key"]))} for pair in pairs]


def _plain(value: Value) -> tuple[Any, Types]:
    match value:
        case float() if not math.isfinite(value):
            return _ODD_FLOATS[repr(value)], "float"
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat(), "datetime"
        case bytes():
            return base64.b64encode(value).decode(), "bytes"
        case dict():
            return _plain_map(value)
        case list():
            return _plain_parts({str(index): item for index, item in enumerate(value)}, list)
    return value, None


def _plain_map(value: dict[str, Value]) -> tuple[Any, Types]:
    if len(value) == 1:
        ((tag, inner),) = value.items()
        match tag:
            case "@list":
                return _plain(inner)
            case "@int":
                return int(inner), None
            case "@items":
                return _plain_items(inner)
        kind = tag.removeprefix("@")
        if kind != tag and kind in _READERS:
            plain, types = _plain(inner)
            return plain, [kind, types] if types else kind
    return _plain_parts(value, dict)


def _plain_items(pairs: list[dict[str, Value]]) -> tuple[Any, Types]:
    if all(isinstance(pair["key"], str) for pair in pairs):
        return _plain_parts({pair["key"]: pair["value"] for pair in pairs}, dict)
    plain, types = _plain([[pair["key"], pair["value"]] for pair in pairs])
    return plain, ["items", types] if types else "items"


def _plain_parts(parts: Mapping[str, Value], kind: type) -> tuple[Any, Types]:
    found = {key: _plain(inner) for key, inner in parts.items()}
    types = {key: inner for key, (_, inner) in found.items() if inner}
    plain = {key: inner for key, (inner, _) in found.items()}
    return plain if kind is dict else list(plain.values()), types or None


def _restored(value: Any, types: Types) -> Any:
    if isinstance(types, str):
        return _READERS[types](value)
    if isinstance(types, list):
        kind, inner = types
        return _READERS[kind](_restored(value, inner))
    for key, inner in (types or {}).items():
        place = int(key) if isinstance(value, list) else key
        value[place] = _restored(value[place], inner)
    return value


def _key(key: Any) -> Any:
    return tuple(map(_key, key)) if isinstance(key, list) else key


def _by_tag(kind: str) -> Callable[[Any], Any]:
    """Return what reads a value as `values.decode` does, but refuses what is none."""
    tag = f"@{kind}"

    def read(inner: Any) -> Any:
        value = decode({tag: inner})
        if isinstance(value, dict):
            message = f"no {kind}: {inner!r:.80}"
            raise ValueError(message)  # noqa: TRY004 - the text is wrong, not the caller's type
        return value

    return read


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "float": float,
    "str": str,
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "items": lambda pairs: {_key(key): value for key, value in pairs},
    **{
        kind: _by_tag(kind)
        for kind in (
            "datetime", "date", "time", "seconds", "timedelta", "decimal", "complex", "text",
            "json", "at",
        )
    },
}  # fmt: skip
