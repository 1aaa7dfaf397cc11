"""Pictures of the running product: what `aletheia demo` recorded, seen in a real browser.

The build of the documentation takes them anew for its pages if it finds a browser, and uses those
of the repository if not. `python docs/pictures/taking.py` renews these.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXPERIMENT = "/projects/penguins/experiments/which%20species"
PAGES = {
    "runs": EXPERIMENT,
    "run": f"{EXPERIMENT}/runs/1",
    "compare": f"{EXPERIMENT}/compare?run=1&run=3&run=4",
}
"""The address of what each picture shows."""

_SIZE = {"width": 1280, "height": 800}
_log = logging.getLogger("mkdocs")


def on_post_build(config: Any) -> None:
    """Take the pictures of a site that mkdocs has built."""
    program = browser()
    if program is None:
        _log.info("no browser: the pictures are those of the repository")
    else:
        take(Path(config.site_dir) / "pictures", program)


def browser() -> str | None:
    """Return the program of a browser, if there is one that can be driven."""
    with contextlib.suppress(ImportError):
        import playwright  # noqa: F401 - only whether it is there

        names = ("chromium", "chromium-browser", "chromium-headless-shell")
        return next(filter(None, map(shutil.which, names)), None)
    return None


def take(folder: Path, program: str) -> None:
    """Record the demo and take a picture of each page, and a plot, into a folder."""
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "ALETHEIA_HOME": place, "ALETHEIA_PROJECT": "penguins"}
        command = [sys.executable, "-m", "aletheia_like"]
        subprocess.run([*command, "demo"], env=environment, check=True, capture_output=True)
        plot = ["plot", "which species", "-c", "log_loss", "--by", "all", "--spread", "minmax"]
        png = ["--png", str(folder / "log_loss.png")]
        subprocess.run([*command, *plot, *png], env=environment, check=True, capture_output=True)
        with _served([*command, "ui", "--port", "0"], environment) as address:
            _shoot(address, folder, program)


@contextlib.contextmanager
def _served(command: list[str], environment: dict[str, str]) -> Iterator[str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        told = re.match(r"(http://[^/]+)/", process.stdout.readline() if process.stdout else "")
        if told is None:
            message = "the page did not start"
            raise RuntimeError(message)
        yield told[1]
    finally:
        process.terminate()
        process.wait(30)


def _shoot(address: str, folder: Path, program: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, path in PAGES.items():
            for scheme in ("light", "dark"):
                page = opened.new_page(viewport=_SIZE, color_scheme=scheme)
                page.goto(address + path, wait_until="networkidle")
                page.screenshot(path=folder / f"{name}_{scheme}.png")
                page.close()
        opened.close()


if __name__ == "__main__":
    found = browser()
    if found is None:
        sys.exit("no browser: apt-get install chromium, pip install playwright")
    take(Path(__file__).parent, found)
