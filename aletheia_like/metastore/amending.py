"""Changes rows that were logged already, of a run that has ended or lives elsewhere.

The run is not reopened: its status and heartbeat stay as they are. The change is a row of a writer
of its own, as `Run.set_value` writes one, and is stored together with the summary it changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.feeds import Changes
from aletheia_like.metastore.chunks import Chunker
from aletheia_like.metastore.marks import is_deleted
from aletheia_like.metastore.reading import read_columns
from aletheia_like.metastore.session import Session, new_id
from aletheia_like.metastore.storing import shorten
from aletheia_like.metastore.summary import MAX_COLUMNS, summary_of
from aletheia_like.model.rows import (
    ABSENT,
    AMEND,
    RUN_ID,
    STEP,
    TIMESTAMP,
    Columns,
    check_columns,
    shown_name,
    to_line,
)
from aletheia_like.model.values import Value, decode, encode
from aletheia_like.ports.documents import REMOVE, Document, Update, Write

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Amendment:
    """A change of one column of a run's rows that is decided and not yet stored.

    Attributes:
        run_path: The run's document.
        stored: The change, as a row holds it.
        timestamp: Its moment: after all rows that it is for.
        summary: What is then known of the columns it changes; None if they hold no number.
        matched: How many rows it is for.
        changed: How many of them have another value than this one, or none.
        replaced: How many of them lose a value.
    """

    run_path: str
    stored: Mapping[str, Value]
    timestamp: float
    summary: Mapping[str, Value]
    matched: int
    changed: int
    replaced: int


def plan_amendment(
    session: Session, run_path: str, name: str, value: Any, where: Mapping[str, Any]
) -> Amendment:
    """Return what setting a column would change; a read for each chunk, and nothing is written.

    Args:
        session: The metastore.
        run_path: The run's document.
        name: The column.
        value: Its value from now on.
        where: Only rows that have these values; all if it is empty.

    Raises:
        InvalidValueError: A name or value cannot be stored.
    """
    ((column, cell),) = _encoded({name: value}).items()
    conditions = _encoded(where)
    columns = read_columns(session, run_path, {})
    matching = _matching(columns, conditions)
    shown = shown_name(column) or name
    before = columns.cells.get(shown, [ABSENT] * len(columns))
    new = decode(cell)
    changed = [row for row in matching if not _is_same(before[row], new)]
    moments = [round(one * _MICROSECONDS) + 1 for one in columns.timestamps]
    now = round(session.clock().timestamp() * _MICROSECONDS)
    return Amendment(
        run_path=run_path,
        stored={
            "name": column,
            "value": shorten(session, cell) if changed else cell,
            "where": [{"name": key, "value": one} for key, one in conditions.items()],
        },
        # A row whose machine's clock is ahead of this one's is meant as well.
        timestamp=max([now, *moments]) / _MICROSECONDS,
        summary=_summary(columns, shown, before, changed, new),
        matched=len(matching),
        changed=len(changed),
        replaced=sum(before[row] not in (ABSENT, None) for row in changed),
    )


def amend(session: Session, amendment: Amendment) -> None:
    """Store a change that was decided.

    Raises:
        NotFoundError: The run was deleted meanwhile.
        UnavailableError: The store is away; nothing was changed.
    """

    def decide(document: Document | None) -> Sequence[Write]:
        if document is None or is_deleted(document.fields):
            message = f"{amendment.run_path} was deleted: its rows cannot be changed"
            raise NotFoundError(message)
        changes = _summary_changes(amendment, document)
        if document.fields.get("status") != "running":
            # Who keeps the rows of ended runs learns of the change from the run's document.
            changes = {**changes, ("rows_at",): session.clock()}
        rows = _chunk_writes(amendment)
        return [*rows, Update(document.path, changes, document.revision)] if changes else rows

    session.change(amendment.run_path, decide)


def _encoded(data: Mapping[str, Any]) -> dict[str, Value]:
    named = check_columns(data)
    for name in (TIMESTAMP, RUN_ID):
        if name in named:
            message = f"{name!r} of a row stays as it is: choose another column"
            raise InvalidValueError(message)
    return {name: encode(value, (name,)) for name, value in named.items()}


def _matching(columns: Columns, conditions: Mapping[str, Value]) -> list[int]:
    """Return the rows that have these values, as whoever reads the change will find them."""
    rows = list(range(len(columns)))
    for name, value in conditions.items():
        cells = columns.cells.get(shown_name(name) or name)
        wanted = decode(value)
        rows = [] if cells is None else [row for row in rows if cells[row] == wanted]
    return rows


def _is_same(cell: Any, value: Any) -> bool:
    both_nan = cell != cell and value != value  # noqa: PLR0124 - only NaN differs from itself
    return type(cell) is type(value) and bool(cell == value or both_nan)


def _summary(
    columns: Columns, name: str, before: Sequence[Any], changed: Sequence[int], value: Any
) -> dict[str, Value]:
    """Return the summary of what changes: of the column, or of all if it is their step."""
    cells = list(before)
    for row in changed:
        cells[row] = value
    after = {**columns.cells, name: cells}
    if name != STEP:
        after = {key: after[key] for key in (name, STEP) if key in after}
    found = summary_of(Columns(columns.timestamps, after))
    return {key: found.get(key) for key in after if key != STEP}


def _summary_changes(amendment: Amendment, document: Document) -> Changes:
    """Return the changes of a run's document; none if its process, if it lives, keeps them."""
    if document.fields.get("status") == "running":
        return {}
    known, others = (document.fields.get(field, {}) for field in ("summary", "summary_of_others"))
    changes: dict[tuple[str, ...], Any] = {}
    for name, entry in amendment.summary.items():
        if entry is None and name in known:
            changes["summary", name] = REMOVE
        elif entry != known.get(name) and (name in known or len(known) < MAX_COLUMNS):
            changes["summary", name] = entry
        if name in others:
            changes["summary_of_others", name] = REMOVE
    return changes


def _chunk_writes(amendment: Amendment) -> list[Write]:
    """Return the write of a chunk that holds nothing but the change."""
    lines = iter([to_line(1, amendment.timestamp, {AMEND: amendment.stored})])
    plan = Chunker(amendment.run_path, new_id(), lambda _: list(lines)).plan(last=True)
    return [] if plan is None else list(plan.writes)
