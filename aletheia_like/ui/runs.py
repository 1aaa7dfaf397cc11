"""The runs of an experiment: a table that is sorted, searched and paged by the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from starlette.responses import Response

from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.experiment import Experiment
from aletheia_like.metastore.runcolumns import RUN_COLUMNS, run_row
from aletheia_like.metastore.tables import Runs
from aletheia_like.metastore.texttable import in_order
from aletheia_like.model.conditiontext import parse_column
from aletheia_like.model.quantities import shown_seconds
from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.links import link
from aletheia_like.ui.overview import project_trail
from aletheia_like.ui.tables import Cell, Grid, Heading, cell_of

NEWEST_FIRST = "-started_at"
_SIZE = 50
_MOST_SIZE = 1_000
_METRICS = 6
_COMMIT = 8
_ALWAYS = ("id", "name", "status")
_TITLES = {
    "id": "Run",
    "name": "Name",
    "status": "Status",
    "fold": "Fold",
    "started_at": "Started",
    "ended_at": "Ended",
    "seconds": "Took",
    "commit": "Commit",
    "tags": "Tags",
    "model": "Model",
    "number": "Number",
    "parent": "Parent",
    "desc": "Description",
    "experiment": "Experiment",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs are shown, and how.

    Attributes:
        where: A condition; empty for all.
        order: A column, perhaps with `-` before it.
        page: From 1.
        size: Runs on a page.
        debug: Whether trials are shown.
    """

    where: str
    order: str
    page: int
    size: int
    debug: bool


def runs(asked: Asked) -> Response:
    """Show the runs of an experiment."""
    experiment = asked.experiment
    wanted = _wanted(asked)
    problem, found, has_more = "", Runs([]), False
    try:
        found, has_more = _found(experiment, wanted, is_file=bool(asked.given("format")))
    except InvalidValueError as error:
        if asked.given("format"):
            raise
        problem = str(error)
    rows = [run_row(record) for record in found.records]
    known = in_order(chain.from_iterable(rows), RUN_COLUMNS) or list(RUN_COLUMNS)
    chosen = asked.all_given("c") or _usual(rows)
    answer = asked.file(asked.all_given("c") or known, lambda: rows)
    if answer is not None:
        return answer
    project, name = asked.name("project"), experiment.name
    here = ("projects", project, "experiments", name)
    numeric = _numeric(rows)
    return asked.page(
        "runs.html",
        status=400 if problem else 200,
        title=name,
        experiment=experiment,
        wanted=wanted,
        problem=problem,
        known=list(dict.fromkeys([*known, *chosen])),
        chosen=chosen,
        has_more=has_more,
        started=experiment.record.next_run_number - 1,
        grid=_grid(asked, rows, chosen, numeric, wanted),
        compare=link(*here, "compare"),
        trail=project_trail(project),
        live=link(*here, "live"),
        is_default_order=wanted.order == NEWEST_FIRST,
    )


def _wanted(asked: Asked) -> Wanted:
    return Wanted(
        asked.given("where"),
        asked.given("sort") or NEWEST_FIRST,
        asked.number("page", 1),
        asked.number("size", _SIZE, most=_MOST_SIZE),
        bool(asked.given("debug")),
    )


def _found(experiment: Experiment, wanted: Wanted, *, is_file: bool) -> tuple[Runs, bool]:
    """Return the runs of a page, and whether there are more; a file holds all runs."""
    debug = wanted.debug or None
    where = wanted.where or None
    if is_file:
        return experiment.runs(where, wanted.order, debug=debug), False
    # One more than is shown tells whether there is a next page.
    end = wanted.page * wanted.size
    found = experiment.runs(where, wanted.order, end + 1, debug=debug)
    return Runs(found.documents[end - wanted.size : end]), len(found) > end


def _usual(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns that are shown if nobody chose: what tells these runs apart."""
    known = in_order(chain.from_iterable(rows), RUN_COLUMNS)
    metrics = [name for name in known if name.startswith("metrics.")]
    rest = [
        name
        for name in ("model", "fold", "tags")
        if any(row.get(name) not in (None, "", []) for row in rows)
    ]
    differing = [
        name
        for name in known
        if name.startswith("hyper_params.") and len({str(row.get(name)) for row in rows}) > 1
    ]
    return [*_ALWAYS, *rest, *differing[:_METRICS], *metrics[:_METRICS], "started_at", "seconds"]


def _numeric(rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(
        name
        for row in rows
        for name, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    )


def _grid(
    asked: Asked,
    rows: Sequence[Mapping[str, Any]],
    chosen: Sequence[str],
    numeric: frozenset[str],
    wanted: Wanted,
) -> Grid:
    project, experiment = asked.name("project"), asked.name("experiment")
    headings = [_heading(asked, name, wanted.order, is_numeric=name in numeric) for name in chosen]
    cells = [[_cell(project, experiment, row, name) for name in chosen] for row in rows]
    empty = "No runs for which this holds." if wanted.where else "No runs yet."
    keys = [str(row["id"]) for row in rows]
    return Grid(f"Runs of {experiment}", headings, cells, empty, "run", keys)


def _heading(asked: Asked, name: str, order: str, *, is_numeric: bool) -> Heading:
    title = _TITLES.get(name) or name.removeprefix("metrics.").removeprefix("hyper_params.")
    try:
        parse_column(name)
    except InvalidValueError:
        return Heading(title, numeric=is_numeric)
    # The first click on numbers shows the greatest, the second the least.
    first, second = (
        (f"-{name}", name) if is_numeric or name.endswith("_at") else (name, f"-{name}")
    )
    address = asked.here(sort=second if order == first else first, page=None)
    shown = {name: "ascending", f"-{name}": "descending"}.get(order, "")
    return Heading(title, address, shown, is_numeric)  # type: ignore[arg-type]


def _cell(project: str, experiment: str, row: Mapping[str, Any], name: str) -> Cell:
    value = row.get(name)
    if name in ("id", "name") and value is not None:
        here = ("projects", project, "experiments", experiment, "runs", row["id"])
        return Cell(str(value), link(*here))
    if name == "status":
        return Cell(str(value), kind="status")
    if name == "seconds":
        return Cell(shown_seconds(value), kind="number")
    if name == "commit":
        return Cell(str(value or "")[:_COMMIT], title=str(value or ""))
    return cell_of(value)


routes = (Page("/projects/{project}/experiments/{experiment}", runs),)
