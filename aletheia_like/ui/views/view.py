"""What a view says: which columns tell pages apart, and what each page shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PanelType = Literal["data", "lineplot"]

EVERY = "*"
"""Stands for every column there is."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a page.

    Attributes:
        name: Its title.
        columns: What it shows; None for every column there is.
        index: Columns that group the rows: a line of a table each, or across in a plot.
        type: `data` shows values as they are, `lineplot` as lines.
        slider: A column; one of its values is chosen, and what belongs to it is shown.
    """

    name: str
    columns: tuple[str, ...] | None = None
    index: tuple[str, ...] = ()
    type: PanelType = "data"
    slider: str | None = None

    @property
    def grouped_by(self) -> tuple[str, ...]:
        """The columns that group the rows, the slider's first."""
        if self.slider is None:
            return self.index
        return (self.slider, *(one for one in self.index if one != self.slider))


@dataclass(frozen=True, slots=True)
class View:
    """How rows are shown.

    Attributes:
        index: Columns; each distinct combination of their values has a page.
        panels: What such a page shows.
        source: The file it was read from; None for the default view.
    """

    index: tuple[str, ...]
    panels: tuple[Panel, ...]
    source: str | None = None
