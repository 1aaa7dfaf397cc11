"""Comparison, data sets, repositories, series and cost, in a real browser over a real store."""

from __future__ import annotations

import csv
import io
import json
from importlib.resources import files
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

import aletheia_like as al

HOSTILE = "<img src=x onerror=alert(1)>"
EXPERIMENT = "/projects/p/experiments/which%20species"
CHOSEN = f"{EXPERIMENT}/compare?run=1&run=2&run=3"
PAGES = {
    "compare": CHOSEN,
    "data set": "/projects/p/datasets/raw%2Fbirds",
    "repository": "/projects/p/repositories/models",
    "series": "/projects/p/series/weather/berlin%2Fmitte",
    "cost": "/projects/p/cost?read=1",
    "view": "/view",
    "entry": "/p/which%20species/1",
}
AXE = files("axe_playwright_python") / "axe.min.js"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page over a project with a bit of everything."""
    from tests.ui.conftest import serving

    folder = tmp_path_factory.mktemp("kept")
    with al.Metastore("p", url=folder.as_uri(), cache_dir=folder / "c", git="off") as ms:
        fill(ms, folder / "birds.csv")
        with serving(ms) as served:
            yield served


def fill(ms, path):
    exper = ms.exper("which species")
    for number in range(3):
        params = {"lr": 0.1 * (number + 1), "optimizer": ["adam", "sgd", HOSTILE][number]}
        with exper.start_run(fold=number % 2, hyper_params=params) as run:
            run.log_batch([{"step": step, "loss": 1 / (step + 1 + number)} for step in range(9)])
            run.add_metric("acc", 0.9 + number / 100)
            run.add_artifact("forest", {"trees": number}, handler="json")
    for text in ("a\n1\n", "a\n2\n"):
        path.write_text(text)
        ms.add_dataset("raw/birds", path, desc=HOSTILE)
    models = ms.repository("models")
    for number in (1, 2):
        exper[str(number)].promote_artifact(models, "forest")
        models.save()
    models.set_alias("forest", "production", 1)
    models.release("v1")
    weather = ms.create_collection(al.Schema(timestamp="timestamp*", value="float"), "weather")
    moments = [f"2026-01-{day:02}" for day in range(1, 31)]
    series = weather.series("berlin/mitte")
    series.write({"timestamp": moments, "value": [day / 7 for day in range(30)]})
    ms.flush()


def read(site, path):
    with urlopen(site.url(path), timeout=30) as answer:
        return answer.read().decode()


def test_chosen_runs_are_compared(site, page):
    page.goto(site.url(CHOSEN))

    page.get_by_role("row", name=f"hyper_params.optimizer adam sgd {HOSTILE}").wait_for()
    assert page.get_by_text("branch").count() == 0
    for place in ("curves", "scatter", "parallel"):
        page.locator(f"#{place} .scatterlayer .trace").nth(1).wait_for()
    assert page.locator("#curves .scatterlayer .trace").count() == 3
    assert page.locator("#scatter .scatterlayer .trace").count() == 2
    page.locator("select[name=upwards]").select_option("seconds")
    page.get_by_label("seconds over", exact=False).wait_for()


def test_the_table_of_runs_leads_to_the_comparison(site, page):
    page.goto(site.url(EXPERIMENT))
    for run in ("1", "3"):
        page.get_by_role("checkbox", name=f"Choose {run}").check()
    page.get_by_role("button", name="Compare chosen").click()

    page.get_by_role("heading", name="Compare 2 runs").wait_for()


def test_differences_can_be_had_as_csv_and_json(site):
    table = list(csv.DictReader(io.StringIO(read(site, f"{CHOSEN}&format=csv"))))
    told = json.loads(read(site, f"{CHOSEN}&format=json&everything=1"))

    assert {"name": "metrics.acc", "1": "0.9", "2": "0.91", "3": "0.92"} in table
    assert len(told) > len(table)


def test_a_run_that_is_not_there_is_not_compared(site):
    with pytest.raises(HTTPError, match="404"):
        read(site, f"{EXPERIMENT}/compare?run=1&run=99")


def test_data_sets_lead_to_their_versions(site, page):
    page.goto(site.url("/projects/p"))
    page.get_by_role("link", name="Data sets").click()
    assert page.get_by_text(HOSTILE).is_visible()
    page.get_by_role("link", name="raw/birds").click()
    page.get_by_role("heading", name="raw/birds").wait_for()

    assert [
        row["version"] for row in json.loads(read(site, f"{PAGES['data set']}?format=json"))
    ] == [1, 0]
    assert page.get_by_role("heading", name="Files of version 1").is_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="birds.csv", exact=True).click()
    assert download.value.path().read_text() == "a\n2\n"


def test_a_repository_shows_aliases_releases_and_who_did_what(site, page):
    page.goto(site.url("/projects/p/repositories"))
    page.get_by_role("link", name="models").click()
    page.get_by_role("heading", name="What was done").wait_for()

    assert page.get_by_role("row", name="alias artifact=forest, alias=production").is_visible()
    assert page.get_by_role("row", name="v1 20").is_visible()
    page.get_by_role("link", name="forest", exact=True).click()
    page.get_by_role("cell", name="production").wait_for()
    assert (
        page.get_by_role("link", name="which species/2").get_attribute("href").endswith("/runs/2")
    )
    audit = json.loads(read(site, f"{PAGES['repository']}?table=audit&format=json"))
    assert [one["action"] for one in audit] == ["release", "alias", "save", "save"]


def test_a_series_is_drawn_and_listed(site, page):
    page.goto(site.url("/projects/p/series"))
    page.get_by_role("link", name="weather").click()
    page.get_by_role("link", name="berlin/mitte").click()
    page.locator("#curves .scatterlayer .trace").wait_for()

    assert page.get_by_role("cell", name="2026-01-30").is_visible()
    assert len(json.loads(read(site, f"{PAGES['series']}?format=json"))) == 30


def test_cost_is_read_only_when_asked(site, page):
    before = site.ms.usage.document_reads
    page.goto(site.url("/projects/p/cost"))
    assert site.ms.usage.document_reads - before < 4

    page.get_by_role("button", name="Read and estimate").click()

    page.get_by_role("row", name="which species 3 27").wait_for()


def test_axe_finds_nothing_to_mend(site, page):
    # It is not looked at, and takes longer than all else.
    page.route("**/plotly.min.js", lambda route: route.abort())
    wrong = {}
    for name, path in PAGES.items():
        page.goto(site.url(path))
        page.locator("h1").wait_for()
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run({exclude: [['.plot']]}, {resultTypes: ['violations']})")
        wrong |= {
            (name, one["id"]): [node["html"][:200] for node in one["nodes"]]
            for one in found["violations"]
        }

    assert not wrong
