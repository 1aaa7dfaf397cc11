"""The module-level way: one active run of this process, and the rows of the project around it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aletheia_like.connect import Metastore
from aletheia_like.errors import AletheiaError, RunStateError, SettingsError
from aletheia_like.metastore.rows import Predicate, Rows
from aletheia_like.metastore.run import Run

_DEFAULT = "default"


@dataclass(slots=True)
class _Process:
    """What `init` opened in this process."""

    metastore: Metastore | None = None
    run: Run | None = None


_PROCESS = _Process()


def init(
    project: str | None = None,
    experiment: str | None = None,
    run_id: str | None = None,
    **context: Any,
) -> Run:
    """Start the active run, or go on with the one of this id.

    A run that is still active is finished first.

    Args:
        project: Name of the project; else from the settings, else `default`.
        experiment: Name of the experiment; `default` if none is given.
        run_id: Id of the run; eight random hexadecimal digits if none is given.
        **context: Data that every row carries. A mapping called `config` also becomes the run's
            hyper-parameters.

    Raises:
        DirtyTreeError: The code differs from its commit; nothing was written.
        InvalidValueError: A name or value cannot be stored; the run has failed.
    """
    finish()
    metastore = _opened(project)
    run = metastore.exper(experiment or _DEFAULT).start_run(
        id=run_id or secrets.token_hex(4), resume="allow"
    )
    try:
        if context:
            run.set_params(context)
        if isinstance(context.get("config"), Mapping):
            run.set_hyper_params(context["config"])
    except AletheiaError as error:
        run.fail(error)
        raise
    _PROCESS.run = run
    return run


def log(row: Mapping[Any, Any] | None = None, /, **data: Any) -> dict[str, Any]:
    """Append a row to the active run; see `Run.log`. Without one, a run is started first."""
    return active_run().log(row, **data)


def log_artifact(path: str | Path, name: str | None = None) -> dict[str, Any]:
    """Append a row that holds a file; see `Run.log_artifact`."""
    return active_run().log_artifact(path, name)


def context(row: Mapping[Any, Any] | None = None, /, **data: Any) -> AbstractContextManager[Run]:
    """Add data to the rows that are logged inside a `with` block; see `Run.context`."""
    return active_run().context(row, **data)


def get(**keys: Any) -> Rows:
    """Return the rows of all runs of the project that have all of these values."""
    return _metastore().rows(**keys)


def filter(predicate: Predicate) -> Rows:  # noqa: A001 - the contract's word
    """Return the rows of all runs of the project that a predicate accepts."""
    return _metastore().rows().filter(predicate)


def latest(
    columns: str | Sequence[str] = "*",
    index: str | Sequence[str] | None = None,
    *,
    deep_merge: bool = True,
) -> Any:
    """Return the last value of columns in the active run; see `Rows.latest`.

    Raises:
        RunStateError: No run is active.
    """
    run = _PROCESS.run
    if run is None or run.status != "running":
        message = "no run is active: al.get(run_id=…).latest(…) reads an earlier one"
        raise RunStateError(message)
    return run.latest(columns, index, deep_merge=deep_merge)


def finish() -> None:
    """Finish the active run, if there is one; what is logged afterwards is another run's."""
    run, _PROCESS.run = _PROCESS.run, None
    if run is not None:
        run.finish()


def active_run() -> Run:
    """Return the active run, started with nothing but defaults if there was none."""
    run = _PROCESS.run
    return run if run is not None and run.status == "running" else init()


def _metastore() -> Metastore:
    return _PROCESS.metastore or _opened(None)


def _opened(project: str | None) -> Metastore:
    """Return the metastore of a project, the one there is if it is the same."""
    known = _PROCESS.metastore
    if known is not None and project in (None, known.project):
        return known
    try:
        metastore = Metastore(project)
    except SettingsError:
        if project is not None or os.environ.get("ALETHEIA_PROJECT"):
            raise
        metastore = Metastore(_DEFAULT)
    if known is not None:
        known.close()
    _PROCESS.metastore = metastore
    return metastore
