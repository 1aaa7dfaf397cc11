"""Connections to one SQLite file, for many threads and processes, and across a fork.

A connection is lent for one action and never held between two calls, so at a fork this module can
take all of them back and close them: a child that inherits an open file of SQLite's believes in
locks it does not have.

Reading leaves no trace. SQLite would create two files beside the database only to read it; when
nobody else has it open the file is read as immutable instead, and the answer counts only if the
file has not changed meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

from aletheia_like.adapters._forking import watch_forks
from aletheia_like.errors import (
    AccessDeniedError,
    AletheiaError,
    IntegrityError,
    SettingsError,
    UnavailableError,
)

T = TypeVar("T")

Action = Callable[[sqlite3.Connection], T]

APPLICATION_ID: Final = 0x414C_4554
"""`ALET`: written into the header of the file, tells our databases from others."""

SCHEMA_VERSION: Final = 1

_SCHEMA: Final = """
    CREATE TABLE documents (
        collection TEXT NOT NULL,
        id TEXT NOT NULL,
        revision TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        fields TEXT NOT NULL,
        PRIMARY KEY (collection, id)
    )
"""
_MAX_IDLE: Final = 8
_FORK_SECONDS: Final = 30.0
_IMMUTABLE_TRIES: Final = 3
_QUIET_SECONDS: Final = 0.02
"""Clocks of file systems tick every few milliseconds: a change must be older to be seen by it."""

_DENIED: Final = (sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

Kind = Literal["rw", "ro"]


@dataclass(slots=True)
class _Lent:
    """What the threads of one process share."""

    pid: int = field(default_factory=os.getpid)
    gate: threading.Condition = field(default_factory=threading.Condition)
    writing: threading.Lock = field(default_factory=threading.Lock)
    idle: list[tuple[Kind, sqlite3.Connection, tuple[int, int]]] = field(default_factory=list)
    used: int = 0
    closings: int = 0
    forking: bool = False
    has_written: bool = False
    cut_off: bool = False


class Connections:
    """Lends connections to the database at `path`; opens none before it has to.

    Args:
        path: The file; its folder is created by the first write.
        timeout: Seconds to wait while another connection writes.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._lent = _Lent()
        self._watches_forks = False

    def read(self, action: Action[T], nothing: T) -> T:
        """Return what `action` reads, or `nothing` if there is no database; changes no file.

        Raises:
            AletheiaError: As `translate` says.
        """
        if not self._lent.has_written:
            for _ in range(_IMMUTABLE_TRIES):
                before = _resting_state(self._path)
                if before == "missing":
                    return nothing
                if before == "in use":
                    break
                answer = self._read_immutable(action, nothing, before)
                if answer is not None:
                    return answer[0]
        kind: Kind = "rw" if self._lent.has_written else "ro"
        with self._borrowed(kind) as connection:
            return action(connection) if connection is not None else nothing

    def write(self, action: Action[T]) -> T:
        """Return `action`'s outcome; all it does happens, or nothing if it raises.

        Raises:
            AletheiaError: What `action` raises, or as `translate` says.
        """
        if not self._lent.writing.acquire(timeout=self._timeout):
            raise _still_locked(self._path, self._timeout)
        try:
            with self._borrowed("rw") as connection:
                assert connection is not None  # noqa: S101 - for mypy: "rw" creates the database
                return _in_transaction(connection, action)
        finally:
            self._lent.writing.release()

    def close(self) -> None:
        """Close what is idle now, and what is lent when it comes back."""
        with self._lent.gate:
            self._lent.closings += 1
            self._lent.has_written = False
            _close_all(self._lent)

    def _read_immutable(
        self, action: Action[T], nothing: T, before: tuple[int, ...]
    ) -> tuple[T] | None:
        """Return the answer in a tuple, or None if the file changed while it was read."""
        with self._counted():
            connection = sqlite3.connect(
                f"{self._path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None
            )
            try:
                found = _check_schema(connection, self._path)
                answer = (action(connection) if found else nothing,)
            except (sqlite3.Error, AletheiaError) as error:
                if _resting_state(self._path) != before:
                    return None
                raise translate(error, self._path, self._timeout) from error
            finally:
                connection.close()
        return answer if _resting_state(self._path) == before else None

    @contextmanager
    def _borrowed(self, kind: Kind) -> Iterator[sqlite3.Connection | None]:
        """Lend a connection; None if it is for reading and there is no database."""
        with self._counted() as closings:
            connection: sqlite3.Connection | None = None
            try:
                connection, identity = self._idle(kind) or self._opened(kind)
                yield connection
            except sqlite3.Error as error:
                if connection is not None:
                    connection.close()
                raise translate(error, self._path, self._timeout) from error
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            if connection is not None:
                self._give_back(kind, connection, identity, closings)

    @contextmanager
    def _counted(self) -> Iterator[int]:
        """Be one of those for whom a fork waits."""
        lent = self._lent
        with lent.gate:
            lent.gate.wait_for(lambda: not lent.forking)
            if lent.cut_off:
                message = (
                    f"the process was forked while {self._path} was in use for longer than "
                    f"{_FORK_SECONDS:.0f} s, so it is closed to this child: start it by spawn"
                )
                raise UnavailableError(message)
            lent.used += 1
            closings = lent.closings
        try:
            yield closings
        finally:
            with lent.gate:
                lent.used -= 1
                lent.gate.notify_all()

    def _idle(self, kind: Kind) -> tuple[sqlite3.Connection, tuple[int, int]] | None:
        """Return an idle connection, if the file it opened is still the one at the path."""
        present = _identity(self._path)
        with self._lent.gate:
            for position, (its, connection, identity) in enumerate(self._lent.idle):
                if its == kind and identity == present:
                    del self._lent.idle[position]
                    return connection, identity
            _close_all(self._lent)
        return None

    def _give_back(
        self,
        kind: Kind,
        connection: sqlite3.Connection,
        identity: tuple[int, int],
        closings: int,
    ) -> None:
        with self._lent.gate:
            if closings == self._lent.closings and len(self._lent.idle) < _MAX_IDLE:
                self._lent.idle.append((kind, connection, identity))
                return
        connection.close()

