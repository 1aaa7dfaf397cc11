"""Rejects documents by their JSON text alone, which is ten times cheaper than decoding them.

A rejected text cannot belong to a document that matches; one that passes still has to be decoded
and matched. What is looked for is a key with its value, wherever in the document it stands.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from aletheia_like.adapters._textvalues import numbers
from aletheia_like.model.jsontext import key_text, member_text
from aletheia_like.model.values import Value
from aletheia_like.ports.documents import Filter

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class HasPart:
    """Whether a part stands in a text."""

    part: str

    def __call__(self, text: str) -> bool:
        return self.part in text


@dataclass(frozen=True, slots=True)
class HasNumber:
    """Whether a number that passes a filter stands in a text beside a key.

    Attributes:
        key: See `_textvalues`.
        bound: The filter.
    """

    key: str
    bound: Filter

    def __call__(self, text: str) -> bool:
        return any(map(passes([self.bound]), numbers(self.key, text)))


TextTest = HasPart | HasNumber


def text_tests(filters: Sequence[Filter]) -> list[TextTest]:
    """Return tests that the text of every matching document passes."""
    return [test for one in filters if (test := _text_test(one)) is not None]


def _text_test(one: Filter) -> TextTest | None:
    key, value = one.path[-1], one.value
    if isinstance(value, str | bool | None):
        return HasPart(member_text(key, value)) if one.operator == "==" else None
    if one.operator not in _COMPARISONS:
        return None
    if isinstance(value, dict | list):
        # A map or list stands only beside its like.
        return HasPart(key_text(key) + ("[" if isinstance(value, list) else "{"))
    return HasNumber(key_text(key), one) if is_number(value) else None


def passes(bounds: Sequence[Filter]) -> Callable[[Any], bool]:
    """Return whether a value passes filters that compare with values of its kind."""
    pairs = [(_COMPARISONS[one.operator], one.value) for one in bounds]
    return lambda found: all(compare(found, value) for compare, value in pairs)


def is_number(value: Value) -> bool:
    """Whether a value is a number that others are above or below."""
    return type(value) in (int, float) and not math.isnan(cast("float", value))
