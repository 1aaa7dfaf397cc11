"""What changed in the runs of an experiment between two times that they were read."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal

from aletheia_like.model import codec
from aletheia_like.model.parameters import flatten
from aletheia_like.model.records import LOST_SECONDS, RunRecord, seen_status
from aletheia_like.model.values import Fields, equal
from aletheia_like.ports.documents import Document

ChangeKind = Literal["added", "changed", "removed"]

_UNSEEN = frozenset({"heartbeat_at", "updated_at", "token", "extra"})
_MOST_SHOWN = 5
_NEVER = math.inf
_LOST_SLACK_SECONDS = 0.5
"""What both clocks may have drifted apart since a run was read."""


@dataclass(frozen=True, slots=True, repr=False)
class RunChange:
    """What happened to a run.

    Attributes:
        kind: `added`, `changed` or `removed`.
        run: The run as it is now; for a removed one, as it last was.
        fields: What changed, by the names of columns: `status`, `metrics.acc`.
    """

    kind: ChangeKind
    run: RunRecord
    fields: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """What each changed field is now; None if it was taken away."""
        now = _columns(self.run)
        return {name: now.get(name) for name in self.fields}

    def __repr__(self) -> str:
        what = self.describe() if self.kind == "changed" else self.run.status
        return f"<RunChange {self.run.experiment}/{self.run.id} {self.kind} {what}>"

    def describe(self) -> str:
        """Return what changed as a few words."""
        told = [
            f"{name}={value!r:.40}" if isinstance(value, str | int | float) else name
            for name, value in self.values.items()
        ]
        more = len(told) - _MOST_SHOWN
        return " ".join([*told[:_MOST_SHOWN], *([f"and {more} more"] if more > 0 else [])])


@dataclass(frozen=True, slots=True)
class _Seen:
    """A run as it was last read.

    Attributes:
        silent_at: When, unless it changes, it is to be read again to see whether it is lost.
    """

    revision: str
    record: RunRecord
    silent_at: float


class SeenRuns:
    """The runs of an experiment as they were last read."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def paths(self) -> list[str]:
        """Return where they are."""
        return list(self._seen)

    def revisions(self) -> dict[str, str]:
        """Return the revision of each by its path."""
        return {path: seen.revision for path, seen in self._seen.items()}

    def knows(self, path: str, revision: str | None) -> bool:
        """Whether a run was seen in this revision, or not seen at all if that is None."""
        seen = self._seen.get(path)
        return revision == (seen.revision if seen else None)

    def next_silence(self) -> float:
        """Return when the next run may be lost, by `time.monotonic`."""
        return min((seen.silent_at for seen in self._seen.values()), default=_NEVER)

    def silent(self, now: float) -> list[str]:
        """Return the runs that may be lost by now."""
        return [path for path, seen in self._seen.items() if seen.silent_at <= now]

    def put(self, documents: Iterable[Document]) -> list[RunChange]:
        """Take what was read and return what it changes, the oldest first; heartbeats do not."""
        changes = [change for one in documents if (change := self._put(one)) is not None]
        return sorted(changes, key=lambda change: str(change.run.updated_at))

    def remove(self, gone: Iterable[str]) -> list[RunChange]:
        """Take away what is no longer there."""
        seen = [self._seen.pop(path) for path in gone if path in self._seen]
        return [RunChange("removed", one.record) for one in seen]

    def _put(self, document: Document) -> RunChange | None:
        before = self._seen.get(document.path)
        now = _seen(document, before)
        self._seen[document.path] = now
        if before is None:
            return RunChange("added", now.record)
        names = changed_names(before.record, now.record)
        return RunChange("changed", now.record, names) if names else None


def changed_names(before: RunRecord, now: RunRecord) -> tuple[str, ...]:
    """Return the columns in which two records of one run differ; signs of life are none."""
    if before is now:
        return ()
    old, new = _columns(before), _columns(now)
    names = dict.fromkeys([*new, *old])
    missing = object()
    return tuple(
        name for name in names if not equal(old.get(name, missing), new.get(name, missing))
    )


def _columns(record: RunRecord) -> dict[str, Any]:
    """Return a record as flat names and values."""
    flat: dict[str, Any] = {}
    for one in dataclasses.fields(record):
        value = getattr(record, one.name)
        if one.name in _UNSEEN:
            continue
        if isinstance(value, Mapping):
            flat.update(_sorted(flatten(value, f"{one.name}.")))
        else:
            flat[one.name] = value
    return flat | _sorted(flatten(record.extra))


def _sorted(named: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return values by name, in an order that does not depend on the store's."""
    return dict(sorted(named, key=itemgetter(0)))


def seen_record(document: Document, fields: Fields | None = None) -> RunRecord:
    """Return a run's record as a reader should see it: lost, if it has fallen silent.

    Args:
        document: The run's document.
        fields: Those of its fields that are wanted; all by default.
    """
    wanted = document.fields if fields is None else fields
    record = codec.run_record(document.path, wanted, document.updated_at)
    if "status" not in wanted and fields is not None:
        return record
    status = seen_status(record.status, document.updated_at, document.read_at)
    return record if status == record.status else dataclasses.replace(record, status=status)


def _seen(document: Document, before: _Seen | None) -> _Seen:
    status = seen_status(
        document.fields.get("status", "running"), document.updated_at, document.read_at
    )
    # Most documents of a look at all are as they were: reading them anew is what takes time.
    if before and (before.revision, before.record.status) == (document.revision, status):
        record = before.record
    else:
        record = seen_record(document)
    silent_at = _NEVER
    if status == "running":
        quiet = (document.read_at - document.updated_at).total_seconds()
        silent_at = time.monotonic() + LOST_SECONDS - quiet + _LOST_SLACK_SECONDS
    return _Seen(document.revision, record, silent_at)
