"""What is Firestore's own: outages, credentials, databases, contention, large answers."""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psutil
import pytest
from google.cloud import firestore

from aletheia_like.adapters import firestore as adapter
from aletheia_like.adapters.firestore import FirestoreDocumentStore
from aletheia_like.adapters.retrying import RetryingDocumentStore
from aletheia_like.errors import (
    ConflictError,
    SettingsError,
    UnavailableError,
)
from aletheia_like.ports.documents import Create, Delete, Filter, Order, Query, Update
from aletheia_like.testing.documents import increment
from aletheia_like.testing.emulators import FirestoreEmulator

SECONDS = 10
"""A read of a store that is gone fails within this time."""
SHORT = 2
"""Seconds to try again where that is no matter of deadlines."""


@pytest.fixture(scope="session")
def mortal(firestore_emulator):
    """One more emulator: starting it takes longer than most tests."""
    with FirestoreEmulator() as started:
        yield started


@pytest.fixture
def server(mortal, monkeypatch):
    """An emulator that a test may kill."""
    mortal.start()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", mortal.host)
    return mortal


@pytest.fixture
def production(monkeypatch, tmp_path):
    """No emulator, and nobody's credentials."""
    for name in ("FIRESTORE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def new_store(**options):
    return closing(FirestoreDocumentStore(f"demo-{os.urandom(4).hex()}", **options))


def check_fails_soon(store, **options):
    store = RetryingDocumentStore(store, **options)
    actions = (
        lambda: store.get("c/d"),
        lambda: store.get_many(["c/d", "c/e"]),
        lambda: list(store.query(Query("c"))),
        lambda: store.apply([Create("c/d", {})]),
    )

    def check(action):
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="cannot be reached"):
            action()
        return time.monotonic() - begun

    with ThreadPoolExecutor(len(actions)) as pool:
        assert max(pool.map(check, actions)) < SECONDS


def test_a_dead_emulator_fails_soon(server):
    with new_store() as store:
        store.get("c/d")
        server.kill()

        check_fails_soon(store, deadline=SHORT)


def test_a_hung_emulator_fails_soon(server):
    with new_store() as store:
        store.get("c/d")
        os.killpg(server.pid, signal.SIGSTOP)
        # It goes on for a moment, and might answer.
        while psutil.Process(server.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)

        try:
            check_fails_soon(store)
        finally:
            os.killpg(server.pid, signal.SIGCONT)

        assert store.get("c/d") is None


def test_a_host_that_never_was_fails_soon(monkeypatch):
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    with new_store() as store:
        check_fails_soon(store, deadline=SHORT)


def test_a_port_that_swallows_everything_fails_soon(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{silent.getsockname()[1]}")
        with new_store() as store:
            check_fails_soon(store)


def test_an_outage_is_overcome(server):
    with new_store() as store:
        patient = RetryingDocumentStore(store, deadline=60)
        patient.get("c/d")
        server.kill()
        thread = threading.Thread(target=server.start)
        thread.start()

        patient.apply([Create("c/d", {"a": 1})])

        thread.join()
        assert store.get("c/d").fields == {"a": 1}


def test_the_server_is_found_again_soon_after_a_long_outage(server):
    with new_store() as store:
        store.get("c/d")
        server.kill()
        until = time.monotonic() + 8
        while time.monotonic() < until:
            with pytest.raises(UnavailableError):
                store.get("c/d")
            time.sleep(0.2)
        server.start()

        assert RetryingDocumentStore(store, deadline=20).get("c/d") is None


def test_an_emulator_is_host_and_port(monkeypatch):
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "http://127.0.0.1:8080")

    with new_store() as store, pytest.raises(SettingsError, match="FIRESTORE_EMULATOR_HOST"):
        store.get("c/d")


def test_what_is_no_firestore_is_said_to_be_none(gcs_emulator, monkeypatch):
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", gcs_emulator.partition("//")[2])

    with new_store() as store, pytest.raises((SettingsError, UnavailableError)):
        store.get("c/d")


@pytest.mark.usefixtures("production")
def test_missing_credentials_are_told():  # M2
    with new_store() as store, pytest.raises(SettingsError) as caught:
        store.get("c/d")

    for remedy in (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "gcloud auth application-default login",
        "FIRESTORE_EMULATOR_HOST",
    ):
        assert remedy in str(caught.value)


@pytest.mark.usefixtures("production")
@pytest.mark.parametrize(
    "content",
    [
        None,
        "{",
        json.dumps({"type": "service_account", "private_key": "do not show"}),
        json.dumps({"type": "unheard of"}),
    ],
)
def test_unusable_credentials_are_told_and_not_shown(content, monkeypatch, tmp_path):
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))

    with new_store() as store, pytest.raises(SettingsError, match=r"key\.json") as caught:
        store.get("c/d")

    assert "do not show" not in str(caught.value)


