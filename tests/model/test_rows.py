"""Rows come back from lines and from chunks as they were, whatever is in them."""  # M26, Q34

import datetime as dt
import enum
import json
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.rows import (
    ABSENT,
    Columns,
    Line,
    cell_text,
    check_columns,
    encode_cells,
    from_line,
    from_lines,
    is_plain,
    joined,
    moment,
    pack,
    read_cell,
    shown_name,
    to_line,
    unpack,
)
from aletheia_like.model.values import decode

HUGE = st.integers(-(2**300), 2**300) | st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**25])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    HUGE,
    st.floats(),
    st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e16, 1e22, 2.0**53]),
    st.text(),
    st.sampled_from(["null", "NaN", '{"all":1}', "\u2028\n\r\x00", "é" * 5]),
    st.binary(),
    st.datetimes(timezones=st.just(dt.UTC)),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    st.complex_numbers(allow_nan=False),
)
ODD_NAMES = st.sampled_from(
    ["loss", "a b", "@@", "@set", "@stream", ".", "a.b", "a/b", "x" * 200, "__x__", "é", "'",
     "a; DROP TABLE x", '"', "\\", "\n", "all", "at", "values", "step", "null"]
)  # fmt: skip
NAMES = ODD_NAMES | st.text(min_size=1, max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.dictionaries(NAMES, VALUES, max_size=5)
MOMENTS = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2106, 1, 1), timezones=st.just(dt.UTC))


class Kind(str, enum.Enum):  # noqa: UP042 - a StrEnum prints as its text
    """A text that prints as something else."""

    LOSS = "loss"


