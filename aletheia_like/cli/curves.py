"""Drawing curves and histograms: as text by plotext, as a picture by matplotlib."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from aletheia_like.errors import InvalidValueError, MissingExtraError
from aletheia_like.extras import import_extra

_COLOURS = (33, 208, 34, 160, 135, 37, 244)
_MARKS = ("braille", "x", "o", "+", "#", "*", "%")
_BAR_MARKS = ("█", "░", "▒", "▓", "#", "=", "%")
_BAR_TICKS = 5
_MIN_HEIGHT = 10
_PICTURES = frozenset({".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp"})
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

    def above_zero(self) -> Series:
        """Return the points that a logarithmic scale can show."""
        kept = [(x, y) for x, y in zip(self.xs, self.ys, strict=True) if y > 0]
        return Series(self.label, [x for x, _ in kept], [y for _, y in kept])

    def thinned(self, stretches: int) -> Series:
        """Return few points that look the same: of each stretch first, least, greatest, last."""
        if len(self.xs) <= 4 * stretches:
            return self
        low, high = self.xs[0], self.xs[-1]
        scale = stretches / (high - low) if high > low else 0.0
        groups: dict[int, list[int]] = {}
        for index, x in enumerate(self.xs):
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
        bins: Bars of a histogram; 0 draws curves.
        lines: Whether points are joined.
    """

    title: str
    x_label: str
    log: bool = False
    bins: int = 0
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
    canvas = import_extra("plotext", "plot")
    if not hasattr(canvas, "plotsize"):
        message = "this needs plotext 5, another one is there: pip install 'aletheia-like[plot]'"
        raise MissingExtraError(message)
    canvas.clear_figure()
    canvas.theme("clear")
    legend = _legend(series, colour=colour, bars=bool(look.bins))
    height = max(_MIN_HEIGHT, height - len(legend))
    # Whoever reads it through a pipe may have more room than the terminal.
    canvas.limit_size(False, False)
    canvas.plotsize(width, height)
    canvas.title(look.title)
    canvas.xlabel(look.x_label)
    drawn = [one.thinned(_DOTS_PER_COLUMN * width) for one in series if one.ys]
    if look.bins:
        _draw_bars(canvas, drawn, look, colour=colour)
    else:
        _draw_curves(canvas, drawn, look, (width, height), colour=colour)
    text = str(canvas.build())
    if not colour:
        text = canvas.uncolorize(text)
    return "\n".join([*legend, *(line.rstrip() for line in text.splitlines())])


def save(series: Sequence[Series], look: Look, path: Path) -> None:
    """Write a drawing to a file, as its suffix says.

    Raises:
        InvalidValueError: The suffix is none of a picture.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix.lower() not in _PICTURES:
        message = f"{path} is no picture: its name must end in {', '.join(sorted(_PICTURES))}"
        raise InvalidValueError(message)
    figure = import_extra("matplotlib.figure", "plot").Figure(
        figsize=(8, 4.5), dpi=150, layout="constrained"
    )
    axes = figure.subplots()
    if look.bins:
        edges = _edges(series, look.bins)
        for one in series:
            axes.hist(one.ys, bins=edges, label=one.label, alpha=1.0 if len(series) == 1 else 0.6)
        axes.set_ylabel("rows")
    else:
        for one in series:
            _plot_one(axes, one, lines=look.lines)
    if look.log:
        axes.set_yscale("log")
    axes.set_title(look.title)
    axes.set_xlabel(look.x_label)
    axes.grid(visible=True, alpha=0.3)
    if len(series) > 1:
        axes.legend()
    figure.savefig(path)


def _plot_one(axes: Any, one: Series, *, lines: bool) -> None:
    if lines and len(one.xs) > 1:
        axes.plot(one.xs, one.ys, label=one.label, linewidth=1.2)
    else:
        axes.plot(one.xs, one.ys, ".", label=one.label)


def _draw_curves(
    canvas: Any, series: Sequence[Series], look: Look, size: tuple[int, int], *, colour: bool
) -> None:
    width, height = size
    if look.log:
        canvas.yscale("log")
    for index, one in enumerate(series):
        style = _style(index, colour=colour)
        paint = canvas.plot if look.lines and len(one.xs) > 1 else canvas.scatter
        paint(one.xs, one.ys, **style)
    xs = [x for one in series for x in (one.xs[0], one.xs[-1])]
    ys = [y for one in series for y in (min(one.ys), max(one.ys))]
    canvas.xticks(*_labelled(_ticks(min(xs), max(xs), width // _X_TICK_COLUMNS)))
    count = max(2, height // _Y_TICK_LINES)
    tick = _log_ticks if look.log else _ticks
    canvas.yticks(*_labelled(tick(min(ys), max(ys), count)))


def _draw_bars(canvas: Any, series: Sequence[Series], look: Look, *, colour: bool) -> None:
    edges = _edges(series, look.bins)
    counts = [_counts(one.ys, edges) for one in series]
    # Bars of several series stand side by side.
    width = (edges[1] - edges[0]) / len(series)
    for index, heights in enumerate(counts):
        middles = [edge + width * (index + 0.5) for edge in edges[:-1]]
        style = {"color": _COLOURS[index % len(_COLOURS)]} if colour else {}
        mark = "█" if colour else _BAR_MARKS[index % len(_BAR_MARKS)]
        canvas.bar(middles, heights, width=1 / len(series), marker=mark, **style)
    canvas.xticks(*_labelled(_ticks(edges[0], edges[-1], _BAR_TICKS)))
    most = max(map(max, counts))
    ticks = [tick for tick in _ticks(0, most, _BAR_TICKS) if tick == int(tick)]
    canvas.yticks(*_labelled(ticks))


def _legend(series: Sequence[Series], *, colour: bool, bars: bool) -> list[str]:
    """Return a line for each of several curves, above the drawing, where it hides nothing."""
    marks = _BAR_MARKS if bars else ("⠶", *_MARKS[1:])
    lines = []
    for index, one in enumerate(series if len(series) > 1 else ()):
        mark = 2 * ("━" if colour else marks[index % len(marks)])
        shown = click.style(mark, fg=_COLOURS[index % len(_COLOURS)]) if colour else mark
        lines.append(f" {shown} {one.label}")
    return lines


def _style(index: int, *, colour: bool) -> dict[str, Any]:
    if colour:
        return {"color": _COLOURS[index % len(_COLOURS)], "marker": "braille"}
    return {"marker": _MARKS[index % len(_MARKS)]}


def _edges(series: Sequence[Series], bins: int) -> list[float]:
    """Return the edges of bars of equal width over all values."""
    values = [y for one in series for y in one.ys]
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return [low + (high - low) * number / bins for number in range(bins + 1)]


def _counts(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    counts = [0] * (len(edges) - 1)
    scale = len(counts) / (edges[-1] - edges[0])
    for value in values:
        counts[min(int((value - edges[0]) * scale), len(counts) - 1)] += 1
    return counts


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
