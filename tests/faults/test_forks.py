"""Processes, threads and tasks that log into one run: no deadlock, no row lost or doubled."""

from __future__ import annotations

import os
from collections import Counter

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

BUSY = """
ms = opened()
ms.session.recorder._interval = 0.1
exper = ms.exper("e")
def busy(who):
    index = 0
    while not stop.is_set():
        run.log(who=who, i=index)
        run.add_metric(f"m{who}", index)
        index += 1
        time.sleep(0.0005)
    ack("logged", run.id, who, index)

def work(who, count=50):
    for index in range(count):
        run.log(who=who, i=index)
    ack("logged", run.id, who, count)
"""
BEGIN = """
run = exper.start_run()
stop = threading.Event()
threads = [threading.Thread(target=busy, args=(f"thread-{n}",)) for n in range(2)]
for thread in threads:
    thread.start()
"""
END = """
stop.set()
for thread in threads:
    thread.join()
run.finish()
"""
WAYS = {
    "os.fork, which ends by itself": """
for number in range(6):
    if os.fork() == 0:
        work(f"child-{number}")
        sys.exit(0)
for _ in range(6):
    os.wait()
""",
    "os.fork, which ends by os._exit": """
for number in range(6):
    if os.fork() == 0:
        work(f"child-{number}")
        os._exit(0)
for _ in range(6):
    os.wait()
""",
    "os.fork, which is killed": """
for number in range(6):
    if os.fork() == 0:
        work(f"child-{number}")
        os.kill(os.getpid(), signal.SIGKILL)
for _ in range(6):
    os.wait()
""",
    "processes of multiprocessing": """
fork = multiprocessing.get_context("fork")
children = [fork.Process(target=work, args=(f"child-{n}",)) for n in range(6)]
for child in children:
    child.start()
for child in children:
    child.join(30)
assert [child.exitcode for child in children] == [0] * 6
""",
    "a pool that is terminated": """
fork = multiprocessing.get_context("fork")
with fork.Pool(3) as pool:
    pool.map(work, [f"child-{n}" for n in range(6)], chunksize=1)
""",
    "workers that are killed, as of a data loader": """
fork = multiprocessing.get_context("fork")
def loader(who, out):
    for index in range(50):
        run.log(who=who, i=index)
        out.put((who, index))
    out.put((who, None))
    time.sleep(60)
queue = fork.Queue()
workers = [fork.Process(target=loader, args=(f"child-{n}", queue), daemon=True) for n in range(4)]
for worker in workers:
    worker.start()
ended = 0
while ended < 4:
    who, index = queue.get(timeout=30)
    if index is None:
        ended += 1
        ack("logged", run.id, who, 50)
for worker in workers:
    worker.kill()
    worker.join()
""",
    "a grandchild": """
if os.fork() == 0:
    work("child-0")
    if os.fork() == 0:
        work("grandchild")
        sys.exit(0)
    os.wait()
    sys.exit(0)
os.wait()
""",
}


def check(place, child, run_id):
    """Every writer's rows are there once, and in its order."""
    told = {one[2]: int(one[3]) for one in child.acks if one[:2] == ["logged", run_id]}
    run = place.read(run_id)
    rows = run.rows()
    seen = {who: [] for who in told}
    for who, index in zip(rows["who"], rows["i"], strict=True):
        seen[who].append(index)
    assert {who: len(found) for who, found in seen.items()} == told
    for who, found in seen.items():
        assert found == list(range(told[who])), who
    assert run.status == "finished"
    assert run.metrics == {f"m{who}": told[who] - 1 for who in told if "thread" in who}
    assert run.summary["i"]["max"] == max(told.values()) - 1


def test_children_that_are_forked_while_threads_log(place, start):
    # One program, since each costs a second to start; a run for each way.
    child = start(place, BUSY + "".join(BEGIN + way + END for way in WAYS.values()))
    assert child.wait(100) == 0, child.warnings

    for number, way in enumerate(WAYS, 1):
        print(way)
        check(place, child, str(number))
    assert place.journals() == []
    assert "Traceback" not in child.warnings


def test_children_of_a_store_in_memory_hand_their_rows_to_the_parent(embedded, start):
    body = (
        BUSY
        + BEGIN
        + WAYS["processes of multiprocessing"]
        + """
if os.fork() == 0:
    run.add_metric("of the child", 1)
    sys.exit(0)
os.wait()
"""
        + END
        + """
again = ms.experiment("e").run(run.id)
for who, index in zip(again.rows()["who"], again.rows()["i"]):
    ack("found", who, index)
ack("metric", again.metrics.get("of the child"))
"""
    )
    child = start(embedded, body, STORE="memory://")
    assert child.wait(60) == 0, child.warnings

    told = {one[2]: int(one[3]) for one in child.acks if one[0] == "logged"}
    assert Counter(one[1] for one in child.acks if one[0] == "found") == Counter(told)
    assert child.numbers("metric") == [1]


