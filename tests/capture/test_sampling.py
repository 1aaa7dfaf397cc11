"""Figures of the machine while something runs: right averages, and nothing left behind."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest

from aletheia_like.capture.sampling import Meter, Sampler
from aletheia_like.errors import InvalidValueError, MissingExtraError

SYSTEM = {
    "cpu_percent",
    "process_cpu_percent",
    "memory_percent",
    "process_memory_percent",
    "disk_percent",
}
NETWORK = {"bytes_sent", "bytes_recv"}

DRIVER = """
typedef struct { unsigned int gpu, memory; } rates;
typedef struct { unsigned long long total, free, used; } memory;
int nvmlInitWithFlags(unsigned int flags) { return 0; }
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **handle) {
    *handle = (void *)(unsigned long)(index + 1); return 0; }
int nvmlDeviceGetUtilizationRates(void *handle, rates *given) {
    given->gpu = 40 * (unsigned long)handle; return 0; }
int nvmlDeviceGetMemoryInfo(void *handle, memory *given) {
    given->total = 1000; given->used = 250;
    return (unsigned long)handle == 2 ? 3 : 0; }
"""
READ_GPUS = """
from aletheia_like.capture.sampling import Sampler
with Sampler(0.01) as sampler: pass
print({name: sampler.figures[name] for name in sampler.figures if "gpu" in name})
"""


def work(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def samplers():
    return [one for one in threading.enumerate() if one.name == "aletheia-sampler"]


def test_a_busy_loop_has_the_average_that_psutil_measures():  # F5
    psutil.cpu_percent()
    sampler = Sampler(0.1)
    sampler.start()
    work(1.2)
    figures = sampler.stop()
    expected = psutil.cpu_percent()

    assert figures.keys() >= SYSTEM
    assert figures["cpu_percent"] == pytest.approx(expected, rel=0.2)
    assert figures["process_cpu_percent"] > 10
    assert 0 < figures["process_memory_percent"] < figures["memory_percent"] <= 100
    assert figures["memory_percent"] == pytest.approx(psutil.virtual_memory().percent, abs=15)
    assert figures["disk_percent"] == pytest.approx(psutil.disk_usage(".").percent, abs=5)


def test_an_idle_span_has_a_low_average_of_the_process():  # F5
    with Sampler(0.2) as sampler:
        time.sleep(0.8)

    assert sampler.figures["process_cpu_percent"] < 40


def test_a_span_shorter_than_the_interval_has_figures():  # F5
    with Sampler(10) as sampler:
        # The system counts in hundredths of a second.
        work(0.05)

    assert sampler.figures.keys() >= SYSTEM
    assert all(0 <= sampler.figures[name] <= 100 for name in SYSTEM - {"process_cpu_percent"})
    assert sampler.figures["cpu_percent"] > 0


def test_an_average_weighs_samples_by_the_time_between_them():
    with Sampler(0.05) as sampler:
        time.sleep(0.5)
        memory = bytearray(os.urandom(1 << 20)) * 200
        time.sleep(0.5)
    with_it = psutil.Process().memory_percent()
    del memory
    grown = 100 * (200 << 20) / psutil.virtual_memory().total

    average = sampler.figures["process_memory_percent"]
    assert with_it - 0.8 * grown < average < with_it - 0.2 * grown


def test_bytes_through_a_socket_are_counted():  # F6
    size = 1_000_000
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        sender = socket.create_connection(address)
        receiver, _ = server.accept()
        with sender, receiver, Sampler(system=False, network=True) as sampler:
            thread = threading.Thread(target=sender.sendall, args=(b"x" * size,))
            thread.start()
            left = size
            while left:
                left -= len(receiver.recv(min(left, 65_536)))
            thread.join()

    assert sampler.figures.keys() == NETWORK
    # Other programs of the machine may be at work too, so the upper side has room.
    assert 0.99 * size <= sampler.figures["bytes_recv"] <= 2 * size
    assert sampler.figures["bytes_sent"] >= 0.99 * size


def test_no_thread_and_no_process_is_left():  # F7
    children = psutil.Process().children()
    with Sampler(0.01):
        time.sleep(0.05)
        during = samplers()
    after = samplers()

    assert len(during) == 1
    assert after == []
    assert psutil.Process().children() == children


def test_starting_and_stopping_again_changes_nothing():
    sampler = Sampler(0.01)
    sampler.start()
    sampler.start()
    figures = sampler.stop()

    assert sampler.stop() == figures
    assert samplers() == []


def test_a_sampler_can_be_used_again():
    sampler = Sampler(0.01)
    with sampler:
        pass
    with sampler:
        work(0.05)

    assert sampler.figures["process_cpu_percent"] > 0


def sample_here(answers):
    with Sampler(0.01) as sampler:
        work(0.05)
    answers.put((sampler.figures, len(samplers())))


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_it_works_in_a_daemonic_worker(method):  # F7
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    worker = context.Process(target=sample_here, args=(answers,), daemon=True)
    worker.start()
    figures, left = answers.get(timeout=60)
    worker.join(60)

    assert figures["process_cpu_percent"] > 0
    assert left == 0


def test_a_forked_child_may_stop_the_sampler_of_its_parent():
    with Sampler(0.001) as sampler:
        for _ in range(20):
            child = os.fork()
            if not child:
                os._exit(0 if sampler.stop() == {} else 1)
            _, status = os.waitpid(child, 0)
            assert status == 0

    assert sampler.figures["memory_percent"] > 0


def test_a_meter_gives_the_figures_since_it_was_last_read():
    meter = Meter()
    first = meter.read_sample()
    work(0.3)
    busy = meter.read_sample()
    time.sleep(0.3)
    idle = meter.read_sample()
    meter.close()

    assert first.keys() >= SYSTEM | NETWORK
    assert busy["process_cpu_percent"] > max(20, idle["process_cpu_percent"])


def test_a_folder_that_is_gone_does_not_stop_the_sampling(tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with Sampler() as sampler:
        pass

    assert sampler.figures["disk_percent"] > 0


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_an_interval_that_is_none_is_refused(interval):
    with pytest.raises(InvalidValueError, match="interval"):
        Sampler(interval)


def test_a_missing_psutil_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'aletheia-like\[system\]'"):
        Sampler()


def test_graphics_processors_are_read_through_the_driver(tmp_path):
    pytest.importorskip("pynvml")
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler: apt-get install gcc")
    source = tmp_path / "driver.c"
    source.write_text(DRIVER)
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-c", READ_GPUS],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    # The second one does not tell its memory.
    assert done.stdout.strip() == str(
        {"gpu_0_percent": 40.0, "gpu_0_memory_percent": 25.0, "gpu_1_percent": 80.0}
    )
