"""Finds the first documents of an order without decoding all: their JSON text bounds the rest.

By what a document may be sorted shows in its text, wherever that has the key. The most promising
texts are decoded first, until no other can come before what was found.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from aletheia_like.adapters._knownrows import KnownRows, Row, ValuesIn
from aletheia_like.adapters._prefilter import is_number, passes
from aletheia_like.adapters._textvalues import moments, numbers
from aletheia_like.model.jsontext import key_text
from aletheia_like.ports.documents import RANGE_OPERATORS, Filter, Query


@dataclass(frozen=True, slots=True)
class SortedBy:
    """By what the documents of a query are sorted, as it stands in their texts.

    Attributes:
        values_in: Reads from a text everything by which its document may be sorted.
        key: Beside what it stands.
        bounds: Filters that it passes.
        descending: Greatest first.
        limit: How many documents are wanted.
    """

    values_in: ValuesIn
    key: str
    bounds: tuple[Filter, ...]
    descending: bool
    limit: int


def sorted_by(query: Query) -> SortedBy | None:
    """Return by what a query sorts.

    None unless it has a limit, and one order, by values that a filter says to be numbers or
    moments.
    """
    if query.limit is None or len(query.order_by) != 1:
        return None
    order = query.order_by[0]
    own = [one for one in query.filters if one.path == order.path]
    bounds = tuple(one for one in own if one.operator in RANGE_OPERATORS)
    key = key_text(order.path[-1])
    if bounds and isinstance(bounds[0].value, dt.datetime):
        return SortedBy(moments, key, (), order.descending, query.limit)
    if bounds and all(is_number(one.value) for one in bounds):
        return SortedBy(numbers, key, bounds, order.descending, query.limit)
    return None


def first_of(rows: Iterable[Row], by: SortedBy, decoded: Callable[[Row], Any]) -> None:
    """Decode what may be among the first of an order, the most promising first.

    Args:
        rows: What to choose from.
        by: The order, and how many are wanted. Whatever sorts equal to the last of them is decoded
            too.
        decoded: Takes a row and returns by what it is sorted; None if it does not match.
    """
    found: list[Any] = []
    for bound, row in _best_first(rows, by):
        if len(found) >= by.limit and (
            found[-by.limit] > bound if by.descending else found[by.limit - 1] < bound
        ):
            return
        key = decoded(row)
        if key is not None:
            bisect.insort(found, key)


def _best_first(rows: Iterable[Row], by: SortedBy) -> Iterator[tuple[Any, Row]]:
    """Yield each row once, with the first of the values by which it may be sorted."""
    if isinstance(rows, KnownRows):
        seen: set[str] = set()
        for value, row in rows.in_order(by.values_in, by.key, by.bounds, descending=by.descending):
            if row[0] not in seen:
                seen.add(row[0])
                yield value, row
        return
    best = max if by.descending else min
    within = passes(by.bounds)
    pairs = [
        (best(values), row)
        for row in rows
        if (values := list(filter(within, by.values_in(by.key, row[3]))))
    ]
    pairs.sort(key=lambda pair: pair[0], reverse=by.descending)
    yield from pairs
