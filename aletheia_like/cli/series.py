"""`aletheia series`: create, write, read, merge, move and tidy versioned series."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from aletheia_like.cli import completing, serieskeeping
from aletheia_like.cli.collection import gc
from aletheia_like.cli.naming import assigned, split_columns
from aletheia_like.cli.output import (
    counted,
    print_json,
    print_table,
    say,
    store_options,
)
from aletheia_like.cli.serieskeeping import CLOSED
from aletheia_like.cli.seriesnaming import named_series, one_name, there
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError
from aletheia_like.model.names import split_reference
from aletheia_like.model.values import is_missing
from aletheia_like.series.clock import ROOT
from aletheia_like.series.schema import Schema

_SHOWN = ("revision", "head", "at", "author", "rows", "parent")


@click.group("series")
def series() -> None:
    r"""Create, write, read, merge, move and tidy versioned series.

    A series is named COLLECTION/SERIES, a slash inside a name is written \/.
    """


@series.command()
@click.argument("collection")
@click.argument("columns", nargs=-1, required=True)
@click.option("--kv", is_flag=True, help="The index is a key: writes replace rows of equal keys.")
@store_options
def create(
    collection: str,
    columns: tuple[str, ...],
    *,
    kv: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Create a collection; each of COLUMNS is NAME=TYPE or "NAME TYPE".

    Example: aletheia series create temperature "timestamp timestamp*" "value float"
    """
    text = "\n".join(one.replace("=", " ", 1) for one in columns)
    with Metastore(project, url=url) as ms:
        made = ms.create_collection(Schema.from_text(text, "kv" if kv else "series"), collection)
        if as_json:
            print_json({"collection": made.label, "schema": made.schema.text.splitlines()})
        else:
            say(f"created {made.label}: {made.schema}")


@series.command("ls")
@click.argument("name", required=False, shell_complete=completing.collections)
@store_options
def ls(name: str | None, *, project: str | None, url: str | None, as_json: bool) -> None:
    """List the collections, or the series of one.

    Example: aletheia series ls temperature
    """
    with Metastore(project, url=url) as ms:
        found = ms.collections() if name is None else ms.collection(one_name(name)).ls()
    if as_json:
        print_json(found)
    elif found:
        click.echo("\n".join(found))


