"""`aletheia ui`: the web page over a store."""

from __future__ import annotations

import os
from pathlib import Path

import click

from aletheia_like.cli.browse import UNNAMED, configured_project, open_without_project
from aletheia_like.cli.output import print_json_line, say, store_options
from aletheia_like.connect import Metastore
from aletheia_like.extras import import_extra

_TOKEN = "ALETHEIA_UI_TOKEN"  # noqa: S105 - the name of a variable


@click.command(short_help="Show runs in a browser.")
@click.option(
    "--view", type=click.Path(path_type=Path), help="A view file: which panels are shown."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), help="0 for any; else 8420 or the next.")
@store_options
def ui(
    *,
    view: Path | None,
    host: str,
    port: int | None,
    project: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show projects, runs and curves in a browser, until Ctrl-C.

    The printed link holds a token: whoever has it may tag runs and ask them to stop. At another
    host than this machine nothing is shown without it. ALETHEIA_UI_TOKEN sets a lasting one.

    Examples: aletheia ui; aletheia ui --view view.yaml; aletheia ui -p penguins --port 9000
    """
    for module in ("starlette", "uvicorn", "jinja2", "plotly"):
        import_extra(module, "ui")
    from aletheia_like.ui.app import create_app
    from aletheia_like.ui.links import link, with_query
    from aletheia_like.ui.serving import (
        address_of,
        bound_socket,
        is_this_machine,
        new_token,
        server_of,
    )
    from aletheia_like.ui.views.parsing import read_view

    token = os.environ.get(_TOKEN) or new_token()
    extra = {"view": read_view(view)} if view is not None else {}
    with _opened(project, url) as ms:
        app = create_app(ms, token=token, open_to_readers=is_this_machine(host), extra=extra)
        bound = bound_socket(host, port)
        named = project or configured_project()
        first = link("projects", named) if named and view is None else "/"
        address = address_of(host, bound).rstrip("/") + with_query(first, {"token": token})

        def tell() -> None:
            if as_json:
                print_json_line({"url": address})
            else:
                click.echo(address)
                say(f"showing {ms.url}; Ctrl-C ends it")

        try:
            server_of(app, tell).run(sockets=[bound])
        except KeyboardInterrupt:
            say("")


def _opened(project: str | None, url: str | None) -> Metastore:
    named = project or configured_project()
    return (
        open_without_project(None, url)
        if named in (None, UNNAMED)
        else Metastore(named, url=url, git="off")
    )
