"""The tables that SQL sees, as Arrow: what a metastore stores, fetched as far as a query asks."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.accompanying import SYSTEM
from aletheia_like.metastore.arrowcolumns import MOMENT, NONE, array, named, text
from aletheia_like.metastore.finding import with_aliases
from aletheia_like.metastore.marks import kept
from aletheia_like.metastore.run import Run
from aletheia_like.metastore.runcolumns import run_row
from aletheia_like.metastore.saving import generation_of
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.sqlparsing import EXPERIMENT, Asked, Scope
from aletheia_like.metastore.sqlrows import OWN, rows_table
from aletheia_like.metastore.storing import lengthen
from aletheia_like.metastore.texttable import in_order
from aletheia_like.model import codec, paths
from aletheia_like.model.names import from_id
from aletheia_like.model.records import VersionRecord, seen_status
from aletheia_like.model.rows import RUN_ID, TIMESTAMP
from aletheia_like.model.values import LongText, decode
from aletheia_like.ports.documents import Document, Query

Row = Mapping[str, Any]

_READ_BATCH = 300

_TEXT, _WHOLE, _TRUTH = pa.string(), pa.int64(), pa.bool_()
_KEYS = {EXPERIMENT: _TEXT, RUN_ID: _TEXT}
_RUN = {
    **_KEYS,
    "id": _TEXT,
    "number": _WHOLE,
    "name": _TEXT,
    "status": _TEXT,
    "fold": None,
    "model": _TEXT,
    "started_at": MOMENT,
    "ended_at": MOMENT,
    "seconds": pa.float64(),
    "commit": _TEXT,
    "tags": _TEXT,
    "parent": _TEXT,
    "desc": _TEXT,
    "notes": _TEXT,
    "debug": _TRUTH,
    "created_by": _TEXT,
}
_PARTS_OF_RUNS = ("summary", "datasets", "artifacts", "git", "environment", "error")
_RESULT = {**_KEYS, "number": _WHOLE, "name": _TEXT, "fold": None, "debug": _TRUTH} | {
    "started_at": MOMENT,
    "ended_at": MOMENT,
    "seconds": pa.float64(),
    "commit": _TEXT,
    "model": _TEXT,
}
_VERSION = {
    "name": _TEXT,
    "version": _WHOLE,
    "kind": _TEXT,
    "sha256": _TEXT,
    "size": _WHOLE,
    "files": _WHOLE,
    "filename": _TEXT,
    "type": _TEXT,
    "desc": _TEXT,
    "source": _TEXT,
    "partitions": _TEXT,
    "features": _TEXT,
    "handler": _TEXT,
    "aliases": _TEXT,
    "location": _TEXT,
    "uploaded": _TRUTH,
    "commit": _TEXT,
    "created_at": MOMENT,
    "created_by": _TEXT,
}
_FILE = {
    "sha256": _TEXT,
    "size": _WHOLE,
    "media_type": _TEXT,
    "crc32c": _TEXT,
    "where": _TEXT,
    "created_at": MOMENT,
}
_ROWS = {**_KEYS, TIMESTAMP: MOMENT}

COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "runs": {**_RUN, **dict.fromkeys(_PARTS_OF_RUNS, _TEXT)},
    "rows": _ROWS,
    "events": _ROWS,
    SYSTEM: _ROWS,
    "results": _RESULT,
    "artifacts": {**_KEYS, **_VERSION},
    "datasets": {**_VERSION, **_KEYS},
    "repositories": {"repository": _TEXT, **_VERSION, **_KEYS},
    "files": _FILE,
}
"""The columns that each table always has, with their types; None where values decide."""

PARTS_OF_ROWS: Mapping[str, str] = {"rows": OWN, "events": OWN, SYSTEM: SYSTEM}
"""The tables of what runs logged, and which part of it they show."""

_OF_RUNS = ("runs", *PARTS_OF_ROWS)


def empty_table(name: str) -> Any:
    """Return a table without rows."""
    return _table([], COLUMNS[name])


def fetch_tables(
    session: Session,
    asked: Asked,
    experiment: str | None = None,
    as_text: frozenset[str] = NONE,
) -> dict[str, Any]:
    """Return the tables that a query names, with all the rows that it can see.

    Args:
        session: The metastore.
        asked: What the query asks for.
        experiment: Only what belongs to this experiment.
        as_text: Columns, as they were given, that are text whatever is fetched here.

    Raises:
        IntegrityError: A chunk of rows cannot be read.
        UnavailableError: The store is away.
    """
    fetcher = _Fetcher(session, asked, experiment, as_text)
    tables = {name: fetcher.table(name) for name in asked.tables if name != "events"}
    if "events" in asked.tables:
        tables["events"] = fetcher.table("events")
    return tables


def fetch_runs(session: Session, scope: Scope) -> list[Document]:
    """Return the documents of the runs that a scope covers, those of an experiment by start."""
    return _Fetcher(session, Asked({"runs": (scope,)})).runs_of("runs")


class _Fetcher:
    """Reads what a query needs of a store, each document once."""

    def __init__(
        self,
        session: Session,
        asked: Asked,
        experiment: str | None = None,
        as_text: frozenset[str] = NONE,
    ) -> None:
        self._session = session
        self._as_text = as_text
        self._columns = asked.columns
        self._scopes = {name: _within(scopes, experiment) for name, scopes in asked.tables.items()}
        self._experiments: list[str] | None = None
        self._runs: list[Document] | None = None

    def table(self, name: str) -> Any:
        match name:
            case "runs":
                return self._runs_table()
            case "results":
                return self._results_table()
            case "artifacts":
                return self._versions_table(name, self._artifact_owners())
            case "datasets":
                owners = self._session.documents.query(
                    Query(paths.datasets(self._session.project_path))
                )
                return self._versions_table(name, (one.path for one in owners))
            case "repositories":
                return self._repositories_table()
            case "files":
                return self._files_table()
        runs, part = self.runs_of(name), PARTS_OF_ROWS[name]
        return rows_table(self._session, runs, part, self._columns, self._as_text)

    def _table(self, name: str, rows: Sequence[Row], last: Sequence[str] = ()) -> Any:
        return _table(rows, COLUMNS[name], last, self._as_text)

    def _runs_table(self) -> Any:
        rows = [self._run_row(document) for document in self.runs_of("runs")]
        return self._table("runs", rows, _PARTS_OF_RUNS)

    def _run_row(self, document: Document) -> dict[str, Any]:
        record = codec.run_record(document.path, document.fields, document.updated_at)
        row = {
            **run_row(record),
            RUN_ID: record.id,
            "status": seen_status(record.status, document.updated_at, document.read_at),
            "notes": record.notes,
            "debug": record.debug,
            "created_by": record.created_by,
        }
        for name in _PARTS_OF_RUNS:
            row[name] = decode(document.fields.get(name)) if self._is_wanted(name) else None
        for name, value in row.items():
            if type(value) is LongText and self._is_wanted(name):
                row[name] = lengthen(self._session, value)
        return row

    def _is_wanted(self, name: str) -> bool:
        return self._columns is None or name.lower() in self._columns

    def _results_table(self) -> Any:
        rows = []
        scopes = self._scopes["results"]
        for path in self._experiment_paths(scopes):
            name = from_id(path.rpartition("/")[2])
            one_of = functools.partial(paths.result, path)
            for one in self._documents_in(paths.results(path), one_of, _ids(scopes, name)):
                line = {key: decode(value) for key, value in one.fields.items()}
                line.pop("run", None)
                rows.append({**line, EXPERIMENT: name, RUN_ID: from_id(one.id)})
        return self._table("results", rows)

    def _artifact_owners(self) -> Iterator[str]:
        for path in self._experiment_paths(self._scopes["artifacts"]):
            for one in self._session.documents.query(Query(paths.artifacts(path))):
                yield one.path

    def _versions_table(self, name: str, owners: Iterable[str]) -> Any:
        rows = []
        for owner in owners:
            found = kept(self._session.documents.query(Query(paths.versions(owner))))
            records = [codec.version_record(one.path, one.fields) for one in found]
            rows += [_version_row(one) for one in sorted(records, key=lambda one: one.version)]
        return self._table(name, rows)

    def _repositories_table(self) -> Any:
        """Return every version of every repository, as they were last begun anew."""
        documents = self._session.documents
        rows = []
        for place in documents.query(Query(paths.repositories(self._session.project_path))):
            below = paths.generation(place.path, generation_of(place) or 0)
            for owner in documents.query(Query(paths.artifacts(below))):
                found = kept(documents.query(Query(paths.versions(owner.path))))
                records = [codec.version_record(one.path, one.fields) for one in found]
                for one in sorted(records, key=lambda record: record.version):
                    row = _version_row(with_aliases(one, owner))
                    rows.append({**row, "repository": from_id(place.id)})
        return self._table("repositories", rows)

    def _files_table(self) -> Any:
        found = self._session.documents.query(Query(paths.FILES))
        rows = [
            {"sha256": one.id, **{k: decode(v) for k, v in one.fields.items()}} for one in found
        ]
        return self._table("files", rows)

    def runs_of(self, name: str) -> list[Document]:
        """Return the documents of the runs that a table is made of, read once for all tables."""
        if self._runs is None:
            wanted = [scope for one in _OF_RUNS for scope in self._scopes.get(one, ())]
            found = list(self._read_runs(wanted))
            self._runs = [*found, *self._unsent_runs(found, wanted)]
        scopes = self._scopes[name]
        return [one for one in self._runs if any(_covers(scope, one.path) for scope in scopes)]

    def _read_runs(self, scopes: Sequence[Scope]) -> Iterator[Document]:
        for path in self._experiment_paths(scopes):
            ids = _ids(scopes, from_id(path.rpartition("/")[2]))
            one_of = functools.partial(paths.run, path)
            yield from sorted(self._documents_in(paths.runs(path), one_of, ids), key=_start)

    def _documents_in(
        self, collection: str, path: Callable[[str], str], ids: set[str] | None
    ) -> Iterator[Document]:
        """Yield the documents of a collection, or those of these ids that there are."""
        if ids is None:
            yield from kept(self._session.documents.query(Query(collection)))
            return
        wanted = _possible(path, sorted(ids))
        for start in range(0, len(wanted), _READ_BATCH):
            found = self._session.documents.get_many(wanted[start : start + _READ_BATCH])
            yield from kept(one for one in found if one is not None)

    def _experiment_paths(self, scopes: Sequence[Scope]) -> list[str]:
        named = [scope.experiments for scope in scopes]
        if None not in named:
            names = {name for one in named for name in one or ()}
            one_of = functools.partial(paths.experiment, self._session.project_path)
            return [one.path for one in self._documents_in("", one_of, names)]
        if self._experiments is None:
            found = kept(
                self._session.documents.query(Query(paths.experiments(self._session.project_path)))
            )
            self._experiments = [one.path for one in found]
        return self._experiments

    def _unsent_runs(self, known: Sequence[Document], scopes: Sequence[Scope]) -> list[Document]:
        """Return the runs of this process that the store does not know yet."""
        paths_known = {one.path for one in known}
        now = self._session.clock()
        found = []
        for run in self._session.live_runs.runs():
            if isinstance(run, Run) and run.path not in paths_known:
                document = Document(run.path, dict(run.fields), "", now, now)
                found += [document] if any(_covers(one, run.path) for one in scopes) else []
        return found


def _within(scopes: Sequence[Scope], experiment: str | None) -> tuple[Scope, ...]:
    if experiment is None:
        return tuple(scopes)
    return tuple(one.narrowed(EXPERIMENT, frozenset({experiment})) for one in scopes)


def _ids(scopes: Sequence[Scope], experiment: str) -> set[str] | None:
    """Return the ids of the runs of an experiment that any scope covers; None for all."""
    ids = [one.runs for one in scopes if one.experiments is None or experiment in one.experiments]
    return None if None in ids else {id_ for one in ids for id_ in one or ()}


def _covers(scope: Scope, run_path: str) -> bool:
    parts = run_path.split("/")
    return scope.covers(from_id(parts[3]), from_id(parts[5]))


def _possible(path: Callable[[str], str], names: Iterable[str]) -> list[str]:
    """Return the paths of those names that anything can have."""
    found = []
    for name in names:
        with contextlib.suppress(InvalidValueError):
            found.append(path(name))
    return found


def _start(document: Document) -> tuple[str, int]:
    number = document.fields.get("number")
    return str(document.fields.get("started_at")), number if isinstance(number, int) else 0


def _version_row(record: VersionRecord) -> Row:
    known = {one: getattr(record, one) for one in _VERSION if one != "sha256"}
    own = {EXPERIMENT: record.experiment, RUN_ID: record.run, "sha256": record.digest}
    return {**known, **own, **record.extra}


def _table(
    rows: Sequence[Row],
    fixed: Mapping[str, Any],
    last: Sequence[str] = (),
    as_text: frozenset[str] = NONE,
) -> Any:
    """Return rows as a table that has the fixed columns, some after all others, and its own."""
    own = {name for row in rows for name in row} - fixed.keys()
    first = [name for name in fixed if name not in last]
    names = [*first, *in_order(own, ()), *last]
    types = {**dict.fromkeys(as_text, _TEXT), **{k: v for k, v in fixed.items() if v is not None}}
    columns = [_column([row.get(name) for row in rows], types.get(name)) for name in names]
    return named(columns, names)


def _column(values: Sequence[Any], wanted: Any) -> Any:
    if wanted == _TEXT:
        return pa.array([text(value) for value in values], _TEXT)
    column = array(values)
    if wanted is None or column.type == wanted:
        return column
    # Edited by hand, or of another version: shown as it is.
    return column.cast(wanted) if column.type in (pa.null(), pa.int64()) else column
