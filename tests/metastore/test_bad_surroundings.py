"""Full disks, damaged files and missing buckets: clear errors, nothing half-written."""

from __future__ import annotations

import os
import secrets
import subprocess
import threading

import pytest

import aletheia_like as al


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two mebibytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def opened(folder, cache):
    return al.Metastore("p", url=folder.as_uri(), cache_dir=cache, git="off")


@pytest.fixture
def impatient(monkeypatch):
    """A store that fails is not tried again for long."""
    monkeypatch.setenv("ALETHEIA_TIMEOUT", "1")


@pytest.mark.usefixtures("impatient")
def test_a_full_disk_is_a_clear_error_and_keeps_what_there_was(small_disk, tmp_path):
    ms = opened(small_disk / "store", tmp_path / "cache")
    with ms.exper("e").start_run() as run:
        run.add_metric("a", 1)
    (tmp_path / "large").write_bytes(os.urandom(4 << 20))

    with pytest.raises(al.UnavailableError, match="space"):
        ms.add_dataset("large", tmp_path / "large")

    ms.close()
    other = opened(small_disk / "store", tmp_path / "cache")
    assert other.experiment("e").run(1).metrics == {"a": 1}
    assert other.datasets() == []
    assert not list((small_disk / "store" / "blobs").rglob("*.part"))
    other.close()


@pytest.mark.usefixtures("impatient")
def test_a_full_cache_is_a_clear_error_and_works_with_room(small_disk, tmp_path):
    ms = opened(tmp_path / "store", small_disk / "cache")
    (tmp_path / "large").write_bytes(os.urandom(4 << 20))
    ms.add_dataset("large", tmp_path / "large")

    with pytest.raises(al.UnavailableError, match="space"):
        ms.get_dataset("large", download=True)

    ms.set_downloader(tmp_path / "roomy")
    assert ms.get_dataset("large", download=True).local_path.stat().st_size == 4 << 20
    ms.close()


def test_a_damaged_database_is_named(tmp_path):
    ms = opened(tmp_path / "store", tmp_path / "cache")
    ms.exper("e")
    ms.close()
    database = tmp_path / "store" / "metastore.sqlite"
    database.write_bytes(b"not a database, sorry" * 1000)

    with pytest.raises(al.AletheiaError, match=r"metastore\.sqlite"):
        opened(tmp_path / "store", tmp_path / "cache").exper("e")


def test_a_missing_blob_is_named(tmp_path):
    ms = opened(tmp_path / "store", tmp_path / "cache")
    (tmp_path / "f").write_text("x")
    version = ms.add_dataset("d", tmp_path / "f")
    ms.session.blobs.delete(version.digest)

    with pytest.raises(al.NotFoundError, match=version.digest):
        ms.get_dataset("d", download=True)


def test_damaged_bytes_are_never_handed_out(tmp_path):  # D4
    ms = opened(tmp_path / "store", tmp_path / "cache")
    (tmp_path / "f").write_text("right")
    version = ms.add_dataset("d", tmp_path / "f")
    blob = next((tmp_path / "store" / "blobs").rglob(version.digest))
    blob.chmod(0o644)
    blob.write_text("wrong")

    with pytest.raises(al.IntegrityError, match=version.digest):
        ms.get_dataset("d", download=True)


def test_a_path_that_changes_while_it_is_hashed_is_refused(tmp_path):
    path = tmp_path / "growing"
    path.write_bytes(b"0" * (64 << 20))
    stop = threading.Event()

    def grow():
        with path.open("ab") as stream:
            while not stop.is_set():
                stream.write(b"more")
                stream.flush()

    thread = threading.Thread(target=grow)
    thread.start()
    ms = opened(tmp_path / "store", tmp_path / "cache")
    try:
        with pytest.raises(al.IntegrityError, match="changed"):
            ms.add_dataset("growing", path)
    finally:
        stop.set()
        thread.join()

    assert ms.projects() == []


def test_without_a_bucket_metadata_works_and_bytes_say_how(firestore_emulator, tmp_path):
    url = f"firestore://demo-{secrets.token_hex(6)}/(default)"
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        with ms.exper("e").start_run() as run:
            run.add_metric("a", 1)
        (tmp_path / "f").write_text("x")
        with pytest.raises(al.SettingsError, match="bucket"):
            ms.add_dataset("d", tmp_path / "f")
        assert ms.experiment("e").run(1).status == "finished"


def test_two_projects_of_one_name_are_one(tmp_path):
    first = opened(tmp_path / "store", tmp_path / "cache")
    second = opened(tmp_path / "store", tmp_path / "cache")
    first.exper("a")
    second.exper("b")

    assert [one.name for one in first.experiments()] == ["a", "b"]
    assert len(second.projects()) == 1
