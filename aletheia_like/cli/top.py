"""`aletheia top`: the runs that are running, in a table that follows them."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from aletheia_like.cli import completing
from aletheia_like.cli.fitting import fitting, is_terminal, printable
from aletheia_like.cli.naming import named, split_columns
from aletheia_like.cli.output import (
    console,
    counted,
    print_json_line,
    print_table,
    say,
    store_options,
    table_of,
)
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError, NotFoundError, UnavailableError
from aletheia_like.metastore.tables import Runs
from aletheia_like.model.quantities import shown_seconds
from aletheia_like.model.records import RunRecord

_RUNNING = "status = 'running'"
_LINES_AROUND = 4
_VALUES_FIRST = 3
_FIRST = ("experiment", "run", "status", "time", "step")
_LAST = ("name", "seen")


@click.command(short_help="Show the runs that are running, as they go on.")
@click.argument("experiment", required=False, shell_complete=completing.experiments)
@click.option("-c", "--columns", multiple=True, help="Only these values, with commas between.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--for", "seconds", type=click.FloatRange(min=0), help="End after so many seconds.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many looks.")
@click.option("--debug", is_flag=True, help="Show runs for trials too.")
@store_options
def top(
    experiment: str | None,
    *,
    columns: tuple[str, ...],
    interval: float,
    seconds: float | None,
    count: int | None,
    debug: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show the runs that are running with their last values, as they go on; Ctrl-C ends it.

    Runs that end meanwhile stay in the table. Through a pipe it is printed once, or --count times.

    Examples: aletheia top -p penguins; aletheia top "penguins/which species" -c loss,acc
    """
    found = None if experiment is None else named(experiment, project)
    if found is not None and found.run is not None:
        message = f"{experiment!r} is a run: name its experiment, or none for all of a project"
        raise InvalidValueError(message)
    is_live = is_terminal() and not as_json
    looks = count if count is not None or is_live or seconds is not None else 1
    with Metastore(found.project if found else project, url=url, git="off") as ms:
        board = _Board(ms, found.experiment if found else None, debug=debug)
        ticks = _ticks(interval, seconds, looks)
        chosen = split_columns(columns)
        try:
            if is_live:
                _follow(board, ticks, chosen)
            else:
                _print(board, ticks, chosen, as_json=as_json)
        except KeyboardInterrupt:
            say("")


class _Board:
    """The runs that are or were running since it was made."""

    def __init__(self, ms: Metastore, experiment: str | None, *, debug: bool) -> None:
        self._ms = ms
        self._experiment = experiment
        self._debug = debug
        self._seen: dict[tuple[str, str], RunRecord] = {}
        self._ended: set[tuple[str, str]] = set()

    @property
    def title(self) -> str:
        """What it shows, for people."""
        ms = self._ms
        return f"{ms.project}/{self._experiment}" if self._experiment else ms.project

    def look(self) -> list[RunRecord]:
        """Return the runs, the oldest first; those that ended are read once more."""
        running = {(one.experiment, one.id): one for one in self._running()}
        for key in self._seen.keys() - running.keys() - self._ended:
            try:
                self._seen[key] = self._ms.experiment(key[0]).run(key[1]).record
            except NotFoundError:
                del self._seen[key]
            else:
                self._ended.add(key)
        self._ended -= running.keys()
        self._seen |= running
        return list(self._seen.values())

    def _running(self) -> Runs:
        if self._experiment is None:
            return self._ms.runs(_RUNNING, debug=self._debug)
        opened = self._ms.experiment(self._experiment)
        return opened.runs(_RUNNING, debug=self._debug or None)


def _ticks(interval: float, seconds: float | None, looks: int | None) -> Iterator[None]:
    """Yield at once, and then every so many seconds, until enough time or looks have passed."""
    end = None if seconds is None else time.monotonic() + seconds
    done = 0
    while True:
        yield
        done += 1
        if looks is not None and done >= looks:
            return
        left = interval if end is None else min(interval, end - time.monotonic())
        if left <= 0:
            return
        time.sleep(left)


