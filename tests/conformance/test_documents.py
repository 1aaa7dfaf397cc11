"""The embedded document stores keep the contract of the port."""  # B1, B2, B3

import sqlite3

import pytest

from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.adapters.sqlite import SqliteDocumentStore
from aletheia_like.model.jsontext import from_text, to_text
from aletheia_like.ports.documents import Create
from aletheia_like.testing.documents import DocumentStoreSuite


class TestMemory(DocumentStoreSuite):
    shared = False

    @pytest.fixture
    def store(self):
        return MemoryDocumentStore()


class TestSqlite(DocumentStoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        store = SqliteDocumentStore(tmp_path / "made" / "store.db")
        yield store
        store.close()

    def put_raw(self, store, path, fields):
        store.apply([Create("other/document", {})])
        collection, _, id_ = path.rpartition("/")
        row = (collection, id_, "by hand", "2026-01-31T00:00:00+00:00", to_text(fields))
        self.execute(store, "INSERT INTO documents VALUES (?, ?, ?, ?, ?)", row)

    def read_raw(self, store, path):
        query = "SELECT fields FROM documents WHERE collection || '/' || id = ?"
        return from_text(self.execute(store, query, (path,))[0][0])

    def damage(self, store, path):
        change = "UPDATE documents SET fields = '{\"a\":' WHERE collection || '/' || id = ?"
        self.execute(store, change, (path,))

    def execute(self, store, statement, parameters):
        connection = sqlite3.connect(store.path)
        with connection:
            rows = connection.execute(statement, parameters).fetchall()
        connection.close()
        return rows
