"""Figures as JSON: facts that `figures.js` draws, in the colours of the theme."""

from __future__ import annotations

from typing import Any

from aletheia_like.plots.figures import Axis, Curve, Curves, Figure, Histogram, Parallel, Scatter
from aletheia_like.plots.palette import COLOURS, DASHES, style


def figure_facts(figure: Figure) -> dict[str, Any]:
    """Return what a browser needs to draw a figure; NaN becomes null, which is a gap."""
    told: dict[str, Any] = {
        "kind": type(figure).__name__.lower(),
        "title": figure.title,
        "notes": list(figure.notes),
    }
    match figure:
        case Curves():
            told |= _plane(figure.x, figure.y)
            told |= {"lines": figure.lines, "curves": [_curve(one) for one in figure.curves]}
        case Scatter():
            told |= _plane(figure.x, figure.y)
            told["groups"] = [
                {
                    "label": one.label,
                    "xs": one.xs,
                    "ys": one.ys,
                    "names": one.names,
                    "colour": COLOURS[one.colour % len(COLOURS)],
                    "mark": one.colour,
                }
                for one in figure.groups
            ]
        case Histogram():
            told |= _plane(figure.x, figure.y)
            told["edges"] = figure.edges
            told["groups"] = [
                {"label": one.label, "counts": one.counts, "colour": style(one.colour, 0)[0]}
                for one in figure.groups
            ]
        case Parallel():
            told["axes"] = [_axis(one) for one in figure.axes]
            told |= {"values": figure.values, "names": figure.names, "colour": figure.colour}
    return told


def _plane(x: Axis, y: Axis) -> dict[str, Any]:
    return {"x": _axis(x), "y": _axis(y)}


def _axis(axis: Axis) -> dict[str, Any]:
    return {"title": axis.title, "log": axis.log, "categories": axis.categories}


def _curve(one: Curve) -> dict[str, Any]:
    colour, dash = style(one.colour, one.dash)
    return {
        "label": one.label,
        "xs": one.xs,
        "ys": one.ys,
        "lows": one.lows,
        "highs": one.highs,
        "colour": colour,
        "dash": DASHES[dash],
    }
