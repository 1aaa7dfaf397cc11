"""Asking a live run to stop, from anywhere; the run itself decides what to do about it."""

from __future__ import annotations

import logging
import os
import threading
import weakref

from aletheia_like.errors import AletheiaError, NotFoundError, RunStateError, UnavailableError
from aletheia_like.metastore.session import Session, author
from aletheia_like.model.records import ENDED
from aletheia_like.model.values import Value
from aletheia_like.ports.documents import Update

FIELD = "stop_requested"
"""The field of a run's document: when it was asked, by whom, and why."""

_log = logging.getLogger("aletheia")
_POLL_SECONDS = 5.0


def request_stop(session: Session, path: str, reason: str | None = None) -> None:
    """Ask the run at `path` to stop; the last request is the one that is kept.

    Raises:
        NotFoundError: There is no such run.
        RunStateError: It has ended.
    """
    document = session.documents.get(path)
    if document is None:
        message = f"no run to stop: {path}"
        raise NotFoundError(message)
    status = document.fields.get("status")
    if status in ENDED:
        message = f"{path} cannot be asked to stop: it is {status}"
        raise RunStateError(message)
    request: dict[str, Value] = {"at": session.clock(), "by": author(), "reason": reason}
    session.documents.apply([Update(path, {(FIELD,): request})])


class StopRequests:
    """Whether somebody asked a live run to stop; the store is asked in the background.

    Nothing happens until `seen` is first asked. Then a daemon thread reads the run's document
    every few seconds, until there is a request, the run has ended, or this is closed or gone.

    Args:
        session: The metastore.
        path: The run's document.
        answered: The request that the document held when the run was started or resumed: it was
            meant for the earlier run.
        interval: Seconds between two looks.
    """

    def __init__(
        self,
        session: Session,
        path: str,
        answered: Value = None,
        *,
        interval: float = _POLL_SECONDS,
    ) -> None:
        self._session = session
        self._path = path
        self._answered = answered
        self._interval = interval
        self._seen = self._is_over = self._warned = False
        self._pid = 0
        self._closed = threading.Event()

    @property
    def seen(self) -> bool:
        """Whether there is a request; never waits, and may be late by a few seconds."""
        if self._pid != os.getpid() and not self._seen:
            self._start()
        return self._seen

    def close(self) -> None:
        """Stop looking."""
        self._is_over = True
        self._closed.set()

    def look(self) -> bool:
        """Ask the store once, and return whether to go on asking."""
        try:
            document = self._session.documents.get(self._path)
        except UnavailableError as error:
            _log.debug("stop requests are read when the store is back: %s", error)
            return not self._is_over
        except AletheiaError as error:
            if not self._warned:
                self._warned = True
                _log.warning("stop requests of %s cannot be read: %s", self._path, error)
            return not self._is_over
        if document is not None:
            request = document.fields.get(FIELD)
            self._seen = self._seen or (request is not None and request != self._answered)
            self._is_over = self._is_over or document.fields.get("status") in ENDED
        return not (self._seen or self._is_over)

    def _start(self) -> None:
        # A forked child looks for itself: threads and locks stay with the parent.
        self._pid = os.getpid()
        if self._is_over:
            return
        self._closed = threading.Event()
        arguments = (weakref.ref(self), self._closed, self._interval)
        threading.Thread(
            target=_look_now_and_then, args=arguments, name="aletheia-stop", daemon=True
        ).start()


def _look_now_and_then(
    reference: weakref.ref[StopRequests], closed: threading.Event, interval: float
) -> None:
    """Look until there is no more reason to; holds the requests only while looking."""
    while True:
        requests = reference()
        if requests is None or not requests.look():
            return
        del requests
        if closed.wait(interval):
            return
