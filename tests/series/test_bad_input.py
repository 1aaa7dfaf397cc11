"""What is wrong is refused with the place named, and no revision is written."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import aletheia_like as al
from aletheia_like.ports.documents import Create, Delete, Query, Update

NUMBERS = {"at": "int*", "value": "float"}


def put(series, count=20_000, seed=0):
    values = np.random.default_rng(seed).random(count)
    series.write({"at": np.arange(count), "value": values})
    return values


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"at": [2, 1], "value": [1, 2]}, "row 1 comes before"),
        ({"at": [1, 1], "value": [1, 2]}, "row 1 has the same at"),
        ({"at": [1, 2, 3], "value": [1, 2]}, "unequal lengths"),
        ({"at": [1, 2], "value": ["a", 2]}, "column 'value', row 0: 'a'"),
        ({"at": [1, 2], "value": [1, True]}, "row 1: True"),
        ({"at": [1.5], "value": [1]}, "whole number"),
        ({"at": [2**63], "value": [1]}, "64 bits"),
        ({"at": [None], "value": [1]}, "'at', row 0: None"),
        ({"at": [1]}, "no column 'value'"),
        ({"at": 7, "value": [1]}, "not a list"),
        ({"at": "12", "value": [1, 2]}, "not a list"),
        ([1, 2], "no frame"),
        (None, "no frame"),
        ({"at": [1], "value": np.array([2**53 + 1])}, "exactly"),
    ],
)
def test_rows_that_cannot_be_are_refused(numbers, data, why):
    with pytest.raises(al.InvalidValueError, match=why):
        (numbers / "s").write(data)

    assert numbers.log() == []


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("yesterday evening", "ISO 8601"),
        (7, "ISO 8601"),
        (pd.NaT, "the index needs"),
        ("1500-01-01", "1678"),
        (np.datetime64("2900-01-01", "s"), "1678"),
        (b"2020-01-01", "timestamp"),
    ],
)
def test_moments_that_cannot_be_are_refused(clct, value, why):
    with pytest.raises(al.InvalidValueError, match=why):
        (clct / "s").write({"timestamp": [value], "value": [1]})

    assert clct.log() == []


def test_columns_that_the_schema_does_not_have_are_left_out(numbers):  # T2
    (numbers / "s").write({"at": [1], "value": [1], "else": ["x"], "more": [1, 2, 3]})

    assert (numbers / "s").frame().names == ["at", "value"]


def test_a_blob_that_is_gone_is_named(opened, tmp_path):
    url = (tmp_path / "store").as_uri()
    put(opened(url).create_collection(NUMBERS, "c") / "s")
    ms = opened(url)
    series = ms / "c" / "s"
    digest = series.segments()[0].columns["value"]
    ms.session.blobs.delete(digest)

    with pytest.raises(al.IntegrityError, match=digest):
        series.df()
    copy = opened()
    with pytest.raises(al.IntegrityError, match=digest):
        copy.pull(ms)
    assert (copy / "c").log() == []


def test_a_flipped_byte_in_the_store_never_gives_wrong_numbers(opened, tmp_path):  # T28
    url = (tmp_path / "store").as_uri()
    put(opened(url).create_collection(NUMBERS, "c") / "s")
    for path in (tmp_path / "store" / "blobs").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)

    with pytest.raises(al.IntegrityError):
        (opened(url) / "c" / "s").df()


def test_a_flipped_byte_in_the_cache_is_fetched_anew(opened, tmp_path):  # T28
    url = (tmp_path / "store").as_uri()
    ms = opened(url, cache_dir=tmp_path / "own")
    series = ms.create_collection(NUMBERS, "c") / "s"
    values = put(series)
    path = ms.cache.path(series.segments()[0].columns["value"])
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    assert series.frame()["value"].tolist() == values.tolist()


def test_a_revision_that_was_changed_is_refused(opened, tmp_path):
    url = (tmp_path / "store").as_uri()
    series = opened(url).create_collection(NUMBERS, "c") / "s"
    series.write({"at": [1, 2], "value": [1, 2]})
    ms = opened(url)
    documents = ms.session.documents
    (one,) = documents.query(Query("projects/p/collections/c/revisions"))
    text = one.fields["ops"].replace('"n":2', '"n":1')
    documents.apply([Update(one.path, {("ops",): text})])

    with pytest.raises(al.IntegrityError, match=one.id):
        (ms / "c" / "s").df()


@pytest.mark.parametrize("fields", [{"schema": "other"}, {"parents": None}, {"ops": 7}])
def test_a_foreign_revision_is_refused(opened, tmp_path, fields):
    url = (tmp_path / "store").as_uri()
    clct = opened(url).create_collection(NUMBERS, "c")
    (clct / "s").write({"at": [1, 2], "value": [1, 2]})
    ms = opened(url)
    documents = ms.session.documents
    (one,) = documents.query(Query("projects/p/collections/c/revisions"))
    documents.apply([Delete(one.path)])
    documents.apply([Create(one.path, {**one.fields, **fields})])

    with pytest.raises(al.IntegrityError, match="revision"):
        (ms / "c" / "s").write({"at": [3], "value": [3]})

    assert len(list(documents.query(Query("projects/p/collections/c/revisions")))) == 1


def test_a_changelog_that_lacks_a_revision_is_neither_merged_nor_moved(opened, tmp_path):
    url = (tmp_path / "store").as_uri()
    clct = opened(url).create_collection(NUMBERS, "c")
    made = [(clct / "s").write({"at": [n], "value": [n]}) for n in (1, 2, 3)]
    ms = opened(url)
    ms.session.documents.apply([Delete(f"projects/p/collections/c/revisions/{made[1].id}")])

    with pytest.raises(al.IntegrityError, match=made[1].id):
        ms.collection("c").merge()
    with pytest.raises(al.IntegrityError, match=made[1].id):
        opened().pull(ms)


def test_garbage_collection_wants_a_grace_time(opened):
    with pytest.raises(al.InvalidValueError, match="grace"):
        opened().gc(grace=dt.timedelta(seconds=-1))


@pytest.mark.parametrize("when", ["01/02/2020", "now", "today", "3", "Jan 2 2020"])
def test_a_text_that_is_no_moment_in_iso_8601_is_refused(clct, when):  # T2
    with pytest.raises(al.InvalidValueError, match="ISO 8601"):
        (clct / "a").write({"timestamp": [when], "value": [1]})

    assert clct.log() == []


@pytest.mark.parametrize(
    ("period", "columns", "why"),
    [
        ("day", {"text": "mean"}, "type str, which has no mean"),
        ("day", {"text": "q50"}, "type str, which has no q50"),
        ("day", {"value": []}, "no column to aggregate"),
        ("day", {"value": None}, "no function None"),
        ("day", "max", "column: function"),
        ("99999999 days", {}, "no period"),
    ],
)
def test_what_cannot_be_asked_of_a_period_is_refused(opened, period, columns, why):  # T25
    series = opened().create_collection("t timestamp*\nvalue float\ntext str", "c") / "s"
    series.write({"t": ["2020-01-01"], "value": [1], "text": ["a"]})

    with pytest.raises(al.InvalidValueError, match=why):
        series.aggregate(period, columns)


def test_options_that_make_no_sense_are_refused(clct):  # T6
    series = clct / "a"

    with pytest.raises(al.InvalidValueError, match="select=3"):
        series.frame(select=3)
    with pytest.raises(TypeError, match="limit"):
        series.tail(3, limit=1)
    with pytest.raises(TypeError, match="chosen"):
        series.paginate(3, chosen=1)


def test_what_is_no_collection_and_no_store_is_refused(opened, clct):  # T14, T15
    with pytest.raises(al.InvalidValueError, match="no collection"):
        clct.push(opened())
    with pytest.raises(al.InvalidValueError, match="no collection"):
        clct.pull("memory://")
    with pytest.raises(al.InvalidValueError, match="no store"):
        clct.metastore.push(None)


def test_promoting_nothing_makes_no_collection(opened):  # L7
    ms = opened()
    with ms.exper("e").start_run() as run:
        run.log({"text": "a"}, step=0)

    for metrics in ((), ("text",)):
        with pytest.raises(al.InvalidValueError):
            ms.promote_metrics(run, *metrics, to="curves")
    assert ms.collections() == []
