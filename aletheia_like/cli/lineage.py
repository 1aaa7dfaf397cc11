"""Draws what came from what as a tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aletheia_like.cli.output import console, harmless
from aletheia_like.metastore.lineage import Node


def print_lineage(node: Node) -> None:
    """Draw a tree: first what a thing came from, then what came from it."""
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(Text(_line(node)))

    def grow(below: Any, nodes: tuple[Node, ...], inside: Callable[[Node], Any]) -> None:
        for one in nodes:
            grow(below.add(Text(_line(one))), inside(one), inside)

    if node.up:
        grow(tree.add(Text("from")), node.up, lambda one: one.up)
    if node.down:
        grow(tree.add(Text("made")), node.down, lambda one: one.down)
    console(soft_wrap=True).print(tree)


def _line(node: Node) -> str:
    return harmless("  ".join([f"{node.kind} {node.name}", *node.words()]))
