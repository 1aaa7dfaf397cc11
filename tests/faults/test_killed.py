"""A killed process loses nothing that it acknowledged: `aletheia sync` sends it, once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest

from aletheia_like.sync import sync as send

SEED = int(os.environ.get("ALETHEIA_TEST_SEED", random.randrange(1 << 30)))

# Forked from one program that has loaded everything, so that fifty kills cost no fifty imports.
NURSERY = """
seed, count, at_once = map(int, sys.argv[1:])
chance = random.Random(seed)
from aletheia_like.adapters import firestore, sqlite, directory
from google.cloud import firestore_v1

def live(number):
    chance = random.Random(seed * 1000 + number)
    ms = opened()
    ms.session.recorder._interval = chance.choice([0.05, 0.2, 1.0])
    exper = ms.exper("e")
    os.write(ready, b".")
    while True:
        with exper.start_run(tags=[str(number)]) as run:
            ack("run", number, run.id)
            for index in range(chance.randrange(1, 400)):
                run.log({"i": index, "text": "x" * chance.randrange(200)})
                ack("row", run.id, index)
                if chance.random() < 0.02:
                    run.add_metric("m", index)
                    ack("metric", run.id, index)
                time.sleep(chance.expovariate(2000))
        ack("end", run.id, "finished")

wait, ready = os.pipe()
for first in range(0, count, at_once):
    pids = []
    for number in range(first, min(first + at_once, count)):
        pids.append(os.fork())
        if pids[-1] == 0:
            live(number)
    for _ in pids:
        os.read(wait, 1)
    begun = time.monotonic()
    for pid, moment in zip(pids, sorted(chance.uniform(0.0, 1.2) for _ in pids)):
        time.sleep(max(0.0, begun + moment - time.monotonic()))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
"""


def acknowledged(child):
    """Return what was acknowledged of each run: the last row and metric, and its end."""
    seen = {
        one[2]: {"row": -1, "metric": None, "ended": False}
        for one in child.acks
        if one[0] == "run"
    }
    for word, run, told in (one for one in child.acks if one[0] != "run"):
        if word == "end":
            seen[run]["ended"] = True
        else:
            seen[run][word] = int(told)
    return seen


def check(place, seen):
    """Every acknowledged row is there once and in order, and statuses are true."""
    with place.open() as ms:
        exper = ms.experiment("e")
        for run_id, told in seen.items():
            run = exper.run(run_id)
            rows = list(run.rows()["i"]) if told["row"] >= 0 else []
            assert rows == list(range(len(rows))), f"run {run_id}"
            assert len(rows) > told["row"], f"run {run_id}"
            assert (run.status == "finished") >= told["ended"], f"run {run_id}"
            # What had not logged yet has left nothing to sync: it reads as lost when it is stale.
            assert run.status in ("finished", "lost") or (told["row"] < 0 and not rows)
            if told["metric"] is not None:
                assert run.metrics["m"] >= told["metric"], f"run {run_id}"
            if rows:
                assert run.summary["i"] == {"last": len(rows) - 1, "min": 0, "max": len(rows) - 1}
        finished = {line["run"] for line in exper.results()}
        assert finished == {one.id for one in exper.runs() if one.status == "finished"}
        numbers = sorted(one.number for one in exper.runs())
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(("store", "count"), [("embedded", 25), ("firestore", 12)])
def test_kills_at_random_moments_lose_and_double_nothing(request, start, sync, store, count):
    # R22, R4, Q26, invariant 1
    print(f"ALETHEIA_TEST_SEED={SEED}")
    place = request.getfixturevalue(store)
    child = start(place, NURSERY, SEED, count, 13)
    assert child.wait() == 0, child.warnings

    print(sync(place))
    check(place, acknowledged(child))

    assert place.journals() == []
    assert "nothing" in sync(place)


DYING = """
ms = opened()
run = ms.exper("e").start_run()
ms.session.recorder._interval = 0.3
for index in range(2_000):
    run.log(i=index)
    if index % 100 == 0:
        ack("row", index)
    time.sleep(0.0001)
run.add_metric("m", 1)
ack("row", index)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_sync_that_is_killed_again_and_again_doubles_nothing(place, start, sync):  # R21, R22
    chance = random.Random(SEED)
    print(f"ALETHEIA_TEST_SEED={SEED}")
    child = start(place, DYING)
    child.wait()
    for _ in range(5):
        command = [sys.executable, "-m", "aletheia_like", "sync"]
        killed = subprocess.Popen(command, env=place.environment, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.2, 0.9))
        killed.kill()
        killed.wait()
    sync(place)

    run = place.read()
    assert run.rows()["i"] == list(range(2_000))
    assert run.status == "lost"
    assert run.metrics == {"m": 1}
    assert run.summary["i"] == {"last": 1_999, "min": 0, "max": 1_999}
    assert abs((run.ended_at - run.rows()["timestamp"][-1]).total_seconds()) < 0.001


