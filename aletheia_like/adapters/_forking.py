"""Tells an object when its process forks, without keeping it alive."""

from __future__ import annotations

import os
from collections.abc import Callable
from weakref import WeakMethod

Hook = Callable[[], None]


def watch_forks(before: Hook, in_parent: Hook, in_child: Hook) -> None:
    """Call three bound methods around each fork, for as long as their object lives.

    A lock that another thread holds at a fork stays locked in the child for ever, so an object
    with a lock takes it `before` and gives it back on both sides.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_weakly(before),
            after_in_parent=_weakly(in_parent),
            after_in_child=_weakly(in_child),
        )


def _weakly(hook: Hook) -> Hook:
    reference = WeakMethod(hook)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    return call
