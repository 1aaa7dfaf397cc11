"""The first pages, in a real browser."""

from __future__ import annotations


def test_projects_lead_to_their_experiments(site, page):  # U2
    site.ms.exper("which species", desc="What is <b>it</b>?")

    page.goto(site.url("/"))
    page.get_by_role("link", name="penguins", exact=True).click()

    page.get_by_role("link", name="which species").wait_for()
    assert page.get_by_text("What is <b>it</b>?").is_visible()
