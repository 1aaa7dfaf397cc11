"""Changes are folded, sent in the background, and kept while the store is away."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.errors import NotFoundError, UnavailableError
from aletheia_like.feeds import fold
from aletheia_like.ports.documents import REMOVE, Create, changed_fields
from aletheia_like.recorder import Recorder

PATH = "projects/p"
KEYS = st.sampled_from(["a", "b", "a.b"])
FIELD_PATHS = st.lists(KEYS, min_size=1, max_size=3).map(tuple)
VALUES = st.one_of(
    st.integers(0, 3),
    st.just(REMOVE),
    st.dictionaries(KEYS, st.integers(0, 3), max_size=2),
)


class Faulty:
    """Passes writes on, unless it is told to be away."""

    def __init__(self):
        self.inner = MemoryDocumentStore()
        self.inner.apply([Create(PATH, {})])
        self.away = False
        self.applied = 0

    def apply(self, writes):
        if self.away:
            message = "away"
            raise UnavailableError(message)
        self.applied += 1
        return self.inner.apply(writes)

    @property
    def fields(self):
        return self.inner.get(PATH).fields


@pytest.fixture
def store():
    return Faulty()


@pytest.fixture
def recorder(store):
    recorder = Recorder(store, lambda: dt.datetime.now(dt.UTC), interval=0.1, heartbeat=0.3)
    yield recorder
    store.away = False
    recorder.close(timeout=5)


def also(changes):
    return {("more",): 1}, [Create("projects/q", {})]


def wait_until(condition, seconds=10):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def changes(paths):
    """Keep only paths of which none lies around another, as one update demands."""
    chosen = {}
    for path, value in paths:
        around = [
            other for other in chosen if other[: len(path)] == path or path[: len(other)] == other
        ]
        if not around:
            chosen[path] = value
    return chosen


def pruned(fields):
    """Leave out maps that hold nothing."""
    inner = {
        key: pruned(value) if isinstance(value, dict) else value for key, value in fields.items()
    }
    return {key: value for key, value in inner.items() if value != {}}


def leads_through_a_number(fields, path):
    """Whether a change would make a map of a number, which a later removal cannot tell."""
    inner = fields
    for key in path[:-1]:
        inner = inner.get(key, {})
        if not isinstance(inner, dict):
            return True
    return False


CHANGES = st.lists(st.tuples(FIELD_PATHS, VALUES), max_size=4).map(changes)


@given(CHANGES, CHANGES, st.dictionaries(KEYS, st.dictionaries(KEYS, st.integers(0, 3))))
def test_folded_changes_do_what_one_after_the_other_would(earlier, later, fields):
    assume(not any(leads_through_a_number(fields, path) for path in earlier))

    one_by_one = changed_fields(changed_fields(fields, earlier), later)

    assert pruned(changed_fields(fields, fold(earlier, later))) == pruned(one_by_one)


def test_changes_arrive_in_the_background(store, recorder):
    recorder.set(PATH, {("a",): 1})

    assert wait_until(lambda: store.fields.get("a") == 1)


def test_a_burst_is_few_writes(store, recorder):  # M24
    for number in range(500):
        recorder.set(PATH, {("a",): number})
    recorder.flush()

    assert store.fields["a"] == 499
    assert store.applied <= 4


def test_flush_returns_when_it_is_stored(store, recorder):
    recorder.set(PATH, {("m", "x.y"): 1})
    recorder.flush(PATH)

    assert store.fields["m"] == {"x.y": 1}
    assert recorder.pending() == []


def test_an_outage_delays_and_loses_nothing(store, recorder, caplog):
    caplog.set_level(logging.WARNING, "aletheia")
    store.away = True
    for number in range(20):
        recorder.set(PATH, {(f"k{number}",): number})
        time.sleep(0.01)
    time.sleep(0.4)
    with pytest.raises(UnavailableError):
        recorder.flush(timeout=0.2)
    store.away = False

    assert wait_until(lambda: len(store.fields) == 20)
    assert len([one for one in caplog.records if "kept" in one.message]) == 1


def test_later_changes_win_over_those_an_outage_delayed(store, recorder):
    store.away = True
    recorder.set(PATH, {("a",): 1})
    time.sleep(0.3)
    recorder.set(PATH, {("a",): 2})
    store.away = False
    recorder.flush()

    assert store.fields["a"] == 2


def test_a_refused_change_is_an_error_at_flush_and_blocks_nobody(store, recorder):
    recorder.set(PATH, {("a",): 1})
    recorder.set("projects/none", {("a",): 1})
    with pytest.raises(NotFoundError):
        recorder.flush("projects/none")
    recorder.flush()

    assert store.fields["a"] == 1


def test_what_was_refused_in_the_background_is_an_error_at_the_next_flush(store, recorder, caplog):
    recorder.set("projects/none", {("a",): 1})
    assert wait_until(lambda: "refused" in caplog.text)
    recorder.set(PATH, {("a",): 1})

    with pytest.raises(NotFoundError):
        recorder.flush()
    recorder.flush()

    assert store.fields["a"] == 1


def test_a_quiet_document_that_is_watched_beats(store, recorder):
    recorder.watch(PATH)

    assert wait_until(lambda: "heartbeat_at" in store.fields)
    first = store.fields["heartbeat_at"]
    assert wait_until(lambda: store.fields["heartbeat_at"] > first)


def test_a_forgotten_document_does_not_beat(store, recorder):
    recorder.watch(PATH)
    recorder.forget(PATH)
    time.sleep(0.5)

    assert "heartbeat_at" not in store.fields


def test_the_last_changes_come_with_what_belongs_to_them(store, recorder):
    recorder.set(PATH, {("a",): 1})
    recorder.finish(PATH, {("b",): 2}, also, timeout=5)

    assert (store.fields["a"], store.fields["b"], store.fields["more"]) == (1, 2, 1)
    assert store.inner.get("projects/q") is not None


def test_threads_lose_nothing(store, recorder):
    def write(who):
        for number in range(100):
            recorder.set(PATH, {(f"{who}-{number}",): number})

    threads = [threading.Thread(target=write, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.flush()

    assert len(store.fields) == 800


def test_closing_ends_the_thread_and_using_it_starts_another(store, recorder):
    recorder.set(PATH, {("a",): 1})
    recorder.close()
    alive = [one for one in threading.enumerate() if one.name == "aletheia-recorder"]
    assert recorder._thread not in alive

    recorder.set(PATH, {("a",): 2})
    assert wait_until(lambda: store.fields["a"] == 2)


def test_an_end_that_could_not_be_stored_can_be_tried_again(store, recorder):
    recorder.set(PATH, {("a",): 1})
    store.away = True
    with pytest.raises(UnavailableError):
        recorder.finish(PATH, {("status",): "finished"}, also, timeout=0.3)
    store.away = False
    recorder.flush()
    assert store.fields["a"] == 1
    assert "status" not in store.fields

    recorder.finish(PATH, {("status",): "finished"}, also, timeout=5)
    assert store.fields["status"] == "finished"
    assert store.inner.get("projects/q") is not None


def test_what_is_noted_while_another_thread_closes_is_sent_soon(store):
    late = []
    for _ in range(10):
        recorder = Recorder(store, lambda: dt.datetime.now(dt.UTC), interval=0.02, heartbeat=60)
        recorder.watch(PATH)
        recorder.set(PATH, {("x",): 0})
        time.sleep(0.05)
        closing = threading.Thread(target=recorder.close)
        closing.start()
        recorder.watch("projects/other")
        recorder.forget("projects/other")
        time.sleep(0.03)
        value = time.monotonic()
        recorder.set(PATH, {("x",): value})
        wait_until(lambda value=value: store.fields["x"] == value, seconds=5)
        late.append(time.monotonic() - value)
        closing.join()
        recorder.close()

    assert max(late) < 4
