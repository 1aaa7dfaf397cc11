"""The part of the suite about queries: Firestore's order and its rules."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

import pytest

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.documents import (
    MAX_WRITES,
    Create,
    Delete,
    DocumentStore,
    Filter,
    Operator,
    Order,
    Query,
    Update,
)
from aletheia_like.testing._document_hooks import DocumentStoreHooks

ABSENT = object()

SORTED: tuple[tuple[str, Value], ...] = (
    ("null", None),
    ("false", False),
    ("true", True),
    ("nan", math.nan),
    ("minus infinity", -math.inf),
    ("smallest integer", -(2**63)),
    ("minus one", -1),
    ("zero", 0),
    ("half", 0.5),
    ("one", 1),
    ("float 2^53", 2.0**53),
    ("integer 2^53 + 1", 2**53 + 1),
    ("largest integer", 2**63 - 1),
    ("float 2^63", 2.0**63),
    ("infinity", math.inf),
    ("early", dt.datetime(1969, 7, 20, tzinfo=dt.UTC)),
    ("late", dt.datetime(2026, 1, 31, 0, 0, 0, 1, tzinfo=dt.UTC)),
    ("no text", ""),
    ("text A", "A"),
    ("text a", "a"),
    ("text a nul", "a\x00"),
    ("text b", "b"),
    ("text beyond ascii", "é"),
    ("last of the basic plane", "\uffff"),
    ("beyond the basic plane", "\N{GRINNING FACE}"),
    ("no bytes", b""),
    ("bytes 0", b"\x00"),
    ("bytes 255", b"\xff"),
    ("empty list", []),
    ("list of null", [None]),
    ("list of 1", [1]),
    ("list of 1, 1", [1, 1]),
    ("list of text", ["a"]),
    ("empty map", {}),
    ("map a null", {"a": None}),
    ("map a 1", {"a": 1}),
    ("map a 1 b 1", {"a": 1, "b": 1}),
    ("map a 2", {"a": 2}),
    ("map b", {"b": 0}),
)
"""Values of all kinds in the order in which every store sorts them."""

_RANK = {name: rank for rank, (name, _) in enumerate(SORTED)}


def _between(first: str, last: str) -> list[str]:
    return [name for name, _ in SORTED[_RANK[first] : _RANK[last] + 1]]


def _all_but(*names: str) -> list[str]:
    return [name for name, _ in SORTED if name not in names]


_LONG_MAP = {f"key {number}": 1.0 for number in range(150)}

MATCHES: tuple[tuple[Operator, Value, list[str]], ...] = (
    ("==", None, ["null"]),
    ("==", math.nan, ["nan"]),
    ("==", False, ["false"]),
    ("==", 1, ["one"]),
    ("==", 1.0, ["one"]),
    ("==", -0.0, ["zero"]),
    ("==", 2**53, ["float 2^53"]),
    ("==", 2**53 + 1, ["integer 2^53 + 1"]),
    ("==", "a", ["text a"]),
    ("==", b"", ["no bytes"]),
    ("==", [1.0], ["list of 1"]),
    ("==", {"b": 1, "a": 1}, ["map a 1 b 1"]),
    ("==", {}, ["empty map"]),
    ("!=", None, _all_but("null")),
    ("!=", math.nan, _all_but("null", "nan")),
    ("!=", 1, _all_but("null", "one")),
    ("!=", "a", _all_but("null", "text a")),
    ("<", True, ["false"]),
    (">=", False, ["false", "true"]),
    ("<", 1, _between("minus infinity", "half")),
    ("<=", 2**63 - 1, _between("minus infinity", "largest integer")),
    (">", 2**53, _between("integer 2^53 + 1", "infinity")),
    (">=", -math.inf, _between("minus infinity", "infinity")),
    (">", dt.datetime(1969, 7, 20, tzinfo=dt.UTC), ["late"]),
    (">", "a", _between("text a nul", "beyond the basic plane")),
    ("<=", "b", _between("no text", "text b")),
    ("<", b"\xff", ["no bytes", "bytes 0"]),
    (">", [], _between("list of null", "list of text")),
    ("<", [1, 0], _between("empty list", "list of 1")),
    (">", {"a": 1}, _between("map a 1 b 1", "map b")),
    ("<", {}, []),
    ("in", ["a", 1.0, True, {}], ["true", "one", "text a", "empty map"]),
    ("in", [{"a": None}], ["map a null"]),
    ("contains", 1, ["list of 1", "list of 1, 1"]),
    ("contains", "a", ["list of text"]),
    ("contains", {"a": 1}, []),
)

_REFUSED: dict[str, dict[str, Any]] = {
    "a range that is not sorted": {"filters": [("a", ">", 1)]},
    "a range sorted by another field": {"filters": [("a", "!=", 1)], "orders": ["b", "a"]},
    "ranges over two fields": {"filters": [("a", ">", 1), ("b", "<", 1)], "orders": ["a", "b"]},
    "two differences": {"filters": [("a", "!=", 1), ("a", "!=", 2)], "orders": ["a"]},
    "two contents": {"filters": [("a", "contains", 1), ("b", "contains", 1)]},
    "a range from null": {"filters": [("a", ">", None)], "orders": ["a"]},
    "a choice with null": {"filters": [("a", "in", [1, None])]},
    "a choice of lists": {"filters": [("a", "in", [[1]])]},
    "an empty choice": {"filters": [("a", "in", [])]},
    "a long choice": {"filters": [("a", "in", list(range(31)))]},
    "too many cases": {"filters": [("a", "in", [1, 2, 3, 4]), ("b", "in", list(range(8)))]},
    "a long text": {"filters": [("a", "==", "x" * 1_500)]},
    "a large map": {"filters": [("a", "==", _LONG_MAP)]},
    "an unstorable value": {"filters": [("a", "==", {1})]},
    "an unknown operator": {"filters": [("a", "~", 1)]},
    "a reserved field": {"orders": ["__name__"]},
    "an order twice": {"orders": ["a", "a"]},
    "too many orders": {"orders": [f"a{number}" for number in range(101)]},
    "no documents": {"limit": 0},
    "the path of a document": {"collection": "projects/p"},
}


def _fill(store: DocumentStore, collection: str, documents: Mapping[str, Any]) -> None:
    store.apply([Create(f"{collection}/{id_}", fields) for id_, fields in documents.items()])


def _ids(store: DocumentStore, collection: str, **parts: Any) -> list[str]:
    return [document.id for document in store.query(Query(collection, **parts))]


def _by(*names: str) -> tuple[Order, ...]:
    """Orders by these fields; a leading `-` turns one round."""
    return tuple(Order((name.lstrip("-"),), name.startswith("-")) for name in names)


class QuerySuite(DocumentStoreHooks):
    """What a query finds, and in which order."""

    @pytest.fixture
    def runs(self, base: str) -> str:
        """The path of a collection without documents."""
        return f"{base}/runs"

    @pytest.fixture
    def kinds(self, store: DocumentStore, runs: str) -> str:
        """The path of a collection with a document for every kind of value."""
        documents: dict[str, Any] = {name: {"f": {"g": value}} for name, value in SORTED}
        _fill(store, runs, {**documents, "absent": {"f": {}}, "elsewhere": {"g": 1}})
        return runs

    def test_a_collection_may_be_empty(self, store: DocumentStore, runs: str) -> None:
        assert _ids(store, runs) == []

    def test_documents_come_by_id(self, store: DocumentStore, runs: str) -> None:
        names = [" ", "%2F", "...", "10", "9", "A", "_", "a", "a b", "b", "é", "\uffff", "😀"]
        _fill(store, runs, {name: {"a": 1} for name in reversed(names)})

        assert _ids(store, runs) == names
        assert _ids(store, runs, filters=(Filter(("a",), "==", 1),)) == names

    def test_documents_come_whole(self, store: DocumentStore, runs: str) -> None:
        (revision,) = store.apply([Create(f"{runs}/r", {"a": {"b": [1]}})])

        (found,) = store.query(Query(runs))

        assert found.path == f"{runs}/r"
        assert found.fields == {"a": {"b": [1]}}
        assert found.revision == revision
        assert found.updated_at <= found.read_at

    def test_only_the_collection_itself_is_searched(
        self, store: DocumentStore, base: str, runs: str
    ) -> None:
        others = [f"{base}/runs2/x", f"{base}/run/x", f"{base}/Runs/x", f"{base}_/runs/x"]
        below = [f"{runs}/r/runs/x", f"{runs}/r/rows/x", f"{runs}/missing/rows/x"]
        store.apply([Create(path, {}) for path in [f"{runs}/r", *others, *below]])

        assert _ids(store, runs) == ["r"]
        assert _ids(store, f"{runs}/r/rows") == ["x"]

    def test_wildcards_are_plain_characters(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(f"{base}/a{sign}b/x", {}) for sign in "xy"])

        assert _ids(store, f"{base}/a_b") == []
        assert _ids(store, f"{base}/a%b") == []
        assert _ids(store, f"{base}/a*b") == []

    def test_values_sort_across_kinds(self, store: DocumentStore, kinds: str) -> None:
        order = (Order(("f", "g")),)

        assert _ids(store, kinds, order_by=order) == [name for name, _ in SORTED]

    def test_values_sort_downwards(self, store: DocumentStore, kinds: str) -> None:
        order = (Order(("f", "g"), descending=True),)

        assert _ids(store, kinds, order_by=order) == [name for name, _ in SORTED][::-1]

    @pytest.mark.parametrize(
        ("operator", "value", "expected"), MATCHES, ids=lambda part: f"{part!r:.40}"
    )
    def test_filters_find(
        self,
        store: DocumentStore,
        kinds: str,
        operator: Operator,
        value: Value,
        expected: list[str],
    ) -> None:
        found = _ids(
            store,
            kinds,
            filters=(Filter(("f", "g"), operator, value),),
            order_by=(Order(("f", "g")),),
        )

        assert found == expected

    @pytest.mark.parametrize("key", ["a.b", "a/b", "é `x`", "\\", "`\\", "@list", "0", "a b"])
    def test_fields_of_any_name_are_found(self, store: DocumentStore, runs: str, key: str) -> None:
        path: FieldPath = (key, key)
        _fill(store, runs, {"1": {key: {key: 2}}, "2": {key: {key: 1}}, "3": {key: {"x": 1}}})

        equal = _ids(store, runs, filters=(Filter(path, "==", 1),))
        sorted_ = _ids(store, runs, order_by=(Order(path),))

        assert equal == ["2"]
        assert sorted_ == ["2", "1"]

    def test_a_path_through_what_is_no_map_finds_nothing(
        self, store: DocumentStore, runs: str
    ) -> None:
        _fill(store, runs, {"1": {"m": 1}, "2": {"m": [{"x": 1}]}, "3": {"m": {"x": 1}}, "4": {}})

        assert _ids(store, runs, filters=(Filter(("m", "x"), "==", 1),)) == ["3"]
        assert _ids(store, runs, order_by=(Order(("m", "x")),)) == ["3"]

    def test_text_is_not_found_elsewhere_in_a_document(
        self, store: DocumentStore, runs: str
    ) -> None:
        _fill(
            store,
            runs,
            {
                "1": {"status": "finished"},
                "2": {"status": "failed", "m": {"status": "finished"}},
                "3": {"note": '"status":"finished"'},
                "4": {"status": "finished soon"},
            },
        )

        assert _ids(store, runs, filters=(Filter(("status",), "==", "finished"),)) == ["1"]
        assert _ids(store, runs, filters=(Filter(("m", "status"), "==", "finished"),)) == ["2"]

    def test_all_filters_must_hold(self, store: DocumentStore, runs: str) -> None:
        _fill(store, runs, {str(n): {"a": n % 2, "b": n, "c": [n % 3]} for n in range(10)})

        found = _ids(
            store,
            runs,
            filters=(
                Filter(("a",), "==", 1),
                Filter(("b",), ">", 1),
                Filter(("b",), "<=", 9),
                Filter(("b",), "!=", 5),
                Filter(("c",), "contains", 0),
            ),
            order_by=_by("-b"),
        )

        assert found == ["9", "3"]

    def test_choices_combine(self, store: DocumentStore, runs: str) -> None:
        _fill(store, runs, {str(n): {"a": n % 2, "b": n} for n in range(10)})

        filters = (Filter(("a",), "in", [1, 1.0, 7]), Filter(("b",), "in", list(range(4, 9))))

        assert _ids(store, runs, filters=filters) == ["5", "7"]
        assert _ids(store, runs, filters=filters, order_by=_by("-b"), limit=1) == ["7"]

    @pytest.mark.parametrize(
        ("orders", "expected"),
        [
            (("a",), "1a 1b 2a 2b"),
            (("-a",), "2b 2a 1b 1a"),
            (("a", "b"), "1a 1b 2b 2a"),
            (("a", "-b"), "1b 1a 2a 2b"),
            (("-a", "b"), "2b 2a 1a 1b"),
            (("-a", "-b"), "2a 2b 1b 1a"),
        ],
    )
    def test_ties_follow_the_next_order_and_then_the_id(
        self, store: DocumentStore, runs: str, orders: tuple[str, ...], expected: str
    ) -> None:
        values = {"2b": (2, 1), "1b": (1, 2), "2a": (2, 2), "1a": (1, 1)}
        _fill(store, runs, {id_: {"a": a, "b": b} for id_, (a, b) in values.items()})

        assert _ids(store, runs, order_by=_by(*orders)) == expected.split()

    @pytest.mark.parametrize("sign", ["", "-"])
    def test_equal_values_come_by_id(self, store: DocumentStore, runs: str, sign: str) -> None:
        _fill(store, runs, {"c": {"a": 0}, "a": {"a": 0.0}, "b": {"a": -0.0}})

        expected = ["a", "b", "c"] if not sign else ["c", "b", "a"]

        assert _ids(store, runs, order_by=_by(f"{sign}a")) == expected

    def test_a_document_without_the_order_is_left_out(
        self, store: DocumentStore, runs: str
    ) -> None:
        _fill(store, runs, {"1": {"a": 1}, "2": {"a": 1, "b": None}, "3": {"b": 1}})

        assert _ids(store, runs, order_by=_by("a", "b")) == ["2"]

    def test_a_limit_ends_the_answer(self, store: DocumentStore, runs: str) -> None:
        _fill(store, runs, {str(number): {"a": -number} for number in range(9)})

        assert _ids(store, runs, limit=3) == ["0", "1", "2"]
        assert _ids(store, runs, order_by=_by("a"), limit=2) == ["8", "7"]
        assert _ids(store, runs, filters=(Filter(("a",), "in", [-5, -7]),), limit=1) == ["5"]
        assert len(_ids(store, runs, limit=10)) == 9

    def test_what_changed_is_found_as_it_is_now(self, store: DocumentStore, runs: str) -> None:
        _fill(store, runs, {"1": {"a": 1}, "2": {"a": 2}, "3": {"a": 3}})

        store.apply([Update(f"{runs}/1", {("a",): 9}), Delete(f"{runs}/2")])

        assert _ids(store, runs, order_by=_by("a")) == ["3", "1"]

    def test_an_answer_shows_one_moment(self, store: DocumentStore, runs: str) -> None:
        names = [f"{number:03}" for number in range(100)]
        _fill(store, runs, {name: {"a": 1} for name in names})

        answer = store.query(Query(runs))
        first = next(answer)
        store.apply([Update(f"{runs}/{name}", {("a",): 2}) for name in names[:50]])
        store.apply([Delete(f"{runs}/{name}") for name in names[50:]])

        assert [document.fields["a"] for document in (first, *answer)] == [1] * 100

    def test_two_answers_do_not_meet(self, store: DocumentStore, runs: str) -> None:
        _fill(store, runs, {str(number): {"a": number} for number in range(9)})

        pairs = list(zip(store.query(Query(runs)), store.query(Query(runs)), strict=True))

        assert all(left.fields == right.fields for left, right in pairs)
        assert len(pairs) == 9

    def test_an_answer_need_not_be_read_to_its_end(self, store: DocumentStore, runs: str) -> None:
        _fill(store, runs, {"1": {}, "2": {}})

        next(iter(store.query(Query(runs))))
        store.apply([Delete(f"{runs}/1")])

        assert _ids(store, runs) == ["2"]

    def test_an_answer_is_the_callers(self, store: DocumentStore, runs: str) -> None:
        _fill(store, runs, {"1": {"m": {"a": 1}}})

        for document in store.query(Query(runs, order_by=_by("m"))):
            document.fields["m"]["a"] = 2

        assert [document.fields for document in store.query(Query(runs))] == [{"m": {"a": 1}}]

    def test_a_large_collection_is_read(self, store: DocumentStore, runs: str) -> None:
        names = [f"{number:04}" for number in range(2 * MAX_WRITES)]
        for start in (0, MAX_WRITES):
            part = names[start : start + MAX_WRITES]
            _fill(store, runs, {name: {"x": "x" * 3_000} for name in part})

        assert _ids(store, runs) == names

    @pytest.mark.parametrize("name", _REFUSED)
    def test_queries_no_store_answers_cannot_be_made(self, name: str) -> None:
        parts = _REFUSED[name]

        with pytest.raises(InvalidValueError):
            Query(
                parts.get("collection", "projects"),
                tuple(Filter((path,), *rest) for path, *rest in parts.get("filters", ())),
                _by(*parts.get("orders", ())),
                parts.get("limit"),
            )
