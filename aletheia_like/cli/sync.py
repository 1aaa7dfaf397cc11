"""`aletheia sync`: sends what runs left on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from aletheia_like.cli.output import print_json, say, store_options
from aletheia_like.errors import UnavailableError
from aletheia_like.model.names import from_id
from aletheia_like.settings import load_settings
from aletheia_like.sync import Synced
from aletheia_like.sync import sync as send

_FAILURE = 1
_UNAVAILABLE = 7


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be sent.")
@store_options
def sync(*, dry_run: bool, project: str | None, url: str | None, as_json: bool) -> None:
    """Send what runs left in their journals: they were killed, or the store was away.

    Journals of runs that are still going on stay. Repeating it sends nothing twice. Exit code 7 if
    a store is away, and what it lacks stays here; 1 if a journal cannot be sent.

    Example: aletheia sync --dry-run
    """
    settings = load_settings(project=project or "unnamed", url=url)
    chosen = None if url is None else settings.url
    found = []
    for one in send(Path(settings.home), project=project, url=chosen, dry_run=dry_run):
        found.append(one)
        if not as_json:
            click.echo(_line(one, dry_run=dry_run))
    if as_json:
        print_json([_row(one) for one in found])
    elif not found:
        say("nothing to send")
    else:
        say(_total(found, dry_run=dry_run))
    _exit(found)


def _line(one: Synced, *, dry_run: bool) -> str:
    name = _name(one)
    if one.error is not None:
        return f"kept   {name}: {one.error}"
    rows = one.rows or 0
    notes = [f"{rows:,} row{'' if rows == 1 else 's'}"]
    notes += [f"{one.known:,} there already"] if one.known else []
    notes += [f"{one.torn:,} torn line{'' if one.torn == 1 else 's'} left out"] if one.torn else []
    return f"{'would' if dry_run else 'sent '}  {name}: {', '.join(notes)}"


def _name(one: Synced) -> str:
    parts = [from_id(part).replace("/", "\\/") for part in one.run.split("/")[1::2]]
    return "/".join(parts)


def _total(found: Iterable[Synced], *, dry_run: bool) -> str:
    sent = [one for one in found if one.error is None]
    kept = [one for one in found if one.error is not None]
    rows = sum(one.rows or 0 for one in sent)
    told = f"{rows:,} rows of {len(sent)} journals {'would be ' if dry_run else ''}sent"
    return f"{told}, {len(kept)} journals stay: they are safe here, try again" if kept else told


def _row(one: Synced) -> dict[str, object]:
    return {
        "journal": one.journal,
        "project": one.project,
        "url": one.url,
        "run": _name(one),
        "rows": one.rows,
        "known": one.known,
        "torn": one.torn,
        "error": None if one.error is None else str(one.error),
    }


def _exit(found: Iterable[Synced]) -> None:
    errors = [one.error for one in found if one.error is not None]
    if any(isinstance(error, UnavailableError) for error in errors):
        sys.exit(_UNAVAILABLE)
    if errors:
        sys.exit(_FAILURE)
