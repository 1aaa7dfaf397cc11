"""Figures of the machine and of this process while something runs: processors, memory, network.

    cpu_percent               of the whole machine, 100 is all processors at work
    process_cpu_percent       of this process, 100 is one processor at work
    memory_percent            of the machine's memory that is in use
    process_memory_percent    of the machine's memory that this process has (resident)
    disk_percent              of the disk of the current folder that is in use
    gpu_0_percent             of the time that a kernel ran on NVIDIA processor 0
    gpu_0_memory_percent      of that processor's memory that is in use
    bytes_sent, bytes_recv    through all network interfaces of the machine, loopback too

Processor shares come from counters of time read at the two ends, so they are exact for the whole
span however rarely it is sampled; the others are averages over time of what was sampled between.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

from aletheia_like.errors import InvalidValueError, MissingExtraError

_JOIN_SECONDS = 5.0
_SHORTEST_INTERVAL = 0.001


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the counters and gauges said at one moment; times in seconds."""

    at: float
    busy: float
    total: float
    process: float
    levels: Mapping[str, float] = field(default_factory=dict)
    sent: int = 0
    received: int = 0


class Meter:
    """Reads the figures of the time since it was last read, for sampling a whole run.

    Args:
        system: Read processors, memory, disk and graphics processors.
        network: Read the bytes sent and received.

    Raises:
        MissingExtraError: psutil is not installed.
    """

    def __init__(self, *, system: bool = True, network: bool = True) -> None:
        self._psutil = _import_psutil()
        self._system = system
        self._network = network
        self._process: Any = None
        self._gpus: _Gpus | None = None
        self._last: _Reading | None = None

    def read_sample(self) -> dict[str, float]:
        """Return the figures since the last call; the first call covers next to no time."""
        first = self._last or self._read()
        self._last = self._read()
        return self._figures(first, self._last, dict(self._last.levels))

    def close(self) -> None:
        """Let go of the graphics processors; the meter may be used again."""
        if self._gpus is not None:
            self._gpus.close()
            self._gpus = None

    def _read(self) -> _Reading:
        network = self._psutil.net_io_counters(nowrap=False) if self._network else None
        busy, total = self._machine_times() if self._system else (0.0, 0.0)
        return _Reading(
            time.perf_counter(),
            busy,
            total,
            time.process_time(),
            dict(self._levels()) if self._system else {},
            network.bytes_sent if network else 0,
            network.bytes_recv if network else 0,
        )

    def _machine_times(self) -> tuple[float, float]:
        """Return the seconds all processors have worked, and have been there."""
        times = self._psutil.cpu_times()
        # Linux counts the time of guests in `user` and `nice` too.
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        total = sum(times) - guests
        return total - times.idle - getattr(times, "iowait", 0.0), total

    def _levels(self) -> Iterator[tuple[str, float]]:
        psutil = self._psutil
        unreadable = (OSError, psutil.Error)
        with contextlib.suppress(*unreadable):
            yield "memory_percent", float(psutil.virtual_memory().percent)
        with contextlib.suppress(*unreadable):
            if self._process is None or self._process.pid != os.getpid():
                self._process = psutil.Process()
            yield "process_memory_percent", float(self._process.memory_percent())
        with contextlib.suppress(*unreadable):
            yield "disk_percent", float(psutil.disk_usage(str(_folder())).percent)
        if self._gpus is None:
            self._gpus = _Gpus()
        yield from self._gpus.levels()

    def _figures(
        self, first: _Reading, last: _Reading, levels: Mapping[str, float]
    ) -> dict[str, float]:
        figures: dict[str, float] = {}
        if self._system:
            seconds = max(last.at - first.at, 1e-9)
            process = max(last.process - first.process, 0.0) / seconds
            figures["cpu_percent"] = 100 * _share(first, last, process)
            figures["process_cpu_percent"] = 100 * process
            figures |= levels
        if self._network:
            figures["bytes_sent"] = max(last.sent - first.sent, 0)
            figures["bytes_recv"] = max(last.received - first.received, 0)
        return figures


