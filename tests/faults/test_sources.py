"""Adding data sets from places that misbehave: right in the end, or one clear error."""

from __future__ import annotations

import functools
import http.server
import os
import threading

import pytest

import aletheia_like as al
from tests.faults.faulty import Faulty

DATA = os.urandom(300_000)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def line(tmp_path):
    pytest.importorskip("aiohttp")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "file.bin").write_bytes(DATA)
    handler = functools.partial(QuietHandler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with Faulty(f"127.0.0.1:{server.server_port}") as line:
            line.concerns = lambda method, path: method == "GET"
            yield line
        server.shutdown()
        thread.join()


@pytest.fixture
def ms(tmp_path, monkeypatch):
    monkeypatch.setenv("ALETHEIA_TIMEOUT", "3")
    with al.Metastore(
        "p", url=(tmp_path / "store").as_uri(), cache_dir=tmp_path / "cache", git="off"
    ) as ms:
        yield ms


def assert_nothing_is_stored(ms, tmp_path):
    assert ms.datasets() == []
    assert list(ms.session.blobs.digests()) == []
    assert list(tmp_path.rglob("making/*")) == []


@pytest.mark.parametrize("faults", [[429, 503], ["cut", "cut"], ["drop"]])
@pytest.mark.parametrize("upload", [True, False])
def test_what_passes_is_overcome(ms, line, faults, upload):
    line.plan.extend(faults)
    version = ms.add_dataset("d", f"{line.url}/file.bin", upload=upload)
    line.plan.extend(faults)

    assert version.open().read() == DATA
    assert version.size == len(DATA)


@pytest.mark.parametrize(
    ("storm", "error"),
    [
        (503, al.UnavailableError),
        (429, al.UnavailableError),
        ("cut", al.UnavailableError),
        (401, al.AccessDeniedError),
        (403, al.AccessDeniedError),
        (404, al.NotFoundError),
    ],
)
def test_what_does_not_pass_is_one_clear_error(ms, line, tmp_path, storm, error):
    line.storm = storm

    with pytest.raises(error, match=line.url):
        ms.add_dataset("d", f"{line.url}/file.bin")
    assert_nothing_is_stored(ms, tmp_path)


def test_wrong_bytes_of_a_reference_are_not_given(ms, line):
    version = ms.add_dataset("d", f"{line.url}/file.bin", upload=False)
    line.storm = "flip"

    with pytest.raises(al.NotFoundError, match="has changed since it was added as d@0"):
        version.fetch()
    line.storm = None
    assert version.fetch().read_bytes() == DATA


def test_a_reference_needs_no_place_for_bytes(tmp_path, firestore_emulator):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_text("1")
    url = f"firestore://demo-{os.urandom(4).hex()}/(default)"
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        ms.add_dataset("d", tmp_path / "folder", upload=False)
        version = ms.get_dataset("d", download=True)

        assert version.local_path == tmp_path / "folder"
        assert [one.path for one in version.files()] == ["a"]
