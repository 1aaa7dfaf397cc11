"""Datasets: added once, fetched into the cache, recorded where used."""

from __future__ import annotations

import datetime as dt
import functools
import http.server
import os
import subprocess
import sys
import threading

import fsspec
import pytest

import aletheia_like as al
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.documents import Query


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    return path


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "digits"
    for part in ("train", "test"):
        (root / part).mkdir(parents=True)
        for number in range(3):
            (root / part / f"{number}.txt").write_text(f"{part} {number}")
    return root


def test_the_seed_s_call(ms, table):  # A10, A16, A18, D4
    ms.add_dataset("table", table)
    with ms.exper("e").start_run() as run:
        path = run.get_dataset("table", download=True).local_path

    assert path.name == "table.csv"
    assert path.read_text() == table.read_text()


def test_unchanged_content_gives_the_existing_version(ms, open_ms, table):  # D1, D7
    first = ms.add_dataset("table", table, desc="d", type="table")
    again = open_ms().add_dataset("table", table)
    table.write_text("changed")
    changed = ms.add_dataset("table", table)

    assert (first.version, again.version, changed.version) == (0, 0, 1)
    assert again.desc == "d"
    assert ms.get_dataset("table", download=True).local_path.read_text() == "changed"
    assert ms.get_dataset("table", 0, download=True).local_path.read_text() == "a,b\n1,2\n"


def test_its_location_is_told_without_detours(ms, table, tmp_path):
    (tmp_path / "sub").mkdir()
    location = ms.add_dataset("table", f"{tmp_path}/sub/../table.csv").record.location

    assert location == str(table.resolve())


def test_a_part_is_downloaded_twice_to_one_place(ms, tree, tmp_path):
    ms.add_dataset("digits", tree, partitions={"train": "train/*"})
    part = ms.get_dataset("digits", partition="train")

    assert part.download(tmp_path / "out") == part.download(tmp_path / "out")


def test_a_server_that_is_away_is_not_an_address_without_data(open_ms, monkeypatch):
    pytest.importorskip("aiohttp")
    monkeypatch.setenv("ALETHEIA_TIMEOUT", "1")
    ms = open_ms()
    with pytest.raises(al.UnavailableError, match=r"http://127\.0\.0\.1:9/x cannot be reached"):
        ms.add_dataset("x", "http://127.0.0.1:9/x")


def test_a_server_without_the_file_says_so(ms, tmp_path):
    pytest.importorskip("aiohttp")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    (tmp_path / "there.txt").write_text("a")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        version = ms.add_dataset("x", f"{url}/there.txt")
        with pytest.raises(al.NotFoundError, match="nothing at"):
            ms.add_dataset("x", f"{url}/none.txt")
        server.shutdown()

    assert (version.record.filename, version.open().read()) == ("there.txt", b"a")


def test_new_partitions_of_the_same_content_are_a_new_version(ms, tree):
    ms.add_dataset("digits", tree)
    parted = ms.add_dataset("digits", tree, partitions={"train": "train/*"})

    assert parted.version == 1
    assert ms.add_dataset("digits", tree, partitions={"train": "train/*"}).version == 1
    assert ms.add_dataset("digits", tree).version == 1


def test_a_description_that_is_not_kept_is_told(ms, table):
    ms.add_dataset("table", table, desc="first")

    with pytest.warns(UserWarning, match="keeps its desc: 'first'"):
        ms.add_dataset("table", table, desc="second")


def test_every_field_of_a_dataset_comes_back(ms, open_ms, tree):  # A21, D2, D16, M17
    begun = dt.datetime.now(dt.UTC)
    ms.add_dataset(
        "digits",
        tree,
        type="text",
        desc="six files",
        source={"dataset": "raw", "version": 3},
        partitions={"train": "train/*", "test": ["test/0.txt", "test/1.txt"]},
        features={"image": {"dtype": "uint8", "shape": [8, 8]}},
    )

    record = open_ms().get_dataset("digits").record
    assert (record.type, record.desc, record.kind, record.files) == (
        "text",
        "six files",
        "directory",
        6,
    )
    assert record.source == {"dataset": "raw", "version": 3}
    assert record.features == {"image": {"dtype": "uint8", "shape": [8, 8]}}
    assert record.partitions == {"train": "train/*", "test": ["test/0.txt", "test/1.txt"]}
    assert record.location == str(tree)
    assert abs(record.created_at - begun) < dt.timedelta(minutes=5)


