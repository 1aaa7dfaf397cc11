"""Finds runs: what a store can search by its own indexes is asked of it, all else decided here.

What a store is asked only narrows the search: every run that comes back is looked at again. So the
answer is the same on every store.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.changes import seen_record
from aletheia_like.metastore.marks import is_deleted, kept
from aletheia_like.metastore.planning import MOMENTS, best, plan
from aletheia_like.metastore.runcolumns import run_row
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.tables import Runs
from aletheia_like.model import codec, paths
from aletheia_like.model.bulk import uncollected
from aletheia_like.model.conditions import (
    Column,
    Condition,
    Part,
    comparisons,
    find,
    first_keys,
    holds,
    moment,
    sort_key,
)
from aletheia_like.model.conditiontext import parse_column, parse_condition, pointed
from aletheia_like.model.names import from_id
from aletheia_like.model.records import RunRecord
from aletheia_like.ports.documents import Document, Filter, Order, Query

_KNOWN = frozenset(RunRecord.__dataclass_fields__) - {"extra", "token"} | {"seconds", "commit"}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "seconds": ("started_at", "ended_at", "seconds"),
    "commit": ("git", "commit"),
}
"""The fields of a document that a column is made of, if they have other names."""

_MAPS = frozenset({"hyper_params", "metrics"})
_STARTED = Column((Part("started_at"),))
_NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)
_SUGGESTIONS = 3
_MANY = 1_000_000
"""Of a limit beyond it no store is asked: it is as good as none, and too large for some."""
_LIKE_SQL = re.compile(r",|\s(?:asc|desc)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Search:
    """A question about runs.

    Attributes:
        where: The condition, as it was written.
        condition: What it means; None for all runs.
        order: By which column; None for the order in which they started.
        descending: Greatest first.
        limit: At most so many.
        debug: Whether trial runs are shown.
        deleted: Whether deleted runs are shown.
    """

    where: str = ""
    condition: Condition | None = None
    order: Column | None = None
    descending: bool = False
    limit: int | None = None
    debug: bool = False
    deleted: bool = False


def understood(
    where: str | None,
    order_by: str | None,
    limit: int | None,
    *,
    debug: bool,
    deleted: bool = False,
) -> Search:
    """Return the question that these words ask.

    Raises:
        InvalidValueError: They cannot be understood.
    """
    _check(order_by, limit)
    condition = None if where is None else parse_condition(where)
    _check_moments(condition, where or "")
    order = None if order_by is None else parse_column(order_by.removeprefix("-"))
    descending = order_by is not None and order_by.startswith("-")
    return Search(where or "", condition, order, descending, limit, debug, deleted)


def _check(order_by: object, limit: object) -> None:
    if limit is not None and (type(limit) is not int or limit < 1):
        message = f"limit is a whole number, at least 1, not {limit!r}"
        raise InvalidValueError(message)
    if order_by is not None and not isinstance(order_by, str):
        message = f"order_by is the name of a column, such as '-metrics.acc', not {order_by!r:.80}"
        raise InvalidValueError(message)


def find_runs(session: Session, collections: Sequence[str], asked: Search) -> Runs:
    """Return the runs that answer a question.

    Args:
        session: The metastore.
        collections: Paths of the collections to search.
        asked: The question.

    Raises:
        InvalidValueError: It names a column that no run has.
    """
    with uncollected():
        reader = _Reader(asked)
        found = _first(session, collections, asked, reader)
        if found is None:
            found = [
                one
                for collection in collections
                for one in _united(session, plan(asked.condition, collection))
            ]
            _check_names(session, collections, asked, found)
            found = reader.ordered(filter(reader.answers, found))
        _check_order(asked.order, found, reader)
        return Runs(found[: asked.limit])


def find_run(session: Session, experiment_path: str, key: str) -> Document | None:
    """Return the run of this id, else the newest of this name, else None."""
    collection = paths.runs(experiment_path)
    try:
        found = session.documents.get(paths.run(experiment_path, key))
        named = Query(collection, (Filter(("name",), "==", key),))
    except InvalidValueError:
        # What cannot be a name is the name of no run.
        return None
    if found is not None and not is_deleted(found.fields):
        return found
    return max(kept(session.documents.query(named)), key=_start, default=None)


def existing_run(
    session: Session, experiment_path: str, key: str | int, *, debug: bool
) -> Document:
    """Return the run of this id, else the newest of this name; -1 is the newest of all.

    Raises:
        NotFoundError: There is no such run.
        InvalidValueError: It is neither a text nor a whole number.
    """
    if type(key) not in (int, str):
        message = f"a run is opened by its id, its name, or -1 for the newest, not by {key!r:.80}"
        raise InvalidValueError(message)
    if isinstance(key, int) and key < 0:
        newest = Search(order=_STARTED, descending=True, limit=-key, debug=debug)
        documents = find_runs(session, [paths.runs(experiment_path)], newest).documents
        found = documents[-1] if len(documents) == -key else None
        what = "has no runs" if key == -1 else f"has no {-key} runs"
    else:
        found = find_run(session, experiment_path, str(key))
        what = f"has no run of the id or name {str(key)!r}, or it was deleted"
    if found is None:
        name = from_id(experiment_path.rpartition("/")[2])
        message = f"experiment {name!r} of {session.project!r} {what}"
        raise NotFoundError(message)
    return found


class _Reader:
    """Reads of each run what the question is about, once."""

    def __init__(self, asked: Search) -> None:
        self._asked = asked
        columns = (*columns_of(asked), _STARTED)
        self._wanted = {name for column in columns for name in _fields_of(column)}
        self._records: dict[str, RunRecord] = {}

    def answers(self, document: Document) -> bool:
        """Whether a run is part of the answer."""
        if document.fields.get("debug") and not self._asked.debug:
            return False
        if is_deleted(document.fields) and not self._asked.deleted:
            return False
        condition = self._asked.condition
        if condition is None:
            return True
        return holds(condition, lambda column: self._value(document, column))

    def ordered(self, documents: Iterable[Document]) -> list[Document]:
        """Return runs in the order that was asked for; those without the column come last."""
        found = sorted(documents, key=_start)
        if self._asked.order is None:
            return found
        groups: dict[float, list[tuple[Any, Document]]] = {}
        for document in found:
            rank, key = self.key(document, self._asked.order) or (float("inf"), 0)
            groups.setdefault(rank, []).append((key, document))
        return [
            document
            for rank in sorted(groups)
            for _, document in sorted(
                groups[rank], key=lambda pair: pair[0], reverse=self._asked.descending
            )
        ]

    def key(self, document: Document, column: Column) -> tuple[int, Any] | None:
        """Return what a run is sorted by; None if that is missing."""
        return sort_key(self._value(document, column))

    def _value(self, document: Document, column: Column) -> Any:
        if column.head in _MAPS and len(column.parts) > 1:
            # To make a record for one number takes five times as long.
            stored = document.fields.get(column.head)
            return find(codec.run_readers()[column.head](stored), column.parts[1:])
        return _value(self._record(document), column)

    def _record(self, document: Document) -> RunRecord:
        record = self._records.get(document.path)
        if record is None:
            fields = document.fields
            wanted = {name: fields[name] for name in self._wanted if name in fields}
            record = self._records[document.path] = seen_record(document, wanted)
        return record


def _start(document: Document) -> tuple[dt.datetime, int]:
    started, number = document.fields.get("started_at"), document.fields.get("number")
    return (
        started if isinstance(started, dt.datetime) else _NEVER,
        number if isinstance(number, int) else 0,
    )


def columns_of(asked: Search) -> Iterator[Column]:
    """Yield the columns that a question names."""
    for one in () if asked.condition is None else comparisons(asked.condition):
        yield one.column
        if isinstance(one.value, Column):
            yield one.value
    if asked.order is not None:
        yield asked.order


def _fields_of(column: Column) -> Iterable[str]:
    if column.head in _KNOWN:
        return _FIELDS.get(column.head, (column.head,))
    return list(first_keys(column.parts))


def _value(record: RunRecord, column: Column) -> Any:
    head, rest = column.head, column.parts[1:]
    if head not in _KNOWN or head in record.extra:
        return find(record.extra, column.parts)
    if rest:
        return find(getattr(record, head, None), rest)
    if head == "seconds":
        return record.duration.total_seconds() if record.duration else None
    if head == "commit":
        return record.git.commit if record.git else None
    if head == "model":
        return record.model.name if record.model else None
    return getattr(record, head)


def _united(session: Session, queries: Sequence[Query]) -> list[Document]:
    """Return what any of the queries finds, once."""
    found = {one.path: one for query in queries for one in session.documents.query(query)}
    return list(found.values())


def _first(
    session: Session, collections: Sequence[str], asked: Search, reader: _Reader
) -> list[Document] | None:
    """Return the first runs of an order without reading all; None if that is not possible."""
    if asked.limit is None or asked.limit > _MANY:
        return None
    column = asked.order or _STARTED
    found: dict[str, Document] = {}
    ends: list[Any] = []
    for collection in collections:
        how = best(asked.condition, column, asked.limit, collection, descending=asked.descending)
        if how is None:
            return None
        first = list(session.documents.query(how.first))
        if len(first) == how.first.limit:
            ends.append(reader.key(first[-1], column))
        found |= {one.path: one for one in (*first, *_united(session, how.odd))}
    rank = 1 if column.head in MOMENTS else 0
    known = [one for one in found.values() if (reader.key(one, column) or (-1,))[0] == rank]
    sure = [
        one
        for one in reader.ordered(filter(reader.answers, known))
        if all(_is_before(reader.key(one, column), end, asked) for end in ends)
    ]
    if len(sure) < asked.limit:
        return None
    _check_names(session, collections, asked, list(found.values()))
    return sure


def _is_before(key: Any, end: Any, asked: Search) -> bool:
    """Whether nothing that was left out can come before, nor beside."""
    return bool(key > end if asked.descending else key < end)


def _check_order(order: Column | None, found: Sequence[Document], reader: _Reader) -> None:
    """Refuse an order in words of SQL: it would be the name of a column that no run has."""
    if order is None or not found or not _LIKE_SQL.search(order.name):
        return
    if not any(reader.key(one, order) for one in found):
        message = (
            f"cannot order by it: no run has {order.name!r}; order_by is the name of one column, "
            "with a minus before it for the greatest first, such as '-metrics.acc'"
        )
        raise InvalidValueError(message)


def _check_moments(condition: Condition | None, where: str) -> None:
    for one in () if condition is None else comparisons(condition):
        members = one.value if one.operator == "in" else (one.value,)
        for value in members:
            is_moment = one.column.name in {*MOMENTS, "updated_at"} and isinstance(value, str)
            if is_moment and moment(value) is None and one.operator not in _TEXTUAL:
                message = (
                    f"{one.column.name} is a moment: compare it with a text such as "
                    f"'2026-01-31' or '2026-01-31T12:00', not {value!r}\n"
                    f"{pointed(where, one.column.at)}"
                )
                raise InvalidValueError(message)


_TEXTUAL = frozenset({"contains", "startswith"})


def _check_names(
    session: Session, collections: Sequence[str], asked: Search, found: Sequence[Document]
) -> None:
    """Refuse a column that no run has, unless there are no runs."""
    for column in columns_of(asked):
        if column.head in _KNOWN:
            continue
        names = dict.fromkeys(_fields_of(column))
        if any(name in one.fields for one in found for name in names):
            continue
        if not any(
            _has_field(session, collection, name) for collection in collections for name in names
        ):
            _refuse(session, collections, asked, column)


def _has_field(session: Session, collection: str, name: str) -> bool:
    query = Query(collection, order_by=(Order((name,)),), limit=1)
    return any(True for _ in session.documents.query(query))


def _refuse(session: Session, collections: Sequence[str], asked: Search, column: Column) -> None:
    known = {
        name
        for collection in collections
        for one in session.documents.query(Query(collection))
        for name in run_row(seen_record(one))
    }
    if not known:
        return
    message = f"no run has {column.name!r}"
    similar = _similar(column, known | _KNOWN)
    if similar:
        message += f": did you mean {' or '.join(map(repr, similar))}?"
    if column is asked.order:
        message = f"cannot order by it: {message}"
    elif column not in [one.column for one in comparisons(asked.condition)]:  # type: ignore[arg-type]
        message += f"; a text has quotes: {column.name!r}"
    if column is not asked.order:
        message += f"\n{pointed(asked.where, column.at)}"
    raise InvalidValueError(message)


def _similar(column: Column, known: Iterable[str]) -> list[str]:
    last = f".{column.parts[-1].text}"
    same = sorted(name for name in known if name.endswith(last))
    folded = {name.casefold(): name for name in sorted(known)}
    near = difflib.get_close_matches(column.name.casefold(), folded, _SUGGESTIONS)
    return same[:_SUGGESTIONS] or [folded[name] for name in near]
