"""What every other tracker records, in one form; `building` makes documents of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.records import ErrorInfo, GitState, Status
from aletheia_like.model.rows import moment
from aletheia_like.transfer.report import Left

Tracker = Literal["mlflow", "tensorboard", "wandb", "csv"]

_MAX_SECONDS = 253_402_300_799.0
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """Values that were logged together.

    Attributes:
        at: Seconds since 1970.
        cells: Values by column.
        stream: None for a run's own, else of which stream, such as `system`.
    """

    at: float
    cells: Mapping[str, Any]
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """A file, or the files below a folder, that a run made.

    Attributes:
        name: What the artifact is called.
        paths: Where the files are, by their way below the folder.
        is_folder: Whether it was one.
    """

    name: str
    paths: Mapping[str, Path]
    is_folder: bool


@dataclass(frozen=True, slots=True)
class ForeignRun:
    """A run as its tracker has it.

    Attributes:
        key: Tells it from all others of its kind, wherever its files lie.
        id: What its tracker calls it.
        entries: Reads what it logged, in an order to which a run that goes on only adds.
        joins: Whether single values of one step may become one row.
        measures: Whether the last value of each column is a metric.
        facts: What has no place of its own, kept in the field `imported`.
    """

    key: str
    id: str
    experiment: str
    name: str | None = None
    status: Status = "finished"
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    parent: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    notes: str | None = None
    created_by: str | None = None
    error: ErrorInfo | None = None
    git: GitState | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    entries: Callable[[], list[Entry]] = list
    joins: bool = False
    measures: bool = False
    files: Sequence[Files] = ()


@dataclass(frozen=True, slots=True)
class Foreign:
    """All that a reader found.

    Attributes:
        tracker: Whose it is.
        path: Where it is.
        left: What was seen and is not among the runs.
    """

    tracker: Tracker
    path: Path
    runs: Sequence[ForeignRun]
    left: Sequence[Left] = ()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a reader is told.

    Attributes:
        experiment: What the runs become part of; None lets the source decide.
        artifacts: Folder that files may be taken from beside the source's own.
        run_column: Column of a CSV file that tells runs apart.
        time_column: Column of a CSV file with the moment of each row.
    """

    experiment: str | None = None
    artifacts: Path | None = None
    run_column: str | None = None
    time_column: str | None = None


def moment_of(seconds: float, what: str) -> dt.datetime:
    """Return a moment.

    Raises:
        InvalidValueError: It is outside of the years 1970 to 9999.
    """
    if not 0 <= seconds <= _MAX_SECONDS:
        message = f"{what} has the time {seconds!r}, which is no second since 1970: mend it"
        raise InvalidValueError(message)
    # To the microsecond as rows have it, so that a run's last row is not after its end.
    return moment(round(seconds * _MICROSECONDS) / _MICROSECONDS)
