"""The plugin gives its fixtures, skips without emulators, and fails where they are required."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TESTS = """
import aletheia_like as al

def test_memory(metastore):
    with metastore.exper("e").start_run() as run:
        run.add_metric("m", 1)
    assert metastore.exper("e").run("1").metrics == {"m": 1}

def test_firestore(firestore_metastore):
    with firestore_metastore.exper("e").start_run() as run:
        run.add_metric("m", 1)
    assert firestore_metastore.exper("e").run("1").metrics == {"m": 1}

def test_fresh(firestore_metastore):
    assert list(firestore_metastore.experiments()) == []
"""


def outcome(tmp_path, **changed):
    """Run the tests of somebody who uses the plugin; return what pytest prints last."""
    path = tmp_path / "test_theirs.py"
    path.write_text(TESTS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **changed}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environment = {name: value for name, value in environment.items() if value}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "aletheia_like.testing.plugin"]
    ended = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(path)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ended.stdout + ended.stderr


@pytest.mark.usefixtures("firestore_emulator", "gcs_emulator")
def test_the_fixtures_are_fresh_metastores(tmp_path):
    assert "3 passed" in outcome(tmp_path)


def test_without_emulators_tests_are_skipped_with_a_remedy(tmp_path):
    told = outcome(
        tmp_path,
        ALETHEIA_FIRESTORE_JAR=str(tmp_path / "none.jar"),
        FIRESTORE_EMULATOR_HOST="",
        ALETHEIA_REQUIRE="",
    )

    assert "1 passed, 2 skipped" in told
    assert "ALETHEIA_FIRESTORE_JAR" in told


def test_a_required_emulator_that_is_missing_fails(tmp_path):
    told = outcome(
        tmp_path,
        ALETHEIA_FIRESTORE_JAR=str(tmp_path / "none.jar"),
        FIRESTORE_EMULATOR_HOST="",
        ALETHEIA_REQUIRE="gcs,firestore",
    )

    assert "ALETHEIA_REQUIRE names firestore" in told
    assert "1 passed, 2 errors" in told


def test_a_named_emulator_that_is_dead_is_not_used(tmp_path):
    told = outcome(tmp_path, FIRESTORE_EMULATOR_HOST="127.0.0.1:1", ALETHEIA_REQUIRE="")

    assert "1 passed, 2 skipped" in told
    assert "127.0.0.1:1" in told
