"""Every benchmark runs, on a small size and without peers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.installing import pinned

ROOT = Path(__file__).parent.parent.parent
NAMES = (
    "logging runs reading frames sql start writers crash files adding cache transfers series "
    "growth export"
).split()


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_runs_on_a_small_size(name):
    command = [sys.executable, "-m", "tests.benchmarks", name, "--small"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["benchmark"].startswith(name)


def test_each_peer_has_one_pinned_version():
    versions = [requirement.partition("==")[2] for requirement in pinned().values()]

    assert versions
    assert all(versions)
