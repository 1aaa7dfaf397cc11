"""Transfers over a line that spoils them: right in the end, or one clear error."""  # B4

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time

import pytest

import aletheia_like as al
from aletheia_like.adapters import _gcsmedia
from aletheia_like.adapters._gcsmedia import PART_BYTES
from aletheia_like.adapters.gcs import GcsBlobStore
from aletheia_like.adapters.retrying import RetryingBlobStore
from aletheia_like.cache import LocalCache
from aletheia_like.model.digests import Manifest, ManifestEntry, digest_bytes
from aletheia_like.testing.emulators import BUCKET
from tests.faults.faulty import Faulty

LARGE = 40 << 20


@pytest.fixture
def line(gcs_emulator, monkeypatch):
    with Faulty(os.environ["STORAGE_EMULATOR_HOST"]) as line:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", line.url)
        yield line


@pytest.fixture
def bare(line):
    store = GcsBlobStore(BUCKET, f"faults/{secrets.token_hex(4)}")
    yield store
    store.close()


@pytest.fixture
def store(bare):
    return RetryingBlobStore(bare, deadline=8)


@pytest.fixture
def file(tmp_path):
    def make(size):
        path = tmp_path / f"file-{size}"
        path.write_bytes(os.urandom(size))
        return digest_bytes(path.read_bytes()), path

    return make


def left(tmp_path):
    return [path.name for path in tmp_path.rglob("*.part")]


@pytest.mark.parametrize("size", [1_000, 3_000_000])
@pytest.mark.parametrize("faults", [[429, 429, 503], ["cut", "cut"], ["flip"], ["drop", 500]])
def test_a_transfer_gets_through(store, line, file, tmp_path, size, faults):
    digest, path = file(size)
    line.plan.extend(one for one in faults if one not in ("cut", "flip"))
    assert store.upload(digest, path)
    line.plan.extend(faults)
    told = []
    store.download(digest, tmp_path / "copy", told.append)

    assert (tmp_path / "copy").read_bytes() == path.read_bytes()
    assert sum(told) == size
    assert left(tmp_path) == []


@pytest.mark.parametrize("size", [1_000, 3_000_000, 12 << 20])
def test_bytes_that_change_on_their_way_there_are_sent_again(store, line, file, tmp_path, size):
    digest, path = file(size)
    line.concerns = lambda method, path: method == "PUT" or "uploadType=multipart" in path
    line.plan.append("flip-sent")
    told = []

    assert store.upload(digest, path, told.append)
    store.download(digest, tmp_path / "copy")
    assert digest_bytes((tmp_path / "copy").read_bytes()) == digest
    assert sum(told) == size


def test_wrong_bytes_that_cannot_be_taken_back_are_told(store, line, file):
    digest, path = file(1_000)
    line.concerns = lambda method, path: "uploadType=multipart" in path or method == "DELETE"
    line.plan.extend(["flip-sent", 403])

    for words in ("than were sent: delete it", "than its name says: delete it"):
        with pytest.raises(al.IntegrityError, match=words):
            store.upload(digest, path)


@pytest.mark.parametrize("storm", [429, 503])
def test_a_storm_is_one_clear_error_in_time(bare, line, file, tmp_path, storm):
    digest, path = file(1_000)
    bare.upload(digest, path)
    line.storm = storm
    store = RetryingBlobStore(bare, deadline=1)
    begun = time.monotonic()

    with pytest.raises(al.UnavailableError, match=f"gs://{BUCKET}.*by the test"):
        store.download(digest, tmp_path / "copy")
    assert time.monotonic() - begun < 10
    assert left(tmp_path) == []
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_are_told_at_once(store, line, file, tmp_path, status):
    digest, path = file(1_000)
    line.storm = status

    for action in (
        lambda: store.upload(digest, path),
        lambda: store.download(digest, tmp_path / "copy"),
    ):
        line.seen.clear()
        with pytest.raises(al.AccessDeniedError, match="credentials"):
            action()
        assert len(line.seen) == 1
    line.storm = None
    assert not store.exists(digest)


