"""What is Cloud Storage's own: buckets, credentials, outages, and who wrote first."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aletheia_like.adapters.gcs import GcsBlobStore
from aletheia_like.adapters.retrying import RetryingBlobStore
from aletheia_like.errors import IntegrityError, SettingsError, UnavailableError
from aletheia_like.model.digests import digest_bytes
from aletheia_like.testing.emulators import BUCKET, GcsEmulator, create_bucket


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(secrets.token_bytes(1_000))
    return digest_bytes(path.read_bytes()), path


@pytest.fixture
def store(gcs_emulator):
    store = GcsBlobStore(BUCKET, f"tests/{secrets.token_hex(4)}")
    yield store
    store.close()


def test_a_missing_bucket_says_how_to_make_it(gcs_emulator, file, tmp_path):
    store = GcsBlobStore("no-such-bucket")
    for action in (
        lambda: store.upload(*file),
        lambda: store.download(file[0], tmp_path / "copy"),
        lambda: store.open(file[0]),
        lambda: list(store.digests()),
    ):
        with pytest.raises(SettingsError, match=r"buckets create gs://no-such-bucket"):
            action()


def test_a_server_that_is_gone_fails_in_bounded_time(file, monkeypatch, tmp_path):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    store = RetryingBlobStore(GcsBlobStore(BUCKET), deadline=2.0)
    begun = time.monotonic()
    with pytest.raises(UnavailableError, match=f"gs://{BUCKET}"):
        store.upload(*file)
    with pytest.raises(UnavailableError, match=f"gs://{BUCKET}"):
        store.download(file[0], tmp_path / "copy")

    assert time.monotonic() - begun < 8
    assert not (tmp_path / "copy").exists()


def test_a_server_that_comes_back_is_used_again(gcs_emulator, file, tmp_path, monkeypatch):
    with GcsEmulator() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        create_bucket(server.url)
        store = RetryingBlobStore(GcsBlobStore(BUCKET), deadline=8.0)
        assert store.upload(*file)
        server.kill()
        with pytest.raises(UnavailableError):
            GcsBlobStore(BUCKET).exists(file[0])
        server.start()
        create_bucket(server.url)

        assert store.upload(*file)
        store.download(file[0], tmp_path / "copy")


@pytest.mark.parametrize("size", [1_000, 10 << 20])
def test_other_bytes_under_that_name_are_noticed(store, tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(secrets.token_bytes(size))
    digest = digest_bytes(path.read_bytes())
    store._at(store._name(digest)).upload_from_string(b"other bytes")

    with pytest.raises(IntegrityError, match="delete it"):
        store.upload(digest, path)


def test_a_large_file_is_stored_once(store, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(secrets.token_bytes(20 << 20))
    digest = digest_bytes(path.read_bytes())
    told = []

    assert store.upload(digest, path, told.append)
    assert not store.upload(digest, path)
    assert sum(told) == 20 << 20


def test_what_was_read_to_its_end_leaves_a_connection_that_works(store, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(200_000))
    digest = digest_bytes(path.read_bytes())
    store.upload(digest, path)

    for _ in range(30):
        assert digest_bytes(store.open(digest).read()) == digest


def test_no_credentials_name_the_variable(monkeypatch, tmp_path, file):  # M2
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(SettingsError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        GcsBlobStore(BUCKET).upload(*file)

    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(SettingsError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        GcsBlobStore(BUCKET).upload(*file)


def test_a_server_that_says_nothing_is_told_in_time(monkeypatch, file):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        port = silent.getsockname()[1]
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        store = RetryingBlobStore(GcsBlobStore("bucket", timeout=0.1), deadline=2)
        begun = time.monotonic()

        with pytest.raises(UnavailableError, match="gs://bucket"):
            store.upload(*file)
        assert time.monotonic() - begun < 8


@pytest.mark.parametrize("size", [4, 20 << 20])
def test_a_file_that_was_changed_since_leaves_no_object(store, tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    with pytest.raises(IntegrityError, match="file"):
        store.upload(digest_bytes(data), tmp_path / "file")
    assert list(store.digests()) == []


def test_a_file_that_changes_meanwhile_leaves_no_object(store, tmp_path):
    data = os.urandom(40 << 20)
    path = tmp_path / "file"
    path.write_bytes(data)

    def spoil(_count):
        with path.open("r+b") as stream:
            stream.seek(-1, os.SEEK_END)
            stream.write(bytes([data[-1] ^ 1]))

    with pytest.raises(IntegrityError, match="file"):
        store.upload(digest_bytes(data), path, spoil)
    assert list(store.digests()) == []


UPLOAD = """
import pathlib, sys
from aletheia_like.adapters.gcs import GcsBlobStore
bucket, prefix, digest, path = sys.argv[1:]
def tell(count):
    print("sending", flush=True)
