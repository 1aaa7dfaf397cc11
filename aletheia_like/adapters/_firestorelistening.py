"""Firestore's stream of changes: read in a thread, ended by a fork, never trusted to be complete.

The stream is given by the caller; these classes know no client. Measured: the emulator sends the
whole collection anew after every change, and Firestore may do so at any time, so what is known is
kept here and only what differs is told.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from aletheia_like.adapters._clients import ForkGate
from aletheia_like.adapters._firestoremessages import path_of, revision
from aletheia_like.errors import UnavailableError
from aletheia_like.forking import watch_forks
from aletheia_like.ports.listening import Told, Wake

Wait = Callable[[], object]
"""Returns when a stream is over."""

OpenStream = Callable[[Wait], Any]
"""Opens a stream whose requests end when it is over; it yields messages and has `cancel`."""

_log = logging.getLogger("aletheia")
_REMOVE, _CURRENT, _RESET = 2, 3, 4


class CollectionState:
    """What messages say about a collection, compared with what is known of it.

    Args:
        known: Revision of each document, by path.
        complete: Whether the stream begins with every document, not where `known` ends.
    """

    def __init__(self, known: Mapping[str, str], *, complete: bool) -> None:
        self._known = dict(known)
        self._listed: set[str] | None = set() if complete else None
        self.is_current = False
        """Whether the stream has told all that was there when it began."""

    def take(self, message: Any) -> Told:
        """Return what a message tells that was not known.

        Raises:
            UnavailableError: The stream has lost the collection: it must be opened anew.
        """
        match message.WhichOneof("response_type"):
            case "document_change":
                return self._changed(message.document_change)
            case "document_delete" | "document_remove" as kind:
                return self._gone(path_of(getattr(message, kind).document))
            case "target_change":
                return self._target(message.target_change)
            case "filter" if self._listed is None and message.filter.count != len(self._known):
                lost = f"{message.filter.count} documents, not {len(self._known)} as told"
                raise UnavailableError(lost)
        return {}

    def _changed(self, change: Any) -> Told:
        path, now = path_of(change.document.name), revision(change.document.update_time)
        if change.removed_target_ids and not change.target_ids:
            return self._gone(path)
        if self._listed is not None:
            self._listed.add(path)
        if self._known.get(path) == now:
            return {}
        self._known[path] = now
        return {path: now}

    def _gone(self, path: str) -> Told:
        return {} if self._known.pop(path, None) is None else {path: None}

    def _target(self, change: Any) -> Told:
        if change.target_change_type == _REMOVE:
            lost = f"the server ended it: {change.cause.message or 'no reason given'}"
            raise UnavailableError(lost)
        if change.target_change_type == _RESET:
            self._listed = set()
        elif change.target_change_type == _CURRENT:
            self.is_current = True
            return self._complete()
        return {}

    def _complete(self) -> Told:
        if self._listed is None:
            return {}
        gone = self._known.keys() - self._listed
        self._known = {path: self._known[path] for path in self._listed if path in self._known}
        self._listed = None
        return dict.fromkeys(gone)


class StreamListener:
    """One stream, read in a daemon thread until it ends.

    Args:
        open_stream: Opens it.
        state: Understands the answers.
        wake: Told what changed, and at last, with nothing, that it is over.
        gate: Lets the stream hold back a fork, which ends it first.
    """

    def __init__(
        self,
        open_stream: OpenStream,
        state: CollectionState,
        wake: Wake,
        gate: ForkGate,
    ) -> None:
        self._open_stream = open_stream
        self._state = state
        self._wake = wake
        self._gate = gate
        self._pid = os.getpid()
        self._over = threading.Event()
        self._stream: Any = None
        self._heard_at: float | None = None
        self._thread = threading.Thread(target=self._listen, name="aletheia-listener", daemon=True)

    @property
    def heard_at(self) -> float | None:
        """When the last message came, by `time.monotonic`; None until all that was there came."""
        return self._heard_at

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether the stream may still bring something to this process."""
        mine = self._pid == os.getpid()
        return mine and not self._over.is_set() and self._thread.is_alive()

    def close(self) -> None:
        """End the stream; nothing is told any more."""
        self._over.set()
        # The stream of another process must not be touched: it is the parent's.
        if self._stream is not None and self._pid == os.getpid():
            self._stream.cancel()

    def _listen(self) -> None:
        try:
            with self._gate.request():
                self._read()
        except Exception as error:  # noqa: BLE001 - whatever it was, the stream has ended
            if not self._over.is_set():
                _log.debug("listening ended, looking now and then goes on: %s", error)
        finally:
            self._over.set()
            self._wake({})

    def _read(self) -> None:
        if self._over.is_set():
            return
        self._stream = self._open_stream(self._over.wait)
        if self._over.is_set():
            self._stream.cancel()
        for answer in self._stream:
            told = self._state.take(type(answer).pb(answer))
            if self._state.is_current:
                self._heard_at = time.monotonic()
            if self._over.is_set():
                return
            if told:
                self._wake(told)


class Streams:
    """The streams of one store: closing it ends them all, and so does a fork.

    Args:
        gate: The store's; it waits for streams as for any request.
    """

    def __init__(self, gate: ForkGate) -> None:
        self._gate = gate
        self._reset()
        # Hooks run before a fork in the reverse order of this: streams end, then the gate waits.
        watch_forks(self.close, None, self._reset)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._open: weakref.WeakSet[StreamListener] = weakref.WeakSet()

    def start(self, open_stream: OpenStream, state: CollectionState, wake: Wake) -> StreamListener:
        """Return a new listener at work."""
        listener = StreamListener(open_stream, state, wake, self._gate)
        with self._lock:
            self._open.add(listener)
        listener.start()
        return listener

    def close(self) -> None:
        """End every stream."""
        with self._lock:
            ending = list(self._open)
        for listener in ending:
            listener.close()
