"""Draws figures by Plotly: for a notebook, or as a page that needs nothing else."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from aletheia_like.extras import import_extra
from aletheia_like.plots.figures import (
    Axis,
    Curve,
    Curves,
    Figure,
    Histogram,
    Parallel,
    Scatter,
    shortened,
    span,
)
from aletheia_like.plots.palette import (
    BAND,
    DASHES,
    GRID,
    INK,
    MARKS,
    OVERLAID,
    PAPER,
    SCALE,
    faint,
    style,
)

_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "showTips": False,
    # One click on Plotly's own button would send the data to a server of others.
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["sendChartToCloud"],
}
_MANY = 3_000
_NOTE_LINE = 18
_LEGEND_LETTERS = 40
_AXIS_LETTERS = 110
_LOG_TICKS = 5
_BELOW_TITLE = 58
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>html, body {{ height: 100%; margin: 0; background: {paper}; overflow: hidden; }}</style>
</head>
<body>{body}</body>
</html>
"""


def drawn(figure: Figure) -> Any:
    """Return the figure as Plotly's.

    Raises:
        MissingExtraError: Plotly is not installed.
    """
    objects = import_extra("plotly.graph_objects", "plot")
    match figure:
        case Curves():
            traces = [trace for one in figure.curves for trace in _curve(objects, one, figure)]
            layout = _plane(figure, has_legend=len(figure.curves) > 1)
        case Scatter():
            traces = list(_points(objects, figure))
            layout = _plane(figure, has_legend=len(figure.groups) > 1)
        case Parallel():
            traces = [_lines(objects, figure)]
            layout = {"margin": {"l": 90, "r": 90, "t": 120, "b": 40}}
        case Histogram():
            traces = list(_bars(objects, figure))
            layout = _plane(figure, has_legend=len(figure.groups) > 1)
            layout |= {"barmode": "overlay", "bargap": 0}
    notes = "<br>".join(map(_text, figure.notes))
    below = _NOTE_LINE * len(figure.notes)
    layout.setdefault("margin", {"l": 70, "r": 30, "t": 60, "b": 60})
    layout["margin"]["b"] += below + 5
    return objects.Figure(
        data=traces,
        layout={
            "title": {"text": _text(figure.title), "font": {"size": 17}},
            "paper_bgcolor": PAPER,
            "plot_bgcolor": PAPER,
            "font": {"color": INK, "size": 13},
            "hovermode": "closest",
            "annotations": [_note(notes, below)] if notes else [],
            **layout,
        },
    )


def page(figure: Figure, *, whole: bool) -> str:
    """Return HTML with everything inside: the data, and Plotly's own script.

    Args:
        figure: What to draw.
        whole: A page of its own; else a part of one.
    """
    body = str(
        drawn(figure).to_html(
            full_html=False,
            include_plotlyjs=True,
            include_mathjax=False,
            config=_CONFIG,
            default_height="100%" if whole else "480px",
        )
    )
    if not whole:
        return body
    # Plotly's own page has no title, and a margin that makes it scroll.
    return _PAGE.format(title=html.escape(figure.title), paper=PAPER, body=body)


def _curve(objects: Any, one: Curve, figure: Curves) -> Iterator[Any]:
    colour, dash = style(one.colour, one.dash)
    group = f"{one.colour}.{one.dash}"
    if one.lows:
        for xs, lows, highs in _bands(one):
            yield objects.Scatter(
                x=[*xs, *reversed(xs)],
                y=[*highs, *reversed(lows)],
                mode="lines",
                line={"width": 0},
                fill="toself",
                fillcolor=faint(colour, BAND),
                legendgroup=group,
                showlegend=False,
                hoverinfo="skip",
            )
    shown = sum(not math.isnan(y) for y in one.ys)
    edges = [_edges(low, high) for low, high in zip(one.lows, one.highs, strict=True)]
    yield (objects.Scattergl if len(one.xs) > _MANY else objects.Scatter)(
        x=one.xs,
        y=_gapped(one.ys),
        name=_text(shortened(one.label, _LEGEND_LETTERS)),
        mode="lines" if figure.lines and shown > 1 else "markers",
        line={"color": colour, "width": 2, "dash": DASHES[dash]},
        marker={"color": colour, "size": 7},
        legendgroup=group,
        connectgaps=False,
        text=edges or None,
        hovertemplate=f"{_text(one.label)}<br>%{{x}}: %{{y:.5g}}%{{text}}<extra></extra>"
        if edges
        else f"{_text(one.label)}<br>%{{x}}: %{{y:.5g}}<extra></extra>",
    )


def _bands(one: Curve) -> Iterator[tuple[list[float], list[float], list[float]]]:
    """Yield the stretches of a band between its gaps."""
    xs: list[float] = []
    lows: list[float] = []
    highs: list[float] = []
    for x, low, high in zip(one.xs, one.lows, one.highs, strict=True):
        if math.isnan(low) or math.isnan(high):
            if xs:
                yield xs, lows, highs
            xs, lows, highs = [], [], []
            continue
        xs.append(x)
        lows.append(low)
        highs.append(high)
    if xs:
        yield xs, lows, highs