def test_use_is_recorded_once(ms, open_ms, table):  # D3
    ms.add_dataset("table", table)
    with ms.exper("e").start_run() as run:
        run.get_dataset("table")
        run.get_dataset("table", download=True)

    (use,) = open_ms().experiment("e").run(run.id).datasets.values()
    assert (use.name, use.version) == ("table", 0)
    assert use.digest == digest_bytes(table.read_bytes())


def test_two_versions_in_one_run_are_both_recorded(ms, table):
    ms.add_dataset("table", table)
    table.write_text("new")
    ms.add_dataset("table", table)
    run = ms.exper("e").start_run()
    run.get_dataset("table", 0)
    run.get_dataset("table", 1)
    run.get_dataset("table", 1)

    assert [use.version for use in run.datasets.values()] == [0, 1]


def test_an_unknown_dataset_is_an_error_and_nothing_is_recorded(ms, open_ms, table):  # D3
    ms.add_dataset("table", table)
    run = ms.exper("e").start_run()

    with pytest.raises(al.NotFoundError, match="'table'"):
        run.get_dataset("tabel")
    with pytest.raises(al.NotFoundError, match="version 7"):
        run.get_dataset("table", 7)
    run.finish()
    assert run.datasets == open_ms().experiment("e").run(run.id).datasets == {}
    assert [one.name for one in ms.datasets()] == ["table"]


def test_local_path_is_none_until_downloaded(ms, table):
    ms.add_dataset("table", table)

    assert ms.get_dataset("table").local_path is None


def test_files_land_below_the_downloader_s_folder(ms, table, tmp_path):  # D5
    ms.add_dataset("table", table)
    ms.set_downloader(tmp_path / "elsewhere")

    path = ms.get_dataset("table", download=True).local_path
    assert path.is_relative_to(tmp_path / "elsewhere")
    assert path.read_text() == table.read_text()


def test_without_a_folder_of_ones_own_the_user_s_cache_is_used(store_url, table):  # D5
    with al.Metastore("p", url=store_url, git="off") as ms:
        ms.add_dataset("table", table)
        path = ms.get_dataset("table", download=True).local_path

    assert path.is_relative_to(os.environ["XDG_CACHE_HOME"])


def test_a_hit_reads_one_document_and_no_blob(ms, open_ms, table, tree):  # D6, B12
    ms.add_dataset("table", table)
    ms.add_dataset("digits", tree)
    for name in ("table", "digits"):
        ms.get_dataset(name, download=True)

    other = open_ms()
    for name in ("table", "digits"):
        before = other.usage
        other.get_dataset(name, download=True)
        used = other.usage - before
        assert (used.document_reads, used.blob_reads, used.bytes_down) == (1, 0, 0)


def test_a_directory_has_a_document_for_each_file(ms, open_ms, tree):  # D11
    ms.add_dataset("digits", tree)

    path = open_ms().get_dataset("digits", download=True).local_path
    expected = {
        f"{part}/{number}.txt": f"{part} {number}"
        for part in ("test", "train")
        for number in range(3)
    }
    found = [one for one in path.rglob("*") if one.is_file()]
    assert {one.relative_to(path).as_posix(): one.read_text() for one in found} == expected
    stored = ms.session.documents.query(Query("projects/p/datasets/digits/versions/0/files"))
    told = [(one.fields["path"], one.fields["sha256"], one.fields["size"]) for one in stored]
    assert sorted(told) == sorted(
        (name, digest_bytes(text.encode()), len(text)) for name, text in expected.items()
    )


