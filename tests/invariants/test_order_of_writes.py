"""A blob is stored before any document mentions it, over every store."""

from __future__ import annotations

import contextlib
import re
import secrets

import pytest

import aletheia_like as al
from aletheia_like.errors import UnavailableError

DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


class Watching:
    """Passes writes on, and looks whether the blobs they mention are stored."""

    def __init__(self, inner, blobs, trees):
        self._inner = inner
        self._blobs = blobs
        self._trees = trees
        self.seen = set()

    def apply(self, writes):
        mentioned = set(DIGEST.findall(repr(writes))) - self._trees
        for digest in mentioned:
            assert self._blobs.exists(digest), f"{digest} is mentioned but not stored"
        self.seen |= mentioned
        return self._inner.apply(writes)

    def __getattr__(self, name):
        return getattr(self._inner, name)


class Stopping:
    """Passes writes on until it has done so many, then is away for good."""

    def __init__(self, inner, left):
        self._inner = inner
        self._left = left

    def apply(self, writes):
        if self._left == 0:
            message = "away"
            raise UnavailableError(message)
        self._left -= 1
        return self._inner.apply(writes)

    def __getattr__(self, name):
        return getattr(self._inner, name)


@pytest.fixture(params=["embedded", "firestore"])
def store_url(request, tmp_path):
    if request.param == "embedded":
        return (tmp_path / "store").as_uri()
    request.getfixturevalue("firestore_emulator")
    request.getfixturevalue("gcs_emulator")
    return f"firestore://demo-{secrets.token_hex(6)}/(default)?bucket=aletheia-emulator"


@pytest.fixture
def ms(store_url, tmp_path):
    with al.Metastore("p", url=store_url, cache_dir=tmp_path / "cache", git="off") as opened:
        yield opened


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(5):
        (root / f"{number}.txt").write_text(str(number))
    return root


def record(ms, tree):
    exper = ms.exper("e")
    ms.add_dataset("data", tree)
    with exper.start_run(hyper_params={"prompt": "x" * 50_000}) as run:
        run.get_dataset("data", download=True)
        run.add_artifact("file", tree / "1.txt")
        run.add_artifact("tree", tree)


def test_a_blob_is_stored_before_any_document_mentions_it(ms, tree):  # invariant 2
    from aletheia_like.capture.files import read_manifest

    # A directory's own digest names its manifest, which is a blob too, under that very name.
    watching = Watching(ms.session.documents, ms.session.blobs, {secrets.token_hex(32)})
    ms.session.documents = watching
    ms.session.recorder._documents = watching

    record(ms, tree)

    assert read_manifest(tree).digest in watching.seen
    assert len(watching.seen) >= 8


@pytest.mark.parametrize("done", range(7))
def test_a_store_that_goes_away_leaves_nothing_half_written(ms, store_url, tree, tmp_path, done):
    stopping = Stopping(ms.session.documents, done)
    ms.session.documents = stopping
    ms.session.recorder._documents = stopping
    with contextlib.suppress(UnavailableError):
        exper = ms.exper("e")
        ms.add_dataset("data", tree)
        run = exper.start_run()
        run.add_artifact("tree", tree)
        run.finish(timeout=0.1)
        exper.start_run()
        exper.start_run()

    ms.session.live_runs._runs.clear()
    with al.Metastore("p", url=store_url, cache_dir=tmp_path / "other", git="off") as other:
        for dataset in other.datasets():
            assert len(list(dataset.fetch().iterdir())) == 5
        for experiment in other.experiments():
            for record in experiment.runs():
                for use in record.artifacts.values():
                    assert other.session.blobs.exists(use.digest)
    ms.session.recorder._notes.clear()
