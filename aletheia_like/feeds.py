"""What the recorder is fed with: changes of a document, feeds that tell more of it, and notes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aletheia_like.errors import AletheiaError
from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.documents import REMOVE, Removal, Write

Changes = Mapping[FieldPath, Value | Removal]
"""What becomes of fields, by their path."""

Also = tuple[Changes, Sequence[Write]]
"""More changes of a document, and writes of other documents that come with them."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of what a feed has to tell, in one apply.

    Attributes:
        changes: Of the document itself.
        writes: That come with them.
        complete: Whether nothing is left to send after it, for the moment.
        stored: To be called with the revisions of `writes` once they are stored.
    """

    changes: Changes
    writes: tuple[Write, ...]
    complete: bool
    stored: Callable[[Sequence[str | None]], None]


@dataclass(frozen=True, slots=True)
class Last:
    """The end of a document: its last changes, and writes that must come with them."""

    changes: Changes = field(default_factory=dict)
    also: Callable[[Changes], Also] = lambda _: ({}, [])


NOTHING = Last()


class Feed(Protocol):
    """What tells more of a document than its changes: rows, from a journal."""

    def prepare(self) -> None:
        """Make sure that the document is there."""
        ...

    def has_more(self) -> bool:
        """Whether there is something to send."""
        ...

    def part(self, *, last: bool) -> Part | None:
        """Return what to send next; `last` if nothing will follow."""
        ...

    def resume(self) -> None:
        """Learn what the store has, after a write met something it did not expect."""
        ...

    def note(self, changes: Changes) -> int:
        """Write changes down where they survive the process; return their number."""
        ...

    def done(self, note: int) -> None:
        """Everything up to this note is stored."""
        ...

    def tell_summary(self, *, now: bool) -> None:
        """Tell what is to be merged with what others tell."""
        ...

    def is_interrupted(self) -> bool:
        """Whether this thread is in the midst of adding something."""
        ...


def fold(earlier: Changes, later: Changes) -> dict[FieldPath, Value | Removal]:
    """Return one set of changes that does what `earlier` and then `later` would do.

    Only a map that both together leave empty may be there or not.

    Examples:
        >>> fold({("a",): {"x": 1}}, {("a", "y"): 2})
        {('a',): {'x': 1, 'y': 2}}
    """
    if len({*map(len, earlier), *map(len, later)}) == 1:
        # None can lie inside another.
        return {**earlier, **later}
    folded = dict(earlier)
    around = {path[:n] for path in folded for n in range(1, len(path))}
    for path, value in later.items():
        above = next((path[:n] for n in range(1, len(path)) if path[:n] in folded), None)
        if above is not None:
            folded[above] = _inside(folded[above], path[len(above) :], value)
            continue
        if path in around:
            for below in [other for other in folded if other[: len(path)] == path]:
                del folded[below]
        folded[path] = value
        around.update(path[:n] for n in range(1, len(path)))
    return folded


def _inside(outer: Value | Removal, path: FieldPath, value: Value | Removal) -> Value | Removal:
    if value is REMOVE and not isinstance(outer, dict):
        return outer
    inner = dict(outer) if isinstance(outer, dict) else {}
    if len(path) > 1:
        inner[path[0]] = _inside(inner.get(path[0], {}), path[1:], value)
    elif value is REMOVE:
        inner.pop(path[0], None)
    else:
        inner[path[0]] = value
    return inner


@dataclass(slots=True)
class Notes:
    """What is to be told about one document.

    Attributes:
        pending: Changes that were not sent.
        beats: Whether it is written every half minute, whatever there is to tell.
        awaited: Whether its end was waited for in vain.
        feed: What tells more of it.
        note: Number of the last changes that the feed wrote down.
        sent_at: When it was last written, by the monotonic clock.
        took: Seconds that it took.
        refusal: Why the store refused changes; for the next who flushes.
        sending: Held by whoever sends.
    """

    pending: dict[FieldPath, Value | Removal] = field(default_factory=dict)
    beats: bool = False
    awaited: bool = False
    feed: Feed | None = None
    note: int = 0
    sent_at: float = 0.0
    took: float = 0.0
    refusal: AletheiaError | None = None
    sending: threading.RLock = field(default_factory=threading.RLock)

    def add(self, changes: Changes, *, before: bool = False) -> None:
        """Fold changes in; again if a signal handler has done so meanwhile."""
        seen = None
        while seen is not self.pending:
            seen = self.pending
            folded = fold(changes, seen) if before else fold(seen, changes)
        self.pending = folded

    @property
    def has_more(self) -> bool:
        """Whether there is something to send."""
        return bool(self.pending) or (self.feed is not None and self.feed.has_more())


def to_note(changes: Changes) -> list[Value]:
    """Return changes of a document as one value of a document."""
    return [
        {"path": list(path), "remove": True}
        if value is REMOVE
        else {"path": list(path), "value": value}
        for path, value in changes.items()
    ]


def from_note(noted: Sequence[Mapping[str, Any]]) -> Changes:
    """Return the changes that `to_note` wrote down."""
    return {tuple(one["path"]): REMOVE if one.get("remove") else one["value"] for one in noted}


class Preparing:
    """A feed that has nothing of its own, but makes sure that the document is there.

    Args:
        prepare: Does so; raises `UnavailableError` while the store is away.
    """

    def __init__(self, prepare: Callable[[], None]) -> None:
        self.prepare = prepare

    def has_more(self) -> bool:
        """Return False."""
        return False

    def part(self, *, last: bool) -> Part | None:
        """Return None."""
        del last
        return None

    def resume(self) -> None:
        """Do nothing."""

    def note(self, changes: Changes) -> int:
        """Keep changes in memory only."""
        del changes
        return 0

    def done(self, note: int) -> None:
        """Do nothing."""

    def tell_summary(self, *, now: bool) -> None:
        """Do nothing."""

    def is_interrupted(self) -> bool:
        """Return False."""
        return False
