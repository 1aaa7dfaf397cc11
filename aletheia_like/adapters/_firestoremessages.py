"""Documents, writes and queries as Firestore's messages, and back.

These functions fill and read protocol buffers that they are given; they know no client. Its own
conversion is not used: it stumbles over some field names, copies deeply, and accepts values that
Firestore then refuses.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.documents import REMOVE, Create, Delete, Document, Filter, Query, Update

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_OPERATORS = {
    "==": "EQUAL",
    "!=": "NOT_EQUAL",
    "<": "LESS_THAN",
    "<=": "LESS_THAN_OR_EQUAL",
    ">": "GREATER_THAN",
    ">=": "GREATER_THAN_OR_EQUAL",
    "in": "IN",
    "contains": "ARRAY_CONTAINS",
}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def quoted(path: FieldPath) -> str:
    """Return a field path as Firestore reads it.

    Examples:
        >>> quoted(("metrics", "val.acc"))
        'metrics.`val.acc`'
    """
    return ".".join(
        key
        if _PLAIN_KEY.fullmatch(key)
        else "`" + key.replace("\\", "\\\\").replace("`", "\\`") + "`"
        for key in path
    )


def set_value(message: Any, value: Value) -> None:
    """Fill the message of one value."""
    match value:
        case None:
            message.null_value = 0
        case bool():
            message.boolean_value = value
        case int():
            message.integer_value = value
        case float():
            message.double_value = value
        case str():
            message.string_value = value
        case bytes():
            message.bytes_value = value
        case dt.datetime():
            _set_moment(message.timestamp_value, value)
        case list():
            message.array_value.SetInParent()
            for item in value:
                set_value(message.array_value.values.add(), item)
        case _:
            message.map_value.SetInParent()
            for key, inner in value.items():
                set_value(message.map_value.fields[key], inner)


def value_of(message: Any) -> Any:
    """Return what a message holds; what only others store becomes its plainest likeness."""
    kind = message.WhichOneof("value_type")
    match kind:
        case "map_value":
            return {key: value_of(inner) for key, inner in message.map_value.fields.items()}
        case "array_value":
            return [value_of(item) for item in message.array_value.values]
        case "timestamp_value":
            return moment(message.timestamp_value)
        case "geo_point_value":
            point = message.geo_point_value
            return {"latitude": point.latitude, "longitude": point.longitude}
        case "null_value" | None:
            return None
    return getattr(message, kind)


def moment(stamp: Any) -> dt.datetime:
    """Return a timestamp in UTC, to the microsecond."""
    return _EPOCH + dt.timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1_000)


def revision(stamp: Any) -> str:
    """Return the time of an update with all its digits, as text."""
    return f"{stamp.seconds}.{stamp.nanos:09}"


def path_of(name: str) -> str:
    """Return the path in a document's full name, which may not say the project as we do."""
    return name.partition("/documents/")[2]


def document(message: Any, read_time: Any) -> Document:
    """Return a document that was read."""
    return Document(
        path_of(message.name),
        {key: value_of(inner) for key, inner in message.fields.items()},
        revision(message.update_time),
        moment(message.update_time),
        moment(read_time),
    )


def set_write(message: Any, write: Create | Update | Delete, prefix: str) -> None:
    """Fill the message of one write, its precondition included."""
    name = f"{prefix}{write.path}"
    match write:
        case Create(_, fields):
            message.update.name = name
            message.current_document.exists = False
            for key, value in fields.items():
                set_value(message.update.fields[key], value)
        case Update(_, changes, if_revision):
            message.update.name = name
            message.current_document.exists = True
            for path, change in changes.items():
                message.update_mask.field_paths.append(quoted(path))
                if change is not REMOVE:
                    set_value(_at(message.update.fields, path), change)
            _set_precondition(message.current_document, if_revision)
        case Delete(_, if_revision):
            message.delete = name
            _set_precondition(message.current_document, if_revision)


def set_query(message: Any, query: Query, size: int, after: Any) -> None:
    """Fill the message of a query for at most `size` documents, those after `after`."""
    message.from_.add(collection_id=query.collection.rpartition("/")[2])
    if query.filters:
        both = message.where.composite_filter
        both.MergeFrom(type(both)(op="AND"))
        for one in query.filters:
            _set_filter(both.filters.add(), one)
    for order in query.order_by:
        _add_order(message, quoted(order.path), descending=order.descending)
    # Ties are broken by id in the direction of the last field: that needs no index.
    last = bool(query.order_by) and query.order_by[-1].descending
    _add_order(message, "__name__", descending=last)
    message.limit.value = size
    if after is not None:
        message.start_at.before = False
        for order in query.order_by:
            message.start_at.values.add().CopyFrom(_at(after.fields, order.path))
        message.start_at.values.add().reference_value = after.name


def set_listening(message: Any, name: str, since: dt.datetime | None) -> None:
    """Fill the message that asks for changes in a collection, given its full name."""
    parent, _, collection = name.rpartition("/")
    message.target_id = 1
    message.query.parent = parent
    message.query.structured_query.from_.add(collection_id=collection)
    if since is not None:
        _set_moment(message.read_time, since)


def _set_filter(message: Any, one: Filter) -> None:
    field = {"field_path": quoted(one.path)}
    unary = "NULL" if one.value is None else "NAN"
    if one.value is None or (isinstance(one.value, float) and math.isnan(one.value)):
        operator = f"IS_NOT_{unary}" if one.operator == "!=" else f"IS_{unary}"
        message.unary_filter.MergeFrom(type(message.unary_filter)(field=field, op=operator))
        return
    kind = type(message.field_filter)
    message.field_filter.MergeFrom(kind(field=field, op=_OPERATORS[one.operator]))
    set_value(message.field_filter.value, one.value)


def _add_order(message: Any, path: str, *, descending: bool) -> None:
    direction = "DESCENDING" if descending else "ASCENDING"
    message.order_by.add(field={"field_path": path}, direction=direction)


def _at(fields: Any, path: FieldPath) -> Any:
    """Return the message of the value at `path`; maps on the way are made."""
    for key in path[:-1]:
        fields = fields[key].map_value.fields
    return fields[path[-1]]


def _set_precondition(message: Any, if_revision: str | None) -> None:
    if if_revision is not None:
        seconds, _, nanos = if_revision.partition(".")
        message.update_time.seconds = int(seconds)
        message.update_time.nanos = int(nanos)


def _set_moment(stamp: Any, value: dt.datetime) -> None:
    since = value - _EPOCH
    stamp.seconds = since.days * 86_400 + since.seconds
    stamp.nanos = since.microseconds * 1_000
