"""What the port refuses and computes by itself, before any store is asked."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.values import MAX_DOCUMENT_BYTES
from aletheia_like.ports.documents import (
    MAX_APPLY_BYTES,
    MAX_WRITES,
    REMOVE,
    Create,
    Delete,
    Document,
    Update,
    changed_fields,
    check_path,
    check_writes,
)

NOW = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)


def creates(count, size=0):
    return [Create(f"c/{number}", {"x": "x" * size}) for number in range(count)]


def test_the_largest_apply_is_allowed():
    check_writes(creates(MAX_WRITES))
    check_writes(creates(3, size=MAX_APPLY_BYTES // 3 - 3))


@pytest.mark.parametrize(
    ("writes", "reason"),
    [
        (creates(MAX_WRITES + 1), "501 writes in one apply, the limit is 500"),
        (creates(3, size=MAX_APPLY_BYTES // 3), "bytes in one apply, the limit is 3000000"),
        ([Delete("c/a"), Create("c/a", {})], "two writes to one document in one apply: c/a"),
        ([Create("c", {})], "not the path of a document: 'c'"),
        ([Create("c/a", {"a": {"b": {1}}})], r"a\.b: no store holds a set"),
        ([Update("c/a", {})], "an update without changes: c/a"),
        ([Update("c/a", {"a": 1})], "a field path is a tuple of keys: 'a'"),
        ([Update("c/a", {("a", ""): 1})], "'' cannot name a field"),
        ([Update("c/a", {("a",): 1, ("a", "b"): REMOVE})], "changes a.b and something around it"),
        ([Update("c/a", {("a",): [[1]]})], "a: a list directly inside a list"),
        ([Update("c/a", {("a",): {"b": REMOVE}})], r"a\.b: no store holds a Removal"),
    ],
)
def test_other_writes_are_refused_with_the_reason(writes, reason):
    with pytest.raises(InvalidValueError, match=reason):
        check_writes(writes)


def test_a_document_over_the_limit_is_refused():
    fields = {"a": "x" * (MAX_DOCUMENT_BYTES // 2), "b": "x" * (MAX_DOCUMENT_BYTES // 2)}

    with pytest.raises(InvalidValueError, match=r"c/a would be .* add large values as artifacts"):
        check_writes([Create("c/a", fields)])


@pytest.mark.parametrize("path", ["projects/p", "projects/p/runs/r", "a.b/é", "c/ ", "__a/b__"])
def test_a_document_has_a_path_of_pairs(path):
    assert check_path(path) == path


@pytest.mark.parametrize("path", ["projects", "projects/p/runs"])
def test_a_collection_has_a_path_of_odd_length(path):
    assert check_path(path, collection=True) == path

    with pytest.raises(InvalidValueError, match="not the path of a document"):
        check_path(path)


@pytest.mark.parametrize(
    "path", ["", "/", "a/", "/a", "a//b/c", "a/.", "a/..", "a/__b__", "a/__", "a/\ud800", None, 7]
)
@pytest.mark.parametrize("collection", [False, True])
def test_other_paths_are_refused(path, collection):
    with pytest.raises(InvalidValueError, match="not the path of a"):
        check_path(path, collection=collection)


def test_a_document_knows_its_id():
    assert Document("projects/p/runs/r 1", {}, "1", NOW, NOW).id == "r 1"


FIELDS = st.recursive(
    st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict))
FIELD_PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple)
CHANGES = st.dictionaries(
    FIELD_PATHS, st.one_of(st.just(REMOVE), st.integers(4, 7), FIELDS), min_size=1, max_size=4
)


def at(fields, path):
    """Return the value there, or REMOVE."""
    for key in path:
        if not isinstance(fields, dict) or key not in fields:
            return REMOVE
        fields = fields[key]
    return fields


def is_allowed(changes):
    try:
        check_writes([Update("c/a", changes)])
    except InvalidValueError:
        return False
    return True


@given(FIELDS, CHANGES.filter(is_allowed))
def test_changes_are_what_is_found_afterwards(fields, changes):
    changed = changed_fields(fields, changes)

    assert {path: at(changed, path) for path in changes} == changes


@given(FIELDS, CHANGES.filter(is_allowed), FIELD_PATHS)
def test_nothing_else_changes(fields, changes, path):
    apart = all(path[: len(one)] != one and one[: len(path)] != path for one in changes)
    through = any(
        value is not REMOVE and not isinstance(at(fields, one[:length]), dict)
        for one, value in changes.items()
        for length in range(1, len(one))
        if one[:length] == path[:length]
    )
    if apart and not through:
        assert at(changed_fields(fields, changes), path) == at(fields, path)


def test_each_map_is_copied_once_however_many_changes_it_has():
    class CountedDict(dict):
        copies = 0

        def __iter__(self):
            CountedDict.copies += 1
            return super().__iter__()

        def keys(self):
            return list(self)

    fields = {"m": CountedDict(a=1)}
    changes = {("m", str(number)): number for number in range(100)} | {("m", "a"): REMOVE}

    assert changed_fields(fields, changes) == {"m": {str(n): n for n in range(100)}}
    assert CountedDict.copies == 1


@given(FIELDS, CHANGES.filter(is_allowed))
def test_the_given_fields_stay_as_they_are(fields, changes):
    before = repr(fields)

    changed_fields(fields, changes)

    assert repr(fields) == before
