"""The entry point: a project in an opened metastore."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aletheia_like.cache import LocalCache
from aletheia_like.errors import InvalidValueError, NotFoundError, UnavailableError
from aletheia_like.extras import import_extra
from aletheia_like.metastore.allrows import project_rows
from aletheia_like.metastore.assets import load_object
from aletheia_like.metastore.datasets import (
    DatasetVersion,
    Partitions,
    add_dataset,
    dataset_versions,
    get_dataset,
    list_datasets,
)
from aletheia_like.metastore.derivation import with_source
from aletheia_like.metastore.experiment import Experiment, open_experiment
from aletheia_like.metastore.marks import check_kept, is_deleted, kept
from aletheia_like.metastore.rows import Rows
from aletheia_like.metastore.searching import find_runs, understood
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.storing import lengthen, shorten
from aletheia_like.metastore.tables import Runs
from aletheia_like.model import codec, paths
from aletheia_like.model.names import check_name, with_article
from aletheia_like.model.records import ProjectRecord, VersionRecord
from aletheia_like.model.values import FieldPath, Value, decode, encode
from aletheia_like.ports.blobs import is_near
from aletheia_like.ports.documents import Create, Document, Query, Removal, Update, Write
from aletheia_like.ports.usage import UsageRecord

if TYPE_CHECKING:
    from aletheia_like.metastore.repository import Repository
    from aletheia_like.metastore.sql import Engine

_log = logging.getLogger("aletheia")


class OpenMetastore:
    """A project in a metastore whose stores have been chosen; `al.Metastore` chooses them.

    Args:
        session: The stores and everything that the handles share.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._engine: Engine | None = None

    @property
    def project(self) -> str:
        """Name of the project."""
        return self._session.project

    @property
    def url(self) -> str:
        """The store, as an address that opens it again."""
        return str(self._session.settings.url)

    @property
    def session(self) -> Session:
        """The live parts; for integrations."""
        return self._session

    @property
    def cache(self) -> LocalCache:
        """Local copies of blobs."""
        return self._session.cache

    @property
    def usage(self) -> UsageRecord:
        """Billed operations and bytes since this metastore was opened, with an estimated price."""
        return self._session.usage.snapshot()

    def exper(
        self,
        name: str,
        *,
        desc: str | None = None,
        debug: bool = False,
        auto_inc_ids: bool = True,
        exist_ok: bool = True,
    ) -> Experiment:
        """Create or open an experiment.

        Args:
            name: Unique within the project.
            desc: What it asks; replaces an earlier description.
            debug: Its runs are trials: git is not asked, and tables leave them out.
            auto_inc_ids: Its runs are called 1, 2, … without gap or double, however many
                processes start them; else they get random ids.
            exist_ok: False refuses to open one that exists.

        Raises:
            AlreadyExistsError: It exists and `exist_ok` is False.
            InvalidValueError: The name is not possible.
        """
        return open_experiment(
            self._session,
            name,
            desc=desc,
            debug=debug,
            auto_inc_ids=auto_inc_ids,
            exist_ok=exist_ok,
        )

    def experiment(self, name: str) -> Experiment:
        """Open an experiment for reading; nothing is written.

        Raises:
            NotFoundError: There is none of that name.
        """
        document = self._session.documents.get(paths.experiment(self._session.project_path, name))
        if document is None:
            names = [repr(one.name) for one in self.experiments(debug=True)][:10]
            known = f"there are {', '.join(names)}" if names else "there are none yet"
            message = f"no experiment {name!r} in project {self.project!r}: {known}"
            raise NotFoundError(message)
        check_kept(document, f"experiment {name!r}", f"ms.restore_experiment({name!r})")
        return Experiment(self._session, document, writable=False)

    def experiments(self, *, debug: bool = False, deleted: bool = False) -> list[Experiment]:
        """Return the project's experiments for reading, sorted by name; one read each.

        Args:
            debug: Show experiments for trials too.
            deleted: Show those that were deleted and can be restored, too.
        """
        query = Query(paths.experiments(self._session.project_path))
        found = kept(self._session.documents.query(query), deleted=deleted)
        opened = [Experiment(self._session, one, writable=False) for one in found]
        return [one for one in opened if debug or not one.debug]

    def __getitem__(self, name: str) -> Experiment:
        """Open an experiment for reading; see `experiment`."""
        return self.experiment(name)

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the project's experiments, as `in` and `[]` take them."""
        return iter([experiment.name for experiment in self.experiments()])

    def __contains__(self, name: object) -> bool:
        """Whether the project has an experiment of this name."""
        if not isinstance(name, str):
            return False
        try:
            path = paths.experiment(self._session.project_path, name)
        except InvalidValueError:
            return False
        document = self._session.documents.get(path)
        return document is not None and not is_deleted(document.fields)

    def runs(
        self,
        where: str | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        *,
        debug: bool = False,
        deleted: bool = False,
    ) -> Runs:
        """Return runs of all experiments; see `Experiment.runs`.

        Args:
            where: Only the runs for which this holds.
            order_by: A column such as `metrics.acc`, `-metrics.acc` for the greatest first.
            limit: At most so many.
            debug: Whether trial runs, and experiments for trials, are shown.
            deleted: Show what was deleted and can be restored, too.

        Raises:
            InvalidValueError: The condition cannot be read, or names what no run has.
        """
        asked = understood(where, order_by, limit, debug=debug, deleted=deleted)
        experiments = self.experiments(debug=debug, deleted=deleted)
        collections = [paths.runs(one.path) for one in experiments]
        return find_runs(self._session, collections, asked)

    def projects(self) -> list[ProjectRecord]:
        """Return every project of this store, sorted by name; one read each."""
        found = self._session.documents.query(Query(paths.PROJECTS))
        return [codec.project_record(one.path, one.fields) for one in found]

    def rows(self, /, **equal_to: Any) -> Rows:
        """Return the logged rows of all runs that have these values, oldest first.

        They have the columns `experiment` and `run_id`, and naming these reads only the runs that
        are meant; each run costs a read for each of its chunks.
        """
        return project_rows(self._session, equal_to)

    def sql(
        self,
        query: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        experiment: str | None = None,
    ) -> Any:
        """Return the answer to a query in DuckDB's SQL as a pandas DataFrame; nothing is changed.

        The tables are `runs`, `rows` (also called `events`), `system`, `results`, `artifacts`,
        `datasets`, `repositories` and `files`. Only those that the query names are fetched, and
        of `runs` and `rows` only what `WHERE experiment = … AND run_id = …` lets through: a read
        for each run, and for each chunk of rows that is not in the local cache. A run that has
        ended is read once.

        Args:
            query: One query: SELECT, WITH, FROM, DESCRIBE or EXPLAIN.
            parameters: Values for `?` or `$1`; by name for `$name`.
            experiment: Only what belongs to this experiment.

        Raises:
            InvalidValueError: The query is none, names what there is not, or is to change
                something.
            MissingExtraError: duckdb or pyarrow is not installed.
        """
        for module in ("duckdb", "pyarrow", "pandas"):
            import_extra(module, "sql")
        from aletheia_like.metastore.sql import Engine

        if self._engine is None:
            self._engine = Engine()
        return self._engine.answer(self._session, query, parameters, experiment)

    def get_object(self, digest: str, *, trust: bool = False) -> Any:
        """Return an object that was logged in a row.

        Args:
            digest: The sha-256 that the row holds.
            trust: Must be given: the object is unpickled, which runs code of whoever logged it.

        Raises:
            UntrustedArtifactError: `trust` is not given.
            NotFoundError: There is no such object.
        """
        return load_object(self._session, digest, trust=trust)

    def add_metadata(
        self,
        name: str,
        mapping: Mapping[str, Any],
        overwrite: bool = False,  # noqa: FBT002
    ) -> bool:
        """Store a named mapping in the project.

        Args:
            name: What to find it by.
            mapping: Anything that can be stored.
            overwrite: Replace what is there; else what is there stays.

        Returns:
            Whether it was stored.
        """
        if not _is_mapping(mapping):
            message = f"metadata {name!r} must be a mapping, not {_kind(mapping)}"
            raise InvalidValueError(message)
        session = self._session
        path = paths.metadata(session.project_path, name)
        fields = {"value": shorten(session, encode(dict(mapping), ("value",)))}
        fields |= {"schema_version": codec.SCHEMA_VERSION, "updated_at": session.clock()}
        stored = False

        def decide(document: Document | None) -> list[Write]:
            nonlocal stored
            stored = document is None or overwrite
            if document is None:
                return [*session.project_writes(), Create(path, fields)]
            changes: dict[FieldPath, Value | Removal] = {(key,): fields[key] for key in fields}
            return [Update(path, changes, document.revision)] if overwrite else []

        session.change(path, decide)
        return stored

    def get_metadata(self, name: str) -> dict[str, Any] | None:
        """Return a named mapping, or None if there is none."""
        document = self._session.documents.get(paths.metadata(self._session.project_path, name))
        if document is None:
            return None
        value = lengthen(self._session, decode(document.fields.get("value", {})))
        return value if isinstance(value, dict) else {"value": value}

    def add_dataset(
        self,
        name: str,
        location: str | Path,
        *,
        type: str | None = None,  # noqa: A002 - the contract's word
        desc: str | None = None,
        source: Any = None,
        partitions: Partitions | None = None,
        features: Mapping[str, Any] | None = None,
        upload: bool = True,
    ) -> DatasetVersion:
        """Add a dataset, or a new version of one; unchanged content gives the existing version.

        Args:
            name: What runs ask for.
            location: A local file or directory, or a URL that fsspec can read.
            type: What kind of data it is.
            desc: Where it is from and what is in it.
            source: What it was made from: a name, a mapping, or a data set, an artifact, a run, or
                several of these, whose versions and code are then recorded.
            partitions: File patterns by the name of the part, such as `{"train": "train/*"}`.
            features: What a record holds, by column.
            upload: False leaves the bytes where they are and records their size and hash and, of a
                URL, its generation or entity tag: a change there is noticed by who gets it.

        Raises:
            NotFoundError: There is nothing at the location; nothing was written.
            InvalidValueError: A name or a kind of file cannot be stored.
            IntegrityError: A file changed while it was read.
        """
        described = VersionRecord(
            name=check_name(name, "dataset"),
            version=0,
            kind="file",
            digest=None,
            size=None,
            location=str(location),
            type=type,
            desc=desc,
            partitions=None if partitions is None else dict(partitions),
            features=None if features is None else dict(features),
            project=self.project,
        )
        described = with_source(self._session, described, source)
        return add_dataset(self._session, name, location, upload=upload, described=described)

    def get_dataset(
        self,
        name: str,
        version: int | None = None,
        *,
        download: bool = False,
        partition: str | None = None,
        verify: bool = False,
    ) -> DatasetVersion:
        """Return a dataset without recording its use; see `Run.get_dataset`."""
        return get_dataset(
            self._session, name, version, download=download, partition=partition, verify=verify
        )

    def datasets(self) -> list[DatasetVersion]:
        """Return the newest version of every dataset, sorted by name; one read each."""
        return list_datasets(self._session)

    def dataset_versions(self, name: str) -> list[DatasetVersion]:
        """Return every version of a dataset, oldest first; one read each."""
        return dataset_versions(self._session, name)

    def repository(
        self, name: str, mode: str = "a", *, generation: int | None = None
    ) -> Repository:
        """Open a repository: artifacts that outlive experiments, saved all at once.

        Args:
            name: Unique within the project; the first save creates it.
            mode: `r` only reads; `a` and `w+` read and add; `w` starts empty, and its first save
                begins the repository anew. What it held before stays, as an older generation.
            generation: With mode `r`, what it held before it was begun anew: 0, 1, …

        Raises:
            NotFoundError: Mode `r`, and there is no such repository or generation.
            InvalidValueError: The name or mode is not possible.
        """
        from aletheia_like.metastore.repository import open_repository

        return open_repository(self._session, name, mode, generation)

    def repositories(self) -> list[str]:
        """Return the names of the project's repositories, sorted; one read each."""
        from aletheia_like.metastore.repository import list_repositories

        return list_repositories(self._session)

    def set_downloader(self, local_cache_dir: str | Path) -> None:
        """Keep local copies below this folder from now on."""
        folder = Path(local_cache_dir).expanduser().absolute()
        settings = self._session.settings
        self._session.cache = LocalCache(
            folder,
            self._session.blobs,
            max_size=settings.cache_max_bytes,
            min_free=settings.cache_min_free_bytes,
            near=is_near(self._session.blobs_url),
        )

    def flush(self, timeout: float = 60.0) -> None:
        """Return when everything that was changed so far is in the store.

        Raises:
            UnavailableError: The store stayed away for `timeout` seconds.
        """
        self._session.recorder.flush(timeout=self._session.patience(timeout))

    def close(self, timeout: float = 60.0) -> None:
        """Store what is noted and free connections; using the metastore opens them again.

        Args:
            timeout: Seconds to wait for a store that is away.

        Raises:
            UnavailableError: It stayed away, and the setting `strict` is on.
        """
        try:
            self._session.recorder.close(0.0 if self._session.settings.offline else timeout)
        except UnavailableError as outage:
            if self._session.settings.strict:
                raise
            _log.warning(
                "%r is closed, but the store is away (%s): what its runs recorded waits in the "
                "journal, other changes are lost",
                self,
                outage,
            )
        finally:
            if self._engine is not None:
                self._engine.close()
            self._session.documents.close()
            self._session.blobs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Metastore {self.project!r} in {self._session.description}>"


def _kind(value: object) -> str:
    return with_article(type(value).__name__)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)
