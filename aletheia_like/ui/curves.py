"""Curves of a run: each column's points are read once, few of them are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.plotting import run_label
from aletheia_like.metastore.run import Run
from aletheia_like.metastore.sqlrows import OWN, run_tables
from aletheia_like.plots.curves import CurveLook
from aletheia_like.plots.figures import Curves
from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.figures import figure_facts

_MOST_COLUMNS = 24
_POINTS = 1_500


def run_curves(asked: Asked) -> Response:
    """Return a figure for each numeric column of a run, or for those that are named."""
    run = asked.run
    every = sorted(name for name in run.summary if name != "step")
    names = asked.all_given("c") or every[:_MOST_COLUMNS]
    figures = curves_of_run(run, names, look_asked(asked))
    if not figures:
        message = f"nothing to draw of {', '.join(names) or 'this run'}: no numbers were logged"
        raise NotFoundError(message)
    return asked.json({"figures": [figure_facts(one) for one in figures]})


def look_asked(asked: Asked) -> CurveLook:
    """Return how curves are to look, by `x`, `log`, `logx` and `smooth` in the query.

    Raises:
        InvalidValueError: `smooth` is no number, or out of range.
    """
    smooth = asked.given("smooth") or "0"
    try:
        weight = float(smooth)
    except ValueError as error:
        message = f"smooth is a number from 0 to below 1, not {smooth!r:.40}"
        raise InvalidValueError(message) from error
    log_x, log_y = bool(asked.given("logx")), bool(asked.given("log"))
    return CurveLook("", asked.given("x"), "run", "std", weight, log_x, log_y, _POINTS)


def curves_of_run(run: Run, names: Sequence[str], look: CurveLook) -> list[Curves]:
    """Return a figure for each of these columns; those without numbers are left out."""
    from aletheia_like.metastore.plotlines import RunTable, curves_of_tables

    table = rows_as_table(run)
    tables = [RunTable(run_label(run.record), None, table)]
    found: list[Curves] = []
    for name in names:
        try:
            found.append(curves_of_tables(tables, [name], look))
        except (InvalidValueError, NotFoundError):
            if len(names) == 1:
                raise
    return found


def rows_as_table(run: Run) -> Any:
    """Return the rows of a run as an Arrow table, from the local cache if it has ended."""
    document = run.session.documents.get(run.path)
    if document is None:
        message = f"{run.path} was deleted meanwhile"
        raise NotFoundError(message)
    return run_tables(run.session, [document], OWN, frozenset())[0]


routes = (Page("/projects/{project}/experiments/{experiment}/runs/{run}/curves", run_curves),)
