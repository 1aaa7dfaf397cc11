"""Sends what runs left on this machine because they were killed or the store was away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from aletheia_like.connect import open_session
from aletheia_like.errors import AletheiaError
from aletheia_like.metastore.recovering import Left, abandoned, look, recover
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.starting import create_late
from aletheia_like.settings import load_settings


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of one journal.

    Attributes:
        journal: The file.
        project: The project its run belongs to.
        url: The store.
        run: Path of the run's document.
        rows: Rows that the store did not have; None if that could not be learned.
        known: Rows that it had already.
        torn: Lines that could not be read.
        error: Why it was not sent, and stays.
    """

    journal: Path
    project: str
    url: str
    run: str
    rows: int | None = None
    known: int = 0
    torn: int = 0
    error: AletheiaError | None = None


def sync(
    home: Path, *, project: str | None = None, url: str | None = None, dry_run: bool = False
) -> Iterator[Synced]:
    """Send every journal whose writer is gone, and remove it; those of live writers stay.

    Repeating it sends nothing twice, whenever it was interrupted.

    Args:
        home: Folder that the journals lie in, as the setting `home` names it.
        project: Only journals of this project.
        url: Only journals of this store.
        dry_run: Say what would be sent, and write nothing.

    Yields:
        What became of each, as it happens.
    """
    sessions: dict[tuple[str, str, str | None], Session] = {}
    try:
        for folder in sorted((home / "journal").glob("*")):
            for left in abandoned(folder):
                if _is_meant(left, project, url):
                    yield _one(left, sessions, dry_run=dry_run)
    finally:
        for session in sessions.values():
            session.documents.close()
            session.blobs.close()


def _is_meant(left: Left, project: str | None, url: str | None) -> bool:
    head = left.head
    return project in (None, head["project"]) and url in (None, head["url"])


def _one(
    left: Left, sessions: dict[tuple[str, str, str | None], Session], *, dry_run: bool
) -> Synced:
    head = left.head
    key = (head["project"], head["url"], head.get("blobs"))
    synced = Synced(left.paths[0], head["project"], head["url"], head["path"])
    try:
        if key not in sessions:
            sessions[key] = _open(*key, home=left.paths[0].parent.parent.parent)
        session = sessions[key]
        done = look(left, session) if dry_run else recover(left, session, create_late)
    except AletheiaError as error:
        return replace(synced, error=error)
    return replace(synced, rows=done.rows, known=done.known, torn=done.torn)


def _open(project: str, url: str, blobs: str | None, home: Path) -> Session:
    settings = load_settings(project=project, url=url, blobs=blobs, home=str(home), offline=False)
    return open_session(settings)
