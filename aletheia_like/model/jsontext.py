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
from collections.abc import Callable, Mapping
from typing import Any

from aletheia_like.model.values import Fields, Value


def to_text(fields: Fields) -> str:
    """Return the JSON text of fields that `check_fields` has passed."""
    plain = dict(fields)
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
    # Inside a JSON string a quote has a backslash, so this sequence can only open a map.
    fields = _TAGS_DECODER.decode(text) if '{"__' in text else _DECODER.decode(text)
    if not isinstance(fields, dict):
        message = f"a map of fields was expected: {text:.80}"
        raise ValueError(message)  # noqa: TRY004 - the text is wrong, not the caller's type
    return fields


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


def _untag(mapping: dict[str, Any]) -> Value:
    if len(mapping) == 1:
        ((key, inner),) = mapping.items()
        reader = _READERS.get(key)
        if reader is not None:
            return reader(inner)
    return mapping


_ENCODER = json.JSONEncoder(
    ensure_ascii=False,
    separators=(",", ":"),
    allow_nan=False,
    check_circular=False,
    default=_tag,
)
_DECODER = json.JSONDecoder()
_TAGS_DECODER = json.JSONDecoder(object_hook=_untag)
