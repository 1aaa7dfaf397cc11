"""What may be stored, and how a Python value becomes it.

`aletheia_like.model.checking` is the law of the ports: what Firestore holds without loss, and so
what every store holds. `encode` and `decode` carry a user's value across that law: what has no
place of its own travels in a one-key map whose key starts with `@`, readable in the Firestore
console.

    as it is      None, bool, int of 64 bits, float (NaN, infinity), str, bytes, aware datetime
    becomes       tuple, numpy array -> list; set -> sorted list; numpy, torch scalar -> Python's;
                  path, UUID -> str; an enumeration's member -> its value
    tagged        list inside a list, larger int, naive datetime, date, time, timedelta, Decimal,
                  complex, what moved to a blob (`LongText`, `LongValue`), and a map whose keys are
                  no field names (integers, "", "__x__", "@x")
    refused       everything else, by InvalidValueError, naming the place
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import enum
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.model._foreign import check_microseconds, plain_value


@dataclass(frozen=True, slots=True)
class LongText:
    """A text too long for its document: the blob that holds it, and how it begins.

    Attributes:
        digest: sha-256 of the text's UTF-8 bytes, the blob's name.
        size: Bytes.
        head: The first characters, for people who read the document.
    """

    digest: str
    size: int
    head: str


@dataclass(frozen=True, slots=True)
class LongValue:
    """A value too long for its row: the blob that holds it as JSON.

    Attributes:
        digest: sha-256 of the JSON text, the blob's name.
        size: Bytes.
    """

    digest: str
    size: int


class UnknownKindError(InvalidValueError):
    """A value is of a kind that no store knows; what is only inexact is refused otherwise."""


Value = Any
"""A value of a document: see `check_fields` of `checking` for what that may be."""

Fields = Mapping[str, Value]
"""The named values of one document."""

FieldPath = tuple[str, ...]
"""The way to a field through nested maps; a key may hold any character, a dot too."""

INT64 = range(-(2**63), 2**63)
MAX_DOCUMENT_BYTES = 1_048_576
MAX_VALUE_BYTES = 1_048_487
MAX_KEY_BYTES = 1_500
MAX_DEPTH = 20
MAX_INDEX_ENTRIES = 40_000
_NESTED = frozenset({dict, list})
_PLAIN = frozenset({type(None), bool, float, bytes})
_RESERVED_KEY = re.compile(r"__.*__", re.DOTALL)
_DIGITS_LIMIT = 4_000
_MAX_CONTAINERS = 100
_MISSING = ("NaTType", "NAType")
_EXACT_DAYS = 36_500


def encode(value: object, where: FieldPath = ()) -> Value:
    """Return the storable form of a user's value.

    Args:
        value: What the user gave.
        where: The way to it, for the error message.

    Raises:
        InvalidValueError: The value, or one inside it, has no storable form.
    """
    return _encode(value, where, in_list=False, above=())


def decode(value: Value) -> Any:
    """Return the user's value for a storable one; the inverse of `encode` for tagged values."""
    kind = type(value)
    if kind is list:
        return [decode(item) for item in value]
    if kind is dict:
        if len(value) == 1:
            ((key, inner),) = value.items()
            if key.startswith("@"):
                return _decode_tagged(key, inner)
        return {
            key: decode(inner) if type(inner) in _NESTED else inner for key, inner in value.items()
        }
    return value


def is_missing(value: object) -> bool:
    """Whether it is what pandas puts where a value is missing: `NaT` or `NA`."""
    kind = type(value)
    return kind.__name__ in _MISSING and kind.__module__.startswith("pandas.")


def check_key(key: object, where: FieldPath = ()) -> str:
    """Return `key` if it can be the name of a field.

    Raises:
        InvalidValueError: It is not text, empty, over 1,500 bytes, or reserved (`__x__`).
    """
    if is_key(key):
        return str(key)
    message = (
        f"{place_text(where)}: {key!r:.80} cannot name a field: "
        "it must be text of 1 to 1,500 bytes, not __x__"
    )
    raise InvalidValueError(message)


def check_text(text: str, where: FieldPath) -> int:
    """Refuse what is no Unicode; return the text's bytes."""
    try:
        return len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError as error:
        message = (
            f"{place_text(where)}: text with a lone surrogate, no valid Unicode: {text!r:.80}"
        )
        raise InvalidValueError(message) from error


def is_key(key: object) -> bool:
    """Whether `key` can be the name of a field in a document."""
    if not isinstance(key, str) or not key:
        return False
    if key[:2] == "__" and _RESERVED_KEY.fullmatch(key):
        return False
    if key.isascii():
        return len(key) <= MAX_KEY_BYTES
    try:
        return len(key.encode()) <= MAX_KEY_BYTES
    except UnicodeEncodeError:
        return False


def _encode(value: Any, where: FieldPath, *, in_list: bool, above: tuple[int, ...]) -> Value:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is str:
        check_text(value, where)
        return value
    if kind is int:
        return value if value in INT64 else {"@int": _digits(value, where)}
    if is_missing(value):
        return None
    if id(value) in above or len(above) > _MAX_CONTAINERS:
        what = "contains itself" if id(value) in above else f"is over {_MAX_CONTAINERS} deep"
        message = f"{place_text(where[:MAX_DEPTH])}: the value {what}"
        raise InvalidValueError(message)
    above = (*above, id(value))
    if isinstance(value, Mapping):
        return _encode_map(value, where, above)
    if isinstance(value, list | tuple):
        return _encode_list(value, where, in_list=in_list, above=above)
    if isinstance(value, AbstractSet):
        return _encode_list(_sorted(value), where, in_list=in_list, above=above)
    tagged = _encode_tagged(value, where)
    if tagged is not None:
        return tagged
    return _encode(_plain(value, where), where, in_list=in_list, above=above)


