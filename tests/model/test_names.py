"""Which names are allowed, and that every name comes back from its id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.names import MAX_ID_BYTES, check_name, from_id, human_name, to_id
from aletheia_like.ports.documents import check_path

NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs")) | st.sampled_from("._%/2F"), max_size=60
)


@given(NAMES)
def test_a_name_comes_back_from_its_id(name):
    try:
        id_ = to_id(name, "run")
    except InvalidValueError:
        assert not name.strip("\u200b \u2028") or name.startswith("@") or not name.isprintable()
        return

    assert from_id(id_) == name


@given(NAMES, NAMES)
def test_two_names_have_two_ids(left, right):
    try:
        ids = {to_id(left, "run"), to_id(right, "run")}
    except InvalidValueError:
        return

    assert len(ids) == len({left, right})


@given(NAMES)
def test_every_id_can_stand_in_a_path(name):
    try:
        id_ = to_id(name, "run")
    except InvalidValueError:
        return

    assert check_path(f"projects/{id_}")


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("resnet on mnist", "resnet on mnist"),
        ("lr=0.1, wd=1e-4", "lr=0.1, wd=1e-4"),
        ("größe 😀", "größe 😀"),
        ("a/b", "a%2Fb"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("...", "..."),
        ("_", "_"),
        ("__", "%5F_"),
        ("___", "%5F__"),
        ("__init__", "%5F_init__"),
        ("__init", "__init"),
        ("__a/b__", "%5F_a%2Fb__"),
    ],
)
def test_only_what_no_store_holds_is_escaped(name, id_):
    assert to_id(name, "experiment") == id_
    assert from_id(id_) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is empty"),
        (" \t", "is empty"),
        ("\u200b\u00a0", "is empty"),
        ("a\nb", "control"),
        ("a\x00", "control"),
        ("a\ud800", "surrogate"),
        ("\ud800", "surrogate"),
        ("@3", "must not start with '@'"),
        (None, "must be text, not NoneType"),
        (7, "must be text, not int"),
        (b"a", "must be text, not bytes"),
    ],
)
def test_names_nobody_can_read_are_refused(name, reason):
    with pytest.raises(InvalidValueError, match=reason) as refused:
        check_name(name, "dataset")

    assert "the name of a dataset" in str(refused.value)
    with pytest.raises(InvalidValueError, match="the name of an artifact"):
        check_name(name, "artifact")


@pytest.mark.parametrize("name", ["x" * MAX_ID_BYTES, "é" * 750, "%" * 500])
def test_a_name_may_fill_an_id(name):
    assert len(to_id(name, "run").encode()) == MAX_ID_BYTES


@pytest.mark.parametrize("name", ["x" * (MAX_ID_BYTES + 1), "é" * 751, "%" * 501, "x" * 2_000])
def test_a_longer_name_is_refused(name):
    with pytest.raises(InvalidValueError, match=r"bytes, the limit is 1500.*: shorten it"):
        to_id(name, "run")


@pytest.mark.parametrize("id_", ["plain", "100%", "%zz", "%2f", "50%25"])
def test_any_id_can_be_shown(id_):
    assert from_id(id_)


@given(st.integers(min_value=0))
def test_a_human_name_is_two_words(number):
    adjective, noun = human_name(number).split("-")

    assert adjective.isalpha()
    assert noun.isalpha()
    assert check_name(human_name(number), "run") == human_name(number)
