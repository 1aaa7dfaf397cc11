"""A run in memory that handlers add to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import aletheia_like as al


@pytest.fixture
def ms(tmp_path: Path) -> Iterator[al.Metastore]:
    """A metastore in memory, with a cache of its own."""
    with al.Metastore("p", url="memory://", cache_dir=tmp_path / "cache", git="off") as metastore:
        yield metastore


@pytest.fixture
def run(ms: al.Metastore) -> al.Run:
    """A live run."""
    return ms.exper("e").start_run()
