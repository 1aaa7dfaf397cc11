"""How values that were logged one by one become rows, so that a grown source only adds rows.

Values join in one row while they are of one step, of different columns and within a second. A row
never crosses the end of an earlier import: what comes later is rows of a writer of its own.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aletheia_like.model.rows import STEP, STREAM, cell_text, check_columns, encode_cells
from aletheia_like.model.values import Value
from aletheia_like.transfer.foreign.records import Entry
from aletheia_like.transfer.packing import FileRows

JOINING_SECONDS = 1.0
_MAX_CELL_BYTES = 16_384
_HEAD_CHARACTERS = 200
_EXACT = 2**53

Keep = Callable[[bytes, str], str]
"""Keeps bytes as a blob of this media type and returns their digest."""


def joined(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries of one step, different columns and nearly one time as one entry each."""
    rows: list[Entry] = []
    for entry in entries:
        last = rows[-1] if rows else None
        if last is not None and _belong_together(last, entry):
            rows[-1] = Entry(last.at, {**last.cells, **entry.cells}, last.stream)
        else:
            rows.append(entry)
    return rows


def _belong_together(row: Entry, entry: Entry) -> bool:
    return (
        row.stream == entry.stream
        and row.cells.get(STEP) == entry.cells.get(STEP)
        and 0 <= entry.at - row.at < JOINING_SECONDS
        and not (row.cells.keys() & entry.cells.keys()) - {STEP}
    )


def last_of(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the last value of every metric: that of the greatest step, then time."""
    found: dict[str, tuple[Any, float, Any]] = {}
    for entry in entries:
        step = entry.cells.get(STEP, 0)
        for name, value in entry.cells.items():
            if name != STEP and (name not in found or found[name][:2] <= (step, entry.at)):
                found[name] = (step, entry.at, value)
    return {name: value for name, (_, _, value) in found.items()}


def digest_of(entries: Sequence[Entry]) -> str:
    """Return what is the same as long as entries are, but for their times."""
    hasher = hashlib.sha256()
    for entry in entries:
        # A column of integers becomes one of floats when a float comes: these are the same.
        same = {
            name: float(cell) if type(cell) is int and abs(cell) < _EXACT else cell
            for name, cell in entry.cells.items()
        }
        hasher.update(repr((entry.stream, same)).encode(errors="replace"))
    return hasher.hexdigest()


def lines_of(
    entries: Sequence[Entry], ends: Sequence[int], keep: Keep, *, joins: bool
) -> dict[str, FileRows]:
    """Return entries as rows, those of each import by a writer of its own.

    Args:
        entries: What was logged.
        ends: How many entries there were at the end of each import.
        keep: Takes the bytes of long cells.
        joins: Whether entries of one step become one row.
    """
    found: dict[str, FileRows] = {}
    for number, (begin, end) in enumerate(itertools.pairwise([0, *ends])):
        part = joined(entries[begin:end]) if joins else entries[begin:end]
        if part:
            rows = [_cells(one, keep) for one in part]
            found[writer_of(number)] = FileRows(
                list(range(1, len(part) + 1)),
                [one.at for one in part],
                [cells for cells, _ in rows],
                [size for _, size in rows],
            )
    return found


def writer_of(number: int) -> str:
    """Return the name of the writer of what an import brought, counted from 0."""
    return f"import-{number + 1:04d}"


def _cells(entry: Entry, keep: Keep) -> tuple[dict[str, Value], int]:
    cells: dict[str, Value] = {} if entry.stream is None else {STREAM: entry.stream}
    size = 0
    for name, value in encode_cells(check_columns(entry.cells)).items():
        cells[name] = shortened(value, keep)
        size += len(name) + _size(cells[name])
    return cells, size


def _size(value: Value) -> int:
    return 24 if type(value) in (float, int, bool) else len(cell_text(value)) + 4


def shortened(value: Value, keep: Keep) -> Value:
    """Return a stored value; in the place of a long one, a reference to a blob with it."""
    if isinstance(value, str) and len(value) > _MAX_CELL_BYTES // 4:
        data = value.encode()
        if len(data) > _MAX_CELL_BYTES:
            digest = keep(data, "text/plain")
            return {"@text": [digest, len(data), value[:_HEAD_CHARACTERS]]}
    if isinstance(value, dict | list):
        data = cell_text(value).encode()
        if len(data) > _MAX_CELL_BYTES:
            return {"@json": [keep(data, "application/json"), len(data)]}
    return value