def test_one_partition_fetches_only_its_files(ms, open_ms, tree, tmp_path):  # D12
    ms.add_dataset("digits", tree, partitions={"train": "train/*"})
    other = open_ms(cache_dir=tmp_path / "fresh")

    dataset = other.get_dataset("digits", download=True, partition="train")
    # The list of all files, and those of the partition.
    assert other.usage.blob_reads == 1 + 3
    found = [one.name for one in dataset.local_path.rglob("*.txt")]
    assert sorted(found) == ["0.txt", "1.txt", "2.txt"]
    assert [file.path for file in dataset.files()] == [
        f"train/{number}.txt" for number in range(3)
    ]
    with pytest.raises(al.NotFoundError, match="'train'"):
        other.get_dataset("digits", partition="valid")


def test_a_fold_fetches_only_its_files_and_the_run_says_which(ms, open_ms, tree):  # D12, A21
    folds = {str(fold): [f"*/{n}.txt" for n in range(3) if n != fold] for fold in range(3)}
    ms.add_dataset("digits", tree, partitions=folds)
    with ms.exper("e").start_run(fold=1) as run:
        path = run.get_dataset("digits", download=True, partition=str(run.fold)).local_path

    assert sorted(one.name for one in path.rglob("*.txt")) == ["0.txt", "0.txt", "2.txt", "2.txt"]
    read = open_ms().experiment("e").run(run.id)
    assert [(read.fold, use.partition) for use in read.datasets.values()] == [(1, "1")]


@pytest.mark.parametrize("upload", [True, False])
@pytest.mark.parametrize("is_dir", [True, False])
def test_an_empty_partition_is_told_and_never_fetched(ms, tree, upload, is_dir):  # D12
    location = tree if is_dir else tree / "train" / "0.txt"
    with pytest.warns(UserWarning, match=r"partition 'valid' of d is empty.*'valid/\*'"):
        ms.add_dataset("d", location, upload=upload, partitions={"valid": "valid/*", "all": "*"})

    assert ms.get_dataset("d", partition="all", download=True).local_path.name
    with pytest.raises(al.NotFoundError, match=r"'valid' of d@0 is empty.*'valid/\*'"):
        ms.get_dataset("d", partition="valid", download=True)


def test_one_file_of_many_opens_without_the_rest(ms, open_ms, tree, tmp_path):  # D12
    ms.add_dataset("digits", tree)
    other = open_ms(cache_dir=tmp_path / "fresh")

    with other.get_dataset("digits").open("train/1.txt") as stream:
        assert stream.read() == b"train 1"
    assert len(other.cache.ls()) == 2


def test_a_changed_cached_file_is_noticed_and_fetched_anew(ms, table):  # D10
    ms.add_dataset("table", table)
    path = ms.get_dataset("table", download=True).local_path
    path.chmod(0o644)
    path.write_text("changed!!")

    assert ms.get_dataset("table", download=True).local_path.read_text() == "a,b\n1,2\n"


