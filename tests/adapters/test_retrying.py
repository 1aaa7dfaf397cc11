"""Outages are overcome up to a deadline; work whose answer was lost is not done twice."""

from __future__ import annotations

import time

import pytest

from aletheia_like.adapters.counting import CountingBlobStore, CountingDocumentStore
from aletheia_like.adapters.memory import MemoryBlobStore, MemoryDocumentStore
from aletheia_like.adapters.retrying import RetryingBlobStore, RetryingDocumentStore
from aletheia_like.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.documents import REMOVE, Create, Delete, Query, Update
from aletheia_like.ports.usage import Prices, Usage, UsageRecord
from aletheia_like.testing.stores import FailingBlobStore, FailingDocumentStore


@pytest.fixture
def failing():
    return FailingDocumentStore(MemoryDocumentStore())


@pytest.fixture
def store(failing):
    return RetryingDocumentStore(failing, deadline=2.0)


def test_every_call_overcomes_an_outage(store, failing):
    calls = (
        lambda: store.apply([Create("c/d", {"a": 1})]),
        lambda: store.get("c/d"),
        lambda: store.get_many(["c/d", "c/e"]),
        lambda: list(store.query(Query("c"))),
    )
    for call in calls:
        failing.outage.begin(3)
        assert call()
    assert failing.outage.met == 12


def test_a_longer_outage_ends_in_bounded_time(store, failing):
    failing.outage.begin(10_000)
    begun = time.monotonic()

    with pytest.raises(UnavailableError, match=r"on purpose.*tried for 2 s"):
        store.get("c/d")
    assert time.monotonic() - begun < 4


def test_other_errors_are_not_tried_again(store, failing):
    store.apply([Create("c/d", {})])
    before = failing.outage.met
    for writes, error in (
        ([Create("c/d", {})], AlreadyExistsError),
        ([Update("c/none", {("a",): 1})], NotFoundError),
        ([Update("c/d", {("a",): 1}, "wrong")], ConflictError),
    ):
        with pytest.raises(error):
            store.apply(writes)
    assert failing.outage.met == before


def test_a_create_whose_answer_was_lost_is_ours(store, failing):
    failing.outage.begin(1, "after")
    revisions = store.apply([Create("c/d", {"token": "mine"})])

    assert revisions == [store.get("c/d").revision]


def test_a_create_that_somebody_else_did_is_not_ours(store, failing):
    store.apply([Create("c/d", {"token": "theirs"})])
    failing.outage.begin(1)

    with pytest.raises(AlreadyExistsError):
        store.apply([Create("c/d", {"token": "mine"})])


def test_a_whole_apply_whose_answer_was_lost_is_ours(store, failing):
    store.apply([Create("c/counter", {"n": 1, "old": 1}), Create("c/gone", {})])
    revision = store.get("c/counter").revision
    failing.outage.begin(1, "after")
    revisions = store.apply(
        [
            Update("c/counter", {("n",): 2, ("old",): REMOVE}, revision),
            Create("c/run", {"token": "mine"}),
            Delete("c/gone"),
        ]
    )

    assert revisions[2] is None
    assert store.get("c/counter").fields == {"n": 2}


def test_a_conflict_after_an_outage_is_a_conflict(store, failing):
    store.apply([Create("c/counter", {"n": 1})])
    revision = store.get("c/counter").revision
    store.apply([Update("c/counter", {("n",): 2})])
    failing.outage.begin(1)

    with pytest.raises(ConflictError):
        store.apply([Update("c/counter", {("n",): 2}, revision), Create("c/run", {"token": "x"})])
    assert store.get("c/run") is None


def test_our_own_create_is_known_by_its_token_whatever_others_did_since(failing):
    class Busy(FailingDocumentStore):
        def apply(self, writes):
            try:
                return super().apply(writes)
            except UnavailableError:
                failing.apply([Update("c/run", {("beat",): 1}), Update("c/counter", {("n",): 3})])
                raise

    failing.apply([Create("c/counter", {"n": 1})])
    busy = Busy(failing)
    busy.outage.begin(1, "after")
    revision = failing.get("c/counter").revision
    revisions = RetryingDocumentStore(busy, deadline=2.0).apply(
        [Update("c/counter", {("n",): 2}, revision), Create("c/run", {"token": "mine"})]
    )

    assert failing.get("c/counter").fields == {"n": 3}
    assert revisions[1] == failing.get("c/run").revision


def test_an_update_whose_answer_was_lost_is_ours(store, failing):
    (revision,) = store.apply([Create("c/d", {"n": 1})])
    failing.outage.begin(1, "after")
    (after,) = store.apply([Update("c/d", {("n",): 2}, revision)])

    assert store.get("c/d").fields == {"n": 2}
    assert store.get("c/d").revision == after


