"""Tells browsers that something changed: one thread looks, however many look at the page.

A page that shows one run looks at its document again and again, which is a read each; a page that
shows an experiment watches its runs as `Experiment.watch` does, and looks now and then whether the
store is there at all.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from aletheia_like.errors import AletheiaError
from aletheia_like.metastore.experiment import Experiment
from aletheia_like.metastore.run import Run
from aletheia_like.metastore.watching import Watch
from aletheia_like.model.records import ENDED
from aletheia_like.ports.documents import DocumentStore

Event = Literal["changed", "away", "back"]
Tell = Callable[[Event], None]
Source = Callable[[threading.Event, Tell], None]
"""Tells of changes until the event is set."""

RUN_SECONDS = 0.4
"""Between two looks at a run that is live."""

CALM_SECONDS = 4.0
"""Between two looks at what hardly changes."""


@dataclass(slots=True)
class _Topic:
    """What is looked at, and who wants to know.

    Attributes:
        is_away: Whether the store was away when it was last looked at.
    """

    closed: threading.Event = field(default_factory=threading.Event)
    listeners: list[Tell] = field(default_factory=list)
    is_away: bool = False


class Followers:
    """Browsers that want to know, by what they look at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._topics: dict[str, _Topic] = {}

    @contextlib.contextmanager
    def following(self, key: str, source: Source, tell: Tell) -> Iterator[None]:
        """Have `tell` called about changes while a block runs, from another thread.

        Args:
            key: What is looked at; whoever comes second shares the source of the first.
            source: Looks.
            tell: Must return at once.
        """
        with self._lock:
            topic = self._topics.get(key)
            is_new = topic is None
            if topic is None:
                topic = self._topics[key] = _Topic()
            topic.listeners.append(tell)
            is_away = topic.is_away
        if is_away:
            tell("away")
        if is_new:
            threading.Thread(
                target=self._look, args=(topic, source), name="aletheia-ui", daemon=True
            ).start()
        try:
            yield
        finally:
            with self._lock:
                topic.listeners.remove(tell)
                if not topic.listeners:
                    topic.closed.set()
                    if self._topics.get(key) is topic:
                        del self._topics[key]

    def close(self) -> None:
        """Stop looking."""
        with self._lock:
            for topic in self._topics.values():
                topic.closed.set()
            self._topics.clear()

    def _look(self, topic: _Topic, source: Source) -> None:
        def tell(event: Event) -> None:
            with self._lock:
                topic.is_away = event == "away" or (topic.is_away and event != "back")
                listeners = list(topic.listeners)
            for one in listeners:
                one(event)

        source(topic.closed, tell)


def follow_document(documents: DocumentStore, path: str) -> Source:
    """Return what looks at one document, often while it says that it is a running run."""

    def look(closed: threading.Event, tell: Tell) -> None:
        seen: str | None = None
        is_first, is_away, pause = True, False, 0.0
        while not closed.wait(pause):
            try:
                document = documents.get(path)
            except AletheiaError:
                if not is_away:
                    tell("away")
                is_away, pause = True, 1.0
                continue
            if is_away:
                tell("back")
            revision = document.revision if document else None
            status = document.fields.get("status", "running") if document else None
            # What is live may have changed since the page was read, before this first look.
            is_news = status not in ENDED if is_first else revision != seen
            if is_away or is_news:
                tell("changed")
            seen, is_first, is_away = revision, False, False
            pause = CALM_SECONDS if status in ENDED or status is None else RUN_SECONDS

    return look


def follow_run(run: Run) -> Source:
    """Return what looks at a run."""
    return follow_document(run.session.documents, run.path)


def follow_place(documents: DocumentStore, path: str) -> Source:
    """Return what looks whether the store is there, and at a document that hardly changes."""

    def look(closed: threading.Event, tell: Tell) -> None:
        is_away = False
        while not closed.wait(CALM_SECONDS):
            try:
                documents.get(path)
            except AletheiaError:
                if not is_away:
                    tell("away")
                is_away = True
                continue
            if is_away:
                tell("back")
                tell("changed")
            is_away = False

    return look


def follow_experiment(experiment: Experiment, documents: DocumentStore) -> Source:
    """Return what watches the runs of an experiment, and looks whether the store is there."""

    def look(closed: threading.Event, tell: Tell) -> None:
        pulse = follow_place(documents, experiment.path)
        threading.Thread(
            target=pulse, args=(closed, tell), name="aletheia-ui-pulse", daemon=True
        ).start()
        while not closed.is_set():
            try:
                changes = experiment.watch(debug=True)
            except AletheiaError:
                closed.wait(CALM_SECONDS)
                continue
            _close_with(closed, changes)
            # Since the page was read something may have happened that the watch does not tell.
            tell("changed")
            for _ in changes:
                tell("changed")

    return look


def _close_with(closed: threading.Event, changes: Watch) -> None:
    """End a watch, whose iteration waits, as soon as nobody looks any more."""

    def wait() -> None:
        closed.wait()
        changes.close()

    threading.Thread(target=wait, name="aletheia-ui-close", daemon=True).start()
