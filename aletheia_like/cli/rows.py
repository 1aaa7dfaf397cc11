"""`aletheia head`, `tail`, `latest` and `stats`: what was logged."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from aletheia_like.cli import completing
from aletheia_like.cli.fitting import is_terminal, print_fitting, printable
from aletheia_like.cli.naming import (
    check_known,
    named,
    named_run,
    read_rows,
    split_columns,
)
from aletheia_like.cli.output import (
    print_fields,
    print_json,
    print_markdown,
    print_table,
    say,
    shown,
    store_options,
    to_json,
)
from aletheia_like.connect import Metastore
from aletheia_like.metastore.assets import File, LogFile
from aletheia_like.metastore.rowfiles import csv_cell
from aletheia_like.metastore.rows import Rows
from aletheia_like.model.quantities import shown_bytes
from aletheia_like.model.rows import RUN_ID, STEP, TIMESTAMP

_EXPERIMENT = "experiment"
_CELL_WIDTH = 32
_BY_OPTION = "choose with -c"
_IMPORTANT = ("column", "count", "mean", "min", "max", "last", "std", "50%", "25%", "75%")


_columns_option = click.option(
    "-c", "--columns", "chosen", multiple=True, help="Only these, with commas between."
)


def _rows_options(command: Any) -> Any:
    options = (
        click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values."),
        click.option("-c", "--columns", multiple=True, help="Only these, with commas between."),
        click.option(
            "-n",
            "--n",
            "count",
            type=click.IntRange(min=0),
            default=5,
            show_default=True,
            help="Rows.",
        ),
    )
    for option in options:
        command = option(command)
    return command


@click.command()
@click.argument("name", shell_complete=completing.runs_or_experiments)
@_rows_options
@store_options
def head(name: str, **options: Any) -> None:
    """Show the first rows of a run, or of an experiment.

    Examples: aletheia head sweep/1; aletheia head -n 20 -c step,loss sweep
    """
    _show_some(name, last=False, **options)


@click.command()
@click.argument("name", shell_complete=completing.runs_or_experiments)
@_rows_options
@store_options
def tail(name: str, **options: Any) -> None:
    """Show the last rows of a run, or of an experiment.

    Example: aletheia tail -n 1 --json sweep/1
    """
    _show_some(name, last=True, **options)


@click.command()
@click.argument("run", shell_complete=completing.runs)
@click.argument("columns", nargs=-1)
@_columns_option
@click.option("--index", multiple=True, help="The last values for each value of this column.")
@click.option("--no-merge", is_flag=True, help="Do not merge dictionaries of several rows.")
@store_options
def latest(
    run: str,
    columns: tuple[str, ...],
    *,
    chosen: tuple[str, ...],
    index: tuple[str, ...],
    no_merge: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show the last value of columns.

    Of one column that is the bare value, for scripts.

    Examples: aletheia latest sweep/1; aletheia latest sweep/1 loss --index step
    """
    name, _ = named_run(run, project)
    columns = (*columns, *split_columns(chosen))
    with Metastore(name.project, url=url, git="off") as ms:
        rows = read_rows(ms, name)
        check_known([*columns, *index], rows)
        if index:
            frame = rows.latest(list(columns) or "*", list(index), deep_merge=not no_merge)
            known = frame.astype(object).where(frame.notna(), None).to_dict("records")
            _print_rows(known, list(frame.columns), as_json=as_json)
            return
        values = rows.latest(list(columns) or "*", deep_merge=not no_merge)
        values.pop(RUN_ID, None)
    if as_json:
        print_json(_plain(values))
    elif len(columns) == 1:
        value = values.get(columns[0])
        is_raw = isinstance(value, str) and not is_terminal()
        click.echo(value if is_raw else _cell(value))
    elif values:
        print_fields({key: _told(value) for key, value in values.items()})
    else:
        say("no rows yet")


