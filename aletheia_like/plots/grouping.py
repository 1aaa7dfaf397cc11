"""Values that tell groups apart, and their order."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any


def ordered(values: Iterable[Any]) -> list[Any]:
    """Return distinct values: numbers by size, then texts, then the rest as they came."""
    distinct: dict[Hashable, Any] = {}
    for value in values:
        distinct.setdefault(identity(value), value)
    return sorted(distinct.values(), key=_rank)


def identity(value: Any) -> Hashable:
    """Return what two values share if they are one group; True is not 1, but 1.0 is."""
    if is_number(value):
        return "number", value
    return type(value).__name__, str(value)


def _rank(value: Any) -> tuple[int, float, str]:
    if is_number(value):
        return 0, float(value), ""
    if isinstance(value, str | bool):
        return 1, 0.0, str(value)
    return 2, 0.0, ""


def is_number(value: Any) -> bool:
    """Whether a value has a place on a scale."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return abs(float(value)) < float("inf")
    except OverflowError:
        return False


def shown(value: Any) -> str:
    """Return a value as a legend shows it."""
    return f"{value:.6g}" if isinstance(value, float) else f"{value!s:.60}"


def placed(values: Sequence[Any]) -> tuple[list[float | None], tuple[str, ...]]:
    """Return a place for each value on one axis, and the names of places that are no numbers.

    If every value that is there is a number, they are their own places; NaN and infinity have
    none. Otherwise the distinct values get the places 0, 1, …
    """
    if all(value is None or _is_numeric(value) for value in values):
        return [float(value) if is_number(value) else None for value in values], ()
    distinct = ordered(one for one in values if one is not None)
    place = {identity(value): float(number) for number, value in enumerate(distinct)}
    places = [None if value is None else place[identity(value)] for value in values]
    return places, tuple(map(shown, distinct))


def _is_numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
