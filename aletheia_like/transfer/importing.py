"""Imports exports of ours and what other trackers recorded; recognises which it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.session import Session
from aletheia_like.transfer.copying import move
from aletheia_like.transfer.exporting import FORMATS, format_of, open_export
from aletheia_like.transfer.foreign import mlflowdatabase, mlflowfolder
from aletheia_like.transfer.foreign.building import ForeignSource
from aletheia_like.transfer.foreign.records import Foreign, Wishes
from aletheia_like.transfer.report import ImportReport, report_of
from aletheia_like.transfer.source import Source, StoreSource

Reader = Callable[[Path, Wishes], Foreign]

FOREIGN: Sequence[str] = ("mlflow", "tensorboard", "wandb", "csv")
"""Trackers whose records can be imported."""

_DATABASE = "mlflow.db"
_SQLITE = b"SQLite format 3\0"
_EVENTS = "*tfevents*"


def import_project(
    session: Session,
    path: str | Path,
    *,
    rename: bool,
    format_: str | None,
    wishes: Wishes,
    source: Source | None = None,
) -> ImportReport:
    """Bring what lies at a path into a project; see `Metastore.import_`.

    Args:
        session: The project.
        path: Where it lies.
        rename: Give new names to what means something else here.
        format_: What it is; None if it is to be recognised.
        wishes: What is wanted of another tracker's records.
        source: What `own_source` gave for the path, if it was asked.
    """
    target = _existing(path)
    chosen = _recognised(target) if format_ is None else format_
    if chosen is None or chosen not in FOREIGN:
        _check_ours(chosen, wishes)
        opened = source or open_export(target, chosen)
        ours = format_of(target, chosen)
        return report_of(move(opened, session, rename=rename), ours)
    foreign = _reader(chosen)(target, wishes)
    there = StoreSource(session)
    records = ForeignSource(foreign, session.project, there, session.clock())
    tally = move(records, session, rename=rename)
    return report_of(tally, chosen, len(foreign.runs), records.left)


def own_source(path: str | Path, format_: str | None) -> Source | None:
    """Return what an export of ours holds, checked; None if something else lies at the path."""
    target = _existing(path)
    chosen = _recognised(target) if format_ is None else format_
    return (
        None
        if chosen in FOREIGN or chosen not in (None, *FORMATS)
        else open_export(target, chosen)
    )


def _existing(path: str | Path) -> Path:
    target = Path(path).expanduser().absolute()
    if not target.exists():
        message = f"nothing at {target}: give the file or folder to import"
        raise NotFoundError(message)
    return target


def _check_ours(format_: str | None, wishes: Wishes) -> None:
    if format_ is not None and format_ not in FORMATS:
        message = f"no format {format_!r}: there are {', '.join((*FORMATS, *FOREIGN))}"
        raise InvalidValueError(message)
    if wishes != Wishes():
        message = (
            "an export of ours says itself what its runs are part of: leave experiment, "
            "artifacts, run_column and time_column out"
        )
        raise InvalidValueError(message)


def _reader(tracker: str) -> Reader:
    match tracker:
        case "mlflow":
            return _read_mlflow
        case "tensorboard":
            from aletheia_like.transfer.foreign.tensorboard import read_tensorboard

            return read_tensorboard
        case "wandb":
            from aletheia_like.transfer.foreign.wandb import read_wandb

            return read_wandb
        case _:
            from aletheia_like.transfer.foreign.csvfiles import read_csv

            return read_csv


def _read_mlflow(path: Path, wishes: Wishes) -> Foreign:
    if path.is_file():
        return mlflowdatabase.read_mlflow_database(path, wishes)
    if mlflowfolder.is_mlflow_folder(path):
        return mlflowfolder.read_mlflow_folder(path, wishes)
    for inside in (path / _DATABASE, path / "mlruns"):
        if inside.is_file():
            return mlflowdatabase.read_mlflow_database(inside, wishes)
    return mlflowfolder.read_mlflow_folder(path / "mlruns", wishes)


def _recognised(path: Path) -> str | None:
    """Return the tracker whose records lie at a path; None if it may be an export of ours.

    Raises:
        InvalidValueError: It may be of several, or a folder is of none.
    """
    if path.is_file():
        return _recognised_file(path)
    if not path.is_dir() or (path / "data.jsonl").is_file():
        return None
    found = [tracker for tracker, has in _MARKS.items() if any(has(path))]
    if len(found) > 1:
        message = (
            f"{path} has records of {' and '.join(found)}: say which to import, "
            f"such as format={found[0]!r} (--from {found[0]})"
        )
        raise InvalidValueError(message)
    return found[0] if found else None


def _recognised_file(path: Path) -> str | None:
    if path.suffix.lower() == ".csv":
        return "csv"
    if path.suffix == ".wandb":
        return "wandb"
    if "tfevents" in path.name:
        return "tensorboard"
    with path.open("rb") as stream:
        is_database = stream.read(len(_SQLITE)) == _SQLITE
    try:
        is_mlflow = is_database and mlflowdatabase.tables_of(path) >= mlflowdatabase.TABLES
    except sqlite3.DatabaseError:
        return None
    return "mlflow" if is_mlflow else None


def _mlflow(path: Path) -> Iterator[bool]:
    yield mlflowfolder.is_mlflow_folder(path)
    yield mlflowfolder.is_mlflow_folder(path / "mlruns")
    database = path / _DATABASE
    yield database.is_file() and mlflowdatabase.is_mlflow_database(database)


def _wandb(path: Path) -> Iterator[bool]:
    for pattern in ("*.wandb", "*run-*/*.wandb", "wandb/*run-*/*.wandb"):
        yield any(path.glob(pattern))


def _tensorboard(path: Path) -> Iterator[bool]:
    # What MLflow and W&B keep for a run may hold such files: those are their artifacts.
    if not any(_mlflow(path)) and not any(_wandb(path)):
        yield any(one.is_file() for one in path.rglob(_EVENTS))


def _csv(path: Path) -> Iterator[bool]:
    yield path.suffix != ".parquet" and any(path.glob("*.csv"))


_MARKS: Mapping[str, Callable[[Path], Iterator[bool]]] = {
    "mlflow": _mlflow,
    "wandb": _wandb,
    "tensorboard": _tensorboard,
    "csv": _csv,
}
