"""Writers and collections at once lose nothing, and neither waits for the other for ever."""

from __future__ import annotations

import datetime as dt
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest

from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.capture.files import crc32c_of
from aletheia_like.capture.trees import Seen, Taken
from aletheia_like.collect import collecting, sweeping
from aletheia_like.collect.collecting import Options, collect
from aletheia_like.collect.sweeping import Unreferenced, sweep
from aletheia_like.metastore.progress import Transfer
from aletheia_like.metastore.renewing import LEASE_SECONDS, SWEPT_BY, is_known
from aletheia_like.metastore.storing import (
    HeldFile,
    LocalFile,
    store_bytes,
    store_files,
    store_held,
)
from aletheia_like.model import paths
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.blobs import file_state
from aletheia_like.ports.documents import Create, Update

NOW = dt.timedelta(0)
DATA = b"wanted by two"
DIGEST = digest_bytes(DATA)


class Clock:
    """Time of the document store; moves only when told."""

    def __init__(self):
        self.now = dt.datetime.now(dt.UTC)

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture
def clock(ms):
    """The clock of the store, which is empty."""
    clock = Clock()
    ms.session.documents = MemoryDocumentStore(clock=clock)
    return clock


def indexed(ms):
    return ms.session.documents.get(paths.file(DIGEST))


def seen(ms):
    return Unreferenced(DIGEST, len(DATA), indexed(ms).revision)


def swept(ms, *blobs):
    return sweep(ms.session, blobs, lambda _: None)


def as_another_process(ms):
    ms.session.known_files.clear()


def test_what_is_there_is_renewed_only_if_it_is_old(ms, clock):
    store_bytes(ms.session, DATA, "x")
    first = indexed(ms).revision
    as_another_process(ms)
    store_bytes(ms.session, DATA, "x")
    assert indexed(ms).revision == first

    clock.pass_by(ms.session.renew_seconds + 1)
    as_another_process(ms)
    store_bytes(ms.session, DATA, "x")
    assert indexed(ms).updated_at == clock.now


def test_a_process_does_not_rely_for_ever_on_what_it_saw_once(ms, clock):
    store_bytes(ms.session, DATA, "x")
    swept(ms, seen(ms))
    ms.session.renew_seconds = 0.0
    store_bytes(ms.session, DATA, "x")

    assert ms.session.blobs.exists(DIGEST)
    assert indexed(ms) is not None


def test_a_renewed_blob_is_not_taken(ms, clock):
    store_bytes(ms.session, DATA, "x")
    old = seen(ms)
    clock.pass_by(ms.session.renew_seconds + 1)
    as_another_process(ms)
    store_bytes(ms.session, DATA, "x")

    assert (swept(ms, old).renewed, ms.session.blobs.exists(DIGEST)) == (1, True)


def test_a_writer_waits_while_its_blob_is_deleted_and_stores_it_again(ms, clock, monkeypatch):
    store_bytes(ms.session, DATA, "x")
    as_another_process(ms)
    writers = []
    delete = ms.session.blobs.delete

    def delete_while_somebody_writes(digest):
        writer = threading.Thread(target=store_bytes, args=(ms.session, DATA, "x"))
        writer.start()
        writers.append(writer)
        writer.join(0.3)
        assert writer.is_alive()
        delete(digest)

    monkeypatch.setattr(ms.session.blobs, "delete", delete_while_somebody_writes)
    assert swept(ms, seen(ms)).blobs == 1
    writers[0].join(10)

    assert ms.session.blobs.exists(DIGEST)
    assert SWEPT_BY not in indexed(ms).fields


def test_what_a_dead_collection_left_is_taken_over(ms, clock):
    store_bytes(ms.session, DATA, "x")
    ms.session.documents.apply([Update(paths.file(DIGEST), {(SWEPT_BY,): "dead"})])
    ms.session.blobs.delete(DIGEST)
    clock.pass_by(LEASE_SECONDS + 1)
    as_another_process(ms)
    store_bytes(ms.session, DATA, "x")

    assert ms.session.blobs.exists(DIGEST)
    assert SWEPT_BY not in indexed(ms).fields


def test_what_a_dead_collection_left_is_finished_by_the_next(ms, clock):
    ms.exper("e")
    store_bytes(ms.session, DATA, "x")
    ms.session.documents.apply([Update(paths.file(DIGEST), {(SWEPT_BY,): "dead"})])
    ms.session.blobs.delete(DIGEST)
    options = Options(grace=dt.timedelta(days=7), dry_run=False)
    assert collect(ms.session, options).swept == 0
    clock.pass_by(LEASE_SECONDS + 1)

    assert collect(ms.session, options).swept == 1
    assert indexed(ms) is None


