"""The pages of views, in a real browser over a real store."""

from __future__ import annotations

import csv
import io
import json
import math
import struct
import wave
import zlib
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

import aletheia_like as al
from aletheia_like.ui.views.parsing import parse_view

VIEW = """
index: [project, run_id]
panels:
  - {name: summary, columns: '*', type: data}
  - {name: Loss, columns: [loss, note], index: step, type: lineplot}
  - {name: samples, columns: [output], index: [input], type: data}
  - {name: pictures, columns: [image], type: data, slider: step}
  - {name: nothing, columns: [nowhere]}
"""
HOSTILE = "<script>window.hurt = 1</script>"


def png(path, shade):
    """Write a picture of one colour."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    data = zlib.compress((b"\0" + bytes([shade]) * 8) * 8)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
    return al.File(path)


def wav(path):
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(b"\0\0" * 800)
    return al.File(path)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page of a view over two runs; the second one's names are as odd as names can be."""
    from tests.ui.conftest import serving

    folder = tmp_path_factory.mktemp("viewing")
    with al.Metastore("my/p", url=folder.as_uri(), cache_dir=folder / "c", git="off") as ms:
        with ms.exper("e").start_run(id="plain") as run:
            run.log(config={"model": {"layers": [64, 128]}}, who=HOSTILE)
            for step in range(5):
                image = png(folder / f"step {step}.png", step * 50)
                run.log(step=step, loss=1 / (step + 1), note="words", image=image)
            run.log(step=5, loss=math.nan, bad=math.inf)
            table = folder / "table.csv"
            table.write_text(f"name,size\n{HOSTILE},3\n")
            (folder / "weights.bin").write_bytes(b"\0" * 10)
            (folder / "film.mp4").write_bytes(b"\0" * 10)
            run.log(
                sound=wav(folder / "beep.wav"),
                table=al.File(table),
                weights=al.File(folder / "weights.bin"),
                film=al.File(folder / "film.mp4"),
            )
        with ms.exper("e/2").start_run(id="run 1/x") as run:
            run.log_batch([{"input": f"q {i:02}", "output": f"a {i:02}"} for i in range(45)])
        ms.flush()
        with serving(ms, extra={"view": parse_view(VIEW)}) as served:
            yield served


def read(site, path):
    with urlopen(site.url(path), timeout=30) as answer:
        return answer.read().decode()


def test_the_list_has_a_link_for_each_run_and_a_search_that_filters(site, page):  # U2
    page.goto(site.url("/"))
    page.get_by_role("link", name="my/p / plain").wait_for()

    page.get_by_role("searchbox").fill("1/X")

    page.get_by_text("1 run ", exact=False).wait_for()
    assert page.get_by_role("link", name="my/p /").all_inner_texts() == ["my/p / run 1/x"]
    page.get_by_role("link", name="my/p / run 1/x").click()
    page.get_by_role("heading", name="my/p / run 1/x").wait_for()
    assert page.url == site.url("/my%2Fp/run%201%2Fx")


def test_a_tree_folds_and_shows_what_was_logged_as_it_is(site, page):  # U4, U10, U11
    page.goto(site.url("/my%2Fp/plain"))
    summary = page.locator("#panel-0")

    assert summary.get_by_text(HOSTILE).first.is_visible()
    assert not summary.get_by_text("64").is_visible()
    summary.locator("summary", has_text="model").click()
    summary.locator("summary", has_text="layers").click()
    assert summary.get_by_text("64").is_visible()
    assert summary.get_by_text("inf", exact=True).is_visible()
    assert page.evaluate("window.hurt") is None
    assert page.get_by_role("heading", name="nothing").count() == 0


def test_a_plot_is_drawn_and_says_what_it_cannot_draw(site, page):  # U6
    page.goto(site.url("/my%2Fp/plain"))

    page.locator("#panel-1 .scatterlayer .trace").wait_for()
    assert page.get_by_text("'note' is not drawn: a plot needs numbers").is_visible()


def test_a_table_is_paged(site, page):  # U5
    page.goto(site.url("/my%2Fp/run%201%2Fx"))
    panel = page.locator("#panel-2")

    assert panel.locator("tbody tr").count() == 20
    panel.get_by_role("link", name="After").click()
    panel.get_by_role("link", name="After").click()
    page.get_by_text("41 to 45 of 45").wait_for()
    assert panel.locator("tbody tr").first.inner_text().split("\t") == ["q 40", "a 40"]


