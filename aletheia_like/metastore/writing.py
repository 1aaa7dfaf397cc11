"""The writer of one run in one process: rows go to the journal, from there to the store."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aletheia_like.errors import AletheiaError, InvalidValueError, ReadOnlyError
from aletheia_like.feeds import Changes, Part, to_note
from aletheia_like.forking import is_held_here, watch_exit, watch_forks
from aletheia_like.journal import Journal
from aletheia_like.metastore.chunks import Chunker, Plan, stored_spans
from aletheia_like.metastore.deferring import Deferred, deliver_artifact
from aletheia_like.metastore.session import Session, new_id
from aletheia_like.metastore.summary import continued, merged
from aletheia_like.model.rows import (
    AMEND,
    RUN_ID,
    STEP,
    STREAM,
    TIMESTAMP,
    Line,
    check_columns,
    from_line,
    is_plain,
    moment,
    shown_name,
    to_line,
)
from aletheia_like.model.values import FieldPath, Value, encode
from aletheia_like.ports.documents import Document, Update, Write

MAX_LINE_BYTES = 65_536
"""A longer row moves its largest values to blobs."""

MAX_ROW_BYTES = 700_000
"""What is left of a row has to fit into one document."""

_CELL_BYTES = (8_192, 1_024)
"""Values that a long row moves: first the longest, then, if it has many, those less long."""

_log = logging.getLogger("aletheia")
_REMEMBERED_KEYS = 1_000
_OTHERS_SECONDS = 10.0
_EXIT_SECONDS = 5.0
_NOTHING: Mapping[str, Any] = {}

Cells = Mapping[str, Value]
"""Values by column in their storable form."""


class RunWriter:
    """Takes rows and changes of one run; safe for threads, and a child after fork gets its own.

    Args:
        session: The metastore.
        path: The run's document.
        run_id: What rows of it carry.
        head: What `aletheia sync` needs to know beside that.
        main: Whether this process started the run; others joined it.
        summary: What is known of earlier rows.
        prepare: Makes sure that the run's document exists.
        convert: Makes storable what is no plain value, such as files.
        show: Gives a user's value back for one that was made storable.
        shrink: Moves those of a long row's values to blobs that have more than so many bytes.
    """

    def __init__(
        self,
        session: Session,
        path: str,
        run_id: str,
        *,
        head: Mapping[str, Any],
        main: bool,
        summary: Mapping[str, Any],
        prepare: Callable[[], None],
        convert: Callable[[str, Any], Value],
        show: Callable[[Value], Any],
        shrink: Callable[[Cells, int], Cells],
    ) -> None:
        self._session = session
        self._clock = session.clock
        self._path = path
        self._run_id = run_id
        self._head = head
        self._prepare = prepare
        self._convert = convert
        self._show = show
        self._shrink = shrink
        self._params: Cells = {}
        self._step: Value = None
        self._checked: set[tuple[Any, ...]] = set()
        self._forked = False
        self._stranded = False
        self._begin(main=main, summary=summary)
        watch_forks(None, None, self._after_fork)

    def _begin(self, *, main: bool, summary: Mapping[str, Any]) -> None:
        # Reentrant: a signal handler may log while the same thread is logging.
        self._lock = threading.RLock()
        self._moving = threading.RLock()
        self._main = main
        self._name = new_id()
        self._sequence = 0
        self._nudged = False
        self._closed = False
        self._prepared = False
        self._told: dict[str, Any] = dict(summary)
        self._others_at = 0.0
        self._untold = False
        self._deferred: deque[Deferred] = deque()
        self.unsure: set[str] = set()
        self._sure: dict[str, Any] | None = None
        self._told_step: Value = None
        head = {**self._head, "path": self._path, "main": main}
        self._journal = Journal(
            self._session.journal_folder, self._name, head, strict=self._session.settings.strict
        )
        self._chunker = Chunker(self._path, self._name, self._journal.take)

    def _after_fork(self) -> None:
        """Give up the parent's journal: this process is a writer of its own."""
        self._journal.forget()
        self._forked = True
        # Its copy of a store in memory ends with it: the parent sends its rows, from its journal.
        self._stranded = self._session.settings.url.startswith("memory:")
        self._begin(main=False, summary={})

    def depart(self) -> None:
        """Send what a forked child logged as it ends, if the store is there.

        What is not sent stays in its journal, for its parent or for `aletheia sync`.
        """
        timeout = 0.0 if self._session.settings.offline else _EXIT_SECONDS
        try:
            self._session.recorder.flush(self._path, timeout)
        except AletheiaError as error:
            _log.info("rows of a forked process wait in its journal: %s", error)
        else:
            self.finish()

    @property
    def name(self) -> str:
        """Unique name of this writer."""
        return self._name

    @property
    def is_main(self) -> bool:
        """Whether this process started the run."""
        return self._main

    @property
    def summary(self) -> dict[str, Any]:
        """What is known of this writer's rows."""
        with self._moving:
            summary, _ = continued(self._told, self.unsent())
        doubtful = self.unsure if self._sure is not None else ()
        known = {name: entry for name, entry in summary.items() if name not in doubtful}
        return {**known, **(self._sure or {})}

    @property
    def is_unseen(self) -> bool:
        """Whether the run was begun while the store was away, and is not in it yet."""
        return "create" in self._head and not self._prepared

    def carry_step(self, step: Value) -> None:
        """Rows without a step have this one, until a row has its own."""
        with self._lock:
            self._step = step

    @property
    def params(self) -> dict[str, Any]:
        """What `set_params` adds to every row."""
        return self._shown(self._params)

    @property
    def count(self) -> int:
        """How many rows this writer has taken."""
        return self._sequence

    def encoded(self, data: Mapping[Any, Any]) -> Cells:
        """Return data as it will be stored with rows, such as parameters.

        Raises:
            InvalidValueError: A name or value cannot be stored.
        """
        named = check_columns(data)
        for name in (TIMESTAMP, RUN_ID):
            if name in named:
                message = f"{name!r} is a column of every row: choose another name"
                raise InvalidValueError(message)
        return {name: self._convert(name, value) for name, value in named.items()}

    def set_params(self, params: Mapping[Any, Any]) -> None:
        """Add data to every later row."""
        cells = self.encoded(params)
        with self._lock:
            self._params = {**self._params, **cells}

    def log(self, row: Mapping[Any, Any], around: Cells = _NOTHING) -> dict[str, Any]:
        """Append a row and return it as it is stored.

        Args:
            row: Its own data, which wins over everything else.
            around: Data of the contexts it is in, which wins over the parameters.

        Raises:
            InvalidValueError: A name or value cannot be stored; nothing was.
        """
        now = self._clock()
        keys = tuple(row)
        plain = keys in self._checked and is_plain(row)
        if plain:
            own: Cells = row
        else:
            own, now = self._own(row, keys, now)
        with self._lock:
            cells = {**self._params, **around, **own}
            if self._step is not None:
                cells.setdefault(STEP, self._step)
            self._append(now.timestamp(), cells)
            if own.get(STEP) is not None:
                self._step = own[STEP]
        if not plain or self._params or around:
            cells = self._shown(cells)
        cells[TIMESTAMP] = now
        cells[RUN_ID] = self._run_id
        return cells

    def log_stream(self, stream: str, row: Mapping[str, Any]) -> None:
        """Append a row of another stream than the run's own, with nothing around it."""
        cells = self.encoded(row)
        with self._lock:
            self._append(self._clock().timestamp(), {**cells, STREAM: stream})

    def amend(self, name: str, value: Any, where: Mapping[Any, Any]) -> None:
        """Change a column of all rows before this moment that have these values.

        Raises:
            InvalidValueError: A name or value cannot be stored.
        """
        ((column, cell),) = self.encoded({name: value}).items()
        conditions = self.encoded(where)
        amendment = {
            "name": column,
            "value": self._shrink({column: cell}, _CELL_BYTES[0])[column],
            "where": [{"name": key, "value": one} for key, one in conditions.items()],
        }
        with self._lock:
            self._append(self._clock().timestamp(), {AMEND: amendment})

    def unsent(self) -> list[Line]:
        """Return the rows of this writer that are not known to be in the store."""
        with self._moving:
            return [*self._chunker.unconfirmed(), *map(from_line, self._journal.peek())]

    def has_more(self) -> bool:
        """Whether rows wait to be sent."""
        if self._stranded:
            return False
        waiting = self._deferred or self._chunker.unconfirmed()
        return self._journal.has_more() or bool(waiting)

    def prepare(self) -> None:
        """Make sure that what rows and changes go to is there.

        Raises:
            UnavailableError: The store is away.
        """
        if not self._prepared:
            self._prepare()
            self._prepared = True
        while self._deferred:
            deferred = self._deferred[0]
            deliver_artifact(self._session, self._path, deferred)
            self._journal.note({"delivered": deferred.token})
            self._deferred.popleft()

    def note(self, changes: Changes) -> int:
        """Write changes of the document to the journal; return their number."""
        return self._journal.note({"set": to_note(changes)})

    def defer(self, deferred: Deferred) -> None:
        """Publish an artifact when the store is back."""
        self._journal.note({"artifact": asdict(deferred)})
        self._deferred.append(deferred)
        self._session.recorder.nudge(self._path, self)

    def done(self, note: int) -> None:
        """What was taken and noted so far is in the store."""
        if not self._stranded:
            self._journal.done(note)

    def part(self, *, last: bool) -> Part | None:
        """Return the next rows to send, or None if there are none."""
        with self._moving:
            self._nudged = False
            again = self._chunker.in_doubt
            plan = None if self._stranded else self._chunker.plan(last=last)
            if plan is None:
                return None
            summary, unsure = continued(self._told, plan.lines)
            self.unsure |= unsure
        changes: Changes = {}
        if self._main:
            changes = {
                ("summary", name): entry
                for name, entry in summary.items()
                if self._told.get(name) != entry
            }
            if self._told_step != self._step and isinstance(self._step, int | float):
                changes = {**changes, ("last_step",): self._step}
                self._told_step = self._step
        return Part(
            changes,
            plan.writes,
            # Behind a plan that is tried again there may be more to merge.
            complete=not (again or self._journal.has_more()),
            stored=lambda revisions: self._stored(plan, summary, revisions),
        )

    def is_interrupted(self) -> bool:
        """Whether this thread is in the midst of adding something: a signal came then."""
        return is_held_here(self._lock) or self._journal.is_interrupted()

    def resume(self) -> None:
        """Learn from the store which rows it has: an answer was lost, or came too late."""
        stored = stored_spans(self._session.documents, self._path, self._name)
        with self._moving:
            self._chunker.resume(stored)
            self._untold = True

    def close(self) -> None:
        """Take no more rows: the run ends."""
        with self._lock:
            self._closed = True

    def finish(self) -> None:
        """Remove the journal: all of it is stored."""
        if not self._stranded:
            self._journal.remove()

    def tell_summary(self, *, now: bool) -> None:
        """Merge what this writer saw into the run's summary, if it joined a run of another.

        Args:
            now: Do so even if it was done a moment ago.
        """
        due = time.monotonic() - self._others_at >= _OTHERS_SECONDS
        if self._main or not self._untold or not (now or due):
            return
        self._others_at = time.monotonic()

        def decide(document: Document | None) -> Sequence[Write]:
            if document is None:
                return []
            together = merged(known := document.fields.get("summary_of_others", {}), self._told)
            changes: dict[FieldPath, Value] = {}
            if together != known:
                changes[("summary_of_others",)] = together
                if isinstance(self._step, int | float):
                    changes[("last_step",)] = self._step
            if document.fields.get("status") != "running":
                # Who keeps the rows of ended runs learns of more from the run's document.
                changes[("rows_at",)] = self._clock()
            return [Update(self._path, changes, document.revision)] if changes else []

        self._untold = False
        try:
            self._session.change(self._path, decide)
        except AletheiaError as error:
            self._untold = True
            _log.warning("the summary of %s lacks what this process logged: %s", self._path, error)

    def correct(self, summary: Mapping[str, Any]) -> None:
        """Know at last the columns it was not sure of."""
        with self._moving:
            self._sure = dict(summary)

    def _own(
        self, row: Mapping[Any, Any], keys: tuple[Any, ...], now: dt.datetime
    ) -> tuple[Cells, dt.datetime]:
        """Return the stored form of a row's own data, and its moment."""
        named = check_columns(row)
        if TIMESTAMP in named:
            now = _moment(named.pop(TIMESTAMP))
        if named.pop(RUN_ID, self._run_id) != self._run_id:
            message = f"{RUN_ID!r} of a row is the id of its run, {self._run_id!r}"
            raise InvalidValueError(message)
        if named.keys() == set(keys) and len(self._checked) < _REMEMBERED_KEYS:
            self._checked.add(keys)
        return {name: self._convert(name, value) for name, value in named.items()}, now

    def _shown(self, cells: Cells) -> dict[str, Any]:
        """Return stored cells as their user sees them."""
        named = ((shown_name(name), value) for name, value in cells.items())
        return {name: self._show(value) for name, value in named if name is not None}

    def _append(self, timestamp: float, cells: Cells) -> None:
        if self._closed:
            message = f"run {self._run_id!r} has ended: start_run(id=…, resume='must') reopens it"
            raise ReadOnlyError(message)
        # Numbered before it is written: if a signal comes in between, and its handler logs or
        # raises, no other row may get the number.
        self._sequence += 1
        self._journal.append(self._line(self._sequence, timestamp, cells))
        if not self._nudged:
            self._nudged = True
            self._session.recorder.nudge(self._path, self)
            if self._forked and self._sequence == 1:
                watch_exit(self.depart)

    def _line(self, sequence: int, timestamp: float, cells: Cells) -> bytes:
        line = to_line(sequence, timestamp, cells)
        for most in () if AMEND in cells else _CELL_BYTES:
            if len(line) > MAX_LINE_BYTES:
                line = to_line(sequence, timestamp, self._shrink(cells, most))
        if len(line) > MAX_ROW_BYTES:
            message = (
                f"a row of {len(line):,} bytes in {len(cells):,} columns, one holds "
                f"{MAX_ROW_BYTES:,}: log it in parts, or as a dictionary in one column"
            )
            raise InvalidValueError(message)
        return line

    def _stored(
        self, plan: Plan, summary: dict[str, Any], revisions: Sequence[str | None]
    ) -> None:
        with self._moving:
            self._chunker.confirm(plan, revisions)
            self._told = summary
            self._untold = True


def _moment(value: Any) -> dt.datetime:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        encoded = encode(value, (TIMESTAMP,))
        with contextlib.suppress(ValueError, OverflowError):
            # As it will be read: a row's moment is kept as seconds.
            return moment(encoded.timestamp())
    message = f"{TIMESTAMP!r} of a row is a datetime with a zone, not {value!r:.80}"
    raise InvalidValueError(message)
