"""Every benchmark runs, on a small size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", ["start", "runs", "files"])
def test_a_benchmark_runs_on_a_small_size(name):
    command = [sys.executable, "-m", "tests.benchmarks", name, "--small"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["benchmark"].startswith(name)
