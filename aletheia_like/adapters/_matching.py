"""What a query and a precondition mean, for the stores that have to work it out themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from aletheia_like.errors import AlreadyExistsError, ConflictError, NotFoundError
from aletheia_like.model.values import FieldPath, Fields, Value, equal
from aletheia_like.ports.documents import (
    RANGE_OPERATORS,
    REMOVE,
    Create,
    Delete,
    Document,
    Filter,
    Order,
    Removal,
    Update,
    Write,
)

T = TypeVar("T")

Key = tuple[Any, ...]
"""Compares as Firestore compares: the rank of the type first, then what is inside."""

Predicate = Callable[[Fields], bool]

_ABSENT = object()
_NAN: Key = (2, 0)


def compiled(filters: Sequence[Filter]) -> Predicate:
    """Return whether fields satisfy all filters, as a function."""
    predicates = [_predicate(one) for one in filters]

    def matches(fields: Fields) -> bool:
        return all(predicate(fields) for predicate in predicates)

    return matches


def ordered(documents: Iterable[Document], orders: Sequence[Order]) -> list[Document]:
    """Return the documents that have every field of `orders`, sorted as Firestore sorts them."""
    found = [
        (document, keys)
        for document in documents
        if None not in (keys := [_key_at(document.fields, one.path) for one in orders])
    ]
    downwards = bool(orders) and orders[-1].descending
    found.sort(key=lambda pair: pair[0].id, reverse=downwards)
    for position, one in reversed(list(enumerate(orders))):
        found.sort(key=lambda pair, at=position: pair[1][at], reverse=one.descending)  # type: ignore[misc]
    return [document for document, _ in found]


def value_key(value: Value) -> Key:
    """Return what sorts and equals as Firestore has it.

    Python compares an integer and a float exactly, and text by code point, which is the order of
    its UTF-8 bytes.

    Examples:
        >>> value_key(True) < value_key(-1) < value_key("") < value_key([]) < value_key({})
        True
        >>> value_key(1) == value_key(1.0)
        True
    """
    match value:
        case None:
            return (0,)
        case bool():
            return (1, value)
        case float() if math.isnan(value):
            return _NAN
        case int() | float():
            return (2, 1, value)
        case str():
            return (4, value)
        case bytes():
            return (5, value)
        case list():
            return (6, tuple(map(value_key, value)))
        case dict():
            return (7, tuple(sorted((key, value_key(inner)) for key, inner in value.items())))
        case _:
            return (3, value)


def check_precondition(write: Write, revision: str | None) -> None:
    """Refuse a write that the present state of its document does not allow.

    Args:
        write: What is to be done.
        revision: Of the document as it is; None if there is none.

    Raises:
        AlreadyExistsError: A `Create` met a document.
        NotFoundError: An `Update` without `if_revision` met none.
        ConflictError: `if_revision` is another.
    """
    match write:
        case Create(path) if revision is not None:
            message = f"there is a document at {path} already"
            raise AlreadyExistsError(message)
        case Update(path, if_revision=None) if revision is None:
            message = f"no document to update: {path}"
            raise NotFoundError(message)
        case Update(path, if_revision=wanted) | Delete(path, if_revision=wanted) if (
            wanted is not None and wanted != revision
        ):
            state = "changed" if revision else "was deleted"
            message = f"{path} {state} meanwhile: read it again and repeat"
            raise ConflictError(message)


def changes_nothing(fields: Fields, changes: Mapping[FieldPath, Value | Removal]) -> bool:
    """Whether an update would leave the fields as they are."""
    return all(
        (found is _ABSENT) if value is REMOVE else equal(found, value)
        for found, value in ((field_at(fields, path), value) for path, value in changes.items())
    )


def field_at(fields: Fields, path: FieldPath) -> Any:
    """Return the value at a path; something that equals no value if there is none."""
    level: Any = fields
    for key in path:
        if not isinstance(level, dict) or key not in level:
            return _ABSENT
        level = level[key]
    return level


def _key_at(fields: Fields, path: FieldPath) -> Key | None:
    value = field_at(fields, path)
    return None if value is _ABSENT else value_key(value)


def _predicate(one: Filter) -> Predicate:
    holds = _condition(one)

    def matches(fields: Fields) -> bool:
        found = field_at(fields, one.path)
        return found is not _ABSENT and holds(found)

    return matches


def _condition(one: Filter) -> Callable[[Value], bool]:
    """Return the condition on a field's value."""
    wanted = value_key(one.value)
    if one.operator in RANGE_OPERATORS:
        return _range(one.operator, wanted)
    match one.operator:
        case "==":
            return lambda found: value_key(found) == wanted
        case "!=":
            return lambda found: found is not None and value_key(found) != wanted
        case "in":
            keys = {value_key(member) for member in one.value}
            return lambda found: value_key(found) in keys
        case _:
            return lambda found: (
                isinstance(found, list) and any(value_key(item) == wanted for item in found)
            )


def _range(operator: str, wanted: Key) -> Callable[[Value], bool]:
    compare: Callable[[Key], bool] = {
        "<": wanted.__gt__,
        "<=": wanted.__ge__,
        ">": wanted.__lt__,
        ">=": wanted.__le__,
    }[operator]

    def holds(found: Value) -> bool:
        key = value_key(found)
        return key[0] == wanted[0] and key is not _NAN and compare(key)

    return holds
