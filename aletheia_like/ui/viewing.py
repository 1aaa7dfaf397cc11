"""The pages of a view: one link for each of its entries, and the panels of one of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from starlette.responses import Response

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.assets import File
from aletheia_like.metastore.rows import Rows
from aletheia_like.model.rows import RUN_ID
from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.figures import figure_facts
from aletheia_like.ui.links import link, name_of
from aletheia_like.ui.plain import shown
from aletheia_like.ui.rowfiles import seen
from aletheia_like.ui.tables import Cell, Grid, Heading, cell_of, grid_of
from aletheia_like.ui.trees import Node, tree_of
from aletheia_like.ui.views import evaluating
from aletheia_like.ui.views.finding import EXPERIMENT, PROJECT, Finder
from aletheia_like.ui.views.values import address_text
from aletheia_like.ui.views.view import Panel, View

VIEW = "view"
"""In `Site.extra`: the view; without it there is a default one."""

_ENTRIES = 50
_LINES = 20
_AT, _PAGE = "at", "page"


@dataclass(frozen=True, slots=True)
class Sliding:
    """Where a slider stands.

    Attributes:
        column: What it chooses a value of.
        last: Its last position; the first is 0.
        at: Where it is.
        text: The value there.
        name: The parameter that says where it is.
    """

    column: str
    last: int
    at: int
    text: str
    name: str


@dataclass(frozen=True, slots=True)
class PanelPage:
    """A panel, ready to be put on a page.

    Attributes:
        number: Its place in the view.
        name: Its title.
        nodes: Its tree.
        grid: Its table, one page of it.
        before: The address of the lines before those of the table.
        after: The address of the lines after them.
        told: Which lines they are.
        figure: The address of what it draws.
        messages: What is missing, and why.
        sliding: Its slider.
    """

    number: int
    name: str
    nodes: tuple[Node, ...] = ()
    grid: Grid | None = None
    before: str | None = None
    after: str | None = None
    told: str = ""
    figure: str | None = None
    messages: tuple[str, ...] = ()
    sliding: Sliding | None = None


def list_entries(asked: Asked) -> Response:
    """Show a link for each distinct value of the view's index."""
    finder = _finder(asked)
    words = asked.given("q")
    found = evaluating.matching(asked.site.recent.get("entries", finder.entries), words)
    names = {str(place): name for place, name in enumerate(finder.index)}
    columns = {**names, "rows": "Rows", "last": "Last row"}
    if all(one.rows is None for one in found):
        columns = {**names, "last": "Last change"}
    rows = [
        {**dict(zip(names, one.texts, strict=True)), "rows": one.rows, "last": one.last}
        for one in found
    ]
    answer = asked.file([*finder.index, *list(columns)[len(names) :]], lambda: _named(rows, names))
    if answer is not None:
        return answer
    number = asked.number(_PAGE, 1, most=max(1, -(-len(rows) // _ENTRIES)))
    first = (number - 1) * _ENTRIES
    # A screen reader tells each link by itself, so the whole index is one link.
    some = [
        {**row, "0": Cell(" / ".join(one.texts), entry_link(asked, one.texts))}
        for row, one in zip(rows[first : first + _ENTRIES], found[first:], strict=False)
    ]
    shown_columns = {"0": " / ".join(finder.index)}
    shown_columns |= {key: title for key, title in columns.items() if key not in names}
    empty = "No run has this in its name." if words else "Nothing was logged yet."
    return asked.page(
        "entries.html",
        title="Runs",
        grid=grid_of("Runs", shown_columns, some, empty=empty),
        words=words,
        count=len(rows),
        before=asked.here(page=number - 1) if number > 1 else None,
        after=asked.here(page=number + 1) if number * _ENTRIES < len(rows) else None,
        source=finder.view.source if finder.view else None,
        trail=[],
        live=_live(asked, {}, None),
    )


def show_entry(asked: Asked) -> Response:
    """Show the panels of one entry; or of one panel its drawing, its table, or it alone."""
    finder = _finder(asked)
    texts = [name_of(part) for part in str(asked.request.path_params["rest"]).split("/")]
    if len(texts) != len(finder.index):
        message = f"there is no such page: a run is found by {' / '.join(finder.index)}"
        raise NotFoundError(message)
    rows = asked.site.recent.get(("view", *texts), lambda: finder.rows(texts))
    view = finder.view_of(rows)
    chosen = asked.given("panel")
    numbers = [_number(view, chosen)] if chosen else list(range(len(view.panels)))
    found = {number: _shown(asked, view, number, texts, rows) for number in numbers}
    if chosen and asked.given("figure"):
        return _drawing(asked, found[numbers[0]])
    if chosen and asked.given("format"):
        return _file(asked, found[numbers[0]])
    panels = [page for number in numbers if (page := _page(asked, number, found[number]))]
    given = dict(zip(finder.index, texts, strict=True))
    return asked.page(
        "entry.html",
        title=" / ".join(texts),
        panels=panels,
        listed=" ".join(str(one.number) for one in panels),
        run=_run_link(asked, given, rows),
        trail=[("Runs", link("view"))],
        live=_live(asked, given, rows),
        seen=functools.partial(seen, asked.site.metastore.project),
    )


def entry_link(asked: Asked, texts: Sequence[str]) -> str:
    """Return the address of an entry's page: its values, as they are wherever that is possible."""
    taken = {
        route.path.split("/")[1]
        for route in asked.request.app.routes
        if not route.path.startswith("/{")
    }
    is_plain = texts[0] not in taken and texts[0] != ""
    return link(*texts) if is_plain else link("view", *texts)


def _finder(asked: Asked) -> Finder:
    view = asked.site.extra.get(VIEW)
    if view is not None and not isinstance(view, View):
        message = f"Site.extra[{VIEW!r}] is a View, not {view!r:.80}"
        raise InvalidValueError(message)
    return Finder(asked.site.open, asked.site.metastore, view)


def _named(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{names.get(key, key): value for key, value in row.items()} for row in rows]


def _number(view: View, text: str) -> int:
    if not text.isdecimal() or int(text) >= len(view.panels):
        message = f"there is no panel {text!r:.40}"
        raise NotFoundError(message)
    return int(text)


def _shown(
    asked: Asked, view: View, number: int, texts: Sequence[str], rows: Rows
) -> evaluating.Shown:
    """Return what a panel shows; a page and its figures are asked for one after the other."""
    position = _position(asked, number)
    found = asked.site.recent.get(
        ("panel", number, position, *texts),
        lambda: evaluating.shown(view.panels[number], rows, position),
    )
    return cast("evaluating.Shown", found)


def _position(asked: Asked, number: int) -> int | None:
    told = asked.number(f"{_AT}.{number}", -1, least=-1)
    return None if told < 0 else told


def _page(asked: Asked, number: int, found: evaluating.Shown) -> PanelPage | None:
    panel, content = found.panel, found.content
    sliding = _sliding(number, found)
    match content:
        case None:
            return PanelPage(number, panel.name, sliding=sliding) if sliding else None
        case evaluating.Tree():
            nodes = tree_of(content.values, f"panel-{number}")
            return PanelPage(number, panel.name, nodes, sliding=sliding)
        case evaluating.Lines():
            figure = asked.here(panel=number, figure=1) if content.figure else None
            messages = content.messages
            return PanelPage(number, panel.name, figure=figure, messages=messages, sliding=sliding)
    return _table_page(asked, number, panel, content, sliding)


def _table_page(
    asked: Asked, number: int, panel: Panel, content: evaluating.Grid, sliding: Sliding | None
) -> PanelPage:
    name = f"{_PAGE}.{number}"
    count = len(content.rows)
    at = asked.number(name, 1, most=-(-count // _LINES))
    first = (at - 1) * _LINES
    some = content.rows[first : first + _LINES]
    headings = [
        Heading(column, numeric=all(cell_of(row[place]).kind == "number" for row in some))
        for place, column in enumerate(content.columns)
    ]
    cells = [[_cell(value) for value in row] for row in some]
    last = first + len(some)
    return PanelPage(
        number,
        panel.name,
        grid=Grid(panel.name, headings, cells),
        before=asked.here(panel=None, **{name: at - 1}) if at > 1 else None,
        after=asked.here(panel=None, **{name: at + 1}) if last < count else None,
        told=f"{first + 1:,} to {last:,} of {count:,}",
        sliding=sliding,
    )


def _cell(value: Any) -> Cell:
    if isinstance(value, File):
        return Cell(value.name, file=value)
    return cell_of(value)


def _sliding(number: int, found: evaluating.Shown) -> Sliding | None:
    if found.position is None:
        return None
    text = shown(found.positions[found.position])
    last = len(found.positions) - 1
    return Sliding(str(found.panel.slider), last, found.position, text, f"{_AT}.{number}")


def _drawing(asked: Asked, found: evaluating.Shown) -> Response:
    content = found.content
    if not isinstance(content, evaluating.Lines) or content.figure is None:
        message = f"panel {found.panel.name!r} draws nothing"
        raise NotFoundError(message)
    return asked.json(figure_facts(content.figure))


def _file(asked: Asked, found: evaluating.Shown) -> Response:
    """Return what a panel shows as a file: of a plot its points, of a tree its values."""
    match found.content:
        case evaluating.Grid(columns, rows):
            table = [dict(zip(columns, row, strict=True)) for row in rows]
        case evaluating.Tree(values):
            columns, table = ("name", "value"), []
            table = [{"name": name, "value": value} for name, value in values.items()]
        case evaluating.Lines(figure) if figure is not None:
            columns = ("line", "x", "y")
            table = [
                {"line": curve.label, "x": x, "y": y}
                for curve in figure.curves
                for x, y in zip(curve.xs, curve.ys, strict=True)
            ]
        case _:
            columns, table = (), []
    answer = asked.file(columns, lambda: table)
    return answer if answer is not None else asked.json(table)


def _run_place(asked: Asked, given: Mapping[str, str], rows: Rows) -> tuple[str, str, str] | None:
    """Return the project, experiment and id of the newest run of an entry."""
    if not len(rows):
        return None
    newest = rows[-1]
    project = str(newest.get(PROJECT, given.get(PROJECT, asked.site.metastore.project)))
    return project, str(newest[EXPERIMENT]), str(newest[RUN_ID])


def _run_link(asked: Asked, given: Mapping[str, str], rows: Rows) -> str | None:
    place = _run_place(asked, given, rows)
    if place is None or len({address_text(one) for one in rows[RUN_ID]}) > 1:
        return None
    return link("projects", place[0], "experiments", place[1], "runs", place[2])


def _live(asked: Asked, given: Mapping[str, str], rows: Rows | None) -> str:
    """Return where the browser is told of changes: of the newest run, else of the store."""
    place = None if rows is None else _run_place(asked, given, rows)
    if place is None:
        return link("projects", given.get(PROJECT, asked.site.metastore.project), "live")
    return link("projects", place[0], "experiments", place[1], "runs", place[2], "live")


routes = (Page("/view", list_entries), Page("/view/{rest:path}", show_entry))
anything = (Page("/{rest:path}", show_entry),)
"""Matches every path: it comes after all others."""
