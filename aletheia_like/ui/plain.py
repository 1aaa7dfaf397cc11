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

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_UNIT = 1024
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


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


def shown_bytes(count: int | None) -> str:
    """Return a number of bytes with a unit.

    Examples:
        >>> shown_bytes(512), shown_bytes(1536)
        ('512 B', '1.5 KiB')
    """
    if count is None:
        return ""
    power = min(int(math.log(count, _UNIT)) if count else 0, len(_UNITS) - 1)
    return f"{count / _UNIT**power:.1f} {_UNITS[power]}" if power else f"{count} B"


def shown_seconds(seconds: float | None) -> str:
    """Return a duration, coarser the longer it is.

    Examples:
        >>> shown_seconds(0.25), shown_seconds(75), shown_seconds(7260)
        ('0.25 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.0f} s"
    for above, unit, word, part in (
        (_HOUR, _MINUTE, "min", "s"),
        (_DAY, _HOUR, "h", "min"),
        (math.inf, _DAY, "d", "h"),
    ):
        if seconds < above:
            smaller = {"s": 1, "min": _MINUTE, "h": _HOUR}[part]
            return f"{int(seconds // unit)} {word} {int(seconds % unit // smaller)} {part}"
    return ""


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
