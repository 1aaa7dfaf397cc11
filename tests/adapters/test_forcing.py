"""Large files reach the disk behind the back of whoever stored them."""

import os
import subprocess
import sys
import threading

from aletheia_like.adapters._forcing import Forcing
from aletheia_like.testing.documents import in_child


def busy():
    return [one for one in threading.enumerate() if one.name == "aletheia-disk"]


def test_waiting_ends_the_thread(tmp_path):
    forcing = Forcing()
    for number in range(5):
        path = tmp_path / str(number)
        path.write_bytes(os.urandom(2_000_000))
        forcing.add(str(path))

    forcing.wait()

    assert not busy()


def test_a_file_that_is_gone_is_left_out(tmp_path, caplog):
    forcing = Forcing()

    forcing.add(str(tmp_path / "gone"))
    forcing.wait()

    assert not caplog.records


def test_a_file_that_the_disk_refuses_is_told(tmp_path, caplog):
    forcing = Forcing()
    # No pipe can be forced to disk, which is what a broken disk says of files.
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)

    forcing.add(str(tmp_path / "pipe"))
    forcing.wait()

    os.close(writer)
    assert f"the disk may not have {tmp_path / 'pipe'}" in caplog.text


def test_a_forked_child_has_work_of_its_own(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 2_000_000)
    forcing = Forcing()
    forcing.add(str(path))

    def add_and_wait():
        forcing.add(str(path))
        forcing.wait()

    in_child(add_and_wait)
    forcing.wait()

    assert not busy()


AT_EXIT = """
import atexit, pathlib, sys, threading
from aletheia_like.adapters._forcing import Forcing
def late():
    Forcing().add(sys.argv[1])
    print("forced", flush=True)
atexit.register(late)
"""


def test_a_file_is_forced_when_no_thread_begins_any_more(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")

    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT, str(path)], capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("forced\n", "")
