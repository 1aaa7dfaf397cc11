"""Finds the first documents of an order without decoding all: their JSON text bounds the rest.

By what a document may be sorted shows in its text, wherever that has the key. The most promising
texts are decoded first, until no other can come before what was found.
"""

from __future__ import annotations

import bisect
import datetime as dt
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from aletheia_like.adapters._prefilter import is_number, number, number_test
from aletheia_like.model.jsontext import key_text
from aletheia_like.ports.documents import RANGE_OPERATORS, Filter, Query

T = TypeVar("T")

_EXTREMES = (dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC))

PossibleKeys = Callable[[str], list[Any]]
"""Returns from a text everything by which its document may be sorted."""


def possible_keys(query: Query) -> PossibleKeys | None:
    """Return how to read from a text by what its document may be sorted.

    None unless the query has a limit, and one order, by values that a filter says to be numbers or
    moments.
    """
    if query.limit is None or len(query.order_by) != 1:
        return None
    path = query.order_by[0].path
    bounds = [one for one in query.filters if one.path == path and one.operator in RANGE_OPERATORS]
    if bounds and isinstance(bounds[0].value, dt.datetime):
        return _moments(key_text(path[-1]))
    if bounds and all(is_number(one.value) for one in bounds):
        return _numbers(key_text(path[-1]), bounds)
    return None


def first_of(
    texts: Iterable[tuple[str, T]],
    keys_in: PossibleKeys,
    decoded: Callable[[T], Any],
    limit: int,
    *,
    descending: bool,
) -> None:
    """Decode what may be among the first of an order, the most promising first.

    Args:
        texts: Each text, and what it belongs to.
        keys_in: See `possible_keys`.
        decoded: Takes what a text belongs to and returns by what it is sorted; None if it does
            not match.
        limit: How many are wanted. Whatever sorts equal to the last of them is decoded too.
        descending: Greatest first.
    """
    best = max if descending else min
    bounds = [(best(keys), one) for text, one in texts if (keys := keys_in(text))]
    bounds.sort(key=lambda pair: pair[0], reverse=descending)
    found: list[Any] = []
    for bound, one in bounds:
        if len(found) >= limit and (
            found[-limit] > bound if descending else found[limit - 1] < bound
        ):
            return
        key = decoded(one)
        if key is not None:
            bisect.insort(found, key)


def _numbers(key: str, bounds: Sequence[Filter]) -> PossibleKeys:
    find = re.compile(rf'{re.escape(key)}(?:(-?\d[\d.eE+-]*)|\{{"__float__":"(-?inf)"\}})').findall
    within = number_test(bounds)

    def keys(text: str) -> list[Any]:
        found = [number(plain) if plain else float(odd) for plain, odd in find(text)]
        return [key for key in found if within(key)]

    return keys


def _moments(key: str) -> PossibleKeys:
    find = re.compile(rf'{re.escape(key)}\{{"__datetime__":"([^"]*)"\}}').findall
    return lambda text: [moment for found in find(text) for moment in _moment(found)]


def _moment(text: str) -> tuple[dt.datetime, ...]:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return _EXTREMES
    # Damaged: whoever decodes it says so.
    return _EXTREMES if found.tzinfo is None else (found,)
