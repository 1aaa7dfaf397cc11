"""The embedded store meets odd files, full disks, other processes and kills."""  # B2

import datetime as dt
import json
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aletheia_like.adapters import _remembered, sqlite
from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.adapters.sqlite import SqliteDocumentStore
from aletheia_like.errors import (
    AccessDeniedError,
    IntegrityError,
    NotFoundError,
    SettingsError,
    UnavailableError,
)
from aletheia_like.ports.documents import Create, Delete, Filter, Order, Query, Update
from aletheia_like.testing.documents import in_child, increment

PROGRAM = """
import os, sys
from pathlib import Path
from aletheia_like.adapters.sqlite import SqliteDocumentStore
from aletheia_like.ports.documents import Create, Query, Update
from aletheia_like.testing.documents import increment
store = SqliteDocumentStore(Path(sys.argv[1]))
number = sys.argv[2]
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "store.db"


@pytest.fixture
def store(path):
    with closing(SqliteDocumentStore(path)) as store:
        yield store


@pytest.fixture
def filled(path):
    """Return the path of a store with a hundred documents that nobody has open."""
    with closing(SqliteDocumentStore(path)) as store:
        store.apply([Create(f"c/{number:02}", {"n": number}) for number in range(100)])
    return path


def start(program, path, number=0):
    command = [sys.executable, "-c", PROGRAM + program, str(path), str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def seen_in(folder):
    """Return all that would tell of a change: names, times and contents."""
    files = sorted(folder.iterdir())
    return folder.stat().st_mtime_ns, [
        (file.name, file.stat().st_mtime_ns, file.is_file() and file.read_bytes())
        for file in files
    ]


def numbers(store):
    return [document.fields["n"] for document in store.query(Query("c"))]


def fill(store, stored):
    """Store documents, and note which, until there is an error."""
    for number in range(1_000):
        store.apply([Create(f"c/{number:04}", {"n": number, "x": "x" * 9_000})])
        stored.append(number)


@contextmanager
def read_only(folder):
    """Let nobody write into a folder, not even root."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    mount("--bind", str(folder), str(folder))
    try:
        mount("-o", "remount,bind,ro", str(folder))
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def small_disk(folder, size):
    """Put a file system of so many bytes at a folder."""
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(*arguments):
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")


