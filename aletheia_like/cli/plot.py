"""`aletheia plot`: numeric columns of runs, in the terminal or as a picture."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from aletheia_like.cli.curves import Look, Series, draw, save
from aletheia_like.cli.figures import (
    Asked,
    as_series,
    check_files,
    plot_experiment,
    plot_of,
)
from aletheia_like.cli.figures import as_json as as_json_data
from aletheia_like.cli.fitting import is_terminal, printable
from aletheia_like.cli.naming import Named, check_known, named, read_rows, split_columns
from aletheia_like.cli.output import counted, print_json, say, store_options
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.rows import Rows
from aletheia_like.model.rows import RUN_ID, STEP, TIMESTAMP
from aletheia_like.plots.plot import PAGES, Plot

_MIN_WIDTH, _MAX_WIDTH = 40, 160
_MIN_HEIGHT, _MAX_HEIGHT = 12, 40
_ROOM_FOR_PROMPT = 3
_GREATEST = 1e300


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("-c", "--columns", multiple=True, help="What to draw, with commas between.")
@click.option("--x", "across", metavar="COLUMN", help="step by default; timestamp: seconds.")
@click.option("--log", is_flag=True, help="A logarithmic scale upwards.")
@click.option("--hist", is_flag=True, help="How often each value occurs.")
@click.option("--bins", type=click.IntRange(min=1), default=20, show_default=True, help="Bars.")
@click.option("--scatter", is_flag=True, help="Points, without lines between.")
@click.option("--by", metavar="COLUMN", help="Mean and spread by fold, …; run: each; all: one.")
@click.option("--where", metavar="CONDITION", help="Only runs for which this holds.")
@click.option("--spread", type=click.Choice(["std", "minmax", "none"]), help="What bands show.")
@click.option("--smooth", type=float, help="A moving average: weight of the past, below 1.")
@click.option("--against", metavar="COLUMN", help="A point for each run, across by this column.")
@click.option("--parallel", is_flag=True, help="A line for each run, an axis for each column.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page that works offline.")
@click.option("--png", type=click.Path(path_type=Path), help="Write a picture.")
@click.option(
    "--out",
    "--save",
    "out",
    type=click.Path(path_type=Path),
    help="Write a file: .html, .png, .svg or .pdf.",
)
@store_options
def plot(
    runs: tuple[str, ...],
    *,
    columns: tuple[str, ...],
    across: str | None,
    log: bool,
    hist: bool,
    bins: int,
    scatter: bool,
    by: str | None,
    where: str | None,
    spread: str | None,
    smooth: float | None,
    against: str | None,
    parallel: bool,
    html: Path | None,
    png: Path | None,
    out: Path | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Draw numeric columns of one or more runs, or of an experiment as a whole.

    Examples: aletheia plot sweep/1 sweep/2 -c loss,acc --log;
    aletheia plot sweep -c loss --by fold --html curves.html
    """
    files = _files(html, png, out)
    asked = Asked(by, where, spread, smooth, against, parallel)
    if asked:
        if len(runs) != 1 or hist or scatter:
            message = "name one experiment, without --hist and --scatter"
            raise InvalidValueError(message)
        name = named(runs[0], project)
        plot = plot_experiment(name, url, split_columns(columns), across, asked, log=log)
        _show(plot, files, told_as_json=as_json)
        return
    read = [(named(one, project), one) for one in runs]
    wanted = split_columns(columns)
    tables = [(one, told, _read(one, url, [*wanted, *_column(across)])) for one, told in read]
    wanted = wanted or _only_numeric([rows for *_, rows in tables], across)
    x_name = across or _common_x([rows for *_, rows in tables])
    series = [
        _series(
            rows,
            column,
            None if hist else x_name,
            _label(told, printable(column), len(tables), wanted),
        )
        for _, told, rows in tables
        for column in wanted
    ]
    if as_json:
        print_json([{"label": one.label, "x": one.xs, "y": one.ys} for one in series])
        return
    drawn = [one.above_zero() for one in series] if log and not hist else series
    _tell_missing(series, drawn)
    if not any(one.ys for one in drawn):
        say("nothing to draw yet")
        return
    look = Look(
        title=" · ".join([*map(printable, wanted), *([runs[0]] if len(runs) == 1 else [])]),
        x_label=printable(", ".join(wanted) if hist else _x_label(x_name)),
        log=log,
        bins=bins if hist else 0,
        lines=not scatter,
    )
    for path in files:
        if path.suffix.lower() in PAGES:
            if hist:
                message = f"{path}: a histogram is a picture, such as .png, no page"
                raise InvalidValueError(message)
            y = printable(wanted[0]) if len(wanted) == 1 else "value"
            plot_of(drawn, look, y).save(path)
        else:
            save(drawn, look, path)
        say(f"wrote {path}")
    if not files:
        _print(drawn, look)


