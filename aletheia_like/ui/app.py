"""The web application: the pages of all modules, behind the guard."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import mimetypes
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from aletheia_like.errors import (
    AccessDeniedError,
    AletheiaError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
)
from aletheia_like.metastore.metastore import OpenMetastore
from aletheia_like.model.quantities import shown_bytes, shown_seconds
from aletheia_like.ui import (
    acting,
    collected,
    comparing,
    contents,
    costs,
    curves,
    keeping,
    live,
    overview,
    rows,
    run,
    runs,
    viewing,
)
from aletheia_like.ui.asking import Asked, Page, Site
from aletheia_like.ui.following import Followers
from aletheia_like.ui.links import link
from aletheia_like.ui.plain import shown
from aletheia_like.ui.security import MAY_CHANGE, Guard, Rules, policy
from aletheia_like.ui.tables import plain_row

PAGES: tuple[Page, ...] = (
    *overview.routes,
    *comparing.routes,
    *keeping.routes,
    *collected.routes,
    *costs.routes,
    *runs.routes,
    *run.routes,
    *curves.routes,
    *rows.routes,
    *acting.routes,
    *contents.routes,
    *live.routes,
    *viewing.routes,
    *viewing.anything,
)
"""In the order in which they are tried: what matches any path comes last."""

_STATUS: tuple[tuple[type[AletheiaError], int], ...] = (
    (NotFoundError, 404),
    (InvalidValueError, 400),
    (UnavailableError, 503),
    (AccessDeniedError, 503),
)
_log = logging.getLogger("aletheia")
_KEEP = "public, max-age=31536000, immutable"
_SHORT_BYTES = 65_536


def create_app(
    metastore: OpenMetastore,
    *,
    token: str,
    open_to_readers: bool = True,
    extra: Mapping[str, Any] | None = None,
    pages: Iterable[Page] = PAGES,
) -> Starlette:
    """Return the application over a metastore; nothing is read before the first request.

    Args:
        metastore: The store, opened for any of its projects.
        token: What whoever may change something has to know.
        open_to_readers: Whether this machine's users may read without it.
        extra: What modules with pages need, by name; they find it in `Site.extra`.
        pages: What can be asked for.
    """
    followers = Followers()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        threading.Thread(target=_warm, name="aletheia-ui-warm", daemon=True).start()
        yield
        await run_in_threadpool(followers.close)

    static = Static()
    site = Site(metastore, _templates(static), token, followers, dict(extra or {}))
    routes = [Route("/static/{digest}/{name}", static.answer, methods=["GET"])]
    routes += [Route(one.path, _answering(one, site), methods=list(one.methods)) for one in pages]
    handlers = {AletheiaError: _failing(site), 404: _missing(site)}
    allowed = policy(static.source("theme.js"), static.source("page.css"))
    rules = Rules(token, open_to_readers, allowed)
    return Starlette(
        routes=routes,
        exception_handlers=handlers,  # type: ignore[arg-type]
        middleware=[Middleware(Guard, rules=rules)],
        lifespan=lifespan,
    )


class Static:
    """The files of the page itself, under addresses that change with their content."""

    def __init__(self) -> None:
        folder = Path(str(files("aletheia_like.ui") / "static"))
        plotly = Path(str(files("plotly") / "package_data" / "plotly.min.js"))
        self._paths = {path.name: path for path in (*sorted(folder.iterdir()), plotly)}
        self._digests = {name: _tag(path) for name, path in self._paths.items()}

    def link(self, name: str) -> str:
        """Return the address of a file."""
        return link("static", self._digests[name], name)

    def text(self, name: str) -> Markup:
        """Return a file as it stands in every page, which a browser paints without asking more."""
        return Markup(self._paths[name].read_text(encoding="utf-8"))  # noqa: S704 - our own file

    def source(self, name: str) -> str:
        """Return what a policy says to allow that text."""
        digest = hashlib.sha256(self.text(name).encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    async def answer(self, request: Request) -> Response:
        """Return a file."""
        path = self._paths.get(request.path_params["name"])
        if path is None:
            return PlainTextResponse("there is no such file", 404)
        headers = {"cache-control": _KEEP}
        if path.stat().st_size > _SHORT_BYTES:
            return FileResponse(path, headers=headers)
        # A file response asks other threads several times, while a browser waits to paint.
        media_type = mimetypes.guess_type(path.name)[0]
        return Response(path.read_bytes(), headers=headers, media_type=media_type)


def _tag(path: Path) -> str:
    """Return what differs whenever a file does; long ones are not read for it."""
    state = path.stat()
    return f"{state.st_mtime_ns:x}-{state.st_size:x}"


def _warm() -> None:
    """Import what curves need, before somebody waits for the first."""
    with contextlib.suppress(ImportError):
        from aletheia_like.metastore import plotlines, sqlrows

        del plotlines, sqlrows


def _templates(static: Static) -> Environment:
    environment = Environment(
        loader=PackageLoader("aletheia_like.ui"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shown=shown, bytes=shown_bytes, seconds=shown_seconds)
    environment.globals.update(link=link, static=static.link, plain_row=plain_row)
    inside = {"sheet": "page.css", "theme": "theme.js", "icon": "icon.svg"}
    environment.globals.update({name: static.text(file) for name, file in inside.items()})
    return environment


def _answering(page: Page, site: Site) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        body = b""
        if request.method == "POST":
            async for part in request.stream():
                body += part
                if len(body) > acting.MAX_FORM_BYTES:
                    return PlainTextResponse("this form is too long", 413)
        asked = _asked(request, site, body)
        try:
            return await run_in_threadpool(page.answer, asked)
        except AletheiaError:
            raise
        except Exception as error:  # noqa: BLE001
            # Told on the page, and in the terminal in full: else nobody would learn what failed.
            _log.exception("the page %s failed", request.url.path)
            told = f"This page failed by a mistake of the program: {type(error).__name__}: {error}"
            return await run_in_threadpool(_told, asked, 500, told)

    return answer


def _asked(request: Request, site: Site, body: bytes = b"") -> Asked:
    return Asked(request, site, bool(request.scope.get(MAY_CHANGE)), body)


def _failing(site: Site) -> Callable[[Request, AletheiaError], Any]:
    async def fail(request: Request, error: AletheiaError) -> Response:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        return await run_in_threadpool(_told, _asked(request, site), status, str(error))

    return fail


def _missing(site: Site) -> Callable[[Request, Exception], Any]:
    async def miss(request: Request, error: Exception) -> Response:
        del error
        return await run_in_threadpool(_told, _asked(request, site), 404, "there is no such page")

    return miss


def _told(asked: Asked, status: int, message: str) -> Response:
    if "text/html" not in asked.request.headers.get("accept", ""):
        return asked.json({"error": message}, status)
    return asked.page("error.html", status, message=message, code=status)
