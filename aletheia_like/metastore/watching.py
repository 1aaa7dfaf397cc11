"""Watches the runs of an experiment: what is read is compared with what was read before.

A listener only says where to look. It may die, and it may fall silent without a sign, so
everything is read now and then all the same, and at every interval where nothing can be listened
to. What happened during an outage is seen after it: states are compared, no messages counted.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from aletheia_like.errors import InvalidValueError, UnavailableError
from aletheia_like.metastore.changes import RunChange, SeenRuns
from aletheia_like.metastore.marks import kept
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.ports.documents import Document, Query
from aletheia_like.ports.listening import Listener, Told, listen_to

_log = logging.getLogger("aletheia")

_WATCHDOG_SECONDS = 60.0
"""Everything is read again this often, whatever a listener says."""
_FIRST_WATCHDOG_SECONDS = 4.0
"""And at first this soon, then half as often each time: the emulator forgets one change in some
thousands of those that are made just while it begins to tell them."""
_WATCHDOG_READS = 10.0
_POLL_READS = 50.0
"""Documents a second that may be read of a store that bills them: by the watchdog, by polling."""
_SHARE = 20.0
"""Reading takes one part in so many of the time."""
_LONGEST_REST = 1.0
_DEAF_SECONDS = 5.0
"""A change that is older and was never told proves a listener deaf."""
_FIRST_BACKOFF, _LONGEST_BACKOFF = 1.0, 60.0
_SLICE_SECONDS = 0.5
"""The longest wait in one piece: some systems deliver Ctrl-C only between two."""
_NEVER = math.inf


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How to watch.

    Attributes:
        interval: Seconds between two looks where nothing can be listened to.
        listen: Whether to listen where the store can.
        existing: Whether the runs that are there come first, as added.
        debug: Whether trial runs are shown.
        seconds: When to stop; None for never.
    """

    interval: float = 1.0
    listen: bool = True
    existing: bool = False
    debug: bool = False
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.interval > 0:
            message = f"interval must be a number of seconds above 0, not {self.interval!r}"
            raise InvalidValueError(message)
        if self.seconds is not None and not self.seconds >= 0:
            message = f"seconds must be 0 or more, not {self.seconds!r}"
            raise InvalidValueError(message)


def watch(
    session: Session,
    experiment_path: str,
    *,
    interval: float = 1.0,
    listen: bool = True,
    existing: bool = False,
    debug: bool = False,
    seconds: float | None = None,
) -> Watch:
    """Return the changes of an experiment's runs from now on; see `Experiment.watch`.

    Raises:
        UnavailableError: The store is away; later outages only delay the changes.
    """
    options = WatchOptions(interval, listen, existing, debug, seconds)
    watching = Watch(session, experiment_path, options)
    watching.begin()
    return watching


