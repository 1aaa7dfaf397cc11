"""The application itself: what it does with mistakes, its own and others'."""

from __future__ import annotations

from aletheia_like.ui.asking import Page

TOKEN = "a-token-for-tests"


def test_a_mistake_of_the_program_is_told_and_guarded(store, serving, caplog):
    from tests.ui.conftest import raw_request

    def fail(asked):
        why = "of <b>nothing</b>"
        raise ZeroDivisionError(why)

    with serving(store, pages=[Page("/fails", fail)]) as site:
        host = site.address.removeprefix("http://")
        answer = raw_request(
            site.address,
            f"GET /fails HTTP/1.1\nHost: {host}\nAccept: text/html\nConnection: close\n\n",
        )

    assert " 500 " in answer.split("\r\n")[0]
    assert "ZeroDivisionError: of &lt;b&gt;nothing" in answer
    assert "content-security-policy" in answer.lower()
    assert "ZeroDivisionError" in caplog.text


def test_a_project_that_is_none_is_not_found(ask):
    assert " 404 " in ask("/projects/nothing")


def test_names_of_any_kind_have_an_address(site, ask):
    from aletheia_like.ui.links import link

    for name in ("a/b", "50%", "%2F", "..", "ü ?#&", "a+b"):
        with site.ms.exper(name).start_run(id="x/y") as run:
            run.add_metric("acc", 1)

        answer = ask(link("projects", "penguins", "experiments", name, "runs", "x/y"))

        assert " 200 " in answer.split("\r\n")[0], name


def test_forms_have_a_limit(ask, site):
    site.ms.exper("e").start_run().finish()
    path = "/projects/penguins/experiments/e/runs/1/tags"
    own, token = f"Origin: {site.address}", f"Authorization: Bearer {TOKEN}"

    assert " 413 " in ask(path, own, token, method="POST", body="tags=" + "a" * 70_000)
