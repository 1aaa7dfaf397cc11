"""Tables as aligned text, for whoever prints one: no wider than the terminal."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aletheia_like.model.values import LongText, LongValue

_MOST_ROWS = 20
_FIRST, _LAST = 10, 5
"""What is shown of a longer table."""

_CELL_WIDTH = 40
_COMMIT_WIDTH = 8
_GAP = "  "
MISSING = "NaN"
"""As pandas shows what is not there."""

_NOTHING = ("", MISSING)
_NAMES = {"nan": MISSING}
_NUMBERS = (bool, int, float)
_SHOWN_CONTROLS = {"\n": "⏎", "\t": " "}
_FIRST_NAMES = ("id", "run", "run_id", "name", "status")
_GROUPS = ("hyper_params.", "metrics.")
_RANKS = {"metrics": 2, "hyper_params": 3}
_DIGITS = re.compile(r"(\d+)")


def shown_places(count: int) -> list[int]:
    """Return which rows of a table are shown: all of a short one, else the first and last."""
    if count <= _MOST_ROWS:
        return list(range(count))
    return [*range(_FIRST), *range(count - _LAST, count)]


def text_table(columns: Mapping[str, Sequence[Any]], count: int, noun: str) -> str:
    """Return a table as text, and below it how large it is and what is not shown.

    Columns without a value are left out, and those that the terminal has no room for.

    Args:
        columns: Cells of the rows that `shown_places` names, by column.
        count: How many rows there are.
        noun: What a row is called, in the plural.
    """
    size = f"{count:,} {noun} x {len(columns):,} columns"
    texts = {name: column_texts(name, cells) for name, cells in columns.items()}
    filled = [name for name in columns if any(one not in _NOTHING for one in texts[name])]
    empty = [name for name in columns if name not in set(filled)]
    widths = {name: max(map(_width, (_cut(name), *texts[name]))) for name in filled}
    kept = _fitting(_by_importance(filled, columns), widths)
    hidden = [name for name in filled if name not in kept]
    lines = _lines({name: texts[name] for name in filled if name in kept}, columns, widths)
    if len(shown_places(count)) < count:
        lines.insert(1 + _FIRST, "…")
    told = [size]
    told += [f"not shown: {', '.join(map(_cut, hidden))}"] if hidden else []
    told += [f"empty: {', '.join(map(_cut, empty))}"] if empty and count else []
    return "\n".join([*lines, _within(f"[{'; '.join(told)}]")])


def in_order(names: Iterable[str], first: Sequence[str]) -> list[str]:
    """Return names of columns in an order that does not depend on the store.

    Those that are known come first, then parameters, metrics and the others, each by name.

    Examples:
        >>> in_order(["z", "metrics.b", "metrics.a10", "metrics.a9", "id"], ["id"])
        ['id', 'metrics.a9', 'metrics.a10', 'metrics.b', 'z']
    """
    there = dict.fromkeys(names)
    known = [name for name in first if name in there]
    return [
        *known,
        *sorted(there.keys() - set(known), key=lambda one: (_group(one), _natural(one))),
    ]


def column_texts(name: str, cells: Sequence[Any]) -> list[str]:
    """Return the cells of a column as people read them."""
    digits = _digits(cells)
    width = _COMMIT_WIDTH if name == "commit" else None
    return [cell_text(one, digits, MISSING)[:width] for one in cells]


def cell_text(value: Any, digits: str = "seconds", missing: str = "") -> str:
    """Return a value as a table for people shows it.

    Args:
        value: Any cell.
        digits: How exact moments are shown; they are in UTC.
        missing: What stands for None.
    """
    match value:
        case None:
            return missing
        case float():
            text = f"{value:.6g}"
            return f"{text}.0" if text.removeprefix("-").isdecimal() else _NAMES.get(text, text)
        case dt.datetime(tzinfo=dt.tzinfo()):
            moment = value.astimezone(dt.UTC).replace(tzinfo=None)
            return f"{moment.isoformat(' ', digits)}Z"
        case list() | tuple():
            return ", ".join(cell_text(one) for one in value)
        case LongText(head=head):
            return f"{head}…"
        case LongValue(digest=digest):
            return f"{digest[:_COMMIT_WIDTH]}…"
        case _:
            return str(value)


def _digits(cells: Sequence[Any]) -> str:
    """Return as how exact moments have to be shown so that they differ, if they do."""
    moments = {one for one in cells if isinstance(one, dt.datetime)}
    whole = {one.replace(microsecond=0) for one in moments}
    return "seconds" if len(whole) == len(moments) else "milliseconds"


def _lines(
    texts: Mapping[str, Sequence[str]],
    cells: Mapping[str, Sequence[Any]],
    widths: Mapping[str, int],
) -> list[str]:
    columns = []
    for name, column in texts.items():
        right = all(one is None or isinstance(one, _NUMBERS) for one in cells[name])
        columns.append([_padded(one, widths[name], right=right) for one in (name, *column)])
    return [_GAP.join(row).rstrip() for row in zip(*columns, strict=True)]


def _by_importance(names: Sequence[str], columns: Mapping[str, Sequence[Any]]) -> list[str]:
    def rank(name: str) -> int:
        if name in _FIRST_NAMES:
            return 1
        if name == "experiment":
            return 0 if len(set(map(str, columns[name]))) > 1 else 5
        return _RANKS.get(name.partition(".")[0], 4)

    return sorted(names, key=rank)


def _group(name: str) -> int:
    return next((place for place, one in enumerate(_GROUPS) if name.startswith(one)), len(_GROUPS))


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key by which `layer 9` comes before `layer 10`."""
    return [(int(one), "") if one.isdecimal() else (-1, one) for one in _DIGITS.split(name) if one]


def _fitting(names: Sequence[str], widths: Mapping[str, int]) -> set[str]:
    """Return as many columns as the terminal has room for; at least one."""
    room = _room() + len(_GAP)
    kept: set[str] = set()
    for name in names:
        needed = min(widths[name], _CELL_WIDTH) + len(_GAP)
        if needed <= room or not kept:
            kept.add(name)
            room -= needed
    return kept


def _room() -> int:
    return shutil.get_terminal_size().columns


def _padded(text: str, width: int, *, right: bool) -> str:
    shown = _cut(text)
    space = " " * (min(width, _CELL_WIDTH) - _width(shown))
    return f"{space}{shown}" if right else f"{shown}{space}"


def _cut(text: str, width: int = _CELL_WIDTH) -> str:
    """Return text on one line, of this width at the most."""
    text = text[: width + 1] if text.isascii() else text
    if not text.isprintable():
        text = "".join(_SHOWN_CONTROLS.get(one, one if one.isprintable() else "·") for one in text)
    if _width(text) <= width:
        return text
    while _width(text) >= width:
        text = text[:-1]
    return f"{text}…"


def _width(text: str) -> int:
    """Return how many places of a terminal a text takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return len(text) + wide - sum(unicodedata.combining(one) > 0 for one in text)


def _within(text: str) -> str:
    return _cut(text, max(_room(), _CELL_WIDTH))
