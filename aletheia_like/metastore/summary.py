"""The last, least and greatest value of every numeric column, kept up as rows come."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aletheia_like.model.rows import AMEND, STEP, STREAM, Columns, Line, from_lines
from aletheia_like.model.values import INT64, is_key

MAX_COLUMNS = 1_000
"""Columns beyond this many have no summary: it has to fit into the run's document."""

MAX_BYTES = 120_000
"""Columns that come when the summary has this size have none either."""

_NUMBERS = frozenset({int, float})
_ENTRY_BYTES = 60

Summary = Mapping[str, Any]
"""`last`, `min`, `max`, and `step` where the last row had one."""


def summarised(lines: Sequence[Line]) -> dict[str, dict[str, Any]]:
    """Return the summary of a run's own rows, by column."""
    own = [line for line in lines if STREAM not in line.cells and AMEND not in line.cells]
    return summary_of(from_lines(own)) if own else {}


def continued(
    summary: Mapping[str, Summary], lines: Sequence[Line]
) -> tuple[dict[str, Any], set[str]]:
    """Return a summary with more rows, in the order of rows and changes to earlier ones.

    Returns:
        The summary, and the names of columns that have to be counted anew.
    """
    result: dict[str, Any] = dict(summary)
    unsure: set[str] = set()
    begin = 0
    for index, line in enumerate(lines):
        if AMEND in line.cells:
            result = merged(result, summarised(lines[begin:index]))
            begin = index + 1
            change = line.cells[AMEND]
            name, value = change["name"], change["value"]
            has_rows = line.sequence > 1
            if has_rows and not change["where"] and type(value) in _NUMBERS:
                result[name] = {"last": value, "min": value, "max": value}
            else:
                unsure.add(name)
    return merged(result, summarised(lines[begin:])), unsure


def summary_of(columns: Columns) -> dict[str, dict[str, Any]]:
    """Return the summary of every numeric column."""
    steps = columns.cells.get(STEP)
    found: dict[str, dict[str, Any]] = {}
    for name, cells in columns.cells.items():
        if (
            name == STEP
            or name.startswith("@")
            or not is_key(name)
            or _NUMBERS.isdisjoint(map(type, cells))
        ):
            continue
        numbers = [cell for cell in cells if type(cell) in _NUMBERS]
        # An integer may be too large for `isnan`.
        finite = [one for one in numbers if one == one] or [math.nan]  # noqa: PLR0124
        found[name] = {
            "last": _stored(numbers[-1]),
            "min": _stored(min(finite)),
            "max": _stored(max(finite)),
        }
        at = (
            len(cells)
            - 1
            - next(index for index, cell in enumerate(reversed(cells)) if type(cell) in _NUMBERS)
        )
        step = steps[at] if steps is not None else None
        if type(step) in _NUMBERS:
            found[name]["step"] = _stored(step)
    return found


def merged(earlier: Mapping[str, Summary], later: Mapping[str, Summary]) -> dict[str, Any]:
    """Return one summary of two: of all that `earlier` saw, and then `later`."""
    result: dict[str, Any] = dict(earlier)
    room = MAX_BYTES - sum(map(_size, result))
    for name, new in later.items():
        old = result.get(name)
        if isinstance(old, Mapping) and {"min", "max"} <= old.keys():
            result[name] = {**new, "min": _least(old, new), "max": _greatest(old, new)}
        elif len(result) < MAX_COLUMNS and _size(name) <= room:
            result[name] = dict(new)
            room -= _size(name)
    return result


def merged_by_step(one: Mapping[str, Summary], other: Mapping[str, Summary]) -> dict[str, Any]:
    """Return one summary of two writers: the later step is the last, else the later writer."""
    behind = {name: _behind(one[name], other[name]) for name in one.keys() & other.keys()}
    result = merged(one, other)
    for name, entry in behind.items():
        result[name] = {**result[name], **entry}
    return result


def _size(name: str) -> int:
    return _ENTRY_BYTES + len(name.encode())


def _stored(number: Any) -> Any:
    """Return a number that a document can hold; an integer beyond 64 bits becomes a float."""
    if type(number) is float or number in INT64:
        return number
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _behind(one: Summary, other: Summary) -> Summary:
    """Return the last value of whichever is further on."""
    ahead = one if _step(one) > _step(other) else other
    return {key: ahead[key] for key in ("last", STEP) if key in ahead}


def _step(entry: Summary) -> float:
    step = entry.get(STEP)
    return step if isinstance(step, int | float) else -math.inf


def _least(one: Summary, other: Summary) -> Any:
    return min(_numbers(one["min"], other["min"]), default=math.nan)


def _greatest(one: Summary, other: Summary) -> Any:
    return max(_numbers(one["max"], other["max"]), default=math.nan)


def _numbers(*values: Any) -> Iterable[Any]:
    return [value for value in values if type(value) in _NUMBERS and not math.isnan(value)]