def test_a_slow_collection_deletes_nothing_after_its_time(ms, clock, monkeypatch):
    store_bytes(ms.session, DATA, "x")
    monkeypatch.setattr(sweeping, "_SWEEP_SECONDS", -1.0)

    assert (swept(ms, seen(ms)).postponed, ms.session.blobs.exists(DIGEST)) == (1, True)
    assert SWEPT_BY in indexed(ms).fields


def test_bytes_that_vanish_between_upload_and_index_are_sent_again(ms, clock, tmp_path):
    (tmp_path / "x").write_bytes(DATA)
    ms.session.blobs.upload(DIGEST, tmp_path / "x")
    upload, calls = ms.session.blobs.upload, []

    def upload_and_lose(digest, path, progress=None):
        calls.append(digest)
        is_new = upload(digest, path, progress)
        if len(calls) == 1:
            # The orphan is collected, wholly, before the writer indexes it.
            swept(ms, Unreferenced(DIGEST, len(DATA), None))
        return is_new

    ms.session.blobs.upload = upload_and_lose
    store_files(ms.session, [LocalFile(DIGEST, len(DATA), tmp_path / "x")], "x")

    assert (ms.session.blobs.exists(DIGEST), len(calls)) == (True, 2)


def held(tmp_path):
    """The same bytes, as they are when they were just read."""
    (tmp_path / "x").write_bytes(DATA)
    seen = Seen(file_state((tmp_path / "x").stat()), DIGEST, crc32c_of(DATA))
    return HeldFile(Taken(str(tmp_path / "x"), seen, DATA))


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("mark", [None, "indexed", "left"])
def test_what_was_just_read_is_stored_whatever_a_collection_left(ms, clock, tmp_path, mark, there):
    if mark is not None:
        store_bytes(ms.session, DATA, "x")
        ms.session.known_files.clear()
    if mark == "left":
        ms.session.documents.apply([Update(paths.file(DIGEST), {(SWEPT_BY,): "dead"})])
        clock.pass_by(LEASE_SECONDS + 1)
    if not there:
        ms.session.blobs.delete(DIGEST)
    elif mark is None:
        ms.session.blobs.upload(DIGEST, held(tmp_path).local.path)
    store_held(ms.session, [held(tmp_path)], "x", Transfer())

    assert ms.session.blobs.exists(DIGEST)
    assert SWEPT_BY not in indexed(ms).fields
    assert is_known(ms.session, DIGEST)


def test_an_old_orphan_that_was_just_read_and_is_collected_is_sent_again(ms, clock, tmp_path):
    ms.session.blobs.upload(DIGEST, held(tmp_path).local.path)
    upload, calls = ms.session.blobs.upload_bytes, []

    def upload_and_lose(contents, progress=None):
        calls.append(contents)
        is_new = upload(contents, progress)
        swept(ms, Unreferenced(DIGEST, len(DATA), None))
        return is_new

    ms.session.blobs.upload_bytes = upload_and_lose
    store_held(ms.session, [held(tmp_path)], "x", Transfer())

    assert (ms.session.blobs.exists(DIGEST), len(calls)) == (True, 1)


GRACE, RENEWAL = 1.5, 0.2


def test_writers_and_collections_at_once_lose_nothing(open_ms, tmp_path):
    # What one writer deletes, another adds again just when it is old enough to be collected.
    texts = [tmp_path / f"{number}.txt" for number in range(8)]
    for number, path in enumerate(texts):
        path.write_text(f"content {number}")
    open_ms().exper("e")
    added: queue.Queue[tuple[int, float]] = queue.Queue()
    kept: list[tuple[str, float]] = []
    is_over = threading.Event()

    def add_and_delete(ms):
        for number, path in enumerate(texts):
            made = ms.exper("e").add_artifact(f"a{number}", path)
            ms.exper("e").delete_artifact(made.name, made.version)
            added.put((number, time.monotonic()))

    def add_again(ms):
        ms.session.renew_seconds = RENEWAL
        for _ in texts:
            number, then = added.get(timeout=60)
            is_over.wait(max(0.0, then + GRACE - 0.3 + 0.05 * number - time.monotonic()))
            begun = time.monotonic()
            data = texts[number].read_bytes()
            digest = store_bytes(ms.session, data, "x.txt")
            is_over.wait(0.4)
            ms.add_metadata(f"mention {number}", {"of": digest})
            kept.append((digest, time.monotonic() - begun))

    def collect_on(ms):
        options = Options(grace=dt.timedelta(seconds=GRACE), keep=NOW, dry_run=False)
        while not is_over.is_set():
            collect(ms.session, options)

    with ThreadPoolExecutor(4) as pool:
        works = [pool.submit(one, open_ms()) for one in (add_and_delete, add_again)]
        collecting = [pool.submit(collect_on, open_ms()) for _ in range(2)]
        try:
            wait(works, 120)
        finally:
            is_over.set()
        for one in (*works, *collecting):
            one.result(60)

    ms = open_ms()
    # Whoever takes longer than this has not been promised anything.
    in_time = [digest for digest, seconds in kept if seconds < GRACE - 2 * RENEWAL]
    assert len(kept) == len(texts)
    for digest in in_time:
        assert ms.session.blobs.exists(digest)
        assert ms.session.documents.get(paths.file(digest)) is not None


