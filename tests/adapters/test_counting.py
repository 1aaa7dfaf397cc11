"""Every operation is counted as Google bills it."""  # B12

from __future__ import annotations

import pytest

from aletheia_like.adapters.counting import CountingBlobStore, CountingDocumentStore
from aletheia_like.adapters.memory import MemoryBlobStore, MemoryDocumentStore
from aletheia_like.errors import AlreadyExistsError
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.documents import Create, Delete, Query, Update
from aletheia_like.ports.usage import Prices, Usage, UsageRecord
from aletheia_like.testing.stores import FailingDocumentStore


@pytest.fixture
def usage():
    return Usage()


@pytest.fixture
def documents(usage):
    store = CountingDocumentStore(MemoryDocumentStore(), usage)
    store.apply([Create(f"projects/{number}", {"n": number}) for number in range(5)])
    return store


@pytest.fixture
def blobs(usage):
    return CountingBlobStore(MemoryBlobStore(), usage)


@pytest.fixture
def counted(usage, documents):
    """Do something and return what it cost."""

    def count(action):
        before = usage.snapshot()
        action()
        return usage.snapshot() - before

    return count


def test_a_look_up_is_a_read_even_of_nothing(counted, documents):
    assert counted(lambda: documents.get("projects/1")) == UsageRecord(document_reads=1)
    assert counted(lambda: documents.get("projects/none")) == UsageRecord(document_reads=1)


def test_many_look_ups_count_each_path_once(counted, documents):
    paths = ["projects/1", "projects/2", "projects/1", "projects/none"]

    assert counted(lambda: documents.get_many(paths)) == UsageRecord(document_reads=3)


@pytest.mark.parametrize(("limit", "reads"), [(None, 5), (2, 2)])
def test_a_query_counts_its_documents(counted, documents, limit, reads):
    query = Query("projects", limit=limit)

    assert counted(lambda: list(documents.query(query))) == UsageRecord(document_reads=reads)


def test_a_query_that_finds_nothing_counts_one_read(counted, documents):
    assert counted(lambda: list(documents.query(Query("none")))) == UsageRecord(document_reads=1)


def test_a_query_left_early_counts_what_was_read(counted, documents):
    def read_two():
        answer = documents.query(Query("projects"))
        next(answer)
        next(answer)
        answer.close()

    assert counted(read_two) == UsageRecord(document_reads=2)


def test_writes_and_deletes_are_counted_apart(counted, documents):
    writes = [Create("projects/new", {}), Update("projects/1", {("n",): 0}), Delete("projects/2")]

    cost = UsageRecord(document_writes=2, document_deletes=1)
    assert counted(lambda: documents.apply(writes)) == cost


def test_what_was_refused_counts_nothing(counted, documents):
    def refused():
        with pytest.raises(AlreadyExistsError):
            documents.apply([Create("projects/1", {}), Create("projects/new", {})])

    assert counted(refused) == UsageRecord()


def test_repetitions_are_counted_when_they_are_done(usage):
    from aletheia_like.adapters.retrying import RetryingDocumentStore

    failing = FailingDocumentStore(MemoryDocumentStore())
    failing.outage.begin(3)
    RetryingDocumentStore(CountingDocumentStore(failing, usage)).get("projects/1")

    assert usage.snapshot() == UsageRecord(document_reads=1)


def test_blobs_count_operations_and_bytes(counted, blobs, tmp_path):
    data = b"x" * 1000
    digest, path = digest_bytes(data), tmp_path / "source"
    path.write_bytes(data)

    once = UsageRecord(blob_writes=1, bytes_up=1000)
    assert counted(lambda: blobs.upload(digest, path)) == once
    assert counted(lambda: blobs.upload(digest, path)) == UsageRecord(blob_writes=1)
    many = [(digest, data), (digest_bytes(b"y"), b"y")]
    assert counted(lambda: blobs.upload_bytes(many)) == UsageRecord(blob_writes=2, bytes_up=1)
    assert counted(lambda: blobs.exists(digest)) == UsageRecord(blob_reads=1)
    download = UsageRecord(blob_reads=1, bytes_down=1000)
    assert counted(lambda: blobs.download(digest, tmp_path / "copy")) == download
    assert counted(lambda: list(blobs.digests())) == UsageRecord(blob_writes=1)
    assert counted(lambda: blobs.delete(digest)) == UsageRecord()


def test_what_is_read_from_an_open_blob_counts(counted, blobs, tmp_path):
    (tmp_path / "source").write_bytes(b"x" * 1000)
    digest = digest_bytes(b"x" * 1000)
    blobs.upload(digest, tmp_path / "source")

    def read():
        with blobs.open(digest) as stream:
            stream.read()

    assert counted(read) == UsageRecord(blob_reads=1, bytes_down=1000)


def test_an_estimate_adds_up_the_prices():
    record = UsageRecord(
        document_reads=100_000,
        document_writes=100_000,
        document_deletes=100_000,
        blob_writes=1_000,
        blob_reads=1_000,
        bytes_down=10**12,
    )

    assert record.estimate() == pytest.approx(0.06 + 0.18 + 0.02 + 0.005 + 0.0004)
    free = Prices("never", 0, 0, 0, 0, 0)
    assert record.estimate(free) == 0
    assert "2025" in Prices().as_of
