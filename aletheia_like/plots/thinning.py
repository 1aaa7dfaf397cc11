"""Few points that look like many, and noise made quiet."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def smoothed(ys: Numbers, weight: float) -> Numbers:
    """Return the exponential moving average of values; a gap stays one and counts for nothing.

    Args:
        ys: Values in order.
        weight: What the past counts, from 0 for nothing to below 1. The first values are not
            drawn towards zero.
    """
    if not weight:
        return ys
    import pandas as pd

    series = pd.Series(ys)
    average = series.ewm(alpha=1 - weight, adjust=True, ignore_na=True).mean()
    quiet: Numbers = average.where(series.notna()).to_numpy(dtype=np.float64)
    return quiet


def thinned(xs: Numbers, ys: Numbers, most: int, *, log: bool = False) -> NDArray[np.int64]:
    """Return the places of few points that look the same.

    The width is cut into equal stretches; of each stay the first, least, greatest and last point,
    and a gap. So no spike is lost, as an average would lose it.

    Args:
        xs: Ascending.
        ys: NaN is a gap.
        most: About how many to keep; fewer are returned as they are.
        log: Whether stretches are equal on a logarithmic scale.
    """
    if len(xs) <= most:
        return np.arange(len(xs))
    across = np.log(xs) if log else xs
    stretches = max(1, most // 4)
    width = across[-1] - across[0]
    scale = stretches / width if width > 0 else 0.0
    buckets = np.minimum(((across - across[0]) * scale).astype(np.int64), stretches - 1)
    gaps = np.isnan(ys)
    starts = np.flatnonzero(np.r_[True, np.diff(buckets) > 0])
    ends = np.r_[starts[1:], len(xs)]
    least = _first_of(np.where(gaps, np.inf, ys), starts, ends)
    greatest = _first_of(np.where(gaps, np.inf, -ys), starts, ends)
    kept = [starts, ends - 1, least, greatest]
    if gaps.any():
        places = np.flatnonzero(gaps)
        kept.append(places[np.unique(buckets[places], return_index=True)[1]])
    return np.unique(np.concatenate(kept))


def _first_of(values: Numbers, starts: Any, ends: Any) -> Any:
    """Return where each stretch has its least value first; sorting would take longer."""
    least = np.minimum.reduceat(values, starts)
    places = np.flatnonzero(values == np.repeat(least, ends - starts))
    return places[np.searchsorted(places, starts)]
