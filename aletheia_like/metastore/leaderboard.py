"""The leaderboard: one flat document for each finished run, in the collection `results`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aletheia_like.errors import AlreadyExistsError
from aletheia_like.metastore.marks import kept
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.tables import Table
from aletheia_like.model import paths
from aletheia_like.model.names import check_name
from aletheia_like.model.parameters import flatten
from aletheia_like.model.records import RunRecord
from aletheia_like.model.values import Value, check_key, decode, encode, is_key
from aletheia_like.ports.documents import REMOVE, Create, Document, Query, Removal, Update, Write

RESULT_COLUMNS = tuple(
    "run number name fold debug started_at ended_at seconds commit model".split()
)
"""The columns that stand first in the leaderboard."""


def result_fields(record: RunRecord) -> dict[str, Value]:
    """Return a run's line: parameters and metrics under dotted names, one value each."""
    duration = record.duration
    line: dict[str, Any] = {
        "run": record.id,
        "number": record.number,
        "name": record.name,
        "fold": record.fold,
        "debug": record.debug or None,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "seconds": duration.total_seconds() if duration else None,
        "commit": record.git.commit if record.git else None,
        "model": record.model.name if record.model else None,
    }
    if isinstance(record.hyper_params, dict):
        line |= flatten(record.hyper_params, "hyper_params.")
    line |= flatten(record.metrics, "metrics.")
    return {
        key: encode(value, (key,))
        for key, value in line.items()
        if value is not None and is_key(key)
    }


def result_write(session: Session, record: RunRecord, *, resumed: bool) -> Write:
    """Return the write that puts a run into the leaderboard, replacing its earlier line."""
    path = paths.result(paths.experiment(session.project_path, record.experiment), record.id)
    fields = result_fields(record)
    earlier = session.documents.get(path) if resumed else None
    if earlier is None:
        return Create(path, fields)
    gone: dict[tuple[str, ...], Value | Removal] = {
        (key,): REMOVE for key in earlier.fields if key not in fields
    }
    return Update(path, gone | {(key,): value for key, value in fields.items()})


def add_result(
    session: Session, experiment_path: str, name: str, values: Mapping[str, Any]
) -> None:
    """Store a line that is no run's; see `Experiment.add_result`."""
    path = paths.result(experiment_path, check_name(name, "result"))
    line = {check_key(key): encode(value, (key,)) for key, value in flatten(values)}
    fields: dict[str, Value] = {"name": name, "ended_at": session.clock(), **line}

    def decide(document: Document | None) -> list[Write]:
        if document is None:
            return [Create(path, fields)]
        if "run" in document.fields:
            message = f"run {name!r} has a line of its own: choose another name for the result"
            raise AlreadyExistsError(message)
        changes: dict[tuple[str, ...], Value | Removal] = {
            (key,): REMOVE for key in document.fields if key not in fields
        }
        changes |= {(key,): value for key, value in fields.items()}
        return [Update(path, changes, document.revision)]

    if session.documents.get(paths.run(experiment_path, name)) is not None:
        message = f"{name!r} is the id of a run: choose another name for the result"
        raise AlreadyExistsError(message)
    session.change(path, decide)


def read_results(session: Session, experiment_path: str, *, debug: bool) -> Table:
    """Return the leaderboard of an experiment, in the order of the runs' ends; a read a run."""
    found = kept(session.documents.query(Query(paths.results(experiment_path))))
    lines = [{key: decode(value) for key, value in one.fields.items()} for one in found]
    shown = [line for line in lines if debug or not line.get("debug")]
    ordered = sorted(shown, key=lambda line: str(line.get("ended_at", "")))
    return Table(ordered, RESULT_COLUMNS)
