"""Listening to Firestore: what changed is told, what ended says so, and nothing waits for it."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time

import pytest
from google.cloud.firestore_v1.types import ListenResponse

from aletheia_like.adapters._firestorelistening import CollectionState
from aletheia_like.adapters.counting import CountingDocumentStore
from aletheia_like.adapters.firestore import FirestoreDocumentStore
from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.adapters.mirroring import MirroringDocumentStore
from aletheia_like.adapters.retrying import RetryingDocumentStore
from aletheia_like.errors import InvalidValueError, UnavailableError
from aletheia_like.ports.documents import Create, Delete, Query, Update
from aletheia_like.ports.listening import Listening, listen_to
from aletheia_like.ports.usage import Usage
from aletheia_like.testing.documents import in_child
from aletheia_like.testing.emulators import FirestoreEmulator
from aletheia_like.testing.lines import Line

SECONDS = 10
RUNS = "projects/p/runs"


class Ear:
    """Listens to a collection from what is in it, and remembers what it is told."""

    def __init__(self, store, collection=RUNS, known=None, since=None):
        self._told = queue.SimpleQueue()
        documents = list(store.query(Query(collection))) if known is None else []
        known = {one.path: one.revision for one in documents} if known is None else known
        since = since or (documents[0].read_at if documents else None)
        self.listener = listen_to(store, collection, known, since, self._told.put)

    def wait(self):
        """Return once the server has answered."""
        until = time.monotonic() + SECONDS
        while self.listener.heard_at is None and time.monotonic() < until:
            time.sleep(0.01)
        assert self.listener.heard_at is not None
        return self

    def told(self, paths):
        """Return what is told, until it is about so many documents."""
        told = {}
        until = time.monotonic() + SECONDS
        while len(told) < paths and (left := until - time.monotonic()) > 0:
            told |= self._told.get(timeout=left)
        return told

    def quiet(self, seconds=0.5):
        """Whether nothing is told for a while."""
        try:
            self._told.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def ends(self):
        """Whether it says that it is over, and is."""
        until = time.monotonic() + SECONDS
        while (left := until - time.monotonic()) > 0:
            if self._told.get(timeout=left) == {}:
                break
        return not self.listener.is_alive()


@pytest.fixture
def listening(firestore_store):
    """Listen to a store, and stop at the end of the test."""
    ears = []

    def listen(*arguments, **options):
        ears.append(Ear(*(arguments or (firestore_store,)), **options).wait())
        return ears[-1]

    yield listen
    for ear in ears:
        ear.listener.close()


def threads():
    return [one for one in threading.enumerate() if one.name == "aletheia-listener"]


def wait_for_no_threads():
    until = time.monotonic() + SECONDS
    while threads() and time.monotonic() < until:
        time.sleep(0.01)
    return not threads()


def test_created_changed_and_deleted_documents_are_told(firestore_store, listening):
    ear = listening()

    (created,) = firestore_store.apply([Create(f"{RUNS}/a", {"n": 1})])
    assert ear.told(1) == {f"{RUNS}/a": created}
    (changed,) = firestore_store.apply([Update(f"{RUNS}/a", {("n",): 2})])
    assert ear.told(1) == {f"{RUNS}/a": changed}
    firestore_store.apply([Delete(f"{RUNS}/a")])
    assert ear.told(1) == {f"{RUNS}/a": None}
    assert ear.listener.is_alive()


def test_what_is_known_is_not_told(firestore_store, listening):
    firestore_store.apply([Create(f"{RUNS}/{number}", {}) for number in range(5)])
    ear = listening()

    assert ear.quiet()
    (changed,) = firestore_store.apply([Update(f"{RUNS}/3", {("n",): 1})])
    assert ear.told(1) == {f"{RUNS}/3": changed}
    assert ear.quiet()


def test_what_happened_since_it_was_read_is_told(firestore_store, listening):
    firestore_store.apply([Create(f"{RUNS}/{name}", {}) for name in "abc"])
    read = {one.path: one for one in firestore_store.query(Query(RUNS))}
    writes = [Delete(f"{RUNS}/a"), Update(f"{RUNS}/b", {("n",): 1}), Create(f"{RUNS}/d", {})]
    revisions = firestore_store.apply(writes)

    since = next(iter(read.values())).read_at
    ear = listening(
        firestore_store, known={path: one.revision for path, one in read.items()}, since=since
    )

    assert ear.told(3) == {write.path: now for write, now in zip(writes, revisions, strict=True)}
    assert ear.quiet()


def test_other_collections_and_collections_below_are_not_told(firestore_store, listening):
    ear = listening()

    firestore_store.apply(
        [
            Create("projects/p/others/a", {}),
            Create("projects/q/runs/a", {}),
            Create(f"{RUNS}/a/runs/b", {}),
        ]
    )

    assert ear.quiet()


def test_a_document_is_refused(firestore_store):
    with pytest.raises(InvalidValueError):
        firestore_store.listen("projects/p", {}, None, print)


def test_closing_is_prompt_and_final(firestore_store, listening):
    ear = listening()
    begun = time.monotonic()

    ear.listener.close()

    assert not ear.listener.is_alive()
    assert wait_for_no_threads()
    assert time.monotonic() - begun < 2
    assert ear.ends()
    firestore_store.apply([Create(f"{RUNS}/a", {})])
    assert ear.quiet()
    ear.listener.close()


def test_closing_the_store_ends_what_listens_to_it(firestore_store, listening):
    ear = listening()

    firestore_store.close()

    assert ear.ends()
    assert wait_for_no_threads()
    assert listening().listener.is_alive()


def test_the_death_of_the_server_is_told(firestore_emulator, monkeypatch, listening):
    with FirestoreEmulator() as server:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", server.host)
        store = FirestoreDocumentStore("demo-killed")
        ear = listening(store)
        server.kill()

        assert ear.ends()
        store.close()


def test_a_cut_line_is_told(firestore_emulator, monkeypatch, listening):
    with Line(firestore_emulator) as line:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", line.host)
        store = FirestoreDocumentStore(f"demo-{os.urandom(4).hex()}")
        ear = listening(store)
        line.cut()
        assert ear.ends()

        line.mend()

        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            try:
                store.get("projects/p")
                break
            except UnavailableError:
                time.sleep(0.1)
        assert listening(store).listener.is_alive()
        store.close()


def test_a_store_that_never_was_is_not_waited_for(monkeypatch):
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    store = FirestoreDocumentStore("demo-nowhere")
    begun = time.monotonic()

    ear = Ear(store, known={})

    assert time.monotonic() - begun < 1
    assert ear.ends()
    assert ear.listener.heard_at is None
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_ends_it_on_both_sides_and_both_can_listen_anew(firestore_store, listening):
    ear = listening()
    begun = time.monotonic()

    def child():
        assert not ear.listener.is_alive()
        ear.listener.close()
        mine = Ear(firestore_store).wait()
        firestore_store.apply([Create(f"{RUNS}/child", {})])
        assert list(mine.told(1)) == [f"{RUNS}/child"]

    assert in_child(child) == 0
    assert ear.ends()
    assert time.monotonic() - begun < 9  # The fork did not wait for the stream to end by itself.
    again = listening()
    firestore_store.apply([Create(f"{RUNS}/parent", {})])
    assert list(again.told(1)) == [f"{RUNS}/parent"]


def test_it_never_holds_the_interpreter(firestore_emulator):
    program = (
        "import threading, time\n"
        "from aletheia_like.adapters.firestore import FirestoreDocumentStore\n"
        "listener = FirestoreDocumentStore('demo-exit').listen('projects', {}, None, print)\n"
        "while listener.heard_at is None: time.sleep(0.01)\n"
        "print('ready')"
    )
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (0, "ready\n"), done.stderr
    assert time.monotonic() - begun < SECONDS


def test_a_listener_that_fails_says_that_it_is_over(firestore_store):
    told = queue.SimpleQueue()

    def wake(news):
        told.put(news)
        if news:
            message = "on purpose"
            raise RuntimeError(message)

    listener = firestore_store.listen(RUNS, {}, None, wake)
    firestore_store.apply([Create(f"{RUNS}/a", {})])

    assert told.get(timeout=SECONDS)
    assert told.get(timeout=SECONDS) == {}
    assert not listener.is_alive()


def test_wrappers_pass_it_on_and_each_document_told_is_a_read(
    firestore_store, listening, tmp_path
):
    usage = Usage()
    counting = CountingDocumentStore(firestore_store, usage)
    retrying = RetryingDocumentStore(counting)
    store = MirroringDocumentStore(retrying, MemoryDocumentStore())
    firestore_store.apply([Create(f"{RUNS}/a", {})])
    ear = listening(store)
    before = usage.snapshot()

    firestore_store.apply([Create(f"{RUNS}/b", {}), Create(f"{RUNS}/c", {})])

    assert len(ear.told(2)) == 2
    assert (usage.snapshot() - before).document_reads == 2


def test_a_store_that_cannot_says_so():
    store = RetryingDocumentStore(CountingDocumentStore(MemoryDocumentStore(), Usage()))

    assert isinstance(store, Listening)
    assert listen_to(store, RUNS, {}, None, print) is None
    assert listen_to(MemoryDocumentStore(), RUNS, {}, None, print) is None


NAME = f"projects/g/databases/(default)/documents/{RUNS}"


def message(**fields):
    return ListenResponse.pb()(**fields)


def changed(id_, second, **more):
    document = {"name": f"{NAME}/{id_}", "update_time": {"seconds": second}}
    return message(document_change={"document": document, "target_ids": [1], **more})


def target(kind):
    return message(target_change={"target_change_type": kind})


def revision(second):
    return f"{second}.000000000"


def test_a_reset_compares_all_that_follows_with_what_is_known():
    state = CollectionState({f"{RUNS}/{id_}": revision(1) for id_ in "abc"}, complete=False)

    answers = [target("RESET"), changed("a", 1), changed("b", 2), target("CURRENT")]
    told = [state.take(answer) for answer in answers]

    assert told == [{}, {}, {f"{RUNS}/b": revision(2)}, {f"{RUNS}/c": None}]
    assert state.take(target("CURRENT")) == {}


def test_a_deletion_is_told_once():
    state = CollectionState({f"{RUNS}/a": revision(1), f"{RUNS}/b": revision(1)}, complete=False)

    gone = message(document_delete={"document": f"{NAME}/a"})
    assert state.take(gone) == {f"{RUNS}/a": None}
    assert state.take(gone) == {}
    gone = message(document_change={"document": {"name": f"{NAME}/b"}, "removed_target_ids": [1]})
    assert state.take(gone) == {f"{RUNS}/b": None}


def test_a_count_that_does_not_fit_ends_the_stream():
    state = CollectionState({f"{RUNS}/a": revision(1)}, complete=False)

    assert state.take(message(filter={"count": 1})) == {}
    with pytest.raises(UnavailableError, match="2 documents, not 1"):
        state.take(message(filter={"count": 2}))


def test_a_target_that_the_server_drops_ends_the_stream():
    state = CollectionState({}, complete=True)
    dropped = {"target_change_type": "REMOVE", "cause": {"message": "quota"}}

    with pytest.raises(UnavailableError, match="quota"):
        state.take(message(target_change=dropped))
