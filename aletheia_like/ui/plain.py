"""Values as JSON that browsers read, and as text that people read."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aletheia_like.metastore.assets import File
from aletheia_like.metastore.texttable import cell_text


def to_json(value: Any) -> str:
    """Return a value as valid JSON: NaN and infinities are null, moments ISO 8601."""
    return json.dumps(jsonable(value), ensure_ascii=False, separators=(",", ":"))


def jsonable(value: Any) -> Any:
    """Return a value made only of what JSON has."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
        case dt.datetime() | dt.date():
            return value.isoformat()
        case Mapping():
            return {str(key): jsonable(inner) for key, inner in value.items()}
        case File():
            return {"name": value.name, "sha256": value.digest, "size": value.size}
        case Path():
            return str(value)
        case list() | tuple() | set() | frozenset():
            return [jsonable(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (one.name for one in dataclasses.fields(value))
        return {name: jsonable(getattr(value, name)) for name in names}
    return str(value)


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as comma-separated values; maps and lists are JSON."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_csv_cell(row.get(name)) for name in columns] for row in rows)
    return text.getvalue()


def shown(value: Any) -> str:
    """Return a value as people read it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case dt.datetime():
            return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        case File():
            return value.name
        case Mapping():
            return ", ".join(f"{key}={shown(inner)}" for key, inner in value.items())
        case list() | tuple():
            return ", ".join(map(shown, value))
    return cell_text(value)


def _csv_cell(value: Any) -> Any:
    plain = jsonable(value)
    if isinstance(value, float) and plain is None:
        return repr(value)
    if isinstance(plain, dict | list):
        return json.dumps(plain, ensure_ascii=False)
    # A sheet would run a text that begins so as a formula.
    if isinstance(plain, str) and plain[:1] in "=+-@\t\r" and plain:
        return f"'{plain}"
    return plain