def _encode_map(value: Mapping[Any, Any], where: FieldPath, above: tuple[int, ...]) -> Value:
    if all(is_key(key) and not key.startswith("@") for key in value):
        return {
            str.__str__(key): inner
            if type(inner) in _PLAIN
            else _encode(inner, (*where, key), in_list=False, above=above)
            for key, inner in value.items()
        }
    return {
        "@items": [
            {
                "key": _encode(key, (*where, "key"), in_list=False, above=above),
                "value": _encode(inner, (*where, str(key)), in_list=False, above=above),
            }
            for key, inner in value.items()
        ]
    }


def _encode_list(
    value: Sequence[Any], where: FieldPath, *, in_list: bool, above: tuple[int, ...]
) -> Value:
    items = [_encode(item, (*where, "[]"), in_list=True, above=above) for item in value]
    return {"@list": items} if in_list else items


def _encode_tagged(value: Any, where: FieldPath) -> Value:
    """Return the form of what has a form of its own; None for all else."""
    match value:
        case dt.datetime():
            return _encode_datetime(value, where)
        case dt.date():
            return {"@date": value.isoformat()}
        case dt.time() if value.tzinfo is None or value.utcoffset() is not None:
            return {"@time": value.isoformat()}
        case dt.timedelta():
            return _encode_timedelta(value, where)
        case decimal.Decimal():
            return {"@decimal": str(value)}
        case complex():
            return {"@complex": [value.real, value.imag]}
        case LongText():
            return {"@text": [value.digest, value.size, value.head]}
        case LongValue():
            return {"@json": [value.digest, value.size]}
        case _:
            return None


def _plain(value: Any, where: FieldPath) -> Any:
    """Return a value of a kind that `_encode` knows for one that only resembles it."""
    match value:
        case enum.Enum():
            return value.value
        case PurePath() | uuid.UUID():
            return str(value)
        case bytearray() | memoryview():
            return bytes(value)
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case float():
            return float(value)
    try:
        plain = plain_value(value)
    except ValueError as error:
        message = f"{place_text(where)}: {error}"
        raise InvalidValueError(message) from error
    if plain is value:
        message = (
            f"{place_text(where)}: a {type(value).__module__}.{type(value).__qualname__} has no "
            "stored form: convert it, or add it as an artifact"
        )
        raise UnknownKindError(message)
    return plain


def _encode_datetime(value: dt.datetime, where: FieldPath) -> Value:
    """Keep the instant of an aware datetime, the clock face of a naive one."""
    try:
        check_microseconds(value)
        if value.utcoffset() is None:
            return {"@datetime": value.isoformat()}
        return dt.datetime.fromisoformat(value.astimezone(dt.UTC).isoformat())
    except (ValueError, OverflowError) as error:
        message = f"{place_text(where)}: not a time that can be stored: {error}"
        raise InvalidValueError(message) from error


def _encode_timedelta(value: dt.timedelta, where: FieldPath) -> Value:
    try:
        check_microseconds(value)
    except ValueError as error:
        message = f"{place_text(where)}: {error}"
        raise InvalidValueError(message) from error
    seconds = value.total_seconds()
    # Beyond some centuries a float of seconds has no room for the microseconds.
    if abs(value.days) < _EXACT_DAYS:
        return {"@seconds": seconds}
    return {"@timedelta": [value.days, value.seconds, value.microseconds]}


def _sorted(value: AbstractSet[Any]) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=lambda item: (type(item).__name__, repr(item)))


def _digits(value: int, where: FieldPath) -> str:
    if value.bit_length() > _DIGITS_LIMIT:
        message = f"{place_text(where)}: an integer of {value.bit_length()} bits: store it as text"
        raise InvalidValueError(message)
    return str(value)


def _complex(parts: list[float]) -> complex:
    return complex(parts[0], parts[1])


def _items(pairs: list[dict[str, Value]]) -> dict[Any, Any]:
    return {_key(decode(pair["key"])): decode(pair["value"]) for pair in pairs}


def _key(key: Any) -> Any:
    return tuple(map(_key, key)) if isinstance(key, list) else key


_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "@list": lambda items: [decode(item) for item in items],
    "@items": _items,
    "@int": int,
    "@datetime": dt.datetime.fromisoformat,
    "@date": dt.date.fromisoformat,
    "@time": dt.time.fromisoformat,
    "@seconds": lambda seconds: dt.timedelta(seconds=seconds),
    "@timedelta": lambda parts: dt.timedelta(*parts),
    "@decimal": decimal.Decimal,
    "@complex": _complex,
    "@text": lambda parts: LongText(*parts),
    "@json": lambda parts: LongValue(*parts),
    "@at": dt.datetime.fromisoformat,
    "@bytes": base64.b64decode,
}


def _decode_tagged(tag: str, inner: Value) -> Any:
    decoder = _DECODERS.get(tag)
    if decoder is None:
        return {tag: decode(inner)}
    try:
        return decoder(inner)
    except (ValueError, TypeError, LookupError, ArithmeticError):
        # Edited by hand in the console: show what is there rather than fail the whole document.
        return {tag: inner}


def place_text(where: FieldPath) -> str:
    """Return the way to a field as a message names it."""
    return ".".join(where) or "the value"


def short_text(value: object) -> str:
    """Return a value as a message shows it, cut if it is long."""
    if isinstance(value, int) and value.bit_length() > _DIGITS_LIMIT:
        return f"{value.bit_length()} bits"
    return f"{value!r:.80}"


def equal(left: Any, right: Any) -> bool:
    """Whether two storable values are the same.

    NaN is the same as NaN; 1 is not the same as True or 1.0, nor 0.0 as -0.0.
    """
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return bool(left == right)