def test_verify_finds_what_the_stat_record_cannot(ms, table):
    ms.add_dataset("table", table)
    path = ms.get_dataset("table", download=True).local_path
    status = path.stat()
    path.chmod(0o644)
    path.write_text("a,b\n9,9\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    again = ms.get_dataset("table", download=True, verify=True)
    assert again.local_path.read_text() == "a,b\n1,2\n"


def test_a_dataset_may_stay_where_it_is(ms, table):
    ms.add_dataset("table", table, upload=False)

    assert ms.get_dataset("table", download=True).local_path == table
    table.write_text("changed")
    with pytest.raises(al.NotFoundError, match="has changed"):
        ms.get_dataset("table", download=True)


def test_a_missing_location_fails_before_any_write(ms, tmp_path):
    with pytest.raises(al.NotFoundError, match="nothing at"):
        ms.add_dataset("d", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(al.InvalidValueError, match="no files"):
        ms.add_dataset("d", tmp_path / "empty")

    assert ms.projects() == []


def test_a_url_is_copied_in(ms, table):  # A18, D14
    with fsspec.open("memory://shop/table.csv", "wb") as stream:
        stream.write(b"from afar")

    version = ms.add_dataset("remote", "memory://shop/table.csv")
    assert version.record.location == "memory://shop/table.csv"
    assert ms.get_dataset("remote", download=True).local_path.read_bytes() == b"from afar"
    with pytest.raises(al.NotFoundError, match="nothing at"):
        ms.add_dataset("remote", "memory://shop/none.csv")
    with pytest.raises(al.InvalidValueError, match="nowhere"):
        ms.add_dataset("remote", "nowhere://x/y")


def test_lists_of_datasets_and_versions(ms, table, tree):
    ms.add_dataset("table", table)
    table.write_text("2")
    ms.add_dataset("table", table)
    ms.add_dataset("digits", tree)

    assert [(one.name, one.version) for one in ms.datasets()] == [("digits", 0), ("table", 1)]
    assert [one.version for one in ms.dataset_versions("table")] == [0, 1]
    with pytest.raises(al.NotFoundError):
        ms.dataset_versions("none")


def test_a_cache_that_cannot_be_written_gives_what_it_has(
    ms, open_ms, table, tree, tmp_path, mounted
):  # D6
    fsspec.filesystem("memory").pipe_file("/a-shelf/far.csv", b"from afar")
    ms.add_dataset("digits", tree, partitions={"train": "train/*"})
    ms.get_dataset("digits", download=True)
    ms.close()
    cache = tmp_path / "cache"
    with mounted(cache, "--bind", str(cache)):
        subprocess.run(["mount", "-o", "remount,ro,bind", cache], check=True)
        other = open_ms()
        with other.exper("e").start_run() as run:
            path = run.get_dataset("digits", download=True).local_path
            run.add_artifact("object", {"a": 1})
        far = other.add_dataset("far", "memory://a-shelf/far.csv")
        version = other.add_dataset("table", table)
        with pytest.raises(al.AccessDeniedError, match="another cache_dir"):
            version.fetch()
        with pytest.raises(al.AccessDeniedError, match="another cache_dir"):
            other.get_dataset("digits", partition="train", download=True)
        read = [one.open(stream=True).read() for one in (version, far)]
        other.close()

    assert (path / "train" / "0.txt").read_text() == "train 0"
    assert read == [b"a,b\n1,2\n", b"from afar"]


def test_a_race_of_eight_adds_one_version(open_ms, store_url, table, tmp_path):  # D1
    program = (
        "import sys, aletheia_like as al\n"
        "url, path, cache = sys.argv[1:]\n"
        "with al.Metastore('p', url=url, cache_dir=cache) as ms:\n"
        "    print(ms.add_dataset('table', path).version)\n"
    )
    command = [sys.executable, "-c", program, store_url, str(table), str(tmp_path / "c")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]

    assert [process.communicate(timeout=120)[0] for process in started] == ["0\n"] * 8
    assert len(open_ms().dataset_versions("table")) == 1


def test_a_directory_of_many_files(ms, open_ms, store_url, tmp_path):  # D11
    # The storage emulator looks through all its objects for each request, so fewer there.
    folders = 30 if store_url.startswith("file:") else 8
    root = tmp_path / "many"
    for folder in range(folders):
        (root / f"{folder:02}").mkdir(parents=True)
        for number in range(100):
            (root / f"{folder:02}" / f"{number:02}.txt").write_text(f"{folder} {number}")

    version = ms.add_dataset("many", root)
    before = ms.usage
    assert ms.add_dataset("many", root).version == version.version
    assert (ms.usage - before).document_writes == 0

    other = open_ms(cache_dir=tmp_path / "fresh")
    path = other.get_dataset("many", download=True).local_path
    assert sum(1 for _ in path.rglob("*.txt")) == folders * 100
    assert (path / "07" / "17.txt").read_text() == "7 17"
    stored = ms.session.documents.query(Query("projects/p/datasets/many/versions/0/files"))
    assert sum(1 for _ in stored) == folders * 100
