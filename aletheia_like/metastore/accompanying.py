"""What goes along with a run in the background: its console, and samples of the machine's load."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aletheia_like.capture.console import ConsoleCapture
from aletheia_like.capture.sampling import Meter
from aletheia_like.errors import AletheiaError
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.writing import RunWriter
from aletheia_like.model.values import FieldPath

SYSTEM = "system"
"""The stream that samples of the machine's load are rows of."""

_log = logging.getLogger("aletheia")
_TAIL_BYTES = 4_000
_TAIL_SECONDS = 10.0

Change = Callable[[Mapping[FieldPath, Any]], None]


class Companion:
    """Captures the console and samples the machine for one run, until it is closed.

    Args:
        session: The metastore.
        writer: The run's writer.
        change: Changes fields of the run's document.
    """

    def __init__(self, session: Session, writer: RunWriter, change: Change) -> None:
        self._session = session
        self._writer = writer
        self._change = change
        self._pid = os.getpid()
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._console: ConsoleCapture | None = None
        self._tail = ""

    def capture_console(self) -> None:
        """Copy what the program prints from now on; the document shows the end of it."""
        if self._console is not None:
            return
        path = self._session.journal_folder / "console" / f"{self._writer.name}.log"
        try:
            console = ConsoleCapture(path)
            console.start()
        except OSError as error:
            _log.warning("the console is not recorded: %s", error)
            return
        self._console = console
        self._begin(self._tell_tail, _TAIL_SECONDS)

    def sample(self, interval: float) -> None:
        """Sample the machine's load every so many seconds, as rows of the stream `system`.

        Raises:
            MissingExtraError: psutil is not installed.
        """
        meter = Meter()
        meter.read_sample()
        self._begin(lambda: self._writer.log_stream(SYSTEM, meter.read_sample()), interval)

    def close(self) -> dict[FieldPath, Any]:
        """Stop, and return the last changes of the document; a forked child just forgets."""
        if self._pid != os.getpid():
            return {}
        self._closed.set()
        for thread in self._threads:
            thread.join(timeout=5.0)
        console, self._console = self._console, None
        return {} if console is None else self._stored(console)

    def _stored(self, console: ConsoleCapture) -> dict[FieldPath, Any]:
        console.stop()
        path = Path(console.path)
        try:
            digest, size = self._session.spool.put_file(path)
            tail = console.tail(_TAIL_BYTES)
            path.unlink(missing_ok=True)
        except (OSError, AletheiaError) as error:
            _log.warning("the console is not stored: %s", error)
            return {}
        return {("console",): {"tail": tail, "sha256": digest, "size": size}}

    def _tell_tail(self) -> None:
        console = self._console
        tail = console.tail(_TAIL_BYTES) if console is not None else ""
        if tail != self._tail:
            self._tail = tail
            self._change({("console",): {"tail": tail}})

    def _begin(self, work: Callable[[], object], interval: float) -> None:
        thread = threading.Thread(
            target=self._repeat, args=(work, interval), name="aletheia-companion", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _repeat(self, work: Callable[[], object], interval: float) -> None:
        due = time.monotonic() + interval
        while not self._closed.wait(max(0.0, due - time.monotonic())):
            due = max(due + interval, time.monotonic())
            try:
                work()
            except (AletheiaError, OSError) as error:
                _log.info("a background record of the run failed: %s", error)
