"""Rejects documents by their JSON text alone, which is ten times cheaper than decoding them.

A rejected text cannot belong to a document that matches; one that passes still has to be decoded
and matched. What is looked for is a key with its value, wherever in the document it stands.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from aletheia_like.model.jsontext import key_text, member_text
from aletheia_like.model.values import Value
from aletheia_like.ports.documents import Filter

TextTest = Callable[[str], bool]

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def text_tests(filters: Sequence[Filter]) -> list[TextTest]:
    """Return tests that the text of every matching document passes."""
    return [test for one in filters if (test := _text_test(one)) is not None]


def text_test(filters: Sequence[Filter]) -> TextTest | None:
    """Return one test that the text of every matching document passes, if there is any."""
    tests = text_tests(filters)
    if len(tests) > 1:
        return lambda text: all(test(text) for test in tests)
    return tests[0] if tests else None


def _text_test(one: Filter) -> TextTest | None:
    value = one.value
    if isinstance(value, str | bool | None):
        return _has_member(one) if one.operator == "==" else None
    if isinstance(value, dict | list) and one.operator in _COMPARISONS:
        return _has_opening(one)
    if is_number(value) and one.operator in _COMPARISONS:
        return _has_number(one)
    return None


def _has_member(one: Filter) -> TextTest:
    member = member_text(one.path[-1], one.value)
    return lambda text: member in text


def _has_opening(one: Filter) -> TextTest:
    """A map or list stands only beside its like."""
    opening = f"{key_text(one.path[-1])}{'[' if isinstance(one.value, list) else '{'}"
    return lambda text: opening in text


def _has_number(one: Filter) -> TextTest:
    key = key_text(one.path[-1])
    find = re.compile(re.escape(key) + r"(-?\d[\d.eE+-]*)").findall
    # Infinity stands in a map of its own.
    other = f"{key}{{"
    within = number_test([one])

    def test(text: str) -> bool:
        return other in text or any(within(number(found)) for found in find(text))

    return test


def is_number(value: Value) -> bool:
    """Whether a value is a number that others are above or below."""
    return type(value) in (int, float) and not math.isnan(cast("float", value))


def number_test(filters: Sequence[Filter]) -> Callable[[int | float], bool]:
    """Return whether a number passes filters that compare with numbers."""
    pairs = [(_COMPARISONS[one.operator], one.value) for one in filters]
    if len(pairs) == 1:
        ((compare, value),) = pairs
        return lambda found: compare(found, value)
    return lambda found: all(compare(found, value) for compare, value in pairs)


def number(text: str) -> int | float:
    """Return the number that a JSON text writes."""
    # An integer as a float would lose digits beyond 2^53.
    return int(text) if text.lstrip("-").isdigit() else float(text)
