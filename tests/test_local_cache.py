"""Local copies: complete and verified under their final name, or not there at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from aletheia_like.adapters.counting import CountingBlobStore
from aletheia_like.adapters.directory import DirectoryBlobStore
from aletheia_like.cache import LocalCache
from aletheia_like.capture.files import read_manifest
from aletheia_like.errors import InvalidValueError, UnavailableError
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.usage import Usage


@pytest.fixture
def usage():
    return Usage()


@pytest.fixture
def origin(tmp_path, usage):
    return CountingBlobStore(DirectoryBlobStore(tmp_path / "origin"), usage)


@pytest.fixture
def cache(tmp_path, origin):
    return LocalCache(tmp_path / "cache", origin)


@pytest.fixture
def stored(tmp_path, origin):
    """Store bytes at the origin and return their digest."""

    def store(data):
        digest = digest_bytes(data)
        path = tmp_path / digest
        path.write_bytes(data)
        origin.upload(digest, path)
        path.unlink()
        return digest

    return store


@pytest.fixture
def stored_tree(tmp_path, origin):
    """Store a directory at the origin and return its manifest."""

    def store(files):
        root = tmp_path / "tree"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        tree = read_manifest(root)
        for entry in tree.manifest:
            origin.upload(entry.digest, root / entry.path)
        return tree.manifest

    return store


def test_nothing_is_created_before_the_first_download(cache, tmp_path):
    assert cache.path("0" * 64) is None
    assert (cache.ls(), cache.size()) == ([], 0)
    assert not (tmp_path / "cache").exists()


def test_a_hit_asks_nobody(cache, stored, usage):  # D6, B12
    digest = stored(b"data")
    first = cache.fetch(digest)
    before = usage.snapshot()

    assert cache.fetch(digest) == first == cache.path(digest)
    assert usage.snapshot() == before
    assert first.name == digest
    assert first.read_bytes() == b"data"
    assert not first.stat().st_mode & 0o222
    assert (cache.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172")


def truncate(path):
    path.write_bytes(path.read_bytes()[:2])


def edit(path):
    path.write_bytes(b"DATA")


def edit_keeping_the_time(path):
    status = path.stat()
    path.write_bytes(b"DATA")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def remove(path):
    path.unlink()


@pytest.mark.parametrize("damage", [truncate, edit, edit_keeping_the_time, remove])
@pytest.mark.parametrize("named", [False, True])
def test_a_changed_file_is_noticed_and_fetched_anew(cache, stored, damage, named):  # D10
    digest = stored(b"data")

    def fetch():
        return cache.fetch_file(digest, "a.txt") if named else cache.fetch(digest)

    path = fetch()
    path.chmod(0o644)
    damage(path)

    assert fetch().read_bytes() == b"data"
    aside = list((cache.root / "quarantine").glob("*"))
    assert len(aside) == (0 if damage is remove else 1)


def test_a_touched_file_is_not_fetched_anew(cache, stored, usage):
    path = cache.fetch(stored(b"data"))
    os.utime(path)
    before = usage.snapshot()

    assert cache.fetch(path.name) == path
    assert usage.snapshot() == before


def test_a_file_keeps_its_name_and_suffix(cache, stored):
    path = cache.fetch_file(stored(b"a,b\n"), "table.csv")

    assert path.name == "table.csv"
    for name in ("../x", "/etc/passwd", "a/../../b", ""):
        with pytest.raises(InvalidValueError):
            cache.fetch_file(stored(b"a,b\n"), name)


def test_a_tree_is_whole_and_healed(cache, stored_tree, usage):  # D11
    manifest = stored_tree({"a.txt": "a", "deep/b.txt": "b", "deep/same.txt": "a"})
    folder = cache.fetch_tree(manifest)
    assert (folder / "deep" / "same.txt").read_text() == "a"
    assert cache.tree(manifest.digest, 3) == folder

    (folder / "a.txt").unlink()
    (folder / "deep" / "b.txt").chmod(0o644)
    (folder / "deep" / "b.txt").write_text("changed")
    assert cache.tree(manifest.digest, 3) is None
    assert cache.fetch_tree(manifest) == folder
    assert (folder / "a.txt").read_text() == "a"
    assert (folder / "deep" / "b.txt").read_text() == "b"
    before = usage.snapshot()
    cache.fetch_tree(manifest)
    assert usage.snapshot() == before


def test_two_trees_share_their_blobs(cache, stored_tree, tmp_path, usage):
    first = stored_tree({"a.txt": "a", "b.txt": "b"})
    cache.fetch_tree(first)
    (tmp_path / "tree" / "c.txt").write_text("c")
    second = stored_tree({"c.txt": "c"})
    before = usage.snapshot()
    cache.fetch_tree(second)

    assert (usage.snapshot() - before).blob_reads == 1
    assert cache.tree(first.digest, 2) is not None or cache.fetch_tree(first)


def test_verify_reports_and_repairs(cache, stored):
    good, bad = cache.fetch(stored(b"good")), cache.fetch(stored(b"bad"))
    status = bad.stat()
    bad.chmod(0o644)
    bad.write_bytes(b"BAD")
    os.utime(bad, ns=(status.st_atime_ns, status.st_mtime_ns))

    report = cache.verify()
    assert (report.checked, report.wrong) == (2, (bad,))
    assert cache.verify(repair=True).wrong == (bad,)
    assert cache.verify().checked == 1
    assert cache.path(good.name) == good


def test_a_list_says_what_was_used_last(cache, stored):
    older, newer = cache.fetch(stored(b"1")), cache.fetch(stored(b"22"))
    os.utime(cache.root / "records" / newer.name[:2] / newer.name, (2e9, 2e9))

    assert [blob.digest for blob in cache.ls()] == [newer.name, older.name]
    assert cache.size() == 3


FETCH = """
import sys, pathlib
from aletheia_like.adapters.directory import DirectoryBlobStore
from aletheia_like.cache import LocalCache
from aletheia_like.model.digests import digest_bytes
origin, root, digest = sys.argv[1:]
class Slow(DirectoryBlobStore):
    def download(self, digest, path, progress=None):
        print("downloading", flush=True)
        super().download(digest, path, progress)
