"""Rows become chunks that are spans: without holes, and one after the other."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.metastore import chunks
from aletheia_like.metastore.chunks import Chunker, stored_chunks
from aletheia_like.model.rows import to_line

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
