"""What conditions say, what they mean, and how they tell what is wrong with them."""

import contextlib
import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aletheia_like as al
from aletheia_like.model.conditions import Column, Comparison, Part, find, holds, ways
from aletheia_like.model.conditiontext import parse_column, parse_condition

DAY = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
VALUES = {
    "number": 1,
    "float": 0.5,
    "odd": math.nan,
    "truth": True,
    "text": "abc",
    "moment": DAY,
    "naive": dt.datetime(2026, 1, 31, 12),
    "date": dt.date(2026, 1, 31),
    "list": ["a", 1, True],
    "map": {"a": 1},
    "no": None,
    "it's": 3,
    "train/loss": 0.1,
    "batch-size": 32,
    "and": 4,
}


def is_so(text):
    return holds(parse_condition(text), lambda column: find(VALUES, column.parts))


@pytest.mark.parametrize(
    "text",
    [
        "number = 1",
        "number == 1.0",
        "number <> 2 and number != 2",
        "0 < number <= 1 > float",
        "1 >= float",
        "float > number or float < number",
        "float < number and not float > number",
        "NOT number = 2 AND truth",
        "not (number = 2 or number = 3)",
        "number = 1 or number = 2 and number = 3",
        "number in (3, 2, 1,)",
        "number in [1]",
        "number not in ()",
        "text contains 'bc' and text startswith \"ab\"",
        "text not contains 'x' and text not startswith 'b'",
        "list contains 'a' and 'a' in list and 'b' not in list",
        "map contains 'a' and map.a = 1",
        "no is null and no = null and absent is null and not absent is not null",
        "number is not null and number != null",
        "truth is true and truth and not absent",
        "odd = nan and odd is nan and odd = odd and odd != 1 and number != nan",
        "moment = '2026-01-31T12:00' and moment = '2026-01-31T13:00+01:00' and moment = naive",
        "moment > '2026-01-31' and moment > date '2026-01-31' and date < moment",
        "date = '2026-01-31' and '2026-01-30' < date",
        "`it's` = 3 and \"it's\" = 3 and train/loss < 1 and batch-size = 32 and `and` = 4",
        "number < inf and number > -inf and number = +1 and number > 1e-3 and number < 1_000",
        "text = 'a\\x62c' or text = 'a\\u0062c'",
    ],
)
def test_it_holds(text):
    assert is_so(text)


@pytest.mark.parametrize(
    "text",
    [
        "absent = 1 or absent != 1 or absent < 1 or absent not in (1) or absent contains 'a'",
        "absent not contains 'a' or absent = no or no != no or absent",
        "odd < 1 or odd > 1 or odd <= nan or odd >= odd",
        "text > 1 or text < 1 or number = '1' or number contains '1' or number startswith '1'",
        "truth = 1 or number = true or truth > 0 or list contains 0",
        "moment = 'yesterday' or moment < 'yesterday' or moment > 5",
        "number in ('1', true, null) or number in ()",
        "list < 1 or map > 1 or truth < true or number.deeper = 1",
    ],
)
def test_it_does_not_hold(text):
    assert not is_so(text)


def test_what_is_of_another_kind_is_different():
    assert is_so("number != 'a' and text != 1 and truth != 1 and text not in (1, 2)")


def test_a_quote_is_doubled_or_escaped():
    assert parse_condition("x = 'it''s'") == parse_condition(r"x = 'it\'s'")
    assert parse_condition('x = "a ""b"" \\n \\d"').value == 'a "b" \n \\d'


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("metrics.acc", [("metrics", False), ("acc", False)]),
        ("metrics . acc", [("metrics", False), ("acc", False)]),
        ('metrics.`a b`."c.d"', [("metrics", False), ("a b", True), ("c.d", True)]),
        ("metrics.0.5", [("metrics", False), ("0", False), ("5", False)]),
        ("`metrics.a b`", [("metrics", False), ("a b", False)]),
        ("metrics.top 5", [("metrics", False), ("top 5", False)]),
        ("metrics.é", [("metrics", False), ("é", False)]),
        ("metrics.and", [("metrics", False), ("and", False)]),
        ("and", [("and", False)]),
    ],
)
def test_names(text, parts):
    assert [(one.text, one.quoted) for one in parse_column(text).parts] == parts


def test_a_name_means_nested_maps_before_keys_with_dots():
    both = {"opt": {"lr": 1}, "opt.lr": 2}

    assert find(both, (Part("opt"), Part("lr"))) == 1
    assert find({"opt.lr": 2}, (Part("opt"), Part("lr"))) == 2
    assert find(both, (Part("opt.lr", quoted=True),)) == 2
    assert find({1: "a"}, (Part("1"),)) == "a"
    assert len(ways(tuple(map(Part, "abcd")))) == 8


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("", 1, "a value or the name of a column, found the end"),
        ("metrics.acc >", 14, "a value or the name of a column, found the end"),
        ("a = 1 & b = 2", 7, "`and`"),
        ("a = 1 | b = 2", 7, "`or`"),
        ("!a", 1, "`not`"),
        ("(a = 1", 7, "`)`"),
        ("a = 1)", 6, "the end, found ')'"),
        ("a = 'x", 5, "a closing '"),
        ("a < null", 3, "`is`"),
        ("a is 3", 6, "`null`"),
        ("1 = 2", 3, "the name of a column"),
        ("a in 3", 6, "a list such as ('a', 'b')"),
        ("a in (1 2)", 9, "`,` or `)`"),
        ("a in (b)", 7, "a value, texts in quotes"),
        ("a not 3", 7, "`in`, `contains` or `startswith`"),
        ("a = 1 b = 2", 7, "`and`, `or` or the end"),
        ("a = date 'soon'", 10, "a date such as '2026-01-31'"),
        ("a = 1.2.3", 5, "a name, a value or a sign"),
        ("a === 1", 5, "found '= 1'"),
        ("a = 1 or\nb = = 2", 14, "found '= 2'"),
        ("not " * 60 + "a", 201, "no more than 50 levels"),
        ("(" * 1_000, 51, "no more than 50 levels"),
        ("a; DROP TABLE runs", 2, "a name, a value or a sign"),
    ],
)
def test_an_error_points_at_its_place(text, at, expected):
    with pytest.raises(al.InvalidValueError) as caught:
        parse_condition(text)

    told, line, caret = str(caught.value).split("\n")
    assert f"at character {at}:" in told
    assert expected in told
    place = caret.index("^")
    assert line[place : place + 1] == text[at - 1 : at] or at > len(text)


@pytest.mark.parametrize("given", [None, 5, b"a = 1", ["a"]])
def test_what_is_no_text_is_refused(given):
    with pytest.raises(al.InvalidValueError, match="is a text"):
        parse_condition(given)


@given(st.text(alphabet="ab.'\"`\\()[],=<>!-+ 019eninotdulas\n", max_size=30))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(al.InvalidValueError):
        holds(parse_condition(text), lambda column: VALUES.get(column.name))


@given(st.text())
def test_any_text_can_be_quoted(text):
    quoted = "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    assert parse_condition(f"a = {quoted}") == Comparison(Column((Part("a"),)), "=", text)


@given(st.text(min_size=1).filter(lambda text: "." not in text))
def test_any_key_can_be_quoted(text):
    column = parse_column(f"metrics.`{text.replace('`', '``')}`")

    assert find({"metrics": {text: 5}}, column.parts) == 5
