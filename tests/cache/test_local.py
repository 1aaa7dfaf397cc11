"""Local copies: complete and verified under their final name, or not there at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from aletheia_like.adapters.directory import DirectoryBlobStore
from aletheia_like.cache import LocalCache
from aletheia_like.cache.records import seen, this_boot
from aletheia_like.errors import (
    AccessDeniedError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
)
from aletheia_like.model.digests import digest_bytes


def test_nothing_is_created_before_the_first_download(cache, tmp_path):
    assert cache.path("0" * 64) is None
    assert (cache.ls(), cache.size()) == ([], 0)
    assert not (tmp_path / "cache").exists()


def test_a_hit_asks_nobody(cache, stored, usage):  # A16, D6, B12
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


@pytest.mark.parametrize("way", ["blob", "file", "tree"])
def test_a_bit_that_rotted_silently_is_found_by_verifying(cache, stored, stored_tree, way):  # D10
    manifest = stored_tree({"a.txt": "data"})
    digest = stored(b"data")

    def fetch(**options):
        match way:
            case "blob":
                return cache.fetch(digest, **options)
            case "file":
                return cache.fetch_file(digest, "a.txt", **options)
        return cache.fetch_tree(manifest, **options) / "a.txt"

    path = fetch()
    path.chmod(0o644)
    edit_keeping_the_time(path)
    remember_as_it_is(cache, path)

    assert fetch().read_bytes() == b"DATA"
    assert fetch(verify=True).read_bytes() == b"data"
    assert fetch().read_bytes() == b"data"


def remember_as_it_is(cache, path):
    """Make the records say what `stat` says, as if the medium had decayed beneath it."""
    status = path.stat()
    record = [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]
    for tree in (cache.root / "records" / "trees").glob("*.json"):
        tree.write_text(json.dumps(json.loads(tree.read_text()) | {"stats": record}))
    blob = cache.root / "records" / digest_bytes(b"data")[:2] / digest_bytes(b"data")
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_text(" ".join(map(str, record)))


def test_a_lost_or_broken_record_costs_a_hash_and_no_download(cache, stored, usage):
    path = cache.fetch(stored(b"data"))
    record = cache.root / "records" / path.name[:2] / path.name
    before = usage.snapshot()
    for text in ("", "nonsense", "1 2"):
        record.write_text(text)
        assert cache.fetch(path.name) == path
    record.unlink()

    assert cache.fetch(path.name) == path
    assert usage.snapshot() == before


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


def test_a_large_tree_is_healed_where_it_was_hurt(cache, stored_tree, usage):  # D11
    manifest = stored_tree({f"{n % 10}/{n}.txt": str(n) for n in range(1000)})
    folder = cache.fetch_tree(manifest)
    assert sum(1 for path in folder.rglob("*.txt")) == 1000
    (folder / "3" / "333.txt").unlink()
    (folder / "7" / "777.txt").chmod(0o644)
    edit(folder / "7" / "777.txt")
    before = usage.snapshot()
    cache.fetch_tree(manifest)

    assert (folder / "3" / "333.txt").read_text() == "333"
    assert (folder / "7" / "777.txt").read_text() == "777"
    assert (usage.snapshot() - before).blob_reads == 1
    assert cache.tree(manifest.digest, 1000) == folder


def test_a_tree_that_broke_off_is_no_tree_until_it_is_whole(cache, stored_tree, origin):
    manifest = stored_tree({"a.txt": "a", "b.txt": "b"})
    last = manifest.entries[1].digest
    origin.delete(last)

    with pytest.raises(NotFoundError, match=last):
        cache.fetch_tree(manifest)
    assert cache.tree(manifest.digest, 2) is None
    stored_tree({"a.txt": "a", "b.txt": "b"})
    assert (cache.fetch_tree(manifest) / "b.txt").read_text() == "b"


@pytest.mark.parametrize("error", [UnavailableError, AccessDeniedError])
def test_what_the_origin_says_is_passed_on(tmp_path, stored_tree, error):
    class Refusing(DirectoryBlobStore):
        def download(self, digest, path, progress=None):
            message = "the origin's own words"
            raise error(message)

    manifest = stored_tree({"a.txt": "a"})
    cache = LocalCache(tmp_path / "cache", Refusing(tmp_path / "origin"))

    with pytest.raises(error, match=r"^the origin's own words$"):
        cache.fetch_tree(manifest)


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


def test_leftovers_of_killed_downloads_are_ignored_and_removed_when_old(cache, stored, origin):
    path = cache.fetch(stored(b"data"))
    old, new = (path.with_name(f".{path.name}.{name}.part") for name in ("old", "new"))
    for leftover in (old, new):
        leftover.write_bytes(b"da")
    os.utime(old, (1e9, 1e9))
    assert [blob.digest for blob in cache.ls()] == [path.name]
    assert (cache.size(), cache.verify().checked) == (4, 1)

    path.unlink()
    LocalCache(cache.root, origin).fetch(path.name)
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize("digest", ["../../etc/passwd", "a/b", "", "A" * 64])
def test_what_is_no_digest_is_refused(cache, digest):
    for action in (
        lambda: cache.fetch(digest),
        lambda: cache.fetch_file(digest, "a.txt"),
        lambda: cache.path(digest),
        lambda: cache.tree(digest, 1),
    ):
        with pytest.raises(InvalidValueError):
            action()


def test_a_list_says_what_was_used_last(cache, stored):
    older, newer = cache.fetch(stored(b"1")), cache.fetch(stored(b"22"))
    os.utime(cache.root / "records" / newer.name[:2] / newer.name, (2e9, 2e9))

    assert [blob.digest for blob in cache.ls()] == [newer.name, older.name]
    assert cache.size() == 3


FETCH = """
import sys, pathlib
from aletheia_like.adapters.directory import DirectoryBlobStore
from aletheia_like.cache import LocalCache
from aletheia_like.cache.records import seen, this_boot
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
    blob = cache.root / "blobs" / digest[:2] / digest
    while any(process.poll() is None for process in started):
        assert not blob.exists() or blob.stat().st_size == 50_000_000
        time.sleep(0.002)
    outputs = [process.communicate(timeout=120)[0] for process in started]

    assert [process.returncode for process in started] == [0] * 16
    assert "".join(outputs).count("downloading") == 1


