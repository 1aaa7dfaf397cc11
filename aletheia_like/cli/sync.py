"""`aletheia sync`: send what runs left on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from aletheia_like.cli.browse import configured_project
from aletheia_like.cli.output import print_json, say, store_options
from aletheia_like.settings import load_settings
from aletheia_like.sync import Synced
from aletheia_like.sync import sync as send


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and write nothing.")
@store_options
def sync(*, dry_run: bool, project: str | None, url: str | None, as_json: bool) -> None:
    """Send what runs left on this machine because they were killed or the store was away.

    Repeating it sends nothing twice. Runs that are still alive are left alone.

    Example: aletheia sync --dry-run
    """
    home = load_settings(project=project or configured_project() or "any").home
    done = []
    for one in send(Path(home), project=project, url=url, dry_run=dry_run):
        done.append(one)
        if not as_json:
            say(_line(one, dry_run=dry_run))
    if as_json:
        print_json(done)
    elif not done:
        say("nothing to send: no run left anything on this machine")
    _raise_first(done)


def _line(one: Synced, *, dry_run: bool) -> str:
    if one.error is not None:
        return f"{one.run}: not sent: {one.error}"
    torn = f", {one.torn} damaged lines left out" if one.torn else ""
    verb = "would send" if dry_run else "sent"
    return f"{one.run}: {verb} {one.rows or 0:,} rows, {one.known:,} were there{torn}"


def _raise_first(done: Sequence[Synced]) -> None:
    """Let the exit code tell that something was not sent."""
    error = next((one.error for one in done if one.error is not None), None)
    if error is not None:
        raise error
