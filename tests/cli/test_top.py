"""`aletheia top`: in a terminal, through a pipe, as JSON."""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import sys
import termios

import pytest

import aletheia_like as al
from tests.cli.conftest import read_until

USAGE, NOT_FOUND = 2, 3


@pytest.fixture
def url(tmp_path):
    return (tmp_path / "store").as_uri()


@pytest.fixture
def exper(url):
    with al.Metastore("p", url=url, git="off") as ms:
        yield ms.exper("sweep")


def test_running_runs_are_printed_once_through_a_pipe(aletheia, exper, url):
    with exper.start_run() as ended:
        ended.log(loss=9)
    with exper.start_run(name="brave") as run:
        run.log(loss=0.25, step=3)
        run.add_metric("acc", 0.5)
        run.flush()
        told = aletheia("top", "p/sweep", "--url", url)
        (row,) = aletheia("top", "-p", "p", "--url", url, "--json").json
        chosen = aletheia("top", "-p", "p", "--url", url, "--json", "-c", "loss").json

    assert (told.code, told.err) == (0, "")
    assert "brave" in told.out
    assert (row["experiment"], row["run"], row["status"]) == ("sweep", "2", "running")
    assert (row["loss"], row["acc"], row["step"]) == (0.25, 0.5, 3)
    assert [*chosen[0]] == ["experiment", "run", "status", "time", "step", "loss", "name", "seen"]
    assert "nothing is running in p" in aletheia("top", "-p", "p", "--url", url).err
    assert aletheia("top", "p/sweep/1", "--url", url).code == USAGE
    assert aletheia("top", "p/none", "--url", url).code == NOT_FOUND


def test_a_run_that_ends_stays_in_what_is_shown(exper, url):
    from aletheia_like.cli.top import _Board

    run = exper.start_run()
    run.log(loss=1.5)
    run.flush()
    with al.Metastore("p", url=url, git="off") as ms:
        board = _Board(ms, None, debug=False)
        before = [one.status for one in board.look()]
        run.finish()
        after = [[one.status for one in board.look()] for _ in range(2)]

    assert (before, after) == (["running"], [["finished"], ["finished"]])


def test_a_terminal_follows_what_runs(environment, exper, url, tmp_path):
    pty = pytest.importorskip("pty")
    command = [sys.executable, "-m", "aletheia_like", "top", "p/sweep", "--interval=0.1"]
    child, descriptor = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
        variables = {**environment, "TERM": "xterm", "PYTHONPATH": os.pathsep.join(sys.path)}
        for name in ("COLUMNS", "LINES"):
            variables.pop(name, None)
        os.execve(command[0], [*command, "--url", url], variables)
    try:
        read_until(descriptor, b"0 runs running")
        with exper.start_run(name="a name of twenty-four c") as run:
            for number in range(8):
                run.log({f"column {number}": 0.125 * number})
            run.flush()
            seen = read_until(descriptor, b"column 1")
            seen += read_until(descriptor, b"0.125")
        seen += read_until(descriptor, b"finished")
    finally:
        os.write(descriptor, b"\x03")
        _, status = os.waitpid(child, 0)
        os.close(descriptor)

    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode(errors="replace")).splitlines()
    assert os.waitstatus_to_exitcode(status) == 0
    assert max(map(len, lines)) <= 60
    assert not any("Traceback" in line for line in lines)


def test_json_is_a_line_for_each_look(aletheia, exper, url):
    with exper.start_run() as run:
        run.flush()
        told = aletheia("top", "-p", "p", "--url", url, "--json", "--count", 2, "--interval", 0.01)

    assert [len(json.loads(line)) for line in told.out.splitlines()] == [1, 1]
