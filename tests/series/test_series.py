"""Writing and reading rows by intervals."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aletheia_like as al


def at(*places, value=None):
    return {"at": list(places), "value": [float(p if value is None else value) for p in places]}


def rows(series, **options):
    frame = series.frame(**options)
    return dict(zip(frame["at"].tolist(), frame["value"].tolist(), strict=True))


@pytest.fixture
def series(numbers):
    """Rows at 1 to 9."""
    found = numbers.series("s")
    found.write(at(*range(1, 10)))
    return found


def test_df_equals_what_was_written(ms):  # T5
    clct = ms.create_collection({"t": "timestamp*", "x": "float", "n": "int", "s": "str"}, "c")
    df = pd.DataFrame(
        {
            "t": pd.date_range("2020-01-01", periods=3, unit="ns"),
            "x": [1.5, float("nan"), -0.0],
            "n": [1, -(2**62), 3],
            "s": ["", "ü", "long " * 2_000],
        }
    )

    clct.series("s").write(df)

    pd.testing.assert_frame_equal(clct.series("s").df(), df)


def test_a_series_that_is_missing_is_an_empty_frame_with_columns(clct):  # T5, L10
    shown = (clct / "nowhere").df()

    assert list(shown.columns) == ["timestamp", "value"]
    assert len(shown) == 0
    assert not clct.series("nowhere")
    assert clct.ls() == []


@pytest.mark.parametrize(
    ("closed", "found"),
    [("left", [2, 3]), ("right", [3, 4]), ("both", [2, 3, 4]), ("neither", [3])],
)
def test_closed_says_which_ends_belong_to_a_range(series, closed, found):  # T4, L9
    assert list(rows(series, start=2, stop=4, closed=closed)) == found
    assert list(rows(series, start=2, stop=4, closed=closed[0])) == found


def test_ranges_are_half_open_and_a_missing_bound_is_open(series):  # T4
    assert series[2:4].frame()["at"].tolist() == [2, 3]
    assert series[:3].frame()["at"].tolist() == [1, 2]
    assert series[8:].frame()["at"].tolist() == [8, 9]
    assert len(series[:]) == len(series) == 9


def test_limit_offset_and_select(series):  # T6, L11
    assert list(rows(series, limit=5, offset=1)) == [2, 3, 4, 5, 6]
    assert series.frame(select=["value", "at"]).names == ["value", "at"]
    assert list(series.df(limit=1, select="value").columns) == ["value"]
    assert list(rows(series, offset=20)) == []


def test_tail_and_pages(series):  # T6
    assert series.tail(4)["at"].tolist() == [6, 7, 8, 9]
    pages = [page["at"].tolist() for page in series.paginate(2)]

    assert pages == [[1, 2], [3, 4], [5, 6], [7, 8], [9]]
    assert [len(page) for page in series.paginate(4, start=2, stop=8)] == [4, 2]


@pytest.mark.parametrize("wrong", [{"limit": -1}, {"offset": -1}, {"select": []}])
def test_options_that_make_no_sense_are_refused(series, wrong):
    with pytest.raises(al.InvalidValueError):
        series.frame(**wrong)
    with pytest.raises(ValueError, match="tail"):
        series.tail(0)
    with pytest.raises(ValueError, match="paginate"):
        series.paginate(0)
    with pytest.raises(ValueError, match="closed"):
        series.frame(closed="ends")
    with pytest.raises(ValueError, match="no column"):
        series.frame(select=["nothing"])
    with pytest.raises(ValueError, match="start:stop"):
        series[3]


def test_a_write_replaces_the_interval_it_spans(series):  # T7, L7
    series.write(at(2, 4, value=20))

    shown = rows(series)
    assert shown[2] == shown[4] == 20.0
    assert list(shown) == [1, 2, 4, 5, 6, 7, 8, 9]


def test_equal_content_makes_no_revision(series, numbers):  # T7
    assert series.write(at(*range(1, 10))) is None
    assert series.write(at(3, 4)) is None
    assert len(numbers.log()) == 1
    assert series.write({"at": [3, 4], "value": [3.0, np.nan]}) is not None
    assert series.write({"at": [3, 4], "value": [3.0, np.nan]}) is None


def test_a_wider_interval_takes_away_what_is_not_in_the_frame(series):  # T8
    series.write(at(5, value=50), start=3, stop=7)

    assert list(rows(series)) == [1, 2, 5, 8, 9]


def test_an_open_end_keeps_the_neighbour(series):  # T8, L7
    series.write(at(9, 10, 11, value=0), closed="right")

    assert rows(series)[9] == 9.0
    assert list(rows(series)) == [*range(1, 12)]
    series.write(at(11, 12, value=0), start=10, closed="r")
    assert list(rows(series)) == [*range(1, 13)]


def test_no_rows_and_an_interval_delete_what_is_there(series):  # T8
    series.write(at(), start=2, stop=8)

    assert list(rows(series)) == [1, 9]
    assert series.write(at()) is None


def test_rows_outside_of_the_interval_are_refused(series, numbers):
    with pytest.raises(ValueError, match="before `start`"):
        series.write(at(1, 5), start=2, stop=6)
    with pytest.raises(ValueError, match="after `stop`"):
        series.write(at(2, 7), start=2, stop=6)
    assert len(numbers.log()) == 1


def test_deleting_a_middle_leaves_both_sides(series, numbers):  # T9, L25
    series.delete(3, 6)

    assert list(rows(series)) == [1, 2, 6, 7, 8, 9]
    assert series.delete(3, 6) is None
    series[7:].delete()
    assert list(rows(series)) == [1, 2, 6]
    series.delete(None, 1, closed="both")
    assert list(rows(series)) == [2, 6]
    assert numbers.ls() == ["s"]


def test_a_deleted_series_comes_back_empty(series, numbers):  # T9
    series.delete()

    assert numbers.ls() == []
    assert "s" not in numbers
    assert series.delete() is None
    series.write(at(100))
    assert list(rows(series)) == [100]


def test_renaming_keeps_the_rows(series, numbers):  # T9
    numbers.series("other").write(at(50))

    series.rename("a much longer name")
    numbers.series("a much longer name").rename("other")

    assert numbers.ls() == ["other"]
    assert list(rows(numbers / "other")) == [*range(1, 10)]
    assert list(rows(numbers / "s")) == []
    with pytest.raises(al.NotFoundError):
        numbers.series("s").rename("t")


def test_an_update_changes_one_column_and_keeps_the_others(opened):  # T10, L26
    clct = opened().create_collection({"at": "int*", "a": "float", "b": "str"}, "c")
    series = clct / "s"
    series.write({"at": [1, 2, 3], "a": [1, 2, 3], "b": ["x", "y", "z"]})

    series.update({"at": [2, 3], "a": [20, 30]})

    assert series.frame()["a"].tolist() == [1, 20, 30]
    assert series.frame()["b"].tolist() == ["x", "y", "z"]
    series.update({"at": [3, 4], "b": ["zz", "new"]})
    assert series.frame()["b"].tolist() == ["x", "y", "zz", "new"]
    assert np.isnan(series.frame()["a"][3])
    for wrong in (
        {"at": [1, 3], "a": [0, 0]},
        {"at": [1, 2], "c": [0, 0]},
        {"at": [1, 2]},
        {"a": [1, 2]},
    ):
        with pytest.raises(ValueError, match=r"index|column"):
            series.update(wrong)


def test_the_past_is_read_by_revision_or_moment(numbers):  # T11, L12
    series = numbers / "s"
    made = [series.write(at(1, 2, value=number)) for number in (1, 2, 3)]

    assert rows(series, before=made[1]) == {1: 1.0, 2: 1.0}
    assert rows(series, before=made[2].id) == {1: 2.0, 2: 2.0}
    assert rows(series, before=numbers.log()[0]) == {}
    assert rows(series, before=dt.datetime.now(dt.UTC) + dt.timedelta(days=1)) == {1: 3.0, 2: 3.0}
    assert rows(series, before="2020-01-01") == {}
    assert [one.id for one in numbers.log()] == [one.id for one in made]
    assert [one.id for one in series.log()] == [one.id for one in made]
    with pytest.raises(al.NotFoundError):
        series.df(before="0" * 15 + "-" + "0" * 12)
    with pytest.raises(ValueError, match="before"):
        series.df(before="last week")


def test_key_value_series_replace_rows_of_equal_keys(ms):  # T26, L27
    clct = ms.create_collection(al.Schema.kv(key="str*", value="int"), "kv")
    series = clct / "s"
    series.write({"key": ["b", "a"], "value": [2, 1]})

    assert series.write({"key": ["a"], "value": [1]}) is None
    series.write({"key": ["c", "b", "b"], "value": [3, 0, 20]})
    assert dict(zip(*series.frame().df().to_dict("list").values(), strict=True)) == {
        "a": 1,
        "b": 20,
        "c": 3,
    }
    series.delete("b", "b", closed="both")
    assert series.frame()["key"].tolist() == ["a", "c"]
    assert series.frame("b")["key"].tolist() == ["c"]
    assert len(series) == 2
    assert series.tail(1)["key"].tolist() == ["c"]


def test_periods_equal_those_of_pandas(opened):  # T25, L30
    clct = opened().create_collection({"t": "timestamp*", "v": "float", "n": "int"}, "c")
    days = pd.date_range("2020-01-01", periods=400, freq="7h")
    df = pd.DataFrame({"t": days, "v": np.sin(np.arange(400)), "n": np.arange(400)})
    series = clct / "s"
    series.write(df)

    months = series.aggregate("month", {"v": ["max", "min", "q90"], "n": ["sum", "count"]})

    grouped = df.groupby(df.t.dt.to_period("M").dt.start_time)
    assert months["t"].tolist() == list(grouped.groups)
    assert months["v_max"].tolist() == grouped.v.max().tolist()
    assert months["v_q90"].tolist() == grouped.v.quantile(0.9).tolist()
    assert months["n_sum"].tolist() == grouped.n.sum().tolist()
    for function in ("first", "last", "mean", "median", "std", "count", "sum", "min"):
        found = series.aggregate("2 days", {"v": function}, start="2020-02-01")
        kept = df[df.t >= "2020-02-01"]
        wanted = getattr(kept.groupby(kept.t.dt.floor("2D")).v, function)()
        np.testing.assert_allclose(found["v"], wanted)
    for wrong in (("fortnight", {}), ("month", {"v": "best"}), ("month", {"w": "max"})):
        with pytest.raises(ValueError, match="no "):
            series.aggregate(*wrong)


def test_hours_that_come_twice_and_days_without_a_midnight_have_periods(opened):  # T25
    ms = opened()
    brussels = ms.create_collection("t timestamp[Europe/Brussels]*\nv int", "b") / "s"
    hours = pd.date_range("2020-10-24T22:00", periods=25, freq="h", tz="UTC")
    brussels.write({"t": hours, "v": range(25)})
    paulo = ms.create_collection("t timestamp[America/Sao_Paulo]*\nv int", "p") / "s"
    paulo.write(
        {"t": pd.date_range("2018-11-04T02:00", periods=3, freq="h", tz="UTC"), "v": [1] * 3}
    )

    hourly = brussels.aggregate("hour", {"v": "count"})
    daily = paulo.aggregate("day", {"v": "sum", "t": "min"}, select="v")

    assert hourly["v"].tolist() == [1] * 25
    assert hourly["t"].tolist() == hours.tolist()
    assert daily["v"].tolist() == [1, 2]
    assert daily["t_min"].dt.hour.tolist() == [23, 1]


def test_pages_have_the_rows_that_are_asked_for(numbers):  # T6
    series = numbers / "s"
    series.write({"at": range(30), "value": range(30)})

    pages = list(series.paginate(10, limit=15, offset=3))

    assert [len(page) for page in pages] == [10, 5]
    assert pages[1]["at"].tolist() == [13, 14, 15, 16, 17]


def test_a_frame_that_was_read_means_the_same_moments_when_written(opened):  # T5, T7
    series = opened().create_collection("t timestamp[Europe/Brussels]*\nv float", "c") / "s"
    series.write({"t": ["2020-07-01T00:00", "2020-07-02T00:00"], "v": [1, 2]})

    assert series.write(series.frame()) is None
    assert series.write(series.df().set_index("t")) is None


def test_an_empty_table_of_pandas_empties_an_interval(clct):  # T8
    series = clct / "a"
    series.write({"timestamp": ["2020-01-01", "2020-01-02"], "value": [1, 2]})

    series.write(pd.DataFrame({"timestamp": [], "value": []}), start="2020-01-02")

    assert series.df()["value"].tolist() == [1.0]


@settings(max_examples=60)
@given(
    writes=st.lists(
        st.tuples(
            st.lists(st.integers(0, 20), unique=True, min_size=1, max_size=6).map(sorted),
            st.sampled_from(["both", "left", "right", "neither"]),
        ),
        max_size=8,
    ),
    start=st.none() | st.integers(0, 20),
    stop=st.none() | st.integers(0, 20),
    closed=st.sampled_from(["both", "left", "right", "neither"]),
)
def test_any_writes_and_any_read_agree_with_a_dictionary(writes, start, stop, closed):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        ms = al.Metastore("p", url="memory://", cache_dir=folder, git="off")
        series = ms.create_collection({"at": "int*", "value": "float"}, "c") / "s"
        known = {}
        for number, (places, ends) in enumerate(writes):
            series.write(at(*places, value=number), closed=ends)
            first = places[0] + (ends in ("right", "neither"))
            last = places[-1] - (ends in ("left", "neither"))
            known = {k: v for k, v in known.items() if not first <= k <= last}
            known |= {k: float(number) for k in places if first <= k <= last}

        shown = rows(series, start=start, stop=stop, closed=closed)

        low = -1 if start is None else start + (closed in ("right", "neither"))
        high = 99 if stop is None else stop - (closed in ("left", "neither"))
        assert shown == {k: v for k, v in sorted(known.items()) if low <= k <= high}
        ms.close()


def test_several_index_columns_order_rows_together(opened):
    schema = al.Schema(day="timestamp*", station="str*", value="float")
    series = opened().create_collection(schema, "c") / "s"
    days = ["2020-01-01", "2020-01-01", "2020-01-02", "2020-01-03"]
    stations = ["a", "b", "a", "a"]
    series.write({"day": days, "station": stations, "value": [1, 2, 3, 4]})

    series.write({"day": ["2020-01-01"], "station": ["b"], "value": [20]})

    assert series.frame()["value"].tolist() == [1, 20, 3, 4]
    shown = series.frame("2020-01-01", "2020-01-02", closed="both")
    assert shown["value"].tolist() == [1, 20, 3]
    assert series.frame("2020-01-01", "2020-01-02", closed="right")["value"].tolist() == [3]
    assert series.frame(("2020-01-01", "b"), "2020-01-03")["value"].tolist() == [20, 3]


def test_many_rows_are_stored_as_blobs_and_read_in_part(ms):
    count = 70_000
    data = {"at": np.arange(count), "value": np.random.default_rng(0).random(count)}
    series = ms.create_collection({"at": "int*", "value": "float"}, "c") / "s"

    series.write(data)

    assert isinstance(series.segments()[0].columns["value"], str)
    assert series.frame()["value"].tobytes() == data["value"].tobytes()
    assert series.frame(60_000, 60_002)["at"].tolist() == [60_000, 60_001]
    series.write({"at": [5], "value": [0.0]})
    assert series.frame()["value"][4:7].tolist() == [data["value"][4], 0.0, data["value"][6]]


def test_rows_beyond_a_chunk_are_stored_in_several_and_read_as_one(opened, monkeypatch):
    monkeypatch.setattr("aletheia_like.series.writing.CHUNK_ROWS", 1_000)
    series = opened().create_collection({"at": "int*", "value": "float"}, "c") / "s"
    series.write({"at": np.arange(3_500), "value": np.arange(3_500) / 7})

    assert len(series.segments()) == 4
    assert series.frame(900, 2_100)["at"].tolist() == [*range(900, 2_100)]
    series.write({"at": [1_500, 2_500], "value": [0, 0]})
    assert len(series) == 2_501


def test_a_handle_travels_to_another_process_as_settings(opened, tmp_path):
    import pickle

    clct = opened((tmp_path / "store").as_uri()).create_collection({"at": "int*"}, "c")

    again = pickle.loads(pickle.dumps(clct / "s"))

    again.write({"at": [1]})
    assert len(clct / "s") == 1
