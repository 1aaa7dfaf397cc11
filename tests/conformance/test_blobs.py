"""Every blob store, and every wrapper, keeps the contract of the port."""  # B4 B5 B6 B7 D14

from __future__ import annotations

import functools
import http.server
import secrets
import threading
import uuid

import pytest

from aletheia_like.adapters.counting import CountingBlobStore
from aletheia_like.adapters.directory import DirectoryBlobStore
from aletheia_like.adapters.fsspec import FsspecBlobStore
from aletheia_like.adapters.gcs import GcsBlobStore
from aletheia_like.adapters.memory import MemoryBlobStore
from aletheia_like.adapters.retrying import RetryingBlobStore
from aletheia_like.errors import AccessDeniedError, IntegrityError, NotFoundError
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.usage import Usage
from aletheia_like.testing.blobs import BlobStoreSuite


class TestMemory(BlobStoreSuite):
    shared = False

    @pytest.fixture
    def store(self):
        return MemoryBlobStore()

    def put_raw(self, store, digest, data):
        store._blobs[digest] = data


class TestDirectory(BlobStoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        return DirectoryBlobStore(tmp_path / "made" / "blobs")

    def put_raw(self, store, digest, data):
        path = store._path(digest)
        path.parent.mkdir(parents=True)
        path.write_bytes(data)


class TestWrapped(TestDirectory):
    @pytest.fixture
    def store(self, tmp_path):
        inner = DirectoryBlobStore(tmp_path / "blobs")
        return RetryingBlobStore(CountingBlobStore(inner, Usage()), deadline=2)

    def put_raw(self, store, digest, data):
        super().put_raw(store._inner._inner, digest, data)


class TestGcs(BlobStoreSuite):
    @pytest.fixture
    def store(self, gcs_emulator):
        store = GcsBlobStore("aletheia-emulator", f"tests/{secrets.token_hex(6)}")
        yield store
        store.close()

    def put_raw(self, store, digest, data):
        store._at(store._name(digest)).upload_from_string(data)


class TestFsspecMemory(BlobStoreSuite):
    shared = False

    @pytest.fixture
    def store(self):
        return FsspecBlobStore(f"memory://{uuid.uuid4().hex}/blobs")

    def put_raw(self, store, digest, data):
        store._systems.get().pipe_file(store._path(digest), data)


@pytest.fixture(scope="module")
def s3_endpoint():
    """A real S3 server of moto's."""
    moto_server = pytest.importorskip("moto.server")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


class TestS3(BlobStoreSuite):
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

    def put_raw(self, store, digest, data):
        store._systems.get().pipe_file(store._path(digest), data)


@pytest.fixture
def http_url(tmp_path):
    """A folder of blobs, served over HTTP."""
    handler = functools.partial(QuietHandler, directory=str(tmp_path / "blobs"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_a_served_folder_can_be_read_and_not_written(http_url, tmp_path):  # B6
    pytest.importorskip("aiohttp")
    digest = digest_bytes(b"served")
    (tmp_path / "source").write_bytes(b"served")
    DirectoryBlobStore(tmp_path / "blobs").upload(digest, tmp_path / "source")
    store = FsspecBlobStore(http_url)

    assert store.exists(digest)
    store.download(digest, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"served"
    with pytest.raises(NotFoundError):
        store.download("0" * 64, tmp_path / "copy")
    with pytest.raises(AccessDeniedError, match="only be read"):
        store.upload(digest, tmp_path / "source")
    with pytest.raises(AccessDeniedError):
        store.delete(digest)


def test_a_served_file_that_was_changed_is_refused(http_url, tmp_path):
    pytest.importorskip("aiohttp")
    digest = digest_bytes(b"served")
    path = tmp_path / "blobs" / digest[:2] / digest
    path.parent.mkdir(parents=True)
    path.write_bytes(b"Served")

    with pytest.raises(IntegrityError):
        FsspecBlobStore(http_url).download(digest, tmp_path / "copy")