def test_a_blob_that_nobody_wants_any_more_goes_though_others_write(open_ms, tmp_path):
    (tmp_path / "x").write_bytes(DATA)
    ms, other = open_ms(), open_ms()
    ms.exper("e").add_artifact("x", tmp_path / "x")
    ms.delete_experiment("e", forever=True)
    deadline = time.monotonic() + 30
    while other.gc(dry_run=False, grace=dt.timedelta(0), exclusive=True).swept == 0:
        assert time.monotonic() < deadline

    assert not ms.session.blobs.exists(DIGEST)


def all_of(ms):
    """Collect whatever nothing refers to; wait until it is old enough for that."""
    options = Options(grace=NOW, keep=NOW, dry_run=False)
    deadline = time.monotonic() + 30
    while (found := collect(ms.session, options)).swept == 0:
        assert time.monotonic() < deadline
    return found


def just_before(ms, is_wanted, action):
    """Do something else just before a metastore's first `apply` of which `is_wanted` is true."""
    documents, waiting = ms.session.documents, [action]
    apply = documents.apply

    def apply_late(writes):
        if waiting and is_wanted(writes):
            waiting.pop()()
        return apply(writes)

    documents.apply = apply_late
    return waiting


def publishes(writes):
    return any(isinstance(one, Create) and "/versions/" in one.path for one in writes)


def test_a_publisher_does_not_rely_on_a_version_that_is_deleted_meanwhile(open_ms, tmp_path):
    # Decision 0024: it looks no file up that the newest version has.
    (tmp_path / "x").write_bytes(DATA)
    ms, other = open_ms(), open_ms()
    ms.exper("e").add_artifact("x", tmp_path / "x")

    def delete_and_collect():
        ms.exper("e").delete_artifact("x", 0)
        all_of(ms)
        assert not ms.session.blobs.exists(DIGEST)

    waiting = just_before(other, publishes, delete_and_collect)
    with other.exper("e").start_run() as run:
        made = run.add_artifact("x", tmp_path / "x")

    assert not waiting
    assert made.version == 1
    assert open_ms().experiment("e").artifact("x").open().read() == DATA


def test_a_collection_sees_a_version_or_the_one_that_relies_on_it(open_ms, tmp_path, monkeypatch):
    # Listed as old, then relied on, then the version that vouched for it is deleted.
    (tmp_path / "x").write_bytes(DATA)
    ms, other = open_ms(), open_ms()
    ms.exper("e").add_artifact("x", tmp_path / "x")
    mark, waiting = collecting.mark, [None]

    def publish_then_mark(*arguments):
        if waiting:
            waiting.pop()
            with other.exper("e").start_run() as run:
                run.add_artifact("x", tmp_path / "x")
            other.exper("e").delete_artifact("x", 0)
        return mark(*arguments)

    monkeypatch.setattr(collecting, "mark", publish_then_mark)
    found = collect(ms.session, Options(grace=NOW, keep=NOW, dry_run=False))

    assert (found.purged, found.swept) == ({"version": 1}, 0)
    assert open_ms().experiment("e").artifact("x").open().read() == DATA


def test_a_column_that_is_written_again_is_not_taken(ms, clock, monkeypatch):
    # Between the reading of references and the deletion, which both are over for it.
    values = np.random.default_rng(0).random(20_000)
    data = {"at": np.arange(20_000), "value": values}
    clct = ms.create_collection({"at": "int*", "value": "float"}, "c")
    (clct / "s").write(data)
    (clct / "s").delete()
    clct.trim()
    clock.pass_by(8 * 86_400)
    sweep_all, waiting = collecting.sweep, [None]

    def write_then_sweep(session, blobs, done):
        if waiting:
            waiting.pop()
            as_another_process(ms)
            (clct / "again").write(data)
        return sweep_all(session, blobs, done)

    monkeypatch.setattr(collecting, "sweep", write_then_sweep)
    found = collect(ms.session, Options(grace=dt.timedelta(days=7), dry_run=False))

    assert found.renewed > 0
    assert found.swept == 0
    assert ms.session.blobs.exists((clct / "again").segments()[0].columns["value"])
    assert (clct / "again").frame()["value"].tolist() == values.tolist()
