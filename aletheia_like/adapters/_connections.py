"""Connections to one SQLite file, for many threads and processes, and across a fork.

A connection is lent for one action and never held between two calls, so before a fork all can be
taken back and closed: a child that inherits an open file of SQLite's believes in locks that it
does not have, and loses data.

Reading leaves no trace. SQLite would create two files beside a database only to read it; when
nobody has it open it is read as immutable instead, and the answer counts only if the file has not
changed meanwhile.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

from aletheia_like.adapters import _sqlitefile as file
from aletheia_like.adapters._knownrows import Row
from aletheia_like.adapters._remembered import RememberedRows, Stamp
from aletheia_like.errors import AletheiaError, UnavailableError
from aletheia_like.forking import watch_forks

T = TypeVar("T")

Action = Callable[[sqlite3.Connection], T]
_Reading = Callable[[sqlite3.Connection, Stamp | None], T]
"""Gets the stamp of a file that nobody has open."""

_PROBE: Final = "SELECT 1 FROM documents LIMIT 1"
_MAX_IDLE: Final = 8
_FORK_SECONDS: Final = 30.0
_IMMUTABLE_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class _Opened:
    connection: sqlite3.Connection
    mode: Literal["read", "write"]
    identity: file.Identity | None


@dataclass(slots=True)
class _Shared:
    """What the threads of one process share; a child begins with another one."""

    gate: threading.Condition = field(default_factory=threading.Condition)
    writing: threading.Lock = field(default_factory=threading.Lock)
    idle: list[_Opened] = field(default_factory=list)
    lent: int = 0
    closings: int = 0
    may_write: bool = False
    forking: bool = False
    cut_off: bool = False
    remembered: RememberedRows = field(default_factory=RememberedRows)


class Connections:
    """Lends connections to the database at `path`; opens none before it has to.

    Args:
        path: The file, absolute.
        timeout: Seconds to wait while others write.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._shared = _Shared()
        self._watches_forks = False

    def read(self, action: Action[T], nothing: T) -> T:
        """Return what `action` reads, or `nothing` if there is no database; changes no file.

        Args:
            action: May be done again from the start.
            nothing: The answer of a store that does not exist yet.

        Raises:
            AletheiaError: See `_sqlitefile.translate`.
        """
        with self._translated():
            return self._read(lambda connection, _: action(connection), nothing)

    def search(
        self,
        collection: str,
        rows_in: Action[Iterable[Row]],
        action: Callable[[Iterable[Row]], T],
        nothing: T,
    ) -> T:
        """Return what `action` finds in the rows of a collection; see `read`.

        Args:
            collection: Its path.
            rows_in: Reads them; not asked if they are remembered and nobody wrote since.
            action: May be done again from the start.
            nothing: The answer of a store that does not exist yet.
        """
        remembered = self._shared.remembered

        def known(stamp: Stamp) -> tuple[T] | None:
            rows = remembered.find(collection, stamp)
            return None if rows is None else (action(rows),)

        def look(connection: sqlite3.Connection, stamp: Stamp | None) -> T:
            stamp = stamp or _stamp(connection)
            found = known(stamp)
            if found is not None:
                return found[0]
            return action(remembered.read(collection, stamp, rows_in(connection)))

        with self._translated():
            return self._read(look, nothing, known)

    def _read(
        self,
        action: _Reading[T],
        nothing: T,
        known: Callable[[Stamp], tuple[T] | None] | None = None,
    ) -> T:
        if file.identity(self._path) is None:
            return nothing
        if not self._shared.may_write:
            for _ in range(_IMMUTABLE_TRIES):
                state = file.resting_state(self._path)
                if state == "missing":
                    return nothing
                if state == "in use":
                    break
                answer = known(state) if known else None
                answer = answer or self._read_resting(action, nothing, state)
                if answer is not None:
                    return answer[0]
        with self._lend("write" if self._shared.may_write else "read") as connection:
            # A database that is being created is still empty to those who only read.
            ours = self._shared.may_write or file.is_ours(connection, self._path)
            return action(connection, None) if ours else nothing

    def write(self, action: Action[T]) -> T:
        """Return `action`'s outcome; all it does happens, or nothing if it raises.

        Raises:
            AletheiaError: What `action` raises, or see `_sqlitefile.translate`.
        """
        if not self._shared.may_write:
            # Another program's database, or a damaged one, is found out before it is touched.
            self.read(lambda connection: connection.execute(_PROBE).fetchone(), None)
        if not self._shared.writing.acquire(timeout=self._timeout):
            raise file.still_locked(self._path)
        try:
            with self._translated(), self._lend("write") as connection:
                connection.execute("BEGIN IMMEDIATE")
                self._shared.may_write = True
                return _committed(connection, action)
        finally:
            self._shared.writing.release()

    def close(self) -> None:
        """Close what is idle now, and what is lent when it comes back."""
        with self._shared.gate:
            self._shared.closings += 1
            self._shared.may_write = False
            self._close_idle()

    def _read_resting(self, action: _Reading[T], nothing: T, state: Stamp) -> tuple[T] | None:
        """Return the answer in a tuple; None if the file changed while it was read."""
        with self._counted():
            try:
                connection = file.open_immutable(self._path)
                try:
                    ours = file.is_ours(connection, self._path)
                    answer = (action(connection, state) if ours else nothing,)
                finally:
                    connection.close()
            except (sqlite3.Error, AletheiaError):
                if file.resting_state(self._path) != state:
                    return None
                raise
        return answer if file.resting_state(self._path) == state else None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise file.translate(error, self._path) from error

    @contextmanager
    def _lend(self, mode: Literal["read", "write"]) -> Iterator[sqlite3.Connection]:
        opened: _Opened | None = None
        sound = False
        with self._counted() as closings:
            try:
                opened = self._take_idle(mode) or self._open(mode)
                yield opened.connection
                sound = True
            except AletheiaError:
                sound = True
                raise
            finally:
                if opened is not None:
                    self._take_back(opened, closings, sound=sound)

    @contextmanager
    def _counted(self) -> Iterator[int]:
        """Be among those for whom a fork waits."""
        shared = self._shared
        with shared.gate:
            self._watch_forks()
            shared.gate.wait_for(lambda: not shared.forking)
            if shared.cut_off:
                message = (
                    f"{self._path} was in use while this process was forked, and stayed so: "
                    "start such processes by spawn"
                )
                raise UnavailableError(message)
            shared.lent += 1
            closings = shared.closings
        try:
            yield closings
        finally:
            with shared.gate:
                shared.lent -= 1
                shared.gate.notify_all()

    def _open(self, mode: Literal["read", "write"]) -> _Opened:
        opener = file.open_for_writing if mode == "write" else file.open_for_reading
        connection = opener(self._path, self._timeout)
        return _Opened(connection, mode, file.identity(self._path))

    def _take_idle(self, mode: Literal["read", "write"]) -> _Opened | None:
        """Return an idle connection, if its file is still the one at the path."""
        present = file.identity(self._path)
        with self._shared.gate:
            for position, opened in enumerate(self._shared.idle):
                if opened.mode == mode and opened.identity == present:
                    return self._shared.idle.pop(position)
            self._close_idle()
        return None

    def _take_back(self, opened: _Opened, closings: int, *, sound: bool) -> None:
        shared = self._shared
        with shared.gate:
            wanted = closings == shared.closings and len(shared.idle) < _MAX_IDLE
            if wanted and sound and not opened.connection.in_transaction:
                shared.idle.append(opened)
                return
        opened.connection.close()

    def _close_idle(self) -> None:
        while self._shared.idle:
            self._shared.idle.pop().connection.close()

    def _watch_forks(self) -> None:
        if not self._watches_forks:
            self._watches_forks = True
            watch_forks(self._before_fork, self._after_fork_in_parent, self._after_fork_in_child)

    def _before_fork(self) -> None:
        shared = self._shared
        shared.gate.acquire()
        shared.forking = True
        shared.gate.wait_for(lambda: shared.lent == 0, timeout=_FORK_SECONDS)
        self._close_idle()

    def _after_fork_in_parent(self) -> None:
        self._shared.forking = False
        self._shared.gate.notify_all()
        self._shared.gate.release()

    def _after_fork_in_child(self) -> None:
        self._shared = _Shared(cut_off=self._shared.lent > 0)


def _stamp(connection: sqlite3.Connection) -> Stamp:
    """Return what is the same in this connection until anybody changes the database."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    # Its id would be another's after it was closed.
    return connection, version, connection.total_changes


def _committed(connection: sqlite3.Connection, action: Action[T]) -> T:
    try:
        outcome = action(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcome
