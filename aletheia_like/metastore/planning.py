"""Decides what of a question about runs a store can be asked, without any composite index.

The queries of a plan together find every run for which the condition holds, and maybe others: it
is evaluated again for all that come back. A value may lie elsewhere than its name says: `a.b` is a
map in a map or one key; what documents have no type for, such as a decimal number, lies in a map
of its own; and a map with keys that no field can have is a list of pairs. So one comparison may
need several queries, and where they would be too many it is not asked at all.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.conditions import (
    And,
    Column,
    Comparison,
    Condition,
    Keys,
    Part,
    moment,
    necessary,
    ways,
)
from aletheia_like.model.values import INT64
from aletheia_like.ports.documents import RANGE_OPERATORS, Filter, Operator, Order, Query

MOMENTS: Final = frozenset({"started_at", "ended_at", "resumed_at", "heartbeat_at"})
"""Columns that are fields of the same name and hold moments only."""

_TEXTS: Final[dict[str, tuple[Keys, ...]]] = {
    "name": (("name",),),
    "status": (("status",),),
    "parent": (("parent",),),
    "created_by": (("created_by",),),
    "model": (("model", "name"),),
    # A free field may have this name too.
    "commit": (("git", "commit"), ("commit",)),
}
"""Where the columns lie that hold texts only."""

_UNASKED: Final = frozenset(
    "project experiment id seconds debug datasets artifacts git environment error console tags "
    "stop_requested desc notes updated_at token extra summary_of_others schema_version".split()
)
"""Columns that no field holds as they are seen, or whose field has no index."""

_EVEN: Final = {"metrics": 2, "summary": 9}
"""How many outer maps of a column cannot have keys that no field can have; else none."""

_TRIES: Final = 8
_LEAST_TRIES: Final = 24
"""How many more runs than wanted are looked at, before all that a condition may mean are read."""

_MAX_QUERIES: Final = 8
_MAX_PARTS: Final = 5
_FIRST_MOMENT: Final = dt.datetime(1, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a store can be asked about one comparison.

    Attributes:
        direct: Filters of which one holds if the value lies as it is; one for each way to it.
        odd: Filters of which one holds if it lies in another form.
    """

    direct: tuple[Filter, ...]
    odd: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Best:
    """How to find the first runs of an order without reading all.

    Attributes:
        first: Finds at least one more than are wanted; those it leaves out come later, or are
            `odd`.
        odd: Find all whose value lies in another form.
    """

    first: Query
    odd: tuple[Query, ...]


def plan(condition: Condition | None, collection: str) -> tuple[Query, ...]:
    """Return queries that together find everything for which a condition holds."""
    comparisons = [] if condition is None else list(necessary(condition))
    asks = [(one.column, ask) for one in comparisons if (ask := asked(one)) is not None]
    equal = [ask for _, ask in asks if _operator(ask) in ("==", "in")]
    vague = [ask for ask in equal if ask.direct[0].path == ("status",)]
    ranged = [(column, ask) for column, ask in asks if _operator(ask) in RANGE_OPERATORS]
    members = [ask for _, ask in asks if _operator(ask) == "contains"]
    # Most runs have the same status: whatever else there is narrows the search more.
    if len(equal) > len(vague):
        return _equal(collection, equal)
    if ranged:
        same = [ask for column, ask in ranged if column.parts == ranged[0][0].parts]
        return _ranged(collection, same)
    if members:
        return (Query(collection, members[0].direct),)
    return _equal(collection, vague)


def best(
    condition: Condition | None, column: Column, limit: int, collection: str, *, descending: bool
) -> Best | None:
    """Return how to find the first runs of an order; None if all have to be read for it.

    It needs an order by numbers or moments. Whatever the condition says beside bounds of the same
    column is not asked: of more runs than are wanted some will do, unless few runs can.
    """
    parts = And(()) if condition is None else condition
    joined = parts.conditions if isinstance(parts, And) else (parts,)
    own = [one for one in joined if isinstance(one, Comparison) and _same(one.column, column)]
    if len(own) < len(joined) and _is_narrow(parts):
        return None
    least: Any = _FIRST_MOMENT if column.head in MOMENTS else -math.inf
    asks = [asked(one) for one in (Comparison(column, ">=", least), *own)]
    known = [ask for ask in asks if ask is not None and _operator(ask) in RANGE_OPERATORS]
    if len(known) < len(asks) or len(known[0].direct) > 1:
        return None
    filters = tuple(ask.direct[0] for ask in known)
    order = Order(filters[0].path, descending)
    odd = [_alone(collection, one) for one in known[0].odd]
    most = limit if len(own) == len(joined) else limit * _TRIES + _LEAST_TRIES
    return Best(Query(collection, filters, (order,), most + 1), tuple(odd))


def _same(one: Column, other: Column) -> bool:
    return one.parts == other.parts


def _is_narrow(condition: Condition) -> bool:
    """Whether a store can be asked for something that few runs have."""
    asks = [asked(one) for one in necessary(condition)]
    return any(
        _operator(ask) in ("==", "in", "contains") and ask.direct[0].path != ("status",)
        for ask in asks
        if ask is not None
    )


