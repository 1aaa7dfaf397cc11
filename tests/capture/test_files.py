"""Files as they are on this machine: hashed, and noticed if they change."""

from __future__ import annotations

import mmap
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from aletheia_like.capture.files import read_manifest
from aletheia_like.capture.hashed import HashMemory
from aletheia_like.capture.trees import Seen
from aletheia_like.errors import (
    AccessDeniedError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
)
from aletheia_like.model.digests import digest_bytes
from tests.users import as_user


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


@pytest.fixture(scope="module")
def settled_files(tmp_path_factory):
    """Files that nothing has written to for longer than any clock ticks."""
    folder = tmp_path_factory.mktemp("settled")
    paths = [folder / str(number) / "settled" for number in range(24)]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(b"x" * (1 << 20))
    deadline = time.monotonic() + 30
    while not read_manifest(paths[-1]).seen["settled"].settled and time.monotonic() < deadline:
        time.sleep(0.1)
    return iter(paths)


@pytest.fixture
def settled(settled_files):
    """One of them."""
    return next(settled_files)


def remembered(memory, path):
    known = memory.recall(path)
    tree = read_manifest(path, known=known)
    memory.keep(tree, known)
    return tree


def test_an_unchanged_file_is_not_read_again(tmp_path, settled):
    memory = HashMemory(tmp_path / "hashed")
    first = remembered(memory, settled)
    told = []

    again = read_manifest(settled, told.append, memory.recall(settled))

    assert told == []
    assert again.manifest == first.manifest
    assert again.seen == first.seen


@pytest.mark.parametrize("change", ["content", "length", "replaced", "back in time"])
def test_a_changed_file_is_read_again(tmp_path, settled, change):
    memory = HashMemory(tmp_path / "hashed")
    remembered(memory, settled)
    before, other = settled.stat(), b"y" * (1 << 20)
    if change == "replaced":
        (tmp_path / "other").write_bytes(other)
        os.utime(tmp_path / "other", ns=(before.st_atime_ns, before.st_mtime_ns))
        (tmp_path / "other").replace(settled)
    else:
        settled.write_bytes(other + b"y" * (change == "length"))
    if change == "back in time":
        os.utime(settled, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert remembered(memory, settled).digest == digest_bytes(settled.read_bytes())


def test_a_file_that_was_written_just_now_is_not_remembered(tmp_path):
    # A second change within one tick of the file system's clock would not show.
    (tmp_path / "fresh").write_bytes(b"x" * (1 << 20))
    memory = HashMemory(tmp_path / "hashed")

    tree = remembered(memory, tmp_path / "fresh")

    assert not tree.seen["fresh"].settled
    assert not memory.recall(tmp_path / "fresh").files


def test_a_file_that_is_mapped_for_writing_is_always_read(tmp_path, settled):
    memory = HashMemory(tmp_path / "hashed")
    known = remembered(memory, settled).digest
    with settled.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as mapped:
        mapped[0] = 0

        changed = remembered(memory, settled)

        assert changed.digest == digest_bytes(settled.read_bytes()) != known
        assert not changed.seen["settled"].settled


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"path": 1}', '{"path": "P", "files": [1]}'])
@pytest.mark.parametrize("has_checksum", [True, False])
def test_what_is_remembered_may_be_damaged(tmp_path, settled, text, has_checksum):
    memory = HashMemory(tmp_path / "hashed")
    first = remembered(memory, settled)
    (place,) = memory.folder.iterdir()
    data = text.replace("P", str(settled)).encode()
    place.write_bytes((digest_bytes(data).encode() + b"\n") * has_checksum + data)

    assert remembered(memory, settled).digest == first.digest


def test_a_changed_byte_of_what_is_remembered_is_noticed(tmp_path, settled):
    memory = HashMemory(tmp_path / "hashed")
    first = remembered(memory, settled)
    (place,) = memory.folder.iterdir()
    digest = first.digest.encode()
    other = b"%x" % (int(digest[:1], 16) ^ 1) + digest[1:]
    place.write_bytes(place.read_bytes().replace(digest, other))

    assert not memory.recall(settled).files
    assert remembered(memory, settled).digest == first.digest


def test_an_unchanged_directory_is_known_by_its_digest(tmp_path, settled):
    memory, root = HashMemory(tmp_path / "hashed"), settled.parent
    first = remembered(memory, root)
    known = memory.recall(root)

    again = remembered(memory, root)

    assert known.digest == again.digest == first.digest
    assert again.manifest == first.manifest
    assert (again.count, again.size, again.last_path) == (1, 1 << 20, "settled")
    (root / "more").write_bytes(b"x")
    more = remembered(memory, root)
    assert more.digest == more.manifest.digest != first.digest
    (root / "more").unlink()
    assert remembered(memory, root).digest == first.digest


def test_a_file_that_a_link_named_is_not_taken_for_the_directory_that_it_names_now(
    tmp_path, settled
):
    memory, link = HashMemory(tmp_path / "hashed"), tmp_path / "settled"
    link.symlink_to(settled)
    file = remembered(memory, link)
    link.unlink()
    link.symlink_to(settled.parent)

    tree = remembered(memory, link)

    assert (file.kind, tree.kind) == ("file", "directory")
    assert tree.digest == tree.manifest.digest == read_manifest(settled.parent).digest


def test_a_directory_is_known_as_soon_as_nothing_in_it_is_new(tmp_path, settled):
    memory, root = HashMemory(tmp_path / "hashed"), settled.parent
    (root / "new").write_bytes(b"x")
    remembered(memory, root)
    (root / "new").unlink()

    tree = remembered(memory, root)

    assert memory.recall(root).digest == tree.digest == read_manifest(root).digest


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_folder_whose_name_is_no_text_is_read_each_time(tmp_path, settled):
    memory, root = HashMemory(tmp_path / "hashed"), tmp_path / os.fsdecode(b"\xff")
    root.mkdir()
    settled.rename(root / "settled")

    tree = remembered(memory, root)

    assert tree.digest == remembered(memory, root).digest
    assert not memory.recall(root).files


def test_a_directory_with_a_file_that_has_not_settled_is_listed_anew(tmp_path, settled):
    memory, root = HashMemory(tmp_path / "hashed"), settled.parent
    (root / "fresh").write_bytes(b"a")

    remembered(memory, root)

    assert memory.recall(root).digest is None
    (root / "fresh").write_bytes(b"b")
    assert remembered(memory, root).digest == read_manifest(root).manifest.digest


def test_the_checksum_is_that_of_cloud_storage(tmp_path):
    (tmp_path / "f").write_bytes(b"123456789")

    seen = read_manifest(tmp_path / "f").seen["f"]

    assert isinstance(seen, Seen)
    assert seen.crc32c == "4waSgw=="


def test_nothing_is_taken_if_one_of_many_may_not_be_read():
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    taken = []

    def read():
        with pytest.raises(AccessDeniedError, match="zzz may not be read"):
            read_manifest(folder, take=lambda *some: taken.append(some))
        return [len(taken)]

    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for number in range(300):
            (folder / str(number)).write_text(str(number))
        read_manifest(folder, take=lambda *some: taken.append(some))
        assert taken
        taken.clear()
        (folder / "zzz").touch(0o600)
        (folder / "zzz").write_text("secret")

        assert as_user(60_000, read) == [0]
