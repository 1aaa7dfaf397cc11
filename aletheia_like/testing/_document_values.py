"""The part of the suite about what a document can hold, and what every store refuses."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Callable
from typing import Any

import pytest

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.sizes import document_size
from aletheia_like.model.values import (
    MAX_DEPTH,
    MAX_DOCUMENT_BYTES,
    MAX_VALUE_BYTES,
    Value,
    equal,
)
from aletheia_like.ports.documents import (
    MAX_PATH_BYTES,
    MAX_WRITES,
    REMOVE,
    Create,
    Delete,
    DocumentStore,
    Update,
    Write,
)
from aletheia_like.testing._document_hooks import DocumentStoreHooks
from aletheia_like.testing._document_writes import there

_EAST = dt.timezone(dt.timedelta(hours=5, minutes=45))


def _nested(depth: int) -> dict[str, Value]:
    """Return fields whose last value lies `depth` deep."""
    fields: dict[str, Value] = {"x": 1}
    for _ in range(depth - 1):
        fields = {"x": fields}
    return fields


VALUES: dict[str, Value] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "largest integer": 2**63 - 1,
    "smallest integer": -(2**63),
    "integer no float holds": 2**53 + 1,
    "float that is whole": 3.0,
    "float with all digits": 0.1 + 0.2,
    "smallest float": 5e-324,
    "largest float": 1.7976931348623157e308,
    "negative zero": -0.0,
    "nan": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "empty text": "",
    "text": 'tab\t "quotes" \\ \x00 line\n',
    "unicode": "Straße \N{GRINNING FACE} \u2028 \uffff e\u0301",
    "text like a tag": '{"__bytes__": "AAE="}',
    "no bytes": b"",
    "bytes": bytes(range(256)),
    "time": dt.datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
    "time in a zone": dt.datetime(2026, 1, 31, 1, 2, 3, 4, tzinfo=_EAST),
    "first time": dt.datetime(1, 1, 1, tzinfo=dt.UTC),
    "last time": dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
    "empty list": [],
    "list of all kinds": [None, True, 1, 1.5, "x", b"x", {"a": [1]}, {}],
    "empty map": {},
    "map of maps": {"a": {"b": {}}, "c": [{"d": []}]},
    "map like a tag": {"@list": [1], "@bytes": "x"},
    "map of many": {str(number): number for number in range(2_000)},
    "list of many": list(range(2_000)),
}

_REFUSED_VALUES: dict[str, Any] = {
    "a set": {1},
    "a tuple": (1, 2),
    "a decimal": decimal.Decimal(1),
    "a date": dt.date(2026, 1, 31),
    "a time without zone": dt.datetime(2026, 1, 31),  # noqa: DTZ001
    "a time before the year 1": dt.datetime(1, 1, 1, tzinfo=_EAST),
    "an integer of 65 bits": 2**63,
    "a lone surrogate": "\ud800",
    "a list in a list": [[1]],
    "a removal inside": {"a": REMOVE},
    "an empty key": {"": 1},
    "a reserved key": {"__x__": 1},
    "a key that is no text": {1: 1},
    "a long key": {"é" * 751: 1},
    "a text too long": "x" * (MAX_VALUE_BYTES + 1),
    "too many entries": list(range(40_001)),
    "an object": object(),
}

_REFUSED_PATHS: dict[str, str] = {
    "of a collection": "{base}/runs",
    "with an empty part": "{base}//r",
    "with a dot": "{base}/runs/.",
    "with two dots": "{base}/runs/..",
    "that is reserved": "{base}/runs/__x__",
    "with underscores only": "{base}/runs/__",
    "with a long part": "{base}/runs/" + "é" * 751,
    "that is long": "{base}" + ("/c/" + "x" * 1_400) * 4 + "/c/" + "x" * (MAX_PATH_BYTES - 5_600),
    "with a lone surrogate": "{base}/runs/\ud800",
    "that is empty": "",
}

_REFUSED_WRITES: dict[str, Callable[[str], list[Write]]] = {
    "an update of nothing": lambda path: [Update(path, {})],
    "an update of an empty field path": lambda path: [Update(path, {(): 1})],
    "an update of a field and its inside": lambda path: [
        Update(path, {("a",): {}, ("a", "b"): 1})
    ],
    "an update through a reserved key": lambda path: [Update(path, {("a", "__b__"): 1})],
    "an update nested too deep": lambda path: [Update(path, {("x",) * (MAX_DEPTH + 1): 1})],
    "a document nested too deep": lambda path: [Create(path, _nested(MAX_DEPTH + 1))],
    "two writes to one document": lambda path: [Delete(path), Create(path, {})],
    "too many writes": lambda path: [
        Create(f"{path}{number}", {}) for number in range(MAX_WRITES + 1)
    ],
    "too many bytes": lambda path: [
        Create(f"{path}{number}", {"x": "x" * 800_000}) for number in range(4)
    ],
}


def _filled(path: str, size: int) -> dict[str, Value]:
    """Return fields of all kinds that make a document of exactly so many bytes."""
    fields: dict[str, Value] = {
        "a": {"b": [None, True, 1, 1.5, "é", b"xy", {"c": {}}], "d": []},
        "t": dt.datetime(2026, 1, 31, tzinfo=dt.UTC),
        "x": "x" * 500_000,
        "y": "",
    }
    fields["y"] = "y" * (size - document_size(path, fields))
    return fields


class ValueSuite(DocumentStoreHooks):
    """Values come back as they went in, and the limits are the same everywhere."""

    @pytest.mark.parametrize("name", VALUES)
    def test_values_come_back(self, store: DocumentStore, base: str, name: str) -> None:
        value = VALUES[name]
        store.apply([Create(base, {"value": value, "inside": {"list": [{"value": value}]}})])

        fields = there(store, base).fields

        assert equal(fields["value"], value)
        assert equal(fields["inside"], {"list": [{"value": value}]})

    @pytest.mark.parametrize("name", VALUES)
    def test_updates_bring_values_back(self, store: DocumentStore, base: str, name: str) -> None:
        store.apply([Create(base, {"m": {"other": 1}})])

        store.apply([Update(base, {("m", "value"): VALUES[name]})])

        assert equal(there(store, base).fields, {"m": {"other": 1, "value": VALUES[name]}})

    def test_negative_zero_keeps_its_sign(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"value": -0.0})])

        assert math.copysign(1.0, there(store, base).fields["value"]) == -1.0

    def test_times_come_back_in_utc(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, {"value": VALUES["time in a zone"]})])

        assert there(store, base).fields["value"].utcoffset() == dt.timedelta(0)

    def test_twenty_levels_are_stored(self, store: DocumentStore, base: str) -> None:
        store.apply([Create(base, _nested(MAX_DEPTH))])

        assert there(store, base).fields == _nested(MAX_DEPTH)

    @pytest.mark.parametrize("name", ["a b", "a.b", "ü%2F", "\N{GRINNING FACE}", "~", "@", "*?_%"])
    def test_ids_may_hold_any_script(self, store: DocumentStore, base: str, name: str) -> None:
        path = f"{base}/{name}/{name}"
        store.apply([Create(path, {"a": 1})])

        assert there(store, path).id == name

    def test_a_path_may_be_long(self, store: DocumentStore, base: str) -> None:
        path = f"{base}" + ("/c/" + "x" * 1_300) * 4
        path += "/c/" + "x" * (MAX_PATH_BYTES - len(path) - 3)
        store.apply([Create(path, {"a": 1})])

        assert there(store, path).fields == {"a": 1}

    @pytest.mark.parametrize("name", _REFUSED_VALUES)
    def test_values_no_store_holds_are_refused(
        self, store: DocumentStore, base: str, name: str
    ) -> None:
        value = _REFUSED_VALUES[name]
        store.apply([Create(base, {"a": 1})])

        with pytest.raises(InvalidValueError):
            store.apply([Create(f"{base}/c/1", {}), Create(f"{base}/c/2", {"value": value})])
        with pytest.raises(InvalidValueError):
            store.apply([Create(f"{base}/c/1", {}), Update(base, {("b", "c"): value})])

        assert there(store, base).fields == {"a": 1}
        assert store.get(f"{base}/c/1") is None

    @pytest.mark.parametrize("name", _REFUSED_PATHS)
    def test_paths_no_store_has_are_refused(
        self, store: DocumentStore, base: str, name: str
    ) -> None:
        path = _REFUSED_PATHS[name].format(base=base)

        with pytest.raises(InvalidValueError):
            store.apply([Create(base, {}), Create(path, {})])
        with pytest.raises(InvalidValueError):
            store.apply([Create(base, {}), Delete(path)])
        with pytest.raises(InvalidValueError):
            store.get(path)
        with pytest.raises(InvalidValueError):
            store.get_many([base, path])

        assert store.get(base) is None

    @pytest.mark.parametrize("name", _REFUSED_WRITES)
    def test_writes_no_store_takes_are_refused(
        self, store: DocumentStore, base: str, name: str
    ) -> None:
        with pytest.raises(InvalidValueError):
            store.apply([Create(base, {}), *_REFUSED_WRITES[name](f"{base}/c/x")])

        assert store.get(base) is None

    def test_the_largest_apply_is_done(self, store: DocumentStore, base: str) -> None:
        paths = [f"{base}/c/{number}" for number in range(MAX_WRITES)]

        store.apply([Create(path, {"x": "x" * 5_900}) for path in paths])

        assert all(store.get_many(paths))

    def test_the_largest_document_is_stored(self, store: DocumentStore, base: str) -> None:
        fields = _filled(base, MAX_DOCUMENT_BYTES)

        store.apply([Create(base, fields)])

        assert there(store, base).fields == fields

    def test_a_larger_document_is_refused(self, store: DocumentStore, base: str) -> None:
        with pytest.raises(InvalidValueError):
            store.apply([Create(base, _filled(base, MAX_DOCUMENT_BYTES + 1))])

        assert store.get(base) is None

    def test_the_largest_value_is_stored(self, store: DocumentStore, base: str) -> None:
        # Only a short path leaves room for it.
        path = f"s/{base[-24:]}"
        store.apply([Create(path, {"f": "x" * MAX_VALUE_BYTES})])

        assert len(there(store, path).fields["f"]) == MAX_VALUE_BYTES

    def test_an_update_fills_a_document_to_the_limit(
        self, store: DocumentStore, base: str
    ) -> None:
        fields = _filled(base, MAX_DOCUMENT_BYTES)
        store.apply([Create(base, {**fields, "y": ""})])

        store.apply([Update(base, {("y",): fields["y"]})])

        assert there(store, base).fields == fields

    def test_an_update_past_the_limit_is_refused(self, store: DocumentStore, base: str) -> None:
        fields = _filled(base, MAX_DOCUMENT_BYTES + 1)
        store.apply([Create(base, {**fields, "y": ""})])

        with pytest.raises(InvalidValueError):
            store.apply([Create(f"{base}/c/1", {}), Update(base, {("y",): fields["y"]})])

        assert there(store, base).fields == {**fields, "y": ""}
        assert store.get(f"{base}/c/1") is None
