"""The real command over an embedded store: in this process, in one of its own, in a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

import aletheia_like as al
from tests.cli.calling import Outcome, call


@pytest.fixture
def environment(tmp_path):
    """Variables that lead to an empty embedded store."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("FIRESTORE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS")
        and not key.startswith("ALETHEIA_")
    }
    return {
        **kept,
        "ALETHEIA_HOME": str(tmp_path / "home"),
        "ALETHEIA_CACHE_DIR": str(tmp_path / "cache"),
        "ALETHEIA_GIT": "off",
        "COLUMNS": "120",
    }


@pytest.fixture
def aletheia(environment, tmp_path):
    """Call the command in this process, and return its exit code and what it printed."""

    def run(*arguments, **variables):
        changed = {name: str(value) for name, value in variables.items()}
        done = call(list(map(str, arguments)), {**environment, **changed}, tmp_path)
        assert "Traceback" not in done.err or "--debug" in arguments, done.err
        return done

    return run


@pytest.fixture
def process(environment, tmp_path):
    """Run the command as a process of its own, which is what people do, and much slower."""

    def run(*arguments, stdin=None, **variables):
        done = subprocess.run(
            [sys.executable, "-m", "aletheia_like", *map(str, arguments)],
            env={**environment, **variables},
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr or "--debug" in arguments, done.stderr
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def recorded(tmp_path):
    """Three runs, two data sets and an artifact in project `p`."""
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    url = (tmp_path / "home").as_uri()
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        ms.add_dataset("table", tmp_path / "table.csv", type="table", desc="two columns")
        exper = ms.exper("which/one", desc="why")
        for number in range(3):
            with exper.start_run(name=f"run {number}", fold=number) as run:
                run.get_dataset("table", download=True)
                run.set_hyper_params({"lr": 0.1 * number, "opt": {"name": "adam"}})
                run.add_metrics({"acc": [0.5, 0.9, float("nan")][number]})
                run.add_artifact("table", tmp_path / "table.csv")
        ms.exper("trial", debug=True)
    return ms


@pytest.fixture
def logged(tmp_path):
    """Two runs of experiment `sweep` in project `p`, with rows of several kinds."""
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    url = (tmp_path / "home").as_uri()
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        exper = ms.exper("sweep")
        for number in range(2):
            with exper.start_run(fold=number) as run:
                for step in range(10):
                    run.log(step=step, loss=1 / (1 + step + number), note=f"step\n{step}")
                run.log(file=al.File(tmp_path / "table.csv"), config={"a": {"b": 1}})
                run.log(config={"a": {"c": [1, 2]}}, data=b"12", loss=float("nan"))
        yield ms


@pytest.fixture
def typed(environment, tmp_path):
    """Run a program in a terminal of so many columns; return its exit code and its lines."""
    pty = pytest.importorskip("pty")

    def run(program, columns, lines=24, keys="", *, raw=False, **variables):
        changed = {**environment, "TERM": "xterm-256color", **variables}
        for name in ("COLUMNS", "LINES"):
            changed.pop(name, None)
        child, descriptor = pty.fork()
        if child == 0:
            os.chdir(tmp_path)
            size = struct.pack("HHHH", lines, columns, 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.execve(sys.executable, [sys.executable, *program], changed)
        os.write(descriptor, keys.encode())
        data = b""
        # The end of the other side is an error here on Linux.
        with contextlib.suppress(OSError):
            while more := os.read(descriptor, 65_536):
                data += more
        _, status = os.waitpid(child, 0)
        os.close(descriptor)
        text = data.decode() if raw else without_colours(data.decode())
        return Outcome(os.waitstatus_to_exitcode(status), text.replace("\r\n", "\n"), "")

    return run


@pytest.fixture
def terminal(typed):
    """Run the command in a terminal of so many columns."""

    def run(columns, *arguments, **options):
        return typed(["-m", "aletheia_like", *map(str, arguments)], columns, **options)

    return run


_SEVERAL = """
import json, sys
from aletheia_like.cli.main import main
for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as ended:
        print(f"\x1e{ended.code or 0}", end="\x1e", flush=True)
"""


@pytest.fixture
def several(typed):
    """Call the command several times in one process in one terminal."""

    def run(columns, *commands, **options):
        shown = typed(["-c", _SEVERAL, json.dumps(commands)], columns, **options)
        parts = shown.out.split("\x1e")
        assert (shown.code, len(parts)) == (0, 2 * len(commands) + 1), shown.out
        outputs, codes = parts[:-1:2], parts[1::2]
        return [Outcome(int(code), out, "") for out, code in zip(outputs, codes, strict=True)]

    return run


_KILLED = """
import os, signal, sys, time
import aletheia_like as al
project, url, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
with al.Metastore(project, url=url or None) as ms:
    with ms.exper("sweep").start_run() as run:
        run.flush()
        for step in range(rows):
            run.log(step=step)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(environment, tmp_path):
    """Log rows in a process that is killed before it can send them all."""

    def run(rows=5, project="p", url="", **variables):
        done = subprocess.run(
            [sys.executable, "-c", _KILLED, project, url, str(rows)],
            env={**environment, **variables, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr

    return run


def without_colours(text):
    """Return what a terminal shows without what colours it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def read_until(descriptor, wanted, seconds=90.0):
    """Read what a terminal shows until something is there."""
    data, end = b"", time.monotonic() + seconds
    while wanted not in data:
        left = end - time.monotonic()
        assert left > 0, data.decode(errors="replace")
        if select.select([descriptor], [], [], left)[0]:
            data += os.read(descriptor, 65_536)
    return data
