"""The table of runs, in a real browser."""

from __future__ import annotations

import csv
import io
import json
import urllib.request

import pytest

EXPERIMENT = "/projects/penguins/experiments/which%20species"


@pytest.fixture
def filled(site):
    """Twelve runs, one of them with a hostile name."""
    experiment = site.ms.exper("which species")
    for number in range(12):
        name = "<script>alert(1)</script>" if number == 3 else f"run {number}"
        tags = ["wide"] if number % 2 else []
        with experiment.start_run(
            name=name, tags=tags, hyper_params={"lr": 0.1 / (number + 1)}
        ) as run:
            run.add_metric("acc", number / 12)
    return site


def ids(page):
    page.locator("table tbody tr").first.wait_for()
    return page.locator("tbody tr td:nth-child(2)").all_inner_texts()


def test_runs_are_sorted_filtered_and_paged_by_address(filled, page):  # U2
    page.goto(filled.url(f"{EXPERIMENT}?size=5"))
    assert ids(page) == ["12", "11", "10", "9", "8"]

    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**page=2*")
    assert ids(page) == ["7", "6", "5", "4", "3"]

    page.get_by_role("link", name="acc").click()
    page.wait_for_url("**sort=-metrics.acc*")
    assert ids(page)[:2] == ["12", "11"]
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("acc")

    page.get_by_label("Filter").fill("metrics.acc < 0.5 and tags contains 'wide'")
    page.keyboard.press("Enter")
    page.wait_for_url("**where=*")
    assert ids(page) == ["6", "4", "2"]
    assert page.get_by_text("<script>alert(1)</script>").is_visible()


def test_a_condition_that_cannot_be_read_is_explained_where_it_was_typed(filled, page):
    page.goto(filled.url(EXPERIMENT))

    page.get_by_label("Filter").fill("acc > 0.5")
    page.keyboard.press("Enter")

    page.get_by_role("alert").filter(has_text="did you mean").wait_for()
    assert page.get_by_label("Filter").input_value() == "acc > 0.5"


def test_columns_are_chosen_and_the_address_says_so(filled, page):
    page.goto(filled.url(EXPERIMENT))

    page.locator("summary", has_text="Columns").click()
    page.get_by_label("hyper_params.lr").uncheck()
    page.get_by_label("commit").check()
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**c=commit*")

    heads = page.locator("thead th").all_inner_texts()
    assert "Commit" in heads
    assert "lr" not in heads


def test_a_new_run_and_a_new_status_are_shown_without_a_reload(filled, page):  # U9
    page.goto(filled.url(EXPERIMENT))
    page.locator(".live.on").wait_for()

    run = filled.ms.exper("which species").start_run()

    # By its link: the time that it started may have the same digits.
    link = page.get_by_role("link", name=run.id, exact=True)
    row = page.locator("tbody tr").filter(has=link)
    row.locator(".status.running").wait_for()
    run.finish()
    row.locator(".status.finished").wait_for()


def test_the_table_is_there_as_csv_and_json_with_all_its_runs(filled):
    def get(format_):
        address = filled.url(f"{EXPERIMENT}?size=2&c=id&c=metrics.acc&format={format_}")
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.read().decode()

    rows = list(csv.DictReader(io.StringIO(get("csv"))))
    assert len(rows) == 12
    assert rows[0] == {"id": "12", "metrics.acc": str(11 / 12)}
    assert json.loads(get("json"))[11] == {"id": "1", "metrics.acc": 0.0}


def test_a_page_of_many_runs_reads_about_a_page(filled):
    before = filled.ms.usage.document_reads

    with urllib.request.urlopen(filled.url(f"{EXPERIMENT}?size=2"), timeout=20) as answer:
        assert answer.status == 200

    assert filled.ms.usage.document_reads - before <= 5


def test_long_texts_are_not_squeezed_until_their_words_break(site, page):  # U2
    for count in (60, 61):
        with site.ms.exper("which species").start_run(hyper_params={"text": "word " * count}):
            pass
    page.set_viewport_size({"width": 500, "height": 800})
    page.goto(site.url(EXPERIMENT))

    cell = page.locator("td.long").first
    cell.wait_for()

    assert cell.evaluate("one => one.offsetWidth") >= 250
