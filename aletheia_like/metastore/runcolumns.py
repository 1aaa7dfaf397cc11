"""What a table shows of runs: one as a row, many as columns.

Many are read column by column. To make a row of each first would take three times as long.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from aletheia_like.metastore.depending import DEPENDENCIES
from aletheia_like.metastore.keeping import USED
from aletheia_like.model import codec
from aletheia_like.model.names import from_id
from aletheia_like.model.parameters import LEAVES, flattened
from aletheia_like.model.records import RunRecord, lasted, seen_status
from aletheia_like.model.values import Fields, Value, decode
from aletheia_like.ports.documents import Document

RUN_COLUMNS: Final = tuple(
    "experiment id number name status fold model started_at ended_at seconds commit tags parent "
    "desc".split()
)
"""The columns that every run has."""

_UNSHOWN: Final = frozenset({"schema_version", "updated_by", DEPENDENCIES, USED})
"""Fields of a run that are neither of its record nor for a table."""

_PLAIN_FIELDS: Final = ("number", "name", "fold", "started_at", "ended_at", "parent", "desc")
"""Columns that show a field of their name as it is read."""


class _Columns(dict[str, list[Any]]):
    """Cells by the names of columns.

    Args:
        length: Of each column.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length = length

    def put(self, name: str, places: Sequence[int], cells: Iterable[Any]) -> None:
        """Set cells at these places, in the place of what another field put there."""
        if len(places) == self._length:
            self[name] = list(cells)
            return
        column = self.setdefault(name, [None] * self._length)
        for place, cell in zip(places, cells, strict=True):
            column[place] = cell


def run_row(record: RunRecord) -> dict[str, Any]:
    """Return a run as one flat row."""
    duration = record.duration
    row: dict[str, Any] = {
        "experiment": record.experiment,
        "id": record.id,
        "number": record.number,
        "name": record.name,
        "status": record.status,
        "fold": record.fold,
        "model": record.model.name if record.model else None,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "seconds": duration.total_seconds() if duration else None,
        "commit": record.git.commit if record.git else None,
        "tags": list(record.tags),
        "parent": record.parent,
        "desc": record.desc,
    }
    if isinstance(record.hyper_params, Mapping):
        row |= flattened(record.hyper_params, "hyper_params.")
    row |= flattened(record.metrics, "metrics.")
    if record.deleted_at is not None:
        row["deleted_at"] = record.deleted_at
    return row | {name: value for name, value in record.extra.items() if name not in _UNSHOWN}


def run_columns(documents: Sequence[Document]) -> Mapping[str, list[Any]]:
    """Return the columns of a table of runs: what `run_row` shows of each, and None elsewhere."""
    columns = _Columns(len(documents))
    if not documents:
        return columns
    fields = [one.fields for one in documents]
    read = {name: _read(name, fields) for name in _PLAIN_FIELDS}
    parts = [one.path.split("/") for one in documents]
    columns["experiment"] = [from_id(part[3]) for part in parts]
    columns["id"] = [from_id(part[5]) for part in parts]
    columns |= read
    columns["status"] = _statuses(documents)
    columns["model"] = [one and one.name for one in _read("model", fields)]
    columns["commit"] = [one and one.commit for one in _read("git", fields)]
    columns["tags"] = [list(one or ()) for one in _read("tags", fields)]
    columns["seconds"] = _seconds(documents, read["started_at"], read["ended_at"])
    for name in ("hyper_params", "metrics"):
        _spread(columns, name, [one.get(name) for one in fields])
    deleted = _read("deleted_at", fields)
    if any(deleted):
        columns["deleted_at"] = deleted
    _put_free(columns, fields)
    return columns


def _read(name: str, fields: Sequence[Fields]) -> list[Any]:
    reader = codec.run_readers()[name]
    stored = [one.get(name) for one in fields]
    if set(map(type, stored)) == {type(None)}:
        return stored
    return [None if value is None else reader(value) for value in stored]


def _statuses(documents: Sequence[Document]) -> list[Any]:
    stored = _read("status", [one.fields for one in documents])
    return [
        seen_status("running" if status is None else status, one.updated_at, one.read_at)
        for status, one in zip(stored, documents, strict=True)
    ]


def _seconds(
    documents: Sequence[Document],
    begins: Sequence[dt.datetime | None],
    ends: Sequence[dt.datetime | None],
) -> list[float | None]:
    durations = (
        lasted(begun, ended or one.updated_at)
        for begun, ended, one in zip(begins, ends, documents, strict=True)
    )
    return [one.total_seconds() if one else None for one in durations]


def _spread(columns: _Columns, name: str, stored: Sequence[Value]) -> None:
    """Put the leaves of nested maps; those of maps with the same keys together."""
    alike: dict[tuple[str, ...], list[int]] = {}
    for place, one in enumerate(stored):
        if type(one) is dict:
            alike.setdefault(tuple(one), []).append(place)
    for keys, places in alike.items():
        if len(keys) == 1 and keys[0].startswith("@"):
            # It stands for a value that has no form of its own, such as a map with odd keys.
            for place in places:
                _put_leaves(columns, place, decode(stored[place]), f"{name}.")
            continue
        cells = zip(*(stored[place].values() for place in places), strict=True)
        for key, column in zip(keys, cells, strict=True):
            _put_column(columns, f"{name}.{key}", places, column)


def _put_column(
    columns: _Columns, name: str, places: Sequence[int], cells: Sequence[Value]
) -> None:
    if LEAVES.issuperset(map(type, cells)):
        columns.put(name, places, cells)
        return
    for place, cell in zip(places, cells, strict=True):
        _put_leaves(columns, place, {name: decode(cell)})


def _put_leaves(columns: _Columns, place: int, values: Any, prefix: str = "") -> None:
    if isinstance(values, Mapping):
        for name, leaf in flattened(values, prefix).items():
            columns.put(name, (place,), (leaf,))


def _put_free(columns: _Columns, fields: Sequence[Fields]) -> None:
    """Put the fields that people set, or that another version wrote."""
    names = set[str]().union(*fields).difference(codec.run_readers(), _UNSHOWN)
    for name in names:
        places = [place for place, one in enumerate(fields) if name in one]
        columns.put(name, places, [decode(fields[place][name]) for place in places])
