"""What a page is asked: the request, the parts of the metastore it names, and ways to answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.experiment import Experiment
from aletheia_like.metastore.metastore import OpenMetastore
from aletheia_like.metastore.run import Run
from aletheia_like.ui.links import name_of, with_query
from aletheia_like.ui.plain import to_csv, to_json
from aletheia_like.ui.recent import Recent

if TYPE_CHECKING:
    from aletheia_like.ui.following import Followers

_FILES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages share.

    Attributes:
        metastore: The store, opened for any project.
        templates: The environment of all templates.
        token: What whoever may change something has to know.
        followers: Who tells browsers of changes.
        extra: What modules with pages of their own were given when the app was made, by name.
        recent: What was read a moment ago.
    """

    metastore: OpenMetastore
    templates: Environment
    token: str
    followers: Followers
    extra: Mapping[str, Any] = field(default_factory=dict)
    recent: Recent = field(default_factory=Recent)

    def open(self, project: str) -> OpenMetastore:
        """Return a project of the same store, over the same connections."""
        session = self.metastore.session
        if project == session.project:
            return self.metastore
        return OpenMetastore(
            dataclasses.replace(session, project=project, project_exists=False, surroundings=None)
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        request: As Starlette has it.
        site: What all pages share.
        may_change: Whether who asks has shown the token.
        body: What was sent with it.
    """

    request: Request
    site: Site
    may_change: bool = False
    body: bytes = b""

    def name(self, parameter: str) -> str:
        """Return a name in the path, such as `project`."""
        return name_of(self.request.path_params[parameter])

    def given(self, parameter: str, default: str = "") -> str:
        """Return a parameter of the query, stripped."""
        return str(self.request.query_params.get(parameter, default)).strip()

    def all_given(self, parameter: str) -> list[str]:
        """Return every value of a parameter of the query that is not empty."""
        return [one for one in self.request.query_params.getlist(parameter) if one]

    def number(self, parameter: str, default: int, least: int = 1, most: int = 10**9) -> int:
        """Return a whole number of the query, within bounds.

        Raises:
            InvalidValueError: It is no whole number.
        """
        text = self.given(parameter)
        if not text:
            return default
        try:
            return max(least, min(most, int(text)))
        except ValueError as error:
            message = f"{parameter} must be a whole number, not {text!r:.40}"
            raise InvalidValueError(message) from error

    def here(self, **changes: Any) -> str:
        """Return the address of this page with other parameters; None takes one away."""
        query: dict[str, Any] = {
            name: self.request.query_params.getlist(name) for name in self.request.query_params
        }
        return with_query(self.raw_path, {**query, **changes})

    def same_query(self, path: str) -> str:
        """Return another address with the query of this page."""
        query = self.request.query_params
        return with_query(path, {name: query.getlist(name) for name in query})

    @property
    def raw_path(self) -> str:
        """The path as the browser knows it."""
        return str(self.request.scope["raw_path"].decode("ascii"))

    @property
    def project(self) -> OpenMetastore:
        """The project that the path names."""
        return self.site.open(self.name("project"))

    @property
    def experiment(self) -> Experiment:
        """The experiment that the path names, for reading.

        Raises:
            NotFoundError: There is none.
        """
        return self.project.experiment(self.name("experiment"))

    @property
    def run(self) -> Run:
        """The run that the path names, for reading.

        Raises:
            NotFoundError: There is none.
        """
        return self.experiment.run(self.name("run"))

    def page(self, template: str, status: int = 200, **context: Any) -> Response:
        """Return a page."""
        text = self.site.templates.get_template(template).render(asked=self, **context)
        return HTMLResponse(text, status)

    def json(self, value: Any, status: int = 200) -> Response:
        """Return JSON in which NaN and infinities are null."""
        return Response(to_json(value), status, media_type="application/json")

    def file(
        self, columns: Sequence[str], rows: Callable[[], Sequence[Mapping[str, Any]]]
    ) -> Response | None:
        """Return a table as the file that `format` in the query asks for; None for a page.

        Raises:
            InvalidValueError: There is no such format.
        """
        wanted = self.given("format")
        if not wanted:
            return None
        if wanted not in _FILES:
            message = f"format is one of {', '.join(_FILES)}, not {wanted!r:.40}"
            raise InvalidValueError(message)
        found = rows()
        text = (
            to_csv(columns, found)
            if wanted == "csv"
            else to_json([{name: row.get(name) for name in columns} for row in found])
        )
        named = f'inline; filename="table.{wanted}"'
        return Response(text, media_type=_FILES[wanted], headers={"content-disposition": named})


@dataclass(frozen=True, slots=True)
class Page:
    """A page: where it is, and what answers.

    Attributes:
        path: With names in braces, such as `/projects/{project}`.
        answer: Is called in a thread of its own, so that it may wait for the store.
        methods: `GET` goes with `HEAD`; anything else needs the token.
    """

    path: str
    answer: Callable[[Asked], Response]
    methods: tuple[str, ...] = ("GET",)
