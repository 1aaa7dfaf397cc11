"""Which write is seen where: intervals between bounds, and later ones over earlier ones.

A bound lies between values: just before one or just after one, so that every interval, open or
closed at either end, is half open between two bounds. Values are tuples, one item for each column
of the index.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

from aletheia_like.errors import InvalidValueError

Closed = Literal["left", "right", "both", "neither"]
T = TypeVar("T")

_CLOSED: Final[dict[str, Closed]] = {
    "left": "left",
    "right": "right",
    "both": "both",
    "neither": "neither",
    "l": "left",
    "r": "right",
    "b": "both",
    "n": "neither",
}


class Top:
    """Greater than every value: after all rows that begin with the values before it."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return not isinstance(other, Top)

    def __le__(self, other: object) -> bool:
        return isinstance(other, Top)

    def __ge__(self, other: object) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Top)

    def __hash__(self) -> int:
        return 0


Bound = tuple[Any, ...]
"""`LOWEST`, `HIGHEST`, or `(0, values, side)` with side 0 before the values and 1 after them."""

LOWEST: Final[Bound] = (-1,)
HIGHEST: Final[Bound] = (1,)


class Interval(NamedTuple):
    """What lies between two bounds; a tuple, because many are made."""

    lo: Bound
    hi: Bound

    @property
    def is_empty(self) -> bool:
        """Whether nothing can lie in it."""
        return not self.lo < self.hi

    def meet(self, other: Interval) -> Interval:
        """Return what is in both."""
        return Interval(max(self.lo, other.lo), min(self.hi, other.hi))

    def covers(self, other: Interval) -> bool:
        """Whether all of the other is in this."""
        return self.lo <= other.lo and other.hi <= self.hi


EVERYTHING: Final = Interval(LOWEST, HIGHEST)


def check_closed(closed: str) -> Closed:
    """Return which ends of an interval belong to it.

    Raises:
        InvalidValueError: It is not left, right, both or neither.
    """
    found = _CLOSED.get(closed) if isinstance(closed, str) else None
    if found is None:
        message = f"closed={closed!r}: it is 'left', 'right', 'both' or 'neither'"
        raise InvalidValueError(message)
    return found


def interval(
    start: tuple[Any, ...] | None, stop: tuple[Any, ...] | None, closed: Closed, width: int
) -> Interval:
    """Return the interval from `start` to `stop`; an absent end is unbounded.

    Args:
        start: Values of the first columns of the index, or None.
        stop: The same.
        closed: Which ends belong to it.
        width: How many columns the index has; fewer values stand for all that begin with them.
    """
    lo: Bound = LOWEST
    hi: Bound = HIGHEST
    if start is not None:
        lo = _before(start) if closed in ("left", "both") else _after(start, width)
    if stop is not None:
        hi = _after(stop, width) if closed in ("right", "both") else _before(stop)
    return Interval(lo, hi)


def _before(values: tuple[Any, ...]) -> Bound:
    return (0, values, 0)


def _after(values: tuple[Any, ...], width: int) -> Bound:
    return (0, values, 1) if len(values) == width else (0, (*values, Top()), 1)


class Layers(Generic[T]):
    """What is seen after every write so far: pieces that do not overlap, in order."""

    __slots__ = ("_los", "_pieces")

    def __init__(self) -> None:
        self._los: list[Bound] = []
        self._pieces: list[tuple[Interval, T]] = []

    def put(self, where: Interval, what: T) -> None:
        """Cover an interval by something new."""
        if where.is_empty:
            return
        if not self._pieces or self._pieces[-1][0].hi <= where.lo:
            self._los.append(where.lo)
            self._pieces.append((where, what))
            return
        first, last = self._between(where)
        new: list[tuple[Interval, T]] = [(where, what)]
        if first < last:
            (left, left_what), (right, right_what) = self._pieces[first], self._pieces[last - 1]
            if left.lo < where.lo:
                new.insert(0, (Interval(left.lo, where.lo), left_what))
            if where.hi < right.hi:
                new.append((Interval(where.hi, right.hi), right_what))
        self._pieces[first:last] = new
        self._los[first:last] = [piece.lo for piece, _ in new]

    def within(self, where: Interval) -> list[tuple[Interval, T]]:
        """Return what is seen in an interval, cut to it."""
        if where.is_empty:
            return []
        first, last = self._between(where)
        return [(piece.meet(where), what) for piece, what in self._pieces[first:last]]

    def __iter__(self) -> Iterator[tuple[Interval, T]]:
        return iter(self._pieces)

    def __len__(self) -> int:
        return len(self._pieces)

    def _between(self, where: Interval) -> tuple[int, int]:
        """Return the pieces that overlap an interval, as a range."""
        first = bisect.bisect_right(self._los, where.lo)
        if first and where.lo < self._pieces[first - 1][0].hi:
            first -= 1
        return first, max(first, bisect.bisect_left(self._los, where.hi))
