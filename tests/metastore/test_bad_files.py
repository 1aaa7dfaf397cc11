"""Files that cannot be stored as they are: clear errors, and nothing half-stored."""

from __future__ import annotations

import os
import socket

import pytest

import aletheia_like as al
from aletheia_like.capture.files import read_manifest


@pytest.fixture
def ms(tmp_path):
    with al.Metastore(
        "p", url=(tmp_path / "store").as_uri(), cache_dir=tmp_path / "cache", git="off"
    ) as opened:
        yield opened


def pipe(folder):
    os.mkfifo(folder / "odd")


def listener(folder):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "odd"))


def device(folder):
    (folder / "odd").symlink_to("/dev/zero")


def loop(folder):
    (folder / "odd").symlink_to(".")


def circle(folder):
    (folder / "odd").symlink_to("odd")


@pytest.mark.parametrize("odd", [pipe, listener, device, loop, circle])
@pytest.mark.parametrize("how", ["dataset", "artifact", "repository"])
def test_nothing_is_stored_of_a_folder_with_what_is_no_file(ms, tmp_path, monkeypatch, odd, how):
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "fine").write_text("x")
    monkeypatch.chdir(tmp_path)
    odd(folder.relative_to(tmp_path))
    exper, repository = ms.exper("e"), ms.repository("r", "a")
    before = ms.usage

    with pytest.raises(al.InvalidValueError, match="odd"):
        match how:
            case "dataset":
                ms.add_dataset("d", folder)
            case "artifact":
                exper.add_artifact("a", folder)
            case _:
                repository.log_artifact("a", folder)

    used = ms.usage - before
    assert (used.document_writes, used.blob_writes) == (0, 0)
    assert repository.staged == ()


@pytest.fixture
def two(tmp_path):
    """A folder of two files, of which the second can be spoilt when the first was read."""
    folder = tmp_path / "two"
    folder.mkdir()
    (folder / "1").write_text("one")
    (folder / "2").write_text("two")
    return folder


def vanishes(path):
    path.unlink()


def grows(path):
    with path.open("a") as stream:
        stream.write("more")


def changes(path):
    path.write_text("TWO")


def becomes_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [vanishes, grows, changes, becomes_a_pipe])
def test_a_file_that_is_spoilt_while_the_folder_is_read_is_named(two, spoil):
    def told(_):
        if told.first:
            told.first = False
            spoil(two / "2")

    told.first = True
    with pytest.raises(al.IntegrityError, match=r"2 (vanished|changed) while it was read"):
        read_manifest(two, told)


@pytest.mark.parametrize("size", [100, 3 << 20])
@pytest.mark.parametrize("spoil", [vanishes, grows, changes])
def test_a_file_that_is_spoilt_before_it_is_stored_leaves_nothing(ms, tmp_path, size, spoil):
    path = tmp_path / "2"
    path.write_bytes(b"t" * size)
    repository = ms.repository("r", "a")
    repository.log_artifact("a", path)
    spoil(path)

    with pytest.raises(al.AletheiaError, match=str(path)):
        repository.save()

    assert list(ms.session.blobs.digests()) == []
    assert not list((tmp_path / "store").rglob("*.part"))
    with pytest.raises(al.NotFoundError):
        ms.repository("r", "r")


def test_an_empty_file_comes_back_empty(ms, tmp_path):
    (tmp_path / "empty").touch()

    ms.add_dataset("d", tmp_path / "empty")
    version = ms.exper("e").add_artifact("a", tmp_path / "empty")

    assert ms.get_dataset("d", download=True).local_path.read_bytes() == b""
    assert version.download(tmp_path / "out").stat().st_size == version.size == 0


def test_a_sparse_file_comes_back_equal(ms, tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.seek(40 << 20)
        stream.write(b"end")

    version = ms.add_dataset("d", path)

    assert version.size == (40 << 20) + 3
    assert ms.get_dataset("d", download=True).local_path.read_bytes()[-4:] == b"\0end"


def test_a_name_that_is_too_long_is_a_clear_error(ms):
    with pytest.raises(al.AletheiaError):
        ms.exper("e").add_artifact("a", "x" * 5_000)
