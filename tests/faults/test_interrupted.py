"""Programs that are interrupted, told to end, or end without a word, lose no row."""

from __future__ import annotations

import signal
import time

import pytest

LOOP = """
    for index in range(1_000_000):
        run.log(i=index)
        ack("row", index)
"""
OPENINGS = {
    "with": "ms = opened()\nwith ms.exper('e').start_run() as run:\n",
    "bare": "ms = opened()\nrun = ms.exper('e').start_run()\nif True:\n",
}


def check_rows(place, child):
    rows = place.column("i")
    assert rows == list(range(len(rows)))
    assert len(rows) > child.numbers()[-1]


@pytest.mark.parametrize(
    ("store", "opening", "number"),
    [
        ("embedded", "with", signal.SIGTERM),
        ("embedded", "bare", signal.SIGTERM),
        ("embedded", "with", signal.SIGINT),
        ("embedded", "bare", signal.SIGINT),
        ("firestore", "with", signal.SIGTERM),
        ("firestore", "bare", signal.SIGINT),
    ],
)
def test_a_signal_in_the_middle_of_logging_loses_nothing(request, start, store, opening, number):
    # R3
    place = request.getfixturevalue(store)
    child = start(place, OPENINGS[opening] + LOOP)
    child.wait_for("row")
    time.sleep(0.15)
    child.send(number)
    assert child.wait() != 0

    assert place.read().status == "killed"
    check_rows(place, child)
    assert place.journals() == []


ENDS = {
    "without finish": ("", 0, "finished"),
    "sys.exit": ("sys.exit(3)", 3, "finished"),
    "an exception": ("raise ValueError('so sad')", 1, "failed"),
    "an exception in a thread": (
        "t = threading.Thread(target=lambda: run.log(i=1000) and 1 / 0); t.start(); t.join()",
        0,
        "finished",
    ),
}


@pytest.mark.parametrize(
    ("store", "end"),
    [*(("embedded", end) for end in ENDS), ("firestore", "without finish")],
)
def test_a_program_that_just_ends_has_stored_everything(request, start, store, end):  # R3
    place = request.getfixturevalue(store)
    body, code, status = ENDS[end]
    child = start(place, OPENINGS["bare"] + LOOP.replace("1_000_000", "1_000") + body)
    assert child.wait() == code

    assert place.read().status == status
    check_rows(place, child)
    assert place.journals() == []


def test_os_exit_leaves_everything_to_sync(place, start, sync):
    body = LOOP.replace("1_000_000", "1_000")
    child = start(place, OPENINGS["bare"] + body + "    os._exit(7)")
    assert child.wait() == 7
    sync(place)

    assert place.read().status == "lost"
    check_rows(place, child)


def test_files_that_were_logged_last_are_stored_at_exit(place, start, tmp_path):
    # No pool of threads can be started at that moment any more.
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text(str(number))
    body = """
    for number in range(4):
        run.log(i=number, file=al.File(f"{sys.argv[1]}/{number}.txt"))
        ack("row", number)
"""
    child = start(place, OPENINGS["bare"] + body, tmp_path)
    assert child.wait() == 0
    assert "Traceback" not in child.warnings

    assert place.read().status == "finished"
    files = place.column("file")
    assert [file.local_path.read_text() for file in files] == ["0", "1", "2", "3"]


def test_interrupts_that_are_caught_lose_double_and_misplace_nothing(place, start, sync):
    # Ctrl-C comes most often right after the system call that writes the line.
    body = """
ms = opened()
ms.session.recorder._interval = 0.05
run = ms.exper("e").start_run()
acked = []
inside = False
def interrupt(number, frame):
    if inside:
        raise KeyboardInterrupt
signal.signal(signal.SIGUSR1, interrupt)
ack("ready")
index = 0
until = time.monotonic() + 1.5
while time.monotonic() < until:
    try:
        inside = True
        run.log(i=index)
        acked.append(index)
        inside = False
    except KeyboardInterrupt:
        inside = False
    index += 1
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
ack("acked", *acked)
os.kill(os.getpid(), signal.SIGKILL)
"""
    child = start(place, body)
    child.wait_for("ready")
    while child.process.poll() is None:
        child.send(signal.SIGUSR1)
        time.sleep(0.001)
    child.wait()
    sync(place)

    acked = [int(word) for word in child.wait_for("acked")[1:]]
    rows = place.column("i")
    assert rows == sorted(set(rows))
    assert set(acked) <= set(rows)
    # Between two that were acknowledged there is at most what was interrupted.
    assert len(rows) <= acked[-1] + 2


def test_a_signal_handler_may_log_and_end_the_run(place, start, sync):
    body = """
ms = opened()
ms.session.recorder._interval = 0.05
run = ms.exper("e").start_run()
# Handlers and threads at once may wait for each other, as in any program.
for thread in ms.session.captures.values():
    thread.join()
marks = itertools.count(-1, -1)
def note(number, frame):
    mark = next(marks)
    run.log(i=mark)
    run.add_metric(f"m{mark}", mark)
def end(number, frame):
    run.finish("killed")
    sys.exit(0)
signal.signal(signal.SIGUSR1, note)
signal.signal(signal.SIGUSR2, end)
ack("ready")
index = 0
while True:
    run.log(i=index)
    run.add_metric("n", index)
    ack("row", index)
    index += 1
"""
    child = start(place, body)
    child.wait_for("ready")
    for _ in range(100):
        child.send(signal.SIGUSR1)
        time.sleep(0.003)
    child.send(signal.SIGUSR2)
    child.wait(20)

    run = place.read()
    assert run.status == "killed"
    marked = {one for one in run.rows()["i"] if one < 0}
    rows = [one for one in run.rows()["i"] if one >= 0]
    assert rows == list(range(len(rows)))
    assert len(rows) > child.numbers()[-1]
    assert marked == set(range(-len(marked), 0))
    # The last handler may have been interrupted by the end of the run.
    assert len(run.metrics) - 1 in (len(marked) - 1, len(marked))
    assert len(marked) > 50


def test_ctrl_c_while_the_end_is_awaited_does_not_lose_the_end(firestore, line, start, sync):
    place = firestore.through(FIRESTORE_EMULATOR_HOST=line.host)
    body = """
ms = opened()
run = ms.exper("e").start_run()
run.log(i=0)
run.flush()
ack("ready")
sys.stdin = None
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
run.log(i=1)
ack("ending")
run.finish()
"""
    mark = place.home / "cut"
    child = start(place, body, mark)
    child.wait_for("ready")
    line.cut()
    mark.touch()
    child.wait_for("ending")
    time.sleep(0.5)
    child.send(signal.SIGINT)
    line.mend()
    child.wait()

    sync(firestore)
    run = firestore.read()
    assert run.status == "finished"
    assert run.rows()["i"] == [0, 1]
