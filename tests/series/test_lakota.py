"""Every example of Lakota's documentation, with what it prints there."""

from __future__ import annotations

import textwrap

import pandas as pd
import pytest

import aletheia_like as al

DAYS = ["2020-01-01T00:00", "2020-01-02T00:00", "2020-01-03T00:00", "2020-01-04T00:00"]
LATER = ["2020-01-02T00:00", "2020-01-03T00:00", "2020-01-04T00:00", "2020-01-05T00:00"]

FOUR_DAYS = """\
   timestamp  value
0 2020-01-01    0.0
1 2020-01-02    1.0
2 2020-01-03    2.0
3 2020-01-04    3.0"""


def printed(text):
    return textwrap.dedent(text)


def test_the_quickstart(ms):  # T1, T4, L3, L8
    ts_schema = al.Schema(timestamp="timestamp*", value="float")
    clct = ms.create_collection(ts_schema, "temperature")
    series = clct.series("Brussels")
    df = {"timestamp": DAYS, "value": [1, 2, 3, 4]}

    series.write(df)

    # The document prints the row of the stop too; half open is the rule, `closed` changes it.
    shown = series[:"2020-01-03"].df(closed="both")
    assert str(shown) == printed("""\
           timestamp  value
        0 2020-01-01    1.0
        1 2020-01-02    2.0
        2 2020-01-03    3.0""")
    assert len(series[:"2020-01-03"].df()) == 2


def test_the_covid_series(ms):  # T3, T4, L5
    schema = al.Schema(
        date_reported="timestamp*",
        new_cases="int",
        cumulative_cases="int",
        new_deaths="int",
        cumulative_deaths="int",
    )
    days = pd.date_range("2020-08-18", "2020-09-02")
    cases = [0, 0, 612, 581, 512, 207, 116, 610, 524, 521, 520, 445, 1, 1, 1, 1]
    deaths = [0, 0, 9, 4, 3, 5, 3, 5, 5, 4, 3, 3, 0, 0, 0, 0]
    df = pd.DataFrame(
        {
            " Date_reported": [str(day.date()) for day in days],
            "who_region": "EURO",
            "country": "Belgium",
            "new_cases": cases,
            "cumulative_cases": 80256 + pd.Series(cases).cumsum(),
            "new_deaths": deaths,
            "cumulative_deaths": 9845 + pd.Series(deaths).cumsum(),
        }
    )
    df = df.rename(columns={c: c.strip().lower() for c in df.columns})
    clct = ms.create_collection(schema, "covid")
    for key, sub_df in df.groupby(["who_region", "country"]):
        who_region, country = key
        series = clct / f"{who_region}_{country}"
        series.write(sub_df.sort_values(by="date_reported"))

    series = ms / "covid" / "EURO_Belgium"

    shown = series["2020-08-20T00:00:00":"2020-08-30T00:00:00"].df()
    assert shown.to_string() == printed("""\
          date_reported  new_cases  cumulative_cases  new_deaths  cumulative_deaths
        0    2020-08-20        612             80868           9               9854
        1    2020-08-21        581             81449           4               9858
        2    2020-08-22        512             81961           3               9861
        3    2020-08-23        207             82168           5               9866
        4    2020-08-24        116             82284           3               9869
        5    2020-08-25        610             82894           5               9874
        6    2020-08-26        524             83418           5               9879
        7    2020-08-27        521             83939           4               9883
        8    2020-08-28        520             84459           3               9886
        9    2020-08-29        445             84904           3               9889""")


def test_caching(opened, tmp_path):  # T12, T13, L13
    remote = tmp_path / "remote_repo"
    remote_repo = opened(remote.as_uri())
    schema = al.Schema(timestamp="timestamp*", value="float")
    clct = remote_repo.create_collection(schema, "temperature")
    (clct / "Brussels").write({"timestamp": DAYS, "value": range(4)})

    cached_repo = opened(remote.as_uri())
    series = cached_repo / "temperature" / "Brussels"
    assert str(series.df()) == FOUR_DAYS

    # A vanished remote is an error here, so that an outage does not look like no data.
    remote_repo.close()
    cached_repo.close()
    remote.rename(tmp_path / "remote_repo_bis")
    with pytest.raises(al.AletheiaError):
        series.df()

    (tmp_path / "remote_repo_bis").rename(remote)
    before = cached_repo.usage
    assert str(series.df()) == FOUR_DAYS
    after = cached_repo.usage
    assert after.blob_reads == before.blob_reads
    assert after.document_reads - before.document_reads == 1


def test_push_and_pull(opened, tmp_path):  # T14, T15, L15, L16
    remote_repo = opened((tmp_path / "remote_repo").as_uri())
    schema = al.Schema(timestamp="timestamp*", value="float")
    clct = remote_repo.create_collection(schema, "temperature")
    (clct / "Brussels").write({"timestamp": DAYS, "value": range(4)})
    local_repo = opened((tmp_path / "local_repo").as_uri())
    assert local_repo.collections() == []

    local_repo.pull(remote_repo)

    assert local_repo.collections() == ["temperature"]
    assert str((local_repo / "temperature" / "Brussels").df()) == FOUR_DAYS

    clct = local_repo.create_collection(schema, "rainfall")
    (clct / "Brussels").write({"timestamp": DAYS, "value": range(4)})
    remote_clct = remote_repo.create_collection(schema, "precipitation")
    clct.push(remote_clct)

    assert str(remote_clct.series("Brussels").df()) == FOUR_DAYS
    assert remote_repo.collections() == ["precipitation", "temperature"]


def test_merging(opened, tmp_path):  # T16, L18, L19
    repo = opened((tmp_path / "repo").as_uri())
    repo_bis = opened((tmp_path / "repo_bis").as_uri())
    schema = al.Schema("""
    timestamp timestamp*
    value float
    """)
    clct = repo.create_collection(schema, "temperature")
    repo.push(repo_bis)
    clct_bis = repo_bis / "temperature"
    assert clct_bis.ls() == []
    series = clct / "Brussels"
    series.write({"timestamp": DAYS, "value": range(4)})
    series_bis = clct_bis / "Brussels"
    series_bis.write({"timestamp": LATER, "value": range(10, 14)})

    repo.pull(repo_bis)

    assert str(series.df()) == printed("""\
           timestamp  value
        0 2020-01-02   10.0
        1 2020-01-03   11.0
        2 2020-01-04   12.0
        3 2020-01-05   13.0""")
    first, second = clct.log()
    assert first.is_head
    assert second.is_head
    assert str(first).startswith("<Revision 000000000000000-000000000000.")
    assert str(first).endswith(" *>")

    merged = clct.merge()

    assert [(one.parent, one.is_head) for one in merged] == [(first.id, True), (second.id, True)]
    assert len({one.child for one in merged}) == 1
    log = [(one.parent, one.child, one.is_head) for one in clct.log()]
    head = merged[0].child
    assert log == [
        ("000000000000000-000000000000", first.id, False),
        (first.id, head, True),
        ("000000000000000-000000000000", second.id, False),
        (second.id, head, True),
    ]
    assert str(series.df()) == printed("""\
           timestamp  value
        0 2020-01-01    0.0
        1 2020-01-02   10.0
        2 2020-01-03   11.0
        3 2020-01-04   12.0
        4 2020-01-05   13.0""")
    assert clct.merge() == []
