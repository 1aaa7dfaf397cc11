"""The example runs on every store, with equal results."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run_quickstart(tmp_path, **environment):
    tmp_path.mkdir(exist_ok=True)
    settings = {
        "ALETHEIA_GIT": "off",
        "ALETHEIA_CACHE_DIR": str(tmp_path / "cache"),
        **environment,
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "quickstart.py")],
        env={**os.environ, **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if not line.startswith("metastore")]


def test_the_quickstart_gives_equal_results_embedded_and_on_the_emulators(
    tmp_path, firestore_emulator, gcs_emulator
):
    pytest.importorskip("sklearn")
    embedded = run_quickstart(tmp_path / "a", ALETHEIA_URL=(tmp_path / "store").as_uri())
    cloud = f"firestore://demo-{secrets.token_hex(6)}/(default)?bucket=aletheia-emulator"
    on_emulators = run_quickstart(tmp_path / "b", ALETHEIA_URL=cloud)

    assert any(line.startswith("mean accuracy 0.9") for line in embedded)
    assert on_emulators == embedded
