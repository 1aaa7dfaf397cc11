"""What the columns of a run's rows ended with: texts, files and objects, which no summary has."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from aletheia_like.metastore.assets import FILE
from aletheia_like.metastore.reading import NOTHING_UNSENT, read_columns
from aletheia_like.metastore.session import Session
from aletheia_like.model.rows import ABSENT
from aletheia_like.model.values import Value, decode


def last_values(session: Session, run_path: str) -> dict[str, Any]:
    """Return the last value of every column, files and long values by their sha-256.

    Moments and log files are left out: they never repeat. A read for each chunk of rows.
    """
    columns = read_columns(session, run_path, NOTHING_UNSENT)
    found: dict[str, Any] = {}
    for name, cells in columns.cells.items():
        there = [one for one in cells if one is not None and one is not ABSENT]
        shown = _comparable(there[-1]) if there and not any(map(_is_log, there)) else None
        if shown is not None:
            found[name] = shown
    return found


def _is_log(cell: Value) -> bool:
    file = cell.get(FILE) if isinstance(cell, Mapping) else None
    return isinstance(file, Mapping) and "live" in file


def _comparable(cell: Value) -> Any:
    if isinstance(cell, list):
        return [_comparable(one) for one in cell]
    if not isinstance(cell, Mapping):
        return None if isinstance(cell, dt.datetime) else cell
    file = cell.get(FILE)
    if isinstance(file, Mapping):
        return file.get("sha256")
    for tag in ("@text", "@json"):
        content = cell.get(tag)
        if isinstance(content, list | tuple) and content:
            return content[0]
    if any(str(key).startswith("@") for key in cell):
        plain = decode(cell)
        return None if isinstance(plain, dt.datetime) else plain
    return {key: _comparable(one) for key, one in cell.items()}
