"""A plot: what was decided, and the ways to see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.plots import page, picture
from aletheia_like.plots.figures import Figure

PAGES = frozenset({".html", ".htm"})
PICTURES = frozenset({".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp"})


class Plot:
    """A plot, shown by notebooks, or saved as a page or a picture.

    Args:
        data: What is to be seen.
    """

    def __init__(self, data: Figure) -> None:
        self._data = data

    @property
    def data(self) -> Figure:
        """What is drawn: every point, as plain facts."""
        return self._data

    @property
    def notes(self) -> tuple[str, ...]:
        """What a viewer has to know: what a band is, what was left out."""
        return self._data.notes

    @property
    def figure(self) -> Any:
        """The same as a Plotly figure, made anew: change it as you like.

        Raises:
            MissingExtraError: Plotly is not installed.
        """
        return page.drawn(self._data)

    def save(self, path: str | Path) -> Path:
        """Write it to a file and return its path.

        Args:
            path: `.html` is a page that works offline; `.png`, `.svg`, `.pdf`, `.jpg` and
                `.webp` are pictures, made without a display.

        Raises:
            InvalidValueError: The suffix is none of these.
            NotFoundError: There is no such folder.
            MissingExtraError: What draws it is not installed.
        """
        target = Path(path).expanduser()
        suffix = target.suffix.lower()
        if suffix not in PAGES | PICTURES:
            kinds = ", ".join(sorted(PAGES | PICTURES))
            message = f"cannot draw {target}: its name must end in one of {kinds}"
            raise InvalidValueError(message)
        if not target.parent.is_dir():
            message = f"{target.parent} is no folder: create it, or choose another path"
            raise NotFoundError(message)
        if suffix in PAGES:
            target.write_text(page.page(self._data, whole=True), encoding="utf-8")
        else:
            picture.draw_picture(self._data, target)
        return target

    def _repr_html_(self) -> str:
        return page.page(self._data, whole=False)

    def __repr__(self) -> str:
        kind = type(self._data).__name__.lower()
        return f"<Plot of {kind} {self._data.title!r}; save('plot.html'), save('plot.png')>"
