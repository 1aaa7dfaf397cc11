"""Captures what is slow to learn about a run's surroundings beside the run, once a process."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aletheia_like.errors import AletheiaError
from aletheia_like.model.values import FieldPath, Value

if TYPE_CHECKING:
    from aletheia_like.metastore.session import Session

_log = logging.getLogger("aletheia")


class Surroundings:
    """Packages, lock files and GPUs of this process, stored as blobs and noted in its runs."""

    def __init__(self) -> None:
        self._learned: dict[FieldPath, Value] | None = None
        self._threads: dict[str, threading.Thread] = {}

    def note(self, session: Session, path: str, root: Path | None) -> None:
        """Note the surroundings in a run's document: at once if known, else in the background."""
        if self._learned is not None:
            if self._learned:
                session.recorder.set(path, self._learned)
            return
        thread = threading.Thread(
            target=self._learn,
            args=(session, path, root),
            name="aletheia-surroundings",
            daemon=True,
        )
        self._threads[path] = thread
        thread.start()

    def wait(self, path: str, timeout: float) -> None:
        """Wait until what is captured for a run is noted, but not for ever."""
        thread = self._threads.pop(path, None)
        if thread is not None:
            thread.join(timeout)

    def _learn(self, session: Session, path: str, root: Path | None) -> None:
        from aletheia_like.capture.environment import find_lock_files, read_packages
        from aletheia_like.capture.hardware import read_gpus
        from aletheia_like.metastore.storing import store_bytes

        started = time.monotonic()
        learned: dict[FieldPath, Value] = {}
        try:
            gpus = read_gpus()
            if gpus:
                learned["environment", "gpus"] = list(gpus)
            packages = store_bytes(session, read_packages().encode(), "packages.json")
            learned["environment", "packages"] = packages
            locks = find_lock_files(root) if root is not None else {}
            stored = {
                name: store_bytes(session, file.read_bytes(), file.name)
                for name, file in locks.items()
            }
            if stored:
                learned["environment", "lock_files"] = stored
        except (AletheiaError, OSError) as error:
            _log.info("the packages of this run are not recorded: %s", error)
        self._learned = learned
        if learned:
            session.recorder.set(path, learned)
        _log.debug("surroundings of %s captured in %.3f s", path, time.monotonic() - started)