def same(left, right):
    """Return whether two cells of users are the same: NaN as NaN, 1 not as 1.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, dt.datetime):
        return left.isoformat() == right.isoformat()
    return repr(left) == repr(right)


def lines_of(rows, start=1_763_712_345.25):
    stored = [encode_cells(check_columns(row)) for row in rows]
    return [Line(n, start + n / 8, cells) for n, cells in enumerate(stored, 1)]


def rows_of(columns):
    """Return the rows that columns hold, under the names their users gave."""
    names = [(name, shown_name(name)) for name in columns.cells]
    return [
        {shown: columns.cells[name][i] for name, shown in names if _has(columns, name, i)}
        for i in range(len(columns))
    ]


def _has(columns, name, index):
    return columns.cells[name][index] is not ABSENT


@given(ROWS, st.integers(1, 2**53), MOMENTS)
def test_a_row_comes_back_from_its_line(row, sequence, when):
    cells = encode_cells(check_columns(row))

    line = to_line(sequence, when.timestamp(), cells)

    read = from_line(line)
    assert b"\n" not in line
    assert (read.sequence, moment(read.timestamp)) == (sequence, when)
    assert same({shown_name(k): decode(v) for k, v in read.cells.items()}, row)


@settings(max_examples=50)
@given(st.lists(ROWS, min_size=1, max_size=12))
@example([{"a": None}, {}, {"a": 1}])
@example([{"a": 1}, {"a": True}])
@example([{"a": 1}, {"a": 1.0}])
@example([{"a": {"all": 1}}, {"a": {"all": 1}}])
@example([{"a": "x"}, {"a": "x"}, {"b": math.nan}])
def test_rows_come_back_from_a_chunk(rows):
    lines = lines_of(rows)

    columns = unpack(pack(lines), len(lines))

    assert columns.timestamps == [line.timestamp for line in lines]
    assert same(rows_of(columns), rows)
    assert same(rows_of(from_lines(lines)), rows)


@settings(max_examples=50)
@given(st.lists(ROWS, min_size=1, max_size=8))
def test_what_went_through_a_line_is_packed_alike(rows):
    read = [from_line(to_line(*line)) for line in lines_of(rows)]

    assert same(rows_of(unpack(pack(read), len(read))), rows)


@given(st.integers(1, 60), st.sets(st.integers(0, 59)), st.sampled_from([1, 0.5, "x", None]))
def test_a_sparse_column_comes_back(count, places, value):
    rows = [{"a": n, **({"b": value} if n in places else {})} for n in range(count)]

    columns = unpack(pack(lines_of(rows)), count)

    assert rows_of(columns) == rows


@given(st.lists(MOMENTS, min_size=1, max_size=20))
def test_moments_are_exact_to_the_microsecond_and_may_step_back(moments):
    lines = [Line(n, when.timestamp(), {}) for n, when in enumerate(moments, 1)]

    columns = unpack(pack(lines), len(lines))

    assert [moment(one) for one in columns.timestamps] == moments


@settings(max_examples=50)
@given(st.lists(st.lists(ROWS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_joined_parts_are_all_their_rows(parts):
    columns = joined([from_lines(lines_of(rows)) for rows in parts])

    assert same(rows_of(columns), [row for rows in parts for row in rows])
    assert len(columns) == sum(map(len, parts))


def test_nothing_joined_is_nothing():
    assert joined([]) == Columns()


def test_a_chunk_is_small_where_values_repeat_or_are_rare():
    rows = [{"model": "resnet18", "loss": n / 7} for n in range(1_000)]
    rows[500]["note"] = "here"

    stored = json.loads(pack(lines_of(rows)))

    assert stored["model"] == {"all": "resnet18"}
    assert stored["note"] == {"at": [500], "values": ["here"]}
    assert len(stored["loss"]) == 1_000


def test_a_column_that_few_rows_lack_names_those():
    rows = [{"a": n} for n in range(10)] + [{"b": 1}]

    assert json.loads(pack(lines_of(rows)))["a"]["not_at"] == [10]


def test_an_ordinary_chunk_is_strict_json():
    rows = [{"a": 0.5, "b": None, "c": [1, "x"], "d": {"e": True}}]

    json.loads(pack(lines_of(rows)), parse_constant=pytest.fail)


def test_whole_numbers_name_columns_by_their_text():  # Q29
    assert check_columns({1: "a", -2: "b"}) == {"1": "a", "-2": "b"}


def test_a_members_name_is_its_text():  # Q29
    assert check_columns({Kind.LOSS: 1}) == {"loss": 1}


@pytest.mark.parametrize("row", [{1: "a", "1": "b"}, {"a": 1, Kind.LOSS: 1, "loss": 2}])
def test_two_names_that_meet_are_refused(row):  # Q29
    row = {**row, **({"loss": 2, 7: 1, "7": 2} if "loss" in row else {})}

    with pytest.raises(InvalidValueError, match="two columns are called"):
        check_columns(row)


@pytest.mark.parametrize("name", [None, 1.5, True, b"a", ("a",), "", "x" * 1_501, "é" * 751])
def test_what_cannot_name_a_column_is_refused(name):  # Q29
    with pytest.raises(InvalidValueError, match="column"):
        check_columns({name: 1})


def test_a_column_of_ours_is_not_shown():
    assert shown_name("@set") is None
    assert shown_name("@@set") == "@set"
    assert shown_name("set") == "set"


@pytest.mark.parametrize("cells", [{"a": "\ud800"}, {"\ud800": 1}, {"a": ["\ud800", None]}])
def test_what_is_no_unicode_is_refused(cells):
    with pytest.raises(InvalidValueError, match="surrogate"):
        to_line(1, 0.0, cells)


@given(VALUES)
def test_one_cell_comes_back_from_its_text(value):
    cell = encode_cells({"a": value})["a"]

    assert same(read_cell(cell_text(cell).encode()), value)


@given(HUGE | st.floats() | st.text() | st.booleans())
def test_a_plain_row_needs_no_encoding(value):
    row = {"a": value}
    assert is_plain(row)

    line = to_line(1, 0.0, row)

    assert same(decode(from_line(line).cells["a"]), value)
    assert same(unpack(pack([from_line(line)]), 1).cells["a"], [value])


@pytest.mark.parametrize("line", [b"", b"{}", b"[1,2]", b"nonsense", b'[1,2,{"a":]'])
def test_what_is_no_line_is_a_value_error(line):
    with pytest.raises(ValueError):
        from_line(line)
