"""How soon a page shows its table, and its curve: measured inside a real browser, on loopback."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import systems
from tests.benchmarks.installing import interpreter
from tests.benchmarks.options import Options
from tests.benchmarks.reporting import medians, table
from tests.ui.browsers import find_browser

COLUMNS = {
    "table_paint_ms": "first paint of the runs ms",
    "table_ms": "first page of the runs ms",
    "all_ms": "all runs on a page ms",
    "curve_paint_ms": "first paint of the curve's page ms",
    "curve_ms": "curve ms",
    "full_ms": "curve that can be zoomed ms",
}
_FILL = Path(__file__).parent / "peers" / "mlflow_page.py"
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
_LOOK = """(() => {
  const look = () => {
    if (document.querySelector(SELECTOR)) {
      requestAnimationFrame(() => setTimeout(() => { window.shownAt = performance.now(); }));
    } else requestAnimationFrame(look);
  };
  look();
})()"""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is to be seen: where, and by which element it is known to be there."""

    address: str
    selector: str


def painting(options: Options) -> list[str]:
    """Measure the page, and MLflow's if its peer is installed; return what failed."""
    runs, points = (20, 2_000) if options.small else (1_000, 100_000)
    rows: dict[str, Any] = {}
    if _program() is None:
        print("no browser: apt-get install chromium", file=sys.stderr)
        return [] if options.small else ["browser"]
    with systems.folder() as place, _browser() as browser:
        with _ours(place, runs, points) as sights:
            rows["aletheia ui"] = _measured(browser, sights, options)
        if options.peers is not None:
            python = interpreter(options.peers, "mlflow")
            with _mlflow(python, place, runs, points) as sights:
                rows["mlflow ui"] = _measured(browser, sights, options)
    table("painting", COLUMNS, rows, runs=runs, points=points, rounds=options.rounds)
    return []


def _measured(browser: Any, sights: Mapping[str, Sight], options: Options) -> Mapping[str, Any]:
    """Return milliseconds from the click to the sight, each in a browser without any cache."""
    rounds = []
    for warm in (True, *[False] * options.rounds):
        found = {}
        for name, sight in sights.items():
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            page.add_init_script(_LOOK.replace("SELECTOR", repr(sight.selector)))
            page.goto(sight.address, wait_until="commit")
            deadline = time.monotonic() + 120
            while (shown := page.evaluate("window.shownAt ?? null")) is None:
                if time.monotonic() > deadline:
                    break
                page.wait_for_timeout(20)
            if shown is not None:
                found[name] = shown
                # The browser notes it some time after.
                page.wait_for_timeout(300)
                found[name.replace("_ms", "_paint_ms")] = page.evaluate(_PAINT)
            context.close()
        if not warm:
            rounds.append(found)
    return medians(rounds)


def _program() -> str | None:
    # What people use, if it is there.
    return shutil.which("chromium") or find_browser()


@contextlib.contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=_program(), args=["--no-sandbox"])
        yield launched
        launched.close()


@contextlib.contextmanager
def _ours(place: Path, runs: int, points: int) -> Iterator[Mapping[str, Sight]]:
    import aletheia_like as al

    url = (place / "store").as_uri()
    with al.Metastore("page", url=url, cache_dir=place / "cache", git="off") as ms:
        for number in range(runs):
            with ms.exper("sweep").start_run(hyper_params={"lr": 0.1 / (number + 1)}) as run:
                run.add_metrics({"acc": number / runs, "loss": 1 - number / runs})
        with ms.exper("long").start_run() as run:
            run.log_batch(
                [{"loss": math.exp(-5 * at / points), "step": at} for at in range(points)]
            )
    environment = {**os.environ, "ALETHEIA_CACHE_DIR": str(place / "cache")}
    command = [sys.executable, "-m", "aletheia_like", "ui", "--url", url, "--port", "0"]
    with _process(command, environment, place) as process:
        told = re.match(r"(http://[^/]+)/", process.stdout.readline())
        assert told
        below = f"{told[1]}/projects/page/experiments"
        curve = f"{below}/long/runs/1"
        yield {
            "table_ms": Sight(f"{below}/sweep", f"tbody tr:nth-child({min(runs, 50)})"),
            "all_ms": Sight(f"{below}/sweep?size={runs}", f"tbody tr:nth-child({runs})"),
            "curve_ms": Sight(curve, ".plot svg path"),
            "full_ms": Sight(curve, ".js-plotly-plot .scatterlayer path.js-line"),
        }


@contextlib.contextmanager
def _mlflow(python: Path, place: Path, runs: int, points: int) -> Iterator[Mapping[str, Sight]]:
    url = f"sqlite:///{place / 'mlflow.db'}"
    filled = subprocess.run(
        [python, _FILL, url, str(runs), str(points)], capture_output=True, text=True, check=True
    )
    sweep, long, run = filled.stdout.split()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", "mlflow", "ui", "--backend-store-uri", url, "--port", str(port)]
    with _process([*map(str, command), "--workers", "1"], dict(os.environ), place):
        address = f"http://127.0.0.1:{port}"
        _wait_for(address)
        yield {
            # It fetches its table in parts of a hundred runs.
            "table_ms": Sight(f"{address}/#/experiments/{sweep}/runs", "[role=row] a"),
            "full_ms": Sight(
                f"{address}/#/experiments/{long}/runs/{run}/model-metrics",
                ".js-plotly-plot .scatterlayer path.js-line",
            ),
        }


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str], place: Path) -> Iterator[Any]:
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        cwd=place,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.terminate()
            process.wait(15)
        # MLflow's helpers outlive a polite request.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait(15)


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(address, timeout=5).close()
            return
        time.sleep(0.5)
