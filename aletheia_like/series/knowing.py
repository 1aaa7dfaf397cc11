"""What is known of a changelog: its revisions, the documents they lie in, and what they show.

Nothing is read or written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aletheia_like.series.documents import Stored
from aletheia_like.series.history import History, State
from aletheia_like.series.revisions import Revision, form_of
from aletheia_like.series.schema import Kind


class Known:
    """Revisions of a collection that were read or made.

    Args:
        kind: Of the collection's schema.

    Attributes:
        history: The revisions.
        stored: The documents that hold them, by id.
        arrivals: Number of the last arrival that is known.
        last_stamp: The greatest stamp that was seen.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.history = History()
        self.stored: dict[str, Stored] = {}
        self.arrivals = 0
        self.last_stamp = 0
        self._state: tuple[str | None, State] | None = None
        self._listed: tuple[str, list[str]] | None = None

    def take(self, stored: Stored) -> None:
        """Take in a document with what it holds."""
        if stored.level:
            self._drop_packed(stored)
        self.stored[stored.id] = stored
        for one in stored.revisions:
            self._add(one)

    def replace(self, gone: Iterable[Stored], pack: Stored) -> None:
        """Note that documents became one; what they hold is known already."""
        for one in gone:
            del self.stored[one.id]
        self.stored[pack.id] = pack

    def lacks_parents(self, new: Iterable[Revision]) -> bool:
        """Whether new revisions were made on top of others that are not known."""
        known = self.history.revisions
        return any(parent not in known for one in new if not one.is_base for parent in one.parents)

    def state(self) -> State:
        """Return what the newest head shows."""
        newest = self.history.newest
        if self._state is None or self._state[0] != newest:
            ops = [] if newest is None else self.history.operations(newest)
            self._state = (newest, State(self._kind, ops))
        return self._state[1]

    def labels(self) -> list[str]:
        """Return the names of the series that exist, sorted.

        The first time names are read, and nothing else. Who lists again after a change may do so
        often: from then on only what is new is looked at.
        """
        newest = self.history.newest
        is_known = self._state is not None and self._state[0] == newest
        if newest is not None and not is_known:
            if self._listed is None:
                listed = self.history.labels(newest)
                self._listed = None if listed is None else (newest, listed)
            if self._listed is not None and self._listed[0] == newest:
                return list(self._listed[1])
        return self.state().labels()

    def state_before(self, id_: str) -> State:
        """Return what was shown before the revision of an id."""
        newest = self.history.newest
        ops = [] if newest is None else self.history.operations(newest, id_)
        return State(self._kind, ops)

    def beyond(self, keep: Sequence[Revision]) -> tuple[list[str], list[Revision]]:
        """Return which documents hold more than these revisions, and which of these no other has.

        Args:
            keep: All that is to stay.
        """
        wanted = {form_of(one) for one in keep}
        gone: list[str] = []
        there: set[object] = set()
        for name, stored in self.stored.items():
            forms = {form_of(one) for one in stored.revisions}
            if forms <= wanted:
                there |= forms
            else:
                gone.append(name)
        return gone, [one for one in keep if form_of(one) not in there]

    def _drop_packed(self, pack: Stored) -> None:
        """Forget the documents that somebody has packed together."""
        inside = {form_of(one) for one in pack.revisions}
        for name, one in list(self.stored.items()):
            if one.level < pack.level and all(form_of(inner) in inside for inner in one.revisions):
                del self.stored[name]

    def _add(self, one: Revision) -> None:
        newest = self.history.newest
        is_new = self.history.add(one)
        self.last_stamp = max(self.last_stamp, one.stamp)
        if self._state is None or not (is_new or one.is_folded):
            return
        follows = one.parents == ((newest,) if newest else ())
        if one.is_folded or not follows or self._state[0] != newest or one.id < (newest or ""):
            self._state = None
            return
        for op in one.ops:
            self._state[1].add(op)
        self._state = (one.id, self._state[1])
