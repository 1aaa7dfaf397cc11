"""The port to documents: five verbs over paths, with preconditions carried by the writes.

A path alternates collection and id, `projects/p/experiments/e`. Fields are plain values (see
`aletheia_like.model.checking.check_fields`). Absence is `None`. Every implementation passes
`aletheia_like.testing.documents.DocumentStoreSuite`; the contract in short:

* `apply` is all or nothing, also under concurrency, and seen by every later read.
* What one store refuses all refuse, by the same error, before it writes (`check_writes`); every
  method refuses a path that no document can have.
* A revision changes with every write that changes the document, and is opaque otherwise.
* Queries order as Firestore does: null, booleans, numbers (NaN first), timestamps, text by its
  UTF-8 bytes, bytes, lists, maps; a comparison never crosses these types; a document without
  the field is neither matched nor, when ordered by it, returned. Ties are broken by id, in the
  direction of the last order; without an order, documents come by id.
* An update that changes nothing may keep the revision and the time of the last change.
* Datetimes come back in UTC, maps with their keys in any order.
* An instance may be used by many threads, and by a child after `fork`.
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.checking import check_fields, small_cost
from aletheia_like.model.sizes import name_size, value_size
from aletheia_like.model.values import (
    MAX_DOCUMENT_BYTES,
    FieldPath,
    Fields,
    Value,
    check_key,
    is_key,
)

MAX_WRITES = 500
"""Writes in one `apply`: what Firestore takes in one commit."""

MAX_APPLY_BYTES = 3_000_000
"""Bytes of fields in one `apply`: the emulator refuses messages over 4 MiB."""

MAX_IN = 30
"""Values an `in` filter may list; with several such filters, the product of their lengths."""

MAX_FILTER_BYTES = 1_500
"""Size of one value that a filter compares with: what fits into an entry of an index."""

MAX_CONDITIONS = 100
"""Filters and orders of one query together."""

MAX_LIMIT = 2**31 - 1
"""The largest limit of a query."""

MAX_PATH_BYTES = 5_888
"""Bytes of a path: Firestore's 6 KiB for a name, less what it puts before: project, database."""


class Removal(enum.Enum):
    """The type of `REMOVE`."""

    REMOVE = "remove"


