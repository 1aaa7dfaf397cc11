"""A copy of what a program prints, and a program that does not notice."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading

import pytest

from aletheia_like.capture.console import ConsoleCapture


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / "console.txt"


def test_both_streams_are_copied_in_order_and_still_printed(path, capsys):
    with ConsoleCapture(path):
        print("out")
        print("err", file=sys.stderr)
        sys.stdout.writelines(["a\n", "b\n"])

    assert path.read_text() == "out\nerr\na\nb\n"
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("out\na\nb\n", "err\n")


def test_what_was_there_is_there_again_afterwards(path):
    before = (sys.stdout, sys.stderr, dict(vars(sys.stdout)), sys.stdout.write)
    capture = ConsoleCapture(path)
    capture.start()
    capture.start()
    assert sys.stdout is before[0]
    capture.stop()
    capture.stop()
    print("not copied")

    assert (sys.stdout, sys.stderr, dict(vars(sys.stdout)), sys.stdout.write) == before
    assert path.read_text() == ""


def test_the_streams_say_of_themselves_what_they_said_before(path):
    def said():
        stream = sys.stdout
        return stream.isatty(), stream.encoding, stream.errors, stream.name

    before = said()
    with ConsoleCapture(path):
        assert said() == before
        assert print("four") is None
        assert sys.stdout.write("four") == 4


def test_a_log_handler_that_holds_the_stream_is_copied(path):
    handler = logging.StreamHandler(sys.stderr)
    logger = logging.getLogger("test_console")
    logger.addHandler(handler)
    with ConsoleCapture(path):
        logger.warning("logged")
    logger.removeHandler(handler)

    assert path.read_text() == "logged\n"


def test_a_second_capture_continues_the_file(path):
    capture = ConsoleCapture(path)
    for text in ("one", "two"):
        with capture:
            print(text)
    with ConsoleCapture(path):
        print("three")

    assert path.read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_captures_overlap_and_end_in_any_order(tmp_path, first_ends_first):
    before = dict(vars(sys.stdout))
    one, two = ConsoleCapture(tmp_path / "1"), ConsoleCapture(tmp_path / "2")
    one.start()
    two.start()
    print("both")
    ends, stays = (one, two) if first_ends_first else (two, one)
    ends.stop()
    print("stays")
    stays.stop()
    print("none")

    assert ends.path.read_text() == "both\n"
    assert stays.path.read_text() == "both\nstays\n"
    assert dict(vars(sys.stdout)) == before


def test_a_long_output_keeps_its_beginning_and_end(path):
    lines = [f"line {number}" for number in range(5_000)]
    with ConsoleCapture(path, keep_bytes=1_000) as capture:
        for line in lines:
            print(line)
            assert path.stat().st_size <= 5_000
        assert capture.tail(200).endswith("line 4999\n")
    kept = path.read_text()

    assert len(kept) < 2_100
    beginning, mark, end = kept.partition("\n[… ")
    cut, _, end = end.partition(" bytes of output cut here …]\n")
    assert mark
    assert beginning.splitlines() == lines[: len(beginning.splitlines())]
    assert end.splitlines() == lines[-len(end.splitlines()) :]
    assert int(cut) + len(beginning) + 1 + len(end) == sum(len(line) + 1 for line in lines) + 1


def test_one_endless_line_is_bounded_too(path):
    with ConsoleCapture(path, keep_bytes=1_000):
        for _ in range(1_000):
            print("ä" * 50, end="")

    assert path.stat().st_size < 2_100


def test_the_tail_shows_a_progress_bar_once(path):
    with ConsoleCapture(path) as capture:
        print("start")
        for percent in range(101):
            sys.stderr.write(f"\r\x1b[32m{percent}%\x1b[0m")
        sys.stderr.write("\n")
        print("windows\r")
        print("end")

    assert capture.tail() == "start\n100%\nwindows\nend\n"


def test_the_tail_is_bounded_and_whole_characters(path):
    with ConsoleCapture(path) as capture:
        print("ä" * 1_000)

    tail = capture.tail(100)
    assert set(tail) == {"ä", "\n"}
    assert 98 <= len(tail.encode()) <= 100


def test_the_tail_before_anything_is_empty(path):
    assert ConsoleCapture(path).tail() == ""


def test_text_that_is_no_unicode_is_printed_and_copied(path, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), errors="surrogateescape", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    with ConsoleCapture(path):
        print("a\udcffb")

    assert stream.buffer.getvalue() == b"a\xffb\n"
    assert path.read_text() == "a\\udcffb\n"


def test_a_stream_that_is_missing_or_cannot_be_wrapped_is_left_alone(path, monkeypatch):
    class Narrow:
        __slots__ = ("texts",)

        def __init__(self):
            self.texts = []

        def write(self, text):
            self.texts.append(text)

    narrow = Narrow()
    monkeypatch.setattr(sys, "stdout", narrow)
    monkeypatch.setattr(sys, "stderr", None)
    with ConsoleCapture(path):
        print("shown")

    assert narrow.texts == ["shown", "\n"]


def test_a_full_disk_ends_the_copy_and_not_the_program(tmp_path, mounted, capsys):
    folder = tmp_path / "small"
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", "size=64k", "tmpfs"):
        with ConsoleCapture(folder / "console.txt") as capture:
            for _ in range(2_000):
                print("x" * 99)

        assert isinstance(capture.error, OSError)
    assert len(capsys.readouterr().out) == 200_000


def test_a_file_that_cannot_be_written_is_told_at_the_start(tmp_path):
    (tmp_path / "file").write_text("in the way")
    before = dict(vars(sys.stdout))
    with pytest.raises(OSError):
        ConsoleCapture(tmp_path / "file" / "console.txt").start()

    assert dict(vars(sys.stdout)) == before


def test_threads_print_whole_lines(path):
    def chatter(name):
        for _ in range(200):
            sys.stdout.write(f"{name}\n")

    names = ["a" * 40, "b" * 40, "c" * 40]
    with ConsoleCapture(path):
        threads = [threading.Thread(target=chatter, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    lines = path.read_text().splitlines()
    assert sorted(set(lines)) == names
    assert len(lines) == 600


PROGRAM = """
import os, signal, sys, threading, time
from aletheia_like.capture.console import ConsoleCapture
capture = ConsoleCapture(sys.argv[1])
capture.start()
"""


def run_program(path, program, status=0):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + program, path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def test_a_program_that_never_stops_it_ends_as_ever(path):
    shown = run_program(path, "print('last words')")

    assert shown == path.read_text() == "last words\n"


def test_a_program_that_is_killed_leaves_what_it_printed(path):
    run_program(path, "print('last words'); os.kill(os.getpid(), 9)", status=-9)

    assert path.read_text() == "last words\n"


def test_forked_children_print_without_a_copy_while_threads_print(path):
    program = """
def chatter():
    while not ended: sys.stdout.write("t\\n")
ended = []
thread = threading.Thread(target=chatter)
thread.start()
for _ in range(30):
    child = os.fork()
    if not child:
        print("from a child", file=sys.stderr)
        os._exit(0)
    os.waitpid(child, 0)
ended.append(1)
thread.join()
"""
    run_program(path, program)

    assert set(path.read_text().splitlines()) == {"t"}


def test_a_signal_handler_that_prints_does_not_hang(path):
    program = """
signal.signal(signal.SIGALRM, lambda *_: print("tick"))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
end = time.monotonic() + 1
capture._keep = 2_000
while time.monotonic() < end: sys.stderr.write("work\\n")
signal.setitimer(signal.ITIMER_REAL, 0)
capture.stop()
sys.stderr = open(os.devnull, "w")
"""
    run_program(path, program)

    assert path.stat().st_size < 6_000
    assert "tick" in path.read_text()


def test_the_file_is_for_its_user_alone(path):
    with ConsoleCapture(path, keep_bytes=100):
        print("secret\n" * 100)

    assert path.stat().st_mode & 0o077 == 0
