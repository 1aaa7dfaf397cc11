"""What MLflow's two kinds of store have in common; neither needs MLflow to be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from aletheia_like.model.records import ErrorInfo, GitState, Status
from aletheia_like.transfer.foreign.artifacts import files_below
from aletheia_like.transfer.foreign.records import Entry, Files, ForeignRun, Wishes, moment_of
from aletheia_like.transfer.report import Left

_STATUSES: Mapping[Any, Status] = {
    "RUNNING": "running",
    "SCHEDULED": "running",
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "killed",
}
_OURS = "mlflow."
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class MlflowRun:
    """A run as MLflow stores it.

    Attributes:
        status: One of MLflow's words.
        start, end: Milliseconds since 1970.
        artifact_uri: Where its files were put.
        entries: Reads its metrics.
    """

    run_id: str
    experiment_id: str
    experiment: str
    name: str | None
    status: str
    start: Any
    end: Any
    artifact_uri: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    entries: Callable[[], list[Entry]] = field(default=list)


def run_of(run: MlflowRun, wishes: Wishes, roots: Sequence[Path]) -> tuple[ForeignRun, list[Left]]:
    """Return a run in the neutral form.

    Args:
        run: As it was stored.
        wishes: What the user wants.
        roots: Folders whose files may be carried.
    """
    what = f"run {run.run_id}"
    tags = run.tags
    files, left = _files(run, roots)
    status = _STATUSES.get(run.status, "running")
    commit = tags.get("mlflow.source.git.commit", "")
    facts: dict[str, Any] = {"experiment": run.experiment, "tags": dict(tags)}
    error = ErrorInfo("failed", "MLflow says that it failed, and not why")
    return ForeignRun(
        key=run.run_id,
        id=run.run_id,
        experiment=wishes.experiment or run.experiment,
        name=run.name or tags.get("mlflow.runName"),
        status=status,
        started_at=None if run.start is None else moment_of(run.start / 1000, what),
        ended_at=None if run.end is None else moment_of(run.end / 1000, what),
        parent=tags.get("mlflow.parentRunId"),
        params={name: read_param(text) for name, text in run.params.items()},
        tags=tuple(f"{key}={tags[key]}" for key in sorted(tags) if not key.startswith(_OURS)),
        notes=tags.get("mlflow.note.content"),
        created_by=tags.get("mlflow.user"),
        error=error if status == "failed" else None,
        git=GitState(commit) if _COMMIT.fullmatch(commit) else None,
        facts=facts,
        entries=run.entries,
        joins=True,
        measures=True,
        files=files,
    ), left


def read_param(text: str) -> Any:
    """Return what a text says, as MLflow makes a text of every parameter.

    Only what reads as a number or truth value and would be written like this is one: `007` and
    `1_000` stay texts.
    """
    if text in ("True", "False"):
        return text == "True"
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= _DIGITS else text
    is_float = text in ("nan", "inf", "-inf") or _FLOAT.fullmatch(text)
    return float(text) if is_float else text


def _files(run: MlflowRun, roots: Sequence[Path]) -> tuple[list[Files], list[Left]]:
    """Return a run's files; from where they were put, or from where they would be by now."""
    for root in roots:
        for folder in _places(run, root):
            if folder.is_dir() and folder.resolve().is_relative_to(root.resolve()):
                return files_below(folder, [root, *roots], run.run_id)
    address = urlsplit(run.artifact_uri)
    is_here = address.scheme in ("", "file")
    if is_here and not Path(unquote(address.path)).exists():
        # MLflow makes the folder when the first file comes.
        return [], []
    where = ", ".join(map(str, roots))
    why = f"they are at {run.artifact_uri}, not below {where}: give their folder as `artifacts`"
    return [], [Left("artifacts of a run", 1, why, run.run_id)]


def _places(run: MlflowRun, root: Path) -> list[Path]:
    address = urlsplit(run.artifact_uri)
    own = f"{run.experiment_id}/{run.run_id}/artifacts"
    # A store that was moved still has the place where it was.
    moved = [root / own, root / "mlruns" / own, root / "mlartifacts" / own]
    if address.scheme in ("", "file") and address.path:
        return [Path(unquote(address.path)), *moved]
    return moved
