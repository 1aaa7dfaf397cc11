"""Opens a metastore over every store: memory, embedded, and the emulators."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import aletheia_like as al

Opener = Callable[..., al.Metastore]


@pytest.fixture(params=["embedded", "firestore"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store that other processes can open too."""
    if request.param == "embedded":
        return (tmp_path / "store").as_uri()
    request.getfixturevalue("firestore_emulator")
    request.getfixturevalue("gcs_emulator")
    return f"firestore://demo-{secrets.token_hex(6)}/(default)?bucket=aletheia-emulator"


@pytest.fixture
def open_ms(store_url: str, tmp_path: Path) -> Iterator[Opener]:
    """Open the project `p` of the store, with a cache of its own; closed at the end."""
    opened: list[al.Metastore] = []

    def opener(project: str = "p", **options: object) -> al.Metastore:
        given = {"url": store_url, "cache_dir": tmp_path / "cache", "git": "off", **options}
        opened.append(al.Metastore(project, **given))  # type: ignore[arg-type]
        return opened[-1]

    yield opener
    for metastore in opened:
        metastore.close()


@pytest.fixture
def ms(open_ms: Opener) -> al.Metastore:
    """A metastore over every store that outlives a process."""
    return open_ms()
