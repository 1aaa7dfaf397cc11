"""The rows of a run, page by page."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from aletheia_like.metastore.assets import File
from aletheia_like.metastore.rows import Rows
from aletheia_like.model.rows import RUN_ID
from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.links import link
from aletheia_like.ui.overview import project_trail
from aletheia_like.ui.run import shown_file
from aletheia_like.ui.tables import Cell, Grid, Heading, cell_of

_SIZE = 100
_MOST_SIZE = 1_000


def run_rows(asked: Asked) -> Response:
    """Show the rows of a run, the newest first."""
    run = asked.run
    rows = run.rows()
    columns = [name for name in rows.columns if name != RUN_ID]
    answer = asked.file(columns, lambda: list(rows))
    if answer is not None:
        return answer
    project, experiment = asked.name("project"), asked.name("experiment")
    size = asked.number("size", _SIZE, most=_MOST_SIZE)
    page = asked.number("page", 1)
    last = len(rows) - (page - 1) * size
    shown = rows[max(0, last - size) : max(0, last)]
    here = ("projects", project, "experiments", experiment, "runs", run.id)
    return asked.page(
        "rows.html",
        title=f"Rows of {experiment}/{run.id}",
        grid=rows_grid(f"Rows of run {run.id}", project, shown, columns, is_reversed=True),
        total=len(rows),
        page=page,
        first=max(0, last - size) + 1,
        last=max(0, last),
        has_more=last > size,
        trail=project_trail(project, experiment, run.id),
        live=link(*here, "live"),
    )


def rows_grid(
    caption: str,
    project: str,
    rows: Rows,
    columns: list[str],
    *,
    is_reversed: bool = False,
) -> Grid:
    """Return rows as a table; files are shown inside their cells."""
    told = list(rows)
    if is_reversed:
        told.reverse()
    cells = [[value_cell(project, row.get(name)) for name in columns] for row in told]
    headings = [
        Heading(name, numeric=any(row[place].kind == "number" for row in cells))
        for place, name in enumerate(columns)
    ]
    return Grid(caption, headings, cells, "No rows yet.")


def value_cell(project: str, value: Any) -> Cell:
    """Return a cell of a row; a file is shown in it if it can be."""
    if isinstance(value, File):
        file = shown_file(project, value.name, value.digest, value.size)
        return Cell(file.name, file.link or None, file=file if value.digest else None)
    return cell_of(value)


routes = (Page("/projects/{project}/experiments/{experiment}/runs/{run}/rows", run_rows),)
