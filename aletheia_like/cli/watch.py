"""`aletheia watch`: what happens to the runs of an experiment, as it happens."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterable
from itertools import islice

import click

from aletheia_like.cli import completing
from aletheia_like.cli.browse import project_and_rest
from aletheia_like.cli.output import print_json_line, say, shown, store_options
from aletheia_like.connect import Metastore
from aletheia_like.metastore.changes import RunChange
from aletheia_like.metastore.runcolumns import run_row
from aletheia_like.model.names import split_reference


@click.command(short_help="Show what happens to runs, as it happens.")
@click.argument("experiment", shell_complete=completing.experiments)
@click.option("--for", "seconds", type=click.FloatRange(min=0), help="End after so many seconds.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many changes.")
@click.option("--existing", is_flag=True, help="Show the runs that are there first.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Seconds between two looks at a store that cannot be listened to.",
)
@click.option("--debug", is_flag=True, help="Show runs for trials too.")
@store_options
def watch(
    experiment: str,
    *,
    seconds: float | None,
    count: int | None,
    existing: bool,
    interval: float,
    debug: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show what happens to the runs of an experiment, as it happens; Ctrl-C ends it.

    Example: aletheia watch "penguins/which species"
    """
    chosen, (name,) = project_and_rest(split_reference(experiment), project, 1)
    try:
        with Metastore(chosen, url=url, git="off") as ms:
            opened = ms.experiment(name)
            with opened.watch(
                interval=interval, existing=existing, debug=debug or None, seconds=seconds
            ) as changes:
                say(f"watching {chosen}/{name} in {ms.url}; Ctrl-C ends it")
                _print(islice(changes, count), as_json=as_json)
    except KeyboardInterrupt:
        say("")


def _print(changes: Iterable[RunChange], *, as_json: bool) -> None:
    for change in changes:
        if as_json:
            told = {"kind": change.kind, "fields": change.values, "run": run_row(change.run)}
            print_json_line(told)
        else:
            click.echo(_line(change))
            sys.stdout.flush()


def _line(change: RunChange) -> str:
    run = change.run
    when = shown(run.updated_at or dt.datetime.now(dt.UTC)).rpartition(" ")[2]
    what = change.describe() if change.kind == "changed" else run.status
    name = f" ({run.name})" if run.name else ""
    return f"{when}  {change.kind:<7}  {run.id}{name}  {what}"
