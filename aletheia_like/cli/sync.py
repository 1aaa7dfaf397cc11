"""`aletheia sync`: sends what runs left on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from aletheia_like.cli.output import counted, print_json, say, store_options
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
    """Send what runs left on this machine.

    They were killed, or the store was away. Journals of runs that are still going on stay.
    Repeating it sends nothing twice. Exit code 7 if a store is away, and what it lacks stays here;
    1 if a journal cannot be sent.

    Example: aletheia sync --dry-run
    """
    settings = load_settings(project=project or "unnamed", url=url)
    chosen = None if url is None else settings.url
    found: list[Synced] = []
    for one in send(Path(settings.home), project=project, url=chosen, dry_run=dry_run):
        if not as_json:
            click.echo(_line(one, found, dry_run=dry_run))
        found.append(one)
    if as_json:
        print_json([_row(one) for one in found])
    elif not found:
        say("nothing to send")
    else:
        say(_total(found, dry_run=dry_run))
    _exit(found)


def _line(one: Synced, earlier: Iterable[Synced], *, dry_run: bool) -> str:
    name = _name(one)
    if one.error is not None:
        is_known = _is_away(one) and any(_is_away(it) and it.url == one.url for it in earlier)
        return f"kept   {name}: {'its store is away, as above' if is_known else one.error}"
    rows = one.rows or 0
    notes = [counted(rows, "row")]
    notes += [f"{one.known:,} there already"] if one.known else []
    notes += [f"{counted(one.torn, 'torn line')} left out"] if one.torn else []
    return f"{'would' if dry_run else 'sent '}  {name}: {', '.join(notes)}"


def _is_away(one: Synced) -> bool:
    return isinstance(one.error, UnavailableError)


def _name(one: Synced) -> str:
    parts = [from_id(part).replace("/", "\\/") for part in one.run.split("/")[1::2]]
    return "/".join(parts)


def _total(found: Iterable[Synced], *, dry_run: bool) -> str:
    sent = [one for one in found if one.error is None]
    kept = [one for one in found if one.error is not None]
    told = []
    if sent:
        rows = counted(sum(one.rows or 0 for one in sent), "row")
        would = "would be " if dry_run else ""
        told.append(f"{rows} of {counted(len(sent), 'journal')} {would}sent")
    if kept:
        told.append(f"{counted(len(kept), 'journal')} kept: safe here, try again later")
    return "; ".join(told)


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


def _exit(found: Sequence[Synced]) -> None:
    if any(map(_is_away, found)):
        sys.exit(_UNAVAILABLE)
    if any(one.error is not None for one in found):
        sys.exit(_FAILURE)
