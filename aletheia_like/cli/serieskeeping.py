"""`aletheia series`: what joins, moves, tidies, renames and deletes."""

from __future__ import annotations

from typing import Any

import click

from aletheia_like.cli import completing
from aletheia_like.cli.asking import confirm, yes_option
from aletheia_like.cli.output import counted, print_json, say, store_options
from aletheia_like.cli.seriesnaming import named_series, one_name, there
from aletheia_like.cli.transfer import address
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError
from aletheia_like.model.names import split_reference
from aletheia_like.model.quantities import shown_bytes

CLOSED = click.Choice(["left", "right", "both", "neither"])
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only tell what would be lost.")


@click.command()
@click.argument("collection", shell_complete=completing.collections)
@store_options
def merge(collection: str, *, project: str | None, url: str | None, as_json: bool) -> None:
    """Join what several writers did at the same time; where they overlap the later wins.

    Example: aletheia series merge temperature
    """
    with Metastore(project, url=url) as ms:
        made = ms.collection(one_name(collection)).merge()
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
            target = address(other)
            chosen = [one_name(one) for one in collections]
            if not chosen:
                chosen = _all_collections(ms, target, verb)
            action = ms.push if verb == "push" else ms.pull
            tally = action(target, collections=chosen, shallow=shallow)
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
    return click.command(verb)(move)


push = _moving("push")
pull = _moving("pull")


@click.command()
@click.argument("collection", shell_complete=completing.collections)
@click.option("--before", help="The first revision or moment to keep; else only heads are kept.")
@yes_option
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
        found = ms.collection(one_name(collection))
        count = found.trimmable(before)
        if not dry_run and count:
            confirm(f"Forget {counted(count, 'revision')} of {found.label} for ever?", yes=yes)
            count = found.trim(before)
    if as_json:
        print_json({"forgotten": count, "dry_run": dry_run})
    else:
        say(f"{'would forget' if dry_run else 'forgot'} {counted(count, 'revision')}")


@click.command()
@click.argument("collection", shell_complete=completing.collections)
@store_options
def defrag(collection: str, *, project: str | None, url: str | None, as_json: bool) -> None:
    """Put small segments together, so that reads are faster.

    Example: aletheia series defrag temperature
    """
    with Metastore(project, url=url) as ms:
        count = ms.collection(one_name(collection)).defrag()
    if as_json:
        print_json({"rewritten": count})
    else:
        say(f"{count:,} series rewritten")


@click.command()
@click.argument("name", shell_complete=completing.collections)
@click.option("--start", help="First value of the index; else from the first row.")
@click.option("--stop", help="Last value of the index; else to the last row.")
@click.option("--closed", type=CLOSED, default="left", help="Which ends belong to the range.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted.")
@yes_option
@store_options
def delete(
    name: str,
    *,
    start: str | None,
    stop: str | None,
    closed: str,
    dry_run: bool,
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
            collection = ms.collection(one_name(name))
            made, done = None, f"deleted {name}"
            if not dry_run:
                confirm(f"Delete collection {collection.label} and its history for ever?", yes=yes)
                collection.delete()
        else:
            is_whole = start is None and stop is None
            series = there(named_series(ms, name))
            made = None if dry_run else series.delete(start, stop, closed=closed)
            done = f"deleted {name}" if is_whole else f"deleted rows of {name}"
            if made is None and not dry_run:
                done = f"nothing to do: {name} has no such rows"
    if as_json:
        print_json({"revision": None if made is None else made.id, "dry_run": dry_run})
    else:
        say(f"would have {done}" if dry_run else done)


@click.command()
@click.argument("name", shell_complete=completing.collections)
@click.argument("to")
@store_options
def rename(name: str, to: str, *, project: str | None, url: str | None, as_json: bool) -> None:
    """Give a collection or a series another name.

    Example: aletheia series rename temperature/Brussels Bruxelles
    """
    with Metastore(project, url=url) as ms:
        *parents, label = split_reference(name)
        *wanted, last = split_reference(to)
        if wanted not in ([], parents):
            message = (
                f"{to!r} is in another place than {name!r}: a rename stays in its collection, "
                "and a slash inside a name is written \\/"
            )
            raise InvalidValueError(message)
        if parents:
            named_series(ms, name).rename(last)
        else:
            ms.collection(label).rename(last)
    if as_json:
        print_json({"name": to})
    else:
        say(f"renamed {name} to {to}")


def _all_collections(ms: Metastore, there: str, verb: str) -> list[str]:
    if verb == "push":
        return ms.collections()
    with Metastore(ms.project, url=there) as other:
        return other.collections()
