"""What Spark reads: which columns there are, how a table is divided, and one of its parts."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.integrations.sparkoptions import Options
from aletheia_like.integrations.sparktypes import KEYS, Column, column_of, fitted
from aletheia_like.metastore.arrowcolumns import common_type, given_name, named
from aletheia_like.metastore.sqlparsing import EVERYTHING, EXPERIMENT, Asked, Scope
from aletheia_like.metastore.sqlrows import rows_table
from aletheia_like.metastore.sqltables import PARTS_OF_ROWS, fetch_runs, fetch_tables
from aletheia_like.model.names import from_id
from aletheia_like.model.rows import RUN_ID
from aletheia_like.ports.documents import Document

_BY_RUN = frozenset({"runs", *PARTS_OF_ROWS})
_BY_EXPERIMENT = frozenset({"results", "artifacts"})
_INFERRED_AT_ONCE = 64
_BATCH_ROWS = 10_000

T = TypeVar("T")

NARROWED_BY = {
    **dict.fromkeys(_BY_RUN, frozenset(KEYS)),
    "results": frozenset(KEYS),
    "artifacts": frozenset({EXPERIMENT}),
}
"""The columns by which less of a table is read, for those that have any."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one task reads.

    Attributes:
        options: Complete, for a machine that has no settings.
        scopes: Which of the table's experiments and runs.
    """

    options: Options
    scopes: tuple[Scope, ...]


def infer(options: Options) -> list[Column]:
    """Return the columns of a table, by reading it.

    Raises:
        NotFoundError: There is no such experiment.
        InvalidValueError: There is no column of a name that was asked for.
    """
    with options.open() as metastore:
        options.settled(metastore)
        scope = _scope(metastore, options, EVERYTHING)
        if options.table in PARTS_OF_ROWS:
            runs = _runs(metastore, options, scope, EVERYTHING)
            found = _columns_of_rows(metastore, options.table, runs)
        else:
            asked = Asked({options.table: (scope,)}, frozenset())
            table = fetch_tables(metastore.session, asked)[options.table]
            found = [column_of(field) for field in table.schema]
    return found if options.columns is None else _chosen(found, options)


def divide(options: Options, narrowed: Scope) -> list[Part]:
    """Return the parts of a table, in its order; none if nothing can be found.

    Args:
        options: What to read.
        narrowed: What filters let through.

    Raises:
        NotFoundError: There is no such experiment.
    """
    with options.open() as metastore:
        settled = options.settled(metastore)
        scope = _scope(metastore, options, narrowed)
        if options.table in _BY_RUN:
            found_runs = _runs(metastore, options, scope, narrowed)
            runs = [_ids(one.path) for one in found_runs]
            found = [_scopes_of(slice_) for slice_ in _slices(runs, options.partitions)]
        elif options.table in _BY_EXPERIMENT:
            names = _experiments(metastore, scope)
            found = [
                tuple(Scope(frozenset({name}), scope.runs) for name in slice_)
                for slice_ in _slices(names, options.partitions)
            ]
        else:
            found = [(EVERYTHING,)]
    return [Part(settled, scopes) for scopes in found]


def read(part: Part, columns: Sequence[Column]) -> Iterator[Any]:
    """Yield one part as batches of Arrow with these columns."""
    table = part.options.table
    own = [one for one in columns if one.is_renamed or one.name.lower() not in KEYS]
    asked = Asked({table: part.scopes}, frozenset(one.stored.lower() for one in own))
    as_text = frozenset(one.stored for one in own if str(one.type) == "string")
    with part.options.open() as metastore:
        found = fetch_tables(metastore.session, asked, as_text=as_text)[table]
        what = f"table {table!r} of project {metastore.project!r}"
    yield from fitted(found, columns, what).combine_chunks().to_batches(_BATCH_ROWS)


def _scope(metastore: Metastore, options: Options, narrowed: Scope) -> Scope:
    if options.run_id is not None:
        narrowed = narrowed.narrowed(RUN_ID, frozenset(options.run_id))
    if options.experiment is None:
        return narrowed
    metastore.experiment(options.experiment)
    return narrowed.narrowed(EXPERIMENT, frozenset({options.experiment}))


def _runs(metastore: Metastore, options: Options, scope: Scope, narrowed: Scope) -> list[Document]:
    """Return the runs of a scope.

    Raises:
        NotFoundError: An id that was asked for is nobody's; filters may name what there is not.
    """
    found = fetch_runs(metastore.session, scope)
    missing = set(options.run_id or ()) - {_ids(one.path)[1] for one in found}
    if missing and narrowed == EVERYTHING:
        where = (
            repr(options.experiment) if options.experiment else f"project {metastore.project!r}"
        )
        message = f"no run {', '.join(map(repr, sorted(missing)))} in {where}: see table 'runs'"
        raise NotFoundError(message)
    return found


def _columns_of_rows(metastore: Metastore, table: str, runs: Sequence[Document]) -> list[Column]:
    """Return the columns of all rows, without holding all of these at once."""
    kinds: dict[str, list[Any]] = {}
    keys: dict[str, Any] = {}
    session = metastore.session
    for start in range(0, len(runs) or 1, _INFERRED_AT_ONCE):
        batch = runs[start : start + _INFERRED_AT_ONCE]
        found = rows_table(session, batch, PARTS_OF_ROWS[table], frozenset()).slice(0, 0)
        keys = {name: found.column(name) for name in KEYS}
        for field in list(found.schema)[len(keys) :]:
            kinds.setdefault(given_name(field) or field.name, []).append(field.type)
    empty = [pa.array([], common_type(types)) for types in kinds.values()]
    return [column_of(field) for field in named(empty, list(kinds), keys).schema]


def _chosen(columns: Sequence[Column], options: Options) -> list[Column]:
    """Return the columns that were asked for by name."""
    exact = {one.name: one for one in columns}
    folded = {one.name.lower(): one for one in columns}
    chosen = []
    for name in options.columns or ():
        found = exact.get(name) or folded.get(name.lower())
        if found is None:
            near = difflib.get_close_matches(name, exact, 5, 0.5)
            advice = (
                f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(exact)}"
            )
            message = f"table {options.table!r} has no column {name!r}: {advice}"
            raise InvalidValueError(message)
        chosen.append(found)
    return chosen


def _experiments(metastore: Metastore, scope: Scope) -> list[str]:
    if scope.experiments is not None:
        return sorted(scope.experiments)
    return [one.name for one in metastore.experiments(debug=True)]


def _ids(run_path: str) -> tuple[str, str]:
    parts = run_path.split("/")
    return from_id(parts[3]), from_id(parts[5])


def _scopes_of(runs: Iterable[tuple[str, str]]) -> tuple[Scope, ...]:
    by_experiment: dict[str, set[str]] = {}
    for experiment, run in runs:
        by_experiment.setdefault(experiment, set()).add(run)
    return tuple(Scope(frozenset({name}), frozenset(ids)) for name, ids in by_experiment.items())


def _slices(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """Return items in at most so many slices of nearly the same length."""
    count = min(most, len(items))
    edges = [len(items) * place // count for place in range(count + 1)] if count else []
    return [items[start:end] for start, end in itertools.pairwise(edges)]
