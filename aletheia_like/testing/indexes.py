"""Which indexes a query needs: the emulator never asks for one, production does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aletheia_like.model.values import FieldPath
from aletheia_like.ports.documents import RANGE_OPERATORS, Query

_ASCENDING, _DESCENDING = "ASCENDING", "DESCENDING"
_FLIPPED = {_ASCENDING: _DESCENDING, _DESCENDING: _ASCENDING}


@dataclass(frozen=True, slots=True)
class Index:
    """A composite index.

    Attributes:
        group: The last part of the collections' paths.
        equal: Fields that are compared for equality; their order does not matter.
        contains: Fields that are searched for a member.
        sorted: Fields and directions that follow.
    """

    group: str
    equal: frozenset[str]
    contains: frozenset[str]
    sorted: tuple[tuple[str, str], ...]

    def serves(self, needed: Index) -> bool:
        """Whether this index answers what needs `needed`; it can be read from either end."""
        flipped = tuple((path, _FLIPPED[direction]) for path, direction in needed.sorted)
        count = len(needed.sorted)
        ours = self.sorted[len(self.sorted) - count :] if count else ()
        rest = {path for path, _ in self.sorted[: len(self.sorted) - count]}
        return (
            self.group == needed.group
            and self.contains == needed.contains
            and self.equal | rest == needed.equal
            and ours in (needed.sorted, flipped)
        )


@dataclass(frozen=True, slots=True)
class Indexes:
    """What `firestore.indexes.json` declares.

    Attributes:
        composite: The composite indexes.
        exempt: Collection group and field of those that have no index at all.
    """

    composite: tuple[Index, ...]
    exempt: frozenset[tuple[str, str]]


def read_indexes(path: Path) -> Indexes:
    """Read a `firestore.indexes.json`."""
    declared = json.loads(path.read_text())
    composite = tuple(map(_declared, declared.get("indexes", ())))
    exempt = frozenset(
        (one["collectionGroup"], one["fieldPath"])
        for one in declared.get("fieldOverrides", ())
        if not one["indexes"]
    )
    return Indexes(composite, exempt)


def _declared(one: Mapping[str, Any]) -> Index:
    """Return a composite index out of the file; which fields are equal depends on the query."""
    fields = one["fields"]
    return Index(
        one["collectionGroup"],
        frozenset(),
        frozenset(field["fieldPath"] for field in fields if "arrayConfig" in field),
        tuple((field["fieldPath"], field["order"]) for field in fields if "order" in field),
    )


def missing_index(query: Query, declared: Indexes) -> str | None:
    """Return what Firestore would miss to answer the query, or None."""
    group = query.collection.rpartition("/")[2]
    for path in [one.path for one in query.filters] + [one.path for one in query.order_by]:
        for length in range(1, len(path) + 1):
            if (group, _text(path[:length])) in declared.exempt:
                return f"{_text(path)} of {group} has no index: see fieldOverrides"
    needed = needed_index(query)
    if needed is None or any(one.serves(needed) for one in declared.composite):
        return None
    return f"a query of {group} needs a composite index: {needed}"


def needed_index(query: Query) -> Index | None:
    """Return the composite index that a query needs, None if those of single fields do.

    Indexes of single fields answer equalities alone by merging, one range or order, and one
    `contains`. That a `contains` merges with equalities is not promised, so it is not relied on.
    """
    ranged = [one.path for one in query.filters if one.operator in RANGE_OPERATORS | {"!="}]
    others = [one for one in query.filters if one.operator not in RANGE_OPERATORS | {"!="}]
    directions = {one.path: one.descending for one in query.order_by}
    for path in ranged:
        directions.setdefault(path, False)
    members = sum(one.operator == "contains" for one in others)
    if not directions and (not members or len(others) == 1):
        return None
    if len(directions) == 1 and not others:
        return None
    return Index(
        query.collection.rpartition("/")[2],
        frozenset(_text(one.path) for one in others if one.operator != "contains"),
        frozenset(_text(one.path) for one in others if one.operator == "contains"),
        tuple(
            (_text(path), _DESCENDING if downwards else _ASCENDING)
            for path, downwards in directions.items()
        ),
    )


def _text(path: FieldPath) -> str:
    return ".".join(path)