def test_a_bucket_that_vanishes_is_told(line, file, tmp_path, monkeypatch):
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client("demo-aletheia", credentials=AnonymousCredentials())
    bucket = client.create_bucket(f"gone-{secrets.token_hex(4)}")
    store = GcsBlobStore(bucket.name)
    digest, path = file(1_000)
    store.upload(digest, path)
    bucket.delete(force=True)

    with pytest.raises(al.SettingsError, match=f"there is no bucket gs://{bucket.name}"):
        store.download(digest, tmp_path / "copy")
    with pytest.raises(al.SettingsError, match=f"there is no bucket gs://{bucket.name}"):
        store.upload(digest, path)


def test_a_download_goes_on_where_it_broke_off(bare, line, file, tmp_path):
    digest, path = file(LARGE)
    bare.upload(digest, path)
    line.concerns = lambda method, path: "/download/" in path
    line.plan.extend([None, None])
    line.storm = 503
    with pytest.raises(al.UnavailableError):
        bare.download(digest, tmp_path / "copy")
    assert left(tmp_path) == [f".{digest}.part"]
    kept = (tmp_path / f".{digest}.part").stat().st_size
    assert kept >= PART_BYTES

    line.storm = None
    line.seen.clear()
    told = []
    bare.download(digest, tmp_path / "copy", told.append)
    asked = [headers["Range"] for method, _, headers in line.seen if method == "GET"]
    assert asked[0].startswith(f"bytes={kept}-")
    assert sum(told) == LARGE
    assert digest_bytes((tmp_path / "copy").read_bytes()) == digest
    assert left(tmp_path) == []


def test_a_damaged_beginning_is_not_continued(store, bare, line, file, tmp_path):
    digest, path = file(12 << 20)
    bare.upload(digest, path)
    (tmp_path / f".{digest}.part").write_bytes(bytes(PART_BYTES))

    store.download(digest, tmp_path / "copy")
    assert digest_bytes((tmp_path / "copy").read_bytes()) == digest
    assert left(tmp_path) == []


def test_a_large_download_survives_cuts_all_along(store, bare, line, file, tmp_path):
    digest, path = file(LARGE)
    bare.upload(digest, path)
    line.concerns = lambda method, path: "/download/" in path
    line.plan.extend(["cut", None, "cut", None, 503, "drop", None, 429])

    store.download(digest, tmp_path / "copy")
    assert digest_bytes((tmp_path / "copy").read_bytes()) == digest


def test_a_part_that_was_changed_on_its_way_is_fetched_again(store, bare, line, file, tmp_path):
    digest, path = file(20 << 20)
    bare.upload(digest, path)
    line.concerns = lambda method, path: "/download/" in path
    line.plan.extend([None, "flip"])
    told = []

    store.download(digest, tmp_path / "copy", told.append)
    assert digest_bytes((tmp_path / "copy").read_bytes()) == digest
    assert sum(told) == 20 << 20
    assert left(tmp_path) == []


def test_an_upload_goes_on_where_it_broke_off(store, line, file, monkeypatch):
    monkeypatch.setattr(_gcsmedia, "_SENT_BYTES", 16 << 20)
    digest, path = file(LARGE)
    line.concerns = lambda method, path: method == "PUT"
    line.plan.extend([None, "drop", 503, 503])
    told = []

    assert store.upload(digest, path, told.append)
    assert sum(told) == LARGE
    assert digest_bytes(store.open(digest).read()) == digest
    begun = [path for method, path, _ in line.seen if method == "POST"]
    sent = sum(
        int(headers.get("Content-Length") or 0)
        for method, _, headers in line.seen
        if method == "PUT"
    )
    assert len(begun) == 1
    # A part that failed is tried again at half its size, so that a line that breaks off often
    # gets something through.
    assert sent == LARGE + (16 + 8 + 4 << 20)


