"""What a view shows of rows: decided here, without a store and without a page."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.rows import Rows
from aletheia_like.model.rows import RUN_ID, TIMESTAMP
from aletheia_like.ui.views.values import address_text, all_numbers, is_missing, is_number
from aletheia_like.ui.views.view import Panel, View

if TYPE_CHECKING:
    from aletheia_like.plots.curves import RunLine
    from aletheia_like.plots.figures import Curves

_NAMED = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """A page of a view: one distinct combination of the values of its index.

    Attributes:
        values: As they were logged.
        texts: As they stand in an address.
        rows: How many rows it has; None if they were not counted.
        last: When the last one was logged, or the run started.
    """

    values: tuple[Any, ...]
    texts: tuple[str, ...]
    rows: int | None = None
    last: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    """Latest values by their names."""

    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of latest values.

    Attributes:
        columns: Names, those of the index first.
        rows: Values of each line; None where there is none.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """A plot.

    Attributes:
        figure: What is drawn; None if nothing can be.
        messages: What could not be drawn, and why.
    """

    figure: Curves | None
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel and what it shows.

    Attributes:
        panel: Its description.
        content: What is there to see; None if there is nothing.
        positions: Values that its slider chooses from, in order.
        position: Which of them is chosen.
    """

    panel: Panel
    content: Tree | Grid | Lines | None
    positions: tuple[Any, ...] = ()
    position: int | None = None


def entries(rows: Rows, index: Sequence[str]) -> list[Entry]:
    """Return the distinct combinations of an index, those with the newest rows first.

    Rows that lack a column of the index belong to none.
    """
    if not len(rows) or any(name not in rows for name in index):
        return []
    found: dict[tuple[str, ...], Entry] = {}
    moments = rows[TIMESTAMP] if TIMESTAMP in rows else [None] * len(rows)
    for values, last in zip(
        zip(*(rows[name] for name in index), strict=True), moments, strict=True
    ):
        if any(map(is_missing, values)):
            continue
        texts = tuple(map(address_text, values))
        known = found.get(texts)
        count = 1 + (known.rows or 0 if known else 0)
        found[texts] = Entry(known.values if known else values, texts, count, last)
    return sorted(found.values(), key=_age)


def belonging(rows: Rows, index: Sequence[str], texts: Sequence[str]) -> Rows:
    """Return the rows whose index has these values, given as in an address."""
    wanted = {
        name: lambda value, text=text: not is_missing(value) and address_text(value) == text
        for name, text in zip(index, texts, strict=True)
    }
    return rows.filter(wanted)


def matching(found: Sequence[Entry], search: str) -> list[Entry]:
    """Return the entries that have every word of a search in one of their values."""
    words = search.casefold().split()
    return [
        one
        for one in found
        if all(any(word in text.casefold() for text in one.texts) for word in words)
    ]


def evaluated(view: View, rows: Rows, positions: dict[int, int] | None = None) -> list[Shown]:
    """Return what each panel of a view shows of the rows of one page.

    Args:
        view: The panels.
        rows: The rows, in the order they were logged.
        positions: Where sliders stand, by the panel's number; else at the end.
    """
    chosen = positions or {}
    return [shown(panel, rows, chosen.get(number)) for number, panel in enumerate(view.panels)]


def shown(panel: Panel, rows: Rows, position: int | None = None) -> Shown:
    """Return what a panel shows.

    Args:
        panel: Which.
        rows: The rows of its page.
        position: Where its slider stands; the last place by default, and if there are fewer.
    """
    if panel.slider is None:
        return Shown(panel, _content(panel, rows))
    places = _positions(panel, rows)
    if not places:
        return Shown(panel, None)
    at = len(places) - 1 if position is None else max(0, min(position, len(places) - 1))
    there = belonging(rows, [panel.slider], [address_text(places[at])])
    return Shown(panel, _content(panel, there), places, at)


def _positions(panel: Panel, rows: Rows) -> tuple[Any, ...]:
    """Return the values of the slider's column for which there is something to see."""
    slider = str(panel.slider)
    if slider not in rows:
        return ()
    columns = _columns(panel, rows)
    table = rows.latest_columns(columns, panel.grouped_by)
    distinct = {address_text(value): value for value in table.get(slider, ())}
    return tuple(distinct.values())


def _content(panel: Panel, rows: Rows) -> Tree | Grid | Lines | None:
    columns = _columns(panel, rows)
    if panel.type == "lineplot":
        return lines(panel.name, rows, columns, panel.index, every=panel.columns is None)
    if not panel.index:
        latest = rows.latest(columns)
        return Tree(latest) if latest else None
    table = rows.latest_columns(columns, panel.index)
    cells = tuple(zip(*table.values(), strict=True))
    return Grid(tuple(table), cells) if cells else None


