"""Refuses fields that no store could hold: the law every adapter obeys before it writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.values import (
    INT64,
    MAX_DEPTH,
    MAX_INDEX_ENTRIES,
    MAX_KEY_BYTES,
    MAX_VALUE_BYTES,
    FieldPath,
    Fields,
    Value,
    check_key,
    check_text,
    place_text,
    short_text,
)

_PLAIN = frozenset({float, bool, type(None)})
_SMALL_KEYS = 100
_SMALL_TEXT = 1_000
_SMALL_DEPTH = 5
_SMALL_BYTES = 30_000


def check_fields(fields: Fields) -> int:
    """Refuse what no store could hold; the law every adapter obeys before it writes.

    Returns:
        How many index entries they take.

    Raises:
        InvalidValueError: A key or value no document can have, nesting deeper than 20, or more
            than 40,000 index entries.
    """
    entries = _check_map(fields, (), 1)
    check_entries(entries)
    return entries


class Cost(NamedTuple):
    """What fields take: bytes, as Firestore counts them, and index entries."""

    size: int
    entries: int


def small_cost(fields: Fields, depth: int = _SMALL_DEPTH) -> Cost | None:
    """Return the cost of fields that plainly break no limit, in one look; None of all others.

    Most documents are such: few keys, and short values. Every index entry takes a byte at least.
    """
    if len(fields) > _SMALL_KEYS or not depth:
        return None
    size = entries = 0
    for key, value in fields.items():
        named = type(key) is str and len(key) <= _SMALL_TEXT and key.isascii()
        if not named or not key[:1].isalpha():
            return None
        kind = type(value)
        if kind is dict or kind is list:
            below = small_cost(value, depth - 1) if kind is dict else _small_list(value)
            if below is None:
                return None
            inside = below.size
            entries += below.entries - 1
        else:
            inside = _small_value(kind, value)
        if not inside:
            return None
        size += inside + len(key) + 1
        entries += 2
    return Cost(size or 1, entries) if size <= _SMALL_BYTES else None


def _small_list(value: list[Value]) -> Cost | None:
    sizes = [_small_value(type(item), item) for item in value]
    if 0 in sizes:
        return None
    return Cost(sum(sizes) or 1, len(sizes) + 1)


def check_entries(entries: int) -> None:
    """Refuse more index entries than a document may have.

    Raises:
        InvalidValueError: There are more than 40,000.
    """
    if entries > MAX_INDEX_ENTRIES:
        message = (
            f"the document would need {entries} index entries, the limit is {MAX_INDEX_ENTRIES}: "
            "store long lists as one text or as a file"
        )
        raise InvalidValueError(message)


def _small_value(kind: type, value: Any) -> int:
    """Return the bytes of a short text, a number, a moment or the like; 0 of all else."""
    if kind is str:
        return len(value) + 1 if len(value) <= _SMALL_TEXT and value.isascii() else 0
    if kind is float or (kind is int and value in INT64):
        return 8
    if kind is dt.datetime and value.tzinfo is dt.UTC:
        return 8
    return 1 if value is None or kind is bool else 0


def _check_map(fields: object, where: FieldPath, depth: int) -> int:
    if not isinstance(fields, Mapping):
        message = f"{place_text(where)}: expected a map, got {type(fields).__name__}"
        raise InvalidValueError(message)
    entries = 0
    for key, value in fields.items():
        named = type(key) is str and key.isascii() and key[:1].isalpha()
        if not named or len(key) > MAX_KEY_BYTES:
            check_key(key, where)
        kind = type(value)
        is_plain = kind in _PLAIN or (
            kind is str and len(value) <= MAX_VALUE_BYTES and value.isascii()
        )
        if is_plain and depth <= MAX_DEPTH:
            entries += 2
        else:
            entries += _check_value(value, (*where, key), depth)
    return entries


def _check_value(value: Value, where: FieldPath, depth: int) -> int:
    """Refuse a value no store holds; return how many index entries it takes."""
    if depth > MAX_DEPTH:
        message = (
            f"{place_text(where)}: nested deeper than {MAX_DEPTH}: flatten it or add it as a file"
        )
        raise InvalidValueError(message)
    kind = type(value)
    if kind is str:
        _check_length(check_text(value, where), where)
    elif kind is int:
        if value not in INT64:
            message = f"{place_text(where)}: an integer beyond 64 bits: {short_text(value)}"
            raise InvalidValueError(message)
    elif kind is dt.datetime:
        _check_datetime(value, where)
    elif kind is dict:
        return 1 + _check_map(value, where, depth + 1)
    elif kind is list:
        return 2 + sum(_check_item(item, where, depth + 1) for item in value)
    elif kind is bytes:
        _check_length(len(value), where)
    elif value is not None and kind not in (bool, float):
        message = f"{place_text(where)}: no store holds a {kind.__name__}: {short_text(value)}"
        raise InvalidValueError(message)
    return 2


def _check_item(item: Value, where: FieldPath, depth: int) -> int:
    if type(item) is list:
        message = f"{place_text(where)}: a list directly inside a list"
        raise InvalidValueError(message)
    _check_value(item, (*where, "[]"), depth)
    return 1


def _check_datetime(value: dt.datetime, where: FieldPath) -> None:
    if value.utcoffset() is None:
        message = f"{place_text(where)}: a datetime without a zone: {value!r}"
        raise InvalidValueError(message)
    try:
        value.astimezone(dt.UTC)
    except OverflowError as error:
        message = f"{place_text(where)}: {value!r} is outside of the years 1 to 9999 in UTC"
        raise InvalidValueError(message) from error


def _check_length(size: int, where: FieldPath) -> None:
    if size > MAX_VALUE_BYTES:
        place = place_text(where)
        message = f"{place}: {size} bytes, one value holds {MAX_VALUE_BYTES}: add it as a file"
        raise InvalidValueError(message)
