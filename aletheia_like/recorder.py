"""Folds changes of live documents, and their rows, into few writes, in the background.

A caller never waits: `set` only notes what changed. A daemon thread sends each document's notes at
most once a second, as one update, and a heartbeat when nothing else was sent for half a minute. A
store that is away delays the notes, it does not drop them: they are sent when it is back.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from aletheia_like.errors import AletheiaError, AlreadyExistsError, ConflictError, UnavailableError
from aletheia_like.feeds import NOTHING, Also, Changes, Feed, Last, Notes, Part, fold
from aletheia_like.forking import is_held_here
from aletheia_like.model.records import HEARTBEAT_SECONDS
from aletheia_like.ports.documents import DocumentStore, Update, Write
from aletheia_like.ports.patience import waiting_until
from aletheia_like.ports.usage import meant_for

_Key = tuple[str, int]

_log = logging.getLogger("aletheia")
_RETRY_PAUSE = 0.25
_BUSY_SECONDS = 0.5
_PAUSE_FACTOR = 4.0
_MAX_SURPRISES = 3
_REFUSED_PAUSE = 15.0


class Recorder:
    """Sends changes of documents in the background; safe for threads, and for a child after fork.

    Args:
        documents: Where changes go.
        clock: Tells the time that heartbeats carry.
        interval: Seconds between two background writes of one document.
        heartbeat: Seconds after which a silent live document is written all the same.

    Attributes:
        settle: Stores what changes and rows may mention, such as blobs; called before they are.
    """

    def __init__(
        self,
        documents: DocumentStore,
        clock: Callable[[], dt.datetime],
        *,
        interval: float = 1.0,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._interval = interval
        self._heartbeat = heartbeat
        self.settle: Callable[[], object] = lambda: None
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        # Reentrant: a signal handler may end a run while the same thread is noting something.
        self._lock = threading.RLock()
        # What a signal handler may put into at any moment; an event may not be set by one.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._notes: dict[_Key, Notes] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        self._warned = False
        # Until when the thread sleeps: whoever needs it sooner wakes it, all while it works.
        self._asleep_until = math.inf

    def watch(self, path: str, feed: Feed | None = None, *, beats: bool = True) -> None:
        """Keep a live document's heartbeat going until `forget`, and send what its feed has."""
        self._note(path, {}, beats=beats, feed=feed)

    def nudge(self, path: str, feed: Feed | None = None) -> None:
        """A document's feed has something; it is sent within about a second."""
        self._note(path, {}, feed=feed)

    def set(self, path: str, changes: Changes, feed: Feed | None = None) -> None:
        """Note changes to a document; they are sent within about a second."""
        self._note(path, changes, feed=feed)

    def flush(self, path: str | None = None, timeout: float = 60.0) -> None:
        """Send what is noted for one document, or for all, and return when it is stored.

        Raises:
            UnavailableError: The store stayed away for `timeout` seconds; the notes are kept.
            AletheiaError: The store refused the changes, now or in the background since the last
                flush; they are dropped, and the error says so.
        """
        with self._here():
            keys = [key for key in self._notes if path in (None, key[0])]
        self._flush(keys, timeout)
        with self._here():
            flushed = [self._notes[key] for key in keys if key in self._notes]
            refusals = [notes.refusal for notes in flushed if notes.refusal is not None]
            for notes in flushed:
                notes.refusal = None
        if refusals:
            raise refusals[0]

    def _flush(self, keys: Sequence[_Key], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for key in keys:
            self._send_until(key, NOTHING, deadline)

    def finish(
        self,
        path: str,
        changes: Changes,
        also: Callable[[Changes], Also],
        timeout: float,
        feed: Feed | None = None,
    ) -> None:
        """Send everything of a document, its last changes in one apply with `also`; forget it.

        Args:
            path: The document.
            changes: Its last changes.
            also: Called once all rows are stored, with the changes that are sent last: gives more
                changes, and writes of other documents.
            timeout: Seconds to wait for a store that is away.
            feed: The feed that ends; others of the document go on.

        Raises:
            UnavailableError: The store stayed away. What was noted before is kept and still tried;
                the last changes are not, so that the document does not end without `also`.
        """
        key = self._note(path, {}, feed=feed, quiet=True)
        try:
            self._send_until(key, Last(changes, also), time.monotonic() + timeout)
        except AletheiaError:
            with self._here():
                if key in self._notes:
                    self._notes[key].awaited = True
            raise
        with self._here():
            self._notes.pop(key, None)

    def forget(self, path: str) -> None:
        """Stop a document's heartbeat and drop what is still noted for it."""
        with self._here():
            for key in [key for key in self._notes if key[0] == path]:
                del self._notes[key]

    def pending(self) -> list[str]:
        """Return the paths of documents with changes or rows that are not yet stored."""
        with self._here():
            found = [path for (path, _), notes in self._notes.items() if notes.has_more]
            return list(dict.fromkeys(found))

    def close(self, timeout: float = 60.0) -> None:
        """Send everything and stop the background thread; using the recorder starts it again.

        Documents whose end was waited for in vain are not waited for again.
        """
        with self._here():
            keys = [key for key, notes in self._notes.items() if not notes.awaited]
        try:
            self._flush(keys, timeout)
        finally:
            with self._here():
                thread, self._thread, self._closed = self._thread, None, True
                self._wake.put(None)
            if thread is not None and thread is not threading.current_thread():
                thread.join(timeout=5.0)

    def _here(self) -> threading.RLock:
        """Return the lock of this process: a child after fork begins with nothing noted."""
        if self._pid != os.getpid():
            self._reset()
        return self._lock

    def _note(
        self,
        path: str,
        changes: Changes,
        *,
        beats: bool = False,
        feed: Feed | None = None,
        quiet: bool = False,
    ) -> _Key:
        with self._here():
            key = self._key(path, feed)
            notes = self._notes.setdefault(key, Notes())
            notes.feed = feed or notes.feed
            if beats:
                notes.beats, notes.sent_at = True, time.monotonic()
            if changes and notes.feed is not None:
                notes.note = notes.feed.note(changes)
            notes.add(changes)
            if quiet:
                return key
            self._closed = False
            self._begin_work()
            is_soon = notes.sent_at + self._rest(notes) < self._asleep_until
            wake = self._wake
        if is_soon and wake.empty():
            wake.put(None)
        return key

    def _key(self, path: str, feed: Feed | None) -> _Key:
        """Return where something is noted: every feed of a document has notes of its own.

        What comes without a feed goes with any; what came before the first one, with that.
        """
        if feed is None:
            return next((key for key in self._notes if key[0] == path), (path, 0))
        key = (path, id(feed))
        if key not in self._notes and (path, 0) in self._notes:
            self._notes[key] = self._notes.pop((path, 0))
        return key

    def _begin_work(self) -> None:
        if self._thread is not None:
            return
        # A queue for each thread: one that is ending must not take what is meant for the next.
        self._asleep_until = math.inf
        wake: SimpleQueue[None] = SimpleQueue()
        thread = threading.Thread(
            target=_work, args=(weakref.ref(self), wake), name="aletheia-recorder", daemon=True
        )
        self._wake, self._thread = wake, thread
        try:
            self._thread.start()
        except RuntimeError:
            # The interpreter is ending: what is noted is sent by `finish` or `flush`.
            self._thread = None

    def _is_interrupted(self, key: _Key) -> bool:
        """Whether this is a signal handler, and what it interrupted is noting something."""
        notes = self._notes.get(key)
        feed = None if notes is None else notes.feed
        return is_held_here(self._lock) or (feed is not None and feed.is_interrupted())

    def _send_until(self, key: _Key, last: Last, deadline: float) -> None:
        if self._is_interrupted(key):
            # Whoever is sending may wait for a lock that is given back only after this.
            deadline = 0.0
        while True:
            try:
                wait = max(0.0, deadline - time.monotonic())
                with waiting_until(deadline):
                    self._send(key, last, wait=wait, patient=True)
            except UnavailableError:
                if time.monotonic() + _RETRY_PAUSE >= deadline:
                    raise
                time.sleep(_RETRY_PAUSE)
            else:
                return

    def _send(
        self, key: _Key, last: Last = NOTHING, wait: float = 60.0, *, patient: bool = False
    ) -> None:
        path, _ = key
        with self._here():
            notes = self._notes.get(key)
        if notes is None:
            return
        if not notes.sending.acquire(timeout=wait):
            message = f"the store does not answer: changes of {path} are still being sent"
            raise UnavailableError(message)
        try:
            with meant_for(path):
                self._send_notes(path, notes, last, patient=patient)
        finally:
            notes.sending.release()

    def _send_notes(self, path: str, notes: Notes, last: Last, *, patient: bool) -> None:
        """Send what is noted and what the feed has, in as many parts as that takes."""
        begun = time.monotonic()
        feed, ending = notes.feed, last is not NOTHING
        if feed is not None and (ending or notes.has_more):
            feed.prepare()
        surprises = 0
        more = True
        while more:
            part = feed.part(last=ending) if feed is not None else None
            more = part is not None and not part.complete
            try:
                self._send_part(path, notes, part, NOTHING if more else last)
            except (AlreadyExistsError, ConflictError):
                surprises += 1
                if part is None or feed is None or surprises > _MAX_SURPRISES:
                    raise
                feed.resume()
                more = True
            notes.took = time.monotonic() - begun
            if notes.took > _BUSY_SECONDS and not patient:
                return
        if feed is not None:
            feed.tell_summary(now=ending)

    def _send_part(self, path: str, notes: Notes, part: Part | None, last: Last) -> None:
        with self._here():
            noted, notes.pending = notes.pending, {}
            number = notes.note
        try:
            writes = self._writes(path, notes, noted, part, last)
            if not writes:
                notes.sent_at = time.monotonic()
                return
            # After the last look at what there is: it may mention what came a moment ago.
            self.settle()
            revisions = self._documents.apply(writes)
        except BaseException as error:
            if _is_kept(error, part, last):
                with self._here():
                    notes.add(noted, before=True)
            raise
        if part is not None:
            part.stored(revisions[: len(part.writes)])
        if notes.feed is not None:
            notes.feed.done(number)
        notes.sent_at = time.monotonic()

    def _writes(
        self, path: str, notes: Notes, noted: Changes, part: Part | None, last: Last
    ) -> list[Write]:
        changes = fold(noted, last.changes)
        more_changes, also = last.also(changes)
        if part is not None:
            changes = fold(part.changes, changes)
        changes = fold(changes, more_changes)
        # Rows of texts only change nothing else: by its heartbeat a reader learns of them.
        has_rows = part is not None and bool(part.writes)
        if notes.beats and (changes or has_rows or self._is_beat_due(notes)):
            changes = fold({("heartbeat_at",): self._clock()}, changes)
        writes: list[Write] = [*(part.writes if part is not None else ()), *also]
        if changes:
            writes.append(Update(path, changes))
        return writes

    def beat(self) -> None:
        """Send heartbeats that are due beside what is being sent, which may take long."""
        with self._here():
            due = {key: notes for key, notes in self._notes.items() if self._is_beat_due(notes)}
            for notes in due.values():
                notes.sent_at = time.monotonic()
        for path, _ in due:
            try:
                self._documents.apply([Update(path, {("heartbeat_at",): self._clock()})])
            except AletheiaError as error:
                _log.info("a heartbeat of %s is late: %s", path, error)

    def _is_beat_due(self, notes: Notes) -> bool:
        return notes.beats and time.monotonic() - notes.sent_at >= self._heartbeat

    def _due(self) -> tuple[list[_Key], float]:
        """Return which documents to send now, and for how many seconds there is nothing to do."""
        now = time.monotonic()
        due: list[_Key] = []
        pause = self._heartbeat
        with self._here():
            for key, notes in self._notes.items():
                left = notes.sent_at + self._rest(notes) - now
                if left <= 0:
                    due.append(key)
                else:
                    pause = min(pause, left)
            if self._thread is threading.current_thread():
                self._asleep_until = math.inf if due else now + pause
        return due, pause

    def _rest(self, notes: Notes) -> float:
        """Return for how many seconds after its last write a document needs none."""
        if notes.has_more:
            return max(self._interval, _PAUSE_FACTOR * notes.took)
        return self._heartbeat if notes.beats else math.inf

    def _delay(self, key: _Key, seconds: float, refusal: AletheiaError | None = None) -> None:
        """Wait longer than usual before the next try; the next `flush` tells of a refusal."""
        with self._here():
            notes = self._notes.get(key)
            if notes is not None:
                notes.took, notes.sent_at = seconds / _PAUSE_FACTOR, time.monotonic()
                notes.refusal = refusal or notes.refusal

    def _send_due(self) -> float:
        due, pause = self._due()
        for key in due:
            try:
                self._send(key)
            except UnavailableError as error:
                if not self._warned:
                    self._warned = True
                    _log.warning("%s; changes are kept and sent when it is back", error)
                self._delay(key, self._interval)
                return self._interval
            except AletheiaError as error:
                _log.warning("changes of %s were refused and are lost: %s", key[0], error)
                self._delay(key, _REFUSED_PAUSE, error)
            except Exception:  # noqa: BLE001 - it is logged, and this thread must live
                # Whatever it was, other documents are to be sent, and live runs to beat.
                _log.exception("changes of %s cannot be sent", key[0])
                self._delay(key, _REFUSED_PAUSE)
            else:
                self._warned = False
        return 0.0 if due else pause


def _is_kept(error: BaseException, part: Part | None, last: Last) -> bool:
    """Whether changes that were not stored are tried again rather than given up."""
    if isinstance(error, UnavailableError) or not isinstance(error, AletheiaError):
        return True
    if last.changes:
        return True
    return part is not None and isinstance(error, AlreadyExistsError | ConflictError)


def _work(reference: weakref.ref[Recorder], wake: SimpleQueue[None]) -> None:
    """Send what is due until the recorder is closed or gone; holds it only while working."""
    while True:
        recorder = reference()
        if recorder is None or recorder._thread is not threading.current_thread():  # noqa: SLF001
            return
        with contextlib.suppress(Empty):
            while True:
                wake.get_nowait()
        pause = recorder._send_due()  # noqa: SLF001
        del recorder
        # A lost recorder is noticed within a minute at the latest.
        with contextlib.suppress(Empty):
            wake.get(timeout=min(max(pause, 0.01), 60.0))
