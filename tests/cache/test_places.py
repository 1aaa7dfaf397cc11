"""Disks that are full or odd, and what dead processes left there."""

from __future__ import annotations

import os
import random
import subprocess
import time

import pytest

from aletheia_like.cache import LocalCache
from aletheia_like.cache.places import Places
from aletheia_like.cache.sweeping import sweep
from aletheia_like.errors import UnavailableError
from aletheia_like.model.digests import digest_bytes


def test_a_directory_that_did_not_fit_is_gone_on_with(
    tmp_path, origin, stored, stored_tree, mounted, usage
):
    root = tmp_path / "small"
    root.mkdir()
    manifest = stored_tree({f"{number}.txt": f"{number}" * 100_000 for number in range(10, 30)})
    with mounted(root, "-t", "tmpfs", "-o", "size=2m", "tmpfs"):
        cache = LocalCache(root, origin)
        old = cache.fetch(stored(b"old"))
        with pytest.raises(UnavailableError, match="space"):
            cache.fetch_tree(manifest)
        assert cache.tree(manifest.digest, 20) is None
        assert old.read_bytes() == b"old"
        arrived = len(cache.ls()) - 1
        assert arrived > 0
        subprocess.run(["mount", "-o", "remount,size=16m", root], check=True)
        before = usage.snapshot()
        folder = cache.fetch_tree(manifest)
        read = (usage.snapshot() - before).blob_reads
        texts = {path.name: path.read_text() for path in folder.iterdir()}
        cache.release()

    assert read == 20 - arrived
    assert texts == {f"{number}.txt": f"{number}" * 100_000 for number in range(10, 30)}


def test_without_hard_links_files_are_copied(cache, stored_tree, mounted, usage):  # D11
    # A mount of its own takes no links from elsewhere, as other file systems do.
    trees = cache.root / "trees"
    trees.mkdir(parents=True)
    manifest = stored_tree({"a.txt": "aaaa", "deep/b.txt": "bbbb"})
    with mounted(trees, "--bind", str(trees)):
        folder = cache.fetch_tree(manifest)
        copy = folder / "deep" / "b.txt"
        assert copy.stat().st_nlink == 1
        assert cache.tree(manifest.digest, 2) == folder
        assert (cache.size(), cache.verify().checked) == (16, 4)

        copy.chmod(0o644)
        copy.write_text("BBBB")
        assert cache.verify().wrong == (copy,)
        before = usage.snapshot()
        assert (cache.fetch_tree(manifest) / "deep" / "b.txt").read_text() == "bbbb"
        assert usage.snapshot() == before
        cache.release()
        assert cache.prune(max_size=0).size == 0
        assert not list(trees.iterdir())


@pytest.mark.parametrize("hidden", [False, True])
def test_a_file_that_was_added_to_a_directory_is_set_aside(cache, stored_tree, usage, hidden):
    manifest = stored_tree({"a.txt": "a", "deep/b.txt": "b"})
    folder = cache.fetch_tree(manifest)
    name = ".hidden" if hidden else "c.txt"
    (folder / "deep" / name).write_text("of nobody")
    assert cache.tree(manifest.digest, 2) is None
    before = usage.snapshot()

    assert cache.fetch_tree(manifest) == folder == cache.tree(manifest.digest, 2)
    assert sorted(path.name for path in (folder / "deep").iterdir()) == ["b.txt"]
    assert [path.read_text() for path in cache.root.glob("quarantine/*")] == ["of nobody"]
    assert usage.snapshot() == before


FOREIGN = [
    "[]",
    '{"a.txt": [1, 2, 3, 4]}',
    '{"format":2,"paths":["../../../a"],"sha256":["%s"],"stats":[1,2,3,4],'
    '"folders":[1],"folder_stats":[1,2]}' % ("0" * 64),
    '{"format":2,"paths":[1],"sha256":[2],"stats":["x",2,3,4],"folders":[""],"folder_stats":[1,2]}',
]


