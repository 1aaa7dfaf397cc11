"""Fields as one JSON text and back, without loss and for people to read.

What JSON lacks stands in a map with one reserved key, which no field can have (`__x__`), so
nothing is ambiguous: `{"__datetime__": "2026-01-31T12:00:00+00:00"}`, `{"__bytes__": "AAE="}`
(base64), `{"__float__": "nan"}`. All other floats have their shortest exact form and a point or an
exponent, by which they differ from integers.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import orjson

from aletheia_like.model.values import Fields, Value


def to_text(fields: Fields) -> str:
    """Return the JSON text of fields that `check_fields` has passed."""
    plain = dict(fields)
    if _FLAT.issuperset(map(type, plain.values())):
        # The same text in a third of the time; only floats are written differently.
        return orjson.dumps(plain, _tag, orjson.OPT_PASSTHROUGH_DATETIME).decode()
    try:
        return _ENCODER.encode(plain)
    except ValueError:
        # The encoder is C and stops at NaN and infinity; few documents need the slow way.
        return _ENCODER.encode(_without_odd_floats(plain))


def from_text(text: str) -> dict[str, Value]:
    """Return the fields of a text that `to_text` wrote.

    Raises:
        ValueError: It is no such text.
    """
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        # Edited by hand, maybe to a bare NaN, which Python's own reader knows.
        fields = json.loads(text)
    if not isinstance(fields, dict) or (len(fields) == 1 and next(iter(fields)) in _READERS):
        message = f"a map of fields was expected: {text:.80}"
        raise ValueError(message)
    # Most tags are moments on the first level: looking into every map takes longer than reading.
    nested = [key for key, value in fields.items() if type(value) in _NESTED]
    untagged = _untag_some(fields, nested)
    # Inside a JSON string a quote has a backslash, so this sequence can only open a map.
    if untagged == len(nested) or text.count('{"__') == untagged:
        return fields
    return cast("dict[str, Value]", _untagged(fields))


def key_text(key: str) -> str:
    """Return what the text of every map with this key holds, up to the value."""
    return f"{_ENCODER.encode(key)}:"


def member_text(key: str, value: Value) -> str:
    """Return what the text of every map holds in which `key` has this value."""
    return key_text(key) + _ENCODER.encode(value)


def _tag(value: object) -> dict[str, str]:
    if isinstance(value, dt.datetime):
        return {"__datetime__": value.astimezone(dt.UTC).isoformat()}
    if isinstance(value, bytes):
        return {"__bytes__": base64.b64encode(value).decode()}
    message = f"no field holds a {type(value).__name__}"
    raise TypeError(message)


def _without_odd_floats(value: Value) -> Value:
    if isinstance(value, float) and not math.isfinite(value):
        return {"__float__": repr(value)}
    if isinstance(value, dict):
        return {key: _without_odd_floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_odd_floats(item) for item in value]
    return value


_READERS: Mapping[str, Callable[[str], Value]] = {
    "__datetime__": dt.datetime.fromisoformat,
    "__bytes__": lambda text: base64.b64decode(text, validate=True),
    "__float__": float,
}


def _untag_some(fields: dict[str, Any], keys: Sequence[str]) -> int:
    """Replace those of the values that stand in a map of their own; return how many there were."""
    count = 0
    for key in keys:
        mapping = fields[key]
        if len(mapping) == 1 and type(mapping) is dict:
            ((tag, inner),) = mapping.items()
            reader = _READERS.get(tag)
            if reader is not None:
                fields[key] = reader(inner)
                count += 1
    return count


def _untagged(value: Any) -> Value:
    """Return a value with everything that stood in a map of its own; changes it in place."""
    if type(value) is list:
        return [_untagged(item) if type(item) in _NESTED else item for item in value]
    if len(value) == 1:
        ((tag, inner),) = value.items()
        if tag in _READERS:
            return _READERS[tag](inner)
    for key, inner in value.items():
        if type(inner) in _NESTED:
            value[key] = _untagged(inner)
    return value


_NESTED = frozenset({dict, list})

_FLAT = frozenset({str, int, bool, type(None), dt.datetime})

_ENCODER = json.JSONEncoder(
    ensure_ascii=False,
    separators=(",", ":"),
    allow_nan=False,
    check_circular=False,
    default=_tag,
)
