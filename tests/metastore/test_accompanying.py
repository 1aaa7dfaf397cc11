"""A run's console and samples of the machine's load go along with it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

import aletheia_like as al

PROGRAM = """
import sys, time
import aletheia_like as al

with al.Metastore("p", url=sys.argv[1], git="off") as ms:
    with ms.exper("e").start_run() as run:
        print("to stdout")
        print("to stderr", file=sys.stderr)
        run.log(a=1)
"""


def wait_until(condition, seconds=15):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()


def test_the_console_is_a_blob_and_its_end_is_in_the_document(ms, open_ms, capsys):
    with ms.exper("e").start_run() as run:
        run.capture_console()
        for number in range(2_000):
            print(f"line {number}")
    seen = open_ms().experiment("e").run(1).console

    assert seen["tail"].endswith("line 1999\n")
    assert len(seen["tail"]) < 10_000
    text = ms.cache.fetch(seen["sha256"]).read_text()
    assert text.splitlines() == [f"line {number}" for number in range(2_000)]
    assert "line 1999" in capsys.readouterr().out


def test_the_setting_captures_what_a_program_prints(tmp_path, monkeypatch):
    monkeypatch.setenv("ALETHEIA_CONSOLE", "1")
    monkeypatch.setenv("ALETHEIA_SYSTEM_METRICS", "0.05")
    url = (tmp_path / "store").as_uri()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url], capture_output=True, text=True, check=True
    )

    run = al.Metastore("p", url=url).experiment("e").run(1)
    assert done.stdout == "to stdout\n"
    assert run.console["tail"] == "to stdout\nto stderr\n"
    assert len(run.rows()) == 1


def test_samples_of_the_machine_are_rows_of_their_own(ms, open_ms):
    with ms.exper("e").start_run() as run:
        run.log(loss=1.0, step=1)
        run.sample_system(0.1)
        assert wait_until(lambda: len(run.system_rows()) >= 3)
        run.log(loss=0.5, step=2)

    again = open_ms().experiment("e").run(1)
    assert again.rows()["loss"] == [1.0, 0.5]
    assert set(again.summary) == {"loss"}
    samples = again.system_rows()
    assert len(samples) >= 3
    assert all(0 <= value <= 100 for value in samples["memory_percent"])
    assert "step" not in samples.columns


def test_the_end_of_a_run_ends_what_goes_along(ms):
    with ms.exper("e").start_run() as run:
        run.sample_system(0.05)
        run.capture_console()
        stdout_write = sys.stdout.write

    assert not [one for one in threading.enumerate() if one.name == "aletheia-companion"]
    assert sys.stdout.write is not stdout_write


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_an_interval_that_is_no_time_is_refused(ms, interval):
    run = ms.exper("e").start_run()
    with pytest.raises(al.InvalidValueError, match="interval"):
        run.sample_system(interval)
    run.finish()


def test_a_run_counts_what_was_done_for_it(ms, tmp_path):
    exper = ms.exper("e")
    path = tmp_path / "weights"
    path.write_bytes(b"w" * 1_000)
    with exper.start_run() as run, exper.start_run() as other:
        run.log(a=1)
        run.add_artifact("weights", path)

    assert run.usage.bytes_up >= 1_000
    assert run.usage.document_writes >= 5
    assert other.usage.bytes_up == 0
    assert 0 < run.usage.estimate() < ms.usage.estimate()
