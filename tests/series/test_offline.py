"""Warm data is read without the store's blobs, and offline without the store."""

from __future__ import annotations

import numpy as np
import pytest

import aletheia_like as al

NUMBERS = {"at": "int*", "value": "float"}


def put(series, seed=0):
    values = np.random.default_rng(seed).random(20_000)
    series.write({"at": np.arange(20_000), "value": values})
    return values.tolist()


def test_a_warm_read_costs_one_document_and_no_blob(ms):  # T12, L13
    series = ms.create_collection(NUMBERS, "c") / "s"
    values = put(series)
    before = ms.usage

    assert series.frame()["value"].tolist() == values

    after = ms.usage
    assert after.document_reads - before.document_reads == 1
    assert after.blob_reads == before.blob_reads
    assert after.bytes_down == before.bytes_down


def test_a_fresh_reader_fetches_each_blob_once(opened, tmp_path):  # T12
    url = (tmp_path / "store").as_uri()
    put(opened(url).create_collection(NUMBERS, "c") / "s")
    ms = opened(url)
    series = ms / "c" / "s"

    series.df()
    first = ms.usage.blob_reads
    series.df()

    assert first == ms.usage.blob_reads == 1


def test_offline_the_local_copies_are_read(opened, cloud_url, tmp_path):  # T13, L13
    ms = opened(cloud_url, cache_dir=tmp_path / "own")
    clct = ms.create_collection(NUMBERS, "c")
    put(clct / "s")
    values = put(clct / "s", seed=1)
    ms.close()

    with opened(cloud_url, cache_dir=tmp_path / "own", offline=True) as away:
        series = away / "c" / "s"
        assert series.frame()["value"].tolist() == values
        assert away.collection("c").ls() == ["s"]
        with pytest.raises(al.UnavailableError, match="offline"):
            series.write({"at": [1], "value": [1]})
        with pytest.raises(al.UnavailableError):
            away.collection("other")


def test_offline_a_collection_that_was_made_anew_is_read_as_it_is(opened, cloud_url, tmp_path):
    ms = opened(cloud_url, cache_dir=tmp_path / "own")
    put(ms.create_collection(NUMBERS, "c") / "s")
    ms.delete_collection("c")
    (ms.create_collection({"x": "str*"}, "c") / "t").write({"x": ["a"]})

    away = opened(cloud_url, cache_dir=tmp_path / "own", offline=True)

    assert away.collection("c").ls() == ["t"]


def test_an_outage_does_not_look_like_no_data(opened):  # T13
    from aletheia_like.testing.stores import FailingDocumentStore

    ms = opened()
    series = ms.create_collection(NUMBERS, "c") / "s"
    values = put(series)
    ms.session.documents = FailingDocumentStore(ms.session.documents)
    ms.session.documents.outage.begin(1)

    with pytest.raises(al.UnavailableError):
        series.df()

    assert series.frame()["value"].tolist() == values


def test_a_write_whose_answer_is_lost_is_there_once(opened):
    from aletheia_like.testing.stores import FailingDocumentStore

    ms = opened()
    clct = ms.create_collection(NUMBERS, "c")
    (clct / "s").write({"at": [1], "value": [1]})
    ms.session.documents = FailingDocumentStore(ms.session.documents)
    ms.session.documents.outage.begin(1, "after")

    with pytest.raises(al.UnavailableError):
        (clct / "s").write({"at": [2], "value": [2]})
    (clct / "s").write({"at": [2], "value": [2]})

    assert len(clct.log()) == 2


def test_metrics_become_a_series_and_a_series_a_data_set(opened):
    ms = opened()
    with ms.exper("e").start_run() as run:
        for step in range(5):
            run.log(loss=1 / (step + 1), step=step)
        run.log(note="no number", step=5)
        run.log(acc=0.5, step=2)

    series = ms.promote_metrics(run, "loss", "acc", to="curves")

    frame = series.frame()
    assert frame["step"].tolist() == [0, 1, 2, 3, 4]
    assert frame["loss"].tolist() == [1 / (step + 1) for step in range(5)]
    assert frame["acc"].tolist()[2] == 0.5
    by_time = ms.promote_metrics(run, "loss", to="times", index="timestamp")
    assert len(by_time) == 5
    with pytest.raises(al.NotFoundError, match="no column"):
        ms.promote_metrics(run, "nothing", to="curves")
    with pytest.raises(al.InvalidValueError, match="schema"):
        ms.promote_metrics(run, "loss", to="curves")

    version = series.to_dataset()
    assert (version.name, version.version, version.type) == (f"curves e-{run.id}", 0, "series")
    assert series.to_dataset().version == 0
    assert version.fetch().suffix == ".parquet"
    with pytest.raises(al.NotFoundError):
        (series.collection / "nowhere").to_dataset()