class TestReading:
    def test_a_store_that_does_not_exist_is_empty(self, store, path):
        assert store.get("c/00") is None
        assert store.get_many(["c/00", "c/01"]) == [None, None]
        assert list(store.query(Query("c"))) == []
        assert list(store.query(Query("c", order_by=(Order(("n",)),)))) == []
        store.close()

        assert not path.parent.exists()

    def test_an_empty_file_is_an_empty_store(self, store, path):
        path.parent.mkdir()
        path.touch()

        assert numbers(store) == []
        assert path.read_bytes() == b""
        store.apply([Create("c/00", {"n": 0})])
        assert numbers(store) == [0]

    def test_reading_leaves_no_trace(self, filled):
        before = seen_in(filled.parent)

        with closing(SqliteDocumentStore(filled)) as store:
            assert store.get("c/00").fields == {"n": 0}
            assert len(store.get_many([f"c/{number:02}" for number in range(100)])) == 100
            assert numbers(store) == list(range(100))
            during = seen_in(filled.parent)

        assert during == before
        assert seen_in(filled.parent) == before

    def test_a_reader_sees_what_others_write_meanwhile(self, filled):
        with closing(SqliteDocumentStore(filled)) as reader:
            for number in range(5):
                with closing(SqliteDocumentStore(filled)) as writer:
                    writer.apply([Update("c/00", {("n",): number + 1000})])
                    assert reader.get("c/00").fields == {"n": number + 1000}
                assert reader.get("c/00").fields == {"n": number + 1000}

    def test_a_reader_is_right_while_others_come_and_go(self, filled):
        program = """
for n in range(30):
    store.apply([Update(f"c/{i:02}", {("n",): n}) for i in range(100)])
    store.close()
"""
        writer = start(program, filled)
        with closing(SqliteDocumentStore(filled)) as reader:
            reader.query(Query("c"))
            seen = []
            while writer.poll() is None:
                seen.append(numbers(reader))

        assert writer.returncode == 0
        assert all(len(set(found)) == 1 for found in seen if found != list(range(100)))
        assert all(len(found) == 100 for found in seen)

    def test_what_a_killed_process_left_is_read_and_kept(self, path):
        program = 'store.apply([Create("c/00", {"n": 1})]); print("done", flush=True)'
        writer = start(program + "; import time; time.sleep(60)", path)
        assert writer.stdout.readline() == "done\n"
        writer.kill()
        writer.wait()
        files = [path, path.with_name("store.db-wal")]
        before = [file.read_bytes() for file in files]

        with closing(SqliteDocumentStore(path)) as store:
            found = numbers(store)

        assert found == [1]
        assert [file.read_bytes() for file in files] == before

    def test_a_folder_nobody_may_write_can_be_read(self, filled):
        with read_only(filled.parent), closing(SqliteDocumentStore(filled)) as store:
            assert numbers(store) == list(range(100))

    def test_a_long_answer_waits_in_a_file(self, store, monkeypatch):
        monkeypatch.setattr(sqlite, "_SPILL_CHARACTERS", 500)
        names = [f"{number:03} line\nbreak\u2028" for number in range(200)]
        store.apply([Create(f"c/{name}", {"text": f"{name}\r\n"}) for name in names])

        answer = store.query(Query("c"))
        first = next(answer)
        store.apply([Delete(f"c/{name}") for name in names])

        assert [one.id for one in (first, *answer)] == names
        assert first.fields == {"text": f"{names[0]}\r\n"}

    def test_fields_are_json_for_any_sqlite_tool(self, store, path):
        moment = dt.datetime(2026, 1, 31, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))
        fields = {"é": [1, 1.0, float("nan"), -0.0], "t": moment, "b": b"\x00", "m": {"x": None}}
        store.apply([Create("c/00", fields)])
        store.close()

        with closing(sqlite3.connect(path)) as connection:
            ((text, valid, inside),) = connection.execute(
                "SELECT fields, json_valid(fields), json_extract(fields, '$.é[0]') FROM documents"
            )

        assert valid == 1
        assert inside == 1
        assert text == (
            '{"é":[1,1.0,{"__float__":"nan"},-0.0],'
            '"t":{"__datetime__":"2026-01-31T00:00:00+00:00"},'
            '"b":{"__bytes__":"AA=="},"m":{"x":null}}'
        )


class TestWriting:
    def test_a_write_makes_the_folder(self, store, path):
        store.apply([Create("c/00", {"n": 0})])

        assert path.is_file()

    def test_a_write_of_nothing_makes_none(self, store, path):
        assert store.apply([]) == []

        assert not path.parent.exists()

    @pytest.mark.parametrize("name", ["a b.db", "100%41?x=1#y.db", "ü.db", "'\".db", "file:x.db"])
    def test_a_file_may_have_any_name(self, tmp_path, name):
        with closing(SqliteDocumentStore(tmp_path / name)) as store:
            store.apply([Create("c/00", {"n": 0})])

        assert [file.name for file in tmp_path.glob("*.db")] == [name]

    def test_a_path_is_taken_when_it_is_given(self, tmp_path, monkeypatch):
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path)
        with closing(SqliteDocumentStore(sqlite.Path("store.db"))) as store:
            monkeypatch.chdir(tmp_path / "elsewhere")
            store.apply([Create("c/00", {"n": 0})])

        assert (tmp_path / "store.db").exists()

    def test_times_are_the_clocks(self, path):
        moments = [dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (1, 2, 3)]
        with closing(SqliteDocumentStore(path, clock=iter(moments).__next__)) as store:
            store.apply([Create("c/00", {})])
            first, second = store.get("c/00"), store.get("c/00")

        assert first.updated_at == second.updated_at == moments[0]
        assert [first.read_at, second.read_at] == moments[1:]

    def test_closing_lets_go_of_the_file(self, store, path):
        store.apply([Create("c/00", {"n": 0})])
        store.get("c/00")

        store.close()

        opened = [file.path for file in psutil.Process().open_files()]
        assert not [name for name in opened if name.startswith(str(path))]
        assert [file.name for file in path.parent.iterdir()] == ["store.db"]

    def test_a_deleted_store_begins_anew(self, store, path):
        store.apply([Create("c/00", {"n": 0})])
        for file in path.parent.iterdir():
            file.unlink()
        path.parent.rmdir()

        assert store.get("c/00") is None
        assert not path.parent.exists()
        store.apply([Create("c/01", {"n": 1})])
        assert numbers(store) == [1]
        assert path.exists()

    def test_a_store_put_in_its_place_is_found(self, store, path, tmp_path):
        other = tmp_path / "other.db"
        with closing(SqliteDocumentStore(other)) as backup:
            backup.apply([Create("c/00", {"n": 7})])
        store.apply([Create("c/00", {"n": 0})])
        store.close()
        store.get("c/00")

        other.replace(path)

        assert store.get("c/00").fields == {"n": 7}

    def test_a_locked_store_is_unavailable_in_time(self, filled):
        with (
            closing(sqlite3.connect(filled, isolation_level=None)) as other,
            closing(SqliteDocumentStore(filled, timeout=0.2)) as store,
        ):
            other.execute("BEGIN IMMEDIATE")
            started = time.monotonic()
            with pytest.raises(UnavailableError, match="stayed locked by another program"):
                store.apply([Create("c/new", {})])

            assert time.monotonic() - started < 5
            assert numbers(store) == list(range(100))
            other.execute("ROLLBACK")
            store.apply([Create("c/new", {"n": 100})])


