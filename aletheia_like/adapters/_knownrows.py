"""Rows of one collection that are in memory: what stands in their texts is looked up, once a key.

Looking through every text again for each query would take most of a search's time.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aletheia_like.adapters._prefilter import HasNumber, TextTest
from aletheia_like.adapters._textvalues import numbers
from aletheia_like.ports.documents import Filter

K = TypeVar("K")
V = TypeVar("V")

Row = tuple[str, str, str, str]
"""Id, revision, time of the last change, fields."""

ValuesIn = Callable[[str, str], Iterable[Any]]
"""Takes a key and a text and returns what stands there: `numbers` or `moments`."""

_MAX_KEYS: Final = 64


@dataclass(frozen=True, slots=True)
class _Index:
    """The values beside one key in many texts, in their order, and in which row each stands."""

    values: Sequence[Any]
    places: Sequence[int]

    def span(self, bound: Filter) -> range:
        """Return the part of the order whose values pass a filter."""
        left = bisect.bisect_left(self.values, bound.value)
        right = bisect.bisect_right(self.values, bound.value)
        every = len(self.values)
        return {
            "==": range(left, right),
            "<": range(left),
            "<=": range(right),
            ">": range(right, every),
            ">=": range(left, every),
        }[bound.operator]


class KnownRows:
    """Rows of one collection, by id; threads may share them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._indexes: dict[tuple[ValuesIn, str], _Index] = {}
        self._places: dict[TextTest, Sequence[int]] = {}

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def passing(self, tests: Sequence[TextTest]) -> Iterable[Row]:
        """Return the rows whose texts pass all tests."""
        if not tests:
            return self._rows
        found = [(self._passing(test), test) for test in tests]
        places, first = min(found, key=lambda pair: len(pair[0]))
        rows = [self._rows[place] for place in sorted(set(places))]
        return _passing(rows, [test for test in tests if test is not first])

    def in_order(
        self, values_in: ValuesIn, key: str, bounds: Sequence[Filter], *, descending: bool
    ) -> Iterator[tuple[Any, Row]]:
        """Yield each value beside a key that passes all bounds, with its row, in order."""
        index = self._index(values_in, key)
        spans = [index.span(bound) for bound in bounds]
        start = max((span.start for span in spans), default=0)
        stop = min((span.stop for span in spans), default=len(index.values))
        places = range(start, stop)
        for place in reversed(places) if descending else places:
            yield index.values[place], self._rows[index.places[place]]

    def _index(self, values_in: ValuesIn, key: str) -> _Index:
        known = self._indexes.get((values_in, key))
        if known is None:
            pairs = [
                (value, place)
                for place, row in enumerate(self._rows)
                for value in values_in(key, row[3])
            ]
            pairs.sort()
            known = _Index([value for value, _ in pairs], [place for _, place in pairs])
            _note(self._indexes, (values_in, key), known)
        return known

    def _passing(self, test: TextTest) -> Sequence[int]:
        if isinstance(test, HasNumber):
            index = self._index(numbers, test.key)
            span = index.span(test.bound)
            return index.places[span.start : span.stop]
        known = self._places.get(test)
        if known is None:
            known = [place for place, row in enumerate(self._rows) if test(row[3])]
            _note(self._places, test, known)
        return known


def _note(known: dict[K, V], key: K, value: V) -> None:
    if len(known) >= _MAX_KEYS:
        known.clear()
    known[key] = value


def passing(rows: Iterable[Row], tests: Sequence[TextTest]) -> Iterable[Row]:
    """Return those of some rows whose texts pass all tests."""
    if isinstance(rows, KnownRows):
        return rows.passing(tests)
    return _passing(rows, tests)


def _passing(rows: Iterable[Row], tests: Sequence[TextTest]) -> Iterable[Row]:
    for test in tests:
        rows = _passing_one(rows, test)
    return rows


def _passing_one(rows: Iterable[Row], test: TextTest) -> Iterator[Row]:
    return (row for row in rows if test(row[3]))
