"""`aletheia series`: create, write, read, merge, move and tidy versioned series."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from aletheia_like.cli.asking import confirm
from aletheia_like.cli.naming import assigned, split_columns
from aletheia_like.cli.output import (
    counted,
    print_json,
    print_table,
    say,
    shown_bytes,
    store_options,
)
from aletheia_like.cli.transfer import address
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.model.names import split_reference
from aletheia_like.series.schema import Schema

if TYPE_CHECKING:
    from aletheia_like.series.series import Series

_CLOSED = click.Choice(["left", "right", "both", "neither"])
_SHOWN = ("revision", "head", "at", "author", "rows", "parent")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only tell what would be lost.")


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
@click.argument("name", required=False)
@store_options
def ls(name: str | None, *, project: str | None, url: str | None, as_json: bool) -> None:
    """List the collections, or the series of one.

    Example: aletheia series ls temperature
    """
    with Metastore(project, url=url) as ms:
        found = ms.collections() if name is None else ms.collection(_one(name)).ls()
    if as_json:
        print_json(found)
    elif found:
        click.echo("\n".join(found))


@series.command()
@click.argument("name")
@click.argument("source", type=click.File("r", encoding="utf-8"), default="-")
@click.option("--start", help="Where the interval begins that is replaced; else the first row.")
@click.option("--stop", help="Where it ends; else the last row.")
@click.option("--closed", type=_CLOSED, default="both", help="Which ends belong to it.")
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
    data = _read_csv(source)
    with Metastore(project, url=url) as ms:
        found = _series(ms, name)
        made = found.update(data) if update else found.write(data, start, stop, closed=closed)
    if as_json:
        print_json({"revision": None if made is None else made.id})
    elif made is None:
        say("nothing to do: these rows are there already")
    else:
        say(counted(made.rows, "row"))
        click.echo(made.id)


@series.command()
@click.argument("name")
@click.option("--start", help="First value of the index.")
@click.option("--stop", help="Last value of the index.")
@click.option("--closed", type=_CLOSED, default="left", help="Which ends belong to the range.")
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
    wanted: dict[str, Any] = {"select": split_columns(select) or None}
    with Metastore(project, url=url) as ms:
        found = _series(ms, name)
        if not found:
            _refuse_missing(found)
        if period is not None:
            table = found.aggregate(period, _functions(agg), **options)
            _print_rows(table.columns, table.astype(str).values.tolist(), as_csv, as_json)
            return
        if tail is not None:
            frames = iter([found.tail(tail, **options, **wanted)])
        elif paginate is not None:
            frames = found.paginate(paginate, **options, **wanted)
        else:
            frames = iter([found.frame(**options, limit=limit, offset=offset, **wanted)])
        names = wanted["select"] or found.schema.names
        if not as_csv:
            rows = [row for frame in frames for row in frame.texts()]
            _print_rows(names, rows, as_csv, as_json)
            return
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        for frame in frames:
            writer.writerows(frame.texts())


@series.command()
@click.argument("name")
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
            changed = {one.id for one in _series(ms, name).log()}
        logged = [one for one in collection.log() if changed is None or one.id in changed]
        rows = [
            {
                "parent": one.parent,
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
        print_table(
            rows, {word: word for word in ("revision", "head", "at", "author", "rows", "parent")}
        )


@series.command()
@click.argument("collection")
@store_options
def merge(collection: str, *, project: str | None, url: str | None, as_json: bool) -> None:
    """Join what several writers did at the same time; where they overlap the later wins.

    Example: aletheia series merge temperature
    """
    with Metastore(project, url=url) as ms:
        made = ms.collection(_one(collection)).merge()
    if as_json:
        print_json([{"parent": one.parent, "revision": one.id} for one in made])
    elif made:
        say(f"joined {counted(len(made), 'head')}")
        click.echo(made[0].id)
    else:
        say("nothing to do: there is one head only")


def _moving(verb: str) -> Any:
    """Return the command that pushes or pulls collections."""

    @click.argument("other")
    @click.argument("collections", nargs=-1)
    @click.option("--shallow", is_flag=True, help="What is shown, without the history.")
    @store_options
    def move(
        other: str,
        *,
        collections: tuple[str, ...],
        shallow: bool,
        project: str | None,
        url: str | None,
        as_json: bool,
    ) -> None:
        with Metastore(project, url=url) as ms:
            there = address(other)
            chosen = [_one(one) for one in collections]
            if not chosen:
                chosen = _all_collections(ms, there, verb)
            action = ms.push if verb == "push" else ms.pull
            tally = action(there, collections=chosen, shallow=shallow)
        if as_json:
            print_json(tally)
        else:
            blobs = f"{counted(tally.blobs, 'blob')} ({shown_bytes(tally.bytes)})"
            click.echo(f"{counted(tally.revisions, 'revision')}, {blobs}")

    to = "into" if verb == "push" else "from"
    move.__doc__ = f"""Copy collections {to} another store, all by default: what is missing.

    OTHER is the address of a store, or its folder.

    Example: aletheia series {verb} /mnt/stick/metastore temperature
    """
    return series.command(verb)(move)


push = _moving("push")
pull = _moving("pull")


@series.command()
@click.argument("collection")
@click.option("--before", help="The first revision or moment to keep; else only heads are kept.")
@_YES
@_DRY_RUN
@store_options
def trim(
    collection: str,
    *,
    before: str | None,
    yes: bool,
    dry_run: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Forget old revisions; what is shown stays.

    Example: aletheia series trim temperature --before 2026-01-01 --yes
    """
    with Metastore(project, url=url) as ms:
        found = ms.collection(_one(collection))
        count = found.trimmable(before)
        if not dry_run and count:
            confirm(f"Forget {counted(count, 'revision')} of {found.label} for ever?", yes=yes)
            count = found.trim(before)
    if as_json:
        print_json({"forgotten": count, "dry_run": dry_run})
    else:
        say(f"{'would forget' if dry_run else 'forgot'} {counted(count, 'revision')}")


