"""Sends what a writer that is gone left in its journal, each row exactly once.

What the store has already is learned from the store itself, by the sequence numbers of its chunks,
so it does not matter at which moment the writer was killed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aletheia_like.errors import AlreadyExistsError, ConflictError, NotFoundError
from aletheia_like.feeds import Changes, fold, from_note
from aletheia_like.journal import claimed, journals, read_head, read_journal, writer_of
from aletheia_like.metastore.chunks import Chunker, Span, stored_spans
from aletheia_like.metastore.deferring import Deferred, deliver_artifact, to_deferred
from aletheia_like.metastore.leaderboard import result_write
from aletheia_like.metastore.reading import read_columns
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.summary import continued, summary_of
from aletheia_like.model import codec
from aletheia_like.model.records import ENDED
from aletheia_like.model.rows import STEP, Line, from_line, moment
from aletheia_like.model.values import Value
from aletheia_like.ports.documents import REMOVE, Document, Update, Write, changed_fields

_LIFE = frozenset({"status", "ended_at", "error", "heartbeat_at"})
_BATCH = 1_000
_MAX_SURPRISES = 5

_log = logging.getLogger("aletheia")


@dataclass(frozen=True, slots=True)
class Left:
    """What one writer that is gone left, in one file or several.

    Attributes:
        paths: The files, in the order in which they were written.
        head: Whose they are.
        notes: All notes, in order.
        count: How many rows there are.
        torn: How many lines could not be read.
    """

    paths: tuple[Path, ...]
    head: Mapping[str, Any]
    notes: tuple[Mapping[str, Any], ...]
    count: int
    torn: int

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of all rows, with one file at a time in memory."""
        for path in self.paths:
            yield from read_journal(path).rows


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found in one journal, and sent.

    Attributes:
        journal: The file.
        run: Path of the run's document.
        rows: How many rows the store did not have.
        known: How many it had already.
        torn: How many lines could not be read; the last one of a machine that lost its power.
        created: Whether the run itself was not in the store yet.
    """

    journal: Path
    run: str
    rows: int
    known: int
    torn: int = 0
    created: bool = False


def abandoned(folder: Path, run: str | None = None) -> Iterator[Left]:
    """Yield what writers that are gone left in a folder, holding each while it is looked at.

    Args:
        folder: Where journals lie.
        run: Only those of this run.
    """
    for paths in _by_writer(folder):
        with contextlib.ExitStack() as stack:
            if all(stack.enter_context(claimed(path)) for path in paths):
                if run is not None and read_head(paths[0]).get("path") != run:
                    continue
                left = None
                with contextlib.suppress(FileNotFoundError):
                    left = _left(paths)
                if left is not None:
                    yield left


def _by_writer(folder: Path) -> list[tuple[Path, ...]]:
    """Return the journals of a folder, those of each writer together, oldest first."""
    found: dict[str, list[Path]] = {}
    for path in journals(folder):
        found.setdefault(writer_of(path), []).append(path)
    return [tuple(sorted(paths)) for paths in found.values()]


def _left(paths: Sequence[Path]) -> Left | None:
    """Return what the files of one writer hold; empty and barely begun ones are removed."""
    head: Mapping[str, Any] = {}
    notes: list[Mapping[str, Any]] = []
    kept: list[Path] = []
    count = torn = 0
    for path in paths:
        content = read_journal(path)
        head = head or content.head
        # A killed writer breaks off one line at most: more damaged ones may have been rows.
        if content.head or content.rows or content.notes or content.torn > 1:
            kept.append(path)
            notes += content.notes
            count += len(content.rows)
            torn += content.torn
        else:
            # Its writer was killed before it had written the first line.
            path.unlink(missing_ok=True)
    if kept and not head:
        _log.warning(
            "%s stays: it does not tell whose rows it holds, its beginning is damaged", kept[0]
        )
        return None
    return Left(tuple(kept), head, tuple(notes), count, torn) if kept else None


def look(left: Left, session: Session) -> Recovered:
    """Return what `recover` would do; nothing is written."""
    path = left.head["path"]
    stored = _Stored(session, left.head)
    missing = sum(line not in stored for line in left.lines())
    created = session.documents.get(path) is None
    return Recovered(left.paths[0], path, missing, left.count - missing, left.torn, created)


def recover(
    left: Left,
    session: Session,
    create: Callable[[Session, str, Mapping[str, Any]], object] | None = None,
) -> Recovered:
    """Send what a journal holds and the store does not have, and remove the journal.

    Args:
        left: The journal; its files must be held.
        session: The store it belongs to.
        create: Creates a run that was started while the store was away; None if it was deleted.

    Raises:
        NotFoundError: The run was deleted; the journal stays.
        UnavailableError: The store is away; the journal stays.
    """
    plan = look(left, session)
    if plan.created:
        begun = left.head.get("create")
        if begun is None or create is None:
            message = f"{plan.run} was deleted: remove {plan.journal} if its rows are not wanted"
            raise NotFoundError(message)
        create(session, plan.run, begun)
    session.spool.drain(session, look=True)
    _send_rows(session, left)
    _send_changes(session, left)
    for deferred in _waiting_artifacts(left):
        deliver_artifact(session, plan.run, deferred)
    for path in left.paths:
        path.unlink(missing_ok=True)
    return plan


class _Stored:
    """Which rows of a writer the store has, by their sequence numbers."""

    def __init__(self, session: Session, head: Mapping[str, Any]) -> None:
        self._session = session
        self._head = head
        self.learn()

    def learn(self) -> list[Span]:
        """Ask the store again, and return the spans that it has."""
        spans = stored_spans(self._session.documents, self._head["path"], self._head["writer"])
        self._firsts = [first for first, _ in spans]
        self._lasts = list(itertools.accumulate((last for _, last in spans), max))
        return spans

    def __contains__(self, line: bytes) -> bool:
        sequence = int(line[1 : line.index(b",")])
        place = bisect_right(self._firsts, sequence) - 1
        return place >= 0 and sequence <= self._lasts[place]


def _send_rows(session: Session, left: Left) -> None:
    """Send the rows that the store does not have."""
    stored = _Stored(session, left.head)
    waiting = (line for line in left.lines() if line not in stored)

    def source(limit: int) -> list[bytes]:
        taken: list[bytes] = []
        while limit > 0 and (line := next(waiting, None)) is not None:
            taken.append(line)
            limit -= len(line)
        return taken

    chunker = Chunker(left.head["path"], left.head["writer"], source)
    surprises = 0
    while (plan := chunker.plan(last=False)) is not None:
        try:
            chunker.confirm(plan, session.documents.apply(plan.writes))
        except (AlreadyExistsError, ConflictError):
            # The writer's own last words arrived after all.
            surprises += 1
            if surprises > _MAX_SURPRISES:
                raise
            chunker.resume(stored.learn())


def _send_changes(session: Session, left: Left) -> None:
    changes = _noted(left)
    head = left.head
    column = "summary" if head.get("main") else "summary_of_others"

    def decide(document: Document | None) -> Sequence[Write]:
        if document is None:
            message = f"{head['path']} was deleted meanwhile"
            raise NotFoundError(message)
        wanted = _still_wanted(changes, document, head)
        if head.get("main"):
            wanted = fold(wanted, _end_of(document, wanted, left))
        known = document.fields.get(column, {})
        summary, step = _summary(session, left, known)
        if summary != known:
            wanted = fold(wanted, {(column,): summary})
        if step is not None and step != document.fields.get("last_step"):
            wanted = fold(wanted, {("last_step",): step})
        if left.count and document.fields.get("status") != "running":
            # Who keeps the rows of ended runs learns of more from the run's document.
            wanted = fold(wanted, {("rows_at",): session.clock()})
        if not wanted:
            return []
        return [
            Update(document.path, wanted, document.revision),
            *_result(session, document, wanted),
        ]

    session.change(head["path"], decide)


def _last_step(lines: Sequence[Line]) -> Value:
    """Return the step of the newest row that has one."""
    for line in reversed(lines):
        step = line.cells.get(STEP)
        if isinstance(step, int | float):
            return step
    return None


def _summary(
    session: Session, left: Left, known: Mapping[str, Any]
) -> tuple[dict[str, Any], Value]:
    """Return the summary with all rows of a journal, and the step they came to.

    Rows that it has seen change nothing.
    """
    summary = dict(known)
    step: Value = None
    unsure: set[str] = set()
    lines = left.lines()
    while batch := [from_line(line) for line in itertools.islice(lines, _BATCH)]:
        summary, doubtful = continued(summary, batch)
        unsure |= doubtful
        came_to = _last_step(batch)
        step = came_to if came_to is not None else step
    if unsure:
        found = summary_of(read_columns(session, left.head["path"], {}))
        summary = {name: one for name, one in summary.items() if name not in unsure}
        summary |= {name: found[name] for name in unsure if name in found}
    return summary, step


def _waiting_artifacts(left: Left) -> list[Deferred]:
    delivered = {note["delivered"] for note in left.notes if "delivered" in note}
    waiting = [to_deferred(note["artifact"]) for note in left.notes if "artifact" in note]
    return [deferred for deferred in waiting if deferred.token not in delivered]


def _noted(left: Left) -> Changes:
    """Return the changes that are not known to be stored, as one."""
    done = max((int(note["done"]) for note in left.notes if "done" in note), default=0)
    changes: Changes = {}
    for note in left.notes:
        if "set" in note and note["note"] > done:
            changes = fold(changes, from_note(note["set"]))
    return changes


def _still_wanted(changes: Changes, document: Document, head: Mapping[str, Any]) -> Changes:
    """Leave out how the writer's life ended if somebody went on with the run since."""
    ended, resumed = changes.get(("ended_at",)), document.fields.get("resumed_at")
    if not _went_on(document, head):
        return changes
    if isinstance(ended, dt.datetime) and isinstance(resumed, dt.datetime) and ended > resumed:
        # Who joined before the end did not go on after it.
        return changes
    return {path: value for path, value in changes.items() if path[0] not in _LIFE}


def _went_on(document: Document, head: Mapping[str, Any]) -> bool:
    """Whether somebody resumed the run after this writer began."""
    resumed, begun = document.fields.get("resumed_at"), head.get("begun")
    if "create" in head:
        # It did not see the run that it may have joined.
        return resumed is not None and begun is not None and resumed > begun
    # Clocks of two machines do not have to agree.
    return bool(resumed != head.get("resumed"))


def _end_of(document: Document, wanted: Changes, left: Left) -> Changes:
    """Return the end of a run whose process said nothing: it is lost, since its last sign."""
    if _went_on(document, left.head):
        return {}
    if ("status",) in wanted or document.fields.get("status") in ENDED:
        return {}
    ended = document.fields.get("heartbeat_at")
    last = deque(left.lines(), maxlen=1)
    if last:
        ended = moment(from_line(last[0]).timestamp)
    return {("status",): "lost", ("ended_at",): ended if ended is not None else REMOVE}


def _result(session: Session, document: Document, wanted: Changes) -> list[Write]:
    if wanted.get(("status",)) != "finished":
        return []
    record = codec.run_record(
        document.path, changed_fields(document.fields, wanted), document.updated_at
    )
    return [result_write(session, record, resumed=True)]
