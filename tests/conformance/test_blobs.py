"""Every blob store, and every wrapper, keeps the contract of the port."""  # A16 B4 B5 B6 B7 D14

from __future__ import annotations

import functools
import http.server
import secrets
import threading
import uuid

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from aletheia_like.adapters.counting import CountingBlobStore
from aletheia_like.adapters.directory import DirectoryBlobStore
from aletheia_like.adapters.fsspec import FsspecBlobStore
from aletheia_like.adapters.gcs import GcsBlobStore
from aletheia_like.adapters.memory import MemoryBlobStore
from aletheia_like.adapters.retrying import RetryingBlobStore
from aletheia_like.errors import AccessDeniedError, SettingsError
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.usage import Usage
from aletheia_like.testing.blobs import BlobReadingSuite, BlobStoreSuite


class TestMemory(BlobStoreSuite):
    shared = False

    @pytest.fixture
    def store(self):
        return MemoryBlobStore()

    def put_raw(self, store, digest, data):
        store._blobs[digest] = data

    def read_raw(self, store, digest):
        return store._blobs.get(digest)


class TestDirectory(BlobStoreSuite):
    @pytest.fixture
    def root(self, tmp_path):
        return tmp_path / "made" / "blobs"

    @pytest.fixture
    def store(self, root):
        return DirectoryBlobStore(root)

    @pytest.fixture(autouse=True)
    def know_the_folder(self, root):
        self.root = root

    def put_raw(self, store, digest, data):
        path = self.root / digest[:2] / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def read_raw(self, store, digest):
        return (self.root / digest[:2] / digest).read_bytes()


class TestWrappedMemory(TestMemory):
    @pytest.fixture
    def store(self):
        return RetryingBlobStore(CountingBlobStore(MemoryBlobStore(), Usage()), deadline=2)

    def put_raw(self, store, digest, data):
        super().put_raw(store._inner._inner, digest, data)

    def read_raw(self, store, digest):
        return super().read_raw(store._inner._inner, digest)


class TestWrappedDirectory(TestDirectory):
    @pytest.fixture
    def store(self, root):
        return RetryingBlobStore(CountingBlobStore(DirectoryBlobStore(root), Usage()), deadline=2)


class TestGcs(BlobStoreSuite):
    @pytest.fixture
    def store(self, gcs_emulator):
        store = GcsBlobStore("aletheia-emulator", f"tests/{secrets.token_hex(6)}")
        yield store
        store.close()

    def put_raw(self, store, digest, data):
        self.raw(store, digest).upload_from_string(data)

    def read_raw(self, store, digest):
        return self.raw(store, digest).download_as_bytes()

    def raw(self, store, digest):
        client = storage.Client("demo-aletheia", credentials=AnonymousCredentials())
        return client.bucket("aletheia-emulator").blob(store._name(digest))


class OverFsspec(BlobStoreSuite):
    def put_raw(self, store, digest, data):
        store._systems.get().pipe_file(store._path(digest), data)

    def read_raw(self, store, digest):
        return store._systems.get().cat_file(store._path(digest))


class TestFsspecMemory(OverFsspec):
    shared = False

    @pytest.fixture
    def store(self):
        return FsspecBlobStore(f"memory://{uuid.uuid4().hex}/blobs")


class TestFsspecLocal(OverFsspec):
    @pytest.fixture
    def store(self, tmp_path):
        return FsspecBlobStore(f"file://{tmp_path}/blobs", auto_mkdir=True)


class TestS3(OverFsspec):
    @pytest.fixture
    def store(self, s3_endpoint):
        pytest.importorskip("s3fs")
        bucket = f"bucket-{secrets.token_hex(4)}"
        store = FsspecBlobStore(
            f"s3://{bucket}/blobs",
            key="key",
            secret="secret",
            client_kwargs={"endpoint_url": s3_endpoint},
        )
        store._systems.get().mkdir(bucket)
        yield store
        store.close()

    def test_what_another_store_does_is_seen_at_once(self, store, file):
        other = FsspecBlobStore(store._url, **store._options)
        digest, path = file(b"data")
        assert list(other.digests()) == []
        store.upload(digest, path)

        assert other.exists(digest)
        assert other.open(digest).read() == b"data"
        store.delete(digest)
        assert not other.exists(digest)

    def test_a_bucket_that_is_gone_is_told_and_never_made(self, store, file, tmp_path):
        digest, path = file(b"data")
        store.upload(digest, path)
        system = store._systems.get()
        bucket = store._url.split("/")[2]
        system.rm(bucket, recursive=True)

        for action in (
            lambda: store.upload(digest, path),
            lambda: store.download(digest, tmp_path / "copy"),
            lambda: store.open(digest),
            lambda: list(store.digests()),
        ):
            with pytest.raises(SettingsError, match=f"no bucket for s3://{bucket}"):
                action()
        system.invalidate_cache()
        assert not system.exists(bucket)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


class TestHttp(BlobReadingSuite):
    @pytest.fixture
    def store(self, tmp_path):
        """A folder of blobs, served over HTTP."""
        pytest.importorskip("aiohttp")
        self.root = tmp_path / "blobs"
        handler = functools.partial(QuietHandler, directory=str(self.root))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        store = FsspecBlobStore(f"http://127.0.0.1:{server.server_port}")
        yield store
        store.close()
        server.shutdown()
        thread.join()
        server.server_close()

    def put_raw(self, store, digest, data):
        path = self.root / digest[:2] / digest
        path.parent.mkdir(parents=True)
        path.write_bytes(data)

    def test_what_is_served_is_listed(self, store):
        self.put_raw(store, digest_bytes(b"served"), b"served")

        assert list(store.digests()) == [digest_bytes(b"served")]

    def test_nothing_can_be_written_or_deleted(self, store, tmp_path):  # B6
        digest = digest_bytes(b"served")
        (tmp_path / "source").write_bytes(b"served")

        with pytest.raises(AccessDeniedError, match="only be read"):
            store.upload(digest, tmp_path / "source")
        with pytest.raises(AccessDeniedError, match="only be read"):
            store.delete(digest)
