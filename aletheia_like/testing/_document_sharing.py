"""The part of the suite about many users of one store: threads, and a child after a fork."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from aletheia_like.errors import AlreadyExistsError, ConflictError
from aletheia_like.ports.documents import Create, DocumentStore, Query, Update
from aletheia_like.testing._document_hooks import DocumentStoreHooks
from aletheia_like.testing._document_writes import there

THREADS = 8
_CHILD_SECONDS = 60.0


def increment(store: DocumentStore, path: str) -> None:
    """Add one to the field `n`, as everything that counts must: read, compare, write, repeat."""
    pause = 0.001
    while True:
        document = there(store, path)
        try:
            store.apply(
                [Update(path, {("n",): document.fields["n"] + 1}, if_revision=document.revision)]
            )
        except ConflictError:
            time.sleep(random.uniform(0, pause))  # noqa: S311 - spreads the contenders
            pause = min(pause * 2, 0.25)
        else:
            return


def in_child(action: Callable[[], object]) -> int:
    """Do `action` in a forked child; return the child's exit status, 0 if all went well.

    Raises:
        TimeoutError: The child did not come to an end; it was killed.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            status = 0
        except BaseException:  # noqa: BLE001 - a child must never return into the test
            traceback.print_exc()
        finally:
            os._exit(status)
    deadline = time.monotonic() + _CHILD_SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    message = f"the child did not end within {_CHILD_SECONDS:.0f} s"
    raise TimeoutError(message)


def all_done(actions: list[Callable[[], object]]) -> list[object]:
    """Do all at once, each in a thread of its own; raises the first error."""
    barrier = threading.Barrier(len(actions))

    def start(action: Callable[[], object]) -> object:
        barrier.wait(30)
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(start, actions))


class SharingSuite(DocumentStoreHooks):
    """Nothing is lost and nothing is seen half, however many write at once."""

    def test_concurrent_increments_are_all_counted(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"n": 0})])

        def work() -> None:
            for _ in range(10):
                increment(store, base)

        all_done([work] * THREADS)

        assert there(store, base).fields == {"n": 10 * THREADS}

    def test_a_race_to_create_has_one_winner(self, store: DocumentStore, base: str) -> None:
        def attempt(number: int) -> bool:
            try:
                store.apply([Create(f"{base}/of/{number}", {}), Create(base, {"by": number})])
            except AlreadyExistsError:
                return False
            return True

        won = all_done([lambda n=n: attempt(n) for n in range(2 * THREADS)])  # type: ignore[misc]

        assert won.count(True) == 1
        assert there(store, base).fields == {"by": won.index(True)}
        assert [document.id for document in store.query(Query(f"{base}/of"))] == [
            str(won.index(True))
        ]

    def test_an_apply_is_seen_whole(self, store: DocumentStore, base: str) -> None:
        paths = [f"{base}/c/{number}" for number in range(5)]
        store.apply([Create(path, {"n": 0}) for path in paths])
        stop = threading.Event()

        def write() -> None:
            for number in range(1, 31):
                store.apply([Update(path, {("n",): number}) for path in paths])
            stop.set()

        def read() -> set[int]:
            spread = {1}
            while not stop.is_set():
                found = store.get_many(paths)
                spread.add(len({one.fields["n"] for one in found if one is not None}))
                answer = store.query(Query(f"{base}/c"))
                spread.add(len({one.fields["n"] for one in answer}))
            return spread

        outcomes = all_done([write, read, read])

        assert outcomes[1:] == [{1}, {1}]

    def test_many_threads_use_one_store(self, store: DocumentStore, base: str) -> None:
        def work(thread: int) -> list[object]:
            path = f"{base}/c/{thread}"
            store.apply([Create(path, {"seen": []})])
            for number in range(10):
                seen = [*there(store, path).fields["seen"], number]
                store.apply([Update(path, {("seen",): seen})])
            return there(store, path).fields["seen"]  # type: ignore[no-any-return]

        seen = all_done([lambda n=n: work(n) for n in range(THREADS)])  # type: ignore[misc]

        assert seen == [list(range(10))] * THREADS
        assert len(list(store.query(Query(f"{base}/c")))) == THREADS

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_a_child_and_its_parent_both_go_on(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"n": 0})])

        def use() -> None:
            assert there(store, base).fields == {"n": 0}
            store.apply([Create(f"{base}/c/child", {"pid": os.getpid()})])
            assert there(store, f"{base}/c/child").fields == {"pid": os.getpid()}

        assert in_child(use) == 0

        store.apply([Update(base, {("n",): 1}), Create(f"{base}/c/parent", {})])
        found = [document.id for document in store.query(Query(f"{base}/c"))]
        assert found == (["child", "parent"] if self.shared else ["parent"])
        assert there(store, base).fields == {"n": 1}

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_a_child_of_a_busy_parent_goes_on(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"n": 0})])
        stop = threading.Event()

        def keep_writing() -> int:
            number = 0
            while not stop.is_set():
                number += 1
                store.apply([Update(base, {("n",): number})])
            return number

        with ThreadPoolExecutor(2) as pool:
            written = pool.submit(keep_writing)
            children = [
                in_child(lambda n=n: store.apply([Create(f"{base}/c/{n}", {})]))  # type: ignore[misc]
                for n in range(3)
            ]
            stop.set()
            last = written.result(timeout=_CHILD_SECONDS)

        assert children == [0, 0, 0]
        assert there(store, base).fields == {"n": last}
        if self.shared:
            assert len(list(store.query(Query(f"{base}/c")))) == 3
