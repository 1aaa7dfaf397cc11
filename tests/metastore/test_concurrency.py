"""Many processes start runs at once."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import aletheia_like as al
with al.Metastore("p", url=sys.argv[1], cache_dir=sys.argv[2], git="off") as ms:
    exper = ms.exper("e")
    sys.stdin.readline()
    for _ in range(int(sys.argv[3])):
        with exper.start_run() as run:
            print(run.id, flush=True)
"""


def test_eight_processes_get_every_number_once(open_ms, store_url, tmp_path):  # M6
    # Each start at the emulator is several requests.
    each = 25 if store_url.startswith("file:") else 12
    command = [sys.executable, "-c", PROGRAM, store_url, str(tmp_path / "c"), str(each)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(8)]
    outputs = []
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        outputs.append(process.communicate(timeout=200)[0])

    numbers = sorted(int(line) for output in outputs for line in output.split())
    assert [process.returncode for process in started] == [0] * 8
    assert numbers == list(range(1, 8 * each + 1))
    runs = open_ms().experiment("e").runs()
    assert len(runs) == 8 * each
    assert {record.status for record in runs} == {"finished"}
