"""`aletheia doctor`: what is reachable, what is missing, and what to type."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import click

from aletheia_like.cli.output import print_json, print_table, store_options
from aletheia_like.errors import AletheiaError, SettingsError
from aletheia_like.model.quantities import shown_bytes
from aletheia_like.settings import Settings, load_settings

_MARKS = {"ok": "ok", "warn": "--", "fail": "!!"}
_UNAVAILABLE = 7


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    what: str
    status: Literal["ok", "warn", "fail"]
    found: str


@click.command(short_help="Examine this machine and the store.")
@store_options
def doctor(*, project: str | None, url: str | None, as_json: bool) -> None:
    """Examine this machine and the store.

    Exit code 7 if the store cannot be used.

    Example: aletheia doctor --url 'firestore://my-project/(default)?bucket=my-bucket'
    """
    findings = list(_examine(project, url))
    if as_json:
        print_json(findings)
    else:
        rows = [
            {"mark": _MARKS[one.status], "what": one.what, "found": one.found} for one in findings
        ]
        print_table(rows, {"mark": "", "what": "what", "found": "found"})
    if any(one.status == "fail" for one in findings):
        sys.exit(_UNAVAILABLE)


def _examine(project: str | None, url: str | None) -> Iterator[Finding]:
    from aletheia_like.version import __version__

    yield Finding("aletheia-like", "ok", f"{__version__} on Python {platform.python_version()}")
    yield _git()
    try:
        settings = load_settings(project=project or _any_project(), url=url)
    except SettingsError as error:
        yield Finding("settings", "fail", str(error))
        return
    yield Finding("store", "ok", f"{settings.url} ({settings.origin('url')})")
    yield from _stores(settings)
    yield _cache(settings)
    yield from _emulator_tools()


def _any_project() -> str:
    try:
        return load_settings().project
    except SettingsError as error:
        if "no project is named" in str(error):
            return "unnamed"
        raise


def _git() -> Finding:
    from aletheia_like.capture.git import GitFailedError, find_repository, read_git_state

    root = find_repository(Path.cwd())
    if shutil.which("git") is None:
        return Finding("git", "warn", "not installed: runs record no commit")
    if root is None:
        return Finding("git", "warn", "no repository here: git init makes one")
    try:
        state = read_git_state(root)
    except GitFailedError as error:
        return Finding("git", "warn", f"{root}: {error}")
    if state.dirty:
        return Finding("git", "warn", f"{root}: {_differing(state.changed)} from the commit")
    return Finding("git", "ok", f"{root} at {(state.commit or 'no commit yet')[:12]}, clean")


def _differing(count: int) -> str:
    return "1 file differs" if count == 1 else f"{count} files differ"


def _stores(settings: Settings) -> Iterator[Finding]:
    from aletheia_like.connect import open_session

    credentials = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if credentials and not Path(credentials).is_file():
        told = f"GOOGLE_APPLICATION_CREDENTIALS names {credentials}, which is no file"
        yield Finding("credentials", "fail", told)
    session = open_session(settings)
    try:
        yield _tried(
            "documents", lambda: f"project {_state(session.documents.get(session.project_path))}"
        )
        if session.blobs_url == "nowhere":
            told = "no bucket named: add ?bucket=NAME to the url, or set ALETHEIA_BLOBS=gs://NAME"
            yield Finding("blobs", "warn", told)
        else:
            yield _tried(
                "blobs", lambda: f"{session.blobs_url} {_reached(session.blobs.exists('0' * 64))}"
            )
    finally:
        session.documents.close()
        session.blobs.close()


def _state(document: object) -> str:
    return "not created yet" if document is None else "exists"


def _reached(found: object) -> str:
    return "reached" if found is not None else "silent"


def _tried(what: str, ask: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "ok", ask())
    except AletheiaError as error:
        return Finding(what, "fail", str(error))


def _cache(settings: Settings) -> Finding:
    folder = Path(settings.cache_dir)
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shown_bytes(shutil.disk_usage(there).free)
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        told = f"{there} cannot be written: {error.strerror}: set ALETHEIA_CACHE_DIR"
        return Finding("cache", "warn", told)
    return Finding("cache", "ok", f"{folder}, {free} free")


def _named(find: Callable[[], object]) -> str:
    return str(find())


def _emulator_tools() -> Iterator[Finding]:
    from aletheia_like.testing import emulators

    tools: tuple[tuple[str, Callable[[], object]], ...] = (
        ("java", emulators.find_java),
        ("firestore emulator", emulators.find_firestore_jar),
        ("fake-gcs-server", emulators.find_fake_gcs_server),
    )
    for what, find in tools:
        finding = _tried(what, partial(_named, find))
        # Only tests need them.
        yield Finding(what, "warn", finding.found) if finding.status == "fail" else finding
