"""Draws figures by matplotlib, without a display and without its global state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aletheia_like.extras import import_extra
from aletheia_like.plots.figures import (
    Axis,
    Curves,
    Figure,
    Histogram,
    Parallel,
    Scatter,
    shortened,
    span,
)
from aletheia_like.plots.palette import BAND, GRID, INK, OVERLAID, PAPER, SCALE, style

_DASHES = ("-", (0, (6, 3)), (0, (1.5, 2)), (0, (6, 2, 1.5, 2)))
_MARKS = ("o", "s", "D", "^", "P", "X", "*")
_LEGEND_INSIDE = 8
_LEGEND_MOST = 25
_LEGEND_LETTERS = 36
_AXIS_LETTERS = 100
_SIDE_BY_SIDE = 80
_TEXTS = 12
_GREATEST = 1e300


def draw_picture(figure: Figure, path: Path) -> None:
    """Write a figure to a file, in the form that its suffix says.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    canvas = import_extra("matplotlib.figure", "plot").Figure(
        figsize=(8, 4.8), dpi=150, layout="constrained", facecolor=PAPER
    )
    match figure:
        case Curves():
            _draw_curves(_axes(canvas, figure), figure)
        case Scatter():
            _draw_points(_axes(canvas, figure), figure)
        case Histogram():
            _draw_bars(_axes(canvas, figure), figure)
        case Parallel():
            _draw_parallel(canvas, figure)
    if figure.notes:
        told = _text("\n".join(figure.notes))
        canvas.supxlabel(told, x=0.01, ha="left", fontsize=8, color="#555555")
    # Letters stay letters in what is drawn by lines, and the same data gives the same file.
    with import_extra("matplotlib", "plot").rc_context({"svg.fonttype": "none"}):
        canvas.savefig(path)


def _axes(canvas: Any, figure: Curves | Scatter | Histogram) -> Any:
    axes = canvas.subplots()
    axes.set_title(_text(figure.title), color=INK)
    for one, set_label, set_scale, direction in (
        (figure.x, axes.set_xlabel, axes.set_xscale, axes.xaxis),
        (figure.y, axes.set_ylabel, axes.set_yscale, axes.yaxis),
    ):
        set_label(_text(one.title))
        if one.log:
            set_scale("log")
        if one.categories:
            _name_places(direction, one)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _name_places(direction: Any, axis: Axis) -> None:
    direction.set_ticks(
        range(len(axis.categories)),
        labels=[_text(shortened(one, _LEGEND_LETTERS)) for one in axis.categories],
    )


def _draw_curves(axes: Any, figure: Curves) -> None:
    for one in figure.curves:
        colour, dash = style(one.colour, one.dash)
        if one.lows:
            band = map(_drawable, (one.xs, one.lows, one.highs))
            axes.fill_between(*band, color=colour, alpha=BAND, linewidth=0)
        shown = sum(not math.isnan(y) for y in one.ys)
        if figure.lines and shown > 1:
            axes.plot(
                _drawable(one.xs),
                _drawable(one.ys),
                label=_text(one.label),
                color=colour,
                linestyle=_DASHES[dash],
                linewidth=1.6,
            )
        else:
            points = map(_drawable, (one.xs, one.ys))
            axes.plot(*points, ".", label=_text(one.label), color=colour)
    _legend(axes, len(figure.curves))


def _draw_points(axes: Any, figure: Scatter) -> None:
    for one in figure.groups:
        colour, _ = style(one.colour, 0)
        axes.scatter(
            _drawable(one.xs),
            _drawable(one.ys),
            label=_text(one.label),
            color=colour,
            marker=_MARKS[one.colour % len(_MARKS)],
            s=36,
            alpha=0.85,
            edgecolors=PAPER,
            linewidths=0.5,
        )
    # Anywhere inside it may hide a point.
    _legend(axes, len(figure.groups), outside=True)


