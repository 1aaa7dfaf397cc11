"""Every query of ours finds its index in production."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aletheia_like.ports.documents import Filter, Order, Query
from aletheia_like.testing.indexes import Indexes, missing_index, read_indexes

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
        ([("a", "==", 1), ("b", "in", [1, 2]), ("c", "contains", 1)], []),
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
    ],
)
def test_indexes_that_do_not_fit_are_missed(declared, filters, orders):
    assert "composite" in missing_index(query(filters, orders), declared)


@pytest.mark.parametrize("path", ["environment", "environment.python"])
def test_fields_without_any_index_are_missed(declared, path):
    assert "fieldOverrides" in missing_index(query([(path, "==", 1)]), declared)
    assert "fieldOverrides" in missing_index(query([], [path]), declared)


def test_our_own_file_is_understood():
    path = Path(__file__).parents[2] / "emulator" / "firestore.indexes.json"

    assert ("runs", "environment") in read_indexes(path).exempt


def test_what_a_metastore_asks_is_checked(metastore):
    documents = metastore._session.documents

    with pytest.raises(AssertionError, match="composite"):
        list(documents.query(query([("a", "==", 1)], ["b"])))
