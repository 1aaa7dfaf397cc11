"""Runs one server that must not outlive the process that wants it.

    python _guard.py PARENT COMMAND...

When the process PARENT ends, also by `kill -9`, the server is ended. When this guard is killed
itself, Linux ends the server. The kernel's signal alone would not do: it comes when the *thread*
that started a process ends, and servers are started from threads too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from types import FrameType

_LOOK_SECONDS = 0.5
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run the server until it or the parent ends; return the server's exit status."""
    parent = int(sys.argv[1])
    # This process has one thread, so code between fork and exec is safe.
    server = subprocess.Popen(sys.argv[2:], preexec_fn=_die_with_parent)  # noqa: PLW1509, S603

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        server.terminate()

    signal.signal(signal.SIGTERM, end)
    while True:
        try:
            return server.wait(timeout=_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                server.kill()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
