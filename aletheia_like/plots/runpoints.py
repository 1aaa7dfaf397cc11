"""Decides what a scatter plot and parallel coordinates show of runs: a point, or a line, each."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.plots.figures import Axis, Parallel, Points, Scatter
from aletheia_like.plots.grouping import identity, ordered, placed, shown

_NEAR = 5
_LAST = " (last)"
_LEAST_AXES = 2
_DEFAULT_GROUP = "fold"
"""Runs need not have it."""


@dataclass(frozen=True, slots=True)
class RunPoint:
    """What is known of one run.

    Attributes:
        name: What to call it.
        columns: Values by column, such as `metrics.acc`.
        last: The last value of each column of its rows.
    """

    name: str
    columns: Mapping[str, Any]
    last: Mapping[str, Any]


def scatter_of(
    runs: Sequence[RunPoint],
    x: str,
    y: str,
    *,
    group: str | None = None,
    log_x: bool = False,
    log_y: bool = False,
    title: str = "",
) -> Scatter:
    """Return a point for each run that has both columns.

    Args:
        runs: The runs.
        x: A column of runs, or of their rows: then the last value.
        y: The same, upwards.
        group: A column whose values have a colour each.
        log_x: Whether the scale across is logarithmic.
        log_y: Whether the scale upwards is.
        title: The line above.

    Raises:
        NotFoundError: No run has a column.
        InvalidValueError: No run has both, or texts are to be on a logarithmic scale.
    """
    places = [_axis(runs, name, log=log) for name, log in ((x, log_x), (y, log_y))]
    if group is not None and group != _DEFAULT_GROUP:
        check_known(group, _known(runs))
    (x_axis, xs), (y_axis, ys) = places
    colours = [None if group is None else _value(one, group) for one in runs]
    whole = [i for i in range(len(runs)) if xs[i] is not None and ys[i] is not None]
    if not whole:
        message = f"nothing to draw: no run has both {x!r} and {y!r}"
        raise InvalidValueError(message)
    groups = []
    for number, value in enumerate(ordered(colours[i] for i in whole)):
        members = [i for i in whole if identity(colours[i]) == identity(value)]
        groups.append(
            Points(
                "" if group is None else f"{group} {'none' if value is None else shown(value)}",
                tuple(float(xs[i] or 0) for i in members),
                tuple(float(ys[i] or 0) for i in members),
                tuple(runs[i].name for i in members),
                number,
            )
        )
    if len(groups) == 1 and colours[whole[0]] is None:
        groups = [Points("", groups[0].xs, groups[0].ys, groups[0].names)]
    title = title or f"{y_axis.title} against {x_axis.title}"
    return Scatter(title, x_axis, y_axis, tuple(groups), _left_out(len(runs) - len(whole)))


def parallel_of(
    runs: Sequence[RunPoint],
    columns: Sequence[str],
    *,
    colour: str | None = None,
    title: str = "",
) -> Parallel:
    """Return a line for each run that has all columns.

    Args:
        runs: The runs.
        columns: What the axes are; by default the parameters in which runs differ, and the
            metrics.
        colour: The column that colours the lines; the last one by default. It becomes an axis.
        title: The line above.

    Raises:
        NotFoundError: No run has a column.
        InvalidValueError: No run has all columns, or there are fewer than two.
    """
    names = list(dict.fromkeys(columns or _telling(runs)))
    if colour is not None and colour not in names:
        names.append(colour)
    if len(names) < _LEAST_AXES:
        there = ", ".join(names) or "none"
        message = f"parallel coordinates need two columns or more: name them, there is {there}"
        raise InvalidValueError(message)
    found = [_axis(runs, name, log=False) for name in names]
    whole = [i for i in range(len(runs)) if all(places[i] is not None for _, places in found)]
    if not whole:
        message = f"nothing to draw: no run has all of {', '.join(names)}"
        raise InvalidValueError(message)
    return Parallel(
        title or "runs",
        tuple(axis for axis, _ in found),
        tuple(tuple(float(places[i] or 0) for i in whole) for _, places in found),
        tuple(runs[i].name for i in whole),
        len(names) - 1 if colour is None else names.index(colour),
        _left_out(len(runs) - len(whole)),
    )


def check_known(column: str, known: Sequence[str]) -> None:
    """Refuse a column that there is not.

    Raises:
        NotFoundError: It is unknown; the message names near ones.
    """
    if column in known:
        return
    last = column.rpartition(".")[2]
    near = [name for name in known if name.rpartition(".")[2] == last]
    near = near or difflib.get_close_matches(column, known, _NEAR)
    some = (near or sorted(known))[: 2 * _NEAR]
    is_all = len(some) == len(near or known)
    there = f"did you mean {' or '.join(some)}?" if near else f"there are {', '.join(some)}"
    message = f"no column {column!r:.80}: {there if some else 'there is none'}"
    raise NotFoundError(message if is_all else f"{message}, …")


def _axis(runs: Sequence[RunPoint], name: str, *, log: bool) -> tuple[Axis, list[float | None]]:
    check_known(name, _known(runs))
    values = [_value(one, name) for one in runs]
    places, categories = placed(values)
    if categories and log:
        message = f"{name!r} has values that are no numbers, such as {categories[-1]!r}: no log"
        raise InvalidValueError(message)
    if log:
        places = [one if one is not None and one > 0 else None for one in places]
    own = any(name in one.columns for one in runs)
    return Axis(name if own else name + _LAST, log, categories), places


def _known(runs: Sequence[RunPoint]) -> list[str]:
    return list(dict.fromkeys(key for one in runs for key in (*one.columns, *one.last)))


def _value(one: RunPoint, name: str) -> Any:
    value = one.columns.get(name)
    return one.last.get(name) if value is None else value


def _telling(runs: Sequence[RunPoint]) -> list[str]:
    names = dict.fromkeys(name for one in runs for name in one.columns)
    params = [
        name
        for name in names
        if name.startswith("hyper_params.")
        and len({identity(_value(one, name)) for one in runs}) > 1
    ]
    metrics = [name for name in names if name.startswith("metrics.")]
    # A metric that was infinite for all has no place on an axis, and no line would be left.
    return [name for name in params + metrics if _has_places(runs, name)]


def _has_places(runs: Sequence[RunPoint], name: str) -> bool:
    places, _ = placed([_value(one, name) for one in runs])
    return any(place is not None for place in places)


def _left_out(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    told = "1 run" if count == 1 else f"{count} runs"
    return (f"{told} left out: without a number or name in every column shown",)
