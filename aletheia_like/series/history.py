"""What follows from a set of revisions: heads, ancestors, and what each series shows.

All of it is a pure function of the set, so stores that have the same revisions show the same.
Operations apply in the order of the ids they came from: that of time by the hybrid clock, and
for equal times that of the digests.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aletheia_like.series.clock import ROOT
from aletheia_like.series.intervals import EVERYTHING, Layers
from aletheia_like.series.revisions import Op, Revision, follow
from aletheia_like.series.schema import Kind


@dataclass(frozen=True, slots=True)
class Logged:
    """A line of the log: a revision and one of its parents.

    Attributes:
        revision: The revision itself.
        parent: Id of the parent; zeros for none.
        is_head: Whether nothing was made on top of the revision.
    """

    revision: Revision
    parent: str
    is_head: bool

    @property
    def id(self) -> str:
        """Id of the revision."""
        return self.revision.id

    @property
    def child(self) -> str:
        """The same: what the parent became."""
        return self.revision.id

    def __repr__(self) -> str:
        return f"<Revision {self.parent}.{self.id} {'*' if self.is_head else ''}>"


class History:
    """The revisions of a collection, each once."""

    def __init__(self) -> None:
        self.revisions: dict[str, Revision] = {}
        self._ids: list[str] = []
        self._parents: set[str] = set()
        self._folds: list[Revision] = []

    def add(self, one: Revision) -> bool:
        """Take in a revision, or another form of one; return whether it is new."""
        if one.is_folded:
            self._folds.append(one)
        known = self.revisions.get(one.id)
        if known is None:
            bisect.insort(self._ids, one.id)
        elif not (one.is_base or one.covers):
            return False
        self.revisions[one.id] = one
        self._parents.update(one.parents)
        for gone in one.covers:
            if gone in self.revisions:
                del self.revisions[gone]
                self._ids.remove(gone)
        return known is None

    @property
    def ids(self) -> Sequence[str]:
        """Ids of all revisions, in order of time."""
        return self._ids

    @property
    def heads(self) -> list[str]:
        """Ids of the revisions that nothing was made on top of, in order of time."""
        return [one for one in self._ids if one not in self._parents]

    @property
    def newest(self) -> str | None:
        """The newest head: what is read, and what the next revision is made on top of."""
        return next((one for one in reversed(self._ids) if one not in self._parents), None)

    @property
    def folds(self) -> list[Revision]:
        """Other forms of revisions, in which segments lie together."""
        return [one for one in self._folds if one is not self.revisions.get(one.id)]

    def ancestors(self, id_: str) -> set[str]:
        """Return a revision and all that it was made on top of."""
        found: set[str] = set()
        waiting = [id_]
        while waiting:
            one = waiting.pop()
            if one not in found and one in self.revisions:
                found.add(one)
                waiting += self.revisions[one].parents
        return found

    def missing_parents(self) -> list[str]:
        """Return the parents that are not here though nothing says that they need not be.

        What is older than a base, or was taken out, may be missing.
        """
        newest_base = max((one.id for one in self.revisions.values() if one.is_base), default="")
        covered = {gone for one in self.revisions.values() for gone in one.covers}
        return sorted(
            {
                parent
                for one in self.revisions.values()
                for parent in one.parents
                if parent not in self.revisions
                and parent not in covered
                and parent > newest_base
                and not one.is_base
            }
        )

    def operations(self, head: str, before: str | None = None) -> list[Op]:
        """Return what was done up to a head, in order.

        Args:
            head: Id of the revision that is read.
            before: Leave out what came at this id or later.
        """
        wanted = self.ancestors(head)
        ordered = self._ordered(wanted)
        if before is not None:
            ordered = [one for one in ordered if one.is_folded or one.id < before]
        ops = [op for one in ordered for op in one.ops]
        folds = [one for one in self._folds if one.id in wanted] if before is None else []
        if folds:
            # What lies together at a later revision counts, and not where it lay before.
            known: set[tuple[str, int]] = set()
            together: list[Op] = []
            for one in sorted(folds, key=lambda one: one.id, reverse=True):
                if one is not self.revisions[one.id]:
                    found = [op for op in one.ops if (op.origin, op.place) not in known]
                    known |= {(op.origin, op.place) for op in found}
                    together += found
            ops = [op for op in ops if (op.origin, op.place) not in known] + together
        if any(one.is_folded for one in ordered) or folds:
            # Several revisions may carry the same.
            ops = list({(op.origin, op.place, op.where): op for op in ops}.values())
            ops.sort(key=lambda op: (op.origin, op.place, op.where.lo))
        return ops if before is None else [op for op in ops if op.origin < before]

    def labels(self, head: str) -> list[str] | None:
        """Return the series that exist at a head, sorted; None if operations have to tell."""
        if self._folds:
            return None
        found: set[str] = set()
        for one in self._ordered(self.ancestors(head)):
            follow(one, found)
        return sorted(found)

    def _ordered(self, wanted: set[str]) -> list[Revision]:
        return [self.revisions[one] for one in self._ids if one in wanted]

    def log(self) -> Iterator[Logged]:
        """Yield every revision below its parents: as a walk from the first along each branch."""
        children: dict[str, list[str]] = {}
        for one in self._ids:
            parents = [p for p in self.revisions[one].parents if p in self.revisions] or [ROOT]
            for parent in parents:
                children.setdefault(parent, []).append(one)
        walked: set[str] = set()
        waiting = [(ROOT, child) for child in reversed(children.get(ROOT, []))]
        while waiting:
            parent, one = waiting.pop()
            yield Logged(self.revisions[one], parent, one not in self._parents)
            if one not in walked:
                walked.add(one)
                waiting += [(one, child) for child in reversed(children.get(one, []))]


class State:
    """What every series shows after some operations.

    Args:
        kind: `kv` if rows are found by keys, so that writes add up instead of replacing intervals.
        ops: What was done, in order.
    """

    def __init__(self, kind: Kind, ops: Iterable[Op] = ()) -> None:
        self._kind = kind
        self._ops: dict[str, list[Op]] = {}
        self._layers: dict[str, Layers[Op]] = {}
        self._doubtful: set[str] = set()
        for op in ops:
            self.add(op)

    def add(self, op: Op) -> None:
        """Take in what was done last."""
        listed = self._ops.get(op.series)
        if listed is None:
            listed = self._ops[op.series] = []
        listed.append(op)
        if op.kind == "delete":
            self._doubtful.add(op.series)
        layers = self._layers.get(op.series)
        if layers is not None:
            layers.put(op.where, op)

    def ahead(self) -> State:
        """Return a copy to which things can be added; what is long is copied when it changes."""
        copy = State(self._kind)
        copy._ops = _Copied(self._ops)
        copy._doubtful = set(self._doubtful)
        return copy

    def labels(self) -> list[str]:
        """Return the names of the series that exist, sorted."""
        return sorted(one for one in self._ops if self.exists(one))

    def exists(self, label: str) -> bool:
        """Whether there is a series of this name: something was written since it was deleted."""
        ops = self._ops.get(label)
        if not ops:
            return False
        if label not in self._doubtful:
            return True
        last = ops[-1]
        if last.kind == "write":
            return True
        if last.where == EVERYTHING:
            return False
        gone = max(
            (i for i, op in enumerate(ops) if op.kind == "delete" and op.where == EVERYTHING),
            default=-1,
        )
        return any(op.kind == "write" for op in ops[gone + 1 :])

    def ops(self, label: str) -> list[Op]:
        """Return what was done to a series, in order."""
        return self._ops.get(label) or []

    def layers(self, label: str) -> Layers[Op]:
        """Return what a series shows: pieces of writes and deletions."""
        layers = self._layers.get(label)
        if layers is None:
            layers = self._layers[label] = Layers()
            for op in self.ops(label):
                layers.put(op.where, op)
        return layers

    def needed(self) -> list[Op]:
        """Return the operations that still matter, also when older ones of others come later.

        One that later ones cover whole does not matter any more; one that deletes does.
        """
        found: list[Op] = []
        for label, ops in self._ops.items():
            if self._kind == "kv":
                found += ops
                continue
            seen = {id(op) for _, op in self.layers(label)}
            found += [op for op in ops if id(op) in seen]
        return sorted(found, key=lambda op: (op.origin, op.place, op.where.lo))


class _Copied(dict[str, list[Op]]):
    """A dictionary of lists that takes each from another one, copied, when it is asked for."""

    def __init__(self, below: dict[str, list[Op]]) -> None:
        super().__init__()
        self._below = below

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self and key in self._below:
            self[key] = list(self._below[key])
        return super().get(key, default)