@click.command()
@click.argument("name", shell_complete=completing.runs_or_experiments)
@click.argument("columns", nargs=-1)
@_columns_option
@click.option("--top", type=(int, str), metavar="N COLUMN", help="The rows with the greatest.")
@click.option("--bottom", type=(int, str), metavar="N COLUMN", help="The rows with the least.")
@store_options
def stats(
    name: str,
    columns: tuple[str, ...],
    *,
    chosen: tuple[str, ...],
    top: tuple[int, str] | None,
    bottom: tuple[int, str] | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Describe numeric columns, or show the rows that stand out.

    NaN is left out.

    Examples: aletheia stats sweep/1 loss; aletheia stats sweep --top 3 acc
    """
    found = named(name, project)
    columns = (*columns, *split_columns(chosen))
    with Metastore(found.project, url=url, git="off") as ms:
        rows = read_rows(ms, found)
        extreme = top or bottom
        check_known([*columns, *([extreme[1]] if extreme else [])], rows)
        if extreme is not None:
            some = _outstanding(rows, *extreme, greatest=top is not None)
            if not len(some) and not as_json:
                say(f"{printable(extreme[1])} holds no numbers")
                return
            _print_rows(list(some), list(columns) or _ordered(some, found.run), as_json=as_json)
            return
        described = [_described(rows, one) for one in columns or _numeric(rows)]
    if as_json:
        print_json({one.pop("column"): one for one in described})
    elif described:
        described = [{**one, "column": printable(one["column"])} for one in described]
        if is_terminal():
            described = [_rounded(one) for one in described]
        print_fitting(described, list(described[0]), "--json has them", _IMPORTANT)
    else:
        say("no numeric columns yet")


def _show_some(
    name: str,
    *,
    last: bool,
    count: int,
    columns: tuple[str, ...],
    as_csv: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    found = named(name, project)
    with Metastore(found.project, url=url, git="off") as ms:
        rows = read_rows(ms, found)
        wanted = split_columns(columns)
        check_known(wanted, rows)
        some = rows.tail(count) if last else rows.head(count)
        records = some.to_dicts()
    if as_csv:
        _print_csv(records, wanted or rows.columns)
    elif as_json:
        print_json(
            [_plain({key: row.get(key) for key in wanted} if wanted else row) for row in records]
        )
    elif not len(rows):
        say("no rows yet")
    else:
        if records:
            _print_rows(
                records,
                wanted or _ordered(some, found.run),
                fit=not wanted,
                advice=_BY_OPTION,
                markdown=True,
            )
        if len(records) < len(rows):
            say(f"{len(records):,} of {len(rows):,} rows")


def _ordered(rows: Rows, run: str | None) -> list[str]:
    """Return the columns as people look for them: whose row it is, its step, what was logged."""
    first = [RUN_ID, STEP] if run is None else [STEP]
    apart = {RUN_ID, STEP, TIMESTAMP, _EXPERIMENT}
    own = [name for name in rows.columns if name not in apart]
    return [name for name in (*first, *own, TIMESTAMP) if name in rows]


def _print_rows(
    records: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool = False,
    fit: bool = True,
    advice: str = "name those you want",
    markdown: bool = False,
) -> None:
    if as_json:
        print_json([_plain({key: row.get(key) for key in columns}) for row in records])
        return
    if markdown and not is_terminal():
        lines = [[_cell(row.get(key)) for key in columns] for row in records]
        print_markdown(lines, list(map(printable, columns)))
        return
    cells = [{key: _cell(row.get(key), cut=is_terminal()) for key in columns} for row in records]
    table = [
        {key: row.get(key) if _is_number(row.get(key)) else texts[key] for key in columns}
        for row, texts in zip(records, cells, strict=True)
    ]
    if fit:
        print_fitting(table, columns, advice)
    else:
        print_table(table, {key: printable(key) for key in columns})


def _print_csv(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([csv_cell(row.get(name)) for name in columns] for row in records)


def _cell(value: Any, *, cut: bool = False) -> str:
    """Return a cell's value on one line."""
    match value:
        case dt.datetime() if value.tzinfo is not None:
            text = value.astimezone().isoformat(" ", "milliseconds")[:23]
        case Mapping() | list():
            text = to_json(_plain(value))
        case _:
            text = printable(shown(_told(value)))
    return str(_cut(text)) if cut else text


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _CELL_WIDTH:
        return f"{value[: _CELL_WIDTH - 1]}…"
    return value


def _told(value: Any) -> Any:
    """Return a value with files and bytes as people speak of them."""
    match value:
        case LogFile():
            return f"{value.name} (still growing)"
        case File():
            return f"{value.name} ({shown_bytes(value.size)}, {(value.digest or '')[:12]})"
        case bytes():
            return shown_bytes(len(value))
        case bool():
            # As it is typed: `aletheia set checked=true`.
            return "true" if value else "false"
        case str():
            return "\n".join(map(printable, value.split("\n")))
        case list():
            return _cell(value)
        case Mapping():
            return {printable(str(key)): _told(inner) for key, inner in value.items()}
    return value


def _plain(value: Any) -> Any:
    """Return a value with files as JSON has them."""
    match value:
        case LogFile():
            return {"file": value.name, "live": str(value.path)}
        case File():
            return {"file": value.name, "sha256": value.digest, "size": value.size}
        case bytes():
            return {"base64": base64.b64encode(value).decode()}
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(rows: Rows, name: str) -> list[int | float]:
    return [value for value in rows[name] if _is_number(value)]


def _numeric(rows: Rows) -> list[str]:
    return [name for name in _ordered(rows, None) if _numbers(rows, name)]


def _described(rows: Rows, name: str) -> dict[str, Any]:
    """Return what pandas says of a column, and its last number."""
    import numpy as np
    import pandas as pd

    numbers = _numbers(rows, name)
    # Infinity has no spread: that is no fault to warn of.
    with np.errstate(invalid="ignore"):
        described = pd.Series([_float(number) for number in numbers], dtype="float64").describe()
    told = {str(key): float(value) for key, value in described.items()}
    return {
        "column": name,
        **{key: None if math.isnan(value) else value for key, value in told.items()},
        "count": int(told["count"]),
        "last": numbers[-1] if numbers else None,
    }


def _rounded(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a terminal has room for."""
    return {
        key: float(f"{value:.4g}") if isinstance(value, float) else _cut(value)
        for key, value in described.items()
    }


def _outstanding(rows: Rows, count: int, name: str, *, greatest: bool) -> Rows:
    """Return the rows with the greatest, or least, numbers in a column; of equals the first."""
    values = rows[name]
    known = [
        row for row, one in enumerate(values) if _is_number(one) and not math.isnan(_float(one))
    ]
    known.sort(key=lambda row: -values[row] if greatest else values[row])
    return rows.chosen(known[: max(0, count)])


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")
