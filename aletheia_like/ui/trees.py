"""Values as a tree that folds: what is inside of what, with limits on what a page can bear."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aletheia_like.metastore.assets import File
from aletheia_like.ui.plain import shown

MOST_CHILDREN = 200
MOST_LETTERS = 20_000
_MOST_DEEP = 12
_LONG_LETTERS = 200


@dataclass(frozen=True, slots=True)
class Node:
    """A value, and what is inside it.

    Attributes:
        name: Its key, or its place in a list.
        way: Its keys from the top, as one text: unique on its tree.
        text: What is shown of it; empty if it has parts.
        kind: `number`, `text`, `long` for text of many lines, `map` or `list`.
        parts: What is inside.
        count: How many parts there are, also those that are left out.
        file: The file, if it is one.
    """

    name: str
    way: str
    text: str = ""
    kind: str = "text"
    parts: tuple[Node, ...] = ()
    count: int = 0
    file: File | None = None


def tree_of(values: Mapping[str, Any], way: str = "") -> tuple[Node, ...]:
    """Return the nodes of values by their names.

    Args:
        values: What is at the top.
        way: What the ways to the nodes begin with.
    """
    return _nodes(values.items(), way, 0)


def _nodes(pairs: Iterable[tuple[Any, Any]], way: str, depth: int) -> tuple[Node, ...]:
    return tuple(
        _node(str(name), value, f"{way}/{place}", depth)
        for place, (name, value) in enumerate(pairs)
        if place < MOST_CHILDREN
    )


def _node(name: str, value: Any, way: str, depth: int) -> Node:
    if isinstance(value, File):
        return Node(name, way, value.name, file=value)
    if isinstance(value, Mapping | list | tuple) and value and depth < _MOST_DEEP:
        is_map = isinstance(value, Mapping)
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        parts = _nodes(pairs, way, depth + 1)
        return Node(name, way, kind="map" if is_map else "list", parts=parts, count=len(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Node(name, way, shown(value), "number")
    text = value if isinstance(value, str) else shown(value)
    if isinstance(value, Mapping | list | tuple) and not value:
        text = "nothing inside"
    is_long = len(text) > _LONG_LETTERS or "\n" in text
    if len(text) > MOST_LETTERS:
        text = f"{text[:MOST_LETTERS]}… and {len(text) - MOST_LETTERS:,} letters more"
    return Node(name, way, text, "long" if is_long else "text")
