"""A collection: series of one schema with one changelog."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.names import check_name
from aletheia_like.series.changelog import Changelog, Draft, Intent
from aletheia_like.series.history import Logged, State
from aletheia_like.series.revisions import Revision
from aletheia_like.series.schema import Schema
from aletheia_like.series.series import Series

if TYPE_CHECKING:
    from aletheia_like.series.opening import SeriesMetastore


class Collection:
    """Series of one schema, which share a changelog.

    Args:
        metastore: Where it is.
        changelog: Its changelog.
    """

    def __init__(self, metastore: SeriesMetastore, changelog: Changelog) -> None:
        self._metastore = metastore
        self._changelog = changelog

    @property
    def label(self) -> str:
        """Its name, unique within the project."""
        return self._changelog.label

    @property
    def metastore(self) -> SeriesMetastore:
        """Where it is."""
        return self._metastore

    @property
    def changelog(self) -> Changelog:
        """The revisions; for tools."""
        return self._changelog

    @property
    def schema(self) -> Schema:
        """The columns of its series."""
        return self._changelog.schema

    def series(self, label: str) -> Series:
        """Return a series, which need not exist yet.

        Raises:
            InvalidValueError: The name is not possible.
        """
        return Series(self, check_name(label, "series"))

    def __truediv__(self, label: str) -> Series:
        return self.series(label)

    def ls(self) -> list[str]:
        """Return the names of its series, sorted; one read if nothing is new."""
        return self._changelog.refresh().labels()

    def __iter__(self) -> Iterator[Series]:
        return (self.series(label) for label in self.ls())

    def __contains__(self, label: object) -> bool:
        return isinstance(label, str) and self._changelog.refresh().state().exists(label)

    def __len__(self) -> int:
        return len(self.ls())

    def __bool__(self) -> bool:
        return True

    def log(self) -> list[Logged]:
        """Return the revisions below their parents, each branch from its first to its head.

        A merge stands there once for each head that it joined. `*` marks heads.
        """
        return list(self._changelog.refresh().history.log())

    def heads(self) -> list[Revision]:
        """Return the revisions that nothing was made on top of, oldest first.

        There are several after a pull of what others wrote at the same time: the newest is what
        is read until `merge`.
        """
        history = self._changelog.refresh().history
        return [history.revisions[one] for one in history.heads]

    @contextmanager
    def multi(self) -> Iterator[Collection]:
        """Gather all that this thread writes to the collection into one revision.

        It is made at the end of the block; after an exception there is none. Reads inside the
        block show what was there before.
        """
        batches, thread = self._changelog.batches, threading.get_ident()
        if thread in batches:
            yield self
            return
        batches[thread] = []
        try:
            yield self
        finally:
            intents = batches.pop(thread)
        if intents:
            self._changelog.commit(lambda state: _together(intents, state))

    def carry_out(self, intent: Intent) -> Revision | None:
        """Do what a writer wants, now or at the end of `multi`."""
        waiting = self._changelog.batches.get(threading.get_ident())
        if waiting is None:
            return self._changelog.commit(intent)
        waiting.append(intent)
        return None

    def merge(self) -> list[Logged]:
        """Join all heads, so that what each wrote is shown; where they overlap the later wins.

        Every store that has the same heads makes the same revision.

        Returns:
            A line of the log for each head that was joined; none if there was one head only.
        """
        from aletheia_like.series.merging import merge

        return merge(self._changelog)

    def push(self, other: Collection, *, shallow: bool = False) -> int:
        """Copy into another collection, which may have another name, what it lacks.

        Args:
            other: Of an equal schema, in this or another store.
            shallow: Copy what is shown now, as one revision for each head.

        Returns:
            How many revisions were new there.

        Raises:
            InvalidValueError: The schemas differ.
        """
        return _other(other).pull(self, shallow=shallow)

    def pull(self, other: Collection, *, shallow: bool = False) -> int:
        """Copy from another collection what this one lacks; see `push`."""
        from aletheia_like.series.moving import move_collection, stored

        return move_collection(stored(_other(other).changelog), self._changelog, shallow=shallow)

    def trim(self, before: Any = None) -> int:
        """Forget the history before a revision or moment; what is shown stays.

        Args:
            before: The first revision or moment to keep; by default only the heads are kept.

        Returns:
            How many revisions were forgotten.
        """
        from aletheia_like.series.tidying import trim

        return trim(self._changelog, before)

    def trimmable(self, before: Any = None) -> int:
        """Return how many revisions `trim` would forget."""
        from aletheia_like.series.tidying import to_forget

        return len(to_forget(self._changelog.refresh(), before)[1])

    def drop(self, revision: Any) -> None:
        """Take one past revision out of the history; what it wrote and is still shown stays.

        Raises:
            NotFoundError: There is no such revision.
            InvalidValueError: It is a head.
        """
        from aletheia_like.series.tidying import drop

        drop(self._changelog, revision)

    def defrag(self) -> int:
        """Put small segments together, so that reads are faster; no revision is made.

        Returns:
            How many series were rewritten.
        """
        from aletheia_like.series.tidying import defrag

        return defrag(self._changelog)

    def rename(self, label: str) -> None:
        """Give the collection another name.

        Raises:
            AlreadyExistsError: There is one of that name.
        """
        self._changelog = self._metastore.rename_collection(self.label, label).changelog

    def delete(self) -> None:
        """Delete the collection with all its series and its history."""
        self._metastore.delete_collection(self.label)

    def __reduce__(self) -> tuple[Any, tuple[Any, str]]:
        return _reopened, (self._metastore, self.label)

    def __repr__(self) -> str:
        return f"<Collection {self.label!r}>"


def _other(given: Any) -> Collection:
    if not isinstance(given, Collection):
        message = f"{given!r:.80} is no collection: whole stores go by ms.push and ms.pull"
        raise InvalidValueError(message)
    return given


def _reopened(metastore: SeriesMetastore, label: str) -> Collection:
    return metastore.collection(label)


def _together(intents: list[Intent], state: State) -> Draft | None:
    """Return all that writers want, each in view of what those before it do."""
    ahead = state.ahead()
    whole = Draft()
    for intent in intents:
        draft = intent(ahead)
        if draft is not None:
            for op in draft.ops:
                ahead.add(op)
            whole.ops += draft.ops
            whole.columns |= draft.columns
    return whole
