"""Ends runs truthfully when their process ends without saying so.

A run opened without `with` is told of an uncaught exception by `sys.excepthook`, of SIGTERM by a
handler (only where the program has none of its own), and of the interpreter's end by `atexit`.
A process that is killed outright tells nobody: its runs are `lost` once their heartbeat is stale.

A forked child is not given the handler until it starts a run of its own: `terminate()` ends the
worker of a pool at once, as it would without this package. A handler in Python cannot: a signal
that comes just before the worker begins to wait for a lock is not looked at until it has the lock.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
import time
import weakref
from types import FrameType, TracebackType
from typing import Protocol

from aletheia_like.forking import in_multiprocessing, watch_exit, watch_forks
from aletheia_like.model.records import Status

_log = logging.getLogger("aletheia")
_EXIT_SECONDS = 10.0
"""All runs together may hold up the end of the program so long, if the store is away."""

_LEAST_SECONDS = 0.1
_AGAIN_SECONDS = 1.0


class Endable(Protocol):
    """What can be ended: a run."""

    def finish(self, status: Status = "finished", timeout: float = 60.0) -> None:
        """End it with this status."""
        ...

    def fail(self, error: BaseException, timeout: float = 60.0) -> None:
        """End it as failed."""
        ...

    @property
    def is_awaited(self) -> bool:
        """Whether it was ended, and the store was waited for in vain."""
        ...


class LiveRuns:
    """The runs of one metastore that this process has started and not yet ended."""

    def __init__(self) -> None:
        self._runs: dict[int, Endable] = {}
        self._pid = os.getpid()
        self._hooked = False
        self._watched = 0
        self._terminated = False
        self._uncaught: BaseException | None = None

    def add(self, run: Endable) -> None:
        """Take care of a run's end from now on."""
        if self._pid != os.getpid():
            # After a fork the runs are the parent's to end.
            self._runs, self._pid = {}, os.getpid()
            if self._hooked:
                _hook_termination(weakref.ref(self))
        self._runs[id(run)] = run
        if not self._hooked:
            self._hooked = True
            _hook(self)
        if self._watched != self._pid and in_multiprocessing():
            self._watched = self._pid
            watch_exit(self._end_with_process)

    def runs(self) -> list[Endable]:
        """Return the runs that are not ended yet."""
        return [] if self._pid != os.getpid() else list(self._runs.values())

    def remove(self, run: Endable) -> None:
        """A run has ended by itself."""
        self._runs.pop(id(run), None)

    def end_all(self) -> None:
        """End what is still running, as truthfully as can be known."""
        if self._pid != os.getpid():
            return
        deadline = time.monotonic() + _EXIT_SECONDS
        for run in list(self._runs.values()):
            left = max(_LEAST_SECONDS, deadline - time.monotonic())
            if run.is_awaited:
                left = min(left, _AGAIN_SECONDS)
            try:
                if isinstance(self._uncaught, Exception):
                    run.fail(self._uncaught, timeout=left)
                elif self._uncaught is not None or self._terminated:
                    run.finish("killed", timeout=left)
                else:
                    run.finish(timeout=left)
            except Exception as error:  # noqa: BLE001 - the other runs are to end, too
                _log.warning("the end of %r could not be stored: %s", run, error)

    def _end_with_process(self) -> None:
        """End all as a child of `multiprocessing` ends, in which no hook sees an exception."""
        error = sys.exception()
        if error is not None and not isinstance(error, SystemExit):
            self.note_uncaught(error)
        self.end_all()

    def note_uncaught(self, error: BaseException) -> None:
        """The program is ending because of this exception."""
        self._uncaught = error

    def note_terminated(self) -> None:
        """The program was asked to end."""
        self._terminated = True


def _hook(live: LiveRuns) -> None:
    """Watch the end of the process; holds `live` weakly, since hooks cannot all be undone."""
    reference = weakref.ref(live)

    def at_exit() -> None:
        runs = reference()
        if runs is not None:
            runs.end_all()

    atexit.register(at_exit)
    _hook_exceptions(reference)
    _hook_termination(reference)


def _hook_exceptions(reference: weakref.ref[LiveRuns]) -> None:
    earlier = sys.excepthook

    def note(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        runs = reference()
        if runs is not None:
            runs.note_uncaught(error)
        earlier(kind, error, trace)

    sys.excepthook = note


def _hook_termination(reference: weakref.ref[LiveRuns]) -> None:
    """Turn SIGTERM into `SystemExit`, so that `with` blocks and `atexit` get their turn."""
    if threading.current_thread() is not threading.main_thread():
        return
    present = signal.getsignal(signal.SIGTERM)
    if isinstance(present, Terminator):
        present.watched.append(reference)
        return
    if present is not signal.SIG_DFL:
        return

    terminator = Terminator([reference])
    signal.signal(signal.SIGTERM, terminator)
    watch_forks(terminator.before_fork, terminator.after_fork, terminator.in_child)


class Terminator:
    """A handler for SIGTERM that every metastore of the process shares.

    Args:
        watched: Whose runs are to know that they were terminated.
    """

    def __init__(self, watched: list[weakref.ref[LiveRuns]]) -> None:
        self.watched = watched
        self._blocked = threading.local()

    def before_fork(self) -> None:
        """Hold signals back, so that a child takes none before it is rid of this handler."""
        self._blocked.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def after_fork(self) -> None:
        """Take signals again, and one that came meanwhile."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked.before)

    def in_child(self) -> None:
        """Let SIGTERM end a child at once: what it inherited is the parent's to end."""
        if signal.getsignal(signal.SIGTERM) is self:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.after_fork()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Tell them, and end the program as `sys.exit` does."""
        del frame
        for reference in self.watched:
            runs = reference()
            if runs is not None:
                runs.note_terminated()
        sys.exit(128 + number)
