"""Cells become columns of one type, and come back exactly."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aletheia_like.model.rows import ABSENT, Absent
from aletheia_like.transfer.cells import (
    ColumnNames,
    cell_json,
    cells_of_row,
    kinds_of,
    read_json,
    together,
    typed,
)

TIMES = ["2026-01-31T12:00:00+00:00", "2026-01-31T12:00:00+02:00", "no time"]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=5),
    st.builds(lambda text: {"@at": text}, st.sampled_from(TIMES)),
    st.builds(lambda text: {"@bytes": text}, st.sampled_from(["AAE=", "AAE", "", "é"])),
)
CELLS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    st.lists(st.lists(st.one_of(st.just(ABSENT), CELLS), min_size=3, max_size=3), max_size=6),
    st.booleans(),
)
def test_what_goes_in_comes_out(rows, has_nan):
    names = ["a", "b", "@@c"]
    cells = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    kinds = {name: together(kinds_of(cells[name])) for name in names}

    found = typed(cells, kinds, len(rows), has_nan=has_nan)

    for place, row in enumerate(rows):
        values = [stored(found.columns[name][place], has_nan=has_nan) for name in names]
        wanted = {
            name: one for name, one in zip(names, row, strict=True) if type(one) is not Absent
        }
        back = cells_of_row(names, list(kinds.values()), values, found.exact[place])
        assert repr(back) == repr(wanted)


def stored(value, *, has_nan):
    """Return what a table gives back."""
    if has_nan or not isinstance(value, float):
        return value
    # SQLite has no NaN and no negative zero.
    return None if math.isnan(value) else value + 0.0


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([1.0, ABSENT], "float"),
        ([1, 2], "int"),
        ([1, 2.5], "float"),
        ([2**63], "json"),
        ([True, None], "bool"),
        (["x", 1], "text"),
        ([[1], "x"], "json"),
        ([{"@at": TIMES[0]}], "time"),
        ([{"@bytes": "AAE="}], "bytes"),
        ([{"a": 1}], "json"),
        ([None], "text"),
    ],
)
def test_a_column_has_the_kind_that_its_cells_share(cells, kind):
    assert together(kinds_of(cells)) == kind


@given(CELLS)
def test_json_of_a_cell_is_valid_and_exact(cell):
    text = cell_json(cell)

    json.loads(text, parse_constant=pytest.fail)
    assert repr(read_json(text)) == repr(cell)


def test_names_that_differ_by_case_are_told_apart():
    names = ColumnNames({"run_id"})

    found = [names.add(name) for name in ("loss", "Loss", "LOSS_2", "run_id", "@@x", "loss")]

    assert found == ["loss", "Loss_2", "LOSS_2_2", "run_id_2", "@x", "loss"]
