"""Fields become one JSON text, come back unchanged, and are rejected by it only if they may be."""

import datetime as dt
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aletheia_like.adapters._matching import compiled
from aletheia_like.adapters._prefilter import text_tests
from aletheia_like.errors import InvalidValueError
from aletheia_like.model.checking import check_fields
from aletheia_like.model.jsontext import from_text, to_text
from aletheia_like.model.values import equal
from aletheia_like.ports.documents import Filter

KEYS = st.sampled_from(["a", "b", 'a":1', "a\\", "é", "{"]) | st.text(min_size=1, max_size=5)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from([0, -0.0, 1, 1.0, 1e22, 1e-7, -5e-324, 2**53, 2**53 + 1, 2.0**53, math.inf]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.text(),
    st.sampled_from(['{"__float__":"nan"}', '"a":1', "\u2028\n\r\x00"]),
    st.binary(),
    st.datetimes(timezones=st.just(dt.UTC)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(KEYS, VALUES, max_size=4)


def is_legal(fields):
    try:
        check_fields(fields)
    except InvalidValueError:
        return False
    return True


@given(FIELDS.filter(is_legal))
def test_fields_come_back(fields):
    assert equal(from_text(to_text(fields)), fields)


@given(st.dictionaries(KEYS, st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans()))
def test_whoever_writes_the_text_it_is_the_same(fields):
    if is_legal(fields):
        assert to_text(fields) == json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


@given(FIELDS.filter(is_legal))
def test_the_text_is_one_line_of_strict_json(fields):
    text = to_text(fields)

    json.loads(text, parse_constant=pytest.fail)
    assert "\n" not in text
    assert "\r" not in text


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", '"x"', '{"a":{"__bytes__":"?"}}', '{"a":{"__datetime__":"soon"}}'],
)
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError):
        from_text(text)


@given(
    FIELDS.filter(is_legal),
    st.lists(KEYS, min_size=1, max_size=2).map(tuple).filter(lambda path: is_legal({path[0]: 1})),
    st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "contains"]),
    SCALARS | st.sampled_from([{}, [], {"a": 1}, [0]]),
)
def test_no_match_is_rejected_by_its_text(fields, path, operator, value):
    try:
        one = Filter(path, operator, [value] if operator == "in" else value)
    except InvalidValueError:
        return

    for candidate in (fields, {path[0]: value}, {path[0]: {path[-1]: value}}):
        if is_legal(candidate) and compiled([one])(candidate):
            assert all(test(to_text(candidate)) for test in text_tests([one]))


@pytest.mark.parametrize(
    ("operator", "value"),
    [("==", "y"), ("==", False), ("==", 2), (">", 1), ("<", 1.0), (">=", {})],
)
def test_most_texts_without_a_match_are_rejected(operator, value):
    (test,) = text_tests([Filter(("a",), operator, value)])

    assert not test(to_text({"a": 1, "b": 2, "c": "y", "d": False}))


@pytest.mark.parametrize(
    "text",
    ["[]", "1", '"a"', '{"__float__":"nan"}', '{"__datetime__":"2026-01-31T12:00:00+00:00"}'],
)
def test_what_is_no_map_of_fields_is_refused(text):
    with pytest.raises(ValueError, match="a map of fields was expected"):
        from_text(text)
