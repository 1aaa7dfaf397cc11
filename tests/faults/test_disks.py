"""Disks that are full, cannot be written, or would fill up."""

from __future__ import annotations

LOOP = """
ms = opened()
ms.session.recorder._interval = 0.2
run = ms.exper("e").start_run()
ack("ready")
for index in range(int(sys.argv[1])):
    run.log(i=index, text="x" * 500)
    ack("row", index)
    if index % 100 == 0:
        time.sleep(0.01)
"""


def test_a_full_disk_under_the_journal_stops_nobody_while_the_store_is_there(
    embedded, start, mounted
):
    with mounted(embedded.home, "-t", "tmpfs", "-o", "size=256k", "tmpfs"):
        child = start(embedded, LOOP + "run.finish()", 3_000)
        assert child.wait() == 0, child.warnings

    assert embedded.column("i") == list(range(3_000))
    assert embedded.read().status == "finished"
    assert child.warnings.count("free some space") == 1


def test_a_disk_that_is_full_for_a_while_is_used_again(firestore, line, start, sync, mounted):
    # The store is away, so the journal is all there is: what it refuses is held in memory.
    place = firestore.through(FIRESTORE_EMULATOR_HOST=line.host)
    body = """
ms = opened()
run = ms.exper("e").start_run()
run.flush()
ack("ready")
sys.stdin.close()
hog = os.environ["ALETHEIA_HOME"] + "/hog"
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
for index in range(100):
    run.log(i=index)
with open(hog, "wb", buffering=0) as stream:
    try:
        while True:
            stream.write(b"0" * 4096)
    except OSError:
        pass
for index in range(100, 200):
    run.log(i=index, text="x" * 100)
os.unlink(hog)
for index in range(200, 300):
    run.log(i=index)
ack("row", 299)
os.kill(os.getpid(), signal.SIGKILL)
"""
    home = firestore.home
    with mounted(home, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        mark = home / "cut"
        child = start(place, body, mark)
        child.wait_for("ready")
        line.cut()
        mark.touch()
        child.wait()
        sync(firestore)

        assert firestore.column("i") == list(range(300))


def test_a_journal_that_cannot_be_made_is_told_once_and_held_in_memory(embedded, start):
    (embedded.home / "journal").write_text("in the way")
    child = start(embedded, LOOP + "run.add_metric('m', 1)\nrun.finish()", 1_000)
    assert child.wait() == 0, child.warnings

    assert embedded.column("i") == list(range(1_000))
    assert embedded.read().metrics == {"m": 1}
    assert child.warnings.count("held in memory") == 1


def test_strict_raises_when_the_journal_refuses_a_row(embedded, start):
    (embedded.home / "journal").write_text("in the way")
    body = """
run = opened().exper("e").start_run()
for index in range(3):
    try:
        run.log(i=index)
    except al.UnavailableError as error:
        ack("refused", index)
(run._session.journal_folder.parent).unlink()
run.log(i=3)
ack("row", 3)
"""
    child = start(embedded, body, ALETHEIA_STRICT="1")
    child.wait()

    assert child.numbers("refused") == [0, 1, 2], child.warnings
    assert embedded.column("i") == [3]


def test_while_the_store_is_there_a_journal_stays_small(embedded, start):
    # A journal goes on in a new file, and one whose lines are all stored is removed.
    body = """
ms = opened()
run = ms.exper("e").start_run()
run._writer._journal._segment_bytes = 100_000
most = 0
for index in range(20_000):
    run.log(i=index, text="x" * 100)
    if index % 4_000 == 3_999:
        run.add_metric("m", index)
        run.flush()
        files = ms.session.journal_folder.glob("*.journal")
        most = max(most, sum(one.stat().st_size for one in files))
ack("most", most)
run.finish()
"""
    child = start(embedded, body)
    assert child.wait() == 0, child.warnings

    assert 0 < child.numbers("most")[0] < 200_000
    assert embedded.column("i") == list(range(20_000))
    assert embedded.journals() == []


def test_what_is_not_stored_keeps_the_files_that_hold_it(firestore, line, start, sync, tmp_path):
    # An artifact that waits keeps its note, however many rows were stored after it.
    (tmp_path / "model").write_text("weights")
    place = firestore.through(FIRESTORE_EMULATOR_HOST=line.host, ALETHEIA_TIMEOUT="0.3")
    body = """
ms = opened()
ms.session.recorder._interval = 0.05
run = ms.exper("e").start_run()
run._writer._journal._segment_bytes = 2_000
run.flush()
ack("ready")
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
run.add_metric("early", 1)
run.add_artifact("weights", sys.argv[2])
for index in range(500):
    run.log(i=index)
run.add_metric("late", 1)
ack("row", 499)
os.kill(os.getpid(), signal.SIGKILL)
"""
    mark = firestore.home / "cut"
    child = start(place, body, mark, tmp_path / "model")
    child.wait_for("ready")
    line.cut()
    mark.touch()
    child.wait()
    assert len(firestore.journals()) > 5
    sync(firestore)

    run = firestore.read()
    assert run.rows()["i"] == list(range(500))
    assert run.metrics == {"early": 1, "late": 1}
    assert run.artifacts["weights"].version == 0
    assert firestore.journals() == []
