"""Versions by content: what is uploaded, what differs, and what is read."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import aletheia_like as al
from aletheia_like.model.digests import Manifest, digest_bytes
from aletheia_like.ports.documents import Query
from tests.cli.calling import call


@pytest.fixture
def ms(tmp_path):
    with al.Metastore(
        "p", url=(tmp_path / "store").as_uri(), cache_dir=tmp_path / "cache", git="off"
    ) as ms:
        yield ms


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(6):
        (root / f"{number}.txt").write_text(f"file {number}")
    return root


def test_changing_one_file_of_many_uploads_one_file(ms, tmp_path):
    root = tmp_path / "many"
    for folder in range(10):
        (root / f"{folder}").mkdir(parents=True)
        for number in range(100):
            (root / f"{folder}" / f"{number}").write_text(f"{folder} {number}")
    ms.add_dataset("many", root)
    ms.session.known_files.clear()
    (root / "7" / "17").write_text("changed!")

    before = ms.usage
    version = ms.add_dataset("many", root)
    used = ms.usage - before
    assert version.version == 1
    # The file and the manifest; what is stored already is known by the manifest before.
    assert used.blob_writes == 2
    assert used.document_reads < 50


@pytest.fixture
def many(tmp_path):
    """So many small files that they are stored while they are read, some of equal content."""
    root = tmp_path / "many"
    root.mkdir()
    for number in range(1000):
        (root / f"{number}.csv").write_text(str(number % 700))
    (root / "large.bin").write_bytes(b"x" * 1_000_000)
    return root


def test_many_files_are_stored_once_each_and_come_back(ms, many):
    before = ms.usage
    ms.add_dataset("many", many)
    used = ms.usage - before

    assert len(list(ms.session.blobs.digests())) == 702
    assert used.bytes_up < 1_300_000
    with ms.get_dataset("many").open("999.csv") as stream:
        assert stream.read() == b"299"
    for digest in ms.session.blobs.digests():
        told = ms.session.documents.get(f"files/{digest}").fields
        assert told["crc32c"]
    digest = digest_bytes(b"299")
    assert ms.session.documents.get(f"files/{digest}").fields["media_type"] == "text/csv"
    fetched = ms.get_dataset("many").fetch()
    assert {path.name for path in fetched.iterdir()} == {path.name for path in many.iterdir()}


def test_many_files_that_nobody_remembers_are_not_written_again(ms, many, tmp_path):
    ms.add_dataset("many", many)
    ms.session.known_files.clear()
    shutil.rmtree(tmp_path / "cache" / "hashed", ignore_errors=True)

    before = ms.usage
    assert ms.add_dataset("many", many).version == 0
    used = ms.usage - before
    assert (used.document_writes, used.blob_writes, used.bytes_up) == (0, 0, 0)


def test_a_file_that_cannot_be_read_among_many_leaves_no_version(ms, many):
    (many / "999.csv").unlink()
    (many / "999.csv").symlink_to("/proc/self/mem")

    with pytest.raises(al.AletheiaError):
        ms.add_dataset("many", many)

    assert ms.datasets() == []
    (many / "999.csv").unlink()
    assert len(ms.add_dataset("many", many).files()) == 1000


def test_nothing_is_stored_if_one_of_many_is_no_file(ms, many):
    os.mkfifo(many / "zzz")

    with pytest.raises(al.InvalidValueError, match="zzz"):
        ms.add_dataset("many", many)

    assert list(ms.session.blobs.digests()) == []


KILLED = """
import os, signal, sys
import aletheia_like as al

url, cache, many, calls = sys.argv[1:]
ms = al.Metastore("p", url=url, cache_dir=cache, git="off")
apply, left = ms.session.documents.apply, int(calls)

def applied(writes):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return apply(writes)