def _edges(low: float, high: float) -> str:
    return "" if math.isnan(low) else f" ({low:.4g} … {high:.4g})"


def _gapped(ys: Iterable[float]) -> list[float | None]:
    return [None if math.isnan(y) else y for y in ys]


def _points(objects: Any, figure: Scatter) -> Iterator[Any]:
    for one in figure.groups:
        colour, _ = style(one.colour, 0)
        yield objects.Scatter(
            x=one.xs,
            y=one.ys,
            name=_text(shortened(one.label, _LEGEND_LETTERS)),
            mode="markers",
            marker={
                "color": colour,
                "symbol": MARKS[one.colour % len(MARKS)],
                "size": 9,
                "opacity": 0.85,
                "line": {"width": 0.5, "color": PAPER},
            },
            text=[_text(name) for name in one.names],
            hovertemplate="%{text}<br>%{x}, %{y}<extra></extra>",
        )


def _bars(objects: Any, figure: Histogram) -> Iterator[Any]:
    edges = figure.edges
    several = len(figure.groups) > 1
    for one in figure.groups:
        colour, _ = style(one.colour, 0)
        yield objects.Bar(
            x=[low / 2 + high / 2 for low, high in pairwise(edges)],
            y=one.counts,
            width=edges[1] - edges[0],
            name=_text(shortened(one.label, _LEGEND_LETTERS)),
            marker={"color": colour, "line": {"width": 0.5, "color": PAPER}},
            opacity=OVERLAID if several else 1,
            text=[f"{low:.5g} … {high:.5g}" for low, high in pairwise(edges)],
            textposition="none",
            hovertemplate=f"{_text(one.label)}<br>%{{text}}: %{{y}}<extra></extra>",
        )


def _lines(objects: Any, figure: Parallel) -> Any:
    dimensions = []
    letters = max(8, _AXIS_LETTERS // len(figure.axes))
    for axis, values in zip(figure.axes, figure.values, strict=True):
        one: dict[str, Any] = {
            "label": _text(shortened(axis.title, letters)),
            "values": values,
            "range": _room(axis, values),
        }
        if axis.categories:
            one["tickvals"] = list(range(len(axis.categories)))
            # Unlike everywhere else, these are shown as they are.
            one["ticktext"] = [shortened(name, letters) for name in axis.categories]
        dimensions.append(one)
    by = figure.colour
    low, high = span(figure.values[by])
    title = _text(shortened(figure.axes[by].title, _LEGEND_LETTERS))
    bar: dict[str, Any] = {"title": {"text": title, "side": "right"}}
    if figure.axes[by].categories:
        names = figure.axes[by].categories
        told = [_text(shortened(one, letters)) for one in names]
        bar |= {"tickvals": list(range(len(names))), "ticktext": told}
    return objects.Parcoords(
        dimensions=dimensions,
        line={
            "color": figure.values[by],
            "colorscale": SCALE,
            "cmin": low,
            "cmax": high,
            "showscale": True,
            "colorbar": bar,
        },
        labelfont={"size": 13},
        tickfont={"size": 11},
    )


def _room(axis: Axis, values: Sequence[float]) -> list[float]:
    return [-0.5, len(axis.categories) - 0.5] if axis.categories else list(span(values))


def _plane(figure: Curves | Scatter | Histogram, *, has_legend: bool) -> dict[str, Any]:
    return {
        "xaxis": _axis(figure.x),
        "yaxis": _axis(figure.y),
        "showlegend": has_legend,
        "legend": {"bgcolor": "rgba(255,255,255,0.8)"},
    }


def _axis(axis: Axis) -> dict[str, Any]:
    look: dict[str, Any] = {
        "title": {"text": _text(axis.title)},
        "type": "log" if axis.log else "linear",
        "gridcolor": GRID,
        "linecolor": INK,
        "ticks": "outside",
        "zeroline": False,
    }
    if axis.log:
        look |= {"exponentformat": "power", "nticks": _LOG_TICKS}
    if axis.categories:
        look["tickvals"] = list(range(len(axis.categories)))
        look["ticktext"] = [_text(shortened(one, _LEGEND_LETTERS)) for one in axis.categories]
        look["range"] = [-0.5, len(axis.categories) - 0.5]
    return look


def _note(text: str, below: int) -> dict[str, Any]:
    return {
        "text": text,
        "align": "left",
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 0,
        "xanchor": "left",
        "yanchor": "top",
        "yshift": -_BELOW_TITLE,
        "font": {"size": 11, "color": "#555555"},
        "height": below,
    }


def _text(text: str) -> str:
    """Return text as Plotly shows it literally: it reads some HTML."""
    return html.escape(text, quote=False).replace("$", "&#36;").replace("%{", "%&#123;")
