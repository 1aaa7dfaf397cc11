"""Watching runs: the same changes on every store, none missed, whatever the listener does."""

from __future__ import annotations

import ctypes
import gc
import logging
import secrets
import signal
import subprocess
import sys
import threading
import time

import pytest

import aletheia_like as al
from aletheia_like.adapters.firestore import FirestoreDocumentStore
from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.errors import InvalidValueError, UnavailableError
from aletheia_like.metastore import changes as comparing
from aletheia_like.metastore import watching
from aletheia_like.metastore.changes import RunChange, changed_names
from aletheia_like.model import records
from aletheia_like.model.records import RunRecord
from aletheia_like.ports.documents import Create, Delete, Update
from aletheia_like.testing.emulators import FirestoreEmulator
from aletheia_like.testing.lines import Line
from aletheia_like.testing.stores import FailingDocumentStore, RecordingDocumentStore

SECONDS = 30
"""The longest that a test waits for a change."""


@pytest.fixture(params=["memory", "embedded", "firestore"])
def exper(request, tmp_path):
    """An empty experiment in every kind of store."""
    url = {"memory": "memory://", "embedded": (tmp_path / "store").as_uri()}.get(request.param)
    if url is None:
        request.getfixturevalue("firestore_emulator")
        url = f"firestore://demo-{secrets.token_hex(6)}"
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        yield ms.exper("e")


@pytest.fixture
def local(tmp_path):
    """An empty experiment in memory."""
    with al.Metastore("p", url="memory://", cache_dir=tmp_path / "cache", git="off") as ms:
        yield ms.exper("e")


@pytest.fixture
def cloud(firestore_emulator, tmp_path):
    """An empty experiment in Firestore."""
    url = f"firestore://demo-{secrets.token_hex(6)}"
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        yield ms.exper("e")


def path(exper, id_):
    return f"{exper.path}/runs/{id_}"


def create(exper, *ids, **fields):
    fields = {"status": "running", **fields}
    exper._session.documents.apply([Create(path(exper, id_), fields) for id_ in ids])


def update(exper, id_, **fields):
    changes = {tuple(name.split("__")): value for name, value in fields.items()}
    exper._session.documents.apply([Update(path(exper, id_), changes)])


def delete(exper, *ids):
    exper._session.documents.apply([Delete(path(exper, id_)) for id_ in ids])


def take(changes, count):
    """Return the next so many changes."""
    return [next(changes) for _ in range(count)]


def told(changes, count):
    return [(one.kind, one.run.id, one.fields) for one in take(changes, count)]


def ids(changes, count):
    return {one.run.id for one in take(changes, count)}


def watch(exper, **options):
    return exper.watch(**{"interval": 0.05, "seconds": SECONDS, **options})


def wait_until(condition):
    until = time.monotonic() + SECONDS
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    assert condition()


def listening(changes):
    """Return once the listener has proved itself."""
    wait_until(lambda: changes._listener is not None and changes._listener.heard_at is not None)
    return changes


def listener_threads():
    return [one for one in threading.enumerate() if one.name == "aletheia-listener"]


def test_every_store_tells_the_same(exper):
    create(exper, "before")
    with watch(exper) as changes:
        create(exper, "a", metrics={"acc": 0.1}, hyper_params={"opt": {"lr": 0.5}})
        assert told(changes, 1) == [("added", "a", ())]
        update(exper, "a", metrics__acc=float("nan"), summary__loss={"last": 1.0, "min": 0.5})
        names = ("metrics.acc", "summary.loss.last", "summary.loss.min")
        assert told(changes, 1) == [("changed", "a", names)]
        update(exper, "a", metrics__acc=float("nan"), status="finished", tags=["x"])
        assert told(changes, 1) == [("changed", "a", ("status", "tags"))]
        update(exper, "a", hyper_params__opt={"lr": 0.25}, free={"field": 1})
        assert told(changes, 1) == [("changed", "a", ("hyper_params.opt.lr", "free.field"))]
        delete(exper, "a")
        assert told(changes, 1) == [("removed", "a", ())]
        update(exper, "before", notes="seen")
        assert told(changes, 1) == [("changed", "before", ("notes",))]


def test_changes_count_from_the_call_on(exper):
    changes = watch(exper)
    create(exper, "a")

    assert told(changes, 1) == [("added", "a", ())]


