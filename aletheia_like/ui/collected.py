"""Versioned series: collections, the series of one, and the rows of one as curves and a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from aletheia_like.errors import NotFoundError, ReadOnlyError
from aletheia_like.plots.curves import CurveLook, RunLine, curves_of
from aletheia_like.series.collection import Collection
from aletheia_like.series.frame import Frame
from aletheia_like.series.opening import SeriesMetastore
from aletheia_like.series.series import Series
from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.figures import figure_facts
from aletheia_like.ui.links import link
from aletheia_like.ui.overview import project_trail
from aletheia_like.ui.tables import grid_of

_LINES = 50
_POINTS = 2_000
_MOST_REVISIONS = 50
_NUMBERS = frozenset({"float", "int", "bool"})
_REVISION = {"id": "Revision", "at": "When", "author": "By", "ops": "What"}


def collections(asked: Asked) -> Response:
    """Show the collections of a project."""
    project = asked.name("project")
    rows = [{"name": name} for name in _store(asked).collections()]
    answer = asked.file(["name"], lambda: rows)
    if answer is not None:
        return answer
    grid = grid_of(
        "Collections of series",
        {"name": "Collection"},
        rows,
        links={"name": lambda row: link("projects", project, "series", row["name"])},
        empty="No series yet.",
    )
    live = link("projects", project, "live")
    return asked.page(
        "overview.html", title="Series", grid=grid, trail=project_trail(project), live=live
    )


def collection(asked: Asked) -> Response:
    """Show the series of a collection, its columns and its revisions."""
    project, opened = asked.name("project"), _collection(asked)
    schema = opened.schema
    series = [{"name": name} for name in opened.ls()]
    columns = [
        {"name": one.name, "type": str(one.type), "index": one.is_index} for one in schema.columns
    ]
    is_columns = asked.given("table") == "columns"
    answer = asked.file(
        ["name", "type", "index"] if is_columns else ["name"],
        lambda: columns if is_columns else series,
    )
    if answer is not None:
        return answer
    to = lambda row: link("projects", project, "series", opened.label, row["name"])  # noqa: E731
    grids = [
        ("series", grid_of("Series", {"name": "Series"}, series, links={"name": to})),
        (
            "columns",
            grid_of(
                "Columns", {"name": "Column", "type": "Type", "index": "Orders the rows"}, columns
            ),
        ),
    ]
    return asked.page(
        "tables.html",
        title=opened.label,
        grids=grids,
        trail=[*project_trail(project), ("Series", link("projects", project, "series"))],
        live=link("projects", project, "live"),
    )


def one_series(asked: Asked) -> Response:
    """Show the newest rows of a series, and its numbers as curves."""
    project, opened = asked.name("project"), _series(asked)
    schema, label = opened.schema, opened.collection.label
    answer = asked.file(list(schema.names), lambda: _rows(opened.frame()))
    if answer is not None:
        return answer
    count = len(opened)
    pages = max(1, -(-count // _LINES))
    number = asked.number("page", 1, most=pages)
    last = count - (number - 1) * _LINES
    first = max(0, last - _LINES)
    rows = list(reversed(_rows(opened.frame(offset=first, limit=max(0, last - first)))))
    columns = {name: name for name in schema.names}
    here = ("projects", project, "series", label)
    return asked.page(
        "series.html",
        title=opened.label,
        grid=grid_of("Rows, the newest first", columns, rows, empty="No rows."),
        count=count,
        before=asked.here(page=number - 1) if number > 1 else None,
        after=asked.here(page=number + 1) if number < pages else None,
        figure=link(*here, opened.label, "curves") if _numeric(opened) else None,
        trail=[
            *project_trail(project),
            ("Series", link("projects", project, "series")),
            (label, link(*here)),
        ],
        live=link("projects", project, "live"),
    )


def curves(asked: Asked) -> Response:
    """Return a figure for each column of numbers."""
    opened = _series(asked)
    names = _numeric(opened)
    across = opened.schema.names[0]
    frame = opened.frame(select=list(dict.fromkeys([across, *names])))
    if not names or not len(frame):
        message = f"series {opened.label!r} has no numbers to draw"
        raise NotFoundError(message)
    xs, title = _across(frame, across)
    look = CurveLook("", title, None, most=_POINTS)
    found = [
        curves_of([RunLine(opened.label, name, None, xs, _floats(frame, name))], look)
        for name in names
    ]
    return asked.json({"figures": [figure_facts(one) for one in found]})


class _ReadMetastore(SeriesMetastore):
    """The series of a project, for reading."""

    def _open_other(self, url: str) -> SeriesMetastore:
        message = f"the page copies nothing, and does not open {url}"
        raise ReadOnlyError(message)


def _store(asked: Asked) -> SeriesMetastore:
    return _ReadMetastore(asked.project.session)


def _collection(asked: Asked) -> Collection:
    return _store(asked).collection(asked.name("collection"))


def _series(asked: Asked) -> Series:
    opened = _collection(asked).series(asked.name("series"))
    if not opened:
        message = f"there is no series {opened.label!r} in collection {opened.collection.label!r}"
        raise NotFoundError(message)
    return opened


def _numeric(series: Series) -> list[str]:
    columns = series.schema.columns
    return [one.name for one in columns if one.base in _NUMBERS and not one.is_index]


def _rows(frame: Frame) -> list[Mapping[str, Any]]:
    return [dict(zip(frame.names, row, strict=True)) for row in zip(*_columns(frame), strict=True)]


def _columns(frame: Frame) -> Sequence[Sequence[Any]]:
    """Return the values of each column: numbers as such, all else as text."""
    texts = list(zip(*frame.texts(), strict=True)) or [() for _ in frame.names]
    return [
        frame[name].tolist() if frame.schema[name].base in _NUMBERS else texts[place]
        for place, name in enumerate(frame.names)
    ]


def _across(frame: Frame, name: str) -> tuple[Any, str]:
    """Return where rows lie across: moments as days since the first, texts by their order."""
    import numpy as np

    column, base = frame[name], frame.schema[name].base
    if base == "timestamp":
        first = column.min()
        days = (column - first) / np.timedelta64(1, "D")
        since = dt.datetime.fromisoformat(str(first)[:19])
        return days.astype(np.float64), f"{name}, days since {since.isoformat(' ')}"
    if base in _NUMBERS:
        return _floats(frame, name), name
    return np.arange(len(frame), dtype=np.float64), f"{name}, in order"


def _floats(frame: Frame, name: str) -> Any:
    import numpy as np

    column = frame[name].astype(np.float64)
    return column.filled(np.nan) if isinstance(column, np.ma.MaskedArray) else column


routes = (
    Page("/projects/{project}/series", collections),
    Page("/projects/{project}/series/{collection}", collection),
    Page("/projects/{project}/series/{collection}/{series}", one_series),
    Page("/projects/{project}/series/{collection}/{series}/curves", curves),
)
