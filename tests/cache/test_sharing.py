"""Many processes, and several users, with one cache."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from aletheia_like.adapters.directory import DirectoryBlobStore
from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.adapters.mirroring import MirroringDocumentStore, OfflineDocumentStore
from aletheia_like.adapters.sqlite import SqliteDocumentStore
from aletheia_like.cache import LocalCache
from aletheia_like.cache.places import Places
from aletheia_like.capture.files import read_manifest
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.documents import Create, Update
from tests.users import as_user

WATCH = """
manifest = Manifest.from_text(pathlib.Path(words[0]).read_text())
root = cache.root / "trees" / manifest.digest
# Whoever looks for the directory by its name sees it whole, or not at all.
seen = sum(1 for one in root.rglob("*.txt")) if root.exists() else len(manifest)
assert seen == len(manifest), seen
folder = cache.fetch_tree(manifest)
assert sum(1 for one in folder.rglob("*.txt")) == len(manifest)
last = manifest.entries[-1]
assert digest_bytes((folder / last.path).read_bytes()) == last.digest
print("whole")
"""


def test_sixteen_processes_fetch_ten_thousand_files_once(tmp_path, cache, start):  # D8, D11
    tree = tmp_path / "many"
    for part in range(100):
        (tree / f"{part:02}").mkdir(parents=True)
        for number in range(100):
            (tree / f"{part:02}" / f"{number:02}.txt").write_text(f"{part} {number % 10}")
    manifest = read_manifest(tree).manifest
    store = DirectoryBlobStore(tmp_path / "origin")
    distinct = {entry.digest: entry.path for entry in manifest}
    for digest, name in distinct.items():
        store.upload(digest, tree / name)
    text = tmp_path / "manifest"
    text.write_text(manifest.to_text())
    started = [start(WATCH, text) for _ in range(16)]
    outputs = [process.communicate(timeout=200)[0].split("\n") for process in started]

    assert len(manifest) == 10_000
    assert all("whole" in lines for lines in outputs)
    downloads = [line for lines in outputs for line in lines if line.startswith("downloading")]
    assert len(downloads) == len(distinct) == 1000
    assert cache.tree(manifest.digest, 10_000) is not None
    assert not list(cache.root.glob("locks/*"))
    assert not list(cache.root.rglob("*.part"))


@pytest.fixture
def everybodys():
    """A folder that every user of a group may write, where every user gets to."""
    import filelock

    if os.geteuid() != 0:
        pytest.skip("only root can be several users")
    assert filelock.__name__  # no other user may be able to import it
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    (folder / "cache").mkdir()
    os.chown(folder / "cache", 0, 60_000)
    (folder / "cache").chmod(0o2770)
    yield folder
    shutil.rmtree(folder)


def test_users_of_a_group_share_a_cache(everybodys):
    # Whatever the umask of each of them says.
    tree = everybodys / "tree"
    for name in ("a.txt", "b.txt"):
        tree.mkdir(exist_ok=True)
        (tree / name).write_text(name)
    manifest = read_manifest(tree).manifest
    store = DirectoryBlobStore(everybodys / "origin")
    for entry in manifest:
        store.upload(entry.digest, tree / entry.path)
    one = manifest.entries[0].digest
    root = everybodys / "cache"

    def fetch():
        cache = LocalCache(root, store)
        folder = cache.fetch_tree(manifest)
        texts = [path.read_text() for path in sorted(folder.iterdir())]
        return [*texts, cache.fetch_file(one, "name.txt").read_text(), cache.fetch(one).name]

    def refuse_downloads():
        cache = LocalCache(root, DirectoryBlobStore(everybodys / "nothing"))
        path = cache.fetch_tree(manifest) / "a.txt"
        cache.pin(one)
        cache.fetch(one)
        return [path.read_text()]

    def prune():
        cache = LocalCache(root, store)
        report = cache.prune(max_size=0)
        return [len(report.removed), report.size, cache.unpin(one)]

    expected = ["a.txt", "b.txt", "a.txt", one]
    assert as_user(60_001, fetch) == expected
    assert as_user(60_002, refuse_downloads) == ["a.txt"]
    modes = {path: path.stat().st_mode for path in root.rglob("*") if path.is_dir()}
    assert all(mode & 0o2770 == 0o2770 for mode in modes.values()), modes
    assert as_user(60_002, prune) == [2, 5, True]
    assert as_user(60_002, fetch) == expected
    assert as_user(60_001, fetch) == expected
    damaged = root / "blobs" / one[:2] / one
    damaged.chmod(0o644)
    damaged.write_text("x")
    assert as_user(60_001, fetch) == expected


def test_users_of_a_group_share_what_is_remembered_for_offline_work(everybodys):
    path = "projects/p/datasets/d"
    inner = MemoryDocumentStore()
    inner.apply([Create(path, {"latest": {"version": 0}})])

    file = everybodys / "cache" / "documents" / "one.sqlite"

    def mirror():
        return SqliteDocumentStore(file)

    def online():
        places = Places(everybodys / "cache")
        store = MirroringDocumentStore(inner, mirror(), lambda: places.make_shared(file))
        return [store.get(path).fields, OfflineDocumentStore(mirror()).get(path).fields]

    def change():
        inner.apply([Update(path, {("latest",): {"version": 1}})])
        return online()

    old, new = {"latest": {"version": 0}}, {"latest": {"version": 1}}
    assert as_user(60_001, online) == [old, old]
    assert as_user(60_002, online) == [old, old]
    assert as_user(60_002, change) == [new, new]
    assert as_user(60_001, lambda: OfflineDocumentStore(mirror()).get(path).fields) == new


def test_a_cache_of_ones_own_keeps_its_permissions(cache, stored):
    digest = stored(b"data")
    before = os.umask(0o027)
    try:
        path = cache.fetch(digest)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    assert digest_bytes(path.read_bytes()) == digest