class Watch:
    """Yields changes until it is closed; an iterator, and a context manager that closes it.

    One thread iterates; any thread may close. Its only thread is the listener's, if there is one.

    Args:
        session: The metastore.
        experiment_path: Whose runs.
        options: How.
    """

    def __init__(self, session: Session, experiment_path: str, options: WatchOptions) -> None:
        self._session = session
        self._collection = paths.runs(experiment_path)
        self._options = options
        self._runs = SeenRuns()
        self._ready: deque[RunChange] = deque()
        self._news = News()
        self._told: dict[str, str | None] = {}
        self._listener: Listener | None = None
        self._listens = options.listen
        self._is_billed = self._is_trusted = False
        self._backoff = _FIRST_BACKOFF
        self._watchdog = _FIRST_WATCHDOG_SECONDS
        self._listen_at = self._rested_at = 0.0
        self._took = _NEVER
        self._all_at = self._rested_all_at = self._read_all_at = 0.0
        self._ends_at = _NEVER
        self._is_away = self._closed = False

    def begin(self) -> None:
        """Read what there is; changes count from here."""
        begun = time.monotonic()
        if self._options.seconds is not None:
            self._ends_at = begun + self._options.seconds
        there = self._look_at_all(begun)
        if self._options.existing:
            self._show(sorted(there, key=lambda change: str(change.run.started_at)))

    def close(self) -> None:
        """Stop listening, and end the iteration, also from another thread."""
        self._closed = True
        self._drop_listener()
        self._news.put({})

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RunChange:
        while not self._ready and not self._closed:
            self._wait()
            if time.monotonic() >= self._ends_at:
                self.close()
            elif not self._closed:
                self._show(self._look())
        if self._closed:
            # Another thread may have closed it while a listener was being started.
            self._drop_listener()
            raise StopIteration
        return self._ready.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ending: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        how = "listening" if self._hears() else "closed" if self._closed else "looking"
        return f"<Watch {self._collection.removesuffix('/runs')} {how}>"

    def _show(self, changes: Iterable[RunChange]) -> None:
        self._ready.extend(one for one in changes if self._options.debug or not one.run.debug)

    def _wait(self) -> None:
        """Return when it may be time to look, and at least twice a second."""
        next_look = self._rested_at if self._told else min(self._all_at, self._runs.next_silence())
        until = min(max(next_look, self._rested_at), self._ends_at)
        pause = min(max(until - time.monotonic(), 0.0), _SLICE_SECONDS)
        for path, revision in self._news.take(pause).items():
            if not self._runs.knows(path, revision):
                self._told[path] = revision

    def _look(self) -> list[RunChange]:
        """Read what is due and return what changed; an outage puts it off."""
        now = time.monotonic()
        self._check_listener(now)
        silent = self._runs.silent(now)
        try:
            if now >= self._all_at:
                changes = self._look_at_all(now)
            elif (self._told or silent) and now >= self._rested_at:
                changes = self._look_at_some([*dict.fromkeys([*self._told, *silent])], now)
            else:
                return []
        except UnavailableError as error:
            self._put_off(error)
            return []
        self._is_away = False
        return changes

    def _look_at_some(self, some: Sequence[str], now: float) -> list[RunChange]:
        documents = self._session.documents.get_many(some)
        found = list(kept(document for document in documents if document is not None))
        there = {document.path for document in found}
        changes = self._runs.remove([path for path in some if path not in there])
        changes += self._runs.put(found)
        self._told.clear()
        rest = _SHARE * (time.monotonic() - now)
        self._rested_at = time.monotonic() + min(rest, _LONGEST_REST)
        return changes

    def _look_at_all(self, now: float) -> list[RunChange]:
        found = list(kept(self._session.documents.query(Query(self._collection))))
        if self._hears() and self._is_deaf(found):
            self._drop_listener()
        there = {document.path for document in found}
        changes = self._runs.remove([path for path in self._runs.paths() if path not in there])
        changes += self._runs.put(found)
        self._told.clear()
        ended = time.monotonic()
        self._listen(ended, min((document.read_at for document in found), default=None))
        # One slow answer is the network's; two are the size's.
        took, self._took = min(ended - now, self._took), ended - now
        self._read_all_at, self._rested_all_at = ended, ended + _SHARE * took
        self._plan()
        return changes

    def _plan(self) -> None:
        """Decide when everything is read again."""
        count = len(self._runs)
        self._is_trusted = self._hears()
        if self._is_trusted:
            pause = max(min(self._watchdog, _WATCHDOG_SECONDS), count / _WATCHDOG_READS)
            self._watchdog *= 2
        else:
            self._watchdog = _FIRST_WATCHDOG_SECONDS
            pause = max(self._options.interval, count / _POLL_READS if self._is_billed else 0.0)
        self._all_at = max(self._rested_all_at, self._read_all_at + pause)

    def _put_off(self, error: UnavailableError) -> None:
        if not self._is_away:
            _log.warning("%s; watching goes on when it is back", error)
        self._is_away = True
        # What a listener tells until then may be incomplete.
        self._all_at = self._rested_at = time.monotonic() + self._options.interval

    def _hears(self) -> bool:
        """Whether a listener has proved itself and lives."""
        listener = self._listener
        return listener is not None and listener.heard_at is not None and listener.is_alive()

    def _is_deaf(self, found: Iterable[Document]) -> bool:
        """Whether something changed a while ago that the listener should have told."""
        return any(
            document.path not in self._told
            and not self._runs.knows(document.path, document.revision)
            and (document.read_at - document.updated_at).total_seconds() > _DEAF_SECONDS
            for document in found
        )

    def _check_listener(self, now: float) -> None:
        listener = self._listener
        if listener is None:
            return
        if listener.is_alive():
            # It tells everything since the last look at all: no other is needed soon.
            if self._hears() and not self._is_trusted:
                self._plan()
            return
        was_heard = listener.heard_at is not None
        self._backoff = _FIRST_BACKOFF if was_heard else min(2 * self._backoff, _LONGEST_BACKOFF)
        self._listener = None
        self._listen_at = now + self._backoff
        self._all_at = min(self._all_at, max(now, self._rested_all_at))

    def _listen(self, now: float, since: dt.datetime | None) -> None:
        """Listen from what was just read on."""
        if not self._listens or self._listener is not None or now < self._listen_at:
            return
        self._listener = listen_to(
            self._session.documents,
            self._collection,
            self._runs.revisions(),
            since,
            self._news.put,
        )
        self._listens = self._is_billed = self._listener is not None

    def _drop_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()


class News:
    """What a listener has told, until somebody takes it; no more than one word about each path."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._came = threading.Event()
        self._told: dict[str, str | None] = {}

    def put(self, told: Told) -> None:
        """Add to it, and wake who waits."""
        with self._lock:
            self._told.update(told)
        self._came.set()

    def take(self, seconds: float) -> Told:
        """Return what there is, as soon as something comes, or nothing after some time."""
        self._came.wait(seconds)
        with self._lock:
            self._came.clear()
            told, self._told = self._told, {}
        return told


if TYPE_CHECKING:
    _: type[Iterator[RunChange]] = Watch