@series.command()
@click.argument("collection")
@store_options
def defrag(collection: str, *, project: str | None, url: str | None, as_json: bool) -> None:
    """Put small segments together, so that reads are faster.

    Example: aletheia series defrag temperature
    """
    with Metastore(project, url=url) as ms:
        count = ms.collection(_one(collection)).defrag()
    if as_json:
        print_json({"rewritten": count})
    else:
        say(f"{count:,} series rewritten")


@series.command()
@click.option("--grace", type=float, default=3600.0, help="Seconds between mark and deletion.")
@_DRY_RUN
@store_options
def gc(
    *, grace: float, dry_run: bool, project: str | None, url: str | None, as_json: bool
) -> None:
    """Delete bytes that no revision mentions any more: marked now, gone after the grace time.

    Example: aletheia series gc
    """
    with Metastore(project, url=url) as ms:
        done = ms.gc(grace=grace, dry_run=dry_run)
    if as_json:
        print_json(done)
    else:
        would = "would be " if dry_run else ""
        click.echo(
            f"{counted(done.deleted, 'blob')} {would}deleted ({shown_bytes(done.bytes)}), "
            f"{done.marked:,} {would}marked"
        )


@series.command()
@click.argument("name")
@click.option("--start", help="First value of the index; else from the first row.")
@click.option("--stop", help="Last value of the index; else to the last row.")
@click.option("--closed", type=_CLOSED, default="left", help="Which ends belong to the range.")
@_YES
@store_options
def delete(
    name: str,
    *,
    start: str | None,
    stop: str | None,
    closed: str,
    yes: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Delete a collection with its history, a series, or a range of its rows.

    A deleted series is still in the history of its collection.

    Example: aletheia series delete temperature/Brussels --stop 2020-01-01
    """
    with Metastore(project, url=url) as ms:
        if len(split_reference(name)) == 1:
            collection = ms.collection(_one(name))
            confirm(f"Delete collection {collection.label} and its history for ever?", yes=yes)
            collection.delete()
            made = None
        else:
            made = _series(ms, name).delete(start, stop, closed=closed)
    if as_json:
        print_json({"revision": None if made is None else made.id})
    else:
        say(f"deleted {name}")


@series.command()
@click.argument("name")
@click.argument("to")
@store_options
def rename(name: str, to: str, *, project: str | None, url: str | None, as_json: bool) -> None:
    """Give a collection or a series another name.

    Example: aletheia series rename temperature/Brussels Bruxelles
    """
    with Metastore(project, url=url) as ms:
        if len(split_reference(name)) == 1:
            ms.collection(_one(name)).rename(to)
        else:
            _series(ms, name).rename(to)
    if as_json:
        print_json({"name": to})
    else:
        say(f"renamed {name} to {to}")


def _one(name: str) -> str:
    parts = split_reference(name)
    if len(parts) != 1:
        message = f"{name!r} names no collection: a slash inside a name is written \\/"
        raise InvalidValueError(message)
    return parts[0]


def _series(ms: Metastore, name: str) -> Series:
    collection, *labels = split_reference(name)
    if len(labels) != 1:
        message = f"{name!r} names no series: COLLECTION/SERIES, a slash inside a name is \\/"
        raise InvalidValueError(message)
    return ms.collection(collection).series(labels[0])


def _refuse_missing(found: Series) -> None:
    known = ", ".join(found.collection.ls()[:10]) or "none"
    message = f"no series {found.label!r} in {found.collection.label!r}: there are {known}"
    raise NotFoundError(message)


def _read_csv(source: Any) -> dict[str, list[str | None]]:
    reader = csv.reader(source)
    names = next(reader, None)
    if not names:
        message = "no line of names: the input must be CSV with one"
        raise InvalidValueError(message)
    columns: dict[str, list[str | None]] = {name.strip(): [] for name in names}
    for number, row in enumerate(reader, 2):
        if len(row) != len(columns):
            message = f"line {number} has {len(row)} cells, there are {len(columns)} names"
            raise InvalidValueError(message)
        for column, cell in zip(columns.values(), row, strict=True):
            column.append(cell)
    return columns


def _functions(given: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in given:
        column, function = assigned(one)
        found.setdefault(column, []).append(str(function))
    return found


def _print_rows(
    names: Sequence[str], rows: Sequence[Sequence[str]], as_csv: bool, as_json: bool
) -> None:
    named: list[Mapping[str, str]] = [dict(zip(names, row, strict=True)) for row in rows]
    if as_json:
        print_json(named)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    else:
        print_table(named, {name: name for name in names})


def _all_collections(ms: Metastore, there: str, verb: str) -> list[str]:
    if verb == "push":
        return ms.collections()
    with Metastore(ms.project, url=there) as other:
        return other.collections()
