"""Many writers, several machines, clocks that are wrong, and readers beside them."""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from collections import defaultdict

import pytest

import aletheia_like as al

RANKS = """
from aletheia_like.adapters import firestore, sqlite, directory
from google.cloud import firestore_v1

def rank(number):
    ms = opened()
    ms.session.recorder._interval = 0.2
    exper = ms.exper("e")
    own = exper.start_run(tags=[f"rank-{number}"])
    shared = exper.start_run(id="shared", resume="allow")
    for index in range(2_000):
        # Columns drift: every rank has others, and more of them as it goes on.
        row = {"rank": number, "i": index, f"of-{number}": index, f"late-{index // 500}": 1.5}
        own.log(row)
        shared.log(row)
        if index % 100 == 0:
            time.sleep(0.02)
    own.finish()
    shared.finish()
    os._exit(0)

opened().exper("e").start_run(id="shared")
for number in range(8):
    if os.fork() == 0:
        rank(number)
codes = [os.wait()[1] for _ in range(8)]
ack("codes", *codes)
"""


def by_rank(rows):
    found = defaultdict(list)
    for rank, index in zip(rows["rank"], rows["i"], strict=True):
        found[rank].append(index)
    return found


def test_eight_processes_of_drifting_columns_write_one_experiment_and_one_run(place, start):
    # Q26, Q27, issue 3 point 4
    child = start(place, RANKS)
    counts = []
    with place.open() as ms:
        while child.process.poll() is None:
            try:
                rows = ms.experiment("e").run("shared").rows()
            except al.NotFoundError:
                continue
            for found in by_rank(rows).values() if len(rows) else ():
                assert found == list(range(len(found)))
            counts.append(len(rows))
            time.sleep(0.2)
        assert child.wait() == 0, child.warnings
        assert child.wait_for("codes")[1:] == ["0"] * 8, child.warnings

        assert counts == sorted(counts)
        assert len(set(counts)) > 2
        exper = ms.experiment("e")
        whole = by_rank(exper.run("shared").rows())
        assert whole == {rank: list(range(2_000)) for rank in range(8)}
        numbers = [run.number for run in exper.runs() if run.number is not None]
        assert sorted(numbers) == list(range(1, 9))
        for number in numbers:
            rows = exper.run(number).rows()
            (rank,) = set(rows["rank"])
            assert rows["i"] == list(range(2_000))
            assert rows[f"of-{rank}"] == list(range(2_000))
            assert rows["late-3"][1_500:] == [1.5] * 500
    assert place.journals() == []