REMOVE: Final = Removal.REMOVE
"""As the value of a change: take the field away."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read.

    Attributes:
        path: Where it is.
        fields: Its values; the caller's own copy.
        revision: Opaque; equal revisions mean equal fields.
        updated_at: When it last changed, by the store's clock.
        read_at: When it was read, by the same clock, so that the two can be compared.
    """

    path: str
    fields: dict[str, Value]
    revision: str
    updated_at: dt.datetime
    read_at: dt.datetime

    @property
    def id(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Create:
    """Store a new document; `AlreadyExistsError` if the path is taken."""

    path: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class Update:
    """Change some fields of an existing document and leave the others.

    Args:
        path: Where it is; `NotFoundError` if there is nothing.
        changes: New values by field path, or `REMOVE`. A path through something that is no map
            replaces it by one.
        if_revision: `ConflictError` unless the document exists in exactly this revision.
    """

    path: str
    changes: Mapping[FieldPath, Value | Removal]
    if_revision: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Take a document away, not the collections below it; nothing happens if there is none.

    Args:
        path: Where it is.
        if_revision: `ConflictError` unless the document exists in exactly this revision.
    """

    path: str
    if_revision: str | None = None


Write = Create | Update | Delete

Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "contains"]
RANGE_OPERATORS: Final[frozenset[str]] = frozenset({"<", "<=", ">", ">="})
_OPERATORS: Final = RANGE_OPERATORS | {"==", "!=", "in", "contains"}


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition: the field at `path` stands in `operator` to `value`.

    `in` takes a list of at most 30; `contains` asks whether a list holds the value. None and NaN
    go with `==` and `!=` only; `!=` leaves out documents whose field is absent or null. A value
    may take 1,500 bytes.
    """

    path: FieldPath
    operator: Operator
    value: Value

    def __post_init__(self) -> None:
        _check_field_path(self.path)
        if self.operator not in _OPERATORS:
            message = f"no such operator in a query: {self.operator!r}"
            raise InvalidValueError(message)
        check_fields({"value": self.value})
        if self.operator == "in" and not (
            isinstance(self.value, list) and 1 <= len(self.value) <= MAX_IN
        ):
            message = f"'in' takes a list of 1 to {MAX_IN} values: {self.value!r:.80}"
            raise InvalidValueError(message)
        members = self.value if self.operator == "in" else [self.value]
        unordered = any(member is None or _is_nan(member) for member in members)
        if unordered and self.operator not in ("==", "!="):
            message = f"None and NaN go with == and != only, not with {self.operator!r}"
            raise InvalidValueError(message)
        size = max(map(value_size, members))
        if size > MAX_FILTER_BYTES:
            message = f"a query compares with {size} bytes, the limit is {MAX_FILTER_BYTES}"
            raise InvalidValueError(message)


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by the field at `path`."""

    path: FieldPath
    descending: bool = False

    def __post_init__(self) -> None:
        _check_field_path(self.path)


@dataclass(frozen=True, slots=True)
class Query:
    """Documents directly in one collection.

    Attributes:
        collection: Path of the collection, `projects/p/experiments`.
        filters: All must hold. Ranges and `!=` may name one field only; at most one `!=`, one
            `contains`, and `in` filters whose lengths multiply to no more than 30.
        order_by: Must begin with the field of the range or `!=` filter, if there is one.
        limit: At most so many.
    """

    collection: str
    filters: tuple[Filter, ...] = ()
    order_by: tuple[Order, ...] = ()
    limit: int | None = None

    def __post_init__(self) -> None:
        check_path(self.collection, collection=True)
        if self.limit is not None and not 1 <= self.limit <= MAX_LIMIT:
            message = f"the limit of a query must be 1 to {MAX_LIMIT}, not {self.limit}"
            raise InvalidValueError(message)
        reason = _why_no_query(self)
        if reason:
            message = f"a query {reason}: {self.collection}"
            raise InvalidValueError(message)


def _why_no_query(query: Query) -> str | None:
    """Return what Firestore would object to, or None."""
    filters, orders = query.filters, query.order_by
    used = [one.operator for one in filters]
    ranged = {one.path for one in filters if one.operator in RANGE_OPERATORS | {"!="}}
    if len(ranged) > 1 or not ranged <= {one.path for one in orders[:1]}:
        return "may have range filters on one field only, and must be ordered by that field first"
    if len({one.path for one in orders}) < len(orders):
        return "is ordered twice by one field"
    if used.count("!=") > 1 or used.count("contains") > 1:
        return "may have one '!=' and one 'contains' at most"
    if math.prod(len(one.value) for one in filters if one.operator == "in") > MAX_IN:
        return f"may not combine 'in' filters to more than {MAX_IN} cases"
    if len(filters) + len(orders) > MAX_CONDITIONS:
        return f"may have {MAX_CONDITIONS} filters and orders at most"
    return None


class DocumentStore(Protocol):
    """Holds documents; see the module's docstring for the contract."""

    def get(self, path: str) -> Document | None:
        """Return the document at `path`, or None."""
        ...

    def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        """Return one answer for each path, in their order, read at one moment."""
        ...

    def query(self, query: Query) -> Iterator[Document]:
        """Yield the documents that match, in order."""
        ...

    def apply(self, writes: Sequence[Write]) -> list[str | None]:
        """Do all the writes or none; return each document's new revision, None for a deletion.

        Raises:
            AlreadyExistsError: A `Create` met a document.
            NotFoundError: An `Update` without `if_revision` met none.
            ConflictError: An `if_revision` does not hold, or the document is gone.
            InvalidValueError: See `check_writes`.
        """
        ...

    def close(self) -> None:
        """Free connections; may be called twice. The store opens again when it is used."""
        ...


@dataclass(slots=True)
class _Tally:
    paths: set[str] = field(default_factory=set)
    size: int = 0


def check_writes(writes: Sequence[Write]) -> None:
    """Refuse what no store takes, before anything is sent; every adapter's `apply` begins here.

    Raises:
        InvalidValueError: More than 500 writes or 3 MB, two writes to one path, a bad path or
            field, or a document over 1 MiB.
    """
    if len(writes) > MAX_WRITES:
        message = f"{len(writes)} writes in one apply, the limit is {MAX_WRITES}: split them"
        raise InvalidValueError(message)
    tally = _Tally()
    for write in writes:
        check_path(write.path)
        if write.path in tally.paths:
            message = f"two writes to one document in one apply: {write.path}"
            raise InvalidValueError(message)
        tally.paths.add(write.path)
        tally.size += _check_content(write)
    if tally.size > MAX_APPLY_BYTES and len(writes) > 1:
        message = f"{tally.size} bytes in one apply, the limit is {MAX_APPLY_BYTES}: split them"
        raise InvalidValueError(message)


def check_size(path: str, fields: Fields) -> int:
    """Refuse a document over Firestore's 1 MiB; stores call it on the outcome of an update too.

    Returns:
        The size of its fields.

    Raises:
        InvalidValueError: It is larger.
    """
    inside = value_size(fields)
    size = inside + name_size(path)
    if size > MAX_DOCUMENT_BYTES:
        message = (
            f"{path} would be {size} bytes, a document holds {MAX_DOCUMENT_BYTES}: "
            "add large values as artifacts"
        )
        raise InvalidValueError(message)
    return inside


def changed_fields(
    fields: Fields, changes: Mapping[FieldPath, Value | Removal]
) -> dict[str, Value]:
    """Return what `fields` become by an update; copies only the maps that change.

    Examples:
        >>> changed_fields({"m": {"a": 1}, "x": 2}, {("m", "b"): 3, ("x",): REMOVE})
        {'m': {'a': 1, 'b': 3}}
    """
    changed = dict(fields)
    copied: dict[int, dict[str, Value]] = {}
    for path, value in changes.items():
        _change_inside(changed, path, value, copied)
    return changed


def _change_inside(
    level: dict[str, Value],
    path: FieldPath,
    value: Value | Removal,
    copied: dict[int, dict[str, Value]],
) -> None:
    """Change one field below `level`, whose own copy the caller made.

    Each map is copied once, however many of its fields change; `copied` holds them by identity.
    """
    key, rest = path[0], path[1:]
    if rest:
        inner = level.get(key)
        if value is REMOVE and not isinstance(inner, dict):
            return
        if id(inner) not in copied:
            inner = dict(inner) if isinstance(inner, dict) else {}
            level[key] = copied[id(inner)] = inner
        _change_inside(copied[id(inner)], rest, value, copied)
    elif value is REMOVE:
        level.pop(key, None)
    else:
        level[key] = value


def check_path(path: str, *, collection: bool = False) -> str:
    """Return `path` if it names a document, or a collection.

    Raises:
        InvalidValueError: A part is empty, `.`, `..`, `__x__` or over 1,500 bytes, the whole is
            over 5,888 bytes, or the number of parts is odd for a document, even for a collection.
    """
    above, slash, last = path.rpartition("/") if isinstance(path, str) else ("", "", "")
    depth = _depth(above) if slash else 0
    wanted = 0 if collection else 1
    if (
        depth is None
        or depth % 2 != wanted
        or not _is_id(last)
        or (len(path) > MAX_PATH_BYTES // 4 and len(path.encode()) > MAX_PATH_BYTES)
    ):
        what = "collection" if collection else "document"
        message = f"not the path of a {what}: {path!r:.200}"
        raise InvalidValueError(message)
    return path


@functools.lru_cache(maxsize=256)
def _depth(path: str) -> int | None:
    """Return how many parts a path has, None if one of them is no id; many documents share it."""
    parts = path.split("/")
    return len(parts) if all(map(_is_id, parts)) else None


def _is_nan(value: Value) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_id(part: str) -> bool:
    if part in ("", ".", "..", "__", "___"):
        return False
    return is_key(part)


def _check_content(write: Write) -> int:
    match write:
        case Create(path, fields):
            cost = small_cost(fields)
            if cost is not None:
                return cost.size
            check_fields(fields)
            return check_size(path, fields)
        case Update(path, changes):
            return _check_changes(path, changes)
        case Delete():
            return 0


def _check_changes(path: str, changes: Mapping[FieldPath, Value | Removal]) -> int:
    if not changes:
        message = f"an update without changes: {path}"
        raise InvalidValueError(message)
    for field_path in changes:
        _check_field_path(field_path)
        if _has_around(field_path, changes):
            message = f"an update of {path} changes {'.'.join(field_path)} and something around it"
            raise InvalidValueError(message)
    kept = {key: value for key, value in changes.items() if value is not REMOVE}
    nested = _nest(kept)
    cost = small_cost(nested)
    if cost is not None:
        return cost.size
    check_fields(nested)
    check_size(path, nested)
    return value_size({".".join(key): value for key, value in kept.items()})


def _has_around(path: FieldPath, changes: Mapping[FieldPath, object]) -> bool:
    """Whether something around a field changes, too."""
    return len(path) > 1 and any(path[:length] in changes for length in range(1, len(path)))


def _nest(changes: Mapping[FieldPath, Value]) -> dict[str, Value]:
    nested: dict[str, Value] = {}
    for field_path, value in changes.items():
        level = nested
        for key in field_path[:-1]:
            level = level.setdefault(key, {})
        level[field_path[-1]] = value
    return nested


def _check_field_path(path: FieldPath) -> None:
    if not isinstance(path, tuple) or not path:
        message = f"a field path is a tuple of keys: {path!r:.80}"
        raise InvalidValueError(message)
    for key in path:
        check_key(key)
