"""Files as they are on this machine: hashed, and noticed if they change."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from aletheia_like.capture.files import read_manifest
from aletheia_like.errors import IntegrityError, InvalidValueError, NotFoundError
from aletheia_like.model.digests import digest_bytes


def test_a_file(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc")
    tree = read_manifest(tmp_path / "a.txt")

    assert (tree.kind, tree.digest, tree.size) == ("file", digest_bytes(b"abc"), 3)
    assert [entry.path for entry in tree.manifest] == ["a.txt"]


def test_a_directory_depends_on_its_content_only(tmp_path):
    for root in (tmp_path / "one", tmp_path / "two"):
        (root / "deep").mkdir(parents=True)
        (root / "empty").mkdir()
        (root / "deep" / "b").write_text("b")
        (root / "a").write_text("a")
    one, two = read_manifest(tmp_path / "one"), read_manifest(tmp_path / "two")

    assert one.digest == two.digest == one.manifest.digest
    assert [entry.path for entry in one.manifest] == ["a", "deep/b"]
    (tmp_path / "two" / "a").write_text("A")
    assert read_manifest(tmp_path / "two").digest != one.digest


def test_an_empty_directory_has_no_files(tmp_path):
    assert read_manifest(tmp_path).size == 0


def test_nothing_there(tmp_path):
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("none", "dangling"):
        with pytest.raises(NotFoundError, match=name):
            read_manifest(tmp_path / name)


def test_links_to_files_and_folders_are_followed(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a").write_text("a")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "tree" / "file").symlink_to(tmp_path / "outside" / "a")

    found = [entry.path for entry in read_manifest(tmp_path / "tree").manifest]
    assert found == ["file", "folder/a"]


@pytest.mark.parametrize("target", [".", "..", "loop", "nowhere"])
def test_links_that_lead_nowhere_or_in_a_circle_are_refused(tmp_path, target):
    root = tmp_path / "tree"
    root.mkdir()
    (root / "loop").symlink_to(target)

    with pytest.raises(InvalidValueError, match="loop"):
        read_manifest(root)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidValueError, match="pipe"):
        read_manifest(tmp_path / "pipe")
    with pytest.raises(InvalidValueError, match="pipe"):
        read_manifest(tmp_path)
    (tmp_path / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(InvalidValueError, match="socket"):
            read_manifest(tmp_path)


@pytest.mark.parametrize("name", [b"a\nb", b"\xff", b"back\\slash"])
def test_names_that_cannot_be_kept_are_refused(tmp_path, name):
    (tmp_path / os.fsdecode(name)).write_text("x")

    with pytest.raises(InvalidValueError):
        read_manifest(tmp_path)


def test_a_file_that_grows_meanwhile_is_refused(tmp_path):
    path = tmp_path / "growing"
    path.write_bytes(b"0" * (128 << 20))
    stop = threading.Event()

    def grow():
        with path.open("ab", buffering=0) as stream:
            while not stop.is_set():
                stream.write(b"x")

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        with pytest.raises(IntegrityError, match="growing changed"):
            read_manifest(path)
    finally:
        stop.set()
        thread.join()


def test_ten_thousand_files(tmp_path):
    for number in range(10_000):
        (tmp_path / f"{number:05}").write_text(str(number))
    told = []

    assert len(read_manifest(tmp_path, told.append).manifest) == 10_000
    assert len(told) == 10_000
