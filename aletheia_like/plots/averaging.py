"""The mean of several runs, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aletheia_like.plots.figures import Spread
from aletheia_like.plots.thinning import Numbers

_MOST_CELLS = 20_000_000
"""Points times runs that are averaged; where more differ, fewer places are looked at."""


@dataclass(frozen=True, slots=True)
class Line:
    """Points of one run: ascending in x, each x once; NaN in y is a gap."""

    xs: Numbers
    ys: Numbers


@dataclass(frozen=True, slots=True)
class Averaged:
    """The mean of runs, and the edges of their spread, at each x."""

    xs: Numbers
    mean: Numbers
    lows: Numbers
    highs: Numbers


def line_of(xs: Numbers, ys: Numbers) -> Line:
    """Return points in order; of several at one x the last that was logged counts."""
    order = np.argsort(xs, kind="stable")
    xs, ys = xs[order], ys[order]
    last = np.r_[xs[1:] != xs[:-1], True] if len(xs) else np.zeros(0, bool)
    return Line(xs[last], ys[last])


def averaged(lines: Sequence[Line], spread: Spread) -> Averaged:
    """Return the mean of runs and their spread.

    Where runs have values at other places than their fellows, they are taken to be straight in
    between; none counts before its first or after its last value, nor beside a gap.

    Args:
        lines: The runs; at least one.
        spread: `std` for one standard deviation (of a sample) to either side of the mean; where
            only one run counts, and with `none`, both edges are NaN. `minmax` for the least and
            greatest run.
    """
    xs = lines[0].xs
    if len(lines) == 1:
        nothing = np.full(len(xs), np.nan)
        return Averaged(xs, lines[0].ys, nothing, nothing)
    if any(not np.array_equal(xs, one.xs) for one in lines[1:]):
        xs = np.unique(np.concatenate([one.xs for one in lines]))
        xs = xs[:: 1 + len(xs) * len(lines) // _MOST_CELLS]
    table = np.stack([_at(xs, one) for one in lines])
    there = ~np.isnan(table)
    counts = there.sum(axis=0)
    filled = np.where(there, table, 0.0)
    with np.errstate(all="ignore"):
        mean = filled.sum(axis=0) / np.where(counts, counts, np.nan)
        if spread == "std":
            squares = np.where(there, (table - mean) ** 2, 0.0).sum(axis=0)
            deviation = np.sqrt(squares / np.where(counts > 1, counts - 1, np.nan))
            return Averaged(xs, mean, mean - deviation, mean + deviation)
    if spread == "minmax":
        alone = counts < 2  # noqa: PLR2004 - one run has no spread
        lows = np.where(alone, np.nan, np.where(there, table, np.inf).min(axis=0))
        highs = np.where(alone, np.nan, np.where(there, table, -np.inf).max(axis=0))
        return Averaged(xs, mean, lows, highs)
    nothing = np.full(len(xs), np.nan)
    return Averaged(xs, mean, nothing, nothing)


def _at(xs: Numbers, one: Line) -> Numbers:
    if len(one.xs) == len(xs) and np.array_equal(one.xs, xs):
        return one.ys
    if not len(one.xs):
        return np.full(len(xs), np.nan)
    values = np.interp(xs, one.xs, one.ys, left=np.nan, right=np.nan)
    # Beside a gap numpy finds NaN also at a place that has a value.
    own = np.isin(xs, one.xs)
    values[own] = one.ys[np.searchsorted(one.xs, xs[own])]
    result: Numbers = values
    return result
