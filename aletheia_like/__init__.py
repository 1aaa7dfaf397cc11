"""An experiment metastore with nothing to host.

Runs, metrics, artifacts and datasets are readable documents in Firestore, bytes lie in Cloud
Storage behind a verified local cache, and the same code works offline on an embedded store.

Names are loaded on first use, so importing this package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aletheia_like.active import (
        context,
        filter,  # noqa: A004 - the contract's word
        finish,
        get,
        init,
        latest,
        log,
        log_artifact,
    )
    from aletheia_like.connect import Metastore
    from aletheia_like.errors import (
        AccessDeniedError,
        AletheiaError,
        AlreadyExistsError,
        ConflictError,
        DirtyTreeError,
        IntegrityError,
        InvalidValueError,
        MissingExtraError,
        NotFoundError,
        ReadOnlyError,
        RunStateError,
        SettingsError,
        UnavailableError,
        UntrustedArtifactError,
    )
    from aletheia_like.handlers.handler import Handler
    from aletheia_like.logfiles import configure_logging, experiment_log, monitor, read_logs
    from aletheia_like.metastore.artifacts import ArtifactVersion
    from aletheia_like.metastore.assets import File, Folder, LogFile, Table
    from aletheia_like.metastore.datasets import DatasetVersion
    from aletheia_like.metastore.experiment import Experiment
    from aletheia_like.metastore.repository import Repository
    from aletheia_like.metastore.rows import Rows
    from aletheia_like.metastore.run import Run
    from aletheia_like.series.schema import Schema

__all__ = [
    "AccessDeniedError",
    "AletheiaError",
    "AlreadyExistsError",
    "ArtifactVersion",
    "ConflictError",
    "DatasetVersion",
    "DirtyTreeError",
    "Experiment",
    "File",
    "Folder",
    "Handler",
    "IntegrityError",
    "InvalidValueError",
    "LogFile",
    "Metastore",
    "MissingExtraError",
    "NotFoundError",
    "ReadOnlyError",
    "Repository",
    "Rows",
    "Run",
    "RunStateError",
    "Schema",
    "SettingsError",
    "Table",
    "UnavailableError",
    "UntrustedArtifactError",
    "__version__",
    "configure_logging",
    "context",
    "experiment_log",
    "filter",
    "finish",
    "get",
    "init",
    "latest",
    "log",
    "log_artifact",
    "monitor",
    "read_logs",
]

_HOMES = {
    "ArtifactVersion": "aletheia_like.metastore.artifacts",
    "DatasetVersion": "aletheia_like.metastore.datasets",
    "Experiment": "aletheia_like.metastore.experiment",
    "File": "aletheia_like.metastore.assets",
    "Folder": "aletheia_like.metastore.assets",
    "Handler": "aletheia_like.handlers.handler",
    "LogFile": "aletheia_like.metastore.assets",
    "Repository": "aletheia_like.metastore.repository",
    "Rows": "aletheia_like.metastore.rows",
    "Table": "aletheia_like.metastore.assets",
    **dict.fromkeys(
        ("init", "log", "log_artifact", "context", "get", "filter", "latest", "finish"),
        "aletheia_like.active",
    ),
    **dict.fromkeys(
        ("configure_logging", "experiment_log", "monitor", "read_logs"), "aletheia_like.logfiles"
    ),
    "Metastore": "aletheia_like.connect",
    "Run": "aletheia_like.metastore.run",
    "Schema": "aletheia_like.series.schema",
    "__version__": "aletheia_like.version",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    module = importlib.import_module(_HOMES.get(name, "aletheia_like.errors"))
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