GcsBlobStore(bucket, prefix).upload(digest, pathlib.Path(path), tell)
"""


def test_a_killed_upload_leaves_no_object(store, tmp_path):
    data = os.urandom(100 << 20)
    path = tmp_path / "file"
    path.write_bytes(data)
    command = [
        sys.executable,
        "-c",
        UPLOAD,
        BUCKET,
        store._prefix.removesuffix("/blobs/"),
        digest_bytes(data),
        path,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    process.stdout.readline()
    process.kill()
    process.communicate()

    assert list(store.digests()) == []
    assert not store.exists(digest_bytes(data))


def test_other_objects_are_no_blobs(store, file):
    store.upload(*file)
    store._at(store._prefix.replace("blobs/", "notes.txt")).upload_from_string(b"a note")
    store._at(f"{store._prefix}notes.txt").upload_from_string(b"a note")

    assert list(store.digests()) == [file[0]]


@pytest.fixture
def files(tmp_path, store):
    """Store small files; return where each is to go, by its digest."""
    wanted = {}
    for number in range(30):
        path = tmp_path / f"sent-{number}"
        path.write_bytes(secrets.token_bytes(1_000 + number))
        digest = digest_bytes(path.read_bytes())
        store.upload(digest, path)
        wanted[digest] = str(tmp_path / digest)
    return wanted


def test_many_small_blobs_come_together(store, files):
    told = []

    came = dict(store.download_many(files.items(), told.append))

    assert came.keys() == files.keys()
    assert sorted(told) == sorted(came.values())
    assert all(digest_bytes(Path(path).read_bytes()) == digest for digest, path in files.items())


def test_a_blob_that_is_missing_is_left_to_whoever_asks_for_it(store, files, tmp_path):
    wanted = [("0" * 64, str(tmp_path / "none")), *files.items()]

    came = dict(store.download_many(wanted))

    assert len(came) < len(wanted)
    assert not (tmp_path / "none").exists()


def test_a_large_blob_does_not_come_with_small_ones(store, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(os.urandom((1 << 20) + 1))
    digest = digest_bytes(path.read_bytes())
    store.upload(digest, path)

    assert list(store.download_many([(digest, str(tmp_path / "copy"))])) == []


def test_of_many_those_with_other_bytes_do_not_come(store, files, tmp_path):
    changed, path = next(iter(files.items()))
    (tmp_path / "other").write_bytes(b"other bytes")
    client = store._clients.get()
    client.bucket(BUCKET).blob(store._name(changed)).upload_from_filename(tmp_path / "other")

    assert changed not in dict(store.download_many(files.items()))
    assert not Path(path).exists()
    assert list(tmp_path.glob("*.part")) == []


def test_who_stops_asking_for_many_may_ask_for_one(store, files, tmp_path):
    coming = store.download_many(files.items())
    next(coming)
    coming.close()

    store.download(next(iter(files)), tmp_path / "copy")
    assert (tmp_path / "copy").exists()


def test_a_fork_amid_many_leaves_both_processes_right(store, files, tmp_path):
    coming = store.download_many(files.items())
    came = [next(coming)[0]]
    child = os.fork()
    if not child:
        rest = [digest for digest, _ in coming]
        store.download(came[0], tmp_path / "copy")
        os._exit(bool(rest) or digest_bytes((tmp_path / "copy").read_bytes()) != came[0])

    came += [digest for digest, _ in coming]
    assert os.waitpid(child, 0)[1] == 0
    assert set(came) == files.keys()
