"""Firestore keeps the contract of the port."""  # B1

from __future__ import annotations

import pytest

from aletheia_like.adapters import firestore as adapter
from aletheia_like.testing.documents import DocumentStoreSuite


class TestFirestore(DocumentStoreSuite):
    @pytest.fixture
    def store(self, firestore_store):
        return firestore_store

    # Google's own client stands for another program.
    def put_raw(self, store, path, fields):
        self.client(store).document(path).create(dict(fields))

    def read_raw(self, store, path):
        return self.client(store).document(path).get().to_dict()

    def client(self, store):
        from google.cloud import firestore

        return firestore.Client(project=store._project)


class TestFirestoreInSmallPages(TestFirestore):
    @pytest.fixture
    def store(self, firestore_store, monkeypatch):
        monkeypatch.setattr(adapter, "_PAGE_DOCUMENTS", 3)
        monkeypatch.setattr(adapter, "_GET_DOCUMENTS", 100)
        monkeypatch.setattr(adapter, "_PAGE_BYTES", 200_000)
        return firestore_store