class TestOddFiles:
    def refused(self, path, error, match):
        before = seen_in(path.parent)
        with closing(SqliteDocumentStore(path)) as store:
            with pytest.raises(error, match=match):
                store.get("c/00")
            with pytest.raises(error, match=match):
                list(store.query(Query("c")))
            with pytest.raises(error, match=match):
                store.apply([Create("c/new", {})])
        assert seen_in(path.parent) == before

    @pytest.mark.parametrize("content", [b"#!/bin/sh\n", b"{}" * 4_000, b"\x00" * 8_192])
    def test_what_is_no_database_is_left_alone(self, path, content):
        path.parent.mkdir()
        path.write_bytes(content)

        self.refused(path, IntegrityError, "is damaged .*put a backup in its place")

    def test_a_damaged_file_is_told(self, filled):
        data = bytearray(filled.read_bytes())
        data[100:] = random.Random(1).randbytes(len(data) - 100)
        filled.write_bytes(data)

        self.refused(filled, IntegrityError, "is damaged .*recover")

    def test_a_truncated_file_is_told(self, filled):
        filled.write_bytes(filled.read_bytes()[:5_000])

        with closing(SqliteDocumentStore(filled)) as store, pytest.raises(IntegrityError):
            numbers(store)

    def test_a_missing_table_is_told(self, filled):
        with closing(sqlite3.connect(filled)) as connection:
            connection.execute("ALTER TABLE documents RENAME TO gone")
            connection.commit()

        self.refused(filled, IntegrityError, "no such table")

    def test_fields_mangled_by_hand_are_told(self, filled):
        with closing(sqlite3.connect(filled)) as connection:
            connection.execute("UPDATE documents SET fields = '{\"n\": 07}' WHERE id = '07'")
            connection.commit()

        with closing(SqliteDocumentStore(filled)) as store:
            with pytest.raises(IntegrityError, match=r"the fields of c/07 in .* are damaged"):
                numbers(store)
            assert store.get("c/08").fields == {"n": 8}

    @pytest.mark.parametrize("mode", ["DELETE", "WAL"])
    def test_the_database_of_another_program_is_left_alone(self, path, mode):
        path.parent.mkdir()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA journal_mode = {mode}")
            connection.execute("CREATE TABLE documents (id, fields)")
            connection.commit()

        self.refused(path, SettingsError, "is a database of another program")

    def test_a_database_that_another_program_has_open_is_left_alone(self, path):
        path.parent.mkdir()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE mine (a)")
            connection.commit()

            with closing(SqliteDocumentStore(path)) as store:
                with pytest.raises(SettingsError, match="another program"):
                    store.get("c/00")
                with pytest.raises(SettingsError, match="another program"):
                    store.apply([Create("c/00", {})])

            assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]

    def test_a_later_schema_is_left_alone(self, filled):
        with closing(sqlite3.connect(filled)) as connection:
            connection.execute("PRAGMA user_version = 2")
            connection.commit()

        self.refused(filled, SettingsError, "its schema is 2, this one knows 1.*: upgrade")

    def test_a_directory_is_no_store(self, path):
        path.mkdir(parents=True)

        self.refused(path, SettingsError, "is a directory: name a file")

    def test_a_file_is_no_folder(self, tmp_path):
        (tmp_path / "file").touch()
        with closing(SqliteDocumentStore(tmp_path / "file" / "store.db")) as store:
            assert store.get("c/00") is None
            with pytest.raises(SettingsError, match="cannot be a file"):
                store.apply([Create("c/00", {})])


