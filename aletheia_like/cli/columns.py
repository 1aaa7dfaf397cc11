"""`aletheia columns`: what was logged under which names, and which values there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

from aletheia_like.cli import completing
from aletheia_like.cli.naming import check_known, named, read_rows
from aletheia_like.cli.output import print_json, print_table, say, shown, store_options, to_json
from aletheia_like.connect import Metastore
from aletheia_like.metastore.rows import Rows


@click.command(short_help="List columns, or the distinct values of one.")
@click.argument("name", shell_complete=completing.runs_or_experiments)
@click.option("--unique", metavar="COLUMN", help="The values of this column, most frequent first.")
@store_options
def columns(
    name: str, *, unique: str | None, project: str | None, url: str | None, as_json: bool
) -> None:
    """List the columns of the rows of a run or an experiment: types, cells, distinct values.

    With --unique, the distinct values of one column and how many rows have each.

    Examples: aletheia columns sweep/1; aletheia columns sweep --unique optimizer
    """
    found = named(name, project)
    with Metastore(found.project, url=url, git="off") as ms:
        rows = read_rows(ms, found)
        if unique is None:
            told = [_described(rows, column) for column in rows.columns]
        else:
            check_known([unique], rows)
            told = values_of(rows[unique])
    if as_json:
        print_json(told)
    elif told and unique is not None:
        lines = [{**one, "value": shown(one["value"])} for one in told]
        print_table(lines, {"value": unique, "rows": "rows"})
    elif told:
        print_table(
            told, {"column": "column", "type": "type", "cells": "cells", "distinct": "distinct"}
        )
    else:
        say("no rows yet")


def values_of(cells: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the distinct values among cells, most frequent first, with how many have each.

    Examples:
        >>> values_of(["adam", None, "sgd", "adam"])
        [{'value': 'adam', 'rows': 2}, {'value': 'sgd', 'rows': 1}]
    """
    first: dict[str, Any] = {}
    count: dict[str, int] = {}
    for cell in _present(cells):
        # By type, too: 1, 1.0 and True are not the same to whoever logged them.
        key = f"{type(cell).__name__} {to_json(cell)}"
        first.setdefault(key, cell)
        count[key] = count.get(key, 0) + 1
    most = sorted(first, key=lambda key: -count[key])
    return [{"value": first[key], "rows": count[key]} for key in most]


def _described(rows: Rows, column: str) -> dict[str, Any]:
    cells = _present(rows[column])
    return {
        "column": column,
        "type": ", ".join(sorted({type(cell).__name__ for cell in cells})),
        "cells": len(cells),
        "distinct": len(values_of(cells)),
    }


def _present(cells: Iterable[Any]) -> Sequence[Any]:
    return [cell for cell in cells if cell is not None]