def test_wrong_bytes_at_rest_are_refused_and_leave_nothing(store, bare, file, tmp_path):
    digest, _ = file(1_000)
    other = os.urandom(12 << 20)
    bare._at(bare._name(digest)).upload_from_string(other)

    with pytest.raises(al.IntegrityError, match=digest):
        store.download(digest, tmp_path / "copy")
    assert left(tmp_path) == []


KILLED = """
import os, pathlib, signal, sys
from aletheia_like.adapters.gcs import GcsBlobStore
bucket, prefix, digest, path = sys.argv[1:]
left = 20 << 20
def tell(count):
    global left
    left -= count
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
GcsBlobStore(bucket, prefix).download(digest, pathlib.Path(path), tell)
"""


def test_what_a_killed_process_left_is_continued(bare, line, file, tmp_path):  # D9
    digest, path = file(LARGE)
    bare.upload(digest, path)
    command = [sys.executable, "-c", KILLED, BUCKET, bare._prefix.removesuffix("/blobs/")]
    killed = subprocess.run([*command, digest, tmp_path / "copy"], check=False)
    assert killed.returncode == -9
    assert not (tmp_path / "copy").exists()
    kept = (tmp_path / f".{digest}.part").stat().st_size

    line.seen.clear()
    bare.download(digest, tmp_path / "copy")
    asked = [headers["Range"] for method, _, headers in line.seen if method == "GET"]
    assert kept > 20 << 20
    assert asked[0].startswith(f"bytes={kept}-")
    assert digest_bytes((tmp_path / "copy").read_bytes()) == digest
    assert left(tmp_path) == []


GROWTH = """
import pathlib, resource, sys
from aletheia_like.adapters.gcs import GcsBlobStore
bucket, prefix, digest, path, small, small_digest = sys.argv[1:]
store = GcsBlobStore(bucket, prefix)
store.upload(small_digest, pathlib.Path(small))
store.download(small_digest, pathlib.Path(path + ".small"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.upload(digest, pathlib.Path(path))
store.download(digest, pathlib.Path(path + ".copy"))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_is_bounded_whatever_the_size(gcs_emulator, file, tmp_path):
    digest, path = file(128 << 20)
    small_digest, small = file(1_000)
    command = [sys.executable, "-c", GROWTH, BUCKET, f"faults/{secrets.token_hex(4)}"]
    command += [digest, path, small, small_digest]
    told = subprocess.run(command, capture_output=True, text=True, check=True)

    assert int(told.stdout) < 100
    store = GcsBlobStore(BUCKET, command[4])
    store.delete(digest)


@pytest.mark.parametrize("faults", [[429, 503, "cut"], ["flip", "drop", 429]])
def test_many_small_files_get_through(store, line, tmp_path, faults):
    entries = []
    for number in range(24):
        path = tmp_path / f"{number}"
        path.write_bytes(os.urandom(2_000))
        entries.append(ManifestEntry(path.name, digest_bytes(path.read_bytes()), 2_000))
        store.upload(entries[-1].digest, path)
    line.plan.extend([None] * 9 + faults[:1] + [None] * 5 + faults)
    told, finished = [], []

    cache = LocalCache(tmp_path / "cache", store)
    folder = cache.fetch_tree(Manifest.of(entries), told.append, finished=finished.append)

    for one in entries:
        assert (folder / one.path).read_bytes() == (tmp_path / one.path).read_bytes()
    assert (sum(told), sum(finished)) == (48_000, 24)
    assert left(tmp_path) == []


def test_many_small_files_that_are_missing_are_one_error(store, line, tmp_path):
    entries = [ManifestEntry(f"{n}", digest_bytes(b"%d" % n), 1) for n in range(40)]
    cache = LocalCache(tmp_path / "cache", store)

    with pytest.raises(al.NotFoundError, match="there is no blob"):
        cache.fetch_tree(Manifest.of(entries))
    assert left(tmp_path) == []
