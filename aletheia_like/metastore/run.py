"""A run: one execution of an experiment, from its start to a truthful end."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.artifacts import Addition, ArtifactVersion, Maker
from aletheia_like.metastore.datasets import DatasetVersion, get_dataset
from aletheia_like.metastore.deferring import UNNUMBERED, add_or_defer
from aletheia_like.metastore.plotting import plot_run
from aletheia_like.metastore.promoting import Promoting
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.stopping import FIELD, StopRequests, request_stop
from aletheia_like.metastore.storing import lengthen
from aletheia_like.metastore.subtests import HasTests
from aletheia_like.metastore.tracked import Tracked
from aletheia_like.metastore.writing import RunWriter
from aletheia_like.model import codec
from aletheia_like.model.names import check_name, from_id, to_id
from aletheia_like.model.parameters import to_mapping
from aletheia_like.model.records import (
    ENDED,
    Environment,
    ErrorInfo,
    GitState,
    ModelInfo,
    RunRecord,
    Status,
    seen_status,
)
from aletheia_like.model.values import FieldPath
from aletheia_like.ports.documents import Document
from aletheia_like.ports.usage import UsageRecord, meant_for

if TYPE_CHECKING:
    from aletheia_like.metastore.experiment import Experiment
    from aletheia_like.metastore.verifying import Verification
    from aletheia_like.plots.plot import Plot

_log = logging.getLogger("aletheia")
_KNOWN = frozenset(RunRecord.__dataclass_fields__) - {"extra"} | {"schema_version"}


class Run(Tracked, Promoting, HasTests):
    """A live run, or one opened for reading.

    As a context manager it ends by itself: `finished`, `failed` after an exception, `killed` after
    Ctrl-C, `SystemExit` or SIGTERM; the exception goes on.

    Args:
        experiment: What it belongs to.
        document: The run's document, as created or as read.
        writer: Takes what this process records; None if it may only read.
    """

    _what = "run"
    _known_fields = _KNOWN

    def __init__(
        self,
        experiment: Experiment,
        document: Document,
        *,
        writer: RunWriter | None = None,
    ) -> None:
        session: Session = experiment._session  # noqa: SLF001 - handles of one metastore
        self._open(session, document.path, document.fields)
        self._experiment = experiment
        self._writer = writer
        self._companion = None
        self._log_files = {}
        self._stop = StopRequests(session, document.path, document.fields.get(FIELD))
        self._ending: dict[FieldPath, Any] = {}
        self._undelivered = False
        self._read_at = document.read_at
        self._updated_at = document.updated_at
        self._resumed = False
        self._pid = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        if self._writer is not None:
            message = (
                f"{self!r} is recorded by this process: give others its experiment and id, and "
                "let them join by start_run(id=…, resume='allow')"
            )
            raise TypeError(message)
        return {key: value for key, value in super().__getstate__().items() if key != "_stop"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._stop = StopRequests(self._session, self._path, self._fields.get(FIELD))

    @property
    def experiment(self) -> Experiment:
        """What it belongs to."""
        return self._experiment

    @property
    def record(self) -> RunRecord:
        """Everything that is stored about it, as seen here."""
        record = codec.run_record(self._path, self._fields, self._updated_at)
        return dataclasses.replace(record, status=self.status)

    @property
    def id(self) -> str:
        """Unique within the experiment; never used again."""
        return from_id(self._path.rpartition("/")[2])

    @property
    def number(self) -> int | None:
        """1, 2, … where the experiment counts its runs."""
        number = self._fields.get("number")
        return number if isinstance(number, int) else None

    @property
    def name(self) -> str | None:
        """For people; need not be unique."""
        return self._part("name").name

    @property
    def fold(self) -> Any:
        """Which fold of a cross-validation it is."""
        return self._part("fold").fold

    @property
    def status(self) -> Status:
        """`running`, `finished`, `failed`, `killed`; `lost` if it fell silent while running."""
        stored = self._fields.get("status", "running")
        return (
            stored
            if self._writer is not None
            else seen_status(stored, self._updated_at, self._read_at)
        )

    @property
    def model(self) -> ModelInfo | None:
        """The model, as `set_model` described it."""
        return self._part("model").model

    @property
    def hyper_params(self) -> dict[Any, Any]:
        """The parameters, equal to what was set."""
        return dict(self._lengthened(self._part("hyper_params").hyper_params))

    @property
    def config(self) -> dict[Any, Any]:
        """The parameters, by the name other trackers give them."""
        return self.hyper_params

    @property
    def metrics(self) -> dict[str, Any]:
        """The headline numbers."""
        return dict(self._lengthened(self._part("metrics").metrics))

    @property
    def datasets(self) -> dict[str, Any]:
        """The datasets it asked for, by name."""
        return dict(self._part("datasets").datasets)

    @property
    def artifacts(self) -> dict[str, Any]:
        """The newest version of each artifact it made, by name."""
        return dict(self._part("artifacts").artifacts)

    @property
    def git(self) -> GitState | None:
        """The code it was started from."""
        return self._part("git").git

    @property
    def environment(self) -> Environment | None:
        """The process and machine it ran in."""
        return self._part("environment").environment

    @property
    def error(self) -> ErrorInfo | None:
        """What ended it, if it failed."""
        error = self._part("error").error
        if error is None:
            return None
        message, traceback = map(self._lengthened, (error.message, error.traceback))
        return ErrorInfo(error.type, str(message), str(traceback))

    @property
    def parent(self) -> str | None:
        """Id of the run that started it, for a child run."""
        return self._part("parent").parent

    @property
    def reproduces(self) -> str | None:
        """The run, as `EXPERIMENT/RUN`, whose command was done again when this one started."""
        return self._part("reproduces").reproduces

    @property
    def started_at(self) -> Any:
        """When it started."""
        return self._part("started_at").started_at

    @property
    def ended_at(self) -> Any:
        """When it ended."""
        return self._part("ended_at").ended_at

    @property
    def url(self) -> str:
        """Where a person can look at its document."""
        return self._session.document_url(self._path)

    def set_fold(self, fold: Any = None) -> None:
        """Say which fold this run is; without an argument, the one it was started with."""
        if fold is not None:
            self._change({("fold",): fold})
        elif self.fold is None:
            message = f"{self!r} was started without a fold: name it, as in set_fold(1)"
            raise InvalidValueError(message)

    def set_model(
        self,
        name: str | None = None,
        *,
        desc: str | None = None,
        version: object = None,
        project: str | None = None,
        **extra: Any,
    ) -> None:
        """Describe the model this run trains.

        Args:
            name: Its name; the experiment's by default.
            desc: What it is.
            version: Its version, kept as text.
            project: Where it comes from; this project by default.
            **extra: Anything else worth knowing.
        """
        model = ModelInfo(
            name=check_name(name if name is not None else self._experiment.name, "model"),
            desc=desc,
            version=None if version is None else str(version),
            project=project or self._session.project,
            extra=extra,
        )
        self._change({("model",): codec.to_value(model, ("model",))})

    def set_hyper_params(self, parameters: object) -> None:
        """Store the parameters, replacing those there were.

        Args:
            parameters: A mapping, dataclass, pydantic model, argparse namespace or OmegaConf.

        Raises:
            InvalidValueError: It is none of these, or a value has no stored form.
        """
        self._change({("hyper_params",): to_mapping(parameters)})

    def _keep(self, addition: Addition) -> ArtifactVersion:
        git = self.git
        maker = Maker(
            self._session.project,
            self._experiment.name,
            self._experiment.path,
            self.id,
            git.commit if git else None,
        )
        with meant_for(self._path):
            version = add_or_defer(self._session, self._open_writer(), maker, addition)
        if version.version != UNNUMBERED:
            key = to_id(addition.name, "artifact")
            self._change({("artifacts", key): codec.to_value(version.use)})
        return version

    def get_dataset(
        self,
        name: str,
        version: int | None = None,
        *,
        download: bool = False,
        partition: str | None = None,
        verify: bool = False,
    ) -> DatasetVersion:
        """Return a dataset and record, once, that this run uses it.

        Args:
            name: Which.
            version: The newest by default.
            download: Fetch it into the local cache, so that `local_path` is set.
            partition: Only the files of this partition.
            verify: Hash every local file anew.

        Raises:
            NotFoundError: There is no such dataset, version or partition; nothing is recorded.
        """
        self._check_live()
        with meant_for(self._path):
            dataset = get_dataset(
                self._session, name, version, download=download, partition=partition, verify=verify
            )
        key = to_id(name, "dataset")
        use = codec.to_value(dataset.use)
        used = self._fields.get("datasets", {})
        if used.get(key, use) != use:
            key = f"{key}@{dataset.version}" + (f":{partition}" if partition else "")
        if used.get(key) != use:
            self._change({("datasets", key): use})
        return dataset

    def plot(
        self,
        y: str | Sequence[str] | None = None,
        *,
        x: str | None = None,
        smooth: float = 0.0,
        log: bool | str = False,
        points: int = 2_000,
    ) -> Plot:
        """Return a plot of columns of its rows; the arguments are those of `Experiment.plot`."""
        return plot_run(self.record, self.rows(), y, x=x, smooth=smooth, log=log, points=points)

    @property
    def path(self) -> str:
        """Path of its document."""
        return self._path

    @property
    def session(self) -> Session:
        """The live parts of its metastore."""
        return self._session

    @property
    def is_recorded_here(self) -> bool:
        """Whether this process records it; else it was opened for reading."""
        return self._writer is not None

    @property
    def fields(self) -> dict[str, Any]:
        """Its document, as seen here."""
        return dict(self._fields)

    @property
    def console(self) -> dict[str, Any] | None:
        """The end of what was printed, and the digest of the blob that holds all of it."""
        console = self._fields.get("console")
        return dict(console) if isinstance(console, dict) else None

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked the run to stop; never waits, and may be late by seconds."""
        if self._writer is None:
            return self._fields.get(FIELD) is not None
        return self._stop.seen

    def request_stop(self, reason: str | None = None) -> None:
        """Ask the run to stop; it sees so within seconds, and decides itself.

        Raises:
            RunStateError: It has ended.
            NotFoundError: It was deleted.
        """
        request_stop(self._session, self._path, reason)

    @property
    def usage(self) -> UsageRecord:
        """Operations that this process made for this run, and bytes; it prices them, too."""
        return self._session.usage.of(self._path)

    def verify(self, *, workers: int = 8) -> Verification:
        """Read and hash everything the run refers to, in the store, and say what is wrong.

        That is: its artifacts and data sets with all their files, the files and long values of
        its rows, and what was captured of its code, packages and console. Nothing is written.

        Args:
            workers: How many blobs are read at once.

        Raises:
            UnavailableError: The store cannot be reached.
        """
        from aletheia_like.metastore.verifying import verify_run

        return verify_run(self._session, self._path, workers=workers)

    def note_tag(self, tag: str) -> None:
        """Record the git tag that was set on the run's commit."""
        self._change({("git", "tag"): tag})

    def start_run(self, name: str | None = None, **options: Any) -> Run:
        """Start a child run; takes what `Experiment.start_run` takes."""
        return self._experiment.start_run(name, parent=self, **options)

    def _refuse(self) -> str | None:
        if self._writer is None:
            return f"{self!r} was opened for reading: start_run(id=…, resume='must') reopens it"
        if self._fields.get("status") in ENDED:
            return f"{self!r} has ended: start_run(id=…, resume='must') reopens it"
        return None

    def _check_live(self) -> None:
        self._change({})

    def _keeper_path(self) -> str:
        return self._experiment.path

    def _note_use(self, found: ArtifactVersion) -> None:
        if self._refuse() is None and (found.run != self.id or found.repository is not None):
            self.use_artifact(found)

    def _has_artifact(self, name: str) -> bool:
        return self._made_version(name) is not None

    def _made_version(self, name: str) -> int | None:
        made = self._part("artifacts").artifacts.get(name)
        return made.version if made else None

    def _lengthened(self, value: Any) -> Any:
        return lengthen(self._session, value)

    def __repr__(self) -> str:
        number = f"{self._experiment.name}/{self.id}"
        metrics = "".join(
            f" {key}={value:.4g}" if isinstance(value, float) else f" {key}={value}"
            for key, value in list(self.metrics.items())[:4]
        )
        return f"<Run {number} {self.status}{metrics}>"