def _draw_bars(axes: Any, figure: Histogram) -> None:
    several = len(figure.groups) > 1
    for one in figure.groups:
        colour, _ = style(one.colour, 0)
        axes.stairs(
            one.counts,
            figure.edges,
            fill=True,
            label=_text(one.label),
            color=colour,
            alpha=OVERLAID if several else 1,
            edgecolor=PAPER,
        )
    _legend(axes, len(figure.groups))


def _legend(axes: Any, entries: int, *, outside: bool = False) -> None:
    if entries <= 1:
        return
    handles, labels = axes.get_legend_handles_labels()
    labels = [shortened(label, _LEGEND_LETTERS) for label in labels]
    more = len(labels) - _LEGEND_MOST
    if more > 0:
        handles, labels = handles[:_LEGEND_MOST], labels[:_LEGEND_MOST]
        labels[-1] += f"  … {more} more"
    look = {"frameon": True, "framealpha": 0.85, "edgecolor": GRID}
    if outside or entries > _LEGEND_INSIDE:
        place = "outside right upper"
        axes.figure.legend(handles, labels, loc=place, fontsize=8, labelspacing=0.35, **look)
    else:
        axes.legend(handles, labels, loc="best", fontsize=9, **look)


def _draw_parallel(canvas: Any, figure: Parallel) -> None:
    axes = canvas.subplots()
    axes.set_title(_text(figure.title), color=INK, pad=14)
    limits = [
        (-0.5, len(axis.categories) - 0.5) if axis.categories else span(values)
        for axis, values in zip(figure.axes, figure.values, strict=True)
    ]
    colour_axis = figure.axes[figure.colour]
    low, high = span(figure.values[figure.colour])
    norm = import_extra("matplotlib.colors", "plot").Normalize(low, high)
    cm = import_extra("matplotlib.cm", "plot")
    scale = cm.ScalarMappable(norm, SCALE.lower())
    places = range(len(figure.axes))
    for run in range(len(figure.names)):
        heights = [
            (figure.values[i][run] - limits[i][0]) / (limits[i][1] - limits[i][0]) for i in places
        ]
        colour = scale.to_rgba(figure.values[figure.colour][run])
        axes.plot(places, heights, color=colour, linewidth=1.3, alpha=0.85)
    for place in places:
        axes.axvline(place, color=INK, linewidth=0.8)
        for height, told in _ticks(figure.axes[place], limits[place]):
            axes.annotate(
                _text(told),
                (place, height),
                xytext=(-4, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=7.5,
                color=INK,
                bbox={"facecolor": PAPER, "alpha": 0.75, "pad": 0.6, "linewidth": 0},
            )
    letters = max(8, _AXIS_LETTERS // len(figure.axes))
    names = [shortened(axis.title, letters) for axis in figure.axes]
    axes.set_xticks(places, labels=map(_text, names), fontsize=9)
    if sum(map(len, names)) > _SIDE_BY_SIDE:
        axes.tick_params(axis="x", labelrotation=20)
    axes.set_yticks([])
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(-0.35, len(figure.axes) - 0.95)
    axes.spines[:].set_visible(False)
    bar = canvas.colorbar(scale, ax=axes, pad=0.02)
    bar.set_label(_text(shortened(colour_axis.title, _LEGEND_LETTERS)))
    if colour_axis.categories:
        _name_places(bar.ax.yaxis, colour_axis)


def _ticks(axis: Axis, limits: tuple[float, float]) -> list[tuple[float, str]]:
    low, high = limits
    if axis.categories:
        every = 1 + len(axis.categories) // _TEXTS
        named = list(enumerate(axis.categories))[::every]
        return [((place - low) / (high - low), name) for place, name in named]
    return [(share, f"{low + share * (high - low):.3g}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]


def _drawable(values: Sequence[float]) -> list[float]:
    """Return numbers with some room to the greatest there is, which matplotlib's ticks need."""
    return [math.copysign(_GREATEST, one) if abs(one) > _GREATEST else one for one in values]


def _text(text: str) -> str:
    """Return text as matplotlib shows it literally: it reads formulas between dollars."""
    return text.replace("\\", "\\\\").replace("$", r"\$") if "$" in text else text
