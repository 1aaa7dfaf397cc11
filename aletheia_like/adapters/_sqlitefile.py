"""One SQLite file: what it holds, how it is opened, and what its errors mean."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from pathlib import Path
from typing import Final, Literal

from aletheia_like.errors import (
    AccessDeniedError,
    AletheiaError,
    IntegrityError,
    SettingsError,
    UnavailableError,
)

APPLICATION_ID: Final = 0x414C_4554
"""`ALET`: in the header of the file, tells our databases from those of other programs."""

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
_TICK_SECONDS: Final = 0.02
"""Longer than a tick of a file system's clock: what changed within one tick looks unchanged."""

_DENIED: Final = (sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

Identity = tuple[int, int]
"""Device and inode of the file that a connection has open."""

State = Literal["missing", "in use"] | tuple[int, ...]
"""Of a file: missing, open somewhere, or what would change if anybody wrote to it."""


def identity(path: Path) -> Identity | None:
    """Return which file is at `path` now, or None."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def resting_state(path: Path) -> State:
    """Return a state that two reads of an untouched file have in common."""
    try:
        status = path.stat()
        age = time.time() - status.st_mtime
        if 0 <= age < _TICK_SECONDS:
            time.sleep(_TICK_SECONDS - age)
            status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    if os.path.exists(f"{path}-wal"):  # noqa: PTH110 - on the way of every read
        return "in use"
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def open_immutable(path: Path) -> sqlite3.Connection:
    """Open a file that nobody writes to, without locks and without files beside it."""
    return _connect(path, "mode=ro&immutable=1", 0.0)


def open_for_reading(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a file that others may have open and write to."""
    return _connect(path, "mode=ro", timeout)


def open_for_writing(path: Path, timeout: float) -> sqlite3.Connection:
    """Open the file, created with its folder and tables if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _connect(path, "mode=rwc", timeout)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        if not is_ours(connection, path):
            _create_tables(connection, path, timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is a store; False if there is nothing in it yet.

    Raises:
        SettingsError: It belongs to another program, or to a later version of this one.
    """
    # One statement, so that a store that is being created beside us is seen whole or not at all.
    application, version, tables = connection.execute(
        "SELECT (SELECT application_id FROM pragma_application_id),"
        " (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_master)"
    ).fetchone()
    if application == APPLICATION_ID:
        if version > SCHEMA_VERSION:
            message = (
                f"{path} was written by a later version of aletheia_like (its schema is "
                f"{version}, this one knows {SCHEMA_VERSION}): upgrade aletheia_like"
            )
            raise SettingsError(message)
        return True
    if application or version or tables:
        message = (
            f"{path} is a database of another program: it was left as it is; "
            "name a file of your own for the metastore"
        )
        raise SettingsError(message)
    return False


def translate(error: Exception, path: Path) -> Exception:
    """Return the error of ours that says what `error` means, or `error` itself if none does."""
    if isinstance(error, AletheiaError):
        return error
    if isinstance(error, OSError):
        return _translate_os_error(error, path)
    if not isinstance(error, sqlite3.DatabaseError):
        return error
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _LOCKED:
        return still_locked(path)
    if code in _DENIED or (code == sqlite3.SQLITE_CANTOPEN and not _may_open(path)):
        return _denied(path, error)
    if code in _DAMAGED:
        return IntegrityError(
            f"{path} is damaged ({error}): put a backup in its place, or save what can be read "
            f"by `sqlite3 '{path}' .recover | sqlite3 recovered.db`"
        )
    if path.is_dir():
        return SettingsError(f"{path} is a directory: name a file for the metastore")
    if code == sqlite3.SQLITE_FULL:
        return _full(path)
    return UnavailableError(f"{path} cannot be used now ({error}): try again")


def still_locked(path: Path) -> UnavailableError:
    """Return the error for a file that another writer did not let go in time."""
    return UnavailableError(
        f"{path} stayed locked by another program: end the program that writes to it, or try again"
    )


def _connect(path: Path, options: str, timeout: float) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?{options}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
    )


def _create_tables(connection: sqlite3.Connection, path: Path, timeout: float) -> None:
    """Make an empty file a store; when several processes do so at once, one of them does it."""
    deadline = time.monotonic() + timeout
    while not _turned_to_wal(connection) and time.monotonic() < deadline:
        time.sleep(0.005)
    connection.execute("BEGIN IMMEDIATE")
    if not is_ours(connection, path):
        connection.execute(_SCHEMA)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _turned_to_wal(connection: sqlite3.Connection) -> bool:
    """Switch the journal's mode; False if others are at it, for whom SQLite does not wait here."""
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _LOCKED:
            raise
        return False
    return True


def _translate_os_error(error: OSError, path: Path) -> AletheiaError:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return _denied(path, error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(path)
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return SettingsError(f"{path} cannot be a file: {error.filename} is no directory")
    return UnavailableError(f"{path} cannot be used now: {error}")


def _denied(path: Path, error: Exception) -> AccessDeniedError:
    return AccessDeniedError(
        f"{path} may not be opened or written by this user ({error}): allow it, or use a copy "
        "in a folder of your own"
    )


def _full(path: Path) -> UnavailableError:
    return UnavailableError(f"no space left for {path}: free some, or move it to another disk")


def _may_open(path: Path) -> bool:
    folder = os.access(path.parent, os.W_OK | os.X_OK)
    return folder and (not path.exists() or os.access(path, os.R_OK | os.W_OK))
