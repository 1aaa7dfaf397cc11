"""`aletheia cache results` and `cache forget`: results of functions that are kept here."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from aletheia_like.cli.asking import confirm, yes_option
from aletheia_like.cli.browse import open_without_project
from aletheia_like.cli.output import counted, print_json, print_table, say, store_options
from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.resultcache import ResultCache
from aletheia_like.model.quantities import shown_bytes

_DIGITS = 12

_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="That was given as cache=; by default that of cache=True.",
)
_function = click.option("--function", help="Only results of the function of this name.")


@click.command()
@_folder
@_function
@store_options
def results(
    *,
    folder: Path | None,
    function: str | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List the results of functions that are kept here, with the runs that computed them.

    Example: aletheia cache results --function train
    """
    kept = _opened(folder, project, url)
    rows = _rows(kept, function)
    if as_json:
        print_json(rows)
        return
    if rows:
        shown = [
            {**row, "key": row["key"][:_DIGITS], "size": shown_bytes(row["size"])} for row in rows
        ]
        columns = {"key": "key", "function": "function", "size": "size", "run": "computed by"}
        print_table(shown, {**columns, "computed_at": "at"})
    size = shown_bytes(sum(row["size"] for row in rows))
    say(f"{counted(len(rows), 'result')}, {size} in {kept.folder}")


@click.command()
@click.argument("keys", metavar="KEY", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every result.")
@_folder
@_function
@click.option("--dry-run", is_flag=True, help="Say what would be deleted.")
@yes_option
@store_options
def forget(
    keys: tuple[str, ...],
    *,
    everything: bool,
    folder: Path | None,
    function: str | None,
    dry_run: bool,
    yes: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Delete results of functions that are kept here, so that they are computed anew.

    KEY is the key that `aletheia cache results` shows, or the first digits of it.

    Examples: aletheia cache forget 3f2a9c; aletheia cache forget --function train --yes
    """
    if not (keys or everything or function):
        message = "name the KEY of a result, or give --function or --all"
        raise InvalidValueError(message)
    kept = _opened(folder, project, url)
    chosen = _chosen(_rows(kept, function), keys)
    if chosen and not dry_run:
        confirm(f"Delete {counted(len(chosen), 'result')}?", yes=yes)
        for key in chosen:
            kept.delete(key)
    if as_json:
        print_json({"deleted": chosen, "dry_run": dry_run})
    else:
        would = "would delete" if dry_run else "deleted"
        say(f"{would} {counted(len(chosen), 'result')} of {kept.folder}")


def _opened(folder: Path | None, project: str | None, url: str | None) -> ResultCache:
    return open_without_project(project, url).cached_results(folder)


def _rows(kept: ResultCache, function: str | None) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            **dataclasses.asdict(lineage),
            "run": f"{lineage.project}/{lineage}",
            "size": kept.size(key),
        }
        for key, lineage in kept.lineages()
        if function in (None, lineage.function)
    ]


def _chosen(rows: list[dict[str, Any]], beginnings: tuple[str, ...]) -> list[str]:
    """Return the keys that begin so; all of them if no beginning is given.

    Raises:
        NotFoundError: None begins so.
    """
    known = [row["key"] for row in rows]
    for one in beginnings:
        if not any(key.startswith(one) for key in known):
            message = f"no result whose key begins with {one!r}: `aletheia cache results` lists"
            raise NotFoundError(message)
    return [key for key in known if not beginnings or key.startswith(beginnings)]
