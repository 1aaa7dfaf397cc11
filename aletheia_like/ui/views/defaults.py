"""The view of somebody who wrote none: a summary, and a plot of each column of numbers."""

from __future__ import annotations

from collections.abc import Sequence

from aletheia_like.metastore.rows import Rows
from aletheia_like.model.rows import RUN_ID, STEP, TIMESTAMP
from aletheia_like.ui.views.values import all_numbers
from aletheia_like.ui.views.view import Panel, View

INDEX = ("project", "experiment", RUN_ID)
_MOST_PLOTS = 24
_APART = frozenset({STEP, TIMESTAMP, RUN_ID, "experiment", "project"})


def default_view(rows: Rows | None = None, index: Sequence[str] = INDEX) -> View:
    """Return a view of the latest values, and of every column of numbers by step.

    Args:
        rows: The rows of one page, which tell the columns; without them only the summary.
        index: Columns that tell pages apart.
    """
    panels = [Panel("summary")]
    if rows is not None and len(rows):
        across = STEP if STEP in rows else TIMESTAMP
        panels += [
            Panel(name, (name,), (across,), "lineplot")
            for name in _numeric(rows, {*_APART, *index})[:_MOST_PLOTS]
        ]
    return View(tuple(index), tuple(panels))


def _numeric(rows: Rows, apart: set[str]) -> list[str]:
    return [name for name in rows.columns if name not in apart and all_numbers(rows[name])]
