"""What was searched last is remembered until anybody writes, and not a moment longer."""  # Q20

import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aletheia_like.adapters import _remembered
from aletheia_like.adapters._connections import Connections
from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.adapters.sqlite import SqliteDocumentStore
from aletheia_like.ports.documents import Create, Delete, Filter, Order, Query, Update

STEPS = st.tuples(
    st.sampled_from(["write", "delete", "search", "search", "first", "close"]),
    st.integers(0, 2),
    st.integers(0, 3),
)


def search(store, least):
    query = Query("c", (Filter(("n",), ">=", least),), (Order(("n",)),))
    return {one.id: one.fields["n"] for one in store.query(query)}


def first(store, least):
    bound = Filter(("n",), ">=", least)
    return [one.id for one in store.query(Query("c", (bound,), (Order(("n",), True),), 2))]


def write(store, id_, number):
    known = store.get(f"c/{id_}")
    store.apply(
        [Update(f"c/{id_}", {("n",): number}) if known else Create(f"c/{id_}", {"n": number})]
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=4, max_size=14))
def test_every_search_finds_what_was_written_by_whomever(steps):
    memory = MemoryDocumentStore()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        path = Path(folder) / "store.db"
        stores = [stack.enter_context(closing(SqliteDocumentStore(path))) for _ in range(3)]
        for place, (action, who, id_) in enumerate(steps):
            store = stores[who]
            if action == "write":
                write(store, id_, place)
                write(memory, id_, place)
            elif action == "delete":
                store.apply([Delete(f"c/{id_}")])
                memory.apply([Delete(f"c/{id_}")])
            elif action == "search":
                assert search(store, id_) == search(memory, id_)
            elif action == "first":
                assert first(store, id_) == first(memory, id_)
            else:
                store.close()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "store.db"
    with closing(SqliteDocumentStore(path)) as store:
        store.apply([Create(f"c/{number}", {"n": number}) for number in range(3)])
    return path


class Rows:
    """Reads a collection's ids and counts how often it was asked."""

    def __init__(self):
        self.reads = 0

    def __call__(self, connection):
        self.reads += 1
        return connection.execute("SELECT id, revision, updated_at, fields FROM documents")


def ids(rows):
    return [row[0] for row in rows]


def test_a_second_search_reads_nothing(path):
    connections, rows = Connections(path, 1.0), Rows()
    connections.search("c", rows, ids, [])

    assert connections.search("c", rows, ids, []) == ["0", "1", "2"]
    assert rows.reads == 1


def test_a_second_search_of_a_writer_reads_nothing(path):
    connections, rows = Connections(path, 1.0), Rows()
    connections.write(lambda connection: connection.execute("DELETE FROM documents WHERE id = 0"))
    connections.search("c", rows, ids, [])

    assert connections.search("c", rows, ids, []) == ["1", "2"]
    assert rows.reads == 1
    connections.close()


def test_another_collection_takes_its_place(path):
    connections, rows = Connections(path, 1.0), Rows()
    for collection in ("c", "d", "c"):
        connections.search(collection, rows, ids, [])

    assert rows.reads == 3


def test_a_search_that_ends_early_is_not_taken_for_all(path):
    connections, rows = Connections(path, 1.0), Rows()
    connections.search("c", rows, lambda found: next(iter(found)), None)

    assert connections.search("c", rows, ids, []) == ["0", "1", "2"]


def test_what_is_too_long_is_read_again(path, monkeypatch):
    monkeypatch.setattr(_remembered, "_MAX_CHARACTERS", 15)
    connections, rows = Connections(path, 1.0), Rows()
    connections.search("c", rows, ids, [])

    assert connections.search("c", rows, ids, []) == ["0", "1", "2"]
    assert rows.reads == 2


def test_a_store_put_in_its_place_is_searched(path, tmp_path):
    other = tmp_path / "other.db"
    with closing(SqliteDocumentStore(other)) as store:
        store.apply([Create(f"c/{number}", {"n": number}) for number in range(5, 8)])
    with closing(SqliteDocumentStore(path)) as store:
        search(store, 0)
        times = path.stat()
        os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
        other.replace(path)

        assert search(store, 0) == {"5": 5, "6": 6, "7": 7}


def test_a_program_that_knows_nothing_of_this_is_noticed(path):
    with closing(SqliteDocumentStore(path)) as store:
        store.apply([Create("c/3", {"n": 3})])
        search(store, 0)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("""UPDATE documents SET fields = '{"n":9}' WHERE id = '1'""")

        assert search(store, 4) == {"1": 9}
