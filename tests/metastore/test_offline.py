"""Offline: what was opened here before still opens, and no network is touched."""

from __future__ import annotations

import functools
import http.server
import secrets
import threading

import pytest

import aletheia_like as al
from aletheia_like.testing.emulators import FirestoreEmulator, GcsEmulator, create_bucket


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    return path


@pytest.fixture
def tree(tmp_path):
    for part in ("train", "test"):
        (tmp_path / "tree" / part).mkdir(parents=True)
        (tmp_path / "tree" / part / "0.txt").write_text(part)
    return tmp_path / "tree"


def names(dataset):
    return sorted(path.name for path in dataset.local_path.rglob("*.txt"))


@pytest.mark.filterwarnings("ignore:the store is away")
def test_whatever_was_fetched_opens_without_any_server(
    tmp_path, table, tree, monkeypatch
):  # A16, D6
    url = f"firestore://demo-{secrets.token_hex(6)}/(default)?bucket=aletheia-emulator"
    options = {"url": url, "cache_dir": tmp_path / "cache", "git": "off"}
    try:
        firestore, gcs = FirestoreEmulator().start(), GcsEmulator().start()
    except al.NotFoundError as error:
        pytest.skip(str(error))
    try:
        create_bucket(gcs.url)
        for name, value in {**firestore.environment, **gcs.environment}.items():
            monkeypatch.setenv(name, value)
        with al.Metastore("p", **options) as ms:
            ms.add_dataset("table", table)
            ms.add_dataset("other", table)
            ms.add_dataset("tree", tree, partitions={"train": "train/*"})
            ms.exper("e").add_artifact("a", table)
            ms.get_dataset("table", download=True)
            table.write_text("changed")
            ms.add_dataset("table", table)
            ms.get_dataset("table", download=True)
            ms.get_dataset("tree", download=True)
            ms.get_dataset("tree", partition="train", download=True)
            ms.exper("e").artifact("a").download()
    finally:
        firestore.stop()
        gcs.stop()

    with al.Metastore("p", offline=True, **options) as ms:
        for version, text in ((None, "changed"), (1, "changed"), (0, "a,b\n1,2\n")):
            dataset = ms.get_dataset("table", version, download=True, verify=True)
            assert dataset.local_path.read_text() == text
        assert names(ms.get_dataset("tree", download=True)) == ["0.txt", "0.txt"]
        assert names(ms.get_dataset("tree", partition="train", download=True)) == ["0.txt"]
        assert ms.get_dataset("tree").open("test/0.txt").read() == b"test"
        assert ms.exper("e").artifact("a").download().read_text() == "a,b\n1,2\n"
        with ms.exper("e").start_run() as run:
            assert names(run.get_dataset("tree", download=True)) == ["0.txt", "0.txt"]
        assert [use.name for use in run.datasets.values()] == ["tree"]
        with pytest.raises(al.UnavailableError, match="offline"):
            ms.get_dataset("other", download=True)
        assert ms.usage.document_reads == ms.usage.blob_reads == 0
        for impossible in (
            lambda: ms.get_dataset("unseen"),
            ms.datasets,
            lambda: ms.exper("e", exist_ok=False),
            lambda: ms.add_metadata("m", {}),
        ):
            with pytest.raises(al.UnavailableError, match="offline"):
                impossible()


def test_a_reference_is_not_followed_offline_but_what_was_fetched_of_it_opens(tmp_path):
    pytest.importorskip("aiohttp")
    options = {"url": (tmp_path / "s").as_uri(), "cache_dir": tmp_path / "c", "git": "off"}
    (tmp_path / "served").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "served" / name).write_text(name)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/served/"
        with al.Metastore("p", **options) as ms:
            ms.add_dataset("d", url, upload=False).open("a.txt").close()
        with al.Metastore("p", offline=True, **options) as ms:
            for impossible in (
                lambda: ms.get_dataset("d").open("b.txt"),
                lambda: ms.get_dataset("d", download=True),
                lambda: ms.add_dataset("e", url),
            ):
                with pytest.raises(al.UnavailableError, match=f"offline, and {url}"):
                    impossible()
            assert ms.get_dataset("d").open("a.txt").read() == b"a.txt"
        server.shutdown()


def test_the_embedded_store_works_offline(tmp_path, table):
    options = {"url": (tmp_path / "s").as_uri(), "cache_dir": tmp_path / "c", "git": "off"}
    with al.Metastore("p", offline=True, **options) as ms:
        ms.add_dataset("table", table)
        with ms.exper("e").start_run() as run:
            assert run.get_dataset("table", download=True).local_path is not None
