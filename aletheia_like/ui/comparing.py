"""Runs of an experiment side by side: what differs, their curves, and a point or a line each."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.comparing import Comparison, compare
from aletheia_like.metastore.experiment import Experiment
from aletheia_like.metastore.plotting import run_label, run_point
from aletheia_like.metastore.runcolumns import run_row
from aletheia_like.metastore.sqlrows import OWN, run_tables
from aletheia_like.metastore.tables import Runs
from aletheia_like.model import paths
from aletheia_like.model.records import RunRecord
from aletheia_like.plots.figures import Figure
from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.curves import look_asked
from aletheia_like.ui.figures import figure_facts
from aletheia_like.ui.links import link
from aletheia_like.ui.overview import project_trail
from aletheia_like.ui.tables import Cell, Grid, Heading, cell_of

_MOST_SIDE_BY_SIDE = 12
_MOST_RUNS = 1_000
_CURVES = 6
_LEAST = 2
_ABOUT = "/projects/{project}/experiments/{experiment}/compare"


def show(asked: Asked) -> Response:
    """Show chosen runs side by side; without any, all runs of the experiment as points."""
    experiment = asked.experiment
    found = _runs(asked, experiment)
    records = found.records
    is_few = bool(asked.all_given("run")) and _LEAST <= len(records) <= _MOST_SIDE_BY_SIDE
    compared = compare(asked.project.session, records) if is_few else None
    everything = bool(asked.given("everything"))
    rows = compared.to_dicts(everything=everything) if compared else list(map(run_row, records))
    answer = asked.file(list(dict.fromkeys(name for row in rows for name in row)), lambda: rows)
    if answer is not None:
        return answer
    project, name = asked.name("project"), experiment.name
    here = ("projects", project, "experiments", name)
    columns = _columns(records)
    return asked.page(
        "compare.html",
        title=f"Compare {len(records)} runs" if asked.all_given("run") else f"All runs of {name}",
        records=records,
        links=[link(*here, "runs", one.id) for one in records],
        grid=_grid(compared, here, everything=everything) if compared else None,
        everything=everything,
        same=len(compared.everything) - len(compared) if compared else 0,
        too_many=bool(asked.all_given("run")) and len(records) > _MOST_SIDE_BY_SIDE,
        curves=_curve_columns(records),
        columns=columns,
        usual=_usual(columns),
        base=link(*here, "compare"),
        trail=project_trail(project, name),
        live=link(*here, "live"),
    )


def show_curves(asked: Asked) -> Response:
    """Return a figure for each column, with a line for each chosen run."""
    from aletheia_like.metastore.plotlines import RunTable, curves_of_tables

    found = _runs(asked, asked.experiment)[:_MOST_SIDE_BY_SIDE]
    names = asked.all_given("c") or _curve_columns(found.records)[:_CURVES]
    tables = run_tables(asked.project.session, found.documents, OWN, frozenset())
    runs = [
        RunTable(run_label(record), None, table)
        for record, table in zip(found.records, tables, strict=True)
    ]
    look = look_asked(asked)
    figures: list[Figure] = []
    for name in names:
        try:
            figures.append(curves_of_tables(runs, [name], look))
        except (InvalidValueError, NotFoundError):
            if len(names) == 1:
                raise
    if not figures:
        message = "these runs logged no numbers: nothing to draw"
        raise NotFoundError(message)
    return asked.json({"figures": [figure_facts(one) for one in figures]})


def show_scatter(asked: Asked) -> Response:
    """Return a point for each run, a colour for each fold or another column."""
    from aletheia_like.plots.runpoints import scatter_of

    records = _runs(asked, asked.experiment).records
    usual = _usual(_columns(records))
    figure = scatter_of(
        [run_point(one) for one in records],
        asked.given("across") or usual[0],
        asked.given("upwards") or usual[1],
        group=asked.given("group") or "fold",
        log_x=bool(asked.given("log_across")),
        log_y=bool(asked.given("log_upwards")),
    )
    return asked.json(figure_facts(figure))


def show_parallel(asked: Asked) -> Response:
    """Return a line for each run across its parameters and metrics."""
    from aletheia_like.plots.runpoints import parallel_of

    found = _runs(asked, asked.experiment)
    points = [run_point(one) for one in found.records]
    return asked.json(figure_facts(parallel_of(points, asked.all_given("c"))))


def _runs(asked: Asked, experiment: Experiment) -> Runs:
    """Return the runs that are named, in that order; else the newest of the experiment.

    Raises:
        NotFoundError: One of them is not there.
    """
    ids = list(dict.fromkeys(asked.all_given("run")))[:_MOST_RUNS]
    if not ids:
        where = asked.given("where") or None
        return experiment.runs(where, "-started_at", _MOST_RUNS)
    documents = asked.project.session.documents.get_many(
        [paths.run(experiment.path, one) for one in ids]
    )
    missing = [one for one, document in zip(ids, documents, strict=True) if document is None]
    if missing:
        message = f"there is no run {missing[0]!r:.80} in experiment {experiment.name!r}"
        raise NotFoundError(message)
    return Runs([one for one in documents if one is not None])


def _grid(compared: Comparison, here: Sequence[str], *, everything: bool) -> Grid:
    shown = compared.everything if everything else compared.differences
    headings = [Heading("What")]
    # Runs of one experiment are called by their ids here.
    headings += [Heading(title, link(*here, "runs", title)) for title in compared.titles]
    rows = [[Cell(one.name), *map(cell_of, one.values)] for one in shown]
    return Grid("In what the runs differ", headings, rows, "These runs do not differ.")


def _curve_columns(records: Sequence[RunRecord]) -> list[str]:
    names = dict.fromkeys(name for one in records for name in one.summary)
    return sorted(name for name in names if name != "step")


def _columns(records: Sequence[RunRecord]) -> list[str]:
    """Return columns that have a place on a scale: parameters, metrics, and a few others."""
    rows = [run_row(one) for one in records]
    names = dict.fromkeys(name for row in rows for name in row)
    told = [
        name
        for name in names
        if name.startswith(("hyper_params.", "metrics.")) or name in ("number", "fold", "seconds")
    ]
    last = [name for name in _curve_columns(records) if name not in told]
    return [name for name in told if any(row.get(name) is not None for row in rows)] + last


def _usual(columns: Sequence[str]) -> tuple[str, str]:
    """Return what a scatter plot shows if nobody chose: a metric against a parameter."""
    metrics = [one for one in columns if one.startswith("metrics.")]
    params = [one for one in columns if one.startswith("hyper_params.")]
    across = (params or [one for one in columns if one == "number"] or list(columns) or ["id"])[0]
    upwards = (metrics or [one for one in columns if one != across] or [across])[0]
    return across, upwards


routes = (
    Page(_ABOUT, show),
    Page(f"{_ABOUT}/curves", show_curves),
    Page(f"{_ABOUT}/scatter", show_scatter),
    Page(f"{_ABOUT}/parallel", show_parallel),
)
