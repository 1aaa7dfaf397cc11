"""Rows in memory answer as looking into every text would."""  # Q20

from __future__ import annotations

import datetime as dt
import math

from hypothesis import given
from hypothesis import strategies as st

from aletheia_like.adapters import _knownrows
from aletheia_like.adapters._knownrows import KnownRows, passing
from aletheia_like.adapters._prefilter import text_tests
from aletheia_like.adapters._textvalues import moments, numbers
from aletheia_like.model.jsontext import key_text, to_text
from aletheia_like.ports.documents import Filter

NUMBERS = st.integers(-3, 3) | st.sampled_from([2**53 + 1, 2.0**53, 0.5, math.inf, -math.inf])
ODD = st.sampled_from([None, True, "x", "1", {}, {"a": 1}, [], [0], math.nan])
VALUES = NUMBERS | ODD
MAPS = st.dictionaries(st.sampled_from("abc"), VALUES | st.dictionaries(st.just("a"), VALUES))
FILTERS = st.builds(
    Filter,
    st.sampled_from([("a",), ("b",), ("c", "a")]),
    st.sampled_from(["==", "<", "<=", ">", ">="]),
    NUMBERS | st.sampled_from(["x", True, {}, []]),
)


def rows_of(texts):
    return [(f"{place:02}", "1", "", text) for place, text in enumerate(texts)]


@given(st.lists(MAPS, max_size=8), st.lists(FILTERS, max_size=3))
def test_the_same_rows_pass_as_of_those_that_are_read_one_by_one(maps, filters):
    rows, tests = rows_of(map(to_text, maps)), text_tests(filters)
    known = KnownRows(rows)
    expected = [row for row in rows if all(test(row[3]) for test in tests)]

    assert list(passing(iter(rows), tests)) == expected
    assert list(passing(known, tests)) == expected
    assert list(passing(known, tests)) == expected


@given(st.lists(MAPS, max_size=8), NUMBERS, NUMBERS, st.booleans())
def test_numbers_come_in_their_order_within_their_bounds(maps, least, most, descending):
    rows = rows_of(map(to_text, maps))
    bounds = [Filter(("a",), ">=", least), Filter(("a",), "<", most)]
    every = [(value, row) for row in rows for value in numbers('"a":', row[3])]
    expected = sorted(
        [(value, row) for value, row in every if least <= value < most], reverse=descending
    )

    found = KnownRows(rows).in_order(numbers, '"a":', bounds, descending=descending)

    assert list(found) == expected


def test_damaged_values_are_the_least_and_the_greatest():
    assert list(numbers('"a":', '{"a":1-2,"b":3}')) == [-math.inf, math.inf]
    first, last = moments('"a":', '{"a":{"__datetime__":"soon"}}')
    assert (first.year, last.year) == (1, 9999)


def test_moments_are_read_with_their_zone():
    moment = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)

    assert list(moments(key_text("a"), to_text({"a": moment}))) == [moment]


def test_many_keys_are_forgotten_again(monkeypatch):
    monkeypatch.setattr(_knownrows, "_MAX_KEYS", 2)
    known = KnownRows(rows_of(['{"a":1,"b":2,"c":3}']))
    filters = [Filter((key,), operator, 2) for key in "abcab" for operator in ("<", ">=")]
    found = [len(list(known.passing(text_tests([one])))) for one in filters]

    assert found == [1, 0, 0, 1, 0, 1, 1, 0, 0, 1]
    assert len(known._indexes) <= 2


TRICKY = st.lists(st.sampled_from(['"', "}", "{", "\\", "[", ":", '"m":{', '"a":{', "x"])).map(
    "".join
)
INNER = st.dictionaries(
    st.sampled_from(["a", "b", "m"]) | TRICKY.filter(bool),
    st.integers(0, 1)
    | TRICKY
    | st.sampled_from([{}, [], {"a": {}}, {"m": {"a": 1}}, [{"a": {}}]]),
    max_size=4,
)


@given(INNER, st.dictionaries(st.sampled_from(["a", "n"]), INNER))
def test_no_map_within_a_map_is_overlooked(inner, others):
    (test,) = text_tests([Filter(("m", "a"), ">=", {})])
    inner.pop("a", None)

    assert test(to_text({**others, "m": {**inner, "a": {}}}))


def test_a_map_beside_the_same_key_elsewhere_is_none():
    (test,) = text_tests([Filter(("metrics", "loss"), ">=", {})])

    assert not test(to_text({"metrics": {"loss": 1.0}, "summary": {"loss": {"last": 1.0}}}))
    assert test(to_text({"metrics": {"loss": {"@decimal": "1.0"}}, "summary": {"loss": {}}}))
