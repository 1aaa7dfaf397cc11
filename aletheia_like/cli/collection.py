"""`aletheia gc`: what nobody wants any more goes for ever."""

from __future__ import annotations

import datetime as dt
import re

import click

from aletheia_like.cli.browse import open_without_project
from aletheia_like.cli.output import counted, print_json, say, store_options
from aletheia_like.collect.collecting import Collected
from aletheia_like.errors import InvalidValueError
from aletheia_like.model.quantities import shown_bytes

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


@click.command()
@click.option("--grace", default="7d", show_default=True, help="Blobs as young as this stay.")
@click.option("--keep", default="30d", show_default=True, help="So long one can restore.")
@click.option("--exclusive", is_flag=True, help="Nothing else uses store or bucket.")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted: the default.")
@click.option("-y", "--yes", is_flag=True, help="Delete it.")
@store_options
def gc(
    *,
    grace: str,
    keep: str,
    exclusive: bool,
    dry_run: bool,
    yes: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Delete for ever what was deleted long ago, and unused blobs.

    A blob is unused if nothing refers to it.

    It reads all documents of all projects of the store, and deletes nothing without --yes. Runs
    may go on meanwhile. Times are such as 12h, 7d or 2w.

    Examples: aletheia gc; aletheia gc --yes --keep 90d
    """
    times = {"grace": _seconds(grace), "keep": _seconds(keep)}
    with open_without_project(project, url) as ms:
        done = ms.gc(dry_run=dry_run or not yes, exclusive=exclusive, **times)
    if as_json:
        print_json(done.to_dict())
    else:
        _tell(done)


def _seconds(text: str) -> dt.timedelta:
    match = _TIME.fullmatch(text.strip())
    if match is None:
        message = f"{text!r} is no time: write 90s, 30m, 12h, 7d or 2w"
        raise InvalidValueError(message)
    return dt.timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def _tell(done: Collected) -> None:
    would = "would be " if done.dry_run else ""
    read = f"{done.documents:,} documents of {counted(done.projects, 'project')} read"
    say(f"{read}; {counted(done.blobs, 'blob')}, {shown_bytes(done.size)} in the store")
    for kind, count in sorted(done.purged.items()):
        say(f"{counted(count, kind)} {would}deleted for ever")
    if done.deleted_kept:
        say(f"{done.deleted_kept:,} deleted, and can be restored yet")
    click.echo(f"{counted(done.swept, 'blob')}, {shown_bytes(done.swept_size)} {would}deleted")
    if done.young:
        young = f"{counted(done.young, 'blob')}, {shown_bytes(done.young_size)}"
        say(f"{young} that nothing refers to, too young yet")
    if done.renewed or done.postponed:
        say(f"{done.renewed:,} wanted again meanwhile, {done.postponed:,} left for the next time")
    for digest in done.broken:
        say(f"a list of files or a long value is missing or damaged: {digest}")
    if done.strangers:
        many = f"{counted(done.strangers, 'blob')}, {shown_bytes(done.strangers_size)}"
        say(f"{many} left alone: this store never knew them, so another may keep its bytes there")
        say("--exclusive takes them, too, if nothing else does")
    if done.stopped:
        say(f"no blob was deleted: {done.stopped}")
    elif done.dry_run and (done.swept or done.purged):
        say("nothing was deleted: give --yes")
