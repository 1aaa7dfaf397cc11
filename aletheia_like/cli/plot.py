"""`aletheia plot`: numeric columns of runs, in the terminal or as a picture."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from aletheia_like.cli import completing
from aletheia_like.cli.curves import draw, draw_histogram
from aletheia_like.cli.figures import (
    Asked,
    Shape,
    as_series,
    check_files,
    plot_bars,
    plot_runs,
    plot_together,
)
from aletheia_like.cli.figures import (
    as_json as as_json_data,
)
from aletheia_like.cli.fitting import is_terminal
from aletheia_like.cli.naming import Named, named, split_columns
from aletheia_like.cli.output import print_json, say, store_options
from aletheia_like.errors import InvalidValueError
from aletheia_like.plots.figures import Histogram
from aletheia_like.plots.plot import Plot

_MIN_WIDTH, _MAX_WIDTH = 40, 160
_MIN_HEIGHT, _MAX_HEIGHT = 12, 40
_ROOM_FOR_PROMPT = 3


@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=completing.runs_or_experiments)
@click.option("-c", "--columns", multiple=True, help="What to draw, with commas between.")
@click.option("--x", "across", metavar="COLUMN", help="step by default; timestamp: seconds.")
@click.option("--log", is_flag=True, help="A logarithmic scale upwards.")
@click.option("--log-x", is_flag=True, help="A logarithmic scale across.")
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
    log_x: bool,
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
    """Draw numeric columns of runs, or of an experiment.

    Examples: aletheia plot sweep/1 sweep/2 -c loss,acc --log;
    aletheia plot sweep -c loss --by fold --html curves.html
    """
    files = _files(html, png, out)
    asked = Asked(by, where, spread, against, parallel)
    scales = ("x" if log_x else "") + ("y" if log else "")
    shape = Shape(split_columns(columns), across, scales, smooth or 0.0, lines=not scatter)
    names = [named(one, project) for one in runs]
    if hist:
        _check_bars(asked, shape, has_file=bool(files) or as_json)
        shown = plot_bars(names, runs, url, shape, bins)
    elif asked or _is_experiment(names):
        shown = plot_together(names, url, shape, asked)
    else:
        shown = plot_runs(names, runs, url, shape)
    _show(shown, files, told_as_json=as_json)


def _is_experiment(names: Sequence[Named]) -> bool:
    return any(one.run is None for one in names)


def _check_bars(asked: Asked, shape: Shape, *, has_file: bool) -> None:
    if asked or shape.smooth or shape.x or "x" in shape.log or not shape.lines:
        message = "--hist counts values: it goes with -c, --bins and --log only"
        raise InvalidValueError(message)
    if shape.log and not has_file:
        message = "--hist --log needs a page or picture: add --html FILE or --png FILE"
        raise InvalidValueError(message)


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
        _print(plot)
    for note in plot.notes:
        if files or not note.startswith(("band:", "line:")):
            say(note)


def _print(plot: Plot) -> None:
    (width, height), colour = _size(), _is_colourful()
    if isinstance(plot.data, Histogram):
        click.echo(draw_histogram(plot.data, width, height, colour=colour))
    else:
        series, look = as_series(plot)
        click.echo(draw(series, look, width, height, colour=colour))


def _size() -> tuple[int, int]:
    width, height = shutil.get_terminal_size((80, 24))
    height = height - _ROOM_FOR_PROMPT if is_terminal() else 20
    return (
        min(max(width, _MIN_WIDTH), _MAX_WIDTH),
        min(max(height, _MIN_HEIGHT), _MAX_HEIGHT),
    )


def _is_colourful() -> bool:
    return is_terminal() and not os.environ.get("NO_COLOR")
