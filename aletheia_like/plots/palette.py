"""Colours that people tell apart who see red and green alike, on screen and on paper."""

from __future__ import annotations

# After Okabe and Ito, without their yellow, which white paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
DASHES = ("solid", "dash", "dot", "dashdot")
MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
SCALE = "Cividis"
BAND = 0.18
INK, GRID, PAPER = "#222222", "#DDDDDD", "#FFFFFF"


def style(colour: int, dash: int) -> tuple[str, int]:
    """Return a colour, and the number of a kind of line that differs where colours repeat."""
    return COLOURS[colour % len(COLOURS)], (dash + colour // len(COLOURS)) % len(DASHES)


def faint(colour: str, share: float) -> str:
    """Return a colour of which so much is seen, as CSS writes it."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"
