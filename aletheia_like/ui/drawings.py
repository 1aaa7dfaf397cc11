"""Figures as what Plotly's script draws: without colours of paper, which are the page's matter."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from aletheia_like.plots.figures import Axis, Figure, Parallel, shortened, span
from aletheia_like.plots.page import drawn, escaped
from aletheia_like.plots.palette import COLOURS, style

_MOST_NAMED = 12
_LETTERS = 34
_ENDS = ("#0072B2", "#D55E00")


def drawing(figure: Figure) -> dict[str, Any]:
    """Return the traces and layout of a figure, and its notes, ready to become JSON."""
    if isinstance(figure, Parallel):
        return {**_parallel(figure), "notes": list(figure.notes)}
    made = drawn(figure, _PLAIN)
    # The page has a heading, and shows notes as text that can be read aloud.
    layout = {**made["layout"], "title": None, "annotations": [], "margin": _MARGIN}
    return {"data": made["data"], "layout": layout, "notes": list(figure.notes)}


def _trace(**options: Any) -> dict[str, Any]:
    return {"type": "scatter", **options}


_PLAIN = SimpleNamespace(
    Scatter=_trace,
    # Pages have few points, and WebGL is not everywhere.
    Scattergl=_trace,
    Bar=lambda **options: {"type": "bar", **options},
    Figure=lambda **parts: parts,
)
_MARGIN = {"l": 64, "r": 20, "t": 16, "b": 52}


def _parallel(figure: Parallel) -> dict[str, Any]:
    """Return a line for each run; Plotly's own kind needs WebGL, and cannot be read aloud."""
    spans = [_span(axis, values) for axis, values in zip(figure.axes, figure.values, strict=True)]
    traces = []
    for run, name in enumerate(figure.names):
        values = [column[run] for column in figure.values]
        ys = [(v - low) / (high - low) for v, (low, high) in zip(values, spans, strict=True)]
        told = [
            f"{escaped(name)}<br>{escaped(axis.title)}: {escaped(_shown(axis, value))}"
            for axis, value in zip(figure.axes, values, strict=True)
        ]
        by = figure.colour
        colour = (
            style(run, 0)[0]
            if len(figure.names) <= len(COLOURS)
            else _between((figure.values[by][run] - spans[by][0]) / (spans[by][1] - spans[by][0]))
        )
        traces.append(
            _trace(
                x=list(range(len(values))),
                y=ys,
                name=escaped(shortened(name, _LETTERS)),
                mode="lines+markers",
                line={"color": colour, "width": 2},
                marker={"color": colour, "size": 8},
                text=told,
                hovertemplate="%{text}<extra></extra>",
                showlegend=len(figure.names) <= _MOST_NAMED,
            )
        )
    return {"data": traces, "layout": _parallel_layout(figure, spans)}


def _parallel_layout(figure: Parallel, spans: list[tuple[float, float]]) -> dict[str, Any]:
    last = len(figure.axes) - 1
    ticks = [
        {
            "x": place,
            "y": (value - low) / (high - low),
            "text": escaped(shortened(_shown(axis, value), _LETTERS)),
            "xanchor": "right" if place == last else "left",
            "xshift": -8 if place == last else 8,
            "showarrow": False,
            "font": {"size": 11},
        }
        for place, (axis, (low, high)) in enumerate(zip(figure.axes, spans, strict=True))
        for value in (range(len(axis.categories)) if axis.categories else (low, high))
    ]
    lines = [
        {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "layer": "below", "line": {"width": 1}}
        for x in range(len(figure.axes))
    ]
    titles = [escaped(shortened(axis.title, _LETTERS)) for axis in figure.axes]
    return {
        "xaxis": {
            "tickvals": list(range(len(titles))),
            "ticktext": titles,
            "range": [-0.15, last + 0.15],
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": {"visible": False, "range": [-0.08, 1.08]},
        "annotations": ticks,
        "shapes": lines,
        "showlegend": 1 < len(figure.names) <= _MOST_NAMED,
        "hovermode": "closest",
        "margin": {**_MARGIN, "l": 30, "r": 30},
    }


def _span(axis: Axis, values: tuple[float, ...]) -> tuple[float, float]:
    if axis.categories:
        return (0.0, max(1.0, len(axis.categories) - 1.0))
    return span(values)


def _shown(axis: Axis, value: float) -> str:
    return axis.categories[round(value)] if axis.categories else f"{value:.5g}"


def _between(share: float) -> str:
    low, high = ([int(end[at : at + 2], 16) for at, _ in pairwise((1, 3, 5, 7))] for end in _ENDS)
    mixed = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{one:02X}" for one in mixed)
