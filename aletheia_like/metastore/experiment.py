"""An experiment: a question, and the runs that ask it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aletheia_like.errors import (
    AlreadyExistsError,
    NotFoundError,
    UnavailableError,
)
from aletheia_like.feeds import Preparing
from aletheia_like.metastore.artifacts import Addition, ArtifactVersion, Maker, add_artifact
from aletheia_like.metastore.comparing import Comparison, compare
from aletheia_like.metastore.experimentparts import HasParts
from aletheia_like.metastore.keeping import KeepsArtifacts
from aletheia_like.metastore.leaderboard import add_result, read_results
from aletheia_like.metastore.marks import check_kept
from aletheia_like.metastore.plotting import PlottedExperiment
from aletheia_like.metastore.requesting import check_request
from aletheia_like.metastore.run import Run
from aletheia_like.metastore.searching import existing_run, find_run, find_runs, understood
from aletheia_like.metastore.session import Session, author
from aletheia_like.metastore.starting import start
from aletheia_like.metastore.tables import Runs, Table
from aletheia_like.metastore.watching import Watch, watch
from aletheia_like.model import codec, paths
from aletheia_like.model.names import from_id
from aletheia_like.model.records import ExperimentRecord, RunRecord
from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.documents import Create, Document, Removal

_log = logging.getLogger("aletheia")
_KNOWN = frozenset(ExperimentRecord.__dataclass_fields__) - {"extra"} | {"schema_version"}


@dataclass(frozen=True, slots=True)
class RunCounter:
    """The next run's number, and the revision of the document that says so."""

    number: int
    revision: str