SPAWNED = """
import aletheia_like as al, os, sys, signal
def work(who, how):
    ms = al.Metastore("p", url=os.environ["STORE"], git="off")
    run = ms.exper("e").start_run(id="shared", resume="allow")
    for index in range(50):
        run.log(who=who, i=index)
    os.write(1, f"logged {who} 50\\n".encode())
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "failed":
        raise ValueError("so sad")
"""


@pytest.mark.parametrize(
    ("store", "method"),
    [
        ("embedded", "spawn"),
        ("embedded", "forkserver"),
        ("embedded", "fork"),
        ("firestore", "spawn"),
        ("firestore", "fork"),
    ],
)
def test_processes_that_join_a_run_by_its_id(request, start, sync, tmp_path, store, method):
    place = request.getfixturevalue(store)
    (tmp_path / "worker.py").write_text(SPAWNED)
    body = """
sys.path.insert(0, sys.argv[1])
os.environ["PYTHONPATH"] += os.pathsep + sys.argv[1]
import worker
method = multiprocessing.get_context(sys.argv[2])
if __name__ == "__main__":
    hows = ["ended", "killed", "ended"]
    children = [
        method.Process(target=worker.work, args=(f"child-{n}", how)) for n, how in enumerate(hows)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    ack("exits", *[child.exitcode for child in children])
"""
    child = start(place, body, tmp_path, method)
    assert child.wait(90) == 0, child.warnings
    assert child.wait_for("exits")[1:] == ["0", "-9", "0"], child.warnings
    sync(place)

    run = place.read("shared")
    seen = {}
    for who, index in zip(run.rows()["who"], run.rows()["i"], strict=True):
        seen.setdefault(who, []).append(index)
    assert seen == {f"child-{n}": list(range(50)) for n in range(3)}
    assert place.journals() == []


def test_a_run_of_a_multiprocessing_child_ends_truthfully(place, start):
    # These processes end without atexit and without sys.excepthook.
    body = """
def work(what):
    run = opened().exper("e").start_run(what)
    run.log(i=0)
    if what == "failed":
        raise ValueError("so sad")
    if what == "killed":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
children = [
    multiprocessing.get_context("fork").Process(target=work, args=(what,))
    for what in ("finished", "failed", "killed")
]
for child in children:
    child.start()
for child in children:
    child.join(30)
"""
    child = start(place, body)
    assert child.wait(60) == 0, child.warnings

    with place.open() as ms:
        runs = ms.experiment("e").runs()
        assert {run.name: run.status for run in runs} == {
            name: name for name in ("finished", "failed", "killed")
        }
        assert all(len(ms.experiment("e").run(run.id).rows()) == 1 for run in runs)
    assert place.journals() == []


def test_sigterm_ends_a_forked_child_as_without_this_package_until_it_has_a_run(embedded, start):
    # A handler in Python may be late for ever: a worker that waits for a lock would hang its pool.
    body = """
ms = opened()
exper = ms.exper("e")
exper.start_run("of the parent")
lock = multiprocessing.Lock()
ready = multiprocessing.Semaphore(0)
def work(has_run):
    if has_run:
        exper.start_run("of the child")
    ready.release()
    lock.acquire()
with lock:
    children = [
        multiprocessing.get_context("fork").Process(target=work, args=(has_run,))
        for has_run in (False, True)
    ]
    for child in children:
        child.start()
        ready.acquire()
        time.sleep(0.2)
        child.terminate()
        child.join(30)
ack("exits", *(child.exitcode for child in children))
os.kill(os.getpid(), signal.SIGTERM)
"""
    child = start(embedded, body)
    assert child.wait() == 143, child.warnings

    assert child.wait_for("exits")[1:] == ["-15", "143"]
    with embedded.open() as ms:
        assert {run.name: run.status for run in ms.experiment("e").runs()} == {
            "of the parent": "killed",
            "of the child": "killed",
        }
    assert embedded.journals() == []


def test_contexts_of_threads_and_tasks_do_not_leak(embedded, start):  # asyncio
    body = """
run = opened().exper("e").start_run()
async def task(number):
    with run.context(task=number):
        for index in range(20):
            run.log(i=index, expected=number)
            await asyncio.sleep(0)
async def tasks():
    await asyncio.gather(*(task(number) for number in range(20)))
def thread(number):
    with run.context(task=number):
        for index in range(50):
            run.log(i=index, expected=number)
            time.sleep(0)
threads = [threading.Thread(target=thread, args=(100 + n,)) for n in range(8)]
for one in threads:
    one.start()
asyncio.run(tasks())
for one in threads:
    one.join()
run.log(i=0, expected=None)
run.finish()
"""
    child = start(embedded, body)
    assert child.wait() == 0, child.warnings

    rows = embedded.read().rows().to_dicts()
    assert len(rows) == 20 * 20 + 8 * 50 + 1
    assert all(row.get("task") == row["expected"] for row in rows)
    for number in [*range(20), *range(100, 108)]:
        mine = [row["i"] for row in rows if row["expected"] == number]
        assert mine == list(range(len(mine)))
