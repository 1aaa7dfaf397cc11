"""Schemas and collections: created, opened, listed, renamed, deleted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aletheia_like as al
from aletheia_like.ports.documents import Delete
from aletheia_like.series.changelog import Changelog

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


def before_first(documents, name, action):
    """Do something else just before the first call of a method of a store."""
    method, waiting = getattr(documents, name), [action]

    def call(*arguments):
        if waiting:
            waiting.pop()()
        return method(*arguments)

    setattr(documents, name, call)


def test_two_that_create_a_collection_at_once_do_not_lose_what_one_wrote(opened, tmp_path):
    url = (tmp_path / "store").as_uri()
    one, two = opened(url), opened(url)

    def be_faster():
        (two.create_collection(NUMBERS, "c") / "s").write({"at": [1], "value": [1]})

    before_first(one.session.documents, "query", be_faster)
    clct = one.create_collection(NUMBERS, "c", exist_ok=True)

    assert len(clct / "s") == 1


def test_what_is_written_after_a_deletion_is_not_swept_with_what_was_before(opened, tmp_path):
    url = (tmp_path / "store").as_uri()
    one, two = opened(url), opened(url)
    (one.create_collection(NUMBERS, "c") / "s").write({"at": [1], "value": [1]})

    def be_faster():
        (two.create_collection(NUMBERS, "c") / "s").write({"at": [1, 2], "value": [1, 2]})

    documents = one.session.documents
    apply = documents.apply

    def delete_and_wait(writes):
        done = apply(writes)
        documents.apply = apply
        be_faster()
        return done

    documents.apply = delete_and_wait
    one.delete_collection("c")

    assert len(opened(url) / "c" / "s") == 2


def test_what_a_killed_deletion_left_goes_when_the_collection_is_made_anew(opened, tmp_path):
    url = (tmp_path / "store").as_uri()
    ms = opened(url)
    made = (ms.create_collection(NUMBERS, "c") / "s").write({"at": [1], "value": [1]})
    ms.session.documents.apply([Delete("projects/p/collections/c")])

    clct = opened(url).create_collection({"x": "str*"}, "c")

    assert clct.log() == []
    assert clct.changelog.session.documents.get(f"{clct.changelog.collection}/{made.id}") is None


def test_a_renamed_collection_keeps_what_somebody_swept_from_its_new_place(opened, tmp_path):
    url = (tmp_path / "store").as_uri()
    one, two = opened(url), opened(url)
    for number in range(3):
        (one.create_collection(NUMBERS, "old", exist_ok=True) / "s").write(
            {"at": [number], "value": [number]}
        )
    documents = one.session.documents
    apply = documents.apply

    def sweep_then_apply(writes):
        if any(write.path == "projects/p/collections/new" for write in writes):
            two._purge("projects/p/collections/new")
        return apply(writes)

    documents.apply = sweep_then_apply
    one.rename_collection("old", "new")

    assert len(opened(url) / "new" / "s") == 3


LABELS = st.sampled_from(["a", 'b"', "c\\", '{"s":"d"', "é/ü", '"],"ops":[{"s":"e"}]'])
DOINGS = st.lists(
    st.lists(st.tuples(LABELS, st.sampled_from(["write", "cut", "delete"])), max_size=5),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(doings=DOINGS, is_folded=st.booleans())
def test_who_reads_names_only_lists_what_the_operations_show(doings, is_folded):  # T3
    with al.Metastore("p", url="memory://", git="off") as ms:
        clct = ms.create_collection({"at": "str*", "ops": "int", "s": "int"}, "c")
        for doing in doings:
            with clct.multi():
                for label, what in doing:
                    _do(clct.series(label), what)
        if is_folded:
            clct.trim()

        fresh = Changelog(clct.changelog.session, clct.changelog.path, "c")

        listed = fresh.refresh().labels()
        assert listed == fresh.state().labels() == clct.ls()
        assert fresh.labels() == listed


def _do(series, what):
    if what == "write":
        series.write({"at": ['"k":"delete"', "}"], "ops": [1, 2], "s": [3, 4]})
    elif what == "cut":
        series.delete("}", "~")
    else:
        series.delete()


def test_who_has_listed_sees_what_others_write_and_delete(opened, tmp_path):  # T3
    store = (tmp_path / "store").as_uri()
    writer = opened(store).create_collection(NUMBERS, "c")
    reader = opened(store).collection("c")
    seen = []

    for label in ("b", "a"):
        (writer / label).write({"at": [1], "value": [1]})
        seen.append(reader.ls())
    (writer / "b").delete()
    seen.append(reader.ls())

    assert seen == [["b"], ["a", "b"], ["a"]]
