"""The stores in memory: their bytes, and a fork in the middle of a write."""  # B3

import threading

import pytest

from aletheia_like.adapters.memory import MemoryBlobStore, MemoryDocumentStore
from aletheia_like.errors import IntegrityError, InvalidValueError, NotFoundError
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.documents import Create
from aletheia_like.testing.documents import in_child

DATA = b"data" * 600_000
DIGEST = digest_bytes(DATA)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def blobs(file):
    blobs = MemoryBlobStore()
    blobs.upload(DIGEST, file)
    return blobs


def test_a_blob_is_stored_once(file):
    blobs = MemoryBlobStore()
    told = []

    assert not blobs.exists(DIGEST)
    assert blobs.upload(DIGEST, file, told.append)
    assert not blobs.upload(DIGEST, file, told.append)
    assert blobs.exists(DIGEST)
    assert list(blobs.digests()) == [DIGEST]
    assert sum(told) == len(DATA)


def test_a_file_that_changed_is_not_stored(file):
    blobs = MemoryBlobStore()
    file.write_bytes(b"other")

    with pytest.raises(IntegrityError, match=str(file)):
        blobs.upload(DIGEST, file)

    assert not blobs.exists(DIGEST)


def test_only_a_file_is_stored(tmp_path):
    with pytest.raises(InvalidValueError, match="no file"):
        MemoryBlobStore().upload(DIGEST, tmp_path)
    with pytest.raises(InvalidValueError, match="not a sha-256"):
        MemoryBlobStore().exists("../x")


def test_a_blob_is_downloaded_whole(blobs, tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"old")
    told = []

    blobs.download(DIGEST, target, told.append)

    assert target.read_bytes() == DATA
    assert sum(told) == len(DATA)


def test_a_blob_is_read_as_a_stream(blobs):
    with blobs.open(DIGEST) as stream:
        assert stream.read(4) == b"data"
        assert stream.read() == DATA[4:]


def test_wrong_bytes_are_never_handed_out(blobs, tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"old")
    blobs._blobs[DIGEST] = DATA[:-1] + b"!"

    with pytest.raises(IntegrityError):
        blobs.download(DIGEST, target)
    with blobs.open(DIGEST) as stream, pytest.raises(IntegrityError):
        stream.read()

    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "target"]


def test_a_missing_blob_is_told(tmp_path):
    blobs = MemoryBlobStore()
    blobs.delete(DIGEST)

    with pytest.raises(NotFoundError):
        blobs.open(DIGEST)
    with pytest.raises(NotFoundError):
        blobs.download(DIGEST, tmp_path / "target")


def test_a_deleted_blob_is_gone(blobs):
    blobs.delete(DIGEST)

    assert not blobs.exists(DIGEST)


def test_a_child_finds_whole_applies_only():
    store = MemoryDocumentStore()
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            store.apply([Create(f"{name}/{number}", {}) for name in "abcdefgh"])

    def look():
        sizes = {len(documents) for documents in store._collections.values()}
        assert len(sizes) <= 1
        store.apply([Create("a/child", {})])

    writer = threading.Thread(target=write)
    writer.start()
    statuses = [in_child(look) for _ in range(20)]
    stop.set()
    writer.join()

    assert statuses == [0] * 20
