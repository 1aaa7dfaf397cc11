"""Status tells the truth, however a process ends; each test runs and ends a real process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

# How a process ends is seen from any store; faults/test_interrupted.py asks Firestore as well.
EMBEDDED = pytest.mark.parametrize("store_url", ["embedded"], indirect=True)
WAIT = "print('ready', flush=True)\n[time.sleep(0.1) for _ in range(300)]"

HEAD = """
import sys, time, os, signal
import aletheia_like as al
ms = al.Metastore("p", url=sys.argv[1], cache_dir=sys.argv[2], git="off")
exper = ms.exper("e")
"""


@pytest.fixture
def run_program(store_url, tmp_path):
    """Run a program that starts run 1; return its exit code."""

    def run(body, *, send=None):
        command = [sys.executable, "-c", HEAD + body, store_url, str(tmp_path / "c")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if send is not None:
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(send)
        process.communicate(timeout=60)
        return process.returncode

    return run


@pytest.fixture
def read_run(open_ms):
    return lambda: open_ms().experiment("e").run(1)


def test_without_with_a_run_finishes_at_exit(run_program, read_run):
    assert run_program("run = exper.start_run(); run.add_metric('a', 1)") == 0

    assert read_run().status == "finished"
    assert read_run().metrics == {"a": 1}


def test_without_with_an_uncaught_exception_makes_it_failed(run_program, read_run):
    assert run_program("run = exper.start_run()\nraise ValueError('so sad')") == 1

    assert read_run().status == "failed"
    assert read_run().error.type == "ValueError"
    assert "so sad" in read_run().error.traceback


@EMBEDDED
def test_without_with_an_interrupt_makes_it_killed(run_program, read_run):
    body = f"run = exper.start_run()\n{WAIT}"
    run_program(body, send=signal.SIGINT)

    assert read_run().status == "killed"


@EMBEDDED
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "opening", ["with exper.start_run() as run:", "run = exper.start_run()\nif True:"]
)
def test_a_signal_makes_it_killed(run_program, read_run, sent, opening):
    wait = WAIT.replace("\n", "\n    ")
    body = f"{opening}\n    run.add_metric('a', 1)\n    {wait}"
    assert run_program(body, send=sent) != 0

    assert read_run().status == "killed"
    assert read_run().metrics == {"a": 1}


@EMBEDDED
def test_a_program_s_own_sigterm_handler_is_left_alone(run_program, read_run):
    body = (
        "signal.signal(signal.SIGTERM, lambda *_: print('mine', flush=True))\n"
        "with exper.start_run() as run:\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(0.5)\n"
    )
    assert run_program(body, send=signal.SIGTERM) == 0

    assert read_run().status == "finished"


@EMBEDDED
def test_every_metastore_of_a_process_learns_of_a_signal(run_program, open_ms):
    body = (
        "other = al.Metastore('q', url=sys.argv[1], cache_dir=sys.argv[2], git='off')\n"
        "run = exper.start_run()\nsecond = other.exper('e').start_run()\n" + WAIT
    )
    run_program(body, send=signal.SIGTERM)

    assert open_ms().experiment("e").run(1).status == "killed"
    assert open_ms("q").experiment("e").run(1).status == "killed"


@EMBEDDED
def test_sys_exit_inside_with_makes_it_killed(run_program, read_run):
    assert run_program("with exper.start_run() as run:\n    sys.exit(3)") == 3

    assert read_run().status == "killed"


def test_a_vanished_process_leaves_a_run_that_is_lost_once_it_is_stale(
    run_program, read_run, monkeypatch
):  # R4
    body = f"run = exper.start_run()\n{WAIT}"
    run_program(body, send=signal.SIGKILL)
    assert read_run().status == "running"

    monkeypatch.setattr("aletheia_like.model.records.LOST_SECONDS", 0.5)
    time.sleep(1)
    assert read_run().status == "lost"


@EMBEDDED
def test_a_forked_child_does_not_end_its_parent_s_run(run_program, read_run):
    body = (
        "with exper.start_run() as run:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        sys.exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    status = ms.experiment('e').run(1).status\n"
        "    run.add_metric('was', status)\n"
    )
    run_program(body)

    assert read_run().status == "finished"
    assert read_run().metrics == {"was": "running"}


def test_a_live_quiet_run_beats(open_ms):  # R4
    from aletheia_like.recorder import Recorder

    ms = open_ms()
    run = ms.exper("e").start_run()
    recorder = Recorder(ms.session.documents, ms.session.clock, interval=0.05, heartbeat=0.2)
    recorder.watch(run.path)
    recorder.set(run.path, {})
    before = ms.experiment("e").run(1).record.heartbeat_at
    time.sleep(1)

    assert ms.experiment("e").run(1).record.heartbeat_at > before
    recorder.close()


@EMBEDDED
@pytest.mark.parametrize("text", [r"no file \udc80", "two\r\nlines"])
def test_a_run_fails_truthfully_whatever_the_text_of_its_error(open_ms, text):  # R2
    run = open_ms().exper("e").start_run()
    with pytest.raises(ValueError, match=r"^"), run:
        raise ValueError(text.encode().decode("unicode_escape"))

    read = open_ms().experiment("e").run(1)
    assert read.status == "failed"
    assert read.error.message == text


@EMBEDDED
def test_a_long_error_is_read_whole(open_ms):  # R2 M25
    run = open_ms().exper("e").start_run()
    with pytest.raises(ValueError, match="x"), run:
        raise ValueError("x" * 2_000_000)

    assert open_ms().experiment("e").run(1).error.message == "x" * 2_000_000


@EMBEDDED
def test_an_error_without_text_is_the_one_that_is_raised(open_ms):  # R2
    class SilentError(Exception):
        def __str__(self):
            raise RuntimeError

    with pytest.raises(SilentError), open_ms().exper("e").start_run() as run:
        raise SilentError

    assert (run.status, run.error.message) == ("failed", "<its text failed: RuntimeError>")
