"""A metastore in memory, one over every store, and what to fill them with."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import aletheia_like as al

NOW = dt.timedelta(0)


@pytest.fixture
def ms(tmp_path: Path) -> Iterator[al.Metastore]:
    """A metastore in memory."""
    with al.Metastore("p", url="memory://", cache_dir=tmp_path / "cache", git="off") as ms:
        yield ms


@pytest.fixture(params=["embedded", "firestore"])
def open_ms(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., al.Metastore]]:
    """Open one store, again and again, each time as another process would."""
    url = (tmp_path / "store").as_uri()
    if request.param == "firestore":
        request.getfixturevalue("firestore_emulator")
        request.getfixturevalue("gcs_emulator")
        prefix = secrets.token_hex(6)
        url = f"firestore://demo-{prefix}/(default)?bucket=aletheia-emulator"
    opened: list[al.Metastore] = []

    def opener() -> al.Metastore:
        blobs = f"gs://aletheia-emulator/{prefix}" if request.param == "firestore" else None
        opened.append(
            al.Metastore(
                "p", url=url, blobs=blobs, cache_dir=tmp_path / f"cache{len(opened)}", git="off"
            )
        )
        return opened[-1]

    yield opener
    for one in opened:
        one.close()