def test_what_exists_comes_first_if_asked(exper):
    with exper.start_run(id="z"):
        pass
    with exper.start_run(id="a"):
        pass

    with watch(exper, existing=True, seconds=2) as changes:
        assert told(changes, 2) == [("added", "z", ()), ("added", "a", ())]
        assert list(changes) == []


def test_a_real_run_from_start_to_end(exper):
    with watch(exper) as changes:
        with exper.start_run(hyper_params={"lr": 0.1}) as run:
            first = next(changes)
            assert (first.kind, first.run.id, first.run.status) == ("added", run.id, "running")
            run.add_metric("acc", 0.97)
        seen = []
        while "status" not in (seen[-1].fields if seen else ()):
            seen.append(next(changes))

    assert {one.kind for one in seen} == {"changed"}
    assert "metrics.acc" in {name for one in seen for name in one.fields}
    assert seen[-1].run.status == "finished"
    assert seen[-1].run.metrics == {"acc": 0.97}


def test_a_heartbeat_is_no_change(exper):
    create(exper, "a")
    with watch(exper) as changes:
        update(exper, "a", heartbeat_at=exper._session.clock())
        time.sleep(0.5)
        update(exper, "a", notes="now")

        assert told(changes, 1) == [("changed", "a", ("notes",))]


def test_a_run_that_falls_silent_is_lost_and_may_come_back(exper, monkeypatch):
    for module in (records, comparing):
        monkeypatch.setattr(module, "LOST_SECONDS", 1.0)
    create(exper, "a")
    with watch(exper) as changes:
        assert told(changes, 1) == [("changed", "a", ("status",))]
        assert [one.status for one in exper.runs()] == ["lost"]
        update(exper, "a", heartbeat_at=exper._session.clock())
        change = next(changes)

    assert (change.fields, change.run.status) == (("status",), "running")


def test_trial_runs_are_shown_if_asked(exper):
    with watch(exper) as changes, watch(exper, debug=True) as everything:
        create(exper, "trial", debug=True)
        create(exper, "real")

        assert told(changes, 1) == [("added", "real", ())]
        assert {one.run.id for one in take(everything, 2)} == {"real", "trial"}


def test_it_ends_after_its_seconds(exper):
    begun = time.monotonic()

    assert list(watch(exper, seconds=0.5)) == []
    assert 0.4 < time.monotonic() - begun < 5


def test_another_thread_may_close_it(exper):
    changes = watch(exper)
    threading.Timer(0.5, changes.close).start()
    begun = time.monotonic()

    assert list(changes) == []
    assert time.monotonic() - begun < 5
    assert "closed" in repr(changes)
    assert list(changes) == []


def test_options_that_make_no_sense_are_refused(local):
    for options in ({"interval": 0}, {"interval": float("nan")}, {"seconds": -1}):
        with pytest.raises(InvalidValueError):
            local.watch(**options)


def test_a_change_reads_well():
    before = RunRecord("p", "e", "1", metrics={"acc": 0.5})
    now = RunRecord("p", "e", "1", metrics={"acc": 0.97, "loss": 1.0}, status="finished")
    change = RunChange("changed", now, changed_names(before, now))

    shown = "<RunChange e/1 changed status='finished' metrics.acc=0.97 metrics.loss=1.0>"
    assert repr(change) == shown
    assert change.values == {"status": "finished", "metrics.acc": 0.97, "metrics.loss": 1.0}
    assert repr(RunChange("removed", now)) == "<RunChange e/1 removed finished>"
    gone = RunChange("changed", before, changed_names(now, before))
    assert gone.values["metrics.loss"] is None
    assert changed_names(now, now) == ()


OTHER_PROCESS = """
import sys
import aletheia_like as al
with al.Metastore("p", url=sys.argv[1], cache_dir=sys.argv[2], git="off") as ms:
    for number in range(int(sys.argv[3])):
        with ms.exper("e").start_run() as run:
            run.add_metric("acc", number)
"""