class TestDisks:
    def test_a_folder_nobody_may_write_denies_access(self, filled):
        with read_only(filled.parent), closing(SqliteDocumentStore(filled)) as store:
            with pytest.raises(AccessDeniedError, match="may not be opened or written"):
                store.apply([Create("c/new", {})])

            assert numbers(store) == list(range(100))

    def test_a_store_in_a_folder_nobody_may_write_denies_access(self, tmp_path):
        with (
            read_only(tmp_path),
            closing(SqliteDocumentStore(tmp_path / "folder" / "store.db")) as store,
        ):
            assert store.get("c/00") is None
            with pytest.raises(AccessDeniedError):
                store.apply([Create("c/00", {})])

    def test_a_full_disk_loses_nothing_that_was_stored(self, path):
        path.parent.mkdir()
        with small_disk(path.parent, "512k"), closing(SqliteDocumentStore(path)) as store:
            stored = []
            with pytest.raises(UnavailableError, match=r"no space left for .*store\.db"):
                fill(store, stored)

            assert stored
            assert numbers(store) == stored
            store.close()
            assert numbers(store) == stored

    def test_a_full_disk_is_used_again_when_there_is_room(self, path):
        path.parent.mkdir()
        with small_disk(path.parent, "512k"), closing(SqliteDocumentStore(path)) as store:
            store.apply([Create("c/00", {"n": 0})])
            ballast = path.with_name("ballast")
            ballast.write_bytes(b"x" * 300_000)
            stored = []
            with pytest.raises(UnavailableError):
                fill(store, stored)

            ballast.unlink()
            store.apply([Create("d/new", {"n": -1})])

            assert numbers(store) == [0, *stored]
            assert store.get("d/new").fields == {"n": -1}

    def test_a_disk_that_is_full_at_once_is_told(self, path):
        path.parent.mkdir()
        with small_disk(path.parent, "4k"), closing(SqliteDocumentStore(path)) as store:
            with pytest.raises(UnavailableError):
                store.apply([Create("c/00", {"n": 0})])
            assert store.get("c/00") is None


