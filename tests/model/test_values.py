"""What may be stored; every value a user gives comes back or is refused by name."""  # M26

import datetime as dt
import enum
import fractions
import math
import pathlib
import types
import uuid
import zoneinfo
from collections import OrderedDict, deque

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.checking import check_fields
from aletheia_like.model.sizes import document_size, value_size
from aletheia_like.model.values import (
    MAX_DEPTH,
    MAX_KEY_BYTES,
    LongText,
    check_key,
    decode,
    encode,
    equal,
)

NOON = dt.datetime(2026, 1, 31, 12)
EAST = dt.timezone(dt.timedelta(hours=5, minutes=45))


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Shade(enum.StrEnum):
    DARK = "dark"


UTC_TIMES = st.datetimes(timezones=st.just(dt.UTC))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**300), 2**300),
    st.floats(),
    st.text(),
    st.binary(),
    UTC_TIMES,
    st.datetimes(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.complex_numbers(allow_nan=False),
)
KEYS = st.one_of(
    st.text(),
    st.sampled_from(["", "__x__", "@list", "@items", "@", ".", "a.b", "x" * 1_501]),
    st.integers(),
    st.booleans(),
    st.none(),
    st.dates(),
    st.tuples(st.integers(), st.text()),
)
USER_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
STORED_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(),
        st.text(),
        st.binary(),
        UTC_TIMES,
    ),
    lambda inner: st.one_of(
        st.lists(inner.filter(lambda item: not isinstance(item, list)), max_size=4),
        st.dictionaries(st.text(min_size=1), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(USER_VALUES)
def test_decode_returns_what_encode_was_given(value):
    assert equal(decode(encode(value)), value)


@given(USER_VALUES)
def test_what_encode_returns_can_be_stored(value):
    stored = encode(value)

    try:
        check_fields({"value": stored})
    except InvalidValueError as error:
        assert "nested deeper" in str(error)  # noqa: PT017 - nothing else may be wrong with it


@given(STORED_VALUES)
def test_decode_takes_whatever_a_store_returns(value):
    decode(value)


@given(UTC_TIMES, st.timezones())
def test_an_instant_survives_its_zone(moment, zone):
    try:
        there = moment.astimezone(zone)
    except OverflowError:
        return

    assert decode(encode(there)) == moment
    assert encode(there).utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({1, "a"}, [1, "a"]),
        ([[1, [2]], []], [[1, [2]], []]),
        (OrderedDict(a=1), {"a": 1}),
        (types.MappingProxyType({"a": (1,)}), {"a": [1]}),
        ({1: "a", None: "b"}, {1: "a", None: "b"}),
        ({(1, 2): "a"}, {(1, 2): "a"}),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Shade.DARK, "dark"),
        ({Shade.DARK: 1}, {"dark": 1}),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        (dt.time(12, 30, tzinfo=dt.UTC), dt.time(12, 30, tzinfo=dt.UTC)),
        (dt.timedelta.max, dt.timedelta.max),
        (dt.timedelta.min, dt.timedelta.min),
        (LongText("d" * 64, 9, "head"), LongText("d" * 64, 9, "head")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_like_pythons_become_pythons(value, expected):
    assert equal(decode(encode(value)), expected)


def test_keys_become_plain_text():
    (key,) = encode({Shade.DARK: 1})

    assert type(key) is str


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float64("nan"), math.nan),
        (np.int8(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.bytes_(b"x"), b"x"),
        (np.complex64(1 + 2j), 1 + 2j),
        (np.array(1.5), 1.5),
        (np.arange(3), [0, 1, 2]),
        (np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
        (np.array([]), []),
        (np.array(["a", None], dtype=object), ["a", None]),
        (np.datetime64("2026-01-31T12:00:00", "ns"), NOON),
        (np.datetime64("2026-01-31T12"), NOON),
        (np.datetime64("NaT", "ns"), None),
        (pd.NaT, None),
        ([pd.NA], [None]),
        (np.timedelta64(1_500, "ms"), dt.timedelta(seconds=1.5)),
        (np.array(["2026-01-31T12", "NaT"], dtype="M8[ns]"), [NOON, None]),
        ({np.int64(1): np.float64(2)}, {1: 2.0}),
        (pd.Timestamp("2026-01-31T12:00"), NOON),
        (
            pd.Timestamp("2026-01-31T12:00", tz="Asia/Kathmandu"),
            dt.datetime(2026, 1, 31, 12, tzinfo=EAST),
        ),
        (pd.Timedelta("1s"), dt.timedelta(seconds=1)),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Series(pd.to_datetime(["2026-01-31T12"])), [NOON]),
        (pd.Categorical(["a", "b"]), ["a", "b"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_numpy_and_pandas_become_pythons(value, expected):
    assert equal_instants(decode(encode(value)), expected)


def equal_instants(left, right):
    if isinstance(right, dt.datetime):
        return type(left) is dt.datetime and left == right
    return equal(left, right)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        object,
        print,
        iter([]),
        deque([1]),
        range(3),
        fractions.Fraction(1, 3),
        pd.Timestamp(1),
        pd.Timedelta(1, "ns"),
        pd.DataFrame({"a": [1]}),
        np.datetime64(1, "ns"),
        np.array([1, 2], dtype="m8[ns]"),
        np.longdouble(1),
        "\ud800",
        {"\ud800": 1},
        1 << 5_000,
        dt.datetime(1, 1, 1, tzinfo=EAST),
        dt.time(12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    ],
    ids=lambda value: f"{type(value).__module__}.{type(value).__name__}",
)
def test_what_has_no_exact_form_is_refused_by_name(value):
    with pytest.raises(InvalidValueError, match=r"params\.lr"):
        encode(value, ("params", "lr"))


def test_a_refusal_names_the_way_to_the_value():
    with pytest.raises(InvalidValueError, match=r"^a\.b\.\[\]: a builtins\.object"):
        encode({"b": [object()]}, ("a",))


def test_a_value_that_contains_itself_is_refused():
    value = {"a": []}
    value["a"].append(value)

    with pytest.raises(InvalidValueError, match="contains itself"):
        encode(value)


def test_a_value_nested_without_end_is_refused():
    value = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(InvalidValueError, match="deep"):
        encode(value)


def test_one_list_may_stand_in_two_places():
    shared = [1]

    assert decode(encode({"a": shared, "b": [shared, shared]})) == {"a": [1], "b": [[1], [1]]}


@pytest.mark.parametrize(
    "stored",
    [
        {"@list": 5},
        {"@items": [1]},
        {"@items": [{"key": 1}]},
        {"@items": [{"key": {"a": 1}, "value": 1}]},
        {"@int": "many"},
        {"@datetime": 1},
        {"@date": "2026-02-31"},
        {"@seconds": 1e300},
        {"@timedelta": [1, 2, 3, 4, 5, 6, 7, 8]},
        {"@decimal": "x"},
        {"@complex": []},
        {"@text": ["x"]},
        {"@unknown": 1},
    ],
    ids=repr,
)
def test_a_tag_mangled_by_hand_is_shown_as_it_is(stored):
    assert decode(stored) == stored


def test_a_map_with_a_tag_and_more_is_a_map():
    assert decode({"@int": "1", "b": {"@int": "2"}}) == {"@int": "1", "b": 2}


@pytest.mark.parametrize("key", ["a", "a.b", "/", "__", "_x_", "@x", "é" * 750, "\x00"])
def test_keys_of_all_sorts_name_fields(key):
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "__x__", "____", 1, None, b"x", "\ud800", "é" * 751])
def test_other_keys_do_not(key):
    with pytest.raises(InvalidValueError, match="cannot name a field"):
        check_key(key, ("a",))


def nested(depth):
    return {"x": 1} if depth == 1 else {"x": nested(depth - 1)}


def test_depth_is_limited_in_maps_and_lists():
    check_fields(nested(MAX_DEPTH))
    check_fields({"l": [nested(MAX_DEPTH - 2)]})

    with pytest.raises(InvalidValueError, match="nested deeper"):
        check_fields(nested(MAX_DEPTH + 1))
    with pytest.raises(InvalidValueError, match="nested deeper"):
        check_fields({"l": [nested(MAX_DEPTH - 1)]})


def test_index_entries_are_limited():
    check_fields({"l": list(range(39_998))})

    with pytest.raises(InvalidValueError, match="40001 index entries"):
        check_fields({"l": list(range(39_999))})


@pytest.mark.parametrize(
    "fields", [None, [], "x", {"a": Shade.DARK}, {"a": True, "b": np.int8(1)}]
)
def test_fields_are_a_map_of_plain_values(fields):
    with pytest.raises(InvalidValueError):
        check_fields(fields)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (None, 1),
        (True, 1),
        (7, 8),
        (7.0, 8),
        (dt.datetime(2026, 1, 31, tzinfo=dt.UTC), 8),
        ("é", 3),
        (b"abc", 3),
        ([1, "a"], 10),
        ({"ab": 1}, 11),
        ([], 1),
        ({}, 1),
        ({"a": {}}, 3),
    ],
)
def test_sizes_are_firestores(value, size):
    assert value_size(value) == size


def test_the_size_of_a_document_is_as_in_googles_example():
    # "Storage size calculations" in Firestore's documentation: 147 bytes by its rules.
    fields = {
        "type": "Personal",
        "done": False,
        "priority": 1,
        "description": "Learn Cloud Firestore",
    }

    assert document_size("users/jeff/tasks/my_task_id", fields) == 147


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ("1", b"1"),
        ([1], [1, 2]),
        ({"a": 1}, {"b": 1}),
        ({"a": [0]}, {"a": [False]}),
        (None, 0),
    ],
)
def test_different_values_are_not_equal(left, right):
    assert not equal(left, right)
    assert not equal({"x": [left]}, {"x": [right]})


@given(STORED_VALUES)
def test_a_value_is_equal_to_itself(value):
    assert equal(value, value)


def test_long_keys_travel_in_a_list_of_items():
    stored = encode({"x" * (MAX_KEY_BYTES + 1): 1})

    check_fields({"a": stored})
    assert set(stored) == {"@items"}
