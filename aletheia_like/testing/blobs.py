"""The contract of `BlobStore` as tests; an adapter passes by subclassing one class.

class TestMyStore(BlobStoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        store = MyBlobStore(tmp_path / "blobs")
        yield store
        store.close()
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest

from aletheia_like.errors import IntegrityError, InvalidValueError, NotFoundError
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.blobs import BlobStore

_MISSING = hashlib.sha256(b"nowhere").hexdigest()
_LARGE = 20 << 20


class BlobStoreSuite:
    """All that a blob store promises; see `ports.blobs`.

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
        """Put bytes under a digest's name, past the store."""
        del store, digest, data
        pytest.skip("this binding does not write past its store")

    @pytest.fixture
    def file(self, tmp_path: Path) -> Any:
        """Make a file and return its digest and path."""

        def make(data: bytes, name: str = "source") -> tuple[str, Path]:
            path = tmp_path / name
            path.write_bytes(data)
            return digest_bytes(data), path

        return make

    @pytest.mark.parametrize("size", [0, 1, 1_000_000, _LARGE])
    def test_a_blob_comes_back_equal(
        self, store: BlobStore, file: Any, tmp_path: Path, size: int
    ) -> None:
        data = os.urandom(size)
        digest, path = file(data)

        assert store.upload(digest, path)
        assert store.exists(digest)
        store.download(digest, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == data
        with store.open(digest) as stream:
            assert stream.read() == data

    def test_a_second_upload_stores_nothing(self, store: BlobStore, file: Any) -> None:
        digest, path = file(b"once")

        assert store.upload(digest, path)
        assert not store.upload(digest, path)

    def test_a_file_with_other_content_leaves_nothing(self, store: BlobStore, file: Any) -> None:
        digest, path = file(b"as it was hashed")
        path.write_bytes(b"as it is now")

        with pytest.raises(IntegrityError):
            store.upload(digest, path)
        assert not store.exists(digest)
        assert digest not in list(store.digests())

    def test_what_is_no_file_is_refused(self, store: BlobStore, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "nothing"):
            with pytest.raises(InvalidValueError):
                store.upload(_MISSING, path)

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
        assert not (tmp_path / "x").exists()

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
        assert [path.name for path in tmp_path.glob("*.part")] == []

    def test_a_download_replaces_what_is_there(
        self, store: BlobStore, file: Any, tmp_path: Path
    ) -> None:
        digest, path = file(b"new")
        store.upload(digest, path)
        (tmp_path / "target").write_text("old and longer")
        store.download(digest, tmp_path / "target")

        assert (tmp_path / "target").read_bytes() == b"new"

    def test_every_digest_is_listed(self, store: BlobStore, file: Any) -> None:
        stored = {
            digest for digest, path in map(file, (b"1", b"2", b"3")) if store.upload(digest, path)
        }

        assert set(store.digests()) >= stored

    def test_a_deleted_blob_is_gone_and_deleting_is_repeatable(
        self, store: BlobStore, file: Any
    ) -> None:
        digest, path = file(b"short-lived")
        store.upload(digest, path)
        store.delete(digest)
        store.delete(digest)

        assert not store.exists(digest)
        assert store.upload(digest, path)

    def test_progress_adds_up_to_the_size(
        self, store: BlobStore, file: Any, tmp_path: Path
    ) -> None:
        digest, path = file(os.urandom(3_000_000))
        sent: list[int] = []
        received: list[int] = []
        store.upload(digest, path, sent.append)
        store.download(digest, tmp_path / "copy", received.append)

        assert sum(sent) == sum(received) == 3_000_000

    def test_many_threads_may_store_one_blob(self, store: BlobStore, file: Any) -> None:
        digest, path = file(os.urandom(200_000))
        outcomes: list[bool] = []
        threads = [
            threading.Thread(target=lambda: outcomes.append(store.upload(digest, path)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(outcomes) == 8
        assert any(outcomes)
        with store.open(digest) as stream:
            assert digest_bytes(stream.read()) == digest

    def test_a_closed_store_opens_again(self, store: BlobStore, file: Any) -> None:
        digest, path = file(b"again")
        store.upload(digest, path)
        store.close()
        store.close()

        assert store.exists(digest)

    def test_a_forked_child_uses_it_while_its_parent_goes_on(
        self, store: BlobStore, file: Any, tmp_path: Path
    ) -> None:
        digest, path = file(b"parent's")
        theirs, their_path = file(b"child's", "theirs")
        store.upload(digest, path)
        child = os.fork()
        if child == 0:
            try:
                store.download(digest, tmp_path / "in-child")
                store.upload(theirs, their_path)
                os._exit(0)
            except BaseException:  # noqa: BLE001 - the exit code tells the parent
                os._exit(1)
        assert store.exists(digest)
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0
        assert (tmp_path / "in-child").read_bytes() == b"parent's"
        if self.shared:
            assert store.exists(theirs)
