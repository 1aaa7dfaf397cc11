"""Every query of ours finds its index in production."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aletheia_like.ports.documents import Filter, Order, Query
from aletheia_like.testing.indexes import Indexes, missing_index, read_indexes
from aletheia_like.testing.stores import RecordingDocumentStore

OURS = Path(__file__).parents[2] / "emulator" / "firestore.indexes.json"

DECLARED = {
    "indexes": [
        {
            "collectionGroup": "runs",
            "queryScope": "COLLECTION",
            "fields": [
                {"fieldPath": "tags", "arrayConfig": "CONTAINS"},
                {"fieldPath": "status", "order": "ASCENDING"},
                {"fieldPath": "metrics.acc", "order": "DESCENDING"},
            ],
        },
        {
            "collectionGroup": "runs",
            "queryScope": "COLLECTION",
            "fields": [
                {"fieldPath": "fold", "order": "ASCENDING"},
                {"fieldPath": "number", "order": "DESCENDING"},
            ],
        },
    ],
    "fieldOverrides": [
        {"collectionGroup": "runs", "fieldPath": "environment", "indexes": []},
        {"collectionGroup": "runs", "fieldPath": "a", "indexes": [{"order": "ASCENDING"}]},
    ],
}


@pytest.fixture
def declared(tmp_path):
    path = tmp_path / "firestore.indexes.json"
    path.write_text(json.dumps(DECLARED))
    return read_indexes(path)


def query(filters=(), orders=(), collection="projects/p/experiments/e/runs"):
    return Query(
        collection,
        tuple(Filter(tuple(path.split(".")), *rest) for path, *rest in filters),
        tuple(Order(tuple(path.strip("-").split(".")), path.startswith("-")) for path in orders),
    )


@pytest.mark.parametrize(
    ("filters", "orders"),
    [
        ([], []),
        ([], ["-number"]),
        ([("a", "==", 1), ("b", "in", [1, 2])], []),
        ([("c", "contains", 1)], []),
        ([("a", ">", 1), ("a", "<", 3)], ["a"]),
        ([("a", "!=", 1)], ["-a"]),
    ],
)
def test_single_fields_need_no_index(filters, orders):
    nothing = Indexes((), frozenset())

    assert missing_index(query(filters, orders), nothing) is None


@pytest.mark.parametrize(
    ("filters", "orders"),
    [
        ([], ["fold", "-number"]),
        ([], ["-fold", "number"]),
        ([("fold", "==", 1)], ["number"]),
        ([("fold", "in", [1, 2]), ("number", ">", 3)], ["-number"]),
        ([("tags", "contains", "x"), ("status", "==", "ok")], ["-metrics.acc"]),
        ([("tags", "contains", "x"), ("status", "==", 1), ("metrics.acc", "==", 1)], []),
    ],
)
def test_declared_indexes_serve_what_they_fit(declared, filters, orders):
    assert missing_index(query(filters, orders), declared) is None
    elsewhere = query(filters, orders, "projects/p/datasets")
    assert "composite" in missing_index(elsewhere, declared)


@pytest.mark.parametrize(
    ("filters", "orders"),
    [
        ([], ["fold", "number"]),
        ([], ["number", "fold"]),
        ([("other", "==", 1)], ["number"]),
        ([("status", "==", "ok")], ["-metrics.acc"]),
        ([("fold", "==", 1), ("status", "==", 1)], ["number"]),
        ([("tags", "contains", "x"), ("status", "==", "ok")], []),
        ([("tags", "contains", "x")], ["number"]),
        ([("number", ">", 1)], ["number", "fold"]),
    ],
)
def test_indexes_that_do_not_fit_are_missed(declared, filters, orders):
    assert "composite" in missing_index(query(filters, orders), declared)


@pytest.mark.parametrize("path", ["environment", "environment.python"])
def test_fields_without_any_index_are_missed(declared, path):
    assert "fieldOverrides" in missing_index(query([(path, "==", 1)]), declared)
    assert "fieldOverrides" in missing_index(query([], [path]), declared)


def test_our_own_file_is_understood():
    assert ("runs", "environment") in read_indexes(OURS).exempt


def test_every_query_of_a_session_has_its_index(metastore, tmp_path):
    recording = RecordingDocumentStore(metastore._session.documents)
    metastore._session.documents = recording
    (tmp_path / "table.csv").write_text("a\n1\n")
    metastore.add_dataset("table", tmp_path / "table.csv")
    experiment = metastore.exper("e")
    with experiment.start_run(tags=["x"], fold=1) as run:
        run.add_metric("acc", 0.5)
        run.get_dataset("table")
        run.add_artifact("model", tmp_path / "table.csv")
    metastore.projects()
    metastore.experiments()
    metastore.datasets()
    metastore.dataset_versions("table")
    experiment.results()
    experiment.runs(order_by="-metrics.acc")
    metastore.exper("e").start_run().finish()

    asked = {query.collection.rpartition("/")[2] for query in recording.queries}
    assert asked >= {"projects", "experiments", "runs", "datasets", "versions"}
    declared = read_indexes(OURS)
    assert [missing_index(query, declared) for query in recording.queries] == [None] * len(
        recording.queries
    )


def test_what_a_metastore_asks_is_checked(metastore):
    documents = metastore._session.documents

    with pytest.raises(AssertionError, match="composite"):
        list(documents.query(query([("a", "==", 1)], ["b"])))
