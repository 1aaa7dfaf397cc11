"""Decides learning curves: which runs make one, and which points stand for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aletheia_like.errors import InvalidValueError
from aletheia_like.plots.averaging import Averaged, averaged, line_of
from aletheia_like.plots.figures import Axis, Curve, Curves, Spread
from aletheia_like.plots.grouping import identity, ordered, shown
from aletheia_like.plots.thinning import Numbers, smoothed, thinned

_MOST_POINTS = 100_000
_LEAST_POINTS = 200
_SPREADS = ("std", "minmax", "none")


@dataclass(frozen=True, slots=True)
class RunLine:
    """Numbers of one column that one run logged, in the order of its rows.

    Attributes:
        run: What to call the run.
        column: Which column.
        group: What it shares with runs it is averaged with; None stands alone.
        xs: Across.
        ys: Upwards.
    """

    run: str
    column: str
    group: Any
    xs: Numbers
    ys: Numbers


@dataclass(frozen=True, slots=True)
class CurveLook:
    """How curves are to look.

    Attributes:
        title: The line above.
        x: Title across.
        group: By which column runs are grouped; None if all are one group.
        spread: What the band shows.
        smooth: Weight of the past in a moving average, 0 to below 1; each run's, before the mean.
        log_x: Whether the scale across is logarithmic.
        log_y: Whether the scale upwards is.
        most: Points of one curve, about; fewer if there are many curves.
    """

    title: str = ""
    x: str = "step"
    group: str | None = "fold"
    spread: Spread = "std"
    smooth: float = 0.0
    log_x: bool = False
    log_y: bool = False
    most: int = 2_000


def check_look(look: CurveLook) -> None:
    """Refuse what cannot be.

    Raises:
        InvalidValueError: The spread is none that there is, or a number is out of range.
    """
    if look.spread not in _SPREADS:
        message = f"spread is one of {', '.join(_SPREADS)}, not {look.spread!r}"
        raise InvalidValueError(message)
    if isinstance(look.smooth, bool) or not 0 <= look.smooth < 1:
        message = f"smooth is at least 0 and below 1, such as 0.9, not {look.smooth!r}"
        raise InvalidValueError(message)
    if isinstance(look.most, bool) or look.most < 10:  # noqa: PLR2004 - below it none has a form
        message = f"points is at least 10, not {look.most!r}"
        raise InvalidValueError(message)


def curves_of(lines: Sequence[RunLine], look: CurveLook, notes: Sequence[str] = ()) -> Curves:
    """Return the curves that runs make together, group by group.

    Args:
        lines: What was logged.
        look: How to show it.
        notes: What is known to be missing.

    Raises:
        InvalidValueError: `look` asks for what cannot be, or nothing is left to draw.
    """
    check_look(look)
    columns = list(dict.fromkeys(one.column for one in lines))
    groups = ordered(one.group if one.group is not None else Alone(one.run) for one in lines)
    told = list(notes)
    kept = [_drawable(one, look) for one in lines]
    left_out = sum(len(one.xs) for one in lines) - sum(len(one.xs) for one in kept)
    if left_out:
        told.append(f"{left_out} points at zero or less, or nowhere, across are left out")
    most = max(_LEAST_POINTS, min(look.most, _MOST_POINTS // max(1, len(groups) * len(columns))))
    if look.log_y and any((one.ys <= 0).any() for one in kept):
        told.append("means of zero or less are gaps: a logarithmic scale has no place for them")
    curves = []
    for dash, column in enumerate(columns):
        for colour, group in enumerate(groups):
            members = [
                one
                for one in kept
                if one.column == column and _is_in(one, group) and np.isfinite(one.ys).any()
            ]
            if members:
                label = _label(group, look.group, column if len(columns) > 1 else None, members)
                curves.append(_curve(members, look, most, label, (colour, dash)))
    if not curves:
        message = f"nothing to draw of {', '.join(columns) or 'these runs'}: no numbers" + (
            f"; {told[-1]}" if told else ""
        )
        raise InvalidValueError(message)
    if any(curve.lows for curve in curves):
        told.insert(0, _BANDS[look.spread])
    if look.smooth:
        told.append(f"moving average, weight of the past {look.smooth:g}")
    y = Axis(columns[0] if len(columns) == 1 else "value", look.log_y)
    title = look.title or ", ".join(columns)
    return Curves(title, Axis(look.x, look.log_x), y, tuple(curves), tuple(told))


@dataclass(frozen=True, slots=True)
class Alone:
    """A group that is one run."""

    run: str


_BANDS = {
    "std": "band: mean ± one standard deviation of the runs",
    "minmax": "line: mean of the runs; band: least to greatest run",
}


def _is_in(one: RunLine, group: Any) -> bool:
    if isinstance(group, Alone):
        return one.group is None and one.run == group.run
    return one.group is not None and identity(one.group) == identity(group)


def _drawable(one: RunLine, look: CurveLook) -> RunLine:
    """Return the points that have a place: infinite values are gaps."""
    ys = np.where(np.isfinite(one.ys), one.ys, np.nan)
    kept = np.isfinite(one.xs)
    if look.log_x:
        kept &= one.xs > 0
    return RunLine(one.run, one.column, one.group, one.xs[kept], ys[kept])


def _curve(
    members: Sequence[RunLine], look: CurveLook, most: int, label: str, style: tuple[int, int]
) -> Curve:
    lines = [line_of(one.xs, smoothed(one.ys, look.smooth)) for one in members]
    found = averaged(lines, look.spread)
    if look.log_y:
        found = _above_zero(found)
    places = thinned(found.xs, found.mean, most, log=look.log_x)
    has_band = bool(np.isfinite(found.lows).any())
    return Curve(
        label,
        _numbers(found.xs[places]),
        _numbers(found.mean[places]),
        _numbers(found.lows[places]) if has_band else (),
        _numbers(found.highs[places]) if has_band else (),
        len(members),
        *style,
    )


def _above_zero(found: Averaged) -> Averaged:
    """Return what a logarithmic scale can show; a band ends at the least mean at the latest."""
    mean = np.where(found.mean > 0, found.mean, np.nan)
    above = mean[np.isfinite(mean)]
    least = float(above.min()) if len(above) else np.nan
    lows = np.where(found.lows < least, np.minimum(least, mean), found.lows)
    return Averaged(found.xs, mean, lows, np.where(np.isnan(mean), np.nan, found.highs))


def _numbers(values: Numbers) -> tuple[float, ...]:
    return tuple(values.tolist())


def _label(group: Any, name: str | None, column: str | None, members: Sequence[RunLine]) -> str:
    return " · ".join(_words(group, name, column, members))


def _words(
    group: Any, name: str | None, column: str | None, members: Sequence[RunLine]
) -> Iterator[str]:
    if column is not None:
        yield column
    if isinstance(group, Alone):
        yield group.run
        return
    if name is not None:
        yield f"{name} {shown(group)}" if name.isalpha() else f"{name} = {shown(group)}"
    runs = len({one.run for one in members})
    if runs > 1 or name is None:
        yield f"{runs} runs" if runs > 1 else members[0].run
