"""`aletheia cache`: what is kept locally, whether it is right, and how much room it takes."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import sys
from collections.abc import Sequence
from typing import Any

import click

from aletheia_like.cache import CacheReport, Holding, LocalCache, PruneReport
from aletheia_like.cli import completing
from aletheia_like.cli.asking import confirm, yes_option
from aletheia_like.cli.output import counted, print_json, print_table, say, store_options
from aletheia_like.cli.results import forget, results
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError, NotFoundError, SettingsError
from aletheia_like.metastore.keptrows import FOLDER, KeptRows
from aletheia_like.metastore.progress import transfer_progress
from aletheia_like.model.bytecounts import parse_size
from aletheia_like.model.quantities import shown_bytes

_VERIFICATION_FAILED = 6
_BEGINNING = re.compile("[0-9a-f]{8,64}")
_DIGITS = 12


@click.group()
def cache() -> None:
    """List, verify, pin and prune local copies.

    Kept results of functions, too.
    """


cache.add_command(results)
cache.add_command(forget)


@cache.command("ls")
@click.option("--files", is_flag=True, help="List every file, also those of directories.")
@store_options
def list_(*, files: bool, project: str | None, url: str | None, as_json: bool) -> None:
    """List the local copies, the most recently used first.

    Example: aletheia cache ls --files
    """
    local = _opened(project, url).cache
    found = local.holdings()
    pinned = set(local.pinned())
    rows = [_row(one, pinned) for one in reversed(found) if _is_listed(one, found, files)]
    if as_json:
        print_json(rows)
        return
    if rows:
        shown = [{**row, "size": shown_bytes(row["size"])} for row in rows]
        columns = {"digest": "sha-256", "kind": "kind", "files": "files", "size": "size"}
        print_table(shown, {**columns, "used_at": "used", "pinned": "pinned"})
    kept = KeptRows(local.root / FOLDER)
    own = local.size() - kept.size()
    say(
        f"{counted(sum(row['files'] for row in rows), 'file')}, {shown_bytes(own)} in {local.root}"
    )
    if count := len(kept.files()):
        say(f"rows of {counted(count, 'ended run')} for SQL, {shown_bytes(kept.size())}")


def _is_listed(one: Holding, found: Sequence[Holding], files: bool) -> bool:
    """Whether something is shown: a blob is not, if a directory shows it."""
    if files or one.kind != "blob":
        return one.kind == ("blob" if files else "tree")
    inside = {inode for other in found if other.kind == "tree" for inode in other.files}
    return not inside.issuperset(one.files)


def _row(one: Holding, pinned: set[str]) -> dict[str, Any]:
    names: list[str] = []
    # Another process may make room meanwhile.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        names = sorted(path.name for path in one.path.iterdir()) if one.kind == "tree" else []
    is_named = one.kind == "tree" and len(one.files) == 1 and len(names) == 1
    return {
        "digest": one.digest,
        "kind": "directory" if one.kind == "tree" and not is_named else "file",
        "name": names[0] if is_named else None,
        "files": len(one.files),
        "size": one.size,
        "used_at": dt.datetime.fromtimestamp(one.used_at, dt.UTC),
        "pinned": one.digest in pinned,
        "path": one.path,
    }


@cache.command()
@click.option("--repair", is_flag=True, help="Set wrong files aside; they are fetched again.")
@store_options
def verify(*, repair: bool, project: str | None, url: str | None, as_json: bool) -> None:
    """Hash every local copy, and read what is kept for SQL; exit code 6 if one is wrong.

    Example: aletheia cache verify --repair
    """
    local = _opened(project, url).cache
    kept = KeptRows(local.root / FOLDER)
    with transfer_progress(
        "hashing", size=local.size() - kept.size(), files=len(local.holdings())
    ) as progress:
        found = local.verify(repair=repair, progress=progress)
    count = len(kept.files())
    report = CacheReport(found.checked + count, (*found.wrong, *kept.verify(repair=repair)))
    if as_json:
        print_json(report)
    else:
        for path in report.wrong:
            click.echo(path)
        done = " and set aside" if repair and report.wrong else ""
        say(f"{counted(report.checked, 'file')} hashed, {len(report.wrong)} wrong{done}")
    if report.wrong and not repair:
        sys.exit(_VERIFICATION_FAILED)


def _size(_: click.Context, option: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return parse_size(int(value) if value.isdecimal() else value)
    except InvalidValueError as error:
        raise click.BadParameter(str(error), param=option) from error


@cache.command()
@click.option("--max-size", metavar="SIZE", callback=_size, help="Leave no more, such as 50GB.")
@click.option("--min-free", metavar="SIZE", callback=_size, help="Free so much on the disk.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@yes_option
@store_options
def prune(
    *,
    max_size: int | None,
    min_free: int | None,
    dry_run: bool,
    yes: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Remove the least recently used, but nothing that is pinned or in use.

    Without sizes the settings `cache_max_bytes` and `cache_min_free_bytes` count.

    Example: aletheia cache prune --max-size 50GB
    """
    local = _opened(project, url).cache
    report = local.prune(max_size, min_free, dry_run=True)
    if not dry_run:
        if report.removed:
            confirm(f"Remove {_told(report)} from {local.root}?", yes=yes)
        report = local.prune(max_size, min_free)
    if as_json:
        removed = [_removed(one) for one in report.removed]
        told = {"removed": removed, "freed": report.freed, "size": report.size}
        print_json(told | {"missing": report.missing, "dry_run": dry_run})
        return
    say(f"{'would remove' if dry_run else 'removed'} {_told(report)}")
    say(f"{shown_bytes(report.size)} left in {local.root}")
    if report.missing:
        say(f"{shown_bytes(report.missing)} too much: what is left is pinned or in use")


