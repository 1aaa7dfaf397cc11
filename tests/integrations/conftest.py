"""One Spark for all tests of a process: two threads, loopback only, nothing of its user's."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest

from aletheia_like.testing.plugin import _go_without

ROOT = Path(__file__).parents[2]
OPTIONS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.catalogImplementation": "in-memory",
}


@pytest.fixture(scope="session")
def spark(request, tmp_path_factory):
    """A session whose workers run this Python, see the emulators and read the format."""
    pyspark_sql = _pyspark()
    for emulator in ("firestore_emulator", "gcs_emulator"):
        # Workers have the environment that Spark was started in.
        with contextlib.suppress(pytest.skip.Exception):
            request.getfixturevalue(emulator)
    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
            patch.setenv(name, sys.executable)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        for name in ("CONFIG", "DATA", "CACHE"):
            patch.setenv(f"XDG_{name}_HOME", str(folder / name.lower()))
        for name in ("URL", "PROJECT", "BLOBS", "CACHE_DIR", "HOME"):
            patch.delenv(f"ALETHEIA_{name}", raising=False)
        session = _started(pyspark_sql, folder)
    yield session
    _stop(session)


def _pyspark():
    try:
        import pyspark.sql
    except ImportError as error:
        _go_without("spark", f"{error}: pip install 'aletheia-like[spark]'")
    return pyspark.sql


def _started(pyspark_sql, folder):
    from aletheia_like.integrations.spark import register

    builder = pyspark_sql.SparkSession.builder.master("local[2]").appName("tests")
    options = {**OPTIONS, "spark.sql.warehouse.dir": folder / "tables"}
    for name, value in {**options, "spark.local.dir": folder / "local"}.items():
        builder = builder.config(name, str(value))
    try:
        session = builder.getOrCreate()
    except Exception as error:  # noqa: BLE001 - whatever keeps Java from running
        _go_without(
            "spark", f"Spark does not start, it needs Java 17: apt install default-jre\n{error}"
        )
    session.sparkContext.setLogLevel("OFF")
    register(session)
    return session


def _stop(session):
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    session.stop()
    gateway.shutdown()
    # Java ends when its input does.
    gateway.proc.stdin.close()
    gateway.proc.wait(30)
    SparkContext._gateway = SparkContext._jvm = None
