"""Schemas and collections: created, opened, listed, renamed, deleted."""

from __future__ import annotations

import pytest

import aletheia_like as al

NUMBERS = {"at": "int*", "value": "float"}


def test_three_spellings_of_a_schema_are_equal():  # T1, L3
    named = al.Schema(timestamp="timestamp*", value="float")
    mapped = al.Schema({"timestamp": "timestamp*", "value": "float"})
    written = al.Schema("""
    timestamp timestamp*
    value float
    """)

    assert named == mapped == written
    assert len({named, mapped, written}) == 1
    assert al.Schema.from_text(named.text) == named
    assert named != al.Schema.kv(timestamp="timestamp*", value="float")
    assert repr(named) == "Schema(timestamp='timestamp*', value='float')"
    assert al.Schema(at="int*", value=float).text == "at int*\nvalue float"


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": "float"},
        {},
        {"at": "complex*"},
        {"at": "int[UTC]*"},
        {"at": "timestamp[Nowhere/City]*"},
        {"at": "int*", "value": 7},
        {"at": "int*", "a b": "int"},
        "at int*\nat float",
        7,
    ],
)
def test_a_schema_that_makes_no_sense_is_refused(wrong):  # T1
    with pytest.raises(ValueError, match=r"."):
        al.Schema(wrong)


def test_collections_and_series_are_listed_in_order(ms):  # T3, L5
    for label in ("temperature", "covid + more.$", "ünïcode/slash"):
        ms.create_collection(NUMBERS, label)
    for label in ("b", "a", "EURO/Belgium"):
        (ms / "covid + more.$" / label).write({"at": [1], "value": [1]})

    assert ms.collections() == ["covid + more.$", "temperature", "ünïcode/slash"]
    assert ms.collection("covid + more.$").ls() == ["EURO/Belgium", "a", "b"]
    assert [one.label for one in ms / "covid + more.$"] == ["EURO/Belgium", "a", "b"]


def test_a_collection_is_created_once(ms):  # T3, L4
    clct = ms.create_collection(NUMBERS, "c")

    with pytest.raises(al.AlreadyExistsError):
        ms.create_collection(NUMBERS, "c")
    with pytest.raises(al.InvalidValueError, match="schema"):
        ms.create_collection({"at": "int*"}, "c", exist_ok=True)

    assert ms.create_collection(NUMBERS, "c", exist_ok=True).schema == clct.schema


@pytest.mark.parametrize("label", ["", "  ", "\n", 7])
def test_a_label_that_cannot_be_is_refused(opened, label):  # T3
    ms = opened()
    clct = ms.create_collection(NUMBERS, "c")

    with pytest.raises(ValueError, match="name"):
        ms.create_collection(NUMBERS, label)
    with pytest.raises(ValueError, match="name"):
        clct.series(label)


def test_a_collection_that_is_missing_is_named(opened):
    with pytest.raises(al.NotFoundError, match="create_collection"):
        opened().collection("nowhere")


def test_a_collection_is_renamed_with_its_history(ms):  # T9, L25
    clct = ms.create_collection(NUMBERS, "old")
    for number in range(3):
        (clct / "s").write({"at": [number], "value": [number]})
    ms.create_collection(NUMBERS, "other")

    with pytest.raises(al.AlreadyExistsError):
        clct.rename("other")
    clct.rename("new")

    assert ms.collections() == ["new", "other"]
    assert clct.label == "new"
    assert len(clct.log()) == 3
    assert len(ms / "new" / "s") == 3
    with pytest.raises(al.NotFoundError):
        ms.rename_collection("old", "else")


def test_a_deleted_collection_comes_back_empty(ms):  # T9, L25
    clct = ms.create_collection(NUMBERS, "c")
    (clct / "s").write({"at": [1], "value": [1]})

    clct.delete()

    assert ms.collections() == []
    with pytest.raises(al.NotFoundError):
        clct.ls()
    assert ms.create_collection({"x": "int*"}, "c").ls() == []
    (ms / "c" / "s").write({"x": [1, 2]})
    assert len(ms / "c" / "s") == 2


def test_another_handle_notices_that_a_collection_was_made_anew(opened, tmp_path):
    url = (tmp_path / "store").as_uri()
    clct = opened(url).create_collection(NUMBERS, "c")
    (clct / "s").write({"at": [1], "value": [1]})
    other = opened(url)
    other.delete_collection("c")
    other.create_collection({"x": "str*"}, "c")

    assert clct.ls() == []
    assert clct.schema.names == ["x"]


def test_thousands_of_series_are_listed(numbers):  # W7
    with numbers.multi():
        for number in range(3_000):
            (numbers / f"{number:05}").write({"at": [1], "value": [1.0]})

    assert len(numbers.ls()) == 3_000
    assert len(numbers.log()) == 1