def test_a_delete_whose_answer_was_lost_is_ours(store, failing):
    (revision,) = store.apply([Create("c/d", {})])
    failing.outage.begin(1, "after")

    assert store.apply([Delete("c/d", revision)]) == [None]


def test_a_delete_of_what_others_changed_is_a_conflict(store, failing):
    (revision,) = store.apply([Create("c/d", {"n": 1})])
    store.apply([Update("c/d", {("n",): 2})])
    failing.outage.begin(1)

    with pytest.raises(ConflictError):
        store.apply([Delete("c/d", revision)])
    assert store.get("c/d") is not None


def test_the_last_error_is_kept(store, failing):
    failing.outage.begin(10_000)
    with pytest.raises(UnavailableError) as caught:
        store.get("c/d")

    assert (
        str(caught.value.__cause__) == f"an outage on purpose, {failing.outage.left} more to come"
    )


def test_an_outage_after_the_first_document_is_told():
    class Breaking(MemoryDocumentStore):
        def query(self, query):
            yield from super().query(query)
            message = "broken off"
            raise UnavailableError(message)

    inner = Breaking()
    inner.apply([Create("c/d", {})])
    answer = RetryingDocumentStore(inner, deadline=1).query(Query("c"))

    assert next(answer).path == "c/d"
    with pytest.raises(UnavailableError, match="broken off"):
        next(answer)


@pytest.mark.parametrize("verb", ["upload", "download"])
def test_progress_never_passes_the_size_at_any_moment(tmp_path, verb):
    inner = MemoryBlobStore()
    failing = FailingBlobStore(inner)
    path = tmp_path / "f"
    path.write_bytes(b"x" * 3_000_000)
    digest = digest_bytes(path.read_bytes())
    if verb == "download":
        inner.upload(digest, path)
    failing.outage.begin(3, "after")
    told = []
    target = path if verb == "upload" else tmp_path / "copy"
    getattr(RetryingBlobStore(failing, deadline=5), verb)(digest, target, told.append)

    positions = [sum(told[:count]) for count in range(1, len(told) + 1)]
    assert max(positions) == 3_000_000
    # An upload that then finds its blob stored has nothing more to tell.
    assert positions[-1] == (0 if verb == "upload" else 3_000_000)


def test_blobs_overcome_an_outage_and_progress_never_passes_the_size(tmp_path):
    failing = FailingBlobStore(MemoryBlobStore())
    store = RetryingBlobStore(failing, deadline=2.0)
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100_000)
    digest = digest_bytes(path.read_bytes())
    told = []

    failing.outage.begin(2)
    assert store.upload(digest, path, told.append)
    failing.outage.begin(2, "after")
    store.download(digest, tmp_path / "copy", told.append)
    for call in (lambda: store.exists(digest), lambda: store.open(digest).read()):
        failing.outage.begin(2)
        assert call()
    failing.outage.begin(1)
    store.delete(digest)

    assert sum(told) == 200_000
    assert not store.exists(digest)


def test_every_billed_operation_is_counted(tmp_path):  # B12
    usage = Usage()
    documents = CountingDocumentStore(MemoryDocumentStore(), usage)
    blobs = CountingBlobStore(MemoryBlobStore(), usage)
    documents.apply([Create("c/1", {}), Create("c/2", {})])
    documents.apply([Update("c/1", {("a",): 1}), Delete("c/2")])
    documents.get("c/none")
    documents.get_many(["c/1", "c/1", "c/3"])
    list(documents.query(Query("c")))
    list(documents.query(Query("empty")))
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    digest = digest_bytes(b"12345")
    blobs.upload(digest, path)
    blobs.upload(digest, path)
    blobs.download(digest, tmp_path / "copy")

    counted = usage.snapshot()
    assert counted == UsageRecord(
        document_reads=5,
        document_writes=3,
        document_deletes=1,
        blob_reads=1,
        blob_writes=2,
        bytes_up=5,
        bytes_down=5,
    )
    assert (counted - counted) == UsageRecord()
    assert counted.estimate(Prices(document_writes=1.0)) > 3


def test_a_refused_write_is_not_counted():
    usage = Usage()
    documents = CountingDocumentStore(MemoryDocumentStore(), usage)
    with pytest.raises(NotFoundError):
        documents.apply([Update("c/none", {("a",): 1})])

    assert usage.snapshot().document_writes == 0


def test_after_waiting_in_vain_the_next_call_fails_at_once(store, failing):
    failing.outage.begin(1_000)
    with pytest.raises(UnavailableError):
        store.get("projects/p")
    tried = failing.outage.met

    with pytest.raises(UnavailableError):
        store.apply([Create("projects/p", {})])
    assert failing.outage.met == tried + 1
