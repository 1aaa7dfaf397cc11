"""Draws what came from what as a tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aletheia_like.cli.output import console, harmless, shown_bytes
from aletheia_like.metastore.lineage import Node

_DIGITS = 12


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
    details = node.details
    words = [f"{node.kind} {node.name}"]
    if "status" in details:
        words.append(str(details["status"]))
    if details.get("commit"):
        words.append(str(details["commit"])[:8] + (" with changes" if "dirty" in details else ""))
    if "partition" in details:
        words.append(f"part {details['partition']}")
    if "aliases" in details:
        words.append("is " + ", ".join(details["aliases"]))
    if "size" in details:
        words.append(shown_bytes(details["size"]))
    if details.get("digest"):
        words.append(str(details["digest"])[:_DIGITS])
    return harmless("  ".join(words))
