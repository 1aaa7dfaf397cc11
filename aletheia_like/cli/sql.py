"""`aletheia sql`: a query over the tables of a project."""

from __future__ import annotations

import base64
import sys
from typing import Any

import click

from aletheia_like.cli.browse import check_project
from aletheia_like.cli.fitting import is_terminal, print_fitting
from aletheia_like.cli.output import counted, print_json, say, shown, store_options
from aletheia_like.connect import Metastore

_CELL_WIDTH = 48
_SHOWN_ROWS = 1_000


@click.command()
@click.argument("query")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@click.option("--experiment", help="Only what belongs to this experiment.")
@store_options
def sql(
    query: str,
    *,
    as_csv: bool,
    experiment: str | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Ask in SQL what runs, rows and versions hold.

    Tables: runs, rows, system, results, artifacts, datasets, files.
    A single - reads the query from standard input.
    Example: aletheia sql "SELECT run_id, min(loss) FROM rows GROUP BY run_id"
    """
    text = sys.stdin.read() if query == "-" else query
    with Metastore(project, url=url, git="off") as ms:
        if experiment is not None:
            ms.experiment(experiment)
        frame = ms.sql(text, experiment=experiment)
        # A count over nothing has a row too.
        check_project(ms)
    if as_csv:
        frame.to_csv(sys.stdout, index=False, lineterminator="\n")
        return
    records = _records(frame)
    if as_json:
        print_json(records)
    elif list(frame.columns) == ["explain_key", "explain_value"]:
        click.echo("\n".join(frame["explain_value"]))
    else:
        some = [{key: _cell(row[key]) for key in row} for row in records[:_SHOWN_ROWS]]
        print_fitting(some, list(frame.columns), "name the columns that you want")
        left = len(records) - len(some)
        more = f", {left:,} not shown: --json and --csv have all" if left else ""
        say(f"{counted(len(records), 'row')}{more}")


def _records(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a data frame with plain values; None for what is missing."""
    known = frame.astype(object).where(frame.notna(), None)
    return [{key: _plain(row[key]) for key in row} for row in known.to_dict("records")]


def _plain(value: Any) -> Any:
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    if hasattr(value, "tolist"):
        return value.tolist()
    return base64.b64encode(value).decode() if isinstance(value, bytes | bytearray) else value


def _cell(value: Any) -> Any:
    """Return a value as a table shows it."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = shown(value).replace("\n", "⏎")
    return f"{text[: _CELL_WIDTH - 1]}…" if is_terminal() and len(text) > _CELL_WIDTH else text
