"""A run's summary is the last, least and greatest value of each column, however rows came."""

from __future__ import annotations

import itertools
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from aletheia_like.metastore.summary import (
    MAX_COLUMNS,
    continued,
    merged,
    merged_by_step,
    summarised,
    summary_of,
)
from aletheia_like.model.checking import check_fields
from aletheia_like.model.rows import AMEND, STREAM, Columns, Line, encode_cells
from aletheia_like.model.sizes import value_size
from aletheia_like.model.values import equal

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from([math.nan, math.inf, 10**400, -(10**400), 0, -0.0]),
)
CELLS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "step", "@@x", "__x__"]),
    NUMBERS | st.sampled_from([None, True, "x", [1], {"k": 1}]),
    max_size=4,
)


def lines(rows):
    return [Line(n, float(n), encode_cells(row)) for n, row in enumerate(rows, 1)]


def whole(rows):
    return summarised(lines(rows))


def amendment(name, value, **where):
    conditions = [{"name": key, "value": one} for key, one in where.items()]
    return {AMEND: {"name": name, "value": value, "where": conditions}}


def test_each_numeric_column_has_its_last_least_and_greatest_value():
    rows = [{"a": 3, "b": "x"}, {"a": 1.5, "c": True}, {"a": 2, "d": None}]

    assert whole(rows) == {"a": {"last": 2, "min": 1.5, "max": 3}}


def test_the_step_is_that_of_the_last_value():
    rows = [{"step": 1, "a": 1}, {"step": 2, "a": 2, "b": 1}, {"step": 3}, {"a": "x", "step": 4}]

    assert {name: entry["step"] for name, entry in whole(rows).items()} == {"a": 2, "b": 2}


def test_nan_is_a_last_value_but_no_least_or_greatest():
    found = whole([{"a": 1.0}, {"a": math.nan}])["a"]

    assert (found["min"], found["max"]) == (1.0, 1.0)
    assert math.isnan(found["last"])
    assert all(math.isnan(one) for one in whole([{"a": math.nan}])["a"].values())


def test_rows_of_other_streams_and_changes_are_not_counted():
    rows = [{"a": 1}, {"a": 9, STREAM: "system"}, amendment("a", 5, b=1)]

    assert whole(rows) == {"a": {"last": 1, "min": 1, "max": 1}}


def test_nothing_has_no_summary():
    assert whole([]) == summary_of(Columns()) == merged({}, {}) == {}


@settings(max_examples=100)
@given(st.lists(CELLS, max_size=12), st.lists(st.integers(0, 12), max_size=3))
def test_parts_one_after_the_other_give_the_summary_of_the_whole(rows, cuts):
    places = [0, *sorted(cuts), len(rows)]
    found = {}

    for begin, end in itertools.pairwise(places):
        found = merged(found, whole(rows[begin:end]))

    expected = whole(rows)
    assert found.keys() == expected.keys()
    for name, entry in found.items():
        assert all(equal(float(entry[k]), float(expected[name][k])) for k in ("min", "max"))
        assert equal(entry["last"], expected[name]["last"])


@settings(max_examples=100)
@given(st.lists(CELLS, max_size=12))
def test_every_summary_can_be_stored(rows):
    check_fields({"summary": whole(rows)})


def test_a_summary_stays_small_however_many_columns_there_are():  # M25
    found = {}

    for start in range(0, 5_000, 500):
        rows = [{f"{n} {'é' * 300}": n for n in range(start, start + 500)}]
        found = merged(found, whole(rows))
    short = whole([{f"c{n}": n for n in range(5_000)}])

    assert value_size(found) < 150_000
    assert len(merged({}, short)) == MAX_COLUMNS
    assert value_size(merged({}, short)) < 150_000


def test_a_full_summary_still_follows_the_columns_it_has():
    full = merged({}, whole([{f"c{n}": n for n in range(5_000)}]))

    later = merged(full, whole([{"c0": 7, "c4999": 7, "new": 7}]))

    assert later["c0"] == {"last": 7, "min": 0, "max": 7}
    assert later.keys() == full.keys()


def test_of_two_writers_side_by_side_the_later_step_is_the_last():
    one = whole([{"step": 5, "a": 1.0, "b": 1}])
    other = whole([{"step": 9, "a": 0.5}, {"step": 2, "c": 3}])

    for found in (merged_by_step(one, other), merged_by_step(other, one)):
        assert found["a"] == {"last": 0.5, "min": 0.5, "max": 1.0, "step": 9}
        assert found.keys() == {"a", "b", "c"}


def test_a_change_of_all_rows_is_known_at_once():
    rows = [{"a": 1, "b": 1}, amendment("a", 7), {"b": 3}, amendment("c", 2.5)]

    found, unsure = continued({}, lines(rows))

    assert found["a"] == {"last": 7, "min": 7, "max": 7}
    assert found["c"] == {"last": 2.5, "min": 2.5, "max": 2.5}
    assert found["b"] == {"last": 3, "min": 1, "max": 3}
    assert unsure == set()


def test_a_change_of_some_rows_or_to_no_number_is_to_be_counted_anew():
    rows = [{"a": 1}, amendment("a", 7, b=1), amendment("c", "text"), amendment("d", 2**70)]

    _, unsure = continued({}, lines(rows))

    assert unsure == {"a", "c", "d"}


def test_a_change_before_any_row_is_to_be_counted_anew():
    found, unsure = continued({}, lines([amendment("a", 7), {"a": 1}]))

    assert unsure == {"a"}
    assert found["a"]["max"] == 1
