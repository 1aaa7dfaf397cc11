"""Stop requests reach a live run, from anywhere, and it never waits for them."""

from __future__ import annotations

import gc
import os
import secrets
import subprocess
import sys
import threading
import time

import pytest

import aletheia_like as al
from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.errors import (
    AccessDeniedError,
    NotFoundError,
    RunStateError,
    UnavailableError,
)
from aletheia_like.metastore.stopping import FIELD, StopRequests, request_stop
from aletheia_like.testing.documents import in_child
from aletheia_like.testing.stores import FailingDocumentStore

SECONDS = 15


@pytest.fixture(params=["memory", "embedded", "firestore"])
def run(request, tmp_path):
    """A live run in every kind of store."""
    url = {"memory": "memory://", "embedded": (tmp_path / "store").as_uri()}.get(request.param)
    if url is None:
        request.getfixturevalue("firestore_emulator")
        url = f"firestore://demo-{secrets.token_hex(6)}"
    with (
        al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms,
        ms.exper("e").start_run() as started,
    ):
        yield started


@pytest.fixture
def local_run(metastore):
    with metastore.exper("e").start_run() as started:
        yield started


def requests_of(run, **options):
    return StopRequests(run._session, run._path, **{"interval": 0.05, **options})


def ask(run, reason=None):
    request_stop(run._session, run._path, reason)


def stored(run):
    return run._session.documents.get(run._path).fields


def comes(condition):
    until = time.monotonic() + SECONDS
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def threads():
    return [one for one in threading.enumerate() if one.name == "aletheia-stop"]


@pytest.fixture(autouse=True)
def no_threads_of_earlier_tests():
    assert comes(lambda: not threads())


def test_a_request_is_seen(run):
    requests = requests_of(run)
    time.sleep(0.2)
    assert not requests.seen

    ask(run, "enough")

    assert comes(lambda: requests.seen)
    assert comes(lambda: not threads())
    assert requests.seen


def test_a_loop_ends_when_a_reader_of_the_run_asks(run):
    reader = run.experiment.run(run.id)
    assert not reader.stop_requested
    reader.request_stop("enough")

    assert comes(lambda: run.stop_requested)
    assert run.experiment.run(run.id).stop_requested


def test_a_resumed_run_does_not_stop_for_the_request_to_the_first(run):
    run.request_stop()
    run.finish()
    with run.experiment.start_run(id=run.id, resume="must") as again:
        assert not again.stop_requested
        time.sleep(0.5)
        assert not again.stop_requested


def test_a_request_changes_nothing_else(run):
    run.add_metric("acc", 0.5)
    run.flush()
    before = stored(run)

    ask(run, "enough")
    run.add_metric("acc", 0.6)
    run.flush()

    after = stored(run)
    request = after.pop(FIELD)
    assert set(request) == {"at", "by", "reason"}
    assert request["reason"] == "enough"
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed <= {"metrics", "heartbeat_at", "environment"}
    assert after["metrics"] == {"acc": 0.6}


def test_a_run_that_has_ended_refuses(run):
    run.finish()

    with pytest.raises(RunStateError, match="finished"):
        ask(run)
    assert FIELD not in stored(run)


def test_no_run_no_request(local_run):
    with pytest.raises(NotFoundError):
        request_stop(local_run._session, f"{local_run._path}0")


def test_a_request_to_the_run_before_it_was_resumed_is_answered(run):
    ask(run)
    requests = requests_of(run, answered=stored(run)[FIELD])
    assert not requests.seen
    time.sleep(0.3)
    assert not requests.seen

    ask(run)

    assert comes(lambda: requests.seen)


def test_nothing_is_read_until_somebody_wants_to_know(local_run):
    requests = requests_of(local_run)
    time.sleep(0.2)
    assert threads() == []

    assert not requests.seen
    assert len(threads()) == 1