ms.session.documents.apply = applied
ms.add_dataset("many", many)
"""


@pytest.mark.parametrize("calls", [1, 4])
def test_who_is_killed_while_many_are_added_leaves_nothing_that_misleads(
    ms, many, tmp_path, calls
):
    place = (tmp_path / "store").as_uri(), tmp_path / "elsewhere", many, str(calls)
    died = subprocess.run([sys.executable, "-c", KILLED, *place], check=False)

    assert died.returncode == -signal.SIGKILL
    assert ms.datasets() == []
    for document in ms.session.documents.query(Query("files")):
        assert ms.session.blobs.exists(document.id)
    assert ms.add_dataset("many", many).fetch(verify=True).is_dir()


def test_two_who_add_the_same_many_files_at_once_lose_nothing(ms, many):
    with ThreadPoolExecutor(2) as pool:
        added = list(pool.map(lambda name: ms.add_dataset(name, many), ("one", "two")))

    assert added[0].digest == added[1].digest
    assert len(list(ms.session.blobs.digests())) == 702
    assert len(list(ms.session.documents.query(Query("files")))) == 702


def test_a_directory_has_the_digest_of_its_sorted_manifest(ms, tree, tmp_path):  # D7, D11
    first = ms.add_dataset("one", tree)
    shutil.copytree(tree, tmp_path / "copy")
    again = ms.add_dataset("two", tmp_path / "copy")

    lines = [
        json.dumps(
            {"path": one.path, "sha256": one.digest, "size": one.size}, separators=(",", ":")
        )
        for one in first.files()
    ]
    assert lines == sorted(lines)
    assert first.digest == again.digest == digest_bytes(("\n".join(lines) + "\n").encode())


def test_versions_are_compared_file_by_file(ms, tree):
    before = ms.add_dataset("d", tree)
    (tree / "0.txt").unlink()
    (tree / "1.txt").write_text("changed")
    (tree / "2.txt").rename(tree / "moved.txt")
    (tree / "new.txt").write_text("new one")
    difference = before.diff(ms.add_dataset("d", tree))

    assert difference.to_dict() == {
        "before": "d@0",
        "after": "d@1",
        "added": ["new.txt"],
        "removed": ["0.txt"],
        "changed": ["1.txt"],
        "moved": [["2.txt", "moved.txt"]],
        "unchanged": 3,
        "size": 14,
    }
    assert difference
    assert not before.diff(before)


def test_differences_are_printed(ms, tree, tmp_path):
    ms.add_dataset("d", tree)
    (tree / "0.txt").write_text("changed")
    ms.add_dataset("d", tree)
    environment = {**os.environ, "ALETHEIA_URL": (tmp_path / "store").as_uri()}
    told = call(["data", "diff", "d@0", "d", "-p", "p"], environment, tmp_path)

    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines() == [
        "d@0 -> d@1: 0 added, 0 removed, 1 changed, 0 moved, 5 unchanged",
        "~ 0.txt",
    ]


def test_a_file_is_streamed_without_a_copy(ms, tree):
    version = ms.add_dataset("d", tree)
    with version.open("3.txt", stream=True) as stream:
        assert stream.read() == b"file 3"
    kept = {one.digest for one in ms.cache.ls()}
    assert version.files()[3].digest not in kept

    blob = next((tree.parent / "store" / "blobs").glob(f"*/{version.files()[4].digest}"))
    blob.chmod(0o644)
    blob.write_bytes(b"file X")
    with pytest.raises(al.IntegrityError), version.open("4.txt", stream=True) as stream:
        stream.read()


@pytest.mark.parametrize(
    "path", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "", "a//b", "C:\0", "a/./b"]
)
def test_a_manifest_that_leads_out_of_its_folder_is_refused(path):
    line = json.dumps({"path": path, "sha256": "0" * 64, "size": 1})

    with pytest.raises(al.IntegrityError, match="not a manifest"):
        Manifest.from_text(line)


def test_a_manifest_in_which_a_file_is_a_folder_is_refused():
    lines = [
        json.dumps({"path": path, "sha256": "0" * 64, "size": 1}) for path in ("a", "a-b", "a/b/c")
    ]

    with pytest.raises(al.IntegrityError, match="'a' is a file and a folder"):
        Manifest.from_text("\n".join(lines))


def test_a_manifest_of_somebody_else_writes_nothing_outside(ms, tree, tmp_path):
    version = ms.add_dataset("d", tree)
    listing = json.dumps({"path": "../../evil", "sha256": version.files()[0].digest, "size": 6})
    evil = digest_bytes(listing.encode())
    blob = tmp_path / "store" / "blobs" / evil[:2] / evil
    blob.parent.mkdir(exist_ok=True)
    blob.write_text(listing)
    from aletheia_like.ports.documents import Update

    changes = {("latest", "manifest"): evil, ("latest", "digest"): evil}
    ms.session.documents.apply([Update("projects/p/datasets/d", changes)])

    with pytest.raises(al.IntegrityError, match="not a manifest of ours"):
        ms.get_dataset("d", download=True)
    assert not list(tmp_path.rglob("evil"))
