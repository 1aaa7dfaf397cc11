"""Plots of the runs of an experiment: what has to be read, and under which names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.extras import import_extra
from aletheia_like.metastore.handle import DocumentHandle
from aletheia_like.metastore.rows import Rows
from aletheia_like.metastore.runcolumns import run_row
from aletheia_like.metastore.searching import find_runs, understood
from aletheia_like.metastore.tables import Runs
from aletheia_like.model import paths
from aletheia_like.model.names import from_id
from aletheia_like.model.records import RunRecord
from aletheia_like.model.rows import STEP

if TYPE_CHECKING:
    from aletheia_like.plots.curves import CurveLook
    from aletheia_like.plots.figures import Spread
    from aletheia_like.plots.plot import Plot
    from aletheia_like.plots.runpoints import RunPoint

Kind = Literal["curves", "scatter", "parallel"]
_EACH = frozenset({"run", "id"})
_SCALES = frozenset({"", "x", "y", "xy", "yx"})


class PlottedExperiment(DocumentHandle):
    """An experiment whose runs can be drawn."""

    _debug: bool

    def plot(
        self,
        y: str | Sequence[str] | None = None,
        *,
        against: str | None = None,
        columns: Sequence[str] = (),
        kind: Kind | None = None,
        x: str | None = None,
        where: str | None = None,
        group: str | None = "fold",
        colour: str | None = None,
        spread: Spread = "std",
        smooth: float = 0.0,
        log: bool | str = False,
        points: int = 2_000,
        debug: bool | None = None,
    ) -> Plot:
        """Return a plot of the runs; nothing is written.

        Learning curves are drawn by default: of each group of runs the mean, and a band around
        it. With `against` a scatter plot, with `kind="parallel"` parallel coordinates. A column
        that only runs have, such as `metrics.acc`, is drawn against their number.

        One read for each run; curves read the rows too, those of a run that has ended only once.

        Args:
            y: Columns of rows, such as `loss`; for a scatter plot a column of runs, such as
                `metrics.acc`, or of rows, which stands for its last value.
            against: A column of runs, which makes it a scatter plot.
            columns: The axes of parallel coordinates; by default the parameters in which runs
                differ, and the metrics.
            kind: `curves`, `scatter` or `parallel`, where nothing else says it.
            x: What is across curves: `step`, `time` (seconds since a run's first row), `row`, or
                a column of numbers. `step` by default where all runs have it, else `row`.
            where: Only the runs for which this holds, as in `runs`.
            group: Runs that share this column are one curve, or one colour: `fold`, or one such as
                `hyper_params.lr`; a column of rows divides those of a run. A run without it
                stands alone. `run` draws each run by itself, None all as one.
            colour: The column that colours parallel coordinates; the last one by default.
            spread: What the band shows: `std` is the mean plus and minus one standard deviation
                (of a sample), `minmax` the least to the greatest run, `none` no band.
            smooth: Weight of the past in a moving average, from 0 to below 1.
            log: Logarithmic scales: True or `y`, `x`, `xy`.
            points: About how many points stand for a curve; spikes stay.
            debug: Whether trial runs are shown; by default only if the experiment is one.

        Raises:
            NotFoundError: There are no runs, or a column that none has; the message names near
                ones.
            InvalidValueError: A column holds no numbers, or an argument cannot be.
            MissingExtraError: What reads or draws it is not installed.
        """
        asked = _kind(kind, against, columns)
        scales = _scales(log)
        found = self._runs_to_plot(where, debug=self._debug if debug is None else debug)
        if kind is None and asked == "curves" and isinstance(y, str) and _is_of_runs(found, y):
            asked, against = "scatter", "number"
        name = from_id(self._path.rpartition("/")[2])
        from aletheia_like.plots.plot import Plot

        if asked == "curves":
            from aletheia_like.plots.curves import CurveLook

            names = [y] if isinstance(y, str) else list(y or ())
            look = CurveLook(
                f"{', '.join(names)} · {name}" if names else name,
                x or "",
                group,
                spread,
                smooth,
                "x" in scales,
                "y" in scales,
                points,
            )
            return Plot(self._curves(found, names, look))
        import_extra("numpy", None)
        from aletheia_like.plots.runpoints import parallel_of, scatter_of

        runs = [run_point(record) for record in found.records]
        if asked == "parallel":
            if scales:
                message = "parallel coordinates have no logarithmic scales: leave log out"
                raise InvalidValueError(message)
            return Plot(parallel_of(runs, columns, colour=colour, title=name))
        if not isinstance(y, str) or against is None:
            message = "a scatter plot needs two columns: plot('metrics.acc', against='number')"
            raise InvalidValueError(message)
        by = None if group is None or group in _EACH else group
        log_x, log_y = "x" in scales, "y" in scales
        return Plot(scatter_of(runs, against, y, group=by, log_x=log_x, log_y=log_y))

    def _runs_to_plot(self, where: str | None, *, debug: bool) -> Runs:
        asked = understood(where, None, None, debug=debug)
        found = find_runs(self._session, [paths.runs(self._path)], asked)
        if not len(found):
            chosen = f" for which {where} holds" if where else ""
            message = f"nothing to plot: {self!r} has no runs{chosen}"
            raise NotFoundError(message)
        return found

    def _curves(self, found: Runs, names: list[str], look: CurveLook) -> Any:
        import_extra("pyarrow", "plot")
        from aletheia_like.metastore import sqlrows
        from aletheia_like.metastore.plotlines import RunTable, curves_of_tables

        # Numbers never lie elsewhere, so no long value is fetched.
        tables = sqlrows.run_tables(
            self._session, found.documents, sqlrows.OWN, columns=frozenset()
        )
        runs = [
            RunTable(run_label(record), _group(record, look.group), table)
            for record, table in zip(found.records, tables, strict=True)
        ]
        own = dict.fromkeys(key for record in found.records for key in run_row(record))
        return curves_of_tables(runs, names, look, list(own))


def plot_run(
    record: RunRecord,
    rows: Rows,
    y: str | Sequence[str] | None,
    *,
    x: str | None,
    smooth: float,
    log: bool | str,
    points: int,
) -> Plot:
    """Return a plot of columns of the rows of one run; see `Experiment.plot`."""
    scales = _scales(log)
    import_extra("pyarrow", "plot")
    from aletheia_like.metastore.plotlines import RunTable, curves_of_tables
    from aletheia_like.plots.curves import CurveLook
    from aletheia_like.plots.plot import Plot

    names = [y] if isinstance(y, str) else list(y or ())
    title = " · ".join([*([", ".join(names)] if names else []), run_label(record)])
    look = CurveLook(
        title,
        x or "",
        "run",
        smooth=smooth,
        log_x="x" in scales,
        log_y="y" in scales,
        most=points,
    )
    run = RunTable(run_label(record), None, rows.to_arrow())
    return Plot(curves_of_tables([run], names, look))


def run_label(record: RunRecord) -> str:
    """Return what a legend calls a run."""
    return f"{record.id} {record.name}" if record.name not in (None, record.id) else record.id


def _group(record: RunRecord, name: str | None) -> Any:
    return None if name is None or name in _EACH else run_row(record).get(name)


def _is_of_runs(found: Runs, name: str) -> bool:
    """Whether runs have a column, and their rows do not."""
    return any(run_row(one).get(name) is not None for one in found.records) and not any(
        name in summary
        for one in found.records
        for summary in (one.summary, one.summary_of_others)
    )


def run_point(record: RunRecord) -> RunPoint:
    """Return what a scatter plot and parallel coordinates need of a run."""
    from aletheia_like.plots.runpoints import RunPoint

    last = {
        name: one["last"]
        for summary in (record.summary_of_others, record.summary)
        for name, one in summary.items()
        if isinstance(one, dict) and "last" in one
    }
    if record.last_step is not None:
        last.setdefault(STEP, record.last_step)
    return RunPoint(run_label(record), run_row(record), last)


def _kind(kind: str | None, against: str | None, columns: Sequence[str]) -> Kind:
    told: Kind = "curves"
    if against is not None:
        told = "scatter"
    elif columns:
        told = "parallel"
    match kind:
        case None:
            return told
        case "curves" | "scatter" | "parallel" if told in (kind, "curves"):
            return kind
        case "curves" | "scatter" | "parallel":
            message = f"kind={kind!r} does not go with the other arguments: they ask for {told}"
        case _:
            message = f"kind is one of curves, scatter, parallel, not {kind!r}"
    raise InvalidValueError(message)


def _scales(log: bool | str) -> str:
    told = {True: "y", False: ""}.get(log, log) if isinstance(log, bool) else log
    if told not in _SCALES:
        message = f"log is True, 'x', 'y' or 'xy', not {log!r}"
        raise InvalidValueError(message)
    return str(told)