def test_asking_never_waits_for_the_store(local_run):
    leave = threading.Event()

    class Hanging(MemoryDocumentStore):
        def get(self, path):
            leave.wait(SECONDS)
            return super().get(path)

    local_run._session.documents, documents = Hanging(), local_run._session.documents
    requests = requests_of(local_run)
    begun = time.monotonic()

    assert not any(requests.seen for _ in range(10_000))
    assert time.monotonic() - begun < 1
    assert len(threads()) == 1
    leave.set()
    local_run._session.documents = documents


def test_an_outage_only_delays_it(local_run):
    steady = local_run._session.documents
    local_run._session.documents = failing = FailingDocumentStore(steady)
    failing.outage.begin(5)
    requests = requests_of(local_run)
    assert not requests.seen
    assert comes(lambda: failing.outage.met == 5)

    ask(local_run)

    assert comes(lambda: requests.seen)


def test_a_store_that_forbids_it_is_told_once(local_run, caplog):
    class Forbidding(MemoryDocumentStore):
        asked = 0

        def get(self, path):
            self.asked += 1
            message = "not for you"
            raise AccessDeniedError(message)

    local_run._session.documents, documents = Forbidding(), local_run._session.documents
    requests = requests_of(local_run)
    assert not requests.seen
    assert comes(lambda: local_run._session.documents.asked > 3)
    local_run._session.documents = documents
    requests.close()

    assert ["not for you" in one.getMessage() for one in caplog.records] == [True]


def test_its_thread_ends_with_the_run(local_run):
    requests = requests_of(local_run)
    assert not requests.seen
    assert len(threads()) == 1

    local_run.finish()

    assert comes(lambda: not threads())
    assert not requests.seen


def test_its_thread_ends_when_it_is_closed_or_gone(local_run):
    closed, dropped = (requests_of(local_run, interval=0.3) for _ in range(2))
    assert not closed.seen
    assert not dropped.seen
    assert len(threads()) == 2

    closed.close()
    del dropped
    gc.collect()

    assert comes(lambda: not threads())
    assert not closed.seen
    assert threads() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_worker_sees_it_too(ms):
    with ms.exper("e").start_run() as run:
        requests = requests_of(run)
        assert not requests.seen

        def child():
            assert not requests.seen
            ask(run)
            assert comes(lambda: requests.seen)

        assert in_child(child) == 0
        assert comes(lambda: requests.seen)


OTHER_PROCESS = """
import sys
import aletheia_like as al
from aletheia_like.metastore.stopping import request_stop
with al.Metastore("p", url=sys.argv[1], cache_dir=sys.argv[2], git="off") as ms:
    run = ms.experiment("e").run(sys.argv[3])
    request_stop(run._session, run._path, "from elsewhere")
"""


def test_another_process_asks(ms, store_url, tmp_path):
    with ms.exper("e").start_run() as run:
        requests = requests_of(run)
        assert not requests.seen
        command = [sys.executable, "-c", OTHER_PROCESS, store_url, str(tmp_path / "c"), run.id]
        subprocess.run(command, check=True, timeout=60)

        assert comes(lambda: requests.seen)
    assert ms.exper("e").run(run.id)._fields[FIELD]["reason"] == "from elsewhere"


def test_it_never_holds_the_interpreter(tmp_path):
    program = (
        "import sys, aletheia_like as al\n"
        "from aletheia_like.metastore.stopping import StopRequests\n"
        "ms = al.Metastore('p', url=sys.argv[1], cache_dir=sys.argv[2], git='off')\n"
        "run = ms.exper('e').start_run()\n"
        "requests = StopRequests(run._session, run._path)\n"
        "print(requests.seen)"
    )
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, (tmp_path / "s").as_uri(), str(tmp_path / "c")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
    assert time.monotonic() - begun < 10


def test_asking_without_a_store_is_an_error(local_run):
    local_run._session.documents = FailingDocumentStore(local_run._session.documents)
    local_run._session.documents.outage.begin(1)

    with pytest.raises(UnavailableError):
        ask(local_run)
