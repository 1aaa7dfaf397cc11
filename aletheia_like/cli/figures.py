"""What `aletheia plot` draws: it is read here, and becomes the facts of a figure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aletheia_like.cli.curves import Look, Series
from aletheia_like.cli.fitting import printable
from aletheia_like.cli.naming import Named, check_known, read_rows
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError
from aletheia_like.extras import import_extra
from aletheia_like.metastore.rows import Rows
from aletheia_like.model.rows import RUN_ID, STEP, TIMESTAMP
from aletheia_like.plots.bars import histogram_of
from aletheia_like.plots.figures import Curves, Histogram, Parallel, Scatter
from aletheia_like.plots.plot import PAGES, Plot

_GREATEST = 1e300


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of runs together; see `Experiment.plot`."""

    by: str | None = None
    where: str | None = None
    spread: str | None = None
    against: str | None = None
    parallel: bool = False

    def __bool__(self) -> bool:
        return self != Asked()


@dataclass(frozen=True, slots=True)
class Shape:
    """How it is drawn.

    Attributes:
        columns: What is upwards; empty for the only one that holds numbers.
        x: What is across.
        log: Logarithmic scales: `x`, `y`, `xy` or none.
        smooth: Weight of the past in a moving average.
        lines: Whether points are joined.
    """

    columns: Sequence[str]
    x: str | None = None
    log: str = ""
    smooth: float = 0.0
    lines: bool = True


def check_files(html: Path | None, png: Path | None) -> None:
    """Refuse names that do not say what they are.

    Raises:
        InvalidValueError: A page is not called `.html`, or a picture not `.png`.
    """
    for path, suffixes in ((html, PAGES), (png, {".png"})):
        if path is not None and path.suffix.lower() not in suffixes:
            message = f"{path}: the name must end in {' or '.join(sorted(suffixes))}"
            raise InvalidValueError(message)


def plot_together(names: Sequence[Named], url: str | None, shape: Shape, asked: Asked) -> Plot:
    """Return the plot of the runs of one experiment: all, or those that are named.

    Raises:
        InvalidValueError: Several experiments are named, or columns do not fit the kind of plot.
        NotFoundError: There is no such experiment, run or column.
    """
    first = names[0]
    if any((one.project, one.experiment) != (first.project, first.experiment) for one in names):
        message = "only runs of one experiment are drawn together: name one, or runs of it"
        raise InvalidValueError(message)
    ids = [one.run for one in names if one.run is not None]
    if ids and len(ids) < len(names):
        message = f"name {first.experiment!r} or runs of it, not both"
        raise InvalidValueError(message)
    options = _options(shape, asked)
    with Metastore(first.project, url=url, git="off") as ms:
        experiment = ms.experiment(first.experiment)
        if ids:
            known = ", ".join(f"'{experiment.run(one).id}'" for one in ids)
            chosen = f"({asked.where}) and " if asked.where else ""
            options |= {"where": f"{chosen}id in ({known})", "debug": True}
        return _as_shaped(experiment.plot(**options), shape)


def plot_runs(names: Sequence[Named], told: Sequence[str], url: str | None, shape: Shape) -> Plot:
    """Return curves of runs, each by itself; of one that has no rows yet there are none.

    Raises:
        InvalidValueError: There are no numbers.
        NotFoundError: There is no such run or column.
    """
    import_extra("pyarrow", "plot")
    from aletheia_like.metastore.plotlines import RunTable, curves_of_tables
    from aletheia_like.plots.curves import CurveLook

    tables = []
    for name, label in zip(names, told, strict=True):
        with Metastore(name.project, url=url, git="off") as ms:
            tables.append(RunTable(label, None, read_rows(ms, name).to_arrow()))
    having = [one for one in tables if one.table.num_rows]
    title = " · ".join([", ".join(shape.columns), *(told if len(told) == 1 else [])])
    look = CurveLook(
        title.removeprefix(" · "),
        _across(shape.x) or "",
        "run",
        smooth=shape.smooth,
        log_x="x" in shape.log,
        log_y="y" in shape.log,
    )
    if not having:
        message = f"nothing to draw yet: no rows in {', '.join(told)}"
        raise InvalidValueError(message)
    return _as_shaped(Plot(curves_of_tables(having, list(shape.columns), look)), shape)


