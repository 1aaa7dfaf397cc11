"""The wrappers of document stores are document stores."""

from __future__ import annotations

import pytest

from aletheia_like.adapters.counting import CountingDocumentStore
from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.adapters.mirroring import MirroringDocumentStore
from aletheia_like.adapters.retrying import RetryingDocumentStore
from aletheia_like.adapters.sqlite import SqliteDocumentStore
from aletheia_like.ports.usage import Usage
from aletheia_like.testing.documents import DocumentStoreSuite


class TestRetryingAndCountingMemory(DocumentStoreSuite):
    shared = False

    @pytest.fixture
    def store(self):
        inner = CountingDocumentStore(MemoryDocumentStore(), Usage())
        return RetryingDocumentStore(inner, deadline=2)


class TestRetryingAndCounting(DocumentStoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        inner = SqliteDocumentStore(tmp_path / "store.sqlite")
        store = RetryingDocumentStore(CountingDocumentStore(inner, Usage()), deadline=2)
        yield store
        store.close()


class TestMirroring(DocumentStoreSuite):
    shared = False

    @pytest.fixture
    def store(self, tmp_path):
        mirror = SqliteDocumentStore(tmp_path / "mirror.sqlite")
        store = MirroringDocumentStore(MemoryDocumentStore(), mirror)
        yield store
        store.close()
