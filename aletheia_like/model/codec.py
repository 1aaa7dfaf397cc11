"""Records to the fields of documents, and back.

Reading is tolerant: an unknown field is kept in `extra`, a missing or mangled one becomes its
default, so that a document edited by hand or written by another version stays readable.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from aletheia_like.model.names import from_id
from aletheia_like.model.records import (
    ArtifactUse,
    DatasetUse,
    Environment,
    ErrorInfo,
    ExperimentRecord,
    FileRecord,
    GitState,
    ModelInfo,
    ProjectRecord,
    RunRecord,
    VersionRecord,
)
from aletheia_like.model.values import FieldPath, Fields, Value, decode, encode

SCHEMA_VERSION = 1
"""Written into every document; readers accept any up to this one."""

R = TypeVar("R")

_CONTAINERS = frozenset({str, tuple, dict})
_IN_PATH = {
    RunRecord: ("project", "experiment", "id", "updated_at"),
    ExperimentRecord: (),
    ProjectRecord: (),
}


def to_fields(record: Any) -> dict[str, Value]:
    """Return the fields of a record's document; what is None or empty is left out.

    Raises:
        InvalidValueError: A value in the record has no storable form.
    """
    fields: dict[str, Value] = {"schema_version": SCHEMA_VERSION}
    skipped = _IN_PATH.get(type(record), ())
    for one in dataclasses.fields(record):
        value = getattr(record, one.name)
        if one.name == "extra":
            fields.update({key: encode(inner, (key,)) for key, inner in value.items()})
        elif one.name not in skipped and not _is_empty(value):
            fields[one.name] = to_value(value, (one.name,))
    return fields


def to_value(value: Any, where: FieldPath = ()) -> Value:
    """Return the storable form of a value or of a nested record."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            one.name: to_value(inner, (*where, one.name))
            for one in dataclasses.fields(value)
            if one.name != "extra" and not _is_empty(inner := getattr(value, one.name))
        }
        return {**encode(getattr(value, "extra", {}), where), **fields}
    if isinstance(value, Mapping) and any(map(dataclasses.is_dataclass, value.values())):
        return encode({key: to_value(inner, (*where, key)) for key, inner in value.items()}, where)
    return encode(value, where)


def project_record(path: str, fields: Fields) -> ProjectRecord:
    """Read the document of a project."""
    return _read(ProjectRecord, fields, name=from_id(path.rpartition("/")[2]))


def experiment_record(path: str, fields: Fields) -> ExperimentRecord:
    """Read the document of an experiment."""
    return _read(ExperimentRecord, fields, name=from_id(path.rpartition("/")[2]))


def run_record(path: str, fields: Fields, updated_at: dt.datetime | None) -> RunRecord:
    """Read the document of a run; whose it is stands in its path."""
    return RunRecord(**run_values(path, fields, updated_at))


def run_values(path: str, fields: Fields, updated_at: dt.datetime | None) -> dict[str, Any]:
    """Return the attributes of a run's record that are not as they are by default."""
    parts = path.split("/")
    return _values(
        RunRecord,
        fields,
        project=from_id(parts[1]),
        experiment=from_id(parts[3]),
        id=from_id(parts[5]),
        updated_at=updated_at,
    )


def run_readers() -> Mapping[str, Callable[[Value], Any]]:
    """Return how to read each field of a run's document; None is as if there were none."""
    return _readers_of(cast("Any", RunRecord))


def version_record(path: str, fields: Fields) -> VersionRecord:
    """Read the document of one version of an artifact or dataset."""
    parts = path.split("/")
    known = {"name": from_id(parts[-3]), "version": int(parts[-1])}
    return _read(VersionRecord, {"kind": "file", **fields}, **known)


def file_record(fields: Fields) -> FileRecord:
    """Read the document of one file of a version."""
    return FileRecord(fields["path"], fields["sha256"], fields["size"])


def _read(cls: type[R], fields: Fields, **known: Any) -> R:
    return cls(**_values(cls, fields, **known))


def _values(cls: type, fields: Fields, **known: Any) -> dict[str, Any]:
    readers = _readers_of(cast("Any", cls))
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, stored in fields.items():
        if key in known:
            continue
        reader = readers.get(key)
        if reader is None:
            if key != "schema_version":
                extra[key] = decode(stored)
        elif (value := reader(stored)) is not None:
            values[key] = value
    if extra and hasattr(cls, "extra"):
        values["extra"] = extra
    return values | known


@functools.cache
def _readers_of(cls: type) -> Mapping[str, Callable[[Value], Any]]:
    """Return how to read each field of a record; whatever else there is goes to `extra`."""
    names = (one.name for one in dataclasses.fields(cls) if one.name != "extra")
    return {name: _READERS.get((cls, name), _READERS.get(name, decode)) for name in names}


def _nested(cls: type[R]) -> Callable[[Value], R | None]:
    def read(stored: Value) -> R | None:
        if not isinstance(stored, Mapping):
            return None
        try:
            return _read(cls, stored)
        except TypeError:
            return None

    return read


def _nested_map(cls: type[R]) -> Callable[[Value], dict[str, R] | None]:
    def read(stored: Value) -> dict[str, R] | None:
        decoded = decode(stored)
        if not isinstance(decoded, Mapping):
            return None
        one = _nested(cls)
        return {
            from_id(key): use for key, inner in decoded.items() if (use := one(inner)) is not None
        }

    return read


def _texts(stored: Value) -> tuple[str, ...] | None:
    return tuple(map(str, stored)) if isinstance(stored, list) else None


def _text(stored: Value) -> str | None:
    return stored if isinstance(stored, str) else None


def _moment(stored: Value) -> dt.datetime | None:
    return stored if isinstance(stored, dt.datetime) else None


def _count(stored: Value) -> int | None:
    return stored if isinstance(stored, int) and not isinstance(stored, bool) else None


def _map(stored: Value) -> Mapping[str, Any] | None:
    decoded = decode(stored)
    return decoded if isinstance(decoded, Mapping) else None


_READERS: Mapping[Any, Callable[[Value], Any]] = {
    "model": _nested(ModelInfo),
    "git": _nested(GitState),
    "environment": _nested(Environment),
    "error": _nested(ErrorInfo),
    "datasets": _nested_map(DatasetUse),
    (RunRecord, "artifacts"): _nested_map(ArtifactUse),
    "metrics": _map,
    "summary": _map,
    "summary_of_others": _map,
    **dict.fromkeys(("tags", "aliases", "command", "gpus"), _texts),
    (GitState, "files"): _texts,
    (VersionRecord, "files"): _count,
    **{(VersionRecord, one): _map for one in ("options", "load_options", "libraries")},
    **{(VersionRecord, one): _text for one in ("handler", "media_type")},
    **dict.fromkeys(("number", "next_run_number", "size", "version"), _count),
    (ModelInfo, "version"): _text,
    **dict.fromkeys(
        (
            "created_at",
            "started_at",
            "resumed_at",
            "ended_at",
            "heartbeat_at",
            "expires_at",
            "deleted_at",
        ),
        _moment,
    ),
}


def _is_empty(value: Any) -> bool:
    if value is None or type(value) in _CONTAINERS:
        return not value
    return isinstance(value, str | tuple | Mapping) and not value
