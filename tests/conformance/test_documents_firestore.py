"""Firestore keeps the contract of the port."""  # B1

from __future__ import annotations

import threading

import pytest

from aletheia_like.adapters import firestore as adapter
from aletheia_like.ports.documents import Create, Query, Update
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

    def test_an_apply_is_seen_whole(self, store, base):
        """The emulator answers about one read in thirty with documents of two commits.

        They carry one read time, which the service promises to be one moment; measured with one
        request a read, so nothing of ours is in between. What can be asked of the emulator is that
        a torn answer holds neighbours only, and that a read after the commits is whole.
        """
        paths = [f"{base}/c/{number}" for number in range(5)]
        store.apply([Create(path, {"n": 0}) for path in paths])
        spreads = []

        def write():
            for number in range(1, 31):
                store.apply([Update(path, {("n",): number}) for path in paths])

        writer = threading.Thread(target=write)
        writer.start()
        while writer.is_alive():
            for found in (store.get_many(paths), list(store.query(Query(f"{base}/c")))):
                seen = [one.fields["n"] for one in found]
                spreads.append(max(seen) - min(seen))
        writer.join()

        assert max(spreads) <= 1
        assert {one.fields["n"] for one in store.query(Query(f"{base}/c"))} == {30}


class TestFirestoreInSmallPages(TestFirestore):
    @pytest.fixture
    def store(self, firestore_store, monkeypatch):
        monkeypatch.setattr(adapter, "_PAGE_DOCUMENTS", 3)
        monkeypatch.setattr(adapter, "_GET_DOCUMENTS", 100)
        monkeypatch.setattr(adapter, "_PAGE_BYTES", 200_000)
        return firestore_store