def _told(report: PruneReport) -> str:
    words = {"tree": "directory or named file", "blob": "blob", "rows": "run's rows for SQL"}
    parts = []
    for kind, word in words.items():
        count = sum(one.kind == kind for one in report.removed)
        if count:
            parts.append(f"{count:,} x {word}")
    return f"{', '.join(parts) or 'nothing'}, {shown_bytes(report.freed)}"


def _removed(one: Holding) -> dict[str, Any]:
    used_at = dt.datetime.fromtimestamp(one.used_at, dt.UTC)
    return {"kind": one.kind, "digest": one.digest, "size": one.size, "used_at": used_at}


@cache.command()
@click.argument("what", nargs=-1, required=True, shell_complete=completing.datasets)
@store_options
def pin(*, what: tuple[str, ...], project: str | None, url: str | None, as_json: bool) -> None:
    """Never prune WHAT.

    WHAT is the name of a data set, or 8 digits or more of the sha-256 of a copy.

    Example: aletheia cache pin mnist@0
    """
    ms = _opened(project, url)
    digests = [digest for one in what for digest in _digests(ms, one)]
    for digest in digests:
        ms.cache.pin(digest)
    _tell(digests, "pinned", as_json=as_json)


@cache.command()
@click.argument("what", nargs=-1, required=True, shell_complete=completing.datasets)
@store_options
def unpin(*, what: tuple[str, ...], project: str | None, url: str | None, as_json: bool) -> None:
    """Let WHAT be pruned again.

    Example: aletheia cache unpin mnist@0
    """
    ms = _opened(project, url)
    digests = [digest for one in what for digest in _digests(ms, one) if ms.cache.unpin(digest)]
    _tell(digests, "unpinned", as_json=as_json)


def _tell(digests: Sequence[str], done: str, *, as_json: bool) -> None:
    if as_json:
        print_json({done: digests})
        return
    for digest in digests:
        click.echo(digest)
    if not digests:
        say(f"nothing {done}")


def _digests(ms: Metastore, what: str) -> list[str]:
    """Return what a person names: digests that are here or pinned, or those of a data set."""
    if _BEGINNING.fullmatch(what):
        local: LocalCache = ms.cache
        known = {one.digest for one in local.holdings() if one.kind != "rows"}
        found = sorted(one for one in known | set(local.pinned()) if one.startswith(what))
        if len(found) > 1:
            shown = ", ".join(one[:_DIGITS] for one in found)
            message = f"{what} is the beginning of {len(found)} digests: {shown}; give more digits"
            raise InvalidValueError(message)
        if found:
            return found
    name, _, version = what.rpartition("@") if "@" in what else (what, "", "")
    try:
        record = ms.get_dataset(name, int(version) if version.isdecimal() else None).record
    except NotFoundError as error:
        message = f"{what!r} is neither in the cache nor a data set: {error}"
        raise NotFoundError(message) from error
    return [one for one in (record.digest, record.manifest) if one is not None]


def _opened(project: str | None, url: str | None) -> Metastore:
    """Return the metastore of the settings; copies do not belong to a project."""
    try:
        return Metastore(project, url=url)
    except SettingsError:
        return Metastore("unnamed", url=url)