def test_a_slider_shows_the_picture_of_its_step_also_by_keyboard_and_link(site, page):  # U7
    page.goto(site.url("/my%2Fp/plain"))
    slider, picture = page.get_by_role("slider"), page.locator("#panel-3 img")
    assert (slider.get_attribute("max"), picture.get_attribute("alt")) == ("4", "step 4.png")

    slider.focus()
    page.keyboard.press("Home")
    page.locator("#panel-3 img[alt='step 0.png']").wait_for()
    page.keyboard.press("ArrowRight")

    page.locator("#panel-3 img[alt='step 1.png']").wait_for()
    assert page.locator("#panel-3 output").inner_text() == "1"
    assert picture.evaluate("(one) => one.decode().then(() => one.naturalWidth)") == 8
    page.reload()
    assert picture.get_attribute("alt") == "step 1.png"


def test_files_are_shown_inside_of_the_page_or_downloaded(site, page):  # U8
    page.goto(site.url("/my%2Fp/plain"))
    summary = page.locator("#panel-0")

    assert summary.locator("img[alt='step 4.png']").is_visible()
    assert summary.locator("audio[aria-label='beep.wav']").is_visible()
    assert summary.locator("video[aria-label='film.mp4']").is_visible()
    summary.get_by_role("cell", name=HOSTILE).wait_for()
    with page.expect_download() as download:
        summary.get_by_role("link", name="weights.bin").click()
    assert download.value.path().read_bytes() == b"\0" * 10


def test_every_panel_can_be_had_as_csv_and_json(site):  # U5, U10
    points = csv.reader(io.StringIO(read(site, "/my%2Fp/plain?panel=1&format=csv")))
    values = json.loads(read(site, "/my%2Fp/plain?panel=0&format=json"))
    figure = json.loads(read(site, "/my%2Fp/plain?panel=1&figure=1"))

    assert list(points)[:2] == [["line", "x", "y"], ["loss", "0.0", "1.0"]]
    assert {"name": "bad", "value": None} in values
    assert figure["curves"][0]["ys"][-1] is None


def test_rows_of_a_running_run_appear_without_a_reload(store, serving, page):  # U9, K25
    with store.exper("e").start_run(id="r") as run, serving(store) as served:
        run.log(step=0, loss=1.0)
        store.flush()
        page.goto(served.url("/penguins/e/r"))
        page.locator("#panel-0").get_by_text("step").wait_for()

        run.log(step=1, loss=0.25, late="here")
        page.get_by_text("here").wait_for()

        assert page.get_by_role("heading", name="loss").is_visible()


def test_any_value_of_an_index_has_a_page_of_its_own(store, serving, page):  # U3, U11, K21
    odd = [".", "..", "", "//evil.example", "a?b#c%2F", "x/../y"]
    with store.exper("e").start_run() as run:
        run.log_batch([{"case": one, "other": "one", "score": one * 2} for one in odd])
    store.flush()
    view = parse_view("index: [case, other]\npanels: [{name: p, columns: score}]")

    with serving(store, extra={"view": view}) as served:
        page.goto(served.url("/view"))
        for one in odd:
            page.get_by_role("link", name=f"{one} / one", exact=True).click()
            page.locator("#panel-0 .value").wait_for(state="attached")

            assert page.locator("#panel-0 .value").inner_text() == one * 2
            assert page.url.startswith(served.address)
            page.go_back()


def test_the_default_view_plots_each_column_of_numbers(store, serving, page):  # U1
    with store.exper("e").start_run(id="r") as run:
        for step in range(3):
            run.log(step=step, loss=1 / (step + 1), acc=step, note="n")
    store.flush()

    with serving(store) as served:
        page.goto(served.url("/view"))
        page.get_by_role("link", name="penguins / e / r").click()
        page.locator("#panel-2 .scatterlayer .trace").wait_for()

        assert page.get_by_role("heading", level=2).all_inner_texts() == ["summary", "loss", "acc"]


@pytest.mark.parametrize("path", ["/nowhere/x", "/my%2Fp", "/my%2Fp/plain/more", "/view/x/y"])
def test_what_is_not_there_is_not_found(site, path):  # U3, U11
    with pytest.raises(HTTPError, match="404"):
        read(site, path)