def test_eight_threads_write_one_experiment_and_one_run_in_memory(metastore):  # Q27
    exper = metastore.exper("e")
    shared = exper.start_run(id="shared")

    def rank(number):
        own = exper.start_run()
        for index in range(2_000):
            row = {"rank": number, "i": index, f"of-{number}-{index // 500}": index}
            own.log(row)
            shared.log(row)
        own.finish()

    threads = [threading.Thread(target=rank, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    counts = []
    while any(thread.is_alive() for thread in threads):
        rows = metastore.experiment("e").run("shared").rows()
        for found in by_rank(rows).values() if len(rows) else ():
            assert found == list(range(len(found)))
        counts.append(len(rows))
        time.sleep(0.1)
    shared.finish()

    assert counts == sorted(counts)
    assert by_rank(exper.run("shared").rows()) == {n: list(range(2_000)) for n in range(8)}
    assert sorted(run.number for run in exper.runs() if run.number) == list(range(1, 9))


def test_two_machines_write_one_run(place, start, sync, tmp_path):
    # Each has a home of its own, and one of them dies.
    other = place.at(tmp_path / "other home")
    body = """
ms = opened()
run = ms.exper("e").start_run(id="shared", resume="allow")
ack("ready")
for index in range(1_000):
    run.log(who=sys.argv[1], i=index)
    time.sleep(0.0005)
run.add_metric(sys.argv[1], 1)
if sys.argv[2] == "dies":
    os.kill(os.getpid(), signal.SIGKILL)
run.finish()
"""
    first = start(place, body, "first", "dies")
    first.wait_for("ready")
    second = start(other, body, "second", "ends")
    first.wait()
    assert second.wait() == 0, second.warnings
    assert other.journals() == []
    assert "nothing" in sync(other)
    sync(place)

    run = place.read("shared")
    seen = defaultdict(list)
    for who, index in zip(run.rows()["who"], run.rows()["i"], strict=True):
        seen[who].append(index)
    assert seen == {"first": list(range(1_000)), "second": list(range(1_000))}
    assert run.metrics == {"first": 1, "second": 1}
    assert run.summary["i"]["max"] == 999
    # The machine that died does not take back the end that the other one told.
    assert run.status == "finished"


def test_the_leaderboard_knows_what_every_process_of_a_run_told(place):  # invariant 5
    with place.open() as first, place.open() as second:
        one = first.exper("e").start_run(id="shared", resume="allow")
        other = second.exper("e").start_run(id="shared", resume="allow")
        one.add_metrics({"one": 1, "both": 1})
        one.flush()
        other.add_metrics({"other": 1, "both": 2})
        other.flush()
        one.add_metric("both", 3)
        one.finish()
        other.add_metric("late", 1)
        other.finish()

        (line,) = first.experiment("e").results()
        told = {name: line[f"metrics.{name}"] for name in ("one", "other", "both", "late")}
        assert told == {"one": 1, "other": 1, "both": 3, "late": 1}
        assert place.read("shared").metrics == told


def test_an_end_that_waited_counts_though_somebody_had_joined_before(firestore, line, start, sync):
    place = firestore.through(FIRESTORE_EMULATOR_HOST=line.host, ALETHEIA_TIMEOUT="0.5")
    body = """
run = opened().exper("e").start_run(id="shared", resume="allow")
run.log(who=sys.argv[1])
run.flush()
ack("ready")
while not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
if sys.argv[1] == "rank":
    os.kill(os.getpid(), signal.SIGKILL)
run.finish(timeout=0.5)
"""
    mark = place.home / "cut"
    main = start(place, body, "main", mark)
    main.wait_for("ready")
    rank = start(place, body, "rank", mark)
    rank.wait_for("ready")
    line.cut()
    mark.touch()
    assert (main.wait(), rank.wait()) == (0, -9)
    sync(firestore)

    assert firestore.read("shared").status == "finished"
    assert sorted(firestore.column("who", "shared")) == ["main", "rank"]


def test_a_hundred_changes_within_a_second_are_few_writes(place):  # M24
    with place.open() as ms:
        run = ms.exper("e").start_run()
        for thread in ms.session.captures.values():
            thread.join()
        run.flush()
        before = ms.usage.document_writes
        for number in range(100):
            run.add_metric(f"m{number}", number)
        run.flush()
        assert ms.usage.document_writes - before <= 2
    assert place.read().metrics == {f"m{number}": number for number in range(100)}


def test_files_that_are_logged_while_rows_are_sent_arrive_before_them(embedded, tmp_path):
    # invariant 2
    with embedded.open() as ms:
        documents, blobs = ms.session.recorder._documents, ms.session.blobs
        early = []

        class Watching:
            def apply(self, writes):
                mentioned = re.findall(r"\b[0-9a-f]{64}\b", repr(writes))
                early.extend(digest for digest in mentioned if not blobs.exists(digest))
                return documents.apply(writes)

        ms.session.recorder._documents = Watching()
        ms.session.recorder._interval = 0.005
        with ms.exper("e").start_run() as run:
            for index in range(150):
                (tmp_path / "file").write_text(str(index))
                run.log(i=index, file=al.File(tmp_path / "file"), text=f"{index}" * 40_000)
        assert early == []
        rows = ms.experiment("e").run(1).rows()
        assert [file.local_path.read_text() for file in rows["file"]][::50] == ["0", "50", "100"]


def test_reading_writes_nothing(place, start):  # invariant 7
    child = start(place, "with opened().exper('e').start_run() as run:\n    run.log(i=0)")
    assert child.wait() == 0, child.warnings
    files = [path for path in place.home.parent.rglob("*") if "cache" not in path.parts]
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}
    with place.open() as ms:
        run = ms.experiment("e").run(1)
        assert run.rows()["i"] == [0]
        assert run.summary["i"]["last"] == 0
        assert ms.usage.document_writes == 0

    files = [path for path in place.home.parent.rglob("*") if "cache" not in path.parts]
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}


