"""What every handle of one metastore shares: stores, cache, recorder, clock, and how to retry."""

from __future__ import annotations

import datetime as dt
import getpass
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from aletheia_like.cache import LocalCache
from aletheia_like.errors import AlreadyExistsError, ConflictError
from aletheia_like.metastore.ending import LiveRuns
from aletheia_like.metastore.recentrows import RecentRows
from aletheia_like.metastore.spool import Spool
from aletheia_like.metastore.telling import warn_once
from aletheia_like.model import paths
from aletheia_like.model.codec import to_fields
from aletheia_like.model.names import human_name
from aletheia_like.model.records import ProjectRecord
from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.blobs import BlobStore
from aletheia_like.ports.documents import Create, Document, DocumentStore, Write
from aletheia_like.ports.usage import Usage
from aletheia_like.recorder import Recorder
from aletheia_like.settings import Settings

T = TypeVar("T")

_ID_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_ID_LENGTH = 10
_CONFLICT_SECONDS = 60.0

RENEW_SECONDS = 6 * 3600.0
"""See `Session.renew_seconds`; a collection must leave blobs alone for much longer."""


def utc_now() -> dt.datetime:
    """Return the time by this machine's clock, in UTC."""
    return dt.datetime.now(dt.UTC)


@dataclass(slots=True, weakref_slot=True)
class Session:
    """The live parts behind the handles of one opened metastore.

    Attributes:
        opener: Opens an equal session, in another process.
        project: Name of the project document.
        documents: The document store, retried and counted.
        blobs: The blob store, retried and counted.
        blobs_url: Where blobs are, for the index of files.
        cache: Local copies of blobs.
        document_url: Where a person can look at the document of a path.
        description: Which store this is and why, for people.
        surroundings: Packages, lock files and GPUs of this process, once they are known.
        journal_folder: Where journals of this store lie.
        spool: Bytes that wait for the store.
        captures: Threads that are learning them, by the run that waits for them.
        recent_rows: Rows that were read a moment ago.
        known_files: When, by the monotonic clock, this process has seen a digest in the index.
        renew_seconds: An index document that did not change for so long is renewed before
            its blob is mentioned.
    """

    opener: Callable[[Settings], Session]
    project: str
    settings: Settings
    documents: DocumentStore
    blobs: BlobStore
    blobs_url: str
    cache: LocalCache
    usage: Usage
    recorder: Recorder
    document_url: Callable[[str], str]
    description: str
    journal_folder: Path
    spool: Spool
    clock: Callable[[], dt.datetime] = utc_now
    surroundings: dict[FieldPath, Value] | None = None
    captures: dict[str, threading.Thread] = field(default_factory=dict)
    live_runs: LiveRuns = field(default_factory=LiveRuns)
    recent_rows: RecentRows = field(default_factory=RecentRows)
    known_files: dict[str, float] = field(default_factory=dict)
    renew_seconds: float = RENEW_SECONDS
    project_exists: bool = False

    def __reduce__(self) -> tuple[Callable[[Settings], Session], tuple[Settings]]:
        """Travel to another process as settings; it opens the same stores there."""
        if self.settings.url.startswith("memory:"):
            message = "a metastore in memory cannot go to another process: use a file:/// store"
            raise TypeError(message)
        return self.opener, (self.settings,)

    @property
    def project_path(self) -> str:
        """Path of the project's document."""
        return paths.project(self.project)

    def warn_once(self, message: str) -> None:
        """Warn the user, but not twice of the same thing in one process."""
        warn_once(message)

    def patience(self, timeout: float) -> float:
        """Return for how many seconds to wait for the store: not at all if it is not asked."""
        return 0.0 if self.settings.offline else timeout

    def retry(self, action: Callable[[], T], *also: type[Exception]) -> T:
        """Return `action()`, done again from the start whenever somebody else was faster.

        Args:
            action: Reads, decides and applies; each time anew.
            also: Errors beside `ConflictError` that mean the same here.

        Raises:
            ConflictError: It still met others after a minute.
        """
        deadline = time.monotonic() + _CONFLICT_SECONDS
        pause = 0.002
        met: tuple[type[Exception], ...] = (ConflictError, *also)
        while True:
            try:
                return action()
            except met:
                if time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0, pause))  # noqa: S311 - spreads the contenders
                pause = min(pause * 2, 0.5)

    def project_fields(self) -> dict[str, Value]:
        """Return the fields of the project's document, as it would be created now."""
        return to_fields(ProjectRecord(self.project, self.clock(), author()))

    def project_writes(self, fields: Mapping[str, Value] | None = None) -> list[Write]:
        """Return the write that creates the project's document, or none if it exists."""
        if not self.project_exists:
            self.project_exists = self.documents.get(self.project_path) is not None
        if self.project_exists:
            return []
        return [Create(self.project_path, fields or self.project_fields())]

    def apply_in_project(self, write: Callable[[], Sequence[Write]]) -> None:
        """Apply writes below the project, creating its document with the first of them."""

        def attempt() -> None:
            self.documents.apply([*self.project_writes(), *write()])

        self.retry(attempt)

    def change(self, path: str, decide: Callable[[Document | None], Sequence[Write]]) -> None:
        """Read a document, decide on writes, apply them; again while others interfere."""

        def attempt() -> None:
            writes = decide(self.documents.get(path))
            if writes:
                self.documents.apply(writes)

        self.retry(attempt, AlreadyExistsError)


def new_id() -> str:
    """Return a random id: not monotonic, so that no index of a store becomes a hot spot."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


def new_token() -> str:
    """Return what tells one attempt to create a document from every other."""
    return secrets.token_hex(8)


def new_name() -> str:
    """Return a random two-word name."""
    return human_name(secrets.randbelow(1 << 30))


def author() -> str | None:
    """Return who is at work here: `ALETHEIA_AUTHOR`, else the user of the operating system."""
    named = os.environ.get("ALETHEIA_AUTHOR")
    if named:
        return named
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None
