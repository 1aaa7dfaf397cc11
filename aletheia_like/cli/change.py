"""`aletheia set` and `get`: changing rows, taking bytes out."""

from __future__ import annotations

import re
import secrets
import shutil
import sys
from pathlib import Path

import click

from aletheia_like.cli import completing
from aletheia_like.cli.asking import confirm
from aletheia_like.cli.browse import open_without_project
from aletheia_like.cli.naming import assigned, named_run
from aletheia_like.cli.output import counted, print_json, say, store_options
from aletheia_like.connect import Metastore
from aletheia_like.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
)
from aletheia_like.metastore.amending import amend, plan_amendment
from aletheia_like.metastore.progress import transfer_progress
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.digests import digest_stream
from aletheia_like.model.quantities import shown_bytes

_PREFIX = re.compile(r"[0-9a-f]{8,64}")
_DIGEST_LENGTH = 64
_SHOWN_MATCHES = 5


@click.command("set")
@click.argument("assignment", metavar="NAME=VALUE")
@click.argument("run", shell_complete=completing.runs)
@click.option("--where", multiple=True, metavar="NAME=VALUE", help="Only rows that have this.")
@click.option("--dry-run", is_flag=True, help="Say what would change.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before values are replaced.")
@store_options
def set_(
    assignment: str,
    run: str,
    *,
    where: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Set a column of rows that were logged already.

    Later rows are not changed, and the run is not reopened. A value is JSON if it can be, else
    text: 0.8 is a number, '"0.8"' is text.

    Example: aletheia set checked=true sweep/1 --where epoch=3
    """
    name, id_ = named_run(run, project)
    column, value = assigned(assignment)
    with Metastore(name.project, url=url, git="off") as ms:
        path = ms.experiment(name.experiment).run(id_).path
        plan = plan_amendment(ms.session, path, column, value, dict(map(assigned, where)))
        if plan.changed and not dry_run:
            if plan.replaced:
                lost = counted(plan.replaced, "row")
                confirm(f"A value of {column!r} is replaced in {lost}. Go on?", yes=yes)
            amend(ms.session, plan)
    if as_json:
        told = {"matched": plan.matched, "changed": plan.changed, "replaced": plan.replaced}
        print_json(told | {"dry_run": dry_run})
    else:
        would = "would be " if dry_run else ""
        say(f"{counted(plan.changed, 'row')} {would}changed, {plan.matched:,} matched")


@click.command()
@click.argument("hash_", metavar="HASH")
@click.argument("out", type=click.Path(path_type=Path, allow_dash=True))
@click.option("-y", "--yes", is_flag=True, help="Overwrite a file that is there.")
@store_options
def get(
    hash_: str,
    out: Path,
    *,
    yes: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Write the bytes of an object or a file to OUT.

    They are verified. OUT - is standard output. HASH is the sha-256 that a row, an artifact or
    `show` names, or its first digits, 8 or more.

    Example: aletheia get 9f86d081884c model.pt
    """
    to_stdout = str(out) == "-"
    if not to_stdout:
        _check_target(out, yes=yes)
    with open_without_project(project, url) as ms:
        digest = resolved_digest(ms.session, hash_)
        if to_stdout:
            with _source(ms.session, digest).open("rb") as stream:
                shutil.copyfileobj(stream, sys.stdout.buffer)
            return
        size = _write(ms.session, digest, out)
    if as_json:
        print_json({"digest": digest, "size": size, "path": out})
    else:
        say(f"{out}: {shown_bytes(size)}, sha-256 {digest}")


def _check_target(out: Path, *, yes: bool) -> None:
    if out.is_dir():
        message = f"{out} is a folder: name the file to write"
        raise InvalidValueError(message)
    if not out.parent.is_dir():
        message = f"there is no folder {out.parent}: make it first"
        raise NotFoundError(message)
    if out.exists() and not yes:
        message = f"{out} exists: give --yes to overwrite it, or another name"
        raise AlreadyExistsError(message)


def resolved_digest(session: Session, text: str) -> str:
    """Return the whole digest; the store's blobs are listed only for a part of one."""
    start = text.lower()
    if not _PREFIX.fullmatch(start):
        message = f"{text!r} is no sha-256: give 64 hexadecimal digits, or the first 8 or more"
        raise InvalidValueError(message)
    if len(start) == _DIGEST_LENGTH:
        return start
    waiting = (digest for digest, _ in session.spool.waiting())
    found = {one for one in (*waiting, *session.blobs.digests()) if one.startswith(start)}
    if not found:
        message = f"no blob whose sha-256 begins with {start} in {session.blobs_url}"
        raise NotFoundError(message)
    if len(found) > 1:
        some = ", ".join(sorted(found)[:_SHOWN_MATCHES])
        message = f"{len(found)} blobs begin with {start}, give more digits: {some}"
        raise InvalidValueError(message)
    return found.pop()


def _source(session: Session, digest: str) -> Path:
    """Return a local file with a blob's bytes: waiting to be sent, cached, or fetched."""
    waiting = dict(session.spool.waiting())
    if digest in waiting:
        return waiting[digest]
    cached = session.cache.path(digest)
    if cached is not None:
        return cached
    document = session.documents.get(paths.file(digest))
    size = int(document.fields.get("size", 0)) if document is not None else 0
    show = session.settings.progress
    with transfer_progress(f"fetching {digest[:12]}", size=size, files=1, show=show) as progress:
        return session.cache.fetch(digest, progress)


def _write(session: Session, digest: str, out: Path) -> int:
    """Copy a blob to its place by one rename, and return its size."""
    source = _source(session, digest)
    temporary = out.with_name(f".{secrets.token_hex(8)}.part")
    try:
        shutil.copyfile(source, temporary)
        with temporary.open("rb") as stream:
            if digest_stream(stream) != digest:
                message = f"{source} has not the bytes of {digest}: `aletheia cache verify` tells"
                raise IntegrityError(message)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return out.stat().st_size