def test_a_clock_that_steps_back_changes_no_order(place):
    begun = dt.datetime(2025, 3, 30, 12, tzinfo=dt.UTC)
    offsets = [0, 1, 2, 3, -3600, -3599, 4, 5, -7200, 6]
    moments = [begun + dt.timedelta(seconds=offset) for offset in offsets]
    with place.open() as ms:
        exper = ms.exper("e")
        clock = iter(())

        def now():
            mine = threading.current_thread() is threading.main_thread()
            return next(clock, begun) if mine else begun

        ms.session.clock = now
        run = exper.start_run(id="1")
        clock = iter(moments)
        for index in range(5):
            run.log(i=index)
        run.flush()
        for index in range(5, 10):
            run.log(i=index)
        run.flush()

        rows = place.read("1").rows()
        assert rows["i"] == list(range(10))
        assert rows["timestamp"] == moments
        assert run.rows()["timestamp"] == moments
        run.finish()


def statuses(place, seconds):
    """Read a run's status again and again."""
    found, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        found.append(place.read().status)
        time.sleep(0.2)
    return found


@pytest.mark.parametrize(("store", "skew"), [("embedded", -86_400), ("firestore", 86_400)])
def test_a_live_quiet_run_is_never_lost_and_a_dead_one_soon_is(
    request, start, monkeypatch, store, skew
):
    # R4; the clock of the machine that runs it is a day wrong
    place = request.getfixturevalue(store)
    monkeypatch.setattr("aletheia_like.model.records.LOST_SECONDS", 1.5)
    body = """
import datetime as dt
ms = opened()
ms.session.recorder._heartbeat = ms.session.recorder._interval = 0.2
ms.session.clock = lambda: dt.datetime.now(dt.UTC) + dt.timedelta(seconds=float(sys.argv[1]))
ms.session.recorder._clock = ms.session.clock
run = ms.exper("e").start_run()
ack("ready")
time.sleep(60)
"""
    child = start(place, body, skew)
    child.wait_for("ready")
    assert set(statuses(place, 2.0)) == {"running"}
    child.kill()

    assert statuses(place, 2.2)[-1] == "lost"


def test_a_run_that_stores_a_large_file_is_not_lost(embedded, start, monkeypatch, tmp_path):
    # R4: one thread sends everything, and a checkpoint may take it many minutes.
    monkeypatch.setattr("aletheia_like.model.records.LOST_SECONDS", 1.5)
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(20 << 20)
    body = """
from aletheia_like.adapters.directory import DirectoryBlobStore
# A slow line.
upload = DirectoryBlobStore.upload
def slowly(self, digest, path, progress=None):
    for _ in range(25):
        time.sleep(0.1)
        progress and progress(800_000)
    return upload(self, digest, path)
DirectoryBlobStore.upload = slowly
ms = opened()
ms.session.recorder._heartbeat = ms.session.recorder._interval = 0.2
run = ms.exper("e").start_run()
for thread in ms.session.captures.values():
    thread.join()
run.log(checkpoint=al.File(sys.argv[1]))
ack("ready")
time.sleep(60)
"""
    child = start(embedded, body, tmp_path / "large")
    child.wait_for("ready")

    assert set(statuses(embedded, 3.0)) == {"running"}
