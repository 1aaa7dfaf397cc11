"""What `aletheia plot` draws of an experiment as a whole, and how it writes files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aletheia_like.cli.curves import Look, Series
from aletheia_like.cli.fitting import printable
from aletheia_like.cli.naming import Named
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError
from aletheia_like.plots.figures import Axis, Curve, Curves, Parallel, Scatter
from aletheia_like.plots.plot import PAGES, Plot


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of an experiment as a whole; see `Experiment.plot`."""

    by: str | None = None
    where: str | None = None
    spread: str | None = None
    smooth: float | None = None
    against: str | None = None
    parallel: bool = False

    def __bool__(self) -> bool:
        return self != Asked()


def check_files(html: Path | None, png: Path | None) -> None:
    """Refuse names that do not say what they are.

    Raises:
        InvalidValueError: A page is not called `.html`, or a picture not `.png`.
    """
    for path, suffixes in ((html, PAGES), (png, {".png"})):
        if path is not None and path.suffix.lower() not in suffixes:
            message = f"{path}: the name must end in {' or '.join(sorted(suffixes))}"
            raise InvalidValueError(message)


def plot_experiment(
    name: Named, url: str | None, columns: Sequence[str], x: str | None, asked: Asked, *, log: bool
) -> Plot:
    """Return the plot of an experiment's runs.

    Raises:
        InvalidValueError: A run is named, or the columns do not fit the kind of plot.
        NotFoundError: There is no such experiment or column.
    """
    if name.run is not None:
        message = f"name the experiment {name.experiment!r}, and choose its runs by --where"
        raise InvalidValueError(message)
    wanted: Any = list(columns)
    options: dict[str, Any] = {"where": asked.where, "log": log}
    if asked.parallel:
        options |= {"kind": "parallel", "columns": wanted}
        wanted = None
    elif asked.against is not None:
        if len(wanted) != 1:
            message = "--against takes one column upwards: -c metrics.acc --against COLUMN"
            raise InvalidValueError(message)
        options |= {"against": asked.against}
        wanted = wanted[0]
    else:
        options |= {"x": "time" if x == "timestamp" else x}
        options |= {"spread": asked.spread or "std", "smooth": asked.smooth or 0.0}
    options["group"] = None if asked.by == "all" else asked.by or "fold"
    with Metastore(name.project, url=url, git="off") as ms:
        return ms.experiment(name.experiment).plot(wanted, **options)


def plot_of(series: Sequence[Series], look: Look, y: str) -> Plot:
    """Return what the terminal shows as a plot that is saved."""
    curves = [
        Curve(one.label, tuple(one.xs), tuple(one.ys), colour=number)
        for number, one in enumerate(series)
        if one.ys
    ]
    x = Axis(look.x_label)
    return Plot(Curves(look.title, x, Axis(y, look.log), tuple(curves), lines=look.lines))


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
        case Parallel():
            message = "parallel coordinates need a page or picture: --html FILE or --png FILE"
            raise InvalidValueError(message)
    series = [_series(printable(label), xs, ys) for label, xs, ys in found]
    lines = isinstance(data, Curves) and data.lines
    look = Look(printable(data.title), printable(data.x.title), log=data.y.log, lines=lines)
    return series, look


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


def _series(label: str, xs: Sequence[float], ys: Sequence[float]) -> Series:
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if not math.isnan(y)]
    points.sort()
    return Series(label, [x for x, _ in points], [y for _, y in points])


def _nulls(values: Sequence[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]
