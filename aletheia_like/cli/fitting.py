"""Tables with more columns than a terminal has room for."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from aletheia_like.cli.output import counted, print_table, say, shown

_GAP = 3
_SHOWN_CONTROLS = {"\n": "⏎", "\t": " "}


def is_terminal() -> bool:
    """Whether a person reads the answer."""
    return sys.stdout.isatty()


def print_fitting(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    advice: str,
    important: Sequence[str] | None = None,
) -> None:
    """Print a table with as many columns as the terminal has room for, and tell which it has not.

    Args:
        rows: What to print; whoever reads it through a pipe gets all of it.
        columns: In their order.
        advice: How to see what is hidden.
        important: The same columns, the most important first; else those on the left.
    """
    kept = fitting(rows, important or columns) if is_terminal() else set(columns)
    print_table(rows, {key: printable(key) for key in columns if key in kept})
    hidden = [key for key in columns if key not in kept]
    if hidden:
        names = ", ".join(map(printable, hidden))
        say(_within(f"{counted(len(hidden), 'column')} hidden, {advice}: {names}"))


def printable(text: str) -> str:
    """Return text on one line, without what would move the terminal's cursor or colour it."""
    if text.isprintable():
        return text
    return "".join(_SHOWN_CONTROLS.get(one, one if one.isprintable() else "·") for one in text)


def fitting(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> set[str]:
    """Return as many of the first columns as the terminal is wide; at least one."""
    from rich.cells import cell_len

    room = shutil.get_terminal_size().columns + _GAP
    kept: set[str] = set()
    for name in columns:
        room -= max(map(cell_len, (name, *(shown(row.get(name)) for row in rows)))) + _GAP
        if room < 0 and kept:
            break
        kept.add(name)
    return kept


def _within(text: str) -> str:
    width = shutil.get_terminal_size().columns
    return text if len(text) <= width else f"{text[: width - 1]}…"
