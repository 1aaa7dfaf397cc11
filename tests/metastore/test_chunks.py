"""Rows become chunks that are spans: without holes, and one after the other."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.errors import AlreadyExistsError, ConflictError
from aletheia_like.metastore import chunks
from aletheia_like.metastore.chunks import Chunker, stored_chunks, stored_spans
from aletheia_like.model import paths
from aletheia_like.model.rows import ABSENT, moment, to_line, unpack
from aletheia_like.model.sizes import document_size
from aletheia_like.model.values import MAX_DOCUMENT_BYTES
from aletheia_like.ports.documents import Delete, check_writes

RUN = "projects/p/experiments/e/runs/1"


@pytest.fixture
def tiny_chunks(monkeypatch):
    monkeypatch.setattr(chunks, "FULL_BYTES", 800)
    monkeypatch.setattr(chunks, "SMALL_BYTES", 64)
    monkeypatch.setattr(chunks, "MAX_SMALL_CHUNKS", 4)


def spans(flushes):
    """Store so many rows a flush; return first, last and count of each chunk."""
    store, waiting, sequence = MemoryDocumentStore(), deque(), 0

    def source(limit):
        taken = []
        while waiting and limit > 0:
            taken.append(waiting.popleft())
            limit -= len(taken[-1])
        return taken

    chunker = Chunker(RUN, "w", source)
    for number, count in enumerate([*flushes, 0]):
        for _ in range(count):
            sequence += 1
            waiting.append(to_line(sequence, float(sequence), {"loss": 0.5}))
        is_last = number == len(flushes)
        while (plan := chunker.plan(last=is_last and not waiting)) is not None:
            chunker.confirm(plan, store.apply(plan.writes))
    stored = [one.fields for one in stored_chunks(store, RUN, "w")]
    return sorted((one["first"], one["last"], one["count"]) for one in stored)


# Q
@pytest.mark.usefixtures("tiny_chunks")
def test_a_few_rows_a_large_flush_and_a_few_rows_stay_in_order():
    found = spans([2, 20, 2])

    assert all(last - first + 1 == count for first, last, count in found)


@pytest.mark.usefixtures("tiny_chunks")
@settings(max_examples=200)
@given(st.lists(st.integers(0, 60), max_size=12))
def test_chunks_are_spans_that_follow_each_other(flushes):
    found = spans(flushes)

    assert all(last - first + 1 == count for first, last, count in found)
    assert [first for first, _, _ in found[1:]] == [last + 1 for _, last, _ in found[:-1]]
    assert sum(count for _, _, count in found) == sum(flushes)


class Writer:
    """One writer's chunker over a memory store whose answers may be lost."""

    def __init__(self):
        self.store = MemoryDocumentStore()
        self.waiting = deque()
        self.logged = []
        self.resumed = 0
        self.writes = 0
        self.deletes = 0
        self.chunker = Chunker(RUN, "w", self.source)

    def source(self, limit):
        taken = []
        while self.waiting and limit > 0:
            taken.append(self.waiting.popleft())
            limit -= len(taken[-1])
        return taken

    def log(self, count, width):
        for _ in range(count):
            number = len(self.logged) + 1
            cells = {"n": number, f"c{number % 5}": "x" * width}
            self.logged.append(cells)
            self.waiting.append(to_line(number, 1.0 + number, cells))

    def flush(self, outcome, *, last=False):
        """Send what there is; `lost` stores it without saying so, `away` does not store it."""
        plan = self.chunker.plan(last=last)
        if plan is None:
            return False
        check_writes(plan.writes)
        if outcome == "away":
            return True
        try:
            revisions = self.store.apply(plan.writes)
        except (AlreadyExistsError, ConflictError):
            self.resumed += 1
            self.chunker.resume(stored_spans(self.store, RUN, "w"))
            return True
        deletes = sum(isinstance(one, Delete) for one in plan.writes)
        self.writes += len(plan.writes) - deletes
        self.deletes += deletes
        if outcome == "stored":
            self.chunker.confirm(plan, revisions)
        return True

    def end(self):
        # More than one at most if an answer was lost just before.
        while self.waiting or self.chunker.unconfirmed():
            self.flush("stored", last=True)
        self.flush("stored", last=True)

    def documents(self):
        return sorted(stored_chunks(self.store, RUN, "w"), key=lambda one: one.fields["first"])

    def stored(self):
        """Return the rows of the store, by their sequence numbers."""
        found = []
        for document in self.documents():
            fields = document.fields
            assert len(fields["columns"]) <= chunks.MAX_TEXT_BYTES or fields["count"] == 1
            columns = unpack(fields["columns"], fields["count"])
            assert fields["last"] - fields["first"] + 1 == fields["count"]
            assert fields["from"] == moment(columns.timestamps[0])
            assert fields["to"] == moment(columns.timestamps[-1])
            for index in range(fields["count"]):
                cells = {name: column[index] for name, column in columns.cells.items()}
                found.append({k: v for k, v in cells.items() if v is not ABSENT})
        return found


