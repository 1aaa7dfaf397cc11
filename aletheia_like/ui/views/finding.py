"""Which rows of a store a view is about: as few runs are read as its index allows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from aletheia_like.errors import NotFoundError
from aletheia_like.metastore.metastore import OpenMetastore
from aletheia_like.metastore.rows import Rows, joined_rows
from aletheia_like.model.names import from_id
from aletheia_like.model.rows import RUN_ID
from aletheia_like.ui.views.defaults import INDEX, default_view
from aletheia_like.ui.views.evaluating import Entry, belonging, entries
from aletheia_like.ui.views.view import View

PROJECT, EXPERIMENT = "project", "experiment"
_OF_RUNS = frozenset({PROJECT, EXPERIMENT, RUN_ID})


class Finder:
    """Finds what a view shows.

    Every row is known by the project, the experiment and the id of its run, whatever was logged
    by these names; the other columns of an index are columns of rows.

    Args:
        open_project: Opens a project of the store.
        metastore: The project that is meant if the index has none.
        view: The view; None for the default one.
    """

    def __init__(
        self,
        open_project: Callable[[str], OpenMetastore],
        metastore: OpenMetastore,
        view: View | None,
    ) -> None:
        self._open = open_project
        self._metastore = metastore
        self.view = view

    @property
    def index(self) -> tuple[str, ...]:
        """The columns that tell pages apart."""
        return self.view.index if self.view else INDEX

    def view_of(self, rows: Rows) -> View:
        """Return the view of one page; the default one shows what its rows have."""
        return self.view or default_view(rows)

    def entries(self) -> list[Entry]:
        """Return the pages there are, the newest first.

        If the index has only names of projects, experiments and runs, that is one read for each
        run; else every row is read.
        """
        if _OF_RUNS.issuperset(self.index):
            return self._run_entries()
        return entries(self._every({}), self.index)

    def rows(self, texts: Sequence[str]) -> Rows:
        """Return the rows of one page.

        Args:
            texts: The values of the index, as in its address.

        Raises:
            NotFoundError: There is no such page.
        """
        given = dict(zip(self.index, texts, strict=True))
        rows = self._every({name: text for name, text in given.items() if name in _OF_RUNS})
        others = [name for name in self.index if name not in _OF_RUNS]
        found = belonging(rows, others, [given[name] for name in others]) if others else rows
        if not len(found) and tuple(texts) not in {one.texts for one in self.entries()}:
            message = f"there is no run {' / '.join(texts)!r:.200}"
            raise NotFoundError(message)
        return found

    def _every(self, given: dict[str, str]) -> Rows:
        equal_to: dict[str, Any] = {
            name: given[name] for name in (EXPERIMENT, RUN_ID) if name in given
        }
        parts = [
            project.rows(**equal_to).with_column(PROJECT, project.project)
            for project in self._projects(given.get(PROJECT))
        ]
        return parts[0] if len(parts) == 1 else joined_rows(parts)

    def _projects(self, name: str | None) -> list[OpenMetastore]:
        if PROJECT not in self.index:
            return [self._metastore]
        names = [one.name for one in self._metastore.projects()]
        return [self._open(one) for one in names if name in (None, one)]

    def _run_entries(self) -> list[Entry]:
        found: dict[tuple[str, ...], Entry] = {}
        for project in self._projects(None):
            for document in project.runs(debug=True).documents:
                _, _, _, experiment, _, run = document.path.split("/")
                known = {
                    PROJECT: project.project,
                    EXPERIMENT: from_id(experiment),
                    RUN_ID: from_id(run),
                }
                texts = tuple(known[name] for name in self.index)
                ended = document.fields.get("ended_at")
                last = ended if isinstance(ended, dt.datetime) else document.updated_at
                before = found.get(texts)
                if before is None or (last and before.last and last > before.last):
                    found[texts] = Entry(texts, texts, None, last)
        return sorted(
            found.values(), key=lambda one: (-one.last.timestamp() if one.last else 0.0, one.texts)
        )
