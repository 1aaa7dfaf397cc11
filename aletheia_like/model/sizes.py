"""How large a document is, as Firestore counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from aletheia_like.model.values import Fields, Value

_DOCUMENT_OVERHEAD = 32
_NAME_OVERHEAD = 16
_EIGHT_BYTES = frozenset({int, float, dt.datetime})


def document_size(path: str, fields: Fields) -> int:
    """Return the bytes Firestore counts for a document.

    Source: "Storage size calculations" in the Firestore documentation: the name's parts plus 16,
    each field's name and value, and 32.
    """
    return name_size(path) + value_size(fields)


def name_size(path: str) -> int:
    """Return the bytes Firestore counts for a document without fields."""
    return len(path.encode()) + 1 + _NAME_OVERHEAD + _DOCUMENT_OVERHEAD


def value_size(value: Value) -> int:
    """Return the bytes Firestore counts for one value, after the same source."""
    kind = type(value)
    if kind is str and value.isascii():
        return len(value) + 1
    if kind is dict:
        # Most of what is stored is plain: a call less for each key.
        keys = sum(len(key) + 1 if key.isascii() else len(key.encode()) + 1 for key in value)
        return keys + sum(map(value_size, value.values())) or 1
    if kind in _EIGHT_BYTES:
        return 8
    match value:
        case None | bool():
            return 1
        case int() | float() | dt.datetime():
            return 8
        case str():
            return len(value.encode()) + 1
        case bytes():
            return len(value)
        case Mapping():
            # The emulator counts an empty map or list as one byte; Google's page is silent.
            return sum(value_size(key) + value_size(inner) for key, inner in value.items()) or 1
        case _:
            return sum(map(value_size, value)) or 1
