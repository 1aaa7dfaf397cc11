"""What is told about places that fsspec does not know, cannot reach or cannot write."""

from __future__ import annotations

import http.server
import os
import socket
import threading
import time
import uuid

import pytest

from aletheia_like.adapters.fsspec import FsspecBlobStore
from aletheia_like.adapters.retrying import RetryingBlobStore
from aletheia_like.errors import (
    AccessDeniedError,
    IntegrityError,
    MissingExtraError,
    SettingsError,
    UnavailableError,
)
from aletheia_like.model.digests import digest_bytes

DIGEST = digest_bytes(b"data")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"data")
    return path


@pytest.fixture
def closed_port():
    """A port of this machine where nobody listens, kept so until the end."""
    with socket.socket() as keeper:
        keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]


@pytest.fixture
def serving():
    """Start a server whose answers a function writes; return its address."""
    servers = []

    def start(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self)

            do_HEAD = do_GET  # noqa: N815 - the name that the library looks for

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_making_a_store_touches_nothing():
    FsspecBlobStore("nonsense://somewhere")


def test_an_unknown_scheme_is_a_wrong_setting(source):  # D14
    store = FsspecBlobStore("nonsense://somewhere")

    for action in (lambda: store.exists(DIGEST), lambda: store.upload(DIGEST, source)):
        with pytest.raises(SettingsError, match="nonsense://somewhere"):
            action()


def test_a_scheme_without_its_package_names_the_line_to_install():  # B8
    pytest.importorskip("fsspec")
    with pytest.raises(MissingExtraError, match="pip install"):
        FsspecBlobStore("dvc://somewhere").exists(DIGEST)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/blobs", "https://127.0.0.1:9/blobs"])
def test_the_web_is_refused_for_writing_without_a_request(source, url):  # B6
    store = FsspecBlobStore(url)

    with pytest.raises(AccessDeniedError, match="only be read"):
        store.upload(DIGEST, source)
    with pytest.raises(AccessDeniedError, match="only be read"):
        store.delete(DIGEST)


def test_a_server_that_is_away_is_told_in_time(tmp_path, closed_port):
    url = f"http://127.0.0.1:{closed_port}"
    store = RetryingBlobStore(FsspecBlobStore(url), deadline=2)
    begun = time.monotonic()

    with pytest.raises(UnavailableError, match=url):
        store.download(DIGEST, tmp_path / "copy")
    assert time.monotonic() - begun < 6
    assert not (tmp_path / "copy").exists()


def test_an_s3_that_is_away_is_told_in_time(source, closed_port):
    pytest.importorskip("s3fs")
    store = FsspecBlobStore(
        "s3://bucket/blobs",
        key="key",
        secret="secret",
        client_kwargs={"endpoint_url": f"http://127.0.0.1:{closed_port}"},
    )
    begun = time.monotonic()

    with pytest.raises(UnavailableError, match="s3://bucket/blobs"):
        RetryingBlobStore(store, deadline=2).upload(DIGEST, source)
    assert time.monotonic() - begun < 10


def test_an_s3_without_credentials_says_so_at_once(source, closed_port, monkeypatch, tmp_path):
    pytest.importorskip("s3fs")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    endpoint = {"endpoint_url": f"http://127.0.0.1:{closed_port}"}
    store = FsspecBlobStore("s3://bucket/blobs", client_kwargs=endpoint)

    for action in (lambda: store.upload(DIGEST, source), lambda: store.open(DIGEST)):
        with pytest.raises(AccessDeniedError, match=r"s3://bucket/blobs.*credentials"):
            action()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "SignatureDoesNotMatch"),
        (403, "InvalidAccessKeyId"),
        (400, "ExpiredToken"),
        (400, "InvalidToken"),
    ],
)
def test_wrong_credentials_of_s3_are_told_at_once(serving, source, status, code):
    pytest.importorskip("s3fs")
    asked = []

    def refuse(request):
        asked.append(request.path)
        told = f"<Error><Code>{code}</Code><Message>by the test</Message></Error>".encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(told)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(told)

    store = FsspecBlobStore(
        "s3://bucket/blobs",
        key="key",
        secret="wrong",
        client_kwargs={"endpoint_url": serving(refuse), "region_name": "us-east-1"},
    )

    with pytest.raises(AccessDeniedError, match="s3://bucket/blobs: the credentials"):
        list(RetryingBlobStore(store, deadline=5).digests())
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AccessDeniedError), (403, AccessDeniedError), (503, UnavailableError)],
)
def test_refusals_of_a_server_are_told_apart(serving, tmp_path, status, error):
    store = FsspecBlobStore(serving(lambda request: request.send_error(status)))

    with pytest.raises(error, match=r"127\.0\.0\.1"):
        store.download(DIGEST, tmp_path / "copy")
    with pytest.raises(error, match=r"127\.0\.0\.1"):
        store.open(DIGEST).read()


def test_a_transfer_that_breaks_off_is_tried_again(serving, tmp_path):
    data = os.urandom(3_000_000)
    gets = []

    def answer(request):
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if request.command == "GET":
            gets.append(request.path)
            request.wfile.write(data[: 1_000_000 if len(gets) < 3 else None])
        request.close_connection = True

    url = serving(answer)
    told = []
    store = RetryingBlobStore(FsspecBlobStore(url), deadline=10)
    store.download(digest_bytes(data), tmp_path / "copy", told.append)

    assert (tmp_path / "copy").read_bytes() == data
    assert sum(told) == len(data)
    assert len(gets) == 3
    gets.clear()
    with pytest.raises(UnavailableError, match=url):
        FsspecBlobStore(url).open(digest_bytes(data)).read()


class BreakingOff:
    """Progress that fails when something was sent, as if the process broke off."""

    def __call__(self, count):
        message = "broken off"
        raise RuntimeError(message)


@pytest.mark.parametrize("scheme", ["memory", "local"])
def test_an_upload_that_breaks_off_leaves_nothing(tmp_path, scheme):
    data = os.urandom(5_000_000)
    (tmp_path / "source").write_bytes(data)
    folder = tmp_path / "blobs"
    url = f"local://{folder}" if scheme == "local" else f"memory://{uuid.uuid4().hex}"
    store = FsspecBlobStore(url)

    with pytest.raises(RuntimeError, match="broken off"):
        store.upload(digest_bytes(data), tmp_path / "source", BreakingOff())
    assert not store.exists(digest_bytes(data))
    assert list(store.digests()) == []
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_that_changes_meanwhile_leaves_nothing(tmp_path):
    data = os.urandom(5_000_000)
    path = tmp_path / "source"
    path.write_bytes(data)
    store = FsspecBlobStore(f"local://{tmp_path}/blobs")

    def spoil(_count):
        path.write_bytes(bytes(len(data)))

    with pytest.raises(IntegrityError, match="source"):
        store.upload(digest_bytes(data), path, spoil)
    assert not store.exists(digest_bytes(data))
