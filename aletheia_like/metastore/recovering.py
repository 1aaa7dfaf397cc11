"""Sends what a writer that is gone left in its journal, each row exactly once.

What the store has already is learned from the store itself, by the sequence numbers of its chunks,
so it does not matter at which moment the writer was killed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aletheia_like.errors import AlreadyExistsError, NotFoundError
from aletheia_like.journal import Content, claimed, journals, read_journal
from aletheia_like.metastore.chunks import Chunker, stored_chunks
from aletheia_like.metastore.deferring import Deferred, deliver_artifact, to_deferred
from aletheia_like.metastore.leaderboard import result_write
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.summary import merged, summarised
from aletheia_like.metastore.writing import from_note
from aletheia_like.model import codec
from aletheia_like.model.records import ENDED
from aletheia_like.model.rows import Line, from_line, moment
from aletheia_like.ports.documents import REMOVE, Document, Update, Write, changed_fields
from aletheia_like.recorder import Changes, fold

_LIFE = frozenset({"status", "ended_at", "error", "heartbeat_at"})


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


def abandoned(folder: Path) -> Iterator[Content]:
    """Yield what writers that are gone left in a folder, holding each while it is looked at."""
    for path in journals(folder):
        with claimed(path) as held:
            content = read_journal(path) if held else None
            if content is not None:
                yield content
            elif held:
                # Its writer was killed before it had written the first line.
                path.unlink(missing_ok=True)


def look(content: Content, session: Session) -> Recovered:
    """Return what `recover` would do; nothing is written."""
    path = content.head["path"]
    covered = _covered(session, content)
    missing = [line for line in map(from_line, content.rows) if not covered(line.sequence)]
    created = session.documents.get(path) is None
    known = len(content.rows) - len(missing)
    return Recovered(content.path, path, len(missing), known, content.torn, created)


def recover(
    content: Content, session: Session, create: Callable[[Session, str, Mapping[str, Any]], object]
) -> Recovered:
    """Send what a journal holds and the store does not have, and remove the journal.

    Args:
        content: The journal; its file must be held.
        session: The store it belongs to.
        create: Creates a run that was started while the store was away.

    Raises:
        NotFoundError: The run was deleted; the journal stays.
        UnavailableError: The store is away; the journal stays.
    """
    plan = look(content, session)
    if plan.created:
        begun = content.head.get("create")
        if begun is None:
            message = f"{plan.run} was deleted: remove {content.path} if its rows are not wanted"
            raise NotFoundError(message)
        create(session, plan.run, begun)
    session.spool.drain(session, look=True)
    sent = _send_rows(session, content)
    _send_changes(session, content, sent)
    for deferred in _waiting_artifacts(content):
        deliver_artifact(session, plan.run, deferred)
    content.path.unlink(missing_ok=True)
    return plan


def _covered(session: Session, content: Content) -> Callable[[int], bool]:
    head = content.head
    stored = stored_chunks(session.documents, head["path"], head["writer"])
    spans = [(int(one.fields["first"]), int(one.fields["last"])) for one in stored]
    return lambda sequence: any(first <= sequence <= last for first, last in spans)


def _send_rows(session: Session, content: Content) -> list[Line]:
    """Send the rows that the store does not have, and return them."""
    covered = _covered(session, content)
    lines = [(from_line(row), row) for row in content.rows]
    missing = [(line, row) for line, row in lines if not covered(line.sequence)]
    waiting = deque(row for _, row in missing)

    def source(limit: int) -> list[bytes]:
        taken: list[bytes] = []
        while waiting and limit > 0:
            taken.append(waiting.popleft())
            limit -= len(taken[-1])
        return taken

    head = content.head
    chunker = Chunker(head["path"], head["writer"], source)
    while (plan := chunker.plan(last=False)) is not None:
        try:
            chunker.confirm(plan, session.documents.apply(plan.writes))
        except AlreadyExistsError:
            # The writer's own last words arrived after all.
            chunker.resume(stored_chunks(session.documents, head["path"], head["writer"]))
    return [line for line, _ in missing]


def _send_changes(session: Session, content: Content, sent: Sequence[Line]) -> None:
    changes = _noted(content)
    head = content.head

    def decide(document: Document | None) -> Sequence[Write]:
        if document is None:
            message = f"{head['path']} was deleted meanwhile"
            raise NotFoundError(message)
        wanted = _still_wanted(changes, document, head)
        if head.get("main"):
            wanted = fold(wanted, _end_of(document, wanted, head, sent))
        column = "summary" if head.get("main") else "summary_of_others"
        summary = merged(document.fields.get(column, {}), summarised(sent))
        if summary:
            wanted = fold(wanted, {(column,): summary})
        if not wanted:
            return []
        return [
            Update(document.path, wanted, document.revision),
            *_result(session, document, wanted),
        ]

    session.change(head["path"], decide)


def _waiting_artifacts(content: Content) -> list[Deferred]:
    delivered = {note["delivered"] for note in content.notes if "delivered" in note}
    waiting = [to_deferred(note["artifact"]) for note in content.notes if "artifact" in note]
    return [deferred for deferred in waiting if deferred.token not in delivered]


def _noted(content: Content) -> Changes:
    """Return the changes that are not known to be stored, as one."""
    done = max((int(note["done"]) for note in content.notes if "done" in note), default=0)
    changes: Changes = {}
    for note in content.notes:
        if "set" in note and note["note"] > done:
            changes = fold(changes, from_note(note["set"]))
    return changes


def _still_wanted(changes: Changes, document: Document, head: Mapping[str, Any]) -> Changes:
    """Leave out how the writer's life ended if somebody went on with the run since."""
    resumed = document.fields.get("resumed_at")
    begun = head.get("begun")
    if resumed is None or begun is None or resumed <= begun:
        return changes
    return {path: value for path, value in changes.items() if path[0] not in _LIFE}


def _end_of(
    document: Document, wanted: Changes, head: Mapping[str, Any], sent: Sequence[Line]
) -> Changes:
    """Return the end of a run whose process said nothing: it is lost, since its last sign."""
    resumed = document.fields.get("resumed_at")
    begun = head.get("begun")
    if resumed is not None and begun is not None and resumed > begun:
        return {}
    if ("status",) in wanted or document.fields.get("status") in ENDED:
        return {}
    last = moment(sent[-1].timestamp) if sent else document.fields.get("heartbeat_at")
    return {("status",): "lost", ("ended_at",): last if last is not None else REMOVE}


def _result(session: Session, document: Document, wanted: Changes) -> list[Write]:
    if wanted.get(("status",)) != "finished":
        return []
    record = codec.run_record(
        document.path, changed_fields(document.fields, wanted), document.updated_at
    )
    return [result_write(session, record, resumed=True)]
