"""Flat tables of what is no row: runs, artifacts, data sets and their files, for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from aletheia_like.metastore.runcolumns import run_row
from aletheia_like.model import codec
from aletheia_like.model.names import from_id, to_id
from aletheia_like.model.rows import ABSENT, cell_text
from aletheia_like.model.values import INT64, LongText, encode
from aletheia_like.transfer.canonical import sorted_keys
from aletheia_like.transfer.source import Entry, is_run

RUNS, ARTIFACTS, DATASETS, FILES = "runs", "artifacts", "datasets", "files"

_KEYS: Mapping[str, tuple[str, ...]] = {
    RUNS: ("experiment", "run_id"),
    ARTIFACTS: ("experiment", "name", "version"),
    DATASETS: ("name", "version"),
    FILES: ("kind", "experiment", "name", "version", "path", "sha256", "size"),
}
_VERSION_COLUMNS = (
    "kind digest size files filename location uploaded type desc source partitions features "
    "aliases run commit created_at created_by"
).split()


def flat_tables(project: str, documents: Iterable[Entry]) -> dict[str, dict[str, list[Any]]]:
    """Return the cells of each table by column, in their stored form."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _KEYS}
    for found in documents:
        # The order of a map's keys is the store's own; columns shall come in one order.
        entry = replace(found, fields=sorted_keys(found.fields))
        match entry.path.split("/"):
            case _ if is_run(entry.path):
                rows[RUNS].append(_run(project, entry))
            case ["experiments", experiment, "artifacts", name, "versions", number]:
                known = {"experiment": from_id(experiment), "name": from_id(name)}
                rows[ARTIFACTS].append(_version(entry, {**known, "version": int(number)}))
            case ["datasets", name, "versions", number]:
                known = {"name": from_id(name)}
                rows[DATASETS].append(_version(entry, {**known, "version": int(number)}))
            case [*_, "versions", _, "files", _]:
                rows[FILES].append(_file(entry))
    return {name: _by_column(listed, _KEYS[name]) for name, listed in rows.items()}


def _run(project: str, entry: Entry) -> dict[str, Any]:
    path = f"projects/{to_id(project, 'project')}/{entry.path}"
    row = run_row(codec.run_record(path, entry.fields, None))
    return {"experiment": row.pop("experiment"), "run_id": row.pop("id"), **row}


def _version(entry: Entry, known: Mapping[str, Any]) -> dict[str, Any]:
    record = codec.version_record(entry.path, entry.fields)
    row = {name: getattr(record, name) for name in _VERSION_COLUMNS}
    row["run_id"] = row.pop("run")
    return {**known, **row, "aliases": list(record.aliases)}


def _file(entry: Entry) -> dict[str, Any]:
    parts = entry.path.split("/")
    is_dataset = parts[0] == "datasets"
    return {
        "kind": "dataset" if is_dataset else "artifact",
        "experiment": None if is_dataset else from_id(parts[1]),
        "name": from_id(parts[-5]),
        "version": int(parts[-3]),
        "path": entry.fields.get("path"),
        "sha256": entry.fields.get("sha256"),
        "size": entry.fields.get("size"),
    }


def _by_column(rows: list[dict[str, Any]], first: Iterable[str]) -> dict[str, list[Any]]:
    names = dict.fromkeys([*first, *(name for row in rows for name in row)])
    return {name: [_cell(row.get(name)) for row in rows] for name in names}


def _cell(value: Any) -> Any:
    """Return a value in the form that cells have; a missing one as a cell that is not there."""
    if value is None:
        return ABSENT
    if type(value) is int and value not in INT64:
        return str(value)
    if type(value) is LongText:
        # The documents beside it refer to the whole.
        return f"{value.head}…"
    if type(value) in (str, int, float, bool):
        return value
    # NaN inside a list is no JSON, but Python reads it.
    return json.loads(cell_text(encode(value)))