path = LocalCache(pathlib.Path(root), Slow(pathlib.Path(origin))).fetch(digest)
assert digest_bytes(path.read_bytes()) == digest
"""


def test_sixteen_processes_download_once(cache, stored, tmp_path):  # D8
    digest = stored(os.urandom(50_000_000))
    command = [sys.executable, "-c", FETCH, str(tmp_path / "origin"), str(cache.root), digest]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(16)]
    outputs = [process.communicate(timeout=120)[0] for process in started]

    assert [process.returncode for process in started] == [0] * 16
    assert "".join(outputs).count("downloading") == 1


def test_a_killed_download_leaves_nothing_wrong(cache, stored, tmp_path):  # D9
    digest = stored(os.urandom(80_000_000))
    command = [sys.executable, "-c", FETCH, str(tmp_path / "origin"), str(cache.root), digest]
    for pause in (0.0, 0.01, 0.03, 0.06):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        blob = cache.root / "blobs" / digest[:2] / digest
        assert not blob.exists() or digest_bytes(blob.read_bytes()) == digest

    assert digest_bytes(cache.fetch(digest).read_bytes()) == digest


def test_threads_get_one_tree(cache, stored_tree):
    manifest = stored_tree({f"{number}.txt": str(number) for number in range(200)})
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: cache.fetch_tree(manifest), range(16)))

    (folder,) = folders
    assert sorted(path.read_text() for path in folder.iterdir()) == sorted(map(str, range(200)))


def test_a_cache_that_cannot_be_written_gives_hits(cache, stored, tmp_path):
    digest = stored(b"data")
    tree = cache.fetch_file(digest, "a.txt")
    mounted = subprocess.run(
        ["mount", "--bind", "-o", "ro", cache.root, cache.root], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", cache.root], check=True)
        assert cache.fetch(digest).read_bytes() == b"data"
        assert cache.fetch_file(digest, "a.txt") == tree
        with pytest.raises((UnavailableError, PermissionError)):
            cache.fetch(stored(b"more"))
    finally:
        subprocess.run(["umount", cache.root], check=True)
