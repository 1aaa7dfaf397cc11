"""A bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

PROGRAM = (
    "import sys, aletheia_like as al\n"
    "ms = al.Metastore('p', url=sys.argv[1], cache_dir=sys.argv[2], git='off')\n"
    "ms.add_dataset('large', sys.argv[3])\n"
)


def run_on(stderr, tmp_path, **variables):
    (tmp_path / "large").write_bytes(os.urandom(40 << 20))
    command = [sys.executable, "-c", PROGRAM, (tmp_path / "s").as_uri(), str(tmp_path / "c")]
    return subprocess.Popen(
        [*command, str(tmp_path / "large")],
        stderr=stderr,
        env={**os.environ, "TERM": "xterm", **variables},
    )


def test_a_long_transfer_draws_a_bar_on_a_terminal(tmp_path):
    ours, theirs = pty.openpty()
    process = run_on(theirs, tmp_path)
    os.close(theirs)
    seen = b""
    while True:
        try:
            chunk = os.read(ours, 65_536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.close(ours)

    assert process.wait(timeout=60) == 0
    assert b"storing large" in seen


def test_a_pipe_gets_nothing(tmp_path):
    process = run_on(subprocess.PIPE, tmp_path)

    assert process.communicate(timeout=60)[1] == b""


def test_a_bar_may_be_asked_for(tmp_path):
    process = run_on(subprocess.PIPE, tmp_path, ALETHEIA_PROGRESS="1")

    assert b"storing large" in process.communicate(timeout=60)[1]
