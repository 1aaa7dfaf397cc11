"""An optional capability of a document store: to tell what changed before it is asked.

What it tells is a hint, never the truth: streams die, and some die silently. Whoever listens reads
what a hint names, and reads everything now and then all the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from aletheia_like.ports.documents import DocumentStore

Told = Mapping[str, str | None]
"""Documents that changed: their new revision by path, None for one that is gone. Nothing at all
means that the listener has ended, or knows only that it missed something."""

Wake = Callable[[Told], None]
"""Called in a thread of the listener's own; must return at once and not raise."""


class Listener(Protocol):
    """Listens to one collection, in the background, until it is closed or dies."""

    @property
    def heard_at(self) -> float | None:
        """When the store last gave a sign, by `time.monotonic`.

        None until all is told that had changed before it began.
        """
        ...

    def is_alive(self) -> bool:
        """Whether it may still tell something; never again once this was False."""
        ...

    def close(self) -> None:
        """Stop listening, without waiting; may be called twice, and by any thread."""
        ...


@runtime_checkable
class Listening(Protocol):
    """A document store that can be listened to."""

    def listen(
        self, collection: str, known: Mapping[str, str], since: dt.datetime | None, wake: Wake
    ) -> Listener | None:
        """Call `wake` about documents of a collection that are no longer as they are known.

        Nothing is waited for, and no outage raised: a listener that finds no store is soon dead.
        It does not survive a fork, in neither process.

        Args:
            collection: Path of the collection.
            known: Revision of every document in it, as the caller has read it.
            since: When that was, by the store's clock; None if nothing tells.
            wake: What to call.

        Returns:
            The listener; None if this store cannot be listened to.
        """
        ...


def listen_to(
    store: DocumentStore,
    collection: str,
    known: Mapping[str, str],
    since: dt.datetime | None,
    wake: Wake,
) -> Listener | None:
    """Listen to a collection of a store that may be able to; see `Listening.listen`."""
    if not isinstance(store, Listening):
        return None
    return store.listen(collection, known, since, wake)
