"""Tells an object when its process forks or ends, without keeping it alive."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from weakref import WeakMethod

Hook = Callable[[], None]

_EXIT_PRIORITY = 50
"""Before `multiprocessing` ends its own queues and pools."""


def watch_forks(before: Hook | None, in_parent: Hook | None, in_child: Hook) -> None:
    """Call bound methods around each fork, for as long as their object lives.

    A lock that another thread holds at a fork stays locked in the child for ever, so an object
    with a lock takes it `before` and gives it back on both sides, or makes a new one in the child.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_weakly(before),
            after_in_parent=_weakly(in_parent),
            after_in_child=_weakly(in_child),
        )


def watch_exit(hook: Hook) -> None:
    """Call a bound method when this process ends by itself, if its object still lives.

    The children of `multiprocessing` are meant: they end without calling what `atexit` knows.
    """
    from multiprocessing import util

    util.Finalize(None, _weakly(hook), exitpriority=_EXIT_PRIORITY)


def in_multiprocessing() -> bool:
    """Whether `multiprocessing` started this process."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def is_held_here(lock: threading.RLock) -> bool:
    """Whether this thread holds a reentrant lock."""
    return bool(lock._is_owned())  # type: ignore[attr-defined]  # noqa: SLF001


def _weakly(hook: Hook | None) -> Hook:
    reference = WeakMethod(hook) if hook is not None else _nothing

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    return call


def _nothing() -> None:
    """Stand for the method of an object that is gone."""
