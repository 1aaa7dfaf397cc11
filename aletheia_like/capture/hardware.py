"""Processor, memory and graphics processors of this machine."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
from pathlib import Path

_GPU_SECONDS = 2.0


@functools.cache
def read_cpu() -> str | None:
    """Return the processor's name; a machine of many takes milliseconds to tell it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or None
    names = (
        line.partition(":")[2].strip()
        for line in text.splitlines()
        if line.startswith("model name")
    )
    return next(names, None) or platform.machine()


def read_cpu_count() -> int | None:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def read_memory() -> int | None:
    """Return the bytes of main memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def read_gpus() -> tuple[str, ...]:
    """Return one line for each NVIDIA graphics processor: name, memory, driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command
            query, capture_output=True, text=True, timeout=_GPU_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    if answer.returncode != 0:
        return ()
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())
