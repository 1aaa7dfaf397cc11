"""The store goes away, comes back, or never was there: training goes on and nothing is lost."""

from __future__ import annotations

import time

import pytest

from aletheia_like.testing.emulators import FirestoreEmulator

TRAINING = """
import statistics
ms = opened()
run = ms.exper("e").start_run()
ack("ready")
took, index = [], 0
while not os.path.exists(sys.argv[1]):
    begun = time.perf_counter()
    run.log(i=index, loss=1 / (1 + index))
    took.append(time.perf_counter() - begun)
    if index % 50 == 0:
        run.add_metric("m", index)
    ack("row", index)
    index += 1
    time.sleep(0.001)
took.sort()
ack("p99", int(took[int(len(took) * 0.99)] * 1e6))
ack("worst", int(took[-1] * 1e6))
begun = time.perf_counter()
run.finish(timeout=float(sys.argv[2]))
ack("finished", int((time.perf_counter() - begun) * 1000), run.status)
ms.close()
ack("closed", int((time.perf_counter() - begun) * 1000))
"""


@pytest.fixture
def through_line(firestore, line):
    return firestore.through(FIRESTORE_EMULATOR_HOST=line.host)


def check_finished(place, child, status="finished"):
    run = place.read()
    assert run.rows()["i"] == list(range(child.numbers()[-1] + 1))
    assert run.status == status
    assert run.metrics["m"] == child.numbers()[-1] // 50 * 50
    assert run.summary["i"]["last"] == child.numbers()[-1]
    with place.open() as ms:
        lines = list(ms.experiment("e").results())
    assert [line["run"] for line in lines] == ["1"] * (status == "finished")


@pytest.mark.parametrize("fault", ["cut", "hold"])
def test_an_outage_in_the_middle_of_a_run_is_not_noticed(
    firestore, through_line, line, start, fault
):  # R21
    mark = firestore.home / "end"
    child = start(through_line, TRAINING, mark, 30, ALETHEIA_TIMEOUT="1")
    child.wait_for("row")
    time.sleep(1.0)
    getattr(line, fault)()
    time.sleep(2.5)
    line.mend()
    time.sleep(0.5)
    mark.touch()
    assert child.wait() == 0, child.warnings

    check_finished(firestore, child)
    assert firestore.journals() == []
    assert child.numbers("p99")[0] < 2_000
    # A line that just swallows everything for a moment is only slow.
    told = child.warnings.count("changes are kept and sent when it is back")
    assert told <= 1 if fault == "hold" else told == 1


@pytest.mark.parametrize("fault", ["cut", "hold"])
def test_a_store_that_is_away_at_the_end_gets_everything_by_sync(
    firestore, through_line, line, start, sync, fault
):  # R21
    mark = firestore.home / "end"
    child = start(through_line, TRAINING, mark, 1, ALETHEIA_TIMEOUT="1")
    child.wait_for("row")
    time.sleep(1.5)
    getattr(line, fault)()
    time.sleep(0.3)
    mark.touch()
    assert child.wait(30) == 0, child.warnings
    assert child.wait_for("finished")[2] == "finished"
    assert child.numbers("closed")[0] < 12_000
    assert "aletheia sync" in child.warnings
    assert firestore.read().status == "running"
    sync(firestore)

    check_finished(firestore, child)
    assert "nothing" in sync(firestore)


def test_a_store_whose_data_is_gone_leaves_the_journal(firestore, start, sync):
    # The emulator keeps everything in memory: who kills it has deleted the run.
    mark = firestore.home / "end"
    with FirestoreEmulator() as emulator:
        place = firestore.through(**emulator.environment)
        child = start(place, TRAINING, mark, 10, ALETHEIA_TIMEOUT="1")
        child.wait_for("row")
        time.sleep(1.5)
        emulator.kill()
        time.sleep(1.0)
        emulator.start()
        time.sleep(1.5)
        mark.touch()
        assert child.wait() == 0, child.warnings
        assert "Traceback" not in child.warnings
        told = sync(place, code=1)

    assert "deleted" in told
    (journal,) = firestore.journals()
    text = journal.read_bytes()
    assert all(b'"i":%d,' % number in text for number in child.numbers())


NEVER = """
begun = time.perf_counter()
ms = opened()
exper = ms.exper("e", desc="why")
with open("model.txt", "w") as stream:
    stream.write("weights")
with exper.start_run(hyper_params={"lr": 0.1}, tags=["base"]) as run:
    ack("started", int((time.perf_counter() - begun) * 1000))
    took = []
    for index in range(2_000):
        before = time.perf_counter()
        run.log({"i": index, "text": "x" * 20})
        took.append(time.perf_counter() - before)
    took.sort()
    ack("p99", int(took[int(len(took) * 0.99)] * 1e6))
    run.log(i=2_000, file=al.File("model.txt"), long="y" * 100_000)
    ack("row", 2_000)
    run.add_metric("m", 2_000)
    run.add_artifact("weights", "model.txt")
    before = time.perf_counter()
    run.finish(timeout=2)
    ack("finished", int((time.perf_counter() - before) * 1000), run.status)
second = exper.start_run()
second.log(i=0)
ack("second", second.id)
"""