def _files(html: Path | None, png: Path | None, out: Path | None) -> list[Path]:
    check_files(html, png)
    return [path for path in (html, png, out) if path is not None]


def _show(plot: Plot, files: Sequence[Path], *, told_as_json: bool) -> None:
    if told_as_json:
        print_json(as_json_data(plot))
        return
    for path in files:
        plot.save(path)
        say(f"wrote {path}")
    if not files:
        series, look = as_series(plot)
        _print(series, look)
    for note in plot.notes:
        say(note)


def _print(series: Sequence[Series], look: Look) -> None:
    width, height = _size()
    click.echo(draw(series, look, width, height, colour=_is_colourful()))


def _read(name: Named, url: str | None, columns: Sequence[str]) -> Rows:
    with Metastore(name.project, url=url, git="off") as ms:
        rows = read_rows(ms, name)
        check_known(columns, rows)
        return rows


def _column(across: str | None) -> list[str]:
    return [] if across is None else [across]


def _only_numeric(tables: Sequence[Rows], across: str | None) -> list[str]:
    """Return the numeric column that there is, if none is named."""
    apart = {STEP, TIMESTAMP, RUN_ID, across}
    names = dict.fromkeys(name for rows in tables for name in rows.columns)
    numeric = [
        name
        for name in names
        if name not in apart
        and any(
            _number(value) is not None for rows in tables if name in rows for value in rows[name]
        )
    ]
    if len(numeric) == 1:
        return numeric
    there = ", ".join(numeric) or "none that holds numbers"
    message = f"name the columns to draw with -c: there are {there}"
    raise InvalidValueError(message)


def _common_x(tables: Sequence[Rows]) -> str | None:
    return STEP if all(STEP in rows for rows in tables) else None


def _x_label(name: str | None) -> str:
    return {None: "row", TIMESTAMP: "seconds since the first row"}.get(name, name or "")


def _label(told: str, column: str, runs: int, wanted: Sequence[str]) -> str:
    if runs == 1:
        return column
    return told if len(wanted) == 1 else f"{told} {column}"


def _series(rows: Rows, column: str, x_name: str | None, label: str) -> Series:
    """Return the points of a column by x; rows that lack a number in either are left out."""
    ys = [_number(value) for value in rows[column]]
    xs = _xs(rows, x_name)
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if x is not None and y is not None]
    points.sort(key=lambda point: point[0])
    return Series(label, [x for x, _ in points], [y for _, y in points])


def _xs(rows: Rows, name: str | None) -> list[float | None]:
    if name is None:
        return [float(number) for number in range(len(rows))]
    if name == TIMESTAMP:
        moments = [one.timestamp() for one in rows[TIMESTAMP]]
        return [moment - min(moments) for moment in moments]
    return [_number(value) for value in rows[name]]


def _number(value: Any) -> float | None:
    """Return a number that can be drawn, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) <= _GREATEST else None


def _tell_missing(series: Sequence[Series], drawn: Sequence[Series]) -> None:
    missing = sum(len(one.ys) for one in series) - sum(len(one.ys) for one in drawn)
    if missing:
        told = counted(missing, "value")
        say(f"{told} of zero or less left out: a logarithmic scale has no place for them")


def _size() -> tuple[int, int]:
    width, height = shutil.get_terminal_size((80, 24))
    height = height - _ROOM_FOR_PROMPT if is_terminal() else 20
    return (
        min(max(width, _MIN_WIDTH), _MAX_WIDTH),
        min(max(height, _MIN_HEIGHT), _MAX_HEIGHT),
    )


def _is_colourful() -> bool:
    return is_terminal() and not os.environ.get("NO_COLOR")
