"""Reads MLflow's folder of files, which is called `mlruns` unless somebody chose otherwise."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aletheia_like.errors import IntegrityError, InvalidValueError
from aletheia_like.extras import import_extra
from aletheia_like.model.rows import STEP
from aletheia_like.transfer.foreign.mlflow import MlflowRun, run_of
from aletheia_like.transfer.foreign.records import Entry, Foreign, ForeignRun, Wishes
from aletheia_like.transfer.report import Left

META = "meta.yaml"
_STATUSES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_FOLDERS = {"inputs": "data set of a run", "outputs": "logged model of a run"}
_OTHERS = {"models": "registered model or logged model", "traces": "trace"}


def is_mlflow_folder(path: Path) -> bool:
    """Whether a folder has folders of experiments as MLflow has."""
    if not path.is_dir():
        return False
    return any("experiment_id" in _text(one) for one in path.glob(f"*/{META}"))


def read_mlflow_folder(path: Path, wishes: Wishes) -> Foreign:
    """Return what a folder holds.

    Raises:
        InvalidValueError: It is no folder of MLflow's.
        IntegrityError: A file in it is damaged.
    """
    if not is_mlflow_folder(path):
        message = f"{path} is no folder of MLflow's: no */{META} in it tells of an experiment"
        raise InvalidValueError(message)
    runs: list[ForeignRun] = []
    left: list[Left] = []
    roots = [path] if wishes.artifacts is None else [wishes.artifacts, path]
    trash = len(list(path.glob(f".trash/*/{META}")))
    if trash:
        left.append(Left("deleted experiment", trash, "MLflow has it in its trash: restore it"))
    for meta in sorted(path.glob(f"*/{META}")):
        experiment = _yaml(meta)
        if "experiment_id" not in experiment:
            continue
        left += _counted(meta.parent)
        for one in sorted(meta.parent.glob(f"*/{META}")):
            facts = _yaml(one)
            if "run_id" not in facts:
                continue
            if facts.get("lifecycle_stage") == "deleted":
                left.append(Left("deleted run", 1, "MLflow has it in its trash: restore it"))
                continue
            run, missing = run_of(_run(one.parent, facts, experiment), wishes, roots)
            runs.append(run)
            left += missing
            left += [
                Left(what, len(list((one.parent / name).iterdir())), "only runs are carried")
                for name, what in _FOLDERS.items()
                if (one.parent / name).is_dir()
            ]
    runs.sort(key=lambda run: (str(run.started_at), run.id))
    return Foreign("mlflow", path, runs, left)


def _run(folder: Path, facts: Mapping[str, Any], experiment: Mapping[str, Any]) -> MlflowRun:
    status = facts.get("status")
    return MlflowRun(
        str(facts["run_id"]),
        str(experiment["experiment_id"]),
        str(experiment.get("name") or experiment["experiment_id"]),
        facts.get("run_name"),
        _STATUSES.get(status, "RUNNING") if isinstance(status, int) else str(status),
        _milliseconds(facts, "start_time", folder),
        _milliseconds(facts, "end_time", folder),
        # Where it was said to be may be elsewhere by now, but here it is always the same.
        str(folder / "artifacts"),
        dict(_values(folder / "params")),
        dict(_values(folder / "tags")),
        partial(_entries, folder / "metrics"),
    )


def _milliseconds(facts: Mapping[str, Any], word: str, folder: Path) -> int | None:
    found = facts.get(word)
    if found is not None and not isinstance(found, int):
        message = f"{folder / META} has the {word} {found!r:.80}, which is none: mend it"
        raise IntegrityError(message)
    return found


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file below a folder by its name; a slash in a name makes a folder."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path


def _values(folder: Path) -> Iterator[tuple[str, str]]:
    for name, path in _files(folder):
        yield name, _text(path)


def _entries(folder: Path) -> list[Entry]:
    """Return all metrics by their time; of one time, by their step."""
    found = [_points(name, path) for name, path in _files(folder)]
    return list(heapq.merge(*found, key=lambda one: (one.at, one.cells[STEP])))


def _points(name: str, path: Path) -> list[Entry]:
    points = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        # Later versions of MLflow add columns.
        parts = line.split(" ")
        try:
            at, value = int(parts[0]) / 1000, float(parts[1])
            step = int(parts[2]) if len(parts) > 2 else 0  # noqa: PLR2004
        except (ValueError, IndexError, OverflowError) as error:
            message = f"line {number} of {path} is no metric: {line!r:.80}; mend or remove it"
            raise IntegrityError(message) from error
        points.append(Entry(at, {STEP: step, name: value}))
    return points


def _counted(folder: Path) -> Iterator[Left]:
    tags = sum(1 for _ in _files(folder / "tags"))
    if tags:
        yield Left("tag of an experiment", tags, "only runs are carried")
    for name, what in _OTHERS.items():
        if (folder / name).is_dir() and (count := len(list((folder / name).iterdir()))):
            yield Left(what, count, "only runs are carried")


def _yaml(path: Path) -> Mapping[str, Any]:
    yaml = import_extra("yaml", "importers")
    try:
        found = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        message = f"{path} is damaged: {error}"
        raise IntegrityError(message) from error
    if not isinstance(found, dict):
        message = f"{path} is damaged: it holds no facts"
        raise IntegrityError(message)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        message = f"{path} is damaged: it is no text"
        raise IntegrityError(message) from error
