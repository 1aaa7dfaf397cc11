"""Making room: the least recently used goes, never what is pinned or in use."""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from aletheia_like.cache import Holding, LocalCache
from aletheia_like.cache.pruning import Bounds, choose
from aletheia_like.errors import InvalidValueError, UnavailableError


def used(cache, digest, at):
    """Make something look as if it was last used at a moment."""
    for record in cache.root.glob(f"records/*/{digest}*"):
        os.utime(record, (at, at))


@pytest.fixture
def three(cache, stored):
    """Three files of 1,000 bytes, the oldest first, that nobody uses."""
    digests = [stored(bytes([number]) * 1000) for number in range(3)]
    for at, digest in enumerate(digests):
        cache.fetch(digest)
        used(cache, digest, 1e9 + at)
    cache.release()
    return digests


def names(cache):
    return {blob.digest for blob in cache.ls()}


def test_the_least_recently_used_go_first(cache, three):  # D13
    report = cache.prune(max_size=2500)

    assert [one.digest for one in report.removed] == three[:1]
    assert (report.freed, report.size, report.missing) == (1000, 2000, 0)
    assert names(cache) == set(three[1:])
    assert not list(cache.root.glob(f"records/*/{three[0]}"))


def test_a_use_is_remembered(cache, three):  # D13
    cache.fetch(three[0])
    cache.release()
    cache.prune(max_size="1.5 kB")

    assert names(cache) == {three[0]}


def test_a_dry_run_removes_nothing(cache, three):
    report = cache.prune(max_size=0, dry_run=True)

    assert (len(report.removed), report.freed, report.size) == (3, 3000, 0)
    assert names(cache) == set(three)


def test_what_is_pinned_or_in_use_stays(cache, three):  # D13
    cache.pin(three[0])
    cache.fetch(three[1])
    report = cache.prune(max_size=0)

    assert [one.digest for one in report.removed] == [three[2]]
    assert report.missing == 2000
    cache.release()
    assert cache.pinned() == [three[0]]
    assert (cache.unpin(three[0]), cache.unpin(three[0])) == (True, False)
    assert len(cache.prune(max_size=0).removed) == 2


def test_a_pin_may_be_set_before_anything_is_there(cache, stored):
    digest = stored(b"data")
    cache.pin(digest)
    cache.fetch(digest)
    cache.release()

    assert cache.prune(max_size=0).removed == ()
    assert cache.ls()[0].is_pinned


def test_without_bounds_nothing_goes(cache, three):
    assert cache.prune().removed == ()
    for size in (-1, "much", True, 1.5):
        with pytest.raises(InvalidValueError, match="size"):
            cache.prune(max_size=size)


def test_a_living_process_keeps_what_it_was_given(cache, three, start):  # D13
    other = start("cache.fetch(words[0]); print('has it', flush=True); time.sleep(60)", three[0])
    assert other.stdout.readline() == "has it\n"

    assert {one.digest for one in cache.prune(max_size=0).removed} == set(three[1:])
    other.kill()
    other.wait()
    assert [one.digest for one in cache.prune(max_size=0).removed] == three[:1]
    assert not list(cache.root.glob("leases/*.lease"))


def test_a_child_keeps_what_its_parent_was_given(cache, three, start):
    body = """
cache.fetch(words[0])
if os.fork() == 0:
    cache.fetch(words[1])
    print("has it", flush=True)
    sys.stdin.read()
"""
    parent = start(body, three[0], three[1])
    assert parent.stdout.readline() == "has it\n"
    parent.wait()

    assert [one.digest for one in cache.prune(max_size=0).removed] == [three[2]]
    parent.stdin.close()
    parent.stdout.read()
    assert len(cache.prune(max_size=0).removed) == 2


def test_a_directory_goes_as_a_whole(cache, stored_tree):  # D13
    manifest = stored_tree({"a.txt": "a" * 500, "deep/b.txt": "b" * 500})
    folder = cache.fetch_tree(manifest)
    cache.release()

    report = cache.prune(max_size=999)
    assert report.freed == 500
    assert not folder.exists()
    assert cache.tree(manifest.digest, 2) is None
    assert (cache.fetch_tree(manifest) / "deep" / "b.txt").read_text() == "b" * 500
    assert not list(cache.root.glob("trees/.*"))


def holding(kind, name, used_at, **files):
    inodes = {(0, number): size for number, size in enumerate(files.values())}
    return Holding(kind, name, f"/{name}", used_at, inodes)


def test_a_file_is_free_when_its_last_name_is_gone():
    first = holding("tree", "t1", 1.0, a=10, b=20)
    second = holding("tree", "t2", 2.0, a=10)
    blob = Holding("blob", "b", "/b", 2.0, {(0, 1): 20})

    assert choose([first, second, blob], [], 1) == ([first, second], 10)
    assert choose([first, second, blob], ["t1"], 99) == ([second], 0)
    assert choose([first, blob], ["t1"], 99) == ([], 0)
    assert choose([first, second, blob], [], 30) == ([first, second, blob], 30)
    assert choose([first], [], 0) == ([], 0)


