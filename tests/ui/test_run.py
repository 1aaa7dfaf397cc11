"""The page of a run, in a real browser."""

from __future__ import annotations

import math
import signal
import struct
import subprocess
import sys
import wave

import pytest

import aletheia_like as al

RUN = "/projects/penguins/experiments/e/runs/1"

SCRIPT = """
import sys
import aletheia_like as al
ms = al.Metastore("penguins", url=sys.argv[1], cache_dir=sys.argv[2], git="off")
with ms.exper("e").start_run() as run:
    run.log({"loss": 0.5}, step=0)
    run.flush()
    print("started", flush=True)
    for line in sys.stdin:
        run.log({"said": f"row {line.strip()}"})
"""


@pytest.fixture
def files(tmp_path):
    """A file of each kind that is shown inside the page."""
    folder = tmp_path / "files"
    folder.mkdir()
    from PIL import Image

    Image.new("RGB", (40, 30), (20, 80, 200)).save(folder / "picture.png")
    with wave.open(str(folder / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"".join(struct.pack("<h", place * 7 % 999) for place in range(800)))
    (folder / "table.csv").write_text("city,people\n<b>Kiel</b>,1\n")
    (folder / "words.txt").write_text("some <i>words</i>\n")
    (folder / "config.json").write_text('{"depth":[1,{"b":null}]}')
    (folder / "model.bin").write_bytes(bytes(range(256)))
    return folder


def test_files_are_shown_inside_the_page(site, page, until, files):  # U8
    with site.ms.exper("e").start_run() as run:
        for path in sorted(files.iterdir()):
            run.add_artifact(path.stem, path)

    page.goto(site.url(RUN))

    page.get_by_role("heading", name="words").scroll_into_view_if_needed()
    page.get_by_role("cell", name="<b>Kiel</b>").wait_for()
    page.get_by_text("some <i>words</i>").wait_for()
    page.get_by_text('"b": null').wait_for()
    until("document.querySelector('img.shown').naturalWidth === 40")
    until(
        "(() => { const one = document.querySelector('audio'); one.load(); "
        "return one.error === null })()"
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="model.bin").click()
    assert download.value.suggested_filename == "model.bin"
    assert download.value.path().read_bytes() == bytes(range(256))


def test_curves_are_drawn_smoothed_and_on_logarithmic_scales(site, page, until):
    with site.ms.exper("e").start_run() as run:
        run.log_batch([{"loss": math.exp(-step / 50), "step": step} for step in range(3_000)])

    page.goto(site.url(RUN))
    page.locator(".js-plotly-plot .scatterlayer .js-line").wait_for()
    page.get_by_label("logarithmic upwards").check()

    until("document.querySelector('.plot').layout?.yaxis.type === 'log'")
    assert page.url.endswith("?log=1")
    page.get_by_label("Smoothing").fill("0.9")
    page.get_by_text("moving average, weight of the past 0.9").wait_for()
    page.locator("select[name=x]").select_option("time")
    until("document.querySelector('.plot').layout.xaxis.title.text.startsWith('seconds')")
    page.reload()
    page.get_by_text("moving average, weight of the past 0.9").wait_for()
    assert page.get_by_label("logarithmic upwards").is_checked()
    assert page.evaluate("document.querySelector('.plot').data[0].x.length") < 2_000


def test_what_ended_a_run_its_code_and_its_console_are_shown(site, page, tmp_path):
    experiment = site.ms.exper("e")
    with pytest.raises(ValueError, match="went"), experiment.start_run() as run:
        run.set_hyper_params({"lr": 0.1, "optimizer": {"name": "adam"}})
        run.capture_console()
        print("printed <em>by the run</em>")
        msg = "the loss went <up>"
        raise ValueError(msg)

    page.goto(site.url(RUN))

    assert "the loss went <up>" in page.locator("main .banner").inner_text()
    page.locator("summary", has_text="Traceback").click()
    assert "raise ValueError" in page.get_by_label("Traceback").inner_text()
    assert page.get_by_role("cell", name="optimizer.name").is_visible()
    assert "printed <em>by the run</em>" in page.get_by_label("The end of what").inner_text()
    assert page.get_by_text("Command", exact=True).is_visible()
    page.get_by_role("link", name="Lineage").click()
    page.get_by_role("heading", name="Came from").wait_for()


def test_rows_are_paged_the_newest_first_and_hold_files(site, page, until, files):
    with site.ms.exper("e").start_run() as run:
        run.log_batch([{"loss": 1 / (step + 1), "step": step} for step in range(250)])
        run.log({"image": al.File(files / "picture.png")}, step=250)

    page.goto(site.url(f"{RUN}/rows"))

    assert page.get_by_text("152 to 251 of 251 rows").is_visible()
    until("document.querySelector('td img.shown').naturalWidth === 40")
    page.get_by_role("link", name="Older").click()
    page.get_by_text("52 to 151 of 251 rows").wait_for()


@pytest.fixture
def script(site):
    """A script that logs a row for each line it is given, in another process."""
    session = site.ms.session
    command = [sys.executable, "-c", SCRIPT, site.ms.url, str(session.settings.cache_dir)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "started\n"
    yield process
    process.stdin.close()
    process.wait(30)


def test_rows_of_a_running_script_appear_without_a_reload(site, page, script):  # U9
    page.goto(site.url(f"{RUN}/rows"))
    page.locator(".live.on").wait_for()
    page.evaluate("window.stays = 1")

    script.stdin.write("0.25\n")
    script.stdin.flush()

    page.get_by_role("cell", name="row 0.25").wait_for()
    assert page.evaluate("window.stays") == 1


def test_a_store_that_goes_away_is_a_banner_over_what_was_read(site, page, tmp_path):
    with site.ms.exper("e").start_run() as run:
        run.log({"loss": 1.0}, step=0)
    page.goto(site.url(f"{RUN}/rows"))
    page.locator(".live.on").wait_for()

    database = tmp_path / "store" / "metastore.sqlite"
    site.ms.session.documents.close()
    for path in list(tmp_path.glob("store/metastore.sqlite*")):
        path.rename(path.with_name(path.name.replace("metastore", "away")))
    database.write_bytes(b"this is no database" * 100)

    page.get_by_text("The store is away").wait_for()
    assert page.get_by_role("cell", name="1.0", exact=True).is_visible()


def test_the_verb_prints_a_link_and_ends_with_ctrl_c(tmp_path):  # U1
    home = tmp_path / "home"
    command = [sys.executable, "-m", "aletheia_like", "ui", "--port", "0"]
    command += ["--url", (tmp_path / "store").as_uri()]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "ALETHEIA_HOME": str(home), "HOME": str(home)},
    )

    address = process.stdout.readline()
    process.send_signal(signal.SIGINT)

    assert address.startswith("http://127.0.0.1:")
    assert "token=" in address
    assert process.wait(30) == 0
    assert "Traceback" not in process.stderr.read()


def test_the_page_follows_a_run_in_firestore(firestore_metastore, serving, page):  # U9
    with serving(firestore_metastore) as site, site.ms.exper("e").start_run() as run:
        run.log({"loss": 1.0}, step=0)
        run.flush()
        page.goto(site.url("/projects/test/experiments/e"))
        page.get_by_role("link", name="1", exact=True).click()
        page.get_by_role("link", name="Rows").click()
        page.locator(".live.on").wait_for()

        run.log({"loss": 0.125}, step=1)

        page.get_by_role("cell", name="0.125").wait_for()
        page.goto("about:blank")