def test_a_killed_download_leaves_nothing_wrong(cache, stored, tmp_path):  # D9
    digest = stored(os.urandom(40_000_000))
    command = [sys.executable, "-c", FETCH, str(tmp_path / "origin"), str(cache.root), digest]
    for pause in (0.0, 0.01, 0.03):
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


def test_a_cache_that_cannot_be_written_gives_hits(cache, stored, mounted):
    digest = stored(b"data")
    tree = cache.fetch_file(digest, "a.txt")
    with mounted(cache.root, "--bind", str(cache.root)):
        subprocess.run(["mount", "-o", "remount,ro,bind", cache.root], check=True)
        assert cache.fetch(digest).read_bytes() == b"data"
        assert cache.fetch_file(digest, "a.txt") == tree
        with pytest.raises(AccessDeniedError, match="another cache_dir"):
            cache.fetch(stored(b"more"))


def test_a_full_disk_is_told_and_harms_nothing(tmp_path, origin, stored, mounted):
    root = tmp_path / "small"
    root.mkdir()
    with mounted(root, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        cache = LocalCache(root, origin)
        small, large = stored(b"small"), stored(os.urandom(3_000_000))
        cache.fetch(small)

        for _ in range(2):
            with pytest.raises(UnavailableError, match="space"):
                cache.fetch(large)
        with pytest.raises(UnavailableError, match="space"):
            cache.fetch_file(large, "large.bin")
        assert cache.path(large) is None
        assert cache.fetch(small).read_bytes() == b"small"
        assert not list(root.rglob("*.part"))
        cache.release()


@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_after_a_power_cut_new_files_are_hashed_before_they_are_believed(
    cache, stored, stored_tree, usage, kind
):
    # What was not on the disk yet may be zeros in a file that looks as it did.
    manifest, digest = stored_tree({"a": "first", "b": "second"}), stored(b"whole")
    path = cache.fetch(digest) if kind == "blob" else cache.fetch_tree(manifest) / "a"
    path.chmod(0o644)
    lost = bytes(path.stat().st_size)
    path.write_bytes(lost)
    records = [one for one in (cache.root / "records").rglob("*") if one.is_file()]
    _as_seen(records, path, this_boot())
    assert _again(cache, manifest, digest, kind) == lost
    _as_seen(records, path, "another-boot")

    assert _again(cache, manifest, digest, kind) == (b"whole" if kind == "blob" else b"first")


@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_what_is_used_later_is_on_the_disk_and_outlives_a_restart(
    cache, stored, stored_tree, kind
):
    manifest, digest = stored_tree({"a": "first", "b": "second"}), stored(b"whole")
    _again(cache, manifest, digest, kind)
    records = [one for one in (cache.root / "records").rglob("*") if one.is_file()]
    assert any(this_boot() in one.read_text() for one in records)
    for one in records:
        os.utime(one, (0, 0))
    _again(cache, manifest, digest, kind)

    assert not any(this_boot() in one.read_text() for one in records)


def _again(cache, manifest, digest, kind):
    path = cache.fetch(digest) if kind == "blob" else cache.fetch_tree(manifest) / "a"
    return path.read_bytes()


def _as_seen(records, path, boot):
    """Let every record show a file as it is now, of a boot."""
    now = " ".join(map(str, seen(path)))
    for record in records:
        if record.suffix != ".json":
            record.write_text(f"{now} {boot}")
            continue
        known = json.loads(record.read_text())
        at = 4 * known["paths"].index(path.name)
        known["stats"][at : at + 4] = seen(path)
        record.write_text(json.dumps(known | {"boot": boot}))


def test_files_of_a_tree_are_told_one_by_one(cache, stored_tree):
    manifest = stored_tree({"a": "same", "b": "same", "c": "other", "d/e": "third"})
    told = []
    cache.fetch_tree(manifest, finished=told.append)

    assert sorted(told) == [1, 1, 2]
