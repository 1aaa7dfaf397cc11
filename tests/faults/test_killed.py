"""A killed process loses nothing that it acknowledged: `aletheia sync` sends it, once."""

from __future__ import annotations

import os
import random

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
    """Return what was acknowledged of each run: its last row, last metric, and whether it ended."""
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


def test_twenty_five_kills_at_random_moments_lose_and_double_nothing(place, start, sync):
    # R22, R4, Q26, invariant 1
    print(f"ALETHEIA_TEST_SEED={SEED}")
    child = start(place, NURSERY, SEED, 25, 9)
    assert child.wait() == 0, child.warnings

    print(sync(place))
    check(place, acknowledged(child))

    assert place.journals() == []
    assert "nothing" in sync(place)