class TestProcesses:
    def test_processes_lose_no_increment(self, store, path):
        store.apply([Create("c/00", {"n": 0})])
        program = """
for _ in range(25):
    increment(store, "c/00")
"""
        processes = [start(program, path, number) for number in range(8)]

        assert [process.wait(120) for process in processes] == [0] * 8
        assert numbers(store) == [200]

    def test_processes_may_all_be_the_first(self, store, path):
        program = """
sys.stdin.read(0)
for n in range(10):
    store.apply([Create(f"c/{number}-{n}", {"n": n})])
"""
        processes = [start(program, path, number) for number in range(8)]

        assert [process.wait(120) for process in processes] == [0] * 8
        assert sorted(numbers(store)) == sorted(list(range(10)) * 8)

    def test_a_killed_writer_leaves_whole_applies(self, path):
        program = """
n = int(number)
while True:
    n += 1
    store.apply([Create(f"c/{n:06}", {"n": n}), Create(f"d/{n:06}", {"n": n, "x": "x" * 3_000})])
    print(n, flush=True)
"""
        told = 0
        for attempt in range(5):
            writer = start(program, path, told + 1_000)
            for _ in range(random.Random(attempt).randrange(1, 60)):
                told = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            told = max([told, *(int(line) for line in writer.stdout if line.endswith("\n"))])
            writer.wait()

            with closing(SqliteDocumentStore(path)) as store:
                found = numbers(store)
                others = [one.fields["n"] for one in store.query(Query("d"))]
                store.apply([Update(f"c/{told:06}", {("seen",): True})])
            assert told in found
            assert found == others
            assert found[-1] - told in (0, 1)
            told = found[-1]

    def test_children_of_a_busy_parent_lose_nothing(self, store, path):
        store.apply([Create("c/00", {"n": 0}), Create("c/01", {"n": 0})])
        stop = threading.Event()

        def keep_reading():
            while not stop.is_set():
                numbers(store)
                increment(store, "c/01")

        def work():
            for _ in range(10):
                increment(store, "c/00")

        readers = [threading.Thread(target=keep_reading) for _ in range(3)]
        for reader in readers:
            reader.start()
        statuses = [in_child(work) for _ in range(10)]
        stop.set()
        for reader in readers:
            reader.join()

        assert statuses == [0] * 10
        assert store.get("c/00").fields == {"n": 100}
        store.close()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    def test_a_child_goes_on_while_its_parent_reads_an_answer(self, store):
        store.apply([Create(f"c/{number:03}", {"n": number}) for number in range(300)])
        answer = store.query(Query("c"))
        next(answer)

        status = in_child(lambda: store.apply([Create("d/child", {})]))
        rest = list(answer)

        assert status == 0
        assert len(rest) == 299
        assert store.get("d/child") is not None

    def test_a_parent_closes_before_its_child_writes(self, store, path):
        # With a lock that the child only inherited, the parent would delete the child's log.
        store.apply([Create("c/00", {"n": 0})])
        reading, writing = os.pipe()

        def write_when_told():
            store.apply([Update("c/00", {("n",): 1})])
            os.read(reading, 1)
            store.apply([Update("c/00", {("n",): 2})])

        child = os.fork()
        if child == 0:
            try:
                write_when_told()
                os._exit(0)
            finally:
                os._exit(1)
        while store.get("c/00").fields != {"n": 1}:
            time.sleep(0.01)
        store.apply([Create("c/01", {"n": 9})])
        store.close()
        os.write(writing, b"x")
        _, status = os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)

        assert status == 0
        assert numbers(store) == [2, 9]


def test_a_missing_document_is_named(store):
    with pytest.raises(NotFoundError, match="no document to update: c/00"):
        store.apply([Update("c/00", {("n",): 1})])


def test_text_may_look_like_anything(store):
    fields = {"x": json.dumps({"__bytes__": "AA=="}), "y": '{"__', "z": {"@bytes": "AA=="}}
    store.apply([Create("c/00", fields)])

    assert store.get("c/00").fields == fields


SORTED_BY = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**53, 2**53 + 1, 2.0**53, 0.5, -0.0, math.inf, -math.inf, math.nan]),
    st.sampled_from([None, True, "5", "", {}, {"a": 9}, [7]]),
    st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2), timezones=st.just(dt.UTC)),
)


@given(
    values=st.lists(st.tuples(SORTED_BY, SORTED_BY), max_size=8),
    least=st.sampled_from([-math.inf, -1, 0.5, dt.datetime(1, 1, 1, tzinfo=dt.UTC)]),
    most=st.sampled_from([None, 2, 2**53, math.inf]),
    descending=st.booleans(),
    limit=st.integers(1, 4),
    remembered=st.sampled_from([0, 8_000_000]),
)
def test_the_first_of_an_order_are_those_of_the_whole(
    values, least, most, descending, limit, remembered
):
    writes = [
        # The same key stands elsewhere too, and in a text.
        Create(f"c/{id_}", {"m": {"a": value}, "a": other, "text": '"a":99'})
        for id_, (value, other) in enumerate(values)
    ]
    path = ("m", "a")
    bounds = [Filter(path, ">=", least)]
    if most is not None and not isinstance(least, dt.datetime):
        bounds.append(Filter(path, "<=", most))
    query = Query("c", tuple(bounds), (Order(path, descending),), limit)
    memory = MemoryDocumentStore()
    memory.apply(writes)
    wanted = [one.id for one in memory.query(query)]

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(_remembered, "_MAX_CHARACTERS", remembered)
        store = SqliteDocumentStore(Path(folder) / "documents.sqlite")
        store.apply(writes)
        found = [one.id for one in store.query(query)]
        store.close()

    assert found == wanted