def test_runs_of_other_processes_are_seen(ms, store_url, tmp_path):
    exper = ms.exper("e")
    command = [sys.executable, "-c", OTHER_PROCESS, store_url, str(tmp_path / "c"), "4"]
    with watch(exper, seconds=120) as changes:
        others = [subprocess.Popen(command) for _ in range(2)]
        last = {}
        while [run.status for run in last.values()].count("finished") < 8:
            change = next(changes)
            last[change.run.id] = change.run

    assert [other.wait(60) for other in others] == [0, 0]
    assert sorted(last, key=int) == [str(number) for number in range(1, 9)]
    assert sorted(run.metrics["acc"] for run in last.values()) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_an_outage_is_told_once_and_hides_nothing(local, caplog):
    create(local, "a", "b")
    session = local._session
    steady = session.documents
    session.documents = FailingDocumentStore(steady)
    with caplog.at_level(logging.WARNING, "aletheia"), watch(local) as changes:
        session.documents.outage.begin(20)
        steady.apply([Create(path(local, "c"), {"status": "running"}), Delete(path(local, "a"))])
        steady.apply([Update(path(local, "b"), {("notes",): "changed"})])
        seen = told(changes, 3)

    assert set(seen) == {("added", "c", ()), ("removed", "a", ()), ("changed", "b", ("notes",))}
    assert [one.getMessage().partition(";")[0] for one in caplog.records] == [
        "an outage on purpose, 19 more to come"
    ]


def test_an_outage_in_the_midst_of_an_answer_hides_nothing(local):
    class Breaking(MemoryDocumentStore):
        breaks = 0

        def query(self, query):
            answer = super().query(query)
            if self.breaks:
                self.breaks -= 1
                yield next(answer)
                message = "broken off"
                raise UnavailableError(message)
            yield from answer

    store = local._session.documents = Breaking()
    create(local, "a", "b", "c")
    with watch(local) as changes:
        store.breaks = 3
        create(local, "d")

        assert told(changes, 1) == [("added", "d", ())]


def test_beginning_without_a_store_is_an_error(local):
    local._session.documents = FailingDocumentStore(local._session.documents)
    local._session.documents.outage.begin(1)

    with pytest.raises(UnavailableError):
        local.watch()


def test_looking_takes_a_small_part_of_the_time(local):
    class Slow(RecordingDocumentStore):
        def query(self, query):
            time.sleep(0.1)
            return super().query(query)

    local._session.documents = store = Slow(local._session.documents)
    assert list(watch(local, interval=0.01, seconds=3)) == []

    # Once at least, on a machine so busy that the first look takes seconds.
    assert 1 <= len(store.queries) <= 3


def test_a_cut_line_is_overcome(firestore_emulator, tmp_path, monkeypatch, caplog):
    project = f"demo-{secrets.token_hex(6)}"
    steady = FirestoreDocumentStore(project)
    steady.get("projects/p")
    with Line(firestore_emulator) as line:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", line.host)
        monkeypatch.setenv("ALETHEIA_TIMEOUT", "2")
        ms = al.Metastore(
            "p", url=f"firestore://{project}", cache_dir=tmp_path / "cache", git="off"
        )
        exper = ms.exper("e")
        collection = f"{exper.path}/runs"
        with caplog.at_level(logging.WARNING, "aletheia"), watch(exper, seconds=90) as changes:
            for turn in range(2):
                listening(changes)
                steady.apply([Create(f"{collection}/early {turn}", {"status": "running"})])
                assert told(changes, 1) == [("added", f"early {turn}", ())]
                line.cut()
                if turn:
                    line.mend()  # A line that comes back before anybody looks.
                else:
                    threading.Timer(6, line.mend).start()
                steady.apply([Create(f"{collection}/late {turn}", {"status": "running"})])
                steady.apply([Delete(f"{collection}/early {turn}")])
                seen = told(changes, 2)
                assert set(seen) == {
                    ("added", f"late {turn}", ()),
                    ("removed", f"early {turn}", ()),
                }
        ms.close()
    steady.close()

    told_once = [one for one in caplog.records if "watching goes on" in one.getMessage()]
    assert len(told_once) == 1