@series.command()
@click.argument("name", shell_complete=completing.collections)
@click.argument("source", type=click.File("r", encoding="utf-8-sig"), default="-")
@click.option("--start", help="Where the interval begins that is replaced; else the first row.")
@click.option("--stop", help="Where it ends; else the last row.")
@click.option("--closed", type=CLOSED, default="both", help="Which ends belong to it.")
@click.option("--update", is_flag=True, help="Replace the columns that are given, keep others.")
@store_options
def write(
    name: str,
    source: Any,
    *,
    start: str | None,
    stop: str | None,
    closed: str,
    update: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Write rows of CSV with a line of names, from a file or standard input.

    Example: aletheia series write temperature/Brussels < brussels.csv
    """
    if update and (start is not None or stop is not None or closed != "both"):
        message = "--update takes no --start, --stop and --closed: it changes the rows it names"
        raise InvalidValueError(message)
    data = _read_csv(source)
    with Metastore(project, url=url) as ms:
        found = named_series(ms, name)
        made = found.update(data) if update else found.write(data, start, stop, closed=closed)
    if as_json:
        print_json({"revision": None if made is None else made.id})
    elif made is None:
        say("nothing to do: these rows are there already")
    else:
        say(counted(made.rows, "row"))
        click.echo(made.id)


@series.command()
@click.argument("name", shell_complete=completing.collections)
@click.option("--start", help="First value of the index.")
@click.option("--stop", help="Last value of the index.")
@click.option("--closed", type=CLOSED, default="left", help="Which ends belong to the range.")
@click.option("--before", help="As it was before this revision or moment.")
@click.option("--limit", type=int, help="At most so many rows.")
@click.option("--offset", type=int, help="Leave out so many rows at the start.")
@click.option("--tail", type=int, help="The last rows.")
@click.option("--paginate", type=int, help="Read so many rows at a time.")
@click.option("-c", "--columns", "select", multiple=True, help="Only these, with commas between.")
@click.option("--by", "period", help="One row for each month, day, 15 minutes, ….")
@click.option("--agg", multiple=True, help="COLUMN=FUNCTION for --by; repeat it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@store_options
def read(
    name: str,
    *,
    start: str | None,
    stop: str | None,
    closed: str,
    before: str | None,
    limit: int | None,
    offset: int | None,
    tail: int | None,
    paginate: int | None,
    select: tuple[str, ...],
    period: str | None,
    agg: tuple[str, ...],
    as_csv: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Print the rows of a series.

    Example: aletheia series read temperature/Brussels --start 2020-01-01 --stop 2020-02-01
    """
    options: dict[str, Any] = {"start": start, "stop": stop, "closed": closed, "before": before}
    wanted: dict[str, Any] = {"select": list(dict.fromkeys(split_columns(select))) or None}
    counts = {"--limit": limit, "--offset": offset}
    _check_together("--csv", as_csv or None, {"--json": as_json or None})
    _check_together("--tail", tail, counts | {"--paginate": paginate, "--by": period})
    _check_together("--by", period, {"--paginate": paginate})
    if agg and period is None:
        message = "--agg says what --by is to show: give --by too, such as --by month"
        raise InvalidValueError(message)
    with Metastore(project, url=url) as ms:
        found = there(named_series(ms, name))
        if period is not None:
            table = found.aggregate(
                period, _functions(agg), **options, **wanted, limit=limit, offset=offset
            )
            _print_table(table, as_csv, as_json)
            return
        if tail is not None:
            frames = iter([found.tail(tail, **options, **wanted)])
        elif paginate is not None:
            frames = found.paginate(paginate, **options, **wanted, limit=limit, offset=offset)
        else:
            frames = iter([found.frame(**options, limit=limit, offset=offset, **wanted)])
        names = wanted["select"] or found.schema.names
        if as_json:
            print_json([row for frame in frames for row in frame.records()])
            return
        if not as_csv:
            rows = [row for frame in frames for row in frame.texts()]
            _print_rows(names, rows, as_csv=False)
            return
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        for frame in frames:
            writer.writerows(frame.texts())


@series.command()
@click.argument("name", shell_complete=completing.collections)
@store_options
def rev(name: str, *, project: str | None, url: str | None, as_json: bool) -> None:
    """List the revisions of a collection, or those that changed one series; `*` marks heads.

    Example: aletheia series rev temperature
    """
    parts = split_reference(name)
    with Metastore(project, url=url) as ms:
        collection = ms.collection(parts[0])
        changed = None
        if len(parts) > 1:
            changed = {one.id for one in named_series(ms, name).log()}
        logged = [one for one in collection.log() if changed is None or one.id in changed]
        rows = [
            {
                "parent": None if one.parent == ROOT else one.parent,
                "revision": one.id,
                "head": "*" if one.is_head else "",
                "at": one.revision.at,
                "author": one.revision.author,
                "rows": one.revision.rows,
            }
            for one in logged
        ]
    if as_json:
        print_json([{**row, "head": bool(row["head"])} for row in rows])
    else:
        print_table(rows, {word: word for word in _SHOWN})


def _read_csv(source: Any) -> dict[str, list[str | None]]:
    reader = csv.reader(source)
    try:
        return _columns_of(reader)
    except UnicodeDecodeError as error:
        message = f"the input is no text in UTF-8 ({error.reason}): convert it, with iconv say"
        raise InvalidValueError(message) from error
    except csv.Error as error:
        message = f"line {reader.line_num} is no CSV: {error}"
        raise InvalidValueError(message) from error


def _columns_of(reader: Any) -> dict[str, list[str | None]]:
    names = [name.strip() for name in next(reader, ())]
    if not names:
        message = "no line of names: the input must be CSV with one"
        raise InvalidValueError(message)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"the line of names has {', '.join(map(repr, twice))} twice"
        raise InvalidValueError(message)
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    for row in reader:
        if len(row) != len(columns):
            cells, wanted = counted(len(row), "cell"), counted(len(columns), "name")
            message = f"line {reader.line_num} has {cells}, the first line {wanted}"
            raise InvalidValueError(message)
        for column, cell in zip(columns.values(), row, strict=True):
            column.append(cell)
    return columns


def _check_together(option: str, given: object, others: Mapping[str, object]) -> None:
    wrong = [name for name, value in others.items() if value is not None]
    if given is not None and wrong:
        message = f"{option} and {wrong[0]} do not go together: give one of them"
        raise InvalidValueError(message)


def _functions(given: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in given:
        column, function = assigned(one)
        found.setdefault(column, []).append(str(function))
    return found


def _print_table(table: Any, as_csv: bool, as_json: bool) -> None:
    """Print what pandas made of periods."""
    cells = [[_plain(cell) for cell in row] for row in table.astype(object).values.tolist()]
    names = [str(name) for name in table.columns]
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in cells])
    else:
        texts = [
            ["" if str(cell) in ("None", "nan") else str(cell) for cell in row] for row in cells
        ]
        _print_rows(names, texts, as_csv)


def _plain(cell: Any) -> Any:
    if is_missing(cell):
        return None
    if hasattr(cell, "isoformat"):
        return cell.isoformat()
    return cell.item() if hasattr(cell, "item") else cell


def _print_rows(names: Sequence[str], rows: Sequence[Sequence[str]], as_csv: bool) -> None:
    named: list[Mapping[str, str]] = [dict(zip(names, row, strict=True)) for row in rows]
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    else:
        print_table(named, {name: name for name in names})


for _command in (
    serieskeeping.merge,
    serieskeeping.push,
    serieskeeping.pull,
    serieskeeping.trim,
    serieskeeping.defrag,
    gc,
    serieskeeping.delete,
    serieskeeping.rename,
):
    series.add_command(_command)
