"""Reads MLflow's database in a SQLite file."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from aletheia_like.errors import IntegrityError, InvalidValueError
from aletheia_like.model.rows import STEP
from aletheia_like.transfer.foreign.mlflow import MlflowRun, run_of
from aletheia_like.transfer.foreign.records import Entry, Foreign, Wishes
from aletheia_like.transfer.report import Left

TABLES = frozenset({"experiments", "runs", "metrics", "params", "tags", "alembic_version"})
"""Tables by which such a file is recognised."""

_INFINITE = 1.7976931348623157e308
_OTHERS = {
    "experiment_tags": "tag of an experiment",
    "inputs": "data set of a run",
    "registered_models": "registered model",
    "logged_models": "logged model",
    "trace_info": "trace",
    "evaluation_datasets": "evaluation data set",
}


def is_mlflow_database(path: Path) -> bool:
    """Whether a file is a SQLite file with MLflow's tables."""
    try:
        return tables_of(path) >= TABLES
    except (sqlite3.DatabaseError, OSError):
        return False


def tables_of(path: Path) -> frozenset[str]:
    """Return the names of a SQLite file's tables."""
    with _opened(path) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return frozenset(name for (name,) in found)


def read_mlflow_database(path: Path, wishes: Wishes) -> Foreign:
    """Return what a database holds.

    Raises:
        InvalidValueError: It is no database of MLflow's.
        IntegrityError: It is damaged.
    """
    if not is_mlflow_database(path):
        message = f"{path} is no database of MLflow's: it lacks its tables; name another format"
        raise InvalidValueError(message)
    try:
        return _read(path, wishes)
    except (sqlite3.DatabaseError, UnicodeDecodeError, TypeError) as error:
        message = f"{path} is damaged or of an unknown version of MLflow: {error}"
        raise IntegrityError(message) from error


def _read(path: Path, wishes: Wishes) -> Foreign:
    roots = [] if wishes.artifacts is None else [wishes.artifacts]
    # Only where MLflow itself puts files: a database may name any folder of this machine.
    roots += [path.parent / name for name in ("mlruns", "mlartifacts")]
    runs = []
    left: list[Left] = []
    with _opened(path) as connection:
        params = _texts(connection, "params")
        tags = _texts(connection, "tags")
        query = (
            "SELECT r.run_uuid, e.experiment_id, e.name, r.name, r.status, r.start_time, "
            "r.end_time, r.artifact_uri, r.lifecycle_stage, e.lifecycle_stage "
            "FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id "
            "ORDER BY r.start_time, r.run_uuid"
        )
        for run_id, experiment_id, experiment, name, *facts in connection.execute(query):
            status, start, end, uri, *stages = facts
            if "deleted" in stages:
                left.append(Left("deleted run", 1, "MLflow has it in its trash: restore it"))
                continue
            stored = MlflowRun(
                str(run_id),
                str(experiment_id),
                str(experiment),
                name,
                status,
                start,
                end,
                uri or "",
                params.get(run_id, {}),
                tags.get(run_id, {}),
                partial(_entries, path, run_id),
            )
            run, missing = run_of(stored, wishes, roots)
            runs.append(run)
            left += missing
        left += _others(connection)
    return Foreign("mlflow", path, runs, left)


def _texts(connection: sqlite3.Connection, table: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    query = f"SELECT run_uuid, key, value FROM {table} ORDER BY key"  # noqa: S608 - two names
    for run_id, key, value in connection.execute(query):
        found.setdefault(run_id, {})[str(key)] = "" if value is None else str(value)
    return found


def _entries(path: Path, run_id: str) -> list[Entry]:
    # By rowid they come as they were logged, so that what is logged later comes last.
    query = (
        "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY rowid"
    )
    with _opened(path) as connection:
        return [
            Entry(timestamp / 1000, {STEP: step, str(key): _number(value, is_nan)})
            for key, value, timestamp, step, is_nan in connection.execute(query, (run_id,))
        ]


def _number(value: float, is_nan: int) -> float:
    """Return a metric's value: MLflow stores infinity as the greatest number."""
    if is_nan:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= _INFINITE else value


def _others(connection: sqlite3.Connection) -> Iterator[Left]:
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    for table, what in _OTHERS.items():
        if table in names:
            query = f"SELECT count(*) FROM {table}"  # noqa: S608 - one of ours
            count: Any = connection.execute(query).fetchone()[0]
            if count:
                yield Left(what, int(count), "only runs are carried")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    # Read only: what is imported from is never changed, and need not be writable.
    address = f"{path.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
        yield connection