def test_two_syncs_at_once_double_nothing(place, start, sync):  # R21
    for child in [start(place, DYING) for _ in range(3)]:
        child.wait()
    command = [sys.executable, "-m", "aletheia_like", "sync"]
    syncs = [
        subprocess.Popen(command, env=place.environment, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [one.wait(60) for one in syncs] == [0, 0]

    for number in (1, 2, 3):
        assert place.column("i", number) == list(range(2_000))
    assert place.journals() == []


def test_sync_leaves_a_live_run_alone(embedded, start, sync):
    body = """
run = opened().exper("e").start_run()
for index in range(1_000_000):
    run.log(i=index)
    ack("row", index)
    time.sleep(0.002)
"""
    child = start(embedded, body)
    child.wait_for("row")
    assert "nothing" in sync(embedded)

    assert embedded.read().status == "running"
    child.kill()
    sync(embedded)
    assert embedded.column("i") == list(range(len(embedded.column("i"))))
    assert len(embedded.column("i")) > child.numbers()[-1]
    assert embedded.read().status == "lost"


def test_syncs_beside_runs_that_start_and_end_take_nothing_from_them(embedded, start):
    body = """
ms = opened()
exper = ms.exper("e")
for index in range(100):
    with exper.start_run() as run:
        run.log(i=index)
    ack("row", index)
"""
    child = start(embedded, body)
    while child.process.poll() is None:
        for one in send(embedded.home):
            assert one.error is None
    assert child.wait() == 0, child.warnings

    assert child.warnings == ""
    with embedded.open() as ms:
        exper = ms.experiment("e")
        assert {run.status for run in exper.runs()} == {"finished"}
        assert [exper.run(number).rows()["i"] for number in range(1, 101)] == [
            [index] for index in range(100)
        ]
    assert embedded.journals() == []


def test_a_run_goes_on_with_the_rows_that_its_killed_predecessor_left(place, start):  # R22
    child = start(place, DYING)
    child.wait()
    with place.open() as ms, ms.exper("e").start_run(id="1", resume="must") as run:
        # Opened by this process at another home: it has none of the journals.
        assert len(run.rows()) < 2_000
    body = """
with opened().exper("e").start_run(id="1", resume="must") as run:
    ack("last", run.latest("i"))
    run.log(i=2_000)
"""
    after = start(place, body)
    assert after.wait() == 0, after.warnings

    assert after.numbers("last") == [1_999]
    run = place.read()
    assert run.rows()["i"] == list(range(2_001))
    assert run.metrics == {"m": 1}
    assert run.status == "finished"
    assert place.journals() == []


def test_values_that_were_set_back_in_time_survive_too(place, start, sync):
    body = """
ms = opened()
run = ms.exper("e").start_run()
for index in range(10):
    run.log(i=index, loss=float(index))
run.flush()
run.set_value("loss", 0.5)
run.set_value("loss", 2.5, where={"i": 3})
run.log(i=10, loss=1.0)
ack("row", 10)
os.kill(os.getpid(), signal.SIGKILL)
"""
    start(place, body).wait()
    sync(place)

    run = place.read()
    assert run.rows()["loss"] == [0.5] * 3 + [2.5] + [0.5] * 6 + [1.0]
    assert run.summary["loss"] == {"last": 1.0, "min": 0.5, "max": 2.5}


def test_segments_of_one_journal_are_one_story(embedded, start, sync):
    # The newest of changes wins, though an older segment does not say that it was stored.
    body = """
from aletheia_like import journal
ms = opened()
ms.session.recorder._interval = 0.05
run = ms.exper("e").start_run()
run._writer._journal._segment_bytes = 2_000
kept = run._writer._journal.done
run.add_metric("m", "old")
run.flush()
from aletheia_like.journal import _remove
journal._remove = lambda segment: None
for index in range(400):
    run.log(i=index)
    run.add_metric("m", index)
    if index % 50 == 0:
        run.flush()
run.add_metric("m", "new")
run.flush()
run.log(i=400)
ack("row", 400)
os.kill(os.getpid(), signal.SIGKILL)
"""
    child = start(embedded, body)
    child.wait()
    assert len(embedded.journals()) > 3
    sync(embedded)

    run = embedded.read()
    assert run.rows()["i"] == list(range(401))
    assert run.metrics == {"m": "new"}
