"""The last value of a column, over all rows or for each value of an index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aletheia_like.model.rows import ABSENT, Absent

_MISSING = frozenset({type(None), Absent})


@dataclass(frozen=True, slots=True)
class LastByKey:
    """Last values for each distinct key.

    Attributes:
        keys: The keys, a list for each of their parts.
        columns: Values by column, one for each key; None where a key has none.
    """

    keys: list[list[Any]]
    columns: dict[str, list[Any]]


def last(backwards: Iterable[Any], *, merge: bool) -> Any:
    """Return the last value of a column that is given from its end; None if it has none.

    Args:
        backwards: The cells; none is asked for after the one that decides.
        merge: Whether dictionaries are merged with those before them.
    """
    found: Any = None
    for cell in backwards:
        if _is_missing(cell):
            continue
        if not merge or not isinstance(cell, Mapping):
            return cell if found is None else found
        found = cell if found is None else deep_merged(cell, found)
    return found


def last_by_key(
    keys: Sequence[Sequence[Any]],
    columns: Mapping[str, Sequence[Any]],
    *,
    merge: bool,
    keep: bool,
) -> LastByKey:
    """Return the last value of each column for each key, sorted by it if that is possible.

    Args:
        keys: The cells of each part of the key; a row that lacks a part belongs to no key.
        columns: The cells of each column.
        merge: Whether dictionaries are merged.
        keep: Whether to keep keys for which no column has a value.
    """
    group_of, distinct = _grouped(keys[0] if len(keys) == 1 else list(zip(*keys, strict=True)))
    parts = [distinct] if len(keys) == 1 else list(map(list, zip(*distinct, strict=True)))
    table = {
        name: _last_by_group(cells, group_of, len(distinct), merge=merge)
        for name, cells in columns.items()
    }
    kept = _kept(range(len(distinct)), parts, list(table.values()), keep=keep)
    order = _sorted(kept, distinct)
    parts = parts or [[] for _ in keys]
    if list(order) == list(range(len(distinct))):
        return LastByKey(parts, table)
    return LastByKey(
        [_ordered(part, order) for part in parts],
        {name: _ordered(column, order) for name, column in table.items()},
    )


def deep_merged(earlier: Any, later: Any) -> Any:
    """Return two values as one: dictionaries key by key, else the later; both stay as they are."""
    if not isinstance(earlier, Mapping) or not isinstance(later, Mapping):
        return later
    merged = dict(earlier)
    for key, value in later.items():
        merged[key] = deep_merged(merged[key], value) if key in merged else value
    return merged


def _last_by_group(
    cells: Sequence[Any], group_of: Sequence[int], count: int, *, merge: bool
) -> list[Any]:
    if count == len(cells):
        # A group for each row, as a column of steps mostly is.
        return [None if cell is ABSENT else cell for cell in cells]
    merge = merge and any(issubclass(kind, Mapping) for kind in set(map(type, cells)))
    column: list[Any] = [None] * count
    for group, cell in zip(group_of, cells, strict=True):
        if cell is not None and cell is not ABSENT:
            column[group] = deep_merged(column[group], cell) if merge else cell
    return column


def _grouped(keys: Sequence[Any]) -> tuple[list[int], list[Any]]:
    """Number the distinct keys; return the number of each, and the keys by number."""
    try:
        distinct = dict.fromkeys(keys)
    except TypeError:
        firsts: dict[Any, Any] = {}
        names = [_hashable(key) for key in keys]
        for name, key in zip(names, keys, strict=True):
            firsts.setdefault(name, key)
        return _grouped(names)[0], list(firsts.values())
    numbers = dict(zip(distinct, range(len(distinct)), strict=True))
    return list(map(numbers.__getitem__, keys)), list(distinct)


def _hashable(key: Any) -> Any:
    try:
        hash(key)
    except TypeError:
        # No key is a set, so a text that reads the same is another key.
        return frozenset((repr(key),))
    return key


def _kept(
    numbers: Sequence[int],
    parts: Sequence[Sequence[Any]],
    columns: Sequence[Sequence[Any]],
    *,
    keep: bool,
) -> Sequence[int]:
    """Return the numbers of the keys that lack no part and, if that is asked, have a value."""
    for part in parts:
        if not _MISSING.isdisjoint(map(type, part)):
            numbers = [number for number in numbers if not _is_missing(part[number])]
    if keep or any(type(None) not in set(map(type, column)) for column in columns):
        return numbers
    return [number for number in numbers if any(column[number] is not None for column in columns)]


def _sorted(numbers: Sequence[int], keys: Sequence[Any]) -> Sequence[int]:
    try:
        return sorted(numbers, key=keys.__getitem__)
    except TypeError:
        return numbers


def _ordered(values: list[Any], order: Sequence[int]) -> list[Any]:
    return [values[number] for number in order]


def _is_missing(cell: Any) -> bool:
    return type(cell) in _MISSING