def check_late(place, child):
    with place.open() as ms:
        exper = ms.experiment("e")
        assert exper.desc == "why"
        records = {record.number: record for record in exper.runs()}
        assert sorted(records) == [1, 2]
        run = exper.run(records[1].id)
        assert run.rows()["i"] == list(range(2_001))
        assert run.rows()[2_000]["long"] == "y" * 100_000
        assert run.rows()[2_000]["file"].local_path.read_text() == "weights"
        assert (run.status, run.metrics) == ("finished", {"m": 2_000})
        assert run.hyper_params == {"lr": 0.1}
        assert run.summary["i"] == {"last": 2_000, "min": 0, "max": 2_000}
        assert run.artifacts["weights"].version == 0
        assert exper.run(records[2].id).status == "finished"
        assert exper.run(child.wait_for("second")[1]).rows()["i"] == [0]
        assert sorted(line["number"] for line in exper.results()) == [1, 2]
        with exper._session.documents and ms.exper("e").start_run() as third:
            assert third.number == 3


def test_a_store_that_never_was_there_holds_nobody_up(firestore, line, start, sync, tmp_path):
    # R21, the seed's "works on a train"
    line.cut()
    place = firestore.through(FIRESTORE_EMULATOR_HOST=line.host)
    body = f"import os; os.chdir({str(tmp_path)!r})\n{NEVER}"
    begun = time.monotonic()
    child = start(place, body, ALETHEIA_TIMEOUT="2")
    assert child.wait(90) == 0, child.warnings
    took = time.monotonic() - begun

    assert took < 30, [one for one in child.acks if len(one) < 4]
    assert child.numbers("p99")[0] < 2_000
    assert child.numbers("finished")[0] < 6_000
    assert child.warnings.count("the store is away") <= 4
    assert "Traceback" not in child.warnings
    sync(firestore)
    check_late(firestore, child)
    assert "nothing" in sync(firestore)


def test_offline_asks_nobody(firestore, line, start, sync, tmp_path):
    place = firestore.through(FIRESTORE_EMULATOR_HOST=line.host)
    body = f"import os; os.chdir({str(tmp_path)!r})\n{NEVER}"
    child = start(place, body, ALETHEIA_OFFLINE="1")
    assert child.wait(30) == 0, child.warnings

    assert line.connections == 0
    assert child.numbers("finished")[0] < 1_000
    sync(firestore)
    check_late(firestore, child)


def test_strict_raises_at_the_end_and_keeps_the_journal(firestore, line, start, sync):
    place = firestore.through(FIRESTORE_EMULATOR_HOST=line.host)
    body = """
run = opened().exper("e").start_run()
run.log(i=0)
ack("ready")
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
run.log(i=1)
try:
    run.finish(timeout=0.5)
except al.UnavailableError as error:
    ack("raised")
"""
    mark = place.home / "cut"
    child = start(place, body, mark, ALETHEIA_STRICT="1", ALETHEIA_TIMEOUT="0.5")
    child.wait_for("ready")
    line.cut()
    mark.touch()
    child.wait_for("raised")
    child.wait()
    sync(firestore)

    assert firestore.column("i") == [0, 1]
    assert firestore.read().status == "finished"


def test_an_outage_of_the_blobs_alone_delays_the_rows_that_mention_them(
    embedded, start, sync, tmp_path
):  # invariant 2
    # A bucket that cannot be reached: documents are there, bytes are not.
    place = embedded.through(
        ALETHEIA_BLOBS="gs://bucket", STORAGE_EMULATOR_HOST="http://127.0.0.1:9"
    )
    body = """
open(sys.argv[1], "w").write("content")
run = opened().exper("e").start_run()
run.log(i=0)
run.log(i=1, file=al.File(sys.argv[1]))
run.finish(timeout=1)
ack("ended", run.status)
"""
    child = start(place, body, tmp_path / "file", ALETHEIA_TIMEOUT="1")
    assert child.wait(60) == 0, child.warnings

    run = embedded.read()
    assert all(row.get("file") is None for row in run.rows())
    assert run.status == "running"
    assert len(embedded.journals()) == 1


def test_a_file_without_a_bucket_is_refused_and_holds_up_nothing_else(
    firestore, start, tmp_path
):  # "metadata works; the first upload raises"
    (tmp_path / "file").write_text("content")
    variables = {**firestore.variables}
    del variables["ALETHEIA_BLOBS"]
    place = type(firestore)(firestore.url, firestore.home, variables)
    body = """
run = opened().exper("e").start_run()
rows = [{"i": 0}, {"f": al.File(sys.argv[1])}, {"t": "t" * 99_999}, {"i": 1}]
for index, row in enumerate(rows):
    try:
        run.log(row)
    except al.SettingsError as error:
        assert "bucket" in str(error)
        ack("refused", index)
run.add_metric("m", 1)
"""
    child = start(place, body, tmp_path / "file")
    assert child.wait() == 0, child.warnings

    assert child.numbers("refused") == [1, 2]
    run = place.read()
    assert (run.status, run.metrics, run.rows()["i"]) == ("finished", {"m": 1}, [0, 1])
