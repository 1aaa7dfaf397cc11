"""Fields that are measured again and again count as if they were measured anew."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.checking import check_fields, small_cost
from aletheia_like.model.measuring import FieldsMeter
from aletheia_like.model.sizes import document_size, value_size
from aletheia_like.ports.documents import REMOVE, changed_fields

KEYS = st.sampled_from(["a", "b", "ü", "__reserved__"])
LEAVES = st.one_of(
    st.none(), st.integers(), st.text(max_size=3), st.lists(st.integers(0, 9), max_size=3)
)
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.text(max_size=3),
    st.builds("x".__mul__, st.sampled_from([1_001, 2_000_000])),
    st.datetimes(timezones=st.sampled_from([None, dt.UTC])),
)
NESTED = st.recursive(
    st.one_of(PLAIN, st.lists(PLAIN, max_size=3)),
    lambda inner: st.one_of(st.dictionaries(KEYS, inner, max_size=3), st.lists(inner, max_size=2)),
    max_leaves=6,
)
ODD_KEYS = st.one_of(KEYS, st.text(max_size=3), st.just("k" * 1_501))
CHANGES = st.dictionaries(
    st.lists(KEYS, min_size=1, max_size=3).map(tuple),
    st.one_of(VALUES, st.just(REMOVE)),
    min_size=1,
    max_size=1,
)


def anew(path, fields):
    check_fields(fields)
    return document_size(path, fields)


def outcome(measure, fields):
    try:
        return measure("p/a", fields)
    except InvalidValueError as error:
        return str(error)


@given(st.lists(CHANGES, max_size=8))
@settings(max_examples=60, deadline=None)
def test_a_meter_finds_what_measuring_anew_finds(steps):
    meter, fields = FieldsMeter(), {}
    for changes in steps:
        changed = changed_fields(fields, changes)
        found = outcome(meter.measure, changed)

        assert found == outcome(anew, changed)
        if not isinstance(found, str):
            fields = changed


def test_what_is_the_same_object_in_a_large_map_is_not_looked_at_again():
    meter, inner = FieldsMeter(), {"x": 1}
    fields = {"m": {"a": inner, **{f"k{number}": number for number in range(100)}}}
    before = meter.measure("p/a", fields)
    inner["y"] = object()

    assert meter.measure("p/a", changed_fields(fields, {("m", "b"): 1})) == before + 10
    with pytest.raises(InvalidValueError):
        FieldsMeter().measure("p/a", fields)


@given(st.dictionaries(ODD_KEYS, NESTED, max_size=4))
def test_what_is_checked_in_one_look_is_allowed_and_has_its_cost(fields):
    cost = small_cost(fields)

    if cost is not None:
        assert cost == (value_size(fields), check_fields(fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 7, "crc32c": "AAAA", "created_at": dt.datetime.now(dt.UTC), "where": None},
        {"tags": ["a", "b"], "git": {"commit": "abc", "files": []}, "empty": {}, "lr": {"a": 0.1}},
        {},
    ],
)
def test_an_ordinary_document_is_checked_in_one_look(fields):
    assert small_cost(fields) == (value_size(fields), check_fields(fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"list": [None] * 40_000},
        {"deep": {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}},
        {"many": dict.fromkeys(map("k{}".format, range(101)))},
        {"inner": [[1]]},
        {"long": ["x" * 1_001]},
        {"texts": {f"k{number}": "x" * 1_000 for number in range(40)}},
    ],
)
def test_what_may_break_a_limit_is_looked_at_closely(fields):
    assert small_cost(fields) is None