class Experiment(HasParts, PlottedExperiment, KeepsArtifacts):
    """A named question, asked by many runs.

    Args:
        session: The metastore it is in.
        document: Its document.
        debug: Whether runs started here are trials: git is not asked, tables leave them out.
        auto_inc_ids: Whether runs are called 1, 2, …
        writable: Whether it may be changed here.
        confirmed: False if the store was away, so that it may have to be created yet.
    """

    _what = "experiment"
    _known_fields = _KNOWN

    def __init__(
        self,
        session: Session,
        document: Document,
        *,
        debug: bool = False,
        auto_inc_ids: bool = True,
        writable: bool = True,
        confirmed: bool = True,
    ) -> None:
        self._open(session, document.path, document.fields)
        self._debug = debug or bool(document.fields.get("debug"))
        self._auto_inc_ids = auto_inc_ids
        self._writable = writable
        self._confirmed = confirmed
        self._counter: RunCounter | None = None
        if confirmed:
            self.remember_counter(self.record.next_run_number, document.revision)

    @property
    def record(self) -> ExperimentRecord:
        """Everything that is stored about it, as seen here."""
        return codec.experiment_record(self._path, self._fields)

    @property
    def path(self) -> str:
        """Path of its document."""
        return self._path

    @property
    def name(self) -> str:
        """Unique within the project."""
        return self.record.name

    @property
    def debug(self) -> bool:
        """Whether its runs are trials."""
        return self._debug

    @property
    def auto_inc_ids(self) -> bool:
        """Whether its runs are called 1, 2, …"""
        return self._auto_inc_ids

    @property
    def metrics(self) -> dict[str, Any]:
        """Numbers of the experiment as a whole."""
        return dict(self.record.metrics)

    @property
    def created_at(self) -> Any:
        """When it was created."""
        return self.record.created_at

    @property
    def url(self) -> str:
        """Where a person can look at its document."""
        return self._session.document_url(self._path)

    def start_run(
        self,
        name: str | None = None,
        *,
        id: str | int | None = None,  # noqa: A002 - the contract's word
        fold: Any = None,
        resume: str = "never",
        parent: Run | str | int | None = None,
        tags: Sequence[str] = (),
        hyper_params: object = None,
        desc: str | None = None,
        git: str | None = None,
    ) -> Run:
        """Start a run; best used in a `with` statement.

        Args:
            name: For people; two random words by default.
            id: Its id, instead of the next number; that of a numbered run may be its number.
            fold: Which fold of a cross-validation it is.
            resume: What to do when a run of this `id` exists: `never` refuses, `allow` goes on
                with it, `must` refuses to create one.
            parent: The run that this one belongs to.
            tags: Labels to search by.
            hyper_params: See `Run.set_hyper_params`.
            desc: What is tried.
            git: `refuse`, `snapshot`, `warn`, `off` or `require`, instead of the settings'.

        Raises:
            DirtyTreeError: The code differs from its commit; nothing was written.
            AlreadyExistsError: The id is taken and `resume` is `never`.
            NotFoundError: There is nothing to resume and `resume` is `must`, or no such parent.
            InvalidValueError: A name or value cannot be stored.
        """
        self._check_writable()
        request = check_request(
            self, name, id, fold, resume, parent, tags, hyper_params, desc, git
        )
        return start(self, request)

    def runs(
        self,
        where: str | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        *,
        debug: bool | None = None,
        deleted: bool = False,
    ) -> Runs:
        """Return the runs that answer a question; one read each, and nothing is written.

        What the store can search by itself is left to it, so that fewer runs are read.

        Args:
            where: Only the runs for which this holds, such as
                `metrics.acc > 0.9 and tags contains 'base'`.
            order_by: A column such as `metrics.acc`, `-metrics.acc` for the greatest first;
                numbers come first, then moments, texts and truth values, at last runs without it
                or with NaN. Among equals, and by default, the order in which they started.
            limit: At most so many.
            debug: Whether trial runs are shown; by default only if the experiment is one.
            deleted: Show what was deleted and can be restored, too, with the column `deleted_at`.

        Raises:
            InvalidValueError: The condition cannot be read, or names what no run has.
        """
        shown = self._debug if debug is None else debug
        asked = understood(where, order_by, limit, debug=shown, deleted=deleted)
        return find_runs(self._session, [paths.runs(self._path)], asked)

    def filter(self, accept: Callable[[RunRecord], Any], *, debug: bool | None = None) -> Runs:
        """Return the runs that a function accepts, in the order in which they started.

        Args:
            accept: Is given each run's record.
            debug: See `runs`.
        """
        return self.runs(debug=debug).filter(accept)

    def compare(self, *runs: str | int | Run) -> Comparison:
        """Return runs side by side: parameters, metrics, code, data sets, machine, packages.

        Args:
            *runs: Ids or names as in `exper["3"]`, or runs that were opened, also of other
                experiments.

        Raises:
            NotFoundError: There is no such run.
            InvalidValueError: They are fewer than two, or one is named twice.
        """
        opened = [one if isinstance(one, Run) else self[one] for one in runs]
        return compare(self._session, [one.record for one in opened])

    def results(self, *, debug: bool | None = None) -> Table:
        """Return the leaderboard: one flat row for each finished run; one read each."""
        shown = self._debug if debug is None else debug
        return read_results(self._session, self._path, debug=shown)

    def watch(
        self,
        *,
        interval: float = 1.0,
        listen: bool = True,
        existing: bool = False,
        debug: bool | None = None,
        seconds: float | None = None,
    ) -> Watch:
        """Return an iterator over what happens to the runs from now on; nothing is written.

        Firestore is listened to, other stores are looked at again and again. An outage delays
        changes, it does not lose them; of several changes to a field between two looks the last
        is seen. Heartbeats are not changes, a run that falls silent (`lost`) is one.

        Args:
            interval: Seconds between two looks where nothing can be listened to; more where one
                takes long, or costs much.
            listen: Whether to listen where the store can.
            existing: Whether the runs that are there come first, as `added`.
            debug: Whether trial runs are shown; by default only if the experiment is one.
            seconds: When to end; by default not before `close()`.

        Raises:
            UnavailableError: The store is away now; later that only delays changes.
        """
        return watch(
            self._session,
            self._path,
            interval=interval,
            listen=listen,
            existing=existing,
            debug=self._debug if debug is None else debug,
            seconds=seconds,
        )

    def _keep(self, addition: Addition) -> ArtifactVersion:
        maker = Maker(self._session.project, self.name, self._path)
        return add_artifact(self._session, maker, addition)

    def add_result(self, name: str, values: Mapping[str, Any]) -> None:
        """Put a line of one's own into the leaderboard, such as a published baseline.

        Adding it again replaces it.

        Args:
            name: What to call it; no run's id.
            values: Metrics and whatever else is to stand in its columns.

        Raises:
            AlreadyExistsError: A run has this id.
            InvalidValueError: A name or value cannot be stored.
        """
        self._check_writable()
        add_result(self._session, self._path, name, values)

    def counter(self, at_least: int) -> RunCounter:
        """Return the next run's number and the revision that holds it, read anew if forgotten.

        Raises:
            NotFoundError: Somebody deleted the experiment.
        """
        known = self._counter
        if known is None:
            document = self._session.documents.get(self._path)
            if document is None:
                message = f"experiment {self.name!r} was deleted: open it again with exper()"
                raise NotFoundError(message)
            _check_kept(document, self.name)
            record = codec.experiment_record(self._path, document.fields)
            known = RunCounter(record.next_run_number, document.revision)
        return RunCounter(max(known.number, at_least), known.revision)

    def remember_counter(self, number: int, revision: str) -> None:
        """The counter is known to be this."""
        self._counter = RunCounter(number, revision)

    @property
    def fields(self) -> dict[str, Any]:
        """Its document, as seen here."""
        return dict(self._fields)

    def confirm(self) -> None:
        """Create it if the store was away when it was opened.

        Raises:
            UnavailableError: The store is still away.
        """
        if not self._confirmed:
            document = _create_or_read(self._session, self._path, self._fields, [])
            self._fields = {**document.fields, **self._fields}
            self._confirmed = True

    def forget_counter(self) -> None:
        """The counter has moved on."""
        self._counter = None

    def __getitem__(self, key: str | int) -> Run:
        """Open a run for reading by its id, else the newest of that name; -1 is the newest of all.

        Raises:
            NotFoundError: There is no such run.
        """
        found = existing_run(self._session, self._path, key, debug=self._debug)
        return Run(self, found)

    def __contains__(self, key: object) -> bool:
        """Whether there is a run of this id or name."""
        if not isinstance(key, str | int) or isinstance(key, bool):
            return False
        return find_run(self._session, self._path, str(key)) is not None

    def __iter__(self) -> Iterator[RunRecord]:
        return iter(self.runs())

    def _record_changes(self, encoded: Mapping[FieldPath, Value | Removal]) -> None:
        if encoded:
            feed = None if self._confirmed else Preparing(self.confirm)
            self._session.recorder.set(self._path, encoded, feed)

    def _refuse(self) -> str | None:
        if self._writable:
            return None
        return f"{self!r} was opened for reading: ms.exper({self.name!r}) opens it to change it"

    def _check_writable(self) -> None:
        self._change({})

    def _keeper_path(self) -> str:
        return self._path

    def __repr__(self) -> str:
        return f"<Experiment {self._session.project}/{self.name}{' debug' if self._debug else ''}>"


