"""`aletheia asset`: objects and files in rows."""

from __future__ import annotations

from typing import Any

import click

from aletheia_like.cli import completing
from aletheia_like.cli.asking import confirm, yes_option
from aletheia_like.cli.browse import open_without_project
from aletheia_like.cli.change import resolved_digest
from aletheia_like.cli.naming import named
from aletheia_like.cli.output import counted, print_json, print_table, say, store_options
from aletheia_like.connect import Metastore
from aletheia_like.model.quantities import shown_bytes

_DIGITS = 12
_COLUMNS = {
    "digest": "sha-256",
    "kind": "kind",
    "name": "name",
    "size": "size",
    "columns": "columns",
    "runs": "runs",
    "cells": "cells",
}


@click.group()
def asset() -> None:
    """List and delete objects and files of rows.

    `aletheia get` writes their bytes to a file.
    """


@asset.command("ls", short_help="List the objects and files that rows show.")
@click.argument("name", required=False, shell_complete=completing.runs_or_experiments)
@store_options
def list_(name: str | None, *, project: str | None, url: str | None, as_json: bool) -> None:
    """List the objects, files and tables that rows show, of a project, an experiment or a run.

    It reads all their rows.

    Examples: aletheia asset ls -p penguins; aletheia asset ls "penguins/which species/1"
    """
    found = None if name is None else named(name, project)
    with Metastore(found.project if found else project, url=url, git="off") as ms:
        if found is None:
            objects = ms.objects()
        else:
            experiment = ms.experiment(found.experiment)
            run = None if found.run is None else experiment.run(found.run).id
            objects = ms.objects(experiment.name, run)
    if as_json:
        print_json(objects)
    elif objects:
        rows = [{key: getattr(one, key) for key in _COLUMNS} for one in objects]
        print_table([_shown(row) for row in rows], _COLUMNS)
    else:
        say("no objects or files in rows")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "digest": row["digest"][:_DIGITS], "size": shown_bytes(row["size"])}


@asset.command()
@click.argument("hash_", metavar="HASH")
@click.option("--clear", is_flag=True, help="Set cells that hold this hash and no more to None.")
@click.option("--exclusive", is_flag=True, help="Nothing else uses the store: also what is new.")
@click.option("--dry-run", is_flag=True, help="Say whether it could be deleted.")
@yes_option
@store_options
def delete(
    hash_: str,
    *,
    clear: bool,
    exclusive: bool,
    dry_run: bool,
    yes: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Delete an object or a file for ever, if nothing in the store refers to it.

    It reads all documents of all projects of the store. HASH is its sha-256, or the first digits
    of it, 8 or more. What was stored in the last day needs --exclusive.

    Example: aletheia asset delete 9f86d081884c --clear
    """
    with open_without_project(project, url) as ms:
        digest = resolved_digest(ms.session, hash_)
        if not (dry_run or yes):
            ms.delete_object(digest, clear=clear, exclusive=exclusive, dry_run=True)
            confirm(f"Delete {digest[:_DIGITS]} for ever?", yes=yes)
        cleared = ms.delete_object(digest, clear=clear, exclusive=exclusive, dry_run=dry_run)
    if as_json:
        print_json({"digest": digest, "cleared": cleared, "dry_run": dry_run})
    else:
        would = "would delete" if dry_run else "deleted"
        say(f"{would} {digest[:_DIGITS]}, cleared in {counted(cleared, 'row')}")
