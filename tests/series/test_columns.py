"""Types: what people give, what is stored, what comes back, in every library."""

from __future__ import annotations

import datetime as dt
import io

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aletheia_like as al
from aletheia_like.errors import IntegrityError
from aletheia_like.series.encoding import decode, encode

EVERY = al.Schema(
    t="timestamp*",
    x="float",
    n="int",
    b="bool",
    s="str",
    m="int?",
    f="bool?",
    w="str?",
    u="timestamp?",
)


@pytest.fixture
def every(opened):
    return opened().create_collection(EVERY, "every") / "s"


DATA = {
    "t": ["2020-01-01", "2020-01-02T03:04:05.123456789"],
    "x": [1, None],
    "n": ["1", 2.0],
    "b": [True, "false"],
    "s": ["a", "ü"],
    "m": [None, 7],
    "f": [False, None],
    "w": [None, ""],
    "u": ["2021-01-01", None],
}


def test_values_are_cast_by_the_schema(every):  # T2, L6
    every.write(DATA)

    frame = every.frame()
    assert frame["t"].dtype == "datetime64[ns]"
    assert str(frame["t"][1]) == "2020-01-02T03:04:05.123456789"
    assert frame["x"].tolist()[0] == 1.0
    assert np.isnan(frame["x"][1])
    assert frame["n"].tolist() == [1, 2]
    assert frame["b"].tolist() == [True, False]
    assert frame["m"].tolist() == [None, 7]
    assert frame["f"].tolist() == [False, None]
    assert frame["w"].tolist() == [None, ""]
    assert every.write(DATA) is None


@pytest.mark.parametrize("library", ["df", "to_polars", "to_arrow"])
def test_frames_of_other_libraries_go_in_and_out(every, opened, library):  # T2
    every.write(DATA)
    table = getattr(every.frame(), library)()
    again = opened().create_collection(EVERY, "every") / "s"

    again.write(table)

    assert again.frame().equals(every.frame())
    kinds = {"df": pd.DataFrame, "to_polars": pl.DataFrame, "to_arrow": pa.Table}
    assert isinstance(table, kinds[library])


def test_an_empty_frame_has_the_types_too(every):
    assert every.frame().to_polars().schema["m"] == pl.Int64
    assert every.frame().to_arrow().schema.field("u").type == pa.timestamp("ns")
    assert str(every.df()["m"].dtype) == "Int64"


def test_structured_arrays_and_lists_of_rows_go_in(numbers):
    (numbers / "a").write(np.array([(1, 2.5)], dtype=[("at", "i4"), ("value", "f4")]))
    (numbers / "b").write([{"at": 1, "value": 2.5}])
    (numbers / "c").write((numbers / "a").frame())

    assert (numbers / "a").frame().equals((numbers / "b").frame())
    assert (numbers / "a").frame().equals((numbers / "c").frame())


def test_csv_and_parquet_hold_what_is_read(every, tmp_path, opened):  # T27, L29
    every.write(DATA)
    text = io.StringIO()

    every.frame().to_csv(text)
    every.frame().to_parquet(tmp_path / "s.parquet")

    assert text.getvalue().splitlines() == [
        "t,x,n,b,s,m,f,w,u",
        "2020-01-01T00:00:00,1.0,1,true,a,,false,,2021-01-01T00:00:00",
        "2020-01-02T03:04:05.123456789,,2,false,ü,7,,,",
    ]
    again = opened().create_collection(EVERY, "every") / "s"
    again.write(pd.read_parquet(tmp_path / "s.parquet"))
    assert again.frame().equals(every.frame())


def test_zones_are_kept_and_moments_stored_in_utc(opened):
    clct = opened().create_collection({"t": "timestamp[Europe/Brussels]*", "v": "int"}, "c")
    series = clct / "s"
    naive = ["2020-07-01T12:00", "2020-07-01T13:00"]
    series.write({"t": naive, "v": [1, 2]})

    aware = [dt.datetime(2020, 7, 1, 10, tzinfo=dt.UTC), pd.Timestamp("2020-07-01T11:00Z")]
    assert series.write({"t": aware, "v": [1, 2]}) is None
    assert series.write(series.df()) is None
    assert series.write(series.frame().to_polars()) is None
    assert str(series.df()["t"].dtype) == "datetime64[ns, Europe/Brussels]"
    assert str(series.frame()["t"][0]) == "2020-07-01T10:00:00.000000000"
    assert series.frame("2020-07-01T13:00")["v"].tolist() == [2]
    with pytest.raises(ValueError, match="timestamp"):
        series.write({"t": ["2020-03-29T02:30"], "v": [1]})


def test_aware_moments_become_utc_where_there_is_no_zone(clct):
    (clct / "s").write({"timestamp": ["2020-01-01T01:00+01:00"], "value": [1]})

    assert str((clct / "s").df()["timestamp"][0]) == "2020-01-01 00:00:00"


VALUES = {
    "float": st.lists(st.floats(), max_size=300).map(np.array),
    "decimals": st.lists(st.integers(-(10**6), 10**6), max_size=300).map(
        lambda found: np.array(found) / 100
    ),
    "int": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=300),
    "bool": st.lists(st.booleans(), max_size=300),
    "str": st.lists(st.none() | st.text(), max_size=50),
}
DTYPES = {"float": "f8", "decimals": "f8", "int": "i8", "bool": bool, "str": object}


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=50)
@given(data=st.data())
def test_any_column_comes_back_bit_by_bit(kind, data):
    given_ = data.draw(VALUES[kind])
    base = "float" if kind == "decimals" else kind
    values = np.array(given_, DTYPES[kind]) if len(given_) else np.empty(0, DTYPES[kind])

    encoded = encode(values, base)

    found = decode(encoded, base)
    assert encoded == encode(values, base)
    if base == "str":
        assert found.tolist() == values.tolist()
    else:
        assert found.tobytes() == values.tobytes()


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_bytes_of_a_column_are_an_error_or_as_many_values(data):
    values = np.cumsum(np.arange(500.0)) / 10
    encoded = bytearray(encode(values, "float"))
    for place in data.draw(st.lists(st.integers(0, len(encoded) - 1), min_size=1, max_size=3)):
        encoded[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(encoded)))

    for damaged in (bytes(encoded), bytes(encoded[:cut])):
        try:
            found = decode(damaged, "float")
        except IntegrityError:
            continue
        assert len(found) == 500


@pytest.mark.parametrize("base", ["float", "int", "str", "bool"])
def test_bytes_of_something_else_are_refused(base):
    for wrong in (b"", b"\xa1", b"PAR1" * 20, encode(np.zeros(3, "M8[ns]"), "timestamp")):
        with pytest.raises(IntegrityError):
            decode(wrong, base)
