"""What holds for every page: keyboards, screen readers, light and dark."""

from __future__ import annotations

from importlib.resources import files

import pytest

PROJECT = "/projects/penguins"
EXPERIMENT = f"{PROJECT}/experiments/e"
PAGES = {
    "projects": "/projects",
    "project": PROJECT,
    "runs": f"{EXPERIMENT}?where=metrics.acc+>+0",
    "run": f"{EXPERIMENT}/runs/1",
    "rows": f"{EXPERIMENT}/runs/1/rows",
    "lineage": f"{EXPERIMENT}/runs/1/lineage",
    "error": f"{EXPERIMENT}/runs/none",
}
AXE = files("axe_playwright_python") / "axe.min.js"


@pytest.fixture
def filled(site, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    experiment = site.ms.exper("e", desc="What is it?")
    with experiment.start_run(tags=["base"], hyper_params={"lr": 0.1}) as run:
        run.log_batch([{"loss": 1 / (step + 1), "acc": step, "step": step} for step in range(20)])
        run.add_metric("acc", 0.5)
        run.add_artifact("table", path)
        run.notes = "fine"
    with pytest.raises(ValueError, match="up"), experiment.start_run():
        msg = "up"
        raise ValueError(msg)
    return site


@pytest.mark.parametrize(
    ("scheme", "rules"), [("light", ""), ("dark", "runOnly: ['color-contrast'],")]
)
def test_axe_finds_nothing_to_mend(filled, page, scheme, rules):
    page.emulate_media(color_scheme=scheme)
    # It is not looked at, and takes longer than all else.
    page.route("**/plotly.min.js", lambda route: route.abort())
    wrong = {}
    for name, path in PAGES.items():
        page.goto(filled.url(path))
        page.locator("h1").wait_for()
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate(
            f"axe.run({{exclude: [['.plot']]}}, {{{rules} resultTypes: ['violations']}})"
        )
        wrong |= {
            (name, one["id"]): [node["html"][:200] for node in one["nodes"]]
            for one in found["violations"]
        }

    assert not wrong


def test_everything_is_reached_by_the_keyboard(filled, page):
    page.goto(filled.url(PROJECT))

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
        if reached[-1] == "e":
            break
    assert reached[-1] == "e", reached
    page.keyboard.press("Enter")
    page.get_by_label("Filter").wait_for()


def test_the_theme_is_remembered(filled, page):
    page.emulate_media(color_scheme="light")
    page.goto(filled.url("/projects"))
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)

    page.get_by_role("button", name="Light or dark").click()
    page.goto(filled.url(PROJECT))

    assert page.evaluate(paper) != light
