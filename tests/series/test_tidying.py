"""Tidying while others write and tidy the same collection, and after it was cut short."""

from __future__ import annotations

import dataclasses
import os
import random
import threading

import pytest

import aletheia_like as al
from aletheia_like.ports.documents import Delete, Query
from aletheia_like.series import changelog, packing
from aletheia_like.series.opening import SeriesMetastore

NUMBERS = {"at": "int*", "value": "float"}
SEED = int(os.environ.get("ALETHEIA_TEST_SEED", random.randrange(1 << 30)))


class Through:
    """A document store that asks before each call whether to go on."""

    def __init__(self, inner, ask):
        self._inner, self._ask = inner, ask

    def get(self, path):
        self._ask([])
        return self._inner.get(path)

    def query(self, query):
        self._ask([])
        return iter(list(self._inner.query(query)))

    def apply(self, writes):
        self._ask(writes)
        return self._inner.apply(writes)


class Killed(BaseException):
    """Nothing in the library catches this: it ends there, as a killed process does."""


class Turns:
    """Threads of which one goes on at a time, as far as its next call of the store."""

    def __init__(self):
        self.changed = threading.Condition()
        self.waiting, self.killed, self.threads = set(), set(), {}
        self.turn = None

    def begin(self, name, act):
        def live():
            try:
                act()
            except Killed:
                pass
            finally:
                with self.changed:
                    del self.threads[name]
                    self.changed.notify_all()

        with self.changed:
            self.threads[name] = threading.Thread(target=live)
            self.threads[name].start()
            self.rest()

    def ask(self, name):
        with self.changed:
            self.waiting.add(name)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.turn == name)
            self.turn = None
            self.waiting.remove(name)
            self.changed.notify_all()
            if name in self.killed:
                raise Killed

    def step(self, name, *, kill=False):
        with self.changed:
            self.killed |= {name} if kill else set()
            self.turn = name
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.turn is None)
            self.rest()

    def end(self):
        while self.threads:
            self.step(min(self.threads), kill=True)

    def rest(self):
        self.changed.wait_for(lambda: self.waiting == self.threads.keys())


def shown(session):
    clct = SeriesMetastore(session).collection("c")
    frames = {one.label: one.frame() for one in clct}
    return {label: frame["at"].tolist() for label, frame in frames.items()}


def a_collection(opened):
    ms = opened()
    return ms.create_collection(NUMBERS, "c"), ms.session


def seen_through(session, ask):
    other = dataclasses.replace(session, documents=Through(session.documents, ask))
    return SeriesMetastore(other).collection("c")


@pytest.fixture
def turns():
    turns = Turns()
    yield turns
    turns.end()


@pytest.mark.parametrize("packed", [128, 6])
def test_whoever_writes_and_tidies_meanwhile_or_is_killed_nothing_is_lost(
    opened, monkeypatch, turns, packed
):  # T17, T19, T21, T24
    print(f"ALETHEIA_TEST_SEED={SEED}")
    monkeypatch.setattr(packing, "PACKED", packed)
    monkeypatch.setattr(changelog, "_PART", packed // 2)
    chance = random.Random(SEED)
    _, session = a_collection(opened)
    told = {}

    def act(name):
        clct = seen_through(session, lambda _: turns.ask(name))
        for index in range(chance.choice([4, 12])):
            (clct / name).write({"at": [index], "value": [0.5]})
            told[name] = index + 1
            match chance.randrange(5):
                case 0:
                    clct.defrag()
                case 1:
                    clct.trim()

    for first in range(0, 12, 2):
        for name in (f"s{first}", f"s{first + 1}"):
            turns.begin(name, lambda name=name: act(name))
        while turns.threads:
            name = chance.choice(sorted(turns.threads))
            turns.step(name, kill=chance.random() < 0.02)
            found = shown(session)
            for label, count in told.items():
                # One more may be there already whose writer does not know it yet.
                assert found[label] in (list(range(count)), list(range(count + 1)))


def test_segments_that_two_revisions_lay_together_are_all_shown(opened):  # T21
    clct, session = a_collection(opened)

    cut_short = al.UnavailableError("cut short")

    def refuse(writes):
        if any(isinstance(one, Delete) for one in writes):
            raise cut_short

    def write(label):
        for place in range(3):
            (clct / label).write({"at": [place], "value": [0.5]})

    write("first")
    clct.defrag()
    write("second")
    with pytest.raises(al.UnavailableError):
        # It stores the new form and cannot take the old one away.
        seen_through(session, refuse).defrag()

    whole = {"first": [0, 1, 2], "second": [0, 1, 2]}
    assert shown(session) == whole
    clct.trim()
    assert shown(session) == whole


def test_what_somebody_else_has_packed_is_not_packed_again(opened, monkeypatch):  # T24
    clct, session = a_collection(opened)
    for place in range(12):
        (clct / "s").write({"at": [place], "value": [0.5]})
    other = seen_through(session, lambda _: None)
    other.changelog.refresh()
    monkeypatch.setattr(packing, "PACKED", 4)

    for place, one in enumerate([clct, other, other, clct], 12):
        (one / "s").write({"at": [place], "value": [0.5]})

    assert shown(session) == {"s": list(range(16))}
    documents = session.documents.query(Query(clct.changelog.collection))
    held = [one.fields["count"] for one in documents if one.fields["level"]]
    assert len(held) == 2
    assert sum(held) <= 16