def plot_bars(
    names: Sequence[Named], told: Sequence[str], url: str | None, shape: Shape, bins: int
) -> Plot:
    """Return how often values occur, of each run and column.

    Raises:
        InvalidValueError: There are no numbers.
        NotFoundError: There is no such run or column.
    """
    tables = []
    for name in names:
        with Metastore(name.project, url=url, git="off") as ms:
            tables.append(read_rows(ms, name))
    for rows in tables:
        check_known(shape.columns, rows)
    wanted = shape.columns or _only_numeric(tables)
    values = {}
    for label, rows in zip(told, tables, strict=True):
        for column in wanted:
            words = [label] if len(told) > 1 else []
            words += [column] if len(wanted) > 1 or not words else []
            values[" ".join(words)] = _numbers(rows[column])
    across = ", ".join(wanted)
    title = " · ".join([across, *(told if len(told) == 1 else [])])
    return Plot(histogram_of(values, bins, title, across, log="y" in shape.log))


def as_series(plot: Plot) -> tuple[list[Series], Look]:
    """Return what of a plot fits into a terminal: means without bands, points without names.

    Raises:
        InvalidValueError: It is none that letters can show.
    """
    match plot.data:
        case Curves() as data:
            found = [(one.label, one.xs, one.ys) for one in data.curves]
        case Scatter() as data:
            if data.x.categories or data.y.categories:
                message = "texts have no scale in a terminal: add --html FILE or --png FILE"
                raise InvalidValueError(message)
            found = [(one.label, one.xs, one.ys) for one in data.groups]
        case _:
            message = "parallel coordinates need a page or picture: --html FILE or --png FILE"
            raise InvalidValueError(message)
    series = [_series(printable(label), xs, ys) for label, xs, ys in found]
    lines = isinstance(data, Curves) and data.lines
    title, across = printable(data.title), printable(data.x.title)
    return series, Look(title, across, log=data.y.log, log_x=data.x.log, lines=lines)


def as_json(plot: Plot) -> Any:
    """Return a plot's data for programs."""
    match plot.data:
        case Curves() as data:
            return [
                {
                    "label": one.label,
                    "x": one.xs,
                    "y": _nulls(one.ys),
                    "low": _nulls(one.lows),
                    "high": _nulls(one.highs),
                    "runs": one.runs,
                }
                for one in data.curves
            ]
        case Scatter() as data:
            return [
                {"label": one.label, "runs": one.names, "x": one.xs, "y": one.ys}
                for one in data.groups
            ]
        case Parallel() as data:
            return [
                {"label": axis.title, "categories": axis.categories, "values": values}
                for axis, values in zip(data.axes, data.values, strict=True)
            ]
        case Histogram() as data:
            return [
                {"label": one.label, "edges": data.edges, "counts": one.counts}
                for one in data.groups
            ]


def _options(shape: Shape, asked: Asked) -> dict[str, Any]:
    wanted: Any = list(shape.columns)
    options: dict[str, Any] = {"where": asked.where, "log": shape.log}
    if asked.parallel:
        options |= {"kind": "parallel", "columns": wanted}
    elif asked.against is not None:
        if len(wanted) != 1:
            message = "--against takes one column upwards: -c metrics.acc --against COLUMN"
            raise InvalidValueError(message)
        options |= {"y": wanted[0], "against": asked.against}
    else:
        y = wanted[0] if len(wanted) == 1 else wanted
        options |= {"y": y, "x": _across(shape.x)}
        options |= {"spread": asked.spread or "std", "smooth": shape.smooth}
    options["group"] = None if asked.by == "all" else asked.by or "fold"
    return options


def _across(x: str | None) -> str | None:
    return "time" if x == TIMESTAMP else x


def _as_shaped(plot: Plot, shape: Shape) -> Plot:
    if shape.lines or not isinstance(plot.data, Curves):
        return plot
    return Plot(dataclasses.replace(plot.data, lines=False))


def _only_numeric(tables: Sequence[Rows]) -> list[str]:
    names = dict.fromkeys(name for rows in tables for name in rows.columns)
    numeric = [
        name
        for name in names
        if name not in {STEP, TIMESTAMP, RUN_ID}
        and any(_numbers(rows[name]) for rows in tables if name in rows)
    ]
    if len(numeric) == 1:
        return numeric
    there = ", ".join(numeric) or "none that holds numbers"
    message = f"name the columns to draw with -c: there are {there}"
    raise InvalidValueError(message)


def _numbers(cells: Sequence[Any]) -> list[float]:
    numeric = [one for one in cells if isinstance(one, int | float) and not isinstance(one, bool)]
    return [float(one) for one in numeric if not isinstance(one, int) or abs(one) <= _GREATEST]


def _series(label: str, xs: Sequence[float], ys: Sequence[float]) -> Series:
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if abs(y) <= _GREATEST]
    points.sort()
    return Series(label, [x for x, _ in points], [y for _, y in points])


def _nulls(values: Sequence[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]
