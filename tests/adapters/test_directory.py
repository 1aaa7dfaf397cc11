"""Blobs in a folder: killed uploads, disks that are full or read-only, and a plain layout."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from aletheia_like.adapters.directory import DirectoryBlobStore
from aletheia_like.errors import AccessDeniedError, IntegrityError, UnavailableError
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.blobs import file_state


@pytest.fixture
def root(tmp_path):
    return tmp_path / "blobs"


@pytest.fixture
def store(root):
    return DirectoryBlobStore(root)


@pytest.fixture
def file(tmp_path):
    """Make a file and return its digest and path."""

    def make(data, name="source"):
        path = tmp_path / name
        path.write_bytes(data)
        return digest_bytes(data), path

    return make


UPLOAD = """
import pathlib, sys
from aletheia_like.adapters.directory import DirectoryBlobStore
root, digest, source = sys.argv[1:]
print("uploading", flush=True)
DirectoryBlobStore(pathlib.Path(root)).upload(digest, pathlib.Path(source))
"""


def test_nothing_is_created_before_the_first_upload(store, root):
    assert not store.exists("0" * 64)
    assert list(store.digests()) == []
    assert not root.exists()


def test_a_killed_upload_leaves_nothing_that_counts(store, root, file):
    digest, path = file(os.urandom(40_000_000))
    for pause in (0.02, 0.04, 0.06):
        command = [sys.executable, "-c", UPLOAD, root, digest, path]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        blob = root / digest[:2] / digest
        assert not blob.exists() or digest_bytes(blob.read_bytes()) == digest
        assert set(store.digests()) <= {digest}
        blob.unlink(missing_ok=True)

    assert store.upload(digest, path)


def test_leftovers_are_ignored_and_removed_when_old(store, root, file):
    digest, path = file(b"data")
    folder = root / digest[:2]
    folder.mkdir(parents=True)
    old, new = folder / f".{digest}.old.part", folder / f".{digest}.new.part"
    for leftover in (old, new):
        leftover.write_bytes(b"da")
    os.utime(old, (1e9, 1e9))
    assert not store.exists(digest)
    assert list(store.digests()) == []
    store.upload(digest, path)

    assert (old.exists(), new.exists()) == (False, True)
    assert list(store.digests()) == [digest]


def test_blobs_cannot_be_written_by_mistake(store, root, file):
    digest, path = file(b"data")
    store.upload(digest, path)

    assert (root / digest[:2] / digest).stat().st_mode & 0o777 == 0o444


def test_a_blob_has_nothing_to_do_with_the_file_it_came_from(store, root, file):
    digest, path = file(b"data")
    path.chmod(0o600)
    store.upload(digest, path)
    path.write_bytes(b"DATA")

    assert (root / digest[:2] / digest).read_bytes() == b"data"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum")
def test_sha256sum_can_check_the_folder(store, root, file):
    for number in range(20):
        store.upload(*file(str(number).encode()))
    lines = [f"{digest}  {digest[:2]}/{digest}" for digest in store.digests()]
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet"],
        input="\n".join(lines),
        cwd=root,
        text=True,
        check=False,
        capture_output=True,
    )

    assert len(lines) == 20
    assert (checked.returncode, checked.stdout) == (0, "")


def test_foreign_files_are_no_blobs(store, root, file):
    digest, path = file(b"data")
    store.upload(digest, path)
    (root / "README").write_text("a note")
    (root / digest[:2] / "note.txt").write_text("a note")

    assert list(store.digests()) == [digest]


def test_a_folder_that_was_taken_away_is_made_again(store, root, file):
    digest, path = file(b"data")
    store.upload(digest, path)
    shutil.rmtree(root)

    assert store.upload(digest, path)
    assert store.exists(digest)


def test_a_file_that_grows_meanwhile_leaves_nothing_wrong(store, root, file):
    digest, path = file(os.urandom(30_000_000))
    done = threading.Event()

    def grow():
        with path.open("ab", buffering=0) as stream:
            while not done.is_set():
                stream.write(b"x")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        with pytest.raises(IntegrityError, match="source"):
            store.upload(digest, path)
    finally:
        done.set()
        writer.join()

    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_a_full_disk_is_told_and_harms_nothing(tmp_path, file, mounted):
    root = tmp_path / "disk"
    root.mkdir()
    with mounted(root, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        store = DirectoryBlobStore(root / "blobs")
        small, large = file(b"small", "small"), file(os.urandom(3_000_000), "large")
        store.upload(*small)

        with pytest.raises(UnavailableError, match="no space left"):
            store.upload(*large)
        assert list(store.digests()) == [small[0]]
        assert not list(root.rglob("*.part"))
        elsewhere = DirectoryBlobStore(tmp_path / "elsewhere")
        elsewhere.upload(*large)
        with pytest.raises(UnavailableError, match="no space left"):
            elsewhere.download(large[0], root / "copy")
        assert sorted(path.name for path in root.iterdir()) == ["blobs"]


def test_a_folder_that_cannot_be_written_can_be_read(root, file, tmp_path, mounted):
    digest, path = file(b"data")
    more = file(b"more", "more")
    store = DirectoryBlobStore(root)
    store.upload(digest, path)
    with mounted(root, "--bind", str(root)):
        subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True)
        assert not store.upload(digest, path)
        store.download(digest, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == b"data"
        with pytest.raises(AccessDeniedError, match="blobs"):
            store.upload(*more)
        with pytest.raises(AccessDeniedError, match="blobs"):
            store.delete(digest)


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_a_hashed_file_is_trusted_only_in_the_state_in_which_it_was_hashed(store, tmp_path, size):
    path = tmp_path / "hashed"
    path.write_bytes(b"x" * size)
    digest, state = digest_bytes(path.read_bytes()), file_state(path.stat())
    path.chmod(0o600)
    assert store.upload_hashed(digest, path, state)
    store.delete(digest)
    path.write_bytes(b"y" * size)

    with pytest.raises(IntegrityError):
        store.upload_hashed(digest, path, state)

    assert list(store.digests()) == []
    path.write_bytes(b"x" * size)
    assert store.upload_hashed(digest, path, file_state(path.stat()))
    assert store.open(digest).read() == path.read_bytes()


def test_bytes_in_memory_are_read_only_for_all_whatever_the_umask(store, root):
    contents = [(digest_bytes(data), data) for data in (b"1", b"2", b"3")]
    before = os.umask(0o077)
    try:
        store.upload_bytes(contents)
    finally:
        os.umask(before)

    assert {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_file()} == {0o444}


def test_bytes_in_memory_go_into_a_folder_that_was_taken_away(store, root):
    contents = [(digest_bytes(data), data) for data in (b"1", b"2")]
    store.upload_bytes(contents)
    shutil.rmtree(root)

    assert store.upload_bytes(contents) == [True, True]
    assert set(store.digests()) == {digest for digest, _ in contents}


def test_bytes_in_memory_that_do_not_fit_leave_what_did(tmp_path, mounted):
    root = tmp_path / "disk"
    root.mkdir()
    datas = (b"small", os.urandom(2_000_000))
    contents = [(digest_bytes(data), data) for data in datas]
    with mounted(root, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        store = DirectoryBlobStore(root / "blobs")

        with pytest.raises(UnavailableError, match="no space left"):
            store.upload_bytes(contents)
        assert list(store.digests()) == [contents[0][0]]
        assert not list(root.rglob("*.part"))
