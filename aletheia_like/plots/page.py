"""Draws figures by Plotly: for a notebook, or as a page that needs nothing else."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aletheia_like.extras import import_extra
from aletheia_like.plots.figures import Axis, Curve, Curves, Figure, Parallel, Scatter, span
from aletheia_like.plots.palette import (
    BAND,
    DASHES,
    GRID,
    INK,
    MARKS,
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
            layout = {"margin": {"l": 80, "r": 90, "t": 110, "b": 40}}
    notes = "<br>".join(map(_text, figure.notes))
    below = _NOTE_LINE * len(figure.notes)
    layout.setdefault("margin", {"l": 70, "r": 30, "t": 60, "b": 60})
    layout["margin"]["b"] += below
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
    return str(
        drawn(figure).to_html(
            full_html=whole,
            include_plotlyjs=True,
            include_mathjax=False,
            config=_CONFIG,
            default_height="100%" if whole else "480px",
        )
    )


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
        name=_text(one.label),
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
            name=_text(one.label),
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


def _lines(objects: Any, figure: Parallel) -> Any:
    dimensions = []
    for axis, values in zip(figure.axes, figure.values, strict=True):
        one: dict[str, Any] = {
            "label": _text(axis.title),
            "values": values,
            "range": _room(axis, values),
        }
        if axis.categories:
            one["tickvals"] = list(range(len(axis.categories)))
            one["ticktext"] = [_text(name) for name in axis.categories]
        dimensions.append(one)
    by = figure.colour
    low, high = span(figure.values[by])
    bar: dict[str, Any] = {"title": {"text": _text(figure.axes[by].title)}}
    if figure.axes[by].categories:
        names = figure.axes[by].categories
        bar |= {"tickvals": list(range(len(names))), "ticktext": [_text(one) for one in names]}
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


def _plane(figure: Curves | Scatter, *, has_legend: bool) -> dict[str, Any]:
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
        look["exponentformat"] = "power"
    if axis.categories:
        look["tickvals"] = list(range(len(axis.categories)))
        look["ticktext"] = [_text(name) for name in axis.categories]
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
        "yshift": -45,
        "font": {"size": 11, "color": "#555555"},
        "height": below,
    }


def _text(text: str) -> str:
    """Return text as Plotly shows it literally: it reads some HTML."""
    return html.escape(text, quote=False).replace("$", "&#36;").replace("%{", "%&#123;")
