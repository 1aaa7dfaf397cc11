"""Fixtures for tests that record runs: `metastore` in memory, `firestore_metastore` on emulators.

The emulators are started once for each pytest process, unless the environment names running ones
(as inside `aletheia emulator exec`). Where they cannot be had the test is skipped, or fails if
`ALETHEIA_REQUIRE` lists `firestore` or `gcs`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from aletheia_like.connect import Metastore
    from aletheia_like.testing.emulators import Server

S = TypeVar("S", bound="Server")


@pytest.fixture
def metastore(tmp_path: Path) -> Iterator[Metastore]:
    """An empty metastore in memory, with git off."""
    from aletheia_like.connect import Metastore

    with Metastore("test", url="memory://", cache_dir=tmp_path / "cache", git="off") as opened:
        yield opened


@pytest.fixture
def firestore_metastore(
    firestore_emulator: str, gcs_emulator: str, tmp_path: Path
) -> Iterator[Metastore]:
    """An empty metastore on the Firestore and Cloud Storage emulators, with git off."""
    from aletheia_like.connect import Metastore
    from aletheia_like.testing.emulators import BUCKET

    url = f"firestore://demo-{secrets.token_hex(6)}/(default)?bucket={BUCKET}"
    with Metastore("test", url=url, cache_dir=tmp_path / "cache", git="off") as opened:
        yield opened


@pytest.fixture(scope="session")
def firestore_emulator() -> Iterator[str]:
    """Host and port of a Firestore emulator; `FIRESTORE_EMULATOR_HOST` is set to it."""
    given = os.environ.get("FIRESTORE_EMULATOR_HOST")
    if given:
        yield given
        return
    from aletheia_like.testing.emulators import FirestoreEmulator

    server = _started(FirestoreEmulator(), "firestore")
    os.environ.update(server.environment)
    try:
        yield server.host
    finally:
        os.environ.pop("FIRESTORE_EMULATOR_HOST", None)
        server.stop()


@pytest.fixture(scope="session")
def gcs_emulator() -> Iterator[str]:
    """Address of a Cloud Storage emulator with a bucket; `STORAGE_EMULATOR_HOST` is set to it."""
    given = os.environ.get("STORAGE_EMULATOR_HOST")
    if given:
        yield given
        return
    from aletheia_like.testing.emulators import GcsEmulator

    server = _started(GcsEmulator(), "gcs")
    os.environ.update(server.environment)
    try:
        server.create_bucket()
        yield server.url
    finally:
        os.environ.pop("STORAGE_EMULATOR_HOST", None)
        server.stop()


def _started(server: S, kind: str) -> S:
    from aletheia_like.errors import AletheiaError

    try:
        server.start()
    except AletheiaError as error:
        if kind in os.environ.get("ALETHEIA_REQUIRE", "").split(","):
            pytest.fail(f"ALETHEIA_REQUIRE names {kind}: {error}", pytrace=False)
        pytest.skip(str(error))
    return server
