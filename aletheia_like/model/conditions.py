"""What a question about runs asks, and whether a run answers it; `conditiontext` reads its words.

    metrics.acc > 0.9 and (hyper_params.lr < 0.1 or tags contains 'base')

* A condition holds or it does not; there is no third outcome. `not` turns one into the other.
* A comparison holds only for a value that is there: for a missing one not even `!=` and `not in`
  hold. `is null` asks for what is missing, and so does `= null`.
* Kinds never cross: text is neither less nor greater than a number, nor equal to one. What is
  there and of another kind is different, so `!=` holds. A truth value is no number.
* NaN is like itself, different from every number, and neither less nor greater.
* Moments, dates, and texts that write them, compare by time. A date is its first moment, and what
  names no zone is in UTC.
"""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, Literal

from aletheia_like.model.values import LongText

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "contains", "startswith"]

Kind = Literal["number", "moment", "text", "truth", "other"]
"""What a value is compared as."""

Keys = tuple[str, ...]
"""The way to a value through nested maps."""

ORDERINGS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_RANKS: Final[Mapping[Kind, int]] = {
    "number": 0,
    "moment": 1,
    "text": 2,
    "truth": 3,
    "other": 4,
}


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a name.

    Attributes:
        text: What it says.
        quoted: Whether it is one key exactly; others may be parts of a key with dots.
    """

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """The name of a value, such as `metrics.acc`.

    Attributes:
        parts: Its pieces.
        at: Where in the text it begins.
    """

    parts: tuple[Part, ...]
    at: int = 0

    @property
    def head(self) -> str:
        """The first piece."""
        return self.parts[0].text

    @property
    def name(self) -> str:
        """The name as a table shows it."""
        return ".".join(part.text for part in self.parts)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One test of one value.

    Attributes:
        column: Which value.
        operator: How.
        value: With what: a value, a tuple of them for `in`, or another column.
        negated: For `not in`, `not contains` and `not startswith`; missing values fail these too.
    """

    column: Column
    operator: Operator
    value: Any
    negated: bool = False


@dataclass(frozen=True, slots=True)
class And:
    """All of them hold."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of them holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """It does not hold."""

    condition: Condition


Condition = Comparison | And | Or | Not

ValueOf = Callable[[Column], Any]
"""Tells the value of a column; None for a missing one."""


def holds(condition: Condition, value_of: ValueOf) -> bool:
    """Whether a condition holds for what has these values."""
    match condition:
        case Comparison():
            return _compares(condition, value_of)
        case And(conditions):
            return all(holds(one, value_of) for one in conditions)
        case Or(conditions):
            return any(holds(one, value_of) for one in conditions)
        case Not(one):
            return not holds(one, value_of)


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Yield every comparison that a condition makes."""
    match condition:
        case Comparison():
            yield condition
        case And(conditions) | Or(conditions):
            for one in conditions:
                yield from comparisons(one)
        case Not(one):
            yield from comparisons(one)


def necessary(condition: Condition) -> Iterator[Comparison]:
    """Yield comparisons that hold wherever the condition does."""
    match condition:
        case Comparison():
            yield condition
        case And(conditions):
            for one in conditions:
                yield from necessary(one)


def ways(parts: tuple[Part, ...]) -> tuple[Keys, ...]:
    """Return the keys that a name may mean, nested maps before keys with dots.

    There are twice as many with each part.

    Examples:
        >>> ways((Part("opt"), Part("lr")))
        (('opt', 'lr'), ('opt.lr',))
        >>> ways((Part("opt"), Part("l.r", quoted=True)))
        (('opt', 'l.r'),)
    """
    if not parts:
        return ((),)
    return tuple(
        (key, *keys)
        for count, key in enumerate(first_keys(parts), 1)
        for keys in ways(parts[count:])
    )


@functools.lru_cache(maxsize=512)
def first_keys(parts: tuple[Part, ...]) -> tuple[str, ...]:
    """Return what a name may mean on the first level, with more and more of its parts.

    Examples:
        >>> first_keys((Part("a"), Part("b")))
        ('a', 'a.b')
    """
    quoted = next((place for place, part in enumerate(parts) if part.quoted), len(parts))
    most = max(quoted, min(1, len(parts)))
    return tuple(".".join(part.text for part in parts[:count]) for count in range(1, most + 1))


