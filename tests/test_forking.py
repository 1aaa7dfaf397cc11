"""A store goes on after `fork`, whatever was under way."""  # facts: fork and gRPC

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
import time
import weakref
from contextlib import ExitStack

import pytest

from aletheia_like.adapters._clients import ForkGate, PerProcess
from aletheia_like.ports.documents import Create, Query, Update
from aletheia_like.testing.documents import in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

CHILDREN = 30


def busy(store, stop, failures):
    while not stop.is_set():
        try:
            store.get("c/shared")
            store.apply([Update("c/shared", {("at",): time.time()})])
        except Exception as error:  # noqa: BLE001 - any error of the parent is a failure
            failures.append(error)


def work(store, number):
    assert store.get("c/shared") is not None
    store.apply([Create(f"children/{number}", {"pid": os.getpid()})])
    assert store.get(f"children/{number}").fields == {"pid": os.getpid()}


def test_thirty_workers_of_a_busy_parent_use_its_store(firestore_store):
    # As a DataLoader does: workers are forked while threads of the parent talk to the store.
    firestore_store.apply([Create("c/shared", {"at": 0.0})])
    stop, failures = threading.Event(), []
    threads = [
        threading.Thread(target=busy, args=(firestore_store, stop, failures)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    fork = multiprocessing.get_context("fork")
    exits = []
    for first in range(0, CHILDREN, 3):
        workers = [
            fork.Process(target=work, args=(firestore_store, number), daemon=True)
            for number in range(first, first + 3)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
            exits.append(worker.exitcode)
    stop.set()
    for thread in threads:
        thread.join(30)

    assert exits == [0] * CHILDREN
    assert failures == []
    assert len(list(firestore_store.query(Query("children")))) == CHILDREN


def test_a_grandchild_goes_on(firestore_store):
    firestore_store.apply([Create("c/shared", {})])

    def generation():
        work(firestore_store, "child")
        assert in_child(lambda: work(firestore_store, "grandchild")) == 0

    assert in_child(generation) == 0
    assert len(list(firestore_store.query(Query("children")))) == 2


def test_a_fork_in_the_midst_of_an_answer(firestore_store):
    firestore_store.apply([Create(f"c/{number}", {}) for number in range(9)])
    answer = firestore_store.query(Query("c"))
    next(answer)

    assert in_child(lambda: list(firestore_store.query(Query("c")))) == 0
    assert len(list(answer)) == 8


def test_a_fork_waits_for_requests_and_holds_new_ones():
    gate = ForkGate()
    events = []
    inside, leave = threading.Event(), threading.Event()

    def early():
        with gate.request():
            inside.set()
            leave.wait(10)
            events.append("early request ended")

    def late():
        with gate.request():
            events.append("late request")

    threads = [threading.Thread(target=early)]
    threads[0].start()
    inside.wait(10)
    threads.append(threading.Thread(target=gate._before))
    threads[1].start()
    while not gate._forking:
        time.sleep(0.001)
    threads.append(threading.Thread(target=late))
    threads[2].start()
    time.sleep(0.05)
    leave.set()
    threads[1].join(10)
    events.append("fork")
    gate._forking.clear()
    gate._after()
    for thread in threads:
        thread.join(10)

    assert events == ["early request ended", "fork", "late request"]


def test_a_fork_inside_a_request_does_not_wait_for_itself():
    gate = ForkGate()
    begun = time.monotonic()

    with gate.request():
        assert in_child(lambda: gate.request().__enter__()) == 0

    assert time.monotonic() - begun < 5


def test_requests_inside_requests_pass_a_closed_gate():
    gate = ForkGate()

    with gate.request():
        gate._forking.add(0)
        with gate.request():
            gate._forking.discard(0)

    assert gate._flying == {}


def test_a_fork_while_another_thread_builds_the_client():
    building, go_on = threading.Event(), threading.Event()

    def build():
        if threading.current_thread() is not threading.main_thread():
            building.set()
            go_on.wait(10)
        return os.getpid()

    clients = PerProcess(build)
    thread = threading.Thread(target=clients.get)
    thread.start()
    building.wait(10)

    def check():
        assert clients.get() == os.getpid()

    assert in_child(check) == 0
    go_on.set()
    thread.join(10)
    assert clients.get() == os.getpid()


def test_each_process_builds_one_client():
    built = []
    clients = PerProcess(lambda: built.append(os.getpid()) or object())
    start = threading.Barrier(8)

    def get():
        start.wait(10)
        clients.get()

    with ExitStack() as stack:
        for _ in range(8):
            thread = threading.Thread(target=get)
            thread.start()
            stack.callback(thread.join)

    assert built == [os.getpid()]


def test_a_gate_that_nobody_holds_is_freed():
    gate = ForkGate()
    seen = weakref.ref(gate)

    del gate
    gc.collect()

    assert seen() is None
    assert in_child(lambda: None) == 0
