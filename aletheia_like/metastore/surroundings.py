"""Captures what is slow to learn about a run's surroundings beside the run, once a process."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from aletheia_like.capture.environment import find_lock_files, read_packages
from aletheia_like.capture.hardware import read_gpus
from aletheia_like.errors import AletheiaError
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.storing import store_bytes
from aletheia_like.model.values import FieldPath, Value

_log = logging.getLogger("aletheia")


def note_surroundings(session: Session, path: str, root: Path | None) -> None:
    """Note packages, lock files and GPUs in a run's document: at once if known, else beside it.

    Args:
        session: The metastore; it remembers what was learned.
        path: The run's document.
        root: Where lock files are looked for.
    """
    if session.surroundings is not None:
        if session.surroundings:
            session.recorder.set(path, session.surroundings)
        return
    thread = threading.Thread(
        target=_learn, args=(session, path, root), name="aletheia-surroundings", daemon=True
    )
    session.captures[path] = thread
    thread.start()


def wait_for_surroundings(session: Session, path: str, timeout: float) -> None:
    """Wait until what is captured for a run is noted, but not for ever."""
    thread = session.captures.pop(path, None)
    if thread is not None:
        thread.join(timeout)


def _learn(session: Session, path: str, root: Path | None) -> None:
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
    session.surroundings = learned
    if learned:
        session.recorder.set(path, learned)
