"""Fixtures for tests that record runs: `metastore` in memory, `firestore_metastore` on emulators.

The emulators are started once for each pytest process, unless the environment names running ones
(as inside `aletheia emulator exec`). Where they cannot be had the test is skipped, or fails if
`ALETHEIA_REQUIRE` lists `firestore` or `gcs`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from aletheia_like.connect import Metastore
    from aletheia_like.testing.emulators import Server


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
    from aletheia_like.testing.emulators import FirestoreEmulator

    with _running(FirestoreEmulator(), "firestore") as environment:
        yield environment["FIRESTORE_EMULATOR_HOST"]


@pytest.fixture(scope="session")
def gcs_emulator() -> Iterator[str]:
    """Address of a Cloud Storage emulator with a bucket; `STORAGE_EMULATOR_HOST` is set to it."""
    from aletheia_like.testing.emulators import GcsEmulator, create_bucket

    with _running(GcsEmulator(), "gcs") as environment:
        create_bucket(environment["STORAGE_EMULATOR_HOST"])
        yield environment["STORAGE_EMULATOR_HOST"]


@contextmanager
def _running(server: Server, kind: str) -> Iterator[dict[str, str]]:
    """Use the server that the environment names, or start one and name it there."""
    from aletheia_like.errors import AletheiaError
    from aletheia_like.testing.emulators import answering

    given = {name: os.environ[name] for name in server.environment if os.environ.get(name)}
    if given:
        if not answering(given):
            _go_without(kind, f"no emulator answers at {given}: start it, or unset the variable")
        yield given
        return
    try:
        server.start()
    except AletheiaError as error:
        _go_without(kind, str(error))
    try:
        os.environ.update(server.environment)
        yield dict(server.environment)
    finally:
        for name in server.environment:
            os.environ.pop(name, None)
        server.stop()


def _go_without(kind: str, why: str) -> None:
    """Skip the test, or let it fail if the emulator is required."""
    if kind in os.environ.get("ALETHEIA_REQUIRE", "").split(","):
        pytest.fail(f"ALETHEIA_REQUIRE names {kind}: {why}", pytrace=False)
    pytest.skip(why)
