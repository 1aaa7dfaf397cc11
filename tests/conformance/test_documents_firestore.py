"""Firestore keeps the contract of the port."""  # B1

from __future__ import annotations

import pytest

from aletheia_like.testing.documents import DocumentStoreSuite


class TestFirestore(DocumentStoreSuite):
    @pytest.fixture
    def store(self, firestore_store):
        return firestore_store

    def put_raw(self, store, path, fields):
        store._clients.get().document(path).create(dict(fields))

    def read_raw(self, store, path):
        return store._clients.get().document(path).get().to_dict()
