"""The contract of `BlobStore` as tests; an adapter passes by subclassing one class.

    class TestMyStore(BlobStoreSuite):
        @pytest.fixture
        def store(self, tmp_path):
            store = MyBlobStore(tmp_path / "blobs")
            yield store
            store.close()

A store that can only be read passes `BlobReadingSuite`, which needs the hook `put_raw`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from aletheia_like.errors import IntegrityError, InvalidValueError, NotFoundError
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.blobs import BlobStore, upload_bytes
from aletheia_like.testing._document_sharing import all_done, in_child

_MISSING = hashlib.sha256(b"nowhere").hexdigest()
_LARGE = 20 << 20

MakeFile = Callable[..., tuple[str, Path]]


class BlobReadingSuite:
    """All that a blob store promises to its readers; see `ports.blobs`.

    Attributes:
        shared: Whether a child process sees what this one stored.
    """

    shared: ClassVar[bool] = True

    @pytest.fixture
    def store(self) -> BlobStore:
        """The store under test, empty."""
        message = f"{type(self).__name__} must define the fixture `store`"
        raise NotImplementedError(message)

    def put_raw(self, store: Any, digest: str, data: bytes) -> None:
        """Put bytes under a digest's name, in place of what is there, past the store."""
        del store, digest, data
        pytest.skip("this binding does not write past its store")

    def read_raw(self, store: Any, digest: str) -> bytes | None:
        """Return the bytes under a digest's name, None if there is nothing, past the store."""
        del store, digest
        pytest.skip("this binding does not read past its store")

    @pytest.mark.parametrize("size", [0, 1, 1_000_000, _LARGE])
    def test_what_another_program_stored_is_read(
        self, store: BlobStore, tmp_path: Path, size: int
    ) -> None:
        data = os.urandom(size)
        digest = digest_bytes(data)
        self.put_raw(store, digest, data)
        store.download(digest, tmp_path / "copy")

        assert store.exists(digest)
        assert (tmp_path / "copy").read_bytes() == data
        with store.open(digest) as stream:
            assert stream.read() == data

    @pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "x" * 64])
    def test_what_is_no_digest_is_refused(
        self, store: BlobStore, tmp_path: Path, digest: str
    ) -> None:
        for action in (
            lambda: store.exists(digest),
            lambda: store.upload(digest, tmp_path),
            lambda: store.download(digest, tmp_path / "x"),
            lambda: store.open(digest),
            lambda: store.delete(digest),
        ):
            with pytest.raises(InvalidValueError):
                action()

    def test_a_missing_blob_is_not_found(self, store: BlobStore, tmp_path: Path) -> None:
        assert not store.exists(_MISSING)
        with pytest.raises(NotFoundError, match=_MISSING):
            store.download(_MISSING, tmp_path / "x")
        with pytest.raises(NotFoundError, match=_MISSING):
            store.open(_MISSING)
        assert not list(tmp_path.glob("*x*"))

    @pytest.mark.parametrize("damaged", [b"Right", b"righ", b"right!", b""])
    def test_wrong_bytes_are_never_given(
        self, store: BlobStore, tmp_path: Path, damaged: bytes
    ) -> None:
        digest = digest_bytes(b"right")
        self.put_raw(store, digest, damaged)
        (tmp_path / "target").write_text("untouched")

        with pytest.raises(IntegrityError, match=digest):
            store.download(digest, tmp_path / "target")
        with pytest.raises(IntegrityError, match=digest), store.open(digest) as stream:
            stream.read()
        assert (tmp_path / "target").read_text() == "untouched"
        assert not list(tmp_path.glob(".*"))

    def test_a_flipped_byte_in_a_large_blob_is_noticed(
        self, store: BlobStore, tmp_path: Path
    ) -> None:
        data = os.urandom(_LARGE)
        digest = digest_bytes(data)
        middle = _LARGE // 2
        self.put_raw(store, digest, data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])

        with pytest.raises(IntegrityError, match=digest):
            store.download(digest, tmp_path / "target")
        with pytest.raises(IntegrityError, match=digest), store.open(digest) as stream:
            list(iter(lambda: stream.read(100_000), b""))
        assert not list(tmp_path.glob("*target*"))

    def test_a_download_into_no_folder_says_so(self, store: BlobStore, tmp_path: Path) -> None:
        digest = digest_bytes(b"data")
        self.put_raw(store, digest, b"data")

        with pytest.raises(InvalidValueError, match="nowhere"):
            store.download(digest, tmp_path / "nowhere" / "target")

    def test_progress_of_a_download_adds_up_to_the_size(
        self, store: BlobStore, tmp_path: Path
    ) -> None:
        data = os.urandom(3_000_000)
        told: list[int] = []
        self.put_raw(store, digest_bytes(data), data)
        store.download(digest_bytes(data), tmp_path / "copy", told.append)

        assert sum(told) == len(data)
        assert min(told) > 0

    def test_many_threads_may_read_one_blob(self, store: BlobStore, tmp_path: Path) -> None:
        data = os.urandom(1_000_000)
        digest = digest_bytes(data)
        self.put_raw(store, digest, data)
        all_done([lambda: store.download(digest, tmp_path / "copy")] * 8)

        assert (tmp_path / "copy").read_bytes() == data
        assert not list(tmp_path.glob(".*"))

    def test_a_closed_store_opens_again(self, store: BlobStore) -> None:
        digest = digest_bytes(b"again")
        self.put_raw(store, digest, b"again")
        assert store.exists(digest)
        store.close()
        store.close()

        assert store.exists(digest)

    def test_a_forked_child_reads_while_its_parent_goes_on(
        self, store: BlobStore, tmp_path: Path
    ) -> None:
        data = os.urandom(1_000_000)
        digest = digest_bytes(data)
        self.put_raw(store, digest, data)
        store.download(digest, tmp_path / "before")

        def read_in_child() -> None:
            assert in_child(lambda: store.download(digest, tmp_path / "in-child")) == 0

        def read_on() -> None:
            for _ in range(5):
                store.download(digest, tmp_path / "in-parent")

        all_done([read_in_child, read_on])
        assert (tmp_path / "in-child").read_bytes() == data
        assert (tmp_path / "in-parent").read_bytes() == data