def test_a_server_that_dies_and_comes_back_empty_is_believed(
    firestore_emulator, tmp_path, monkeypatch
):
    with FirestoreEmulator() as server:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", server.host)
        url = f"firestore://demo-{secrets.token_hex(6)}"
        with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
            exper = ms.exper("e")
            create(exper, "a")
            with watch(exper, seconds=90) as changes:
                listening(changes)
                server.kill()
                server.start()

                assert told(changes, 1) == [("removed", "a", ())]
                create(exper, "b")
                assert told(changes, 1) == [("added", "b", ())]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_listener_that_is_killed_is_replaced(cloud):
    with watch(cloud) as changes:
        listening(changes)
        first = changes._listener
        thread = first._thread
        # As silently as a thread can end.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
        )
        create(cloud, "a")
        assert told(changes, 1) == [("added", "a", ())]
        wait_until(lambda: not thread.is_alive())
        create(cloud, "b")
        assert told(changes, 1) == [("added", "b", ())]
        number = 0
        while changes._listener in (first, None):
            number += 1
            create(cloud, f"more {number}")
            assert told(changes, 1) == [("added", f"more {number}", ())]
            time.sleep(0.2)
        listening(changes)

    assert "closed" in repr(changes)


class DeafListener:
    """Seems alive, and never tells anything."""

    heard_at = 0.0

    def __init__(self):
        self.closed = False

    def is_alive(self):
        return not self.closed

    def close(self):
        self.closed = True


class DeafDocumentStore(MemoryDocumentStore):
    def __init__(self):
        super().__init__()
        self.listeners = []

    def listen(self, collection, known, since, wake):
        self.listeners.append(DeafListener())
        return self.listeners[-1]


def test_a_deaf_listener_delays_changes_until_the_watchdog_looks(local, monkeypatch):
    monkeypatch.setattr(watching, "_WATCHDOG_SECONDS", 1.0)
    monkeypatch.setattr(watching, "_DEAF_SECONDS", 0.2)
    store = local._session.documents = DeafDocumentStore()
    begun = time.monotonic()
    with watch(local) as changes:
        create(local, "a")

        assert told(changes, 1) == [("added", "a", ())]
        assert time.monotonic() - begun > 0.9
        assert [one.closed for one in store.listeners] == [True, False]
    assert store.listeners[-1].closed


def test_a_store_that_refuses_to_be_listened_to_is_looked_at(local):
    class Refusing(DeafDocumentStore):
        def listen(self, collection, known, since, wake):
            listener = super().listen(collection, known, since, wake)
            listener.close()
            listener.heard_at = None
            return listener

    store = local._session.documents = Refusing()
    with watch(local) as changes:
        for number in range(20):
            create(local, str(number))
            assert told(changes, 1) == [("added", str(number), ())]

    assert len(store.listeners) <= 2  # One at the beginning, another after a second or more.


def test_without_listening_firestore_is_looked_at(cloud):
    with watch(cloud, listen=False) as changes:
        create(cloud, "a")

        assert told(changes, 1) == [("added", "a", ())]
        assert "looking" in repr(changes)
        assert listener_threads() == []


def test_a_listener_costs_two_reads_a_change_and_none_when_nothing_happens(cloud):
    create(cloud, *"abcdefgh")
    usage = cloud._session.usage
    before = usage.snapshot()
    with watch(cloud) as changes:
        assert (usage.snapshot() - before).document_reads == 8
        listening(changes)
        before = usage.snapshot()
        update(cloud, "c", notes="n")
        take(changes, 1)
        assert (usage.snapshot() - before).document_reads == 2

        before = usage.snapshot()
        threading.Timer(2, changes.close).start()
        assert list(changes) == []
        assert (usage.snapshot() - before).document_reads == 0


def test_leaving_the_loop_ends_the_listener(cloud):
    create(cloud, "a")
    for change in watch(cloud, existing=True):
        assert change.run.id == "a"
        wait_until(listener_threads)
        break
    gc.collect()

    wait_until(lambda: not listener_threads())


WATCHING = """
import sys
import aletheia_like as al
exper = al.Metastore("p", url=sys.argv[1], cache_dir=sys.argv[2], git="off").exper("e")
changes = exper.watch()
print("ready", flush=True)
for change in changes:
    print(change, flush=True)
"""


@pytest.mark.parametrize("server_is_there", [True, False])
def test_ctrl_c_works_at_once(ms, store_url, tmp_path, server_is_there, monkeypatch, request):
    if not server_is_there:
        if not store_url.startswith("firestore"):
            pytest.skip("an embedded store is always there")
        line = Line(request.getfixturevalue("firestore_emulator"))
        line.mend()
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", line.host)
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHING, store_url, str(tmp_path / "c")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(1)
    if not server_is_there:
        line.cut()
        time.sleep(2)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert "KeyboardInterrupt" in said
    assert process.returncode in (1, -signal.SIGINT)
    assert time.monotonic() - begun < 5
