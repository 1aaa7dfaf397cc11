"""Drawing curves and histograms as text, by plotext."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from aletheia_like.cli.fitting import printable
from aletheia_like.errors import MissingExtraError
from aletheia_like.extras import import_extra
from aletheia_like.plots.figures import Histogram

_COLOURS = (33, 208, 34, 160, 135, 37, 244)
_MARKS = ("braille", "x", "o", "+", "#", "*", "%")
_BAR_MARKS = ("█", "░", "▒", "▓", "#", "=", "%")
_LINE_MARKS = ("⠶", *_MARKS[1:])
_BAR_TICKS = 5
_MIN_HEIGHT = 10
_X_TICK_COLUMNS = 12
_Y_TICK_LINES = 4
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_DOTS_PER_COLUMN = 2


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one curve, by x."""

    label: str
    xs: list[float]
    ys: list[float]

    def thinned(self, stretches: int, *, log: bool = False) -> Series:
        """Return few points that look the same: of each stretch first, least, greatest, last."""
        if len(self.xs) <= 4 * stretches:
            return self
        places = [math.log(x) for x in self.xs] if log else self.xs
        low, high = places[0], places[-1]
        scale = stretches / (high - low) if high > low else 0.0
        groups: dict[int, list[int]] = {}
        for index, x in enumerate(places):
            groups.setdefault(int((x - low) * scale), []).append(index)
        kept = [index for group in groups.values() for index in self._extremes(group)]
        return Series(self.label, [self.xs[i] for i in kept], [self.ys[i] for i in kept])

    def _extremes(self, group: Sequence[int]) -> list[int]:
        least = min(group, key=self.ys.__getitem__)
        greatest = max(group, key=self.ys.__getitem__)
        return sorted({group[0], least, greatest, group[-1]})


@dataclass(frozen=True, slots=True)
class Look:
    """How to draw.

    Attributes:
        title: The line above.
        x_label: What is across.
        log: A logarithmic scale upwards.
        log_x: One across.
        lines: Whether points are joined.
    """

    title: str
    x_label: str
    log: bool = False
    log_x: bool = False
    lines: bool = True


def draw(series: Sequence[Series], look: Look, width: int, height: int, *, colour: bool) -> str:
    """Return a drawing as text.

    Args:
        series: What to draw; at least one has points.
        look: How.
        width: Characters.
        height: Lines.
        colour: Tell curves apart by colour; else by their marks.

    Raises:
        MissingExtraError: plotext is not installed, or not the one that is meant.
    """
    legend = _legend([one.label for one in series], _LINE_MARKS, colour=colour)
    height = max(_MIN_HEIGHT, height - len(legend))
    canvas = _canvas(look.title, look.x_label, width, height)
    drawn = [
        one.thinned(_DOTS_PER_COLUMN * width, log=look.log_x) if one.ys else one for one in series
    ]
    _draw_curves(canvas, drawn, look, (width, height), colour=colour)
    return _text(canvas, legend, colour=colour)


def draw_histogram(figure: Histogram, width: int, height: int, *, colour: bool) -> str:
    """Return bars as text; see `draw`."""
    labels = [printable(one.label) for one in figure.groups]
    legend = _legend(labels, _BAR_MARKS, colour=colour)
    height = max(_MIN_HEIGHT, height - len(legend))
    canvas = _canvas(printable(figure.title), printable(figure.x.title), width, height)
    _draw_bars(canvas, figure, colour=colour)
    return _text(canvas, legend, colour=colour)


def _canvas(title: str, x_label: str, width: int, height: int) -> Any:
    canvas = import_extra("plotext", "plot")
    if not hasattr(canvas, "plotsize"):
        message = "this needs plotext 5, another one is there: pip install 'aletheia-like[plot]'"
        raise MissingExtraError(message)
    canvas.clear_figure()
    canvas.theme("clear")
    # Whoever reads it through a pipe may have more room than the terminal.
    canvas.limit_size(False, False)
    canvas.plotsize(width, height)
    canvas.title(title)
    canvas.xlabel(x_label)
    return canvas


def _text(canvas: Any, legend: Sequence[str], *, colour: bool) -> str:
    text = str(canvas.build())
    if not colour:
        text = canvas.uncolorize(text)
    return "\n".join([*legend, *(line.rstrip() for line in text.splitlines())])


def _draw_curves(
    canvas: Any, series: Sequence[Series], look: Look, size: tuple[int, int], *, colour: bool
) -> None:
    width, height = size
    if look.log:
        canvas.yscale("log")
    if look.log_x:
        canvas.xscale("log")
    for index, one in enumerate(series):
        if one.ys:
            paint = canvas.plot if look.lines and len(one.xs) > 1 else canvas.scatter
            paint(one.xs, one.ys, **_style(index, colour=colour))
    xs = [x for one in series for x in one.xs]
    ys = [y for one in series for y in one.ys]
    tick_x = _log_ticks if look.log_x else _ticks
    canvas.xticks(*_labelled(tick_x(min(xs), max(xs), width // _X_TICK_COLUMNS)))
    tick_y = _log_ticks if look.log else _ticks
    canvas.yticks(*_labelled(tick_y(min(ys), max(ys), max(2, height // _Y_TICK_LINES))))


def _draw_bars(canvas: Any, figure: Histogram, *, colour: bool) -> None:
    edges = figure.edges
    # Bars of several series stand side by side.
    width = (edges[1] - edges[0]) / len(figure.groups)
    for index, one in enumerate(figure.groups):
        middles = [edge + width * (index + 0.5) for edge in edges[:-1]]
        style = {"color": _COLOURS[index % len(_COLOURS)]} if colour else {}
        mark = "█" if colour else _BAR_MARKS[index % len(_BAR_MARKS)]
        canvas.bar(middles, one.counts, width=1 / len(figure.groups), marker=mark, **style)
    canvas.xticks(*_labelled(_ticks(edges[0], edges[-1], _BAR_TICKS)))
    most = max(max(one.counts) for one in figure.groups)
    ticks = [tick for tick in _ticks(0, most, _BAR_TICKS) if tick == int(tick)]
    canvas.yticks(*_labelled(ticks))


def _legend(labels: Sequence[str], marks: Sequence[str], *, colour: bool) -> list[str]:
    """Return a line for each of several curves, above the drawing, where it hides nothing."""
    lines = []
    for index, label in enumerate(labels if len(labels) > 1 else ()):
        mark = 2 * ("━" if colour else marks[index % len(marks)])
        shown = click.style(mark, fg=_COLOURS[index % len(_COLOURS)]) if colour else mark
        lines.append(f" {shown} {label}")
    return lines


def _style(index: int, *, colour: bool) -> dict[str, Any]:
    if colour:
        return {"color": _COLOURS[index % len(_COLOURS)], "marker": "braille"}
    return {"marker": _MARKS[index % len(_MARKS)]}


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers from `low` to `high`."""
    if low == high:
        return [low]
    # Divided first: the whole span may be more than a number can say.
    rough = high / max(1, count) - low / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(nice for nice in _NICE if nice * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` powers of ten from `low` to `high`, or round numbers if few are."""
    powers = list(_powers(low, high))
    if len(powers) <= 1:
        return _ticks(low, high, count)
    every = math.ceil(len(powers) / count)
    return powers[::every]


def _powers(low: float, high: float) -> Iterator[float]:
    for exponent in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high)) + 1):
        yield 10.0**exponent


def _labelled(ticks: Sequence[float]) -> tuple[list[float], list[str]]:
    return list(ticks), [f"{tick:.6g}" for tick in ticks]