def open_experiment(
    session: Session,
    name: str,
    *,
    desc: str | None,
    debug: bool,
    auto_inc_ids: bool,
    exist_ok: bool,
) -> Experiment:
    """Create or open an experiment; see `Metastore.exper`."""
    path = paths.experiment(session.project_path, name)
    record = ExperimentRecord(
        name, desc=desc, debug=debug, created_at=session.clock(), created_by=author()
    )
    fields = codec.to_fields(record)
    created: list[str] = []
    try:
        document = _create_or_read(session, path, fields, created)
        confirmed = True
    except UnavailableError as outage:
        if not exist_ok:
            raise
        _log.info("the store is away (%s); experiment %r is opened unseen", outage, name)
        now = session.clock()
        document, confirmed = Document(path, fields, "", now, now), False
    if not created and not exist_ok:
        message = f"experiment {name!r} exists in project {session.project!r}: choose another name"
        raise AlreadyExistsError(message)
    experiment = Experiment(
        session, document, debug=debug, auto_inc_ids=auto_inc_ids, confirmed=confirmed
    )
    if desc is not None and not created and experiment.desc != desc:
        experiment.desc = desc
    return experiment


def _check_kept(document: Document, name: str) -> None:
    check_kept(document, f"experiment {name!r}", f"ms.restore_experiment({name!r})")


def _create_or_read(
    session: Session, path: str, fields: dict[str, Any], created: list[str]
) -> Document:
    """Return an experiment's document; adds its path to `created` if it was not there."""

    def attempt() -> Document:
        document = session.documents.get(path)
        if document is not None:
            _check_kept(document, from_id(document.id))
            return document
        writes = [*session.project_writes(), Create(path, fields)]
        revision = session.documents.apply(writes)[-1]
        session.project_exists = True
        created.append(path)
        now = session.clock()
        return Document(path, fields, str(revision), now, now)

    return session.retry(attempt, AlreadyExistsError)
