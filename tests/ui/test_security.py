"""Who may ask for what, over bare connections: no browser in between."""

from __future__ import annotations

import re

import pytest

TOKEN = "a-token-for-tests"
RUN = "/projects/penguins/experiments/e/runs/1"


@pytest.fixture
def run(site):
    with site.ms.exper("e").start_run(name="<script>alert(1)</script>") as run:
        run.add_metric("acc", 0.5)
    return run


@pytest.mark.parametrize(
    "path",
    [
        "/artifacts/..%2f..%2fsecret",
        "/static/x/..%2f..%2fapp.py",
        "/static/x/%2e%2e%2fapp.py",
        "/projects/penguins/files/..%2f..%2fmetastore.sqlite/x",
        "/projects/penguins/files/" + "0" * 64 + "/..%2fx",
        "/../../etc/passwd",
        "//etc/passwd",
        "/projects/nothing%2f..%2f..",
        "/projects/penguins/experiments/%00",
    ],
)
def test_no_path_leads_out_of_the_store(ask, path):  # U11
    answer = ask(path)

    status = answer.split("\r\n")[0]
    assert " 404 " in status or " 400 " in status or (" 200 " in status and "No experi" in answer)
    assert "root:" not in answer
    assert "SQLite" not in answer


def test_another_host_is_refused(ask, run):  # U11: a name that resolves to this machine
    assert " 403 " in ask(RUN, "Host: evil.example")
    assert " 403 " in ask(RUN, "Host: 127.0.0.1.evil.example:80")
    assert " 200 " in ask(RUN, "Host: localhost:1234")


def test_every_answer_carries_the_policy(ask, run):  # U11
    for path in (RUN, "/nothing", f"{RUN}?format=json", "/projects/penguins/live"):
        head = ask(path).split("\r\n\r\n")[0].lower() if "live" not in path else ""
        if head:
            scripts = re.search(r"default-src 'none'; script-src ([^;]*);", head)
            # The page's own files, and one script that stands in the page itself.
            assert re.fullmatch(r"'self' 'sha256-[\w+/=]+'", scripts[1])
            assert "x-content-type-options: nosniff" in head
            assert "unsafe" not in head


def test_what_was_logged_is_no_markup(ask, run):  # U11
    answer = ask(RUN, "Accept: text/html")

    assert "<script>alert" not in answer
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer


@pytest.mark.parametrize("what", ["tags", "stop"])
def test_changes_need_the_token_and_an_origin_of_its_own(ask, site, run, what):
    path, own = f"{RUN}/{what}", f"Origin: {site.address}"
    token = f"Authorization: Bearer {TOKEN}"

    assert " 403 " in ask(path, own, method="POST")
    assert " 403 " in ask(path, own, "Authorization: Bearer wrong", method="POST")
    assert " 403 " in ask(path, token, method="POST")
    assert " 403 " in ask(path, token, "Origin: http://evil.example", method="POST")
    assert " 403 " in ask(path, token, "Origin: null", method="POST")
    assert " 404 " in ask(path, token)
    assert " 403 " in ask(RUN, own, method="DELETE")


def test_tags_are_set_with_the_token(ask, site, run):
    own, token = f"Origin: {site.address}", f"Authorization: Bearer {TOKEN}"

    answer = ask(f"{RUN}/tags", own, token, method="POST", body="tags=good%2C+%3Cb%3E")

    assert " 303 " in answer
    assert site.ms.experiment("e").run("1").tags == ("good", "<b>")


def test_a_run_is_asked_to_stop_with_the_token(ask, site):
    run = site.ms.exper("e").start_run()
    own, token = f"Origin: {site.address}", f"Authorization: Bearer {TOKEN}"

    ask(f"{RUN}/stop", own, token, method="POST", body="reason=diverges")

    asked = site.ms.experiment("e").run("1")
    assert asked.stop_requested
    assert asked.record.stop_requested["reason"] == "diverges"
    run.finish()


def test_the_token_goes_from_the_address_into_a_cookie(ask, run):
    answer = ask(f"{RUN}?token={TOKEN}&where=a")

    head = answer.split("\r\n\r\n")[0]
    assert " 303 " in head
    assert f"location: {RUN}?where=a" in head.lower().replace("%3d", "=")
    assert "httponly" in head.lower()
    assert "samesite=strict" in head.lower()
    assert " 403 " in ask(f"{RUN}?token=wrong")
    assert "evil" not in ask(f"//evil.example/?token={TOKEN}").split("location: //")[-1][:5]


def test_elsewhere_than_on_this_machine_nothing_is_shown_without_the_token(store, serving):
    from tests.ui.conftest import raw_request

    with serving(store, open_to_readers=False) as site:
        request = "GET /projects HTTP/1.1\nHost: other.example\n{}Connection: close\n\n"

        assert " 403 " in raw_request(site.address, request.format(""))
        with_token = request.format(f"Authorization: Bearer {TOKEN}\n")
        assert " 200 " in raw_request(site.address, with_token)


def test_a_logged_page_is_kept_in_a_sandbox(ask, site, tmp_path):  # U8, U11
    evil = tmp_path / "evil.html"
    evil.write_text("<script>alert(1)</script>")
    with site.ms.exper("e").start_run() as run:
        version = run.add_artifact("page", evil)

    head = ask(f"/projects/penguins/files/{version.digest}/evil.html").split("\r\n\r\n")[0].lower()

    assert "content-disposition: attachment" in head
    assert "content-type: application/octet-stream" in head
    assert "content-security-policy: sandbox" in head
    assert "nosniff" in head


def test_numbers_that_json_has_not_are_null(ask, site):  # U10, K24
    import json

    with site.ms.exper("e").start_run() as run:
        run.add_metrics({"a": float("nan"), "b": float("inf"), "c": 1.0})
        run.log({"loss": float("nan")}, step=0)
        run.log({"loss": 1.0}, step=1)

    def strict(text):
        return json.loads(text.split("\r\n\r\n")[1], parse_constant=lambda name: 1 / 0)

    (row,) = strict(ask("/projects/penguins/experiments/e?format=json"))
    assert (row["metrics.a"], row["metrics.b"], row["metrics.c"]) == (None, None, 1.0)
    (figure,) = strict(ask(f"{RUN}/curves"))["figures"]
    assert figure["curves"][0]["ys"] == [None, 1.0]
    assert strict(ask(f"{RUN}/rows?format=json"))[0]["loss"] is None
