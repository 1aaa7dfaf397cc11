"""Tables of a page: what their cells show, and the same as CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from markupsafe import Markup

from aletheia_like.ui.plain import shown

Kind = Literal["", "number", "status", "moment"]


LONG_TEXT = 40
"""Of more characters, a column is not squeezed until its words break."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        text: What it shows.
        link: Where it leads.
        kind: How it looks; a status has its text as its class.
        file: A file to show inside: see `aletheia_like.ui.contents`.
        title: What is told when the mouse rests on it.
    """

    text: str
    link: str | None = None
    kind: Kind = ""
    file: Any = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a column.

    Attributes:
        title: Its name.
        link: Where it is sorted by.
        order: How the table is sorted by it now.
        numeric: Whether its cells stand on the right.
    """

    title: str
    link: str | None = None
    order: Literal["", "ascending", "descending"] = ""
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as `table.html` draws it.

    Attributes:
        caption: What it is, for who cannot see it.
        headings: Its columns.
        rows: Its cells.
        empty: What is said if there are no rows.
        select: Name of the checkbox before each row; its value is the row's key.
        keys: Keys of the rows, if they can be selected.
    """

    caption: str
    headings: Sequence[Heading]
    rows: Sequence[Sequence[Cell]]
    empty: str = "Nothing yet."
    select: str = ""
    keys: Sequence[str] = ()


def cell_of(value: Any, link: str | None = None) -> Cell:
    """Return a cell that shows a value."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = shown(value)
    return Cell(text, link, "number" if number else "")


def plain_row(row: Sequence[Cell]) -> Markup | None:
    """Return the cells of a row as HTML; None if a file is in it, which takes a template.

    A template that calls a macro for each of 13,000 cells takes five times as long.
    """
    told = []
    for one in row:
        if one.file is not None:
            return None
        text = escape(one.text)
        if one.kind == "status":
            text = f'<span class="status {text}">{text}</span>'
        elif one.link:
            text = f'<a href="{escape(one.link)}">{text}</a>'
        is_long = len(one.text) > LONG_TEXT
        kind = ' class="number"' if one.kind == "number" else ' class="long"' if is_long else ""
        title = f' title="{escape(one.title)}"' if one.title else ""
        told.append(f"<td{kind}{title}>{text}</td>")
    return Markup("".join(told))  # noqa: S704 - every part was escaped


def grid_of(
    caption: str,
    columns: Mapping[str, str],
    rows: Iterable[Mapping[str, Any]],
    *,
    links: Mapping[str, Any] | None = None,
    empty: str = "Nothing yet.",
) -> Grid:
    """Return a table of plain rows.

    Args:
        caption: What it is.
        columns: Title of each column by its key, in their order.
        rows: Values by key; a `Cell` is shown as it is.
        links: By key of a column a function from a row to the address its cell leads to.
        empty: What is said if there are no rows.
    """
    given = links or {}
    cells = [
        [_cell(row.get(key), given[key](row) if key in given else None) for key in columns]
        for row in rows
    ]
    headings = [
        Heading(title, numeric=any(row[place].kind == "number" for row in cells))
        for place, title in enumerate(columns.values())
    ]
    return Grid(caption, headings, cells, empty)


def _cell(value: Any, link: str | None) -> Cell:
    return value if isinstance(value, Cell) else cell_of(value, link)