def asked(one: Comparison) -> Ask | None:
    """Return what a store can be asked about a comparison, or None."""
    if one.negated or isinstance(one.value, Column) or one.operator in ("!=", "startswith"):
        return None
    column = one.column
    try:
        if one.operator == "contains":
            return _contains(column, one.value)
        if column.head in MOMENTS:
            return _moments(column, one)
        if column.head in _TEXTS:
            return _texts(column, one)
        return None if column.head in _UNASKED else _values(column, one)
    except InvalidValueError:
        # No query has such a value, or so many.
        return None


def _contains(column: Column, value: Any) -> Ask | None:
    if column.name != "tags" or not isinstance(value, str):
        return None
    return Ask((Filter(("tags",), "contains", value),))


def _moments(column: Column, one: Comparison) -> Ask | None:
    given = one.value if one.operator == "in" else (one.value,)
    found = [moment(value) if isinstance(value, str) else value for value in given]
    if len(column.parts) > 1 or not all(isinstance(value, dt.datetime) for value in found):
        return None
    value = found if one.operator == "in" else found[0]
    return Ask((Filter((column.head,), _port_operator(one), value),))


def _texts(column: Column, one: Comparison) -> Ask | None:
    given = one.value if one.operator == "in" else (one.value,)
    if len(column.parts) > 1 or not all(isinstance(value, str) for value in given):
        return None
    found = list(given)
    if column.head == "status":
        if one.operator not in ("=", "in"):
            return None
        # A lost run is one that is stored as running.
        found = list(dict.fromkeys("running" if one == "lost" else one for one in given))
    value = found if one.operator == "in" else found[0]
    return Ask(tuple(Filter(keys, _port_operator(one), value) for keys in _TEXTS[column.head]))


def _values(column: Column, one: Comparison) -> Ask | None:
    """Return what can be asked about a user's own value."""
    given = one.value if one.operator == "in" else (one.value,)
    if not all(map(_is_plain, given)):
        return None
    value = list(given) if one.operator == "in" else one.value
    places = _places(column.parts)
    direct = [Filter(keys, _port_operator(one), value) for keys in places]
    odd: list[Filter] = []
    is_number = any(type(member) in (int, float) for member in given)
    for keys in places:
        if is_number and column.head not in ("number", "summary"):
            odd.append(Filter(keys, ">=", {}))
        begin = _EVEN.get(column.head, 1)
        odd += [Filter((*keys[:end], "@items"), ">=", []) for end in range(begin, len(keys))]
    return Ask(tuple(direct), tuple(_different(odd))) if direct else None


def _places(parts: tuple[Part, ...]) -> list[Keys]:
    if len(parts) > _MAX_PARTS:
        return []
    if parts[0].text in ("hyper_params", "metrics", "summary"):
        return [(parts[0].text, *keys) for keys in ways(parts[1:]) if keys]
    return list(ways(parts))


def _is_plain(value: Any) -> bool:
    """Whether all values that equal this one, or are above or below, are in a store's order."""
    if isinstance(value, str):
        # Text that writes a moment equals moments too.
        return moment(value) is None
    if isinstance(value, float):
        return not math.isnan(value)
    return isinstance(value, bool) or (isinstance(value, int) and value in INT64)


def _port_operator(one: Comparison) -> Operator:
    return "==" if one.operator == "=" else cast("Operator", one.operator)


def _operator(ask: Ask) -> str:
    return ask.direct[0].operator


def _equal(collection: str, asks: Sequence[Ask]) -> tuple[Query, ...]:
    """Return queries with as many equalities as they are not too many."""
    queries: tuple[Query, ...] = (Query(collection),)
    for count in range(1, len(asks) + 1):
        chosen = asks[:count]
        try:
            direct = [
                Query(collection, filters)
                for filters in itertools.product(*(ask.direct for ask in chosen))
            ]
        except InvalidValueError:
            break
        odd = [_alone(collection, one) for one in _different(_odd(chosen))]
        if len(direct) + len(odd) > _MAX_QUERIES:
            break
        queries = (*direct, *odd)
    return queries


def _ranged(collection: str, asks: Sequence[Ask]) -> tuple[Query, ...]:
    """Return queries with all bounds of one column."""
    direct = [
        Query(collection, filters, (Order(filters[0].path),))
        for filters in zip(*(ask.direct for ask in asks), strict=True)
    ]
    odd = [_alone(collection, one) for one in _different(_odd(asks))]
    queries = (*direct, *odd)
    return queries if len(queries) <= _MAX_QUERIES else (Query(collection),)


def _odd(asks: Iterable[Ask]) -> Iterator[Filter]:
    return itertools.chain.from_iterable(ask.odd for ask in asks)


def _alone(collection: str, one: Filter) -> Query:
    return Query(collection, (one,), (Order(one.path),))


def _different(filters: Iterable[Filter]) -> list[Filter]:
    """Return filters without repetitions; a map cannot be hashed."""
    return list({(one.path, repr(one.value)): one for one in filters}.values())
