"""Lines of runs from the tables of their rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.rows import RUN_ID, STEP, TIMESTAMP
from aletheia_like.plots.curves import CurveLook, RunLine, check_look, curves_of
from aletheia_like.plots.figures import Curves
from aletheia_like.plots.runpoints import check_known
from aletheia_like.plots.thinning import Numbers

TIME, ROW = "time", "row"
_EACH = frozenset({"run", "id"})
_SECONDS = "seconds since the first row"
_MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class RunTable:
    """The rows of one run.

    Attributes:
        label: What to call the run.
        group: What it shares with others; None if it has nothing of that name.
        table: An Arrow table, the moments first.
    """

    label: str
    group: Any
    table: Any


def curves_of_tables(runs: Sequence[RunTable], names: Sequence[str], look: CurveLook) -> Curves:
    """Return curves of columns of rows; see `Experiment.plot`.

    Args:
        runs: The runs.
        names: Columns; empty for the only one that holds numbers.
        look: How; its `x` is a column, or empty.

    Raises:
        NotFoundError: There is no such column.
        InvalidValueError: A column holds no numbers, or nothing is left to draw.
    """
    check_look(look)
    known = list(dict.fromkeys(name for run in runs for name in run.table.column_names))
    wanted = list(names) or [_only_numeric(runs, known)]
    for name in wanted:
        check_known(name, known)
    having = [run for run in runs if any(name in run.table.column_names for name in wanted)]
    x = look.x or (STEP if all(STEP in run.table.column_names for run in having) else ROW)
    if x not in {TIME, ROW, TIMESTAMP}:
        check_known(x, known)
    by = look.group
    if by is not None and by not in _EACH | {"fold"} and all(run.group is None for run in runs):
        check_known(by, known)
    lines = [line for run in having for name in wanted for line in _lines(run, name, x, by)]
    _check_numbers(having, wanted, lines)
    missing = len(runs) - len(having)
    notes = [_without(missing, wanted)] if missing else []
    is_time = x == TIMESTAMP or (x == TIME and TIME not in known)
    title = look.title if names else f"{wanted[0]} · {look.title}"
    told = dataclasses.replace(look, x=_SECONDS if is_time else x, title=title)
    return curves_of(lines, told, notes)


def _lines(run: RunTable, name: str, x: str, group: str | None) -> Iterator[RunLine]:
    table = run.table
    if name not in table.column_names:
        return
    across, upwards = _across(table, x), numbers(table.column(name))
    if across is None or upwards is None:
        return
    (xs, has_x), (ys, has_y) = across, upwards
    there = has_x & has_y
    if group is None:
        yield RunLine(run.label, name, "", xs[there], ys[there])
    elif group in _EACH or run.group is not None or group not in table.column_names:
        yield RunLine(run.label, name, run.group, xs[there], ys[there])
    else:
        # A run that did all folds itself logged which row is of which.
        coded = table.column(group).combine_chunks().dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        for code, value in enumerate(coded.dictionary.to_pylist()):
            own = there & (codes == code)
            yield RunLine(run.label, name, value, xs[own], ys[own])
        rest = there & (codes < 0)
        if rest.any():
            yield RunLine(run.label, name, None, xs[rest], ys[rest])


def _across(table: Any, x: str) -> tuple[Numbers, Any] | None:
    if x in table.column_names and x != TIMESTAMP:
        return numbers(table.column(x))
    every = np.ones(table.num_rows, bool)
    if x == ROW:
        return np.arange(table.num_rows, dtype=np.float64), every
    if x not in {TIME, TIMESTAMP} or not table.num_rows:
        return None
    moments = table.column(TIMESTAMP).cast(pa.int64()).to_numpy()
    return (moments - moments.min()) / _MICROSECONDS, every


def numbers(column: Any) -> tuple[Numbers, Any] | None:
    """Return a column's numbers, and in which rows it has one; None if it has none at all."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _parsed(column)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    has = pc.is_valid(column).to_numpy()
    if not has.any():
        return None
    values = column.cast(pa.float64(), safe=False).to_numpy()
    return np.asarray(values, dtype=np.float64), has


def _parsed(column: Any) -> tuple[Numbers, Any] | None:
    """Return the numbers of a column that holds texts too, or integers of any length."""
    values = [_number(text) for text in column.to_pylist()]
    has = np.array([value is not None for value in values], dtype=bool)
    if not has.any():
        return None
    return np.array([np.nan if value is None else value for value in values]), has


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _only_numeric(runs: Sequence[RunTable], known: Sequence[str]) -> str:
    apart = {STEP, TIMESTAMP, RUN_ID}
    numeric = [
        name
        for name in known
        if name not in apart
        and any(_is_numeric(run.table, name) for run in runs if name in run.table.column_names)
    ]
    if len(numeric) == 1:
        return numeric[0]
    there = ", ".join(numeric) or "none that holds numbers"
    message = f"name the columns to plot: there are {there}"
    raise InvalidValueError(message)


def _is_numeric(table: Any, name: str) -> bool:
    kind = table.column(name).type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _check_numbers(
    runs: Sequence[RunTable], names: Sequence[str], lines: Sequence[RunLine]
) -> None:
    for name in names:
        if any(line.column == name for line in lines):
            continue
        kinds = {
            str(run.table.column(name).type) for run in runs if name in run.table.column_names
        }
        message = f"column {name!r:.80} cannot be drawn: it holds no numbers but {'/'.join(kinds)}"
        if any(numbers(run.table[name]) for run in runs if name in run.table.column_names):
            message = f"column {name!r:.80} has no row in which the column across has a number"
        raise InvalidValueError(message)


def _without(count: int, names: Sequence[str]) -> str:
    return f"{count} {'run has' if count == 1 else 'runs have'} no {', '.join(names)}"
