"""Counts of values, bar by bar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from aletheia_like.errors import InvalidValueError
from aletheia_like.plots.figures import Axis, Bars, Histogram


def histogram_of(
    values: Mapping[str, Sequence[float]], bins: int, title: str, x: str, *, log: bool = False
) -> Histogram:
    """Return how often values occur; what is not finite has no bar.

    Args:
        values: Values by what the legend calls them.
        bins: How many bars, at least one.
        title: The line above.
        x: What the values are.
        log: Whether counts are on a logarithmic scale.

    Raises:
        InvalidValueError: There are no values.
    """
    finite = {label: list(filter(math.isfinite, given)) for label, given in values.items()}
    left_out = sum(map(len, values.values())) - sum(map(len, finite.values()))
    together = [value for given in finite.values() for value in given]
    if not together:
        message = f"nothing to draw of {x}: no numbers"
        raise InvalidValueError(message)
    edges = _edges(min(together), max(together), bins)
    groups = tuple(
        Bars(label, _counts(given, edges), number)
        for number, (label, given) in enumerate(finite.items())
    )
    told = "1 value is" if left_out == 1 else f"{left_out} values are"
    notes = (f"{told} left out: no finite number",) if left_out else ()
    return Histogram(title, Axis(x), Axis("rows", log), edges, groups, notes)


def _edges(low: float, high: float, bins: int) -> tuple[float, ...]:
    if low == high:
        room = 0.5 if abs(low) < 1 else abs(low) / 2
        low, high = low - room, high + room
    # Weighed rather than stepped: the whole span may be more than a number can say.
    shares = [number / bins for number in range(bins + 1)]
    return tuple(low * (1 - share) + high * share for share in shares)


def _counts(values: Sequence[float], edges: Sequence[float]) -> tuple[int, ...]:
    counts = [0] * (len(edges) - 1)
    low, high = edges[0], edges[-1]
    half = high / 2 - low / 2
    for value in values:
        share = (value / 2 - low / 2) / half
        counts[min(int(share * len(counts)), len(counts) - 1)] += 1
    return tuple(counts)
