"""Content addresses: digests, and the manifest that gives a directory one digest."""

import hashlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aletheia_like.errors import IntegrityError, InvalidValueError
from aletheia_like.model.digests import (
    Manifest,
    ManifestEntry,
    check_digest,
    check_relative,
    digest_bytes,
    digest_stream,
)

ONE = digest_bytes(b"1")
TWO = digest_bytes(b"2")
PARTS = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/\\"), min_size=1
).filter(lambda part: part not in (".", ".."))
ENTRIES = st.builds(
    ManifestEntry,
    path=st.lists(PARTS, min_size=1, max_size=3).map("/".join),
    digest=st.sampled_from([ONE, TWO]),
    size=st.integers(0, 2**50),
)


def without_folders(entries):
    """Leave out files that are folders of others."""
    paths = [entry.path for entry in entries]
    return [
        entry for entry in entries if not any(path.startswith(f"{entry.path}/") for path in paths)
    ]


LISTS = st.lists(ENTRIES, unique_by=lambda entry: entry.path).map(without_folders)
MANIFESTS = LISTS.map(Manifest.of)


def test_the_digest_of_bytes_is_their_sha256():
    assert digest_bytes(b"abc") == hashlib.sha256(b"abc").hexdigest()


def test_a_stream_is_hashed_from_where_it_stands():
    stream = io.BytesIO(b"x" + b"y" * 3_000_000)
    stream.read(1)

    assert digest_stream(stream) == digest_bytes(b"y" * 3_000_000)


@pytest.mark.parametrize(
    "digest",
    ["", "abc", ONE.upper(), ONE[:-1], ONE + "\n", ONE + "0", "../" + ONE, "g" * 64, None, 7],
)
def test_what_is_no_digest_is_refused(digest):
    with pytest.raises(InvalidValueError, match="not a sha-256"):
        check_digest(digest)


@given(MANIFESTS)
def test_a_manifest_comes_back_from_its_text(manifest):
    again = Manifest.from_text(manifest.to_text())

    assert again == manifest
    assert again.digest == manifest.digest


@given(LISTS, st.randoms())
def test_the_order_of_files_does_not_matter(entries, random):
    shuffled = list(entries)
    random.shuffle(shuffled)

    assert Manifest.of(shuffled).digest == Manifest.of(entries).digest


@pytest.mark.parametrize(
    "other",
    [
        ManifestEntry("a/c", ONE, 1),
        ManifestEntry("a/b", TWO, 1),
        ManifestEntry("a/b", ONE, 2),
    ],
)
def test_every_difference_changes_the_digest(other):
    assert Manifest.of([other]).digest != Manifest.of([ManifestEntry("a/b", ONE, 1)]).digest


def test_the_text_is_one_readable_line_for_a_file():
    text = Manifest.of([ManifestEntry("ü", TWO, 2), ManifestEntry("a b", ONE, 1)]).to_text()

    assert text == (
        f'{{"path":"a b","sha256":"{ONE}","size":1}}\n{{"path":"ü","sha256":"{TWO}","size":2}}\n'
    )


def test_a_manifest_knows_how_much_there_is():
    manifest = Manifest.of([ManifestEntry("a", ONE, 1), ManifestEntry("b", ONE, 41)])

    assert len(manifest) == 2
    assert manifest.size == 42
    assert [entry.path for entry in manifest] == ["a", "b"]


def test_an_empty_directory_has_a_digest():
    assert Manifest.of([]).digest == digest_bytes(b"")


def test_one_path_twice_is_refused():
    with pytest.raises(InvalidValueError, match="two files"):
        Manifest.of([ManifestEntry("a", ONE, 1), ManifestEntry("a", TWO, 2)])


def test_a_file_that_is_a_folder_is_refused():
    with pytest.raises(InvalidValueError, match="'a/b' is a file and a folder"):
        Manifest.of([ManifestEntry("a/b", ONE, 1), ManifestEntry("a/b/c/d", ONE, 1)])


@pytest.mark.parametrize("size", [-1, 1.5, True, "1"])
def test_a_size_is_a_count(size):
    with pytest.raises(InvalidValueError, match="size"):
        ManifestEntry("a", ONE, size)


@pytest.mark.parametrize(
    "path",
    ["a", "a/b", ".hidden", "a b", "...", "a:b", "größe", "Bild 1.00.00\u202fPM.png", "\u3000"],
)
def test_names_that_files_have_are_allowed(path):
    assert check_relative(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b"],
        *["a\\b", "a\0b", "a\nb", "\ud800", None],
    ],
)
def test_paths_that_lead_elsewhere_are_refused(path):
    with pytest.raises(InvalidValueError, match=r"must be relative|rename the file"):
        check_relative(path)


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[1]",
        "7",
        "{}",
        json.dumps({"path": "../a", "sha256": ONE, "size": 1}),
        json.dumps({"path": 7, "sha256": ONE, "size": 1}),
        json.dumps({"path": "a", "sha256": "x", "size": 1}),
        json.dumps({"path": "a", "sha256": ONE, "size": "1"}),
        json.dumps({"path": "a", "sha256": ONE, "size": 1}) * 2,
    ],
)
def test_a_damaged_manifest_is_told(text):
    with pytest.raises(IntegrityError, match="not a manifest"):
        Manifest.from_text(text)