def _columns(panel: Panel, rows: Rows) -> list[str]:
    if panel.columns is not None:
        return list(panel.columns)
    apart = {*panel.grouped_by}
    if panel.grouped_by:
        apart |= {TIMESTAMP, RUN_ID, "experiment", "project"}
    return [name for name in rows.columns if name not in apart]


def lines(
    title: str, rows: Rows, columns: Sequence[str], index: Sequence[str], *, every: bool = False
) -> Lines | None:
    """Return columns as lines over the first column of an index; the others make a line each.

    Args:
        title: The line above.
        rows: Where they are.
        columns: Which.
        index: What is across, and what tells lines apart.
        every: Whether nobody named the columns, so that those without numbers are left out.
    """
    across, *others = index
    if across not in rows or any(name not in rows for name in others):
        return None
    table = _points(rows, columns, index)
    if not table.get(across):
        return None
    named = [name for name in columns if name in table and name != across]
    numeric = [name for name in named if all_numbers(table[name])]
    refused = [name for name in named if name not in numeric]
    messages = () if every else tuple(_no_numbers(name, table[name]) for name in refused)
    messages += tuple(
        f"nothing was logged as {name!r}" for name in columns if name not in table and not every
    )
    if not numeric:
        named_messages = messages or (f"no column has numbers for each {across}",)
        return Lines(None, named_messages)
    return _drawn(title, table, numeric, across, others, messages)


def _points(rows: Rows, columns: Sequence[str], index: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Return columns by the values of an index; where it is one number, by row, which is faster.

    Of several values at one place curves take the last one that there is.
    """
    if len(index) == 1 and all_numbers(rows[index[0]]):
        return {name: rows[name] for name in (*index, *columns) if name in rows}
    return dict(rows.latest_columns(list(columns), list(index)))


def _no_numbers(name: str, values: Sequence[Any]) -> str:
    kinds = dict.fromkeys(
        type(value).__name__ for value in values if not is_missing(value) and not is_number(value)
    )
    told = ", ".join(list(kinds)[:_NAMED]) or "nothing"
    return f"{name!r} is not drawn: a plot needs numbers, and it holds {told}"


def _drawn(
    title: str,
    table: dict[str, Sequence[Any]],
    columns: Sequence[str],
    across: str,
    others: Sequence[str],
    messages: tuple[str, ...],
) -> Lines:
    from aletheia_like.plots.curves import CurveLook, curves_of
    from aletheia_like.plots.figures import Axis

    places, axis = _across(table[across], across)
    told = list(zip(*(table[name] for name in others), strict=True)) if others else []
    drawn = [one for name in columns for one in _runlines(table[name], name, places, told)]
    try:
        figure = curves_of(drawn, CurveLook(title, axis.title, None))
    except InvalidValueError as error:
        return Lines(None, (*messages, str(error)))
    figure = replace(figure, x=Axis(axis.title, categories=axis.categories))
    if not others:
        # One run's columns: a colour tells them apart better than a dash.
        curves = [replace(one, colour=n, dash=0) for n, one in enumerate(figure.curves)]
        figure = replace(figure, curves=tuple(curves))
    return Lines(figure, messages)


def _runlines(
    values: Sequence[Any], name: str, places: Sequence[Any], told: Sequence[tuple[Any, ...]]
) -> list[RunLine]:
    """Return the lines of a column: one for each combination of the other index columns."""
    import numpy as np

    from aletheia_like.plots.curves import RunLine

    groups: dict[str, list[int]] = {}
    xs, ys = _floats(places), _floats(values)
    if not told:
        there: Any = slice(None)
        if None in values:
            there = np.array([one is not None for one in values], dtype=bool)
        return [RunLine("", name, None, xs[there], ys[there])]
    for row, value in enumerate(values):
        if not is_missing(value):
            label = ", ".join(map(address_text, told[row]))
            groups.setdefault(label, []).append(row)
    return [
        RunLine(label, name, None, xs[members], ys[members]) for label, members in groups.items()
    ]


def _across(values: Sequence[Any], name: str) -> tuple[Sequence[Any], Any]:
    """Return where values lie across, and what that direction means."""
    from aletheia_like.plots.figures import Axis

    if all_numbers(values):
        return values, Axis(name)
    if all(isinstance(value, dt.datetime) for value in values):
        first = min(values)
        title = f"{name}, seconds since {first.isoformat(' ', 'seconds')}"
        return [(value - first).total_seconds() for value in values], Axis(title)
    distinct = {text: place for place, text in enumerate(dict.fromkeys(map(address_text, values)))}
    places = [float(distinct[address_text(value)]) for value in values]
    return places, Axis(name, categories=tuple(distinct))


def _floats(values: Sequence[Any]) -> Any:
    """Return numbers as an array; what is missing is NaN, and what is too large infinite."""
    import numpy as np

    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        return np.array([_float(one) for one in values])


def _float(value: Any) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _age(entry: Entry) -> tuple[float, tuple[str, ...]]:
    return (-entry.last.timestamp() if entry.last else 0.0, entry.texts)