@pytest.mark.parametrize("text", FOREIGN)
def test_a_record_of_somebody_else_leads_nowhere(cache, stored_tree, tmp_path, usage, text):
    manifest = stored_tree({"a.txt": "a"})
    folder = cache.fetch_tree(manifest)
    outside = tmp_path / "a"
    outside.write_text("precious")
    (cache.root / "records" / "trees" / f"{manifest.digest}.json").write_text(text)
    before = usage.snapshot()

    assert cache.verify(repair=True).wrong == ()
    assert cache.fetch_tree(manifest) == folder == cache.tree(manifest.digest, 1)
    assert outside.read_text() == "precious"
    assert usage.snapshot() == before


def test_a_flipped_bit_is_found_although_size_and_time_are_the_same(
    cache, stored_tree, usage
):  # D10
    manifest = stored_tree({"a.bin": "\x00" * 4096, "b.bin": "b"})
    path = cache.fetch_tree(manifest) / "a.bin"
    status = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"\x01")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.chmod(0o444)
    before = usage.snapshot()

    assert (cache.fetch_tree(manifest) / "a.bin").read_bytes() == b"\x00" * 4096
    assert (usage.snapshot() - before).blob_reads == 1
    (aside,) = cache.root.glob("quarantine/*")
    assert aside.read_bytes()[1000] == 1


FETCH = """
manifest = Manifest.from_text(pathlib.Path(words[0]).read_text())
print("ready", flush=True)
cache.fetch_tree(manifest)
cache.fetch(words[1])
cache.release()
cache.prune(max_size=0)
"""


def test_kills_at_any_moment_leave_nothing_wrong_and_nothing_that_grows(
    cache, stored, stored_tree, tmp_path, start
):  # D9
    manifest = stored_tree({f"{number % 7}/{number}.txt": str(number) for number in range(300)})
    digest = stored(os.urandom(3_000_000))
    text = tmp_path / "manifest"
    text.write_text(manifest.to_text())
    pick = random.Random(7)
    for _ in range(5):
        process = start(FETCH, text, digest)
        process.stdout.readline()
        time.sleep(pick.uniform(0.0, 0.6))
        process.kill()
        process.wait()
        for blob in cache.ls():
            assert digest_bytes(blob.path.read_bytes()) == blob.digest
        for folder in cache.root.glob("trees/[0-9a-f]*"):
            assert sum(1 for one in folder.rglob("*.txt")) == 300

    assert sorted(map(read, cache.fetch_tree(manifest).rglob("*.txt"))) == sorted(
        map(str, range(300))
    )
    assert digest_bytes(cache.fetch(digest).read_bytes()) == digest
    cache.release()
    cache.prune(max_size=0)
    make_old(cache.root)
    sweep(Places(cache.root))
    left = {path.relative_to(cache.root).as_posix() for path in files(cache.root)}
    assert left <= {"CACHEDIR.TAG", ".swept", "leases/.gate"}


def read(path):
    return path.read_text()


def files(root):
    return [path for path in root.rglob("*") if path.is_file()]


def make_old(root):
    long_ago = time.time() - 3 * 24 * 3600
    for path in (*files(root), *root.glob("trees/.*")):
        os.utime(path, (long_ago, long_ago))


def test_leftovers_of_a_dead_download_go_with_the_next_one(cache, stored):
    digest = stored(b"data")
    folder = cache.root / "blobs" / digest[:2]
    folder.mkdir(parents=True)
    dead = folder / f".{digest}.{'0' * 16}.part"
    living = folder / f".{digest}.{'1' * 16}.part"
    another = folder / f".{'f' * 64}.{'2' * 16}.part"
    for path in (dead, living, another):
        path.write_bytes(b"da")
    two_minutes_ago = time.time() - 120
    for path in (dead, another):
        os.utime(path, (two_minutes_ago, two_minutes_ago))
    cache.fetch(digest)

    assert (dead.exists(), living.exists(), another.exists()) == (False, True, True)


def test_quarantine_is_kept_for_a_week(cache, stored):
    path = cache.fetch(stored(b"data"))
    for at in range(2):
        path.chmod(0o644)
        path.write_bytes(b"DATA")
        cache.fetch(path.name)
        if not at:
            (old,) = cache.root.glob("quarantine/*")
            long_ago = time.time() - 8 * 24 * 3600
            os.utime(old, (long_ago, long_ago))
    sweep(Places(cache.root))

    assert len(list(cache.root.glob("quarantine/*"))) == 1
    assert not old.exists()
