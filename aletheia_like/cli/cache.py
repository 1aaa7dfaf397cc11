"""`aletheia cache`: what is kept locally, and whether it is right."""

from __future__ import annotations

import datetime as dt
import sys

import click

from aletheia_like.cache import CacheReport, LocalCache
from aletheia_like.cli.output import (
    counted,
    print_json,
    print_table,
    say,
    shown_bytes,
    store_options,
)
from aletheia_like.connect import Metastore
from aletheia_like.metastore.keptrows import FOLDER, KeptRows

_VERIFICATION_FAILED = 6


@click.group()
def cache() -> None:
    """List and verify local copies."""


@cache.command("ls")
@store_options
def list_(*, project: str | None, url: str | None, as_json: bool) -> None:
    """List the local copies, the most recently used first."""
    local = Metastore(project or "unnamed", url=url).cache
    rows = [
        {
            "digest": blob.digest,
            "size": blob.size,
            "used_at": dt.datetime.fromtimestamp(blob.used_at, dt.UTC),
            "path": blob.path,
        }
        for blob in local.ls()
    ]
    if as_json:
        print_json(rows)
        return
    if rows:
        shown = [
            {**row, "size": shown_bytes(blob.size)}
            for row, blob in zip(rows, local.ls(), strict=False)
        ]
        print_table(shown, {"digest": "sha-256", "size": "size", "used_at": "used"})
    say(f"{counted(len(rows), 'file')}, {shown_bytes(local.size())} in {local.root}")
    kept = _kept_rows(local)
    if count := len(kept.files()):
        say(f"rows of {counted(count, 'ended run')} for SQL, {shown_bytes(kept.size())}")


def _kept_rows(local: LocalCache) -> KeptRows:
    return KeptRows(local.root / FOLDER)


@cache.command()
@click.option("--repair", is_flag=True, help="Set wrong files aside; they are fetched again.")
@store_options
def verify(*, repair: bool, project: str | None, url: str | None, as_json: bool) -> None:
    """Hash every local copy, and read what is kept for SQL; exit code 6 if one is wrong."""
    local = Metastore(project or "unnamed", url=url).cache
    kept = _kept_rows(local)
    found, count = local.verify(repair=repair), len(kept.files())
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
