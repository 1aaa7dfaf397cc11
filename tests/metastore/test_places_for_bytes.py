"""Metastores whose bytes are elsewhere than their documents: by fsspec, or over the web."""

from __future__ import annotations

import functools
import http.server
import threading
import uuid

import numpy as np
import pytest

import aletheia_like as al


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def opened(tmp_path):
    """Open one project of one store, each time with a cache of its own."""
    stores = []

    def opener(blobs=None):
        cache = tmp_path / f"cache{len(stores)}"
        url = (tmp_path / "store").as_uri()
        stores.append(al.Metastore("p", url=url, blobs=blobs, cache_dir=cache, git="off"))
        return stores[-1]

    yield opener
    for ms in stores:
        ms.close()


@pytest.fixture
def served(tmp_path):
    """The address under which a web server shows the blobs of the store."""
    pytest.importorskip("aiohttp")
    handler = functools.partial(QuietHandler, directory=str(tmp_path / "store" / "blobs"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def points(seed):
    """Return a series that is too long to be kept in a document."""
    values = np.random.default_rng(seed).random(50_000)
    return {"at": list(range(len(values))), "value": values.tolist()}


def fill(ms, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    (folder / "b.txt").write_text("b")
    ms.add_dataset("d", folder)
    ms.exper("e").add_artifact("a", folder / "a.txt")
    collection = ms.create_collection({"at": "int*", "value": "float"}, "c")
    collection.series("s").write(points(0))


def seen(ms):
    frame = ms.collection("c").series("s").frame()
    dataset = ms.get_dataset("d", download=True).local_path
    return {
        "dataset": {path.name: path.read_text() for path in dataset.iterdir()},
        "artifact": ms.experiment("e").artifact("a").download().read_text(),
        "series": {name: frame[name].tolist() for name in ("at", "value")},
    }


def test_over_the_web_everything_reads_as_it_is_and_nothing_can_be_written(
    opened, served, tmp_path
):  # B6
    local = opened()
    fill(local, tmp_path)
    remote = opened(served)
    blobs = sorted(local.session.blobs.digests())

    assert seen(remote) == seen(local)
    assert remote.usage.blob_reads > 3
    (tmp_path / "folder" / "a.txt").write_text("changed")
    for change in (
        lambda: remote.add_dataset("d", tmp_path / "folder"),
        lambda: remote.exper("e").add_artifact("a", tmp_path / "folder" / "a.txt"),
        lambda: remote.collection("c").series("s").write(points(1)),
    ):
        with pytest.raises(al.AccessDeniedError, match="can only be read"):
            change()
    assert sorted(local.session.blobs.digests()) == blobs
    assert [one.version for one in local.dataset_versions("d")] == [0]
    assert local.experiment("e").artifact("a").version == 0
    assert seen(local)["series"] == points(0)


@pytest.mark.parametrize("scheme", ["memory", "local"])
def test_bytes_may_be_wherever_fsspec_gets(opened, tmp_path, scheme):  # B7
    place = tmp_path / "elsewhere" if scheme == "local" else uuid.uuid4().hex
    blobs = f"{scheme}://{place}"
    fill(opened(blobs), tmp_path)
    other = opened(blobs)

    assert seen(other) == {
        "dataset": {"a.txt": "a", "b.txt": "b"},
        "artifact": "a",
        "series": points(0),
    }
    assert other.usage.blob_reads > 3
    assert not (tmp_path / "store" / "blobs").exists()