def _print(board: _Board, ticks: Iterator[None], chosen: list[str], *, as_json: bool) -> None:
    for _ in ticks:
        runs = board.look()
        rows = [_row(one, dt.datetime.now(dt.UTC)) for one in runs]
        names = _columns(rows, chosen)
        if as_json:
            print_json_line([{name: row.get(name) for name in names} for row in rows])
        elif rows:
            shown = [{**row, "time": shown_seconds(row["time"])} for row in rows]
            print_table(shown, {name: printable(name) for name in names})
        else:
            say(f"nothing is running in {board.title}")


def _follow(board: _Board, ticks: Iterator[None], chosen: list[str]) -> None:
    """Draw a table in place, again and again; an outage is told below it."""
    from rich.live import Live

    rows: list[dict[str, Any]] = []
    with Live(console=console(), auto_refresh=False) as live:
        for _ in ticks:
            trouble = None
            try:
                runs = board.look()
            except UnavailableError as error:
                trouble = f"the store is away: {error}"
            else:
                rows = [_row(one, dt.datetime.now(dt.UTC)) for one in runs]
            live.update(_drawn(board.title, rows, chosen, trouble), refresh=True)


def _drawn(title: str, rows: list[dict[str, Any]], chosen: list[str], trouble: str | None) -> Any:
    """Return as much of the table as the terminal has room for."""
    from rich.console import Group
    from rich.text import Text

    room = max(1, shutil.get_terminal_size().lines - _LINES_AROUND)
    # Who has not ended is more interesting, and of these whoever started last.
    rows = sorted(rows, key=lambda row: row["status"] == "running")[-room:]
    shown = [{**row, "time": shown_seconds(row["time"])} for row in rows]
    names = _columns(shown, chosen)
    if len({row["experiment"] for row in rows}) == 1:
        names.remove("experiment")
    kept = fitting(shown, _by_importance(names)) if shown else set(names)
    running = sum(row["status"] == "running" for row in rows)
    now = dt.datetime.now().astimezone().strftime("%H:%M:%S")
    head = f"{title}  {counted(running, 'run')} running  {now}"
    parts = [Text(head, no_wrap=True, overflow="ellipsis")]
    table = [table_of(shown, {name: printable(name) for name in names if name in kept})]
    below = [] if trouble is None else [Text(trouble, no_wrap=True, overflow="ellipsis")]
    return Group(*parts, *(table if shown else []), *below)


def _columns(rows: list[dict[str, Any]], chosen: list[str]) -> list[str]:
    values = [name for row in rows for name in row if name not in (*_FIRST, *_LAST)]
    return [*_FIRST, *(chosen or dict.fromkeys(values)), *_LAST]


def _by_importance(names: list[str]) -> list[str]:
    """Return columns in the order in which a narrow terminal shows them."""
    values = [name for name in names if name not in (*_FIRST, *_LAST)]
    first = ["experiment", "run", "status", *values[:_VALUES_FIRST], "time", "step"]
    return [name for name in (*first, *values[_VALUES_FIRST:], *_LAST) if name in names]


def _row(run: RunRecord, now: dt.datetime) -> dict[str, Any]:
    """Return what a line shows: of each number the last value, and how long it takes."""
    summary = _last_values(run.summary_of_others) | _last_values(run.summary)
    until = run.ended_at or now
    took = (until - run.started_at).total_seconds() if run.started_at else None
    silent = (now - run.updated_at).total_seconds() if run.updated_at else None
    return {
        **run.metrics,
        **summary,
        "experiment": run.experiment,
        "run": run.id,
        "status": run.status,
        "time": None if took is None else max(0.0, took),
        "step": _step(run),
        "name": run.name,
        "seen": None if silent is None else f"{shown_seconds(max(0.0, silent))} ago",
    }


def _step(run: RunRecord) -> Any:
    """Return the step that a run has come to, as far as its document tells."""
    told = [*run.summary.values(), *run.summary_of_others.values()]
    steps = [one.get("step") for one in told if isinstance(one, Mapping)]
    numbers = [one for one in (*steps, run.last_step) if isinstance(one, int | float)]
    return max(numbers, default=run.last_step)


def _last_values(summary: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: one for name, one in summary.items() if isinstance(one, Mapping)}
    return {name: one.get("last") for name, one in known.items()}