STEPS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from([0, 0, 0, 30, 300, 1_500]),
        st.sampled_from(["stored", "stored", "stored", "lost", "away"]),
    ),
    max_size=25,
)


@pytest.mark.usefixtures("tiny_chunks")
@settings(max_examples=100)
@given(STEPS)
def test_every_row_is_stored_once_and_in_order_whatever_is_lost(steps):
    writer = Writer()

    for count, width, outcome in steps:
        writer.log(count, width)
        writer.flush(outcome)
    writer.end()

    assert writer.stored() == writer.logged


@pytest.mark.usefixtures("tiny_chunks")
@settings(max_examples=100)
@given(st.lists(st.integers(0, 40), max_size=60))
def test_documents_and_writes_are_few(flushes):
    writer = Writer()

    for count in flushes:
        writer.log(count, 0)
        writer.flush("stored")
    flushed = writer.writes
    writer.end()

    size = sum(len(to_line(n, 1.0 + n, row)) for n, row in enumerate(writer.logged, 1))
    full = size // (chunks.FULL_BYTES // 2)
    assert len(writer.documents()) <= full + 1
    assert flushed <= len(flushes) + full
    assert writer.deletes <= len(flushes)
    assert writer.resumed == 0


@pytest.mark.usefixtures("tiny_chunks")
@settings(max_examples=100)
@given(st.integers(1, 40))
def test_chunks_that_wait_to_be_merged_are_bounded(flushes):
    writer = Writer()

    for _ in range(flushes):
        writer.log(1, chunks.SMALL_BYTES)
        writer.flush("stored")

    size = sum(len(to_line(n, 1.0 + n, row)) for n, row in enumerate(writer.logged, 1))
    full = size // (chunks.FULL_BYTES // 2)
    assert len(writer.documents()) <= chunks.MAX_SMALL_CHUNKS + full


def test_a_growing_small_chunk_is_one_document():
    writer = Writer()

    for _ in range(100):
        writer.log(5, 10)
        writer.flush("stored")

    assert len(writer.documents()) == 1
    assert writer.writes == 100
    assert writer.stored() == writer.logged


def test_nothing_is_planned_where_nothing_is_new():
    writer = Writer()

    assert writer.chunker.plan(last=False) is None
    assert writer.chunker.plan(last=True) is None
    writer.log(1, 0)
    writer.end()
    assert writer.chunker.plan(last=True) is None


def test_a_chunk_is_named_by_its_writer_and_first_row():
    writer = Writer()
    writer.log(3, 0)
    writer.end()

    (document,) = writer.documents()

    assert document.path == paths.chunk(RUN, "w", 1)
    fields = {key: value for key, value in document.fields.items() if key != "columns"}
    assert fields == {
        "schema_version": 1,
        "writer": "w",
        "first": 1,
        "last": 3,
        "count": 3,
        "from": moment(2.0),
        "to": moment(4.0),
    }


@pytest.mark.parametrize("width", [0, 100, 3_000, 60_000])
def test_chunks_of_real_size_pass_no_limit(width):  # M25
    writer = Writer()

    for _ in range(4):
        writer.log(2_000 if width < 1_000 else 60, width)
        while writer.flush("stored") and writer.waiting:
            pass
    writer.end()

    assert writer.stored() == writer.logged
    for document in writer.documents():
        assert document_size(document.path, document.fields) < MAX_DOCUMENT_BYTES


def test_rows_of_nearly_empty_columns_pass_no_limit():  # M25
    writer = Writer()
    for number in range(1, 4_001):
        cells = {f"a rather long name of a column {number} {n}": 1 for n in range(5)}
        writer.logged.append(cells)
        writer.waiting.append(to_line(number, 1.0 + number, cells))

    writer.end()

    documents = writer.documents()
    assert [one.fields["count"] for one in documents]
    assert sum(one.fields["count"] for one in documents) == 4_000
    for one in documents:
        assert document_size(one.path, one.fields) < MAX_DOCUMENT_BYTES