class Sampler(Meter):
    """Samples in a background thread from `start` to `stop`; as a context manager, inside it.

    A thread and no process, so it works in daemonic workers and under every start method; `stop`
    joins it. A child that was forked meanwhile has no such thread and samples no more.

    Args:
        interval: Seconds between two samples; the two ends are always sampled.
        system: Sample processors, memory, disk and graphics processors.
        network: Count the bytes sent and received.

    Raises:
        InvalidValueError: The interval is no positive number of seconds.
        MissingExtraError: psutil is not installed.
    """

    def __init__(
        self, interval: float = 1.0, *, system: bool = True, network: bool = False
    ) -> None:
        super().__init__(system=system, network=network)
        if not interval > 0:
            message = f"the sampling interval must be a positive number of seconds: {interval!r}"
            raise InvalidValueError(message)
        self._interval = max(interval, _SHORTEST_INTERVAL)
        self._averages = _Averages()
        self._first: _Reading | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._pid = 0
        self.figures: dict[str, float] = {}
        """The averages, once it was stopped."""

    def start(self) -> None:
        """Begin; does nothing if it has begun."""
        if self._first is not None:
            return
        self._pid = os.getpid()
        self._stopped.clear()
        self._averages = _Averages()
        self._first = self._read()
        self._averages.add(self._first)
        # Without gauges there is nothing between the two ends.
        if self._system:
            self._thread = threading.Thread(
                target=self._sample, name="aletheia-sampler", daemon=True
            )
            self._thread.start()

    def stop(self) -> dict[str, float]:
        """End, and return the averages since `start`; again, the same."""
        first, self._first = self._first, None
        if first is None or self._pid != os.getpid():
            return self.figures
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
            self._thread = None
        last = self._read()
        self._averages.add(last)
        self.figures = self._figures(first, last, self._averages.result())
        self.close()
        return self.figures

    def _sample(self) -> None:
        while not self._stopped.wait(self._interval):
            with contextlib.suppress(OSError, self._psutil.Error):
                self._averages.add(self._read())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Averages:
    """Averages of gauges over time: samples of a thread that had to wait are far apart."""

    def __init__(self) -> None:
        self._previous: dict[str, tuple[float, float]] = {}
        self._areas: dict[str, float] = {}
        self._seconds: dict[str, float] = {}

    def add(self, reading: _Reading) -> None:
        for name, level in reading.levels.items():
            then, before = self._previous.get(name, (reading.at, level))
            seconds = reading.at - then
            area = seconds * (before + level) / 2
            self._areas[name] = self._areas.get(name, 0.0) + area
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds
            self._previous[name] = (reading.at, level)

    def result(self) -> dict[str, float]:
        return {
            name: self._areas[name] / self._seconds[name] if self._seconds[name] > 0 else level
            for name, (_, level) in self._previous.items()
        }


class _Gpus:
    """The NVIDIA graphics processors, none if there is no driver or `nvidia-ml-py`."""

    def __init__(self) -> None:
        self._nvml = _open_nvml()
        self._handles: list[Any] = []
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                count = self._nvml.nvmlDeviceGetCount()
                self._handles = list(map(self._nvml.nvmlDeviceGetHandleByIndex, range(count)))

    def levels(self) -> Iterator[tuple[str, float]]:
        if self._nvml is None:
            return
        for index, handle in enumerate(self._handles):
            with contextlib.suppress(self._nvml.NVMLError):
                rates = self._nvml.nvmlDeviceGetUtilizationRates(handle)
                yield f"gpu_{index}_percent", float(rates.gpu)
            with contextlib.suppress(self._nvml.NVMLError):
                memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
                yield f"gpu_{index}_memory_percent", 100 * memory.used / memory.total

    def close(self) -> None:
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()


def _open_nvml() -> ModuleType | None:
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    return nvml


def _import_psutil() -> ModuleType:
    try:
        import psutil
    except ImportError as error:
        message = (
            "sampling processors, memory and network needs psutil: "
            "pip install 'aletheia-like[system]'"
        )
        raise MissingExtraError(message) from error
    module: ModuleType = psutil
    return module


def _share(first: _Reading, last: _Reading, process: float) -> float:
    """Return the part of all processors' time that was worked, from 0 to 1."""
    total = last.total - first.total
    if total > 0:
        return min(max((last.busy - first.busy) / total, 0.0), 1.0)
    # Shorter than the tick of the machine's counters: what this process did is known finer.
    return min(process / (os.cpu_count() or 1), 1.0)


def _folder() -> Path:
    """Return the current folder, or the root if it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")
