"""Rows of a file become chunks: each row once, in order, as few chunks as hold them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aletheia_like.metastore.chunks import FULL_BYTES
from aletheia_like.model.rows import ABSENT, Columns, Line, pack, pack_columns, unpack_stored
from aletheia_like.transfer.packing import FileRows, packed

CELLS = st.one_of(st.integers(-5, 5), st.booleans(), st.text(max_size=3), st.none())
ROWS = st.lists(
    st.lists(st.one_of(st.just(ABSENT), CELLS), min_size=3, max_size=3), min_size=1, max_size=9
)


@given(ROWS)
def test_rows_by_column_are_packed_as_rows_are(rows):
    names = ("a", "b", "c")
    cells = [
        {name: cell for name, cell in zip(names, row, strict=True) if cell is not ABSENT}
        for row in rows
    ]
    times = [1.7e9 + number / 8 for number in range(len(rows))]
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    seen = {name: column for name, column in columns.items() if set(column) != {ABSENT}}

    text = pack_columns(Columns(times, seen))

    assert text == pack(list(map(Line, range(len(rows)), times, cells)))


def test_a_row_that_stands_twice_is_one_and_all_are_in_order():
    cells = [{"x": "third"}, {"x": "first"}, {"x": "third again"}, {"x": "second"}]

    (chunk,) = packed("w", FileRows([3, 1, 3, 2], [3.0, 1.0, 4.0, 2.0], cells, [9] * 4))

    found = unpack_stored(chunk["columns"], chunk["count"])
    assert (chunk["first"], chunk["last"], chunk["count"]) == (1, 3, 3)
    assert found.cells == {"x": ["first", "second", "third"]}
    assert found.timestamps == [1.0, 2.0, 3.0]


def test_rows_fill_chunks_and_one_that_is_too_large_has_its_own():
    sizes = [FULL_BYTES // 2, FULL_BYTES // 2, 2 * FULL_BYTES, 1, 1]
    rows = FileRows([1, 2, 3, 4, 7], [1.0] * 5, {"x": [1, 2, 3, 4, 5]}, sizes)

    chunks = list(packed("w", rows))

    assert [(one["first"], one["last"], one["count"]) for one in chunks] == [
        (1, 2, 2),
        (3, 3, 1),
        (4, 7, 2),
    ]


def test_what_is_longer_than_was_told_is_parted():
    rows = FileRows([1, 2, 3], [1.0] * 3, {"x": ["a" * 500_000, "b" * 500_000, "c"]}, [1] * 3)

    assert [one["count"] for one in packed("w", rows)] == [1, 2]