def test_bounds_are_kept_apart():
    assert Bounds(100, None).excess(130, 0) == 30
    assert Bounds(None, 100).excess(130, 60) == 40
    assert Bounds(100, 100).excess(130, 60) == 40
    assert Bounds(100, 100).excess(10, 200) == 0
    assert Bounds(100, 100).lowered() == Bounds(90, 110)


def test_a_bound_of_the_settings_is_kept_after_downloads(cache, stored, origin, start):  # D13
    bounded = LocalCache(cache.root, origin, max_size=10_000)
    digests = [stored(bytes([number]) * 1000) for number in range(30)]
    for at, digest in enumerate(digests):
        assert bounded.fetch(digest).stat().st_size == 1000
        used(cache, digest, 1e9 + at)
        bounded.release()
        assert bounded.size() <= 10_000

    assert digests[-1] in names(cache)
    assert digests[0] not in names(cache)


def test_what_is_in_use_is_kept_beyond_the_bound(cache, stored, origin):
    bounded = LocalCache(cache.root, origin, max_size=1500)
    paths = [bounded.fetch(stored(bytes([number]) * 1000)) for number in range(4)]

    assert all(path.exists() for path in paths)


def test_rows_that_sql_keeps_share_the_bound(cache, three):
    kept = cache.root / "rows" / "ab" / "abcdef"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"x" * 1000)
    os.utime(kept, (1e9 - 1, 1e9 - 1))
    assert cache.size() == 4000

    assert [one.kind for one in cache.prune(max_size=3500).removed] == ["rows"]
    assert not kept.exists()


def test_some_of_the_disk_stays_free(tmp_path, origin, stored, mounted):  # D13
    root = tmp_path / "small"
    root.mkdir()
    with mounted(root, "-t", "tmpfs", "-o", "size=4m", "tmpfs"):
        cache = LocalCache(root, origin, min_free=1_500_000)
        for number in range(8):
            assert cache.fetch(stored(bytes([number]) * 1_000_000)).exists()
            cache.release()
        free = os.statvfs(root)

    assert free.f_bavail * free.f_frsize >= 1_500_000


READER = """
import random
from aletheia_like.errors import AletheiaError
random.seed(int(words[0]))
manifest = Manifest.from_text(pathlib.Path(words[1]).read_text())
for _ in range(120):
    if random.random() < 0.3:
        folder = cache.fetch_tree(manifest)
        assert len([one for one in folder.rglob("*.txt") if one.read_text()]) == len(manifest)
    else:
        digest = random.choice(words[2:])
        assert digest_bytes(cache.fetch(digest).read_bytes()) == digest
    cache.release()
print("done")
"""


def test_readers_never_miss_what_others_prune(cache, stored, stored_tree, tmp_path, start):
    digests = [stored(os.urandom(5000)) for _ in range(5)]
    manifest = stored_tree({f"{number}/a.txt": str(number) for number in range(10)})
    text = tmp_path / "manifest"
    text.write_text(manifest.to_text())
    readers = [start(READER, number, text, *digests) for number in range(3)]
    pick = random.Random(1)
    while any(one.poll() is None for one in readers):
        cache.prune(max_size=pick.choice([0, 8_000, 20_000]))

    outputs = [one.communicate(timeout=60)[0] for one in readers]
    assert all(one.endswith("done\n") for one in outputs)
    assert cache.verify().wrong == ()
    assert not list(cache.root.glob("trees/.*"))


def test_a_cache_that_cannot_be_written_says_so(cache, three, mounted):
    from aletheia_like.errors import AccessDeniedError

    with mounted(cache.root, "--bind", str(cache.root)):
        subprocess.run(["mount", "-o", "remount,ro,bind", cache.root], check=True)
        assert len(cache.prune(max_size=0, dry_run=True).removed) == 3
        for impossible in (lambda: cache.prune(max_size=0), lambda: cache.pin(three[0])):
            with pytest.raises(AccessDeniedError, match="another cache_dir"):
                impossible()
    assert names(cache) == set(three)


def test_a_full_disk_makes_room_without_bounds_and_the_download_goes_on(
    tmp_path, origin, stored, mounted
):
    first, second = stored(b"1" * 3_000_000), stored(b"2" * 3_000_000)
    root = tmp_path / "small"
    root.mkdir()
    with mounted(root, "-t", "tmpfs", "-o", "size=4m", "tmpfs"):
        cache = LocalCache(root, origin)
        cache.fetch(first)
        with pytest.raises(UnavailableError, match="no space left"):
            cache.fetch(second)
        assert cache.path(first) is not None
        cache.release()

        assert cache.fetch(second).stat().st_size == 3_000_000
        assert cache.path(first) is None
        cache.release()