def test_opening_touches_nothing():
    code = (
        "import sys\n"
        "from aletheia_like.adapters.firestore import FirestoreDocumentStore\n"
        "FirestoreDocumentStore('p').close()\n"
        "assert not [name for name in sys.modules if name.startswith(('google', 'grpc'))]\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=60)


def test_databases_are_apart(firestore_store):
    with closing(FirestoreDocumentStore(firestore_store._project, "other")) as other:
        other.apply([Create("c/d", {"a": 1})])

        assert other.get("c/d").fields == {"a": 1}
        assert firestore_store.get("c/d") is None


def test_a_conflict_and_a_missing_document_are_told_apart(firestore_store):
    [revision] = firestore_store.apply([Create("index/databases", {"a": 1})])
    firestore_store.apply([Delete("index/databases")])

    with pytest.raises(ConflictError, match="index/databases"):
        firestore_store.apply([Update("index/databases", {("a",): 2}, revision)])
    with pytest.raises(LookupError, match="index/databases"):
        firestore_store.apply([Update("index/databases", {("a",): 2})])


def test_a_foreign_revision_is_a_conflict(firestore_store):
    firestore_store.apply([Create("c/d", {})])

    with pytest.raises(ConflictError, match="never a revision"):
        firestore_store.apply([Delete("c/d", "of another store")])


def test_times_keep_what_was_stored(firestore_store):
    moment = dt.datetime(2026, 1, 31, 23, 59, 59, 123456, tzinfo=dt.UTC)
    firestore_store.apply([Create("c/d", {"at": moment})])

    found = firestore_store.get("c/d")

    assert found.fields == {"at": moment}
    assert type(found.fields["at"]) is dt.datetime
    assert type(found.updated_at) is dt.datetime


def test_values_only_the_console_makes_can_be_read(firestore_store):
    client = firestore.Client(project=firestore_store._project)
    fields = {"where": firestore.GeoPoint(50.8, 4.4), "what": client.document("c/other")}
    client.document("c/d").create(fields)

    found = firestore_store.get("c/d").fields

    assert found["where"] == {"latitude": 50.8, "longitude": 4.4}
    assert found["what"].endswith("/documents/c/other")


@pytest.mark.parametrize(
    "orders",
    [(), (Order(("n",)),), (Order(("n",), descending=True), Order(("m", "a.b")))],
)
def test_pages_follow_each_other(firestore_store, orders, monkeypatch):
    monkeypatch.setattr(adapter, "_PAGE_DOCUMENTS", 7)
    values = [None, True, 1, 1.5, "x", [1], {"a": 1}, float("nan")]
    fields = [{"n": values[n % len(values)], "m": {"a.b": n % 3}} for n in range(60)]
    firestore_store.apply([Create(f"c/{n:02}", one) for n, one in enumerate(fields)])
    pages = [one.id for one in firestore_store.query(Query("c", (), orders))]

    monkeypatch.setattr(adapter, "_PAGE_DOCUMENTS", 1000)

    assert pages == [one.id for one in firestore_store.query(Query("c", (), orders))]
    assert len(pages) == 60


def test_an_answer_of_several_pages_shows_one_moment(firestore_store, monkeypatch):
    monkeypatch.setattr(adapter, "_PAGE_DOCUMENTS", 10)
    paths = [f"c/{n:02}" for n in range(50)]
    firestore_store.apply([Create(path, {"n": 1}) for path in paths])

    answer = firestore_store.query(Query("c"))
    first = next(answer)
    firestore_store.apply([Update(path, {("n",): 2}) for path in paths[:40]])
    firestore_store.apply([Delete(path) for path in paths[40:]])

    assert [one.fields for one in (first, *answer)] == [{"n": 1}] * 50


def test_large_documents_come_in_small_pages(firestore_store):
    text = "x" * 900_000
    for number in range(24):
        firestore_store.apply([Create(f"c/{number:02}", {"text": text, "n": number})])
    query = Query("c", (Filter(("n",), ">=", 2),), (Order(("n",)),), limit=20)

    found = list(firestore_store.query(query))
    read = firestore_store.get_many([f"c/{number:02}" for number in range(24)] * 2)

    assert [one.fields["n"] for one in found] == list(range(2, 22))
    assert [one.fields["n"] for one in read] == [*range(24), *range(24)]


def test_a_slow_line_makes_an_answer_late_not_impossible(firestore_emulator, monkeypatch):
    with (
        slow_line(firestore_emulator, bytes_per_second=2_000_000) as host,
        new_store() as direct,
    ):
        for number in range(6):
            direct.apply([Create(f"c/{number}", {"text": "x" * 900_000})])
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", host)
        with closing(FirestoreDocumentStore(direct._project, timeout=1.5)) as slow:
            queried = [one.id for one in slow.query(Query("c"))]
            read = slow.get_many([f"c/{number}" for number in range(6)])

    assert queried == list("012345")
    assert [one.id for one in read] == queried


class slow_line:  # noqa: N801 - reads as what it is
    """A relay in front of a server that lets few bytes through."""

    def __init__(self, host, bytes_per_second):
        self._target = host.rsplit(":", 1)
        self._rate = bytes_per_second

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection((self._target[0], int(self._target[1])))
            for source, sink in ((near, far), (far, near)):
                sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source, sink):
        try:
            while data := source.recv(20_000):
                sink.sendall(data)
                time.sleep(len(data) / self._rate)
        except OSError:
            pass
        finally:
            sink.close()


def count(project, times):
    store = FirestoreDocumentStore(project)
    for _ in range(times):
        increment(store, "c/counter")


def test_increments_of_eight_processes_are_all_counted(firestore_store):
    firestore_store.apply([Create("c/counter", {"n": 0})])
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=count, args=(firestore_store._project, 25)) for _ in range(8)]

    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)

    assert [worker.exitcode for worker in workers] == [0] * 8
    assert firestore_store.get("c/counter").fields == {"n": 200}
