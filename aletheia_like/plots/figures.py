"""What is to be seen, as facts: the same for a page, a picture and a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Spread = Literal["std", "minmax", "none"]


@dataclass(frozen=True, slots=True)
class Axis:
    """What one direction means.

    Attributes:
        title: What is told beside it.
        log: Whether its scale is logarithmic.
        categories: Names of the places 0, 1, …; empty if it shows numbers.
    """

    title: str
    log: bool = False
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """A line, and perhaps a band around it.

    Attributes:
        label: What the legend calls it.
        xs: Across, ascending.
        ys: Upwards; NaN is a gap.
        lows: The lower edge of the band, as long as `xs`; empty without one.
        highs: The upper edge.
        runs: How many runs it stands for.
        colour: Its number in a palette.
        dash: Its number among kinds of lines; 0 is solid.
    """

    label: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()
    runs: int = 1
    colour: int = 0
    dash: int = 0


@dataclass(frozen=True, slots=True)
class Curves:
    """Learning curves.

    Attributes:
        title: The line above.
        x: What is across.
        y: What is upwards.
        curves: What is drawn, in the order of the legend.
        notes: What a viewer has to know: what the band is, what was left out.
        lines: Whether points are joined.
    """

    title: str
    x: Axis
    y: Axis
    curves: tuple[Curve, ...]
    notes: tuple[str, ...] = ()
    lines: bool = True


@dataclass(frozen=True, slots=True)
class Points:
    """Points of one colour.

    Attributes:
        label: What the legend calls them; empty if there are no others.
        xs: Across.
        ys: Upwards.
        names: Which run each point is.
        colour: Its number in a palette.
    """

    label: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    names: tuple[str, ...]
    colour: int = 0


@dataclass(frozen=True, slots=True)
class Scatter:
    """A point for each run.

    Attributes:
        title: The line above.
        x: What is across.
        y: What is upwards.
        groups: The points.
        notes: What was left out.
    """

    title: str
    x: Axis
    y: Axis
    groups: tuple[Points, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parallel:
    """A line for each run, across one axis for each column.

    Attributes:
        title: The line above.
        axes: The columns.
        values: For each axis the place of every run.
        names: The runs.
        colour: Which axis gives the colour.
        notes: What was left out.
    """

    title: str
    axes: tuple[Axis, ...]
    values: tuple[tuple[float, ...], ...]
    names: tuple[str, ...]
    colour: int
    notes: tuple[str, ...] = field(default=())


Figure = Curves | Scatter | Parallel


def span(values: Sequence[float]) -> tuple[float, float]:
    """Return the least and greatest number, apart even where there is only one."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    room = 0.5 if low == 0 else abs(low) / 20
    return (low, high) if low < high else (low - room, high + room)
