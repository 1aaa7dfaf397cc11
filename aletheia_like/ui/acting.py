"""The only changes that the page makes: tags of a run, and the request to stop."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.responses import RedirectResponse, Response

from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.handle import check_tags
from aletheia_like.metastore.run import Run
from aletheia_like.model.values import encode
from aletheia_like.ports.documents import Update
from aletheia_like.ui.asking import Asked, Page
from aletheia_like.ui.links import link

MAX_FORM_BYTES = 64 * 1024


def stop(asked: Asked) -> Response:
    """Ask a run to stop."""
    run = asked.run
    run.request_stop(_field(asked, "reason") or None)
    return _back(asked, run)


def tag(asked: Asked) -> Response:
    """Replace the tags of a run."""
    run = asked.run
    tags = list(
        check_tags([one.strip() for one in _field(asked, "tags").split(",") if one.strip()])
    )
    run.session.documents.apply([Update(run.path, {("tags",): encode(tags)})])
    return _back(asked, run)


def _field(asked: Asked, name: str) -> str:
    """Return a field of the form that was sent.

    Raises:
        InvalidValueError: It is no form of text.
    """
    try:
        fields = parse_qs(asked.body.decode("utf-8"), keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        message = "this is no form"
        raise InvalidValueError(message) from error
    return fields.get(name, [""])[-1].strip()


def _back(asked: Asked, run: Run) -> Response:
    here = ("projects", asked.name("project"), "experiments", asked.name("experiment"))
    return RedirectResponse(link(*here, "runs", run.id), 303)


_PATH = "/projects/{project}/experiments/{experiment}/runs/{run}"

routes = (
    Page(f"{_PATH}/stop", stop, ("POST",)),
    Page(f"{_PATH}/tags", tag, ("POST",)),
)