class BlobStoreSuite(BlobReadingSuite):
    """All that a blob store promises; see `ports.blobs`."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> MakeFile:
        """Make a file and return its digest and path."""

        def make(data: bytes, name: str = "source") -> tuple[str, Path]:
            path = tmp_path / name
            path.write_bytes(data)
            return digest_bytes(data), path

        return make

    @pytest.mark.parametrize("size", [0, 1, 1_000_000, _LARGE])
    def test_a_blob_comes_back_equal(
        self, store: BlobStore, file: MakeFile, tmp_path: Path, size: int
    ) -> None:
        data = os.urandom(size)
        digest, path = file(data)

        assert store.upload(digest, path)
        assert store.exists(digest)
        store.download(digest, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == data
        with store.open(digest) as stream:
            assert stream.read() == data

    def test_a_blob_is_stored_byte_for_byte(self, store: BlobStore, file: MakeFile) -> None:
        digest, path = file(b"\0bytes\r\n")
        store.upload(digest, path)

        assert self.read_raw(store, digest) == b"\0bytes\r\n"

    def test_a_second_upload_stores_nothing(self, store: BlobStore, file: MakeFile) -> None:
        digest, path = file(b"once")

        assert store.upload(digest, path)
        assert not store.upload(digest, path)

    @pytest.mark.parametrize("size", [0, 11, _LARGE])
    def test_a_file_with_other_content_leaves_nothing(
        self, store: BlobStore, file: MakeFile, size: int
    ) -> None:
        digest, path = file(b"as it was hashed")
        path.write_bytes(os.urandom(size))

        with pytest.raises(IntegrityError):
            store.upload(digest, path)
        assert not store.exists(digest)
        assert digest not in list(store.digests())
        path.write_bytes(b"as it was hashed")
        assert store.upload(digest, path)

    def test_what_is_no_file_is_refused(self, store: BlobStore, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "nothing"):
            with pytest.raises(InvalidValueError):
                store.upload(_MISSING, path)

    def test_a_download_replaces_what_is_there(
        self, store: BlobStore, file: MakeFile, tmp_path: Path
    ) -> None:
        digest, path = file(b"new")
        store.upload(digest, path)
        (tmp_path / "target").write_text("old and longer")
        store.download(digest, tmp_path / "target")

        assert (tmp_path / "target").read_bytes() == b"new"
        assert not list(tmp_path.glob(".*"))

    def test_bytes_in_memory_become_blobs_that_were_not_there(
        self, store: BlobStore, file: MakeFile
    ) -> None:
        digest, path = file(b"there")
        store.upload(digest, path)
        datas = [b"", b"new", b"there", b"new", os.urandom(300_000)]
        told: list[int] = []
        contents = [(digest_bytes(data), data) for data in datas]

        assert upload_bytes(store, contents, told.append) == [True, True, False, False, True]
        assert sum(told) >= 300_003
        for digest, data in contents:
            assert self.read_raw(store, digest) == data
        assert len(list(store.digests())) == 4

    def test_every_digest_is_listed(self, store: BlobStore, file: MakeFile) -> None:
        stored = {
            digest for digest, path in map(file, (b"1", b"2", b"3")) if store.upload(digest, path)
        }

        assert set(store.digests()) == stored

    def test_every_blob_is_listed_with_its_size_and_age(
        self, store: BlobStore, file: MakeFile
    ) -> None:
        before = dt.datetime.now(dt.UTC)
        sizes = {}
        for data in (b"", b"1", os.urandom(100_000)):
            digest, path = file(data)
            # Of the blob, not of the file that it was made of.
            os.utime(path, (0, 0))
            store.upload(digest, path)
            sizes[digest] = len(data)
        listed = list(store.stored())

        assert {one.digest: one.size for one in listed} == sizes
        for one in listed:
            assert one.stored_at is not None
            assert abs(one.stored_at - before) < dt.timedelta(minutes=5)

    def test_a_blob_that_is_there_already_keeps_its_age(
        self, store: BlobStore, file: MakeFile
    ) -> None:
        digest, path = file(b"once")
        store.upload(digest, path)
        (first,) = store.stored()
        store.upload(digest, path)

        assert list(store.stored()) == [first]

    def test_an_empty_store_lists_nothing(self, store: BlobStore) -> None:
        assert list(store.digests()) == []
        assert list(store.stored()) == []

    def test_a_deleted_blob_is_gone_and_deleting_is_repeatable(
        self, store: BlobStore, file: MakeFile
    ) -> None:
        digest, path = file(b"short-lived")
        store.upload(digest, path)
        store.delete(digest)
        store.delete(digest)

        assert not store.exists(digest)
        assert list(store.digests()) == []
        assert store.upload(digest, path)

    @pytest.mark.parametrize("size", [3_000_000, _LARGE])
    def test_progress_of_an_upload_adds_up_to_the_size(
        self, store: BlobStore, file: MakeFile, size: int
    ) -> None:
        digest, path = file(os.urandom(size))
        told: list[int] = []
        store.upload(digest, path, told.append)

        assert sum(told) == size

    def test_many_threads_may_store_one_blob(self, store: BlobStore, file: MakeFile) -> None:
        digest, path = file(os.urandom(200_000))
        outcomes = all_done([lambda: store.upload(digest, path)] * 8)

        assert any(outcomes)
        with store.open(digest) as stream:
            assert digest_bytes(stream.read()) == digest

    def test_a_forked_child_stores_while_its_parent_goes_on(
        self, store: BlobStore, file: MakeFile
    ) -> None:
        ours, theirs = file(b"parent's", "ours"), file(b"child's", "theirs")
        store.exists(_MISSING)

        def store_in_child() -> None:
            assert in_child(lambda: store.upload(*theirs)) == 0

        all_done([store_in_child, lambda: store.upload(*ours)])
        assert store.exists(ours[0])
        if self.shared:
            assert store.exists(theirs[0])