def find(values: Any, parts: tuple[Part, ...]) -> Any:
    """Return what nested maps and records hold under a name; None if there is nothing."""
    found = _found(values, parts)
    return None if found is _ABSENT else found


def sort_key(value: Any) -> tuple[int, Any] | None:
    """Return what sorts values: numbers first, then moments, texts, truth values, all others.

    Returns:
        The rank of the value's kind, and a key within that; None for NaN and missing values.
    """
    if value is None:
        return None
    kind, key = _comparable(value)
    if kind == "number" and _is_nan(key):
        return None
    return _RANKS[kind], str(key) if kind == "other" else key


@functools.lru_cache(maxsize=512)
def moment(text: str) -> dt.datetime | None:
    """Return the moment that a text in ISO 8601 writes, or None; by default in UTC.

    Examples:
        >>> moment("2026-01-31")
        datetime.datetime(2026, 1, 31, 0, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        return _utc(dt.datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


_ABSENT = object()


def _found(values: Any, parts: tuple[Part, ...]) -> Any:
    if not parts:
        return values
    for count, key in enumerate(first_keys(parts), 1):
        inner = _member(values, key)
        if inner is not _ABSENT and (found := _found(inner, parts[count:])) is not _ABSENT:
            return found
    return _ABSENT


def _member(values: Any, key: str) -> Any:
    if isinstance(values, Mapping):
        if key in values:
            return values[key]
        named = (inner for other, inner in values.items() if str(other) == key)
        return next(named, _ABSENT)
    if is_dataclass(values) and any(one.name == key for one in fields(values)):
        return getattr(values, key)
    return _member(getattr(values, "extra", None) or {}, key) if is_dataclass(values) else _ABSENT


def _compares(one: Comparison, value_of: ValueOf) -> bool:
    left, right = value_of(one.column), one.value
    if isinstance(right, Column):
        right = value_of(right)
        if right is None:
            return False
    match one.operator:
        case "=":
            return _same(left, right)
        case "!=":
            return left is not None and not _same(left, right)
        case "in":
            found = any(_same(left, member) for member in right)
        case "contains":
            found = _contains(left, right)
        case "startswith":
            text = left.head if isinstance(left, LongText) else left
            found = isinstance(text, str) and isinstance(right, str) and text.startswith(right)
        case _:
            return _is_ordered(one.operator, left, right)
    return (left is not None and not found) if one.negated else found


def _same(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    kind, one, other = _aligned(left, right)
    if kind == "number" and (_is_nan(one) or _is_nan(other)):
        return _is_nan(one) and _is_nan(other)
    return kind is not None and bool(one == other)


def _is_ordered(operator_: str, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    kind, one, other = _aligned(left, right)
    return kind not in (None, "truth", "other") and ORDERINGS[operator_](one, other)


def _contains(left: Any, right: Any) -> bool:
    match left:
        case list() | tuple():
            return any(_same(item, right) for item in left)
        case Mapping():
            return isinstance(right, str) and _member(left, right) is not _ABSENT
        case LongText(head=head):
            return isinstance(right, str) and right in head
    return isinstance(left, str) and isinstance(right, str) and right in left


def _aligned(left: Any, right: Any) -> tuple[Kind | None, Any, Any]:
    """Return two values as what they are compared, and as which kind; None if they are not."""
    kind, one = _comparable(left)
    other_kind, other = _comparable(right)
    if kind == "text" and other_kind == "moment":
        kind, one = "moment", moment(one)
    elif kind == "moment" and other_kind == "text":
        other_kind, other = "moment", moment(other)
    return (None if kind != other_kind or one is None or other is None else kind), one, other


def _comparable(value: Any) -> tuple[Kind, Any]:
    match value:
        case bool():
            return "truth", value
        case int() | float():
            return "number", value
        case str():
            return "text", value
        case dt.datetime():
            return "moment", _utc(value)
        case dt.date():
            return "moment", dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
        case decimal.Decimal():
            return "number", math.nan if value.is_nan() else float(value)
        case tuple():
            return "other", list(value)
        case _:
            return "other", value


def _utc(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
