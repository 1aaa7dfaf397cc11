"""Runs a command to its end, or for a bounded time, and keeps the end of what it prints."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from aletheia_like.reproduce.planning import CannotError

_GRACE_SECONDS = 10.0
_KEPT_CHUNKS = 16
_CHUNK_BYTES = 4096
_TAIL_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code; None if it was stopped since its time was over.
        seconds: How long it took.
        tail: The end of what it printed.
    """

    code: int | None
    seconds: float
    tail: str


def execute(
    command: Sequence[str],
    folder: Path,
    variables: Mapping[str, str],
    *,
    timeout: float | None = None,
    show: Callable[[bytes], None] | None = None,
) -> Ended:
    """Run a command with nothing to read; no process of it is left when this returns.

    Args:
        command: Program and arguments.
        folder: Where.
        variables: Its whole environment.
        timeout: Seconds it may take.
        show: Called with what it prints, as it comes.

    Raises:
        CannotError: It cannot be started.
    """
    begun = time.monotonic()
    try:
        process = subprocess.Popen(  # noqa: S603 - its user asked for it
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        message = f"{command[0]} cannot be started in {folder}: {error.strerror or error}"
        raise CannotError(message) from error
    kept: deque[bytes] = deque(maxlen=_KEPT_CHUNKS)
    assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
    reader = threading.Thread(target=_read, args=(process.stdout, kept, show), daemon=True)
    reader.start()
    code: int | None = None
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _end(process)
        reader.join(_GRACE_SECONDS)
    tail = b"".join(kept)[-_TAIL_BYTES:].decode(errors="replace")
    return Ended(code, time.monotonic() - begun, tail)


def _read(stream: IO[bytes], kept: deque[bytes], show: Callable[[bytes], None] | None) -> None:
    with contextlib.suppress(OSError, ValueError):
        while chunk := os.read(stream.fileno(), _CHUNK_BYTES):
            kept.append(chunk)
            if show is not None:
                show(chunk)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command and all that it started: first by asking, so that runs are closed."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        elif process.poll() is None:
            process.send_signal(number)
