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
class HasOpening:
    """Whether a map or list may stand in a text beside a key of a map.

    The same key often has a map elsewhere: what a run logs has a summary under the names that its
    parameters and metrics have, too.

    Attributes:
        part: The key, and how a map or list begins.
        around: The key of the map around it, and how that begins.
    """

    part: str
    around: str

    def __call__(self, text: str) -> bool:
        start = text.find(self.around)
        if start < 0 or self.part not in text:
            return False
        inside = start + len(self.around)
        return text.find(self.around, inside) >= 0 or not _is_flat(text, inside)


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


TextTest = HasPart | HasOpening | HasNumber


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
        part = key_text(key) + ("[" if isinstance(value, list) else "{")
        above = one.path[-2:-1]
        return HasOpening(part, f"{key_text(above[0])}{{") if above else HasPart(part)
    return HasNumber(key_text(key), one) if is_number(value) else None


def _is_flat(text: str, inside: int) -> bool:
    """Whether the map that has begun there surely ends before any map or list begins."""
    end = text.find("}", inside)
    begun = text[inside:end]
    # Within a text an end is none; where there are escapes nobody knows.
    is_outside = begun.count('"') % 2 == 0 and "\\" not in begun
    return is_outside and "{" not in begun and "[" not in begun


def passes(bounds: Sequence[Filter]) -> Callable[[Any], bool]:
    """Return whether a value passes filters that compare with values of its kind."""
    pairs = [(_COMPARISONS[one.operator], one.value) for one in bounds]
    return lambda found: all(compare(found, value) for compare, value in pairs)


def is_number(value: Value) -> bool:
    """Whether a value is a number that others are above or below."""
    return type(value) in (int, float) and not math.isnan(cast("float", value))
