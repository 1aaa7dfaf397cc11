"""A real server over a real store, and a real browser."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import aletheia_like as al
from aletheia_like.ui.app import create_app
from aletheia_like.ui.serving import address_of, bound_socket, server_of
from tests.ui.browsers import find_browser

TOKEN = "a-token-for-tests"
KNOWN = ("Failed to load resource", "Applying inline style")
"""What a page may complain of: answers that a test expects, a style that Plotly tries first."""


class Site:
    """A page that is served, and the store below it.

    Attributes:
        ms: The store.
        address: Where the page is, without a slash at the end.
    """

    def __init__(self, ms: Any, address: str) -> None:
        self.ms = ms
        self.address = address

    def url(self, path: str) -> str:
        return self.address + path


@contextmanager
def serving(ms: Any, **options: Any) -> Iterator[Site]:
    """Serve the page over a store while a block runs."""
    app = create_app(ms, token=TOKEN, **options)
    bound = bound_socket("127.0.0.1", 0)
    ready = threading.Event()
    server = server_of(app, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield Site(ms, address_of("127.0.0.1", bound).rstrip("/"))
    finally:
        server.should_exit = True
        thread.join(30)
        bound.close()


@pytest.fixture(name="serving")
def serving_fixture() -> Callable[..., Any]:
    return serving


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    """An empty embedded store."""
    home = (tmp_path / "store").as_uri()
    with al.Metastore("penguins", url=home, cache_dir=tmp_path / "cache", git="off") as ms:
        yield ms


@pytest.fixture
def site(store: Any) -> Iterator[Site]:
    """The page over an empty embedded store; tests fill it."""
    with serving(store) as served:
        yield served


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, one for each worker; skipped, or required by ALETHEIA_REQUIRE."""
    program = find_browser()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        why = "no browser: apt-get install chromium-headless-shell, pip install playwright"
        if "chromium" in os.environ.get("ALETHEIA_REQUIRE", "").split(","):
            pytest.fail(f"ALETHEIA_REQUIRE names chromium: {why}", pytrace=False)
        pytest.skip(why)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A window of its own; what the page writes as an error fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on(
        "console",
        lambda message: (
            wrong.append(message.text)
            if message.type == "error" and not any(known in message.text for known in KNOWN)
            else None
        ),
    )
    yield opened
    context.close()
    assert not wrong, wrong


@pytest.fixture
def until(page: Any) -> Callable[[str], None]:
    """Wait until an expression holds: Playwright's own way evaluates text, which pages forbid."""

    def wait(expression: str) -> None:
        deadline = time.monotonic() + 60
        while not page.evaluate(expression):
            assert time.monotonic() < deadline, expression
            page.wait_for_timeout(30)

    return wait


def raw_request(address: str, text: str) -> str:
    """Send bytes as they are, which no client would, and return the answer."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(text.replace("\n", "\r\n").encode())
        connection.settimeout(20)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received.decode(errors="replace")


@pytest.fixture
def ask(site: Site) -> Callable[[str], str]:
    """Ask for a path as it is written, over a bare connection."""

    def send(path: str, *headers: str, method: str = "GET", body: str = "") -> str:
        given = "".join(f"{one}\n" for one in headers)
        host = "" if "Host:" in given else f"Host: {site.address.removeprefix('http://')}\n"
        length = f"Content-Length: {len(body)}\n" if method == "POST" else ""
        return raw_request(
            site.address,
            f"{method} {path} HTTP/1.1\n{host}{given}{length}Connection: close\n\n{body}",
        )

    return send
