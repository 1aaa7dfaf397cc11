"""Caches of a folder of blobs, and what other processes do to them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aletheia_like.adapters.counting import CountingBlobStore
from aletheia_like.adapters.directory import DirectoryBlobStore
from aletheia_like.cache import LocalCache
from aletheia_like.capture.files import read_manifest
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.usage import Usage

HEAD = """
import os, pathlib, sys, time
from aletheia_like.adapters.directory import DirectoryBlobStore
from aletheia_like.cache import LocalCache
from aletheia_like.model.digests import Manifest, digest_bytes

class Told(DirectoryBlobStore):
    def download(self, digest, path, progress=None):
        os.write(1, b"downloading\\n")
        super().download(digest, path, progress)

cache = LocalCache(pathlib.Path(sys.argv[1]), Told(pathlib.Path(sys.argv[2])))
words = sys.argv[3:]

"""


@pytest.fixture
def usage():
    return Usage()


@pytest.fixture
def origin(tmp_path, usage):
    return CountingBlobStore(DirectoryBlobStore(tmp_path / "origin"), usage)


@pytest.fixture
def cache(tmp_path, origin):
    return LocalCache(tmp_path / "cache", origin)


@pytest.fixture
def stored(tmp_path, origin):
    """Store bytes at the origin and return their digest."""

    def store(data):
        digest = digest_bytes(data)
        path = tmp_path / digest
        path.write_bytes(data)
        origin.upload(digest, path)
        path.unlink()
        return digest

    return store


@pytest.fixture
def stored_tree(tmp_path, origin):
    """Store a directory at the origin and return its manifest."""

    def store(files):
        root = tmp_path / "tree"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        tree = read_manifest(root)
        for entry in tree.manifest:
            origin.upload(entry.digest, root / entry.path)
        return tree.manifest

    return store


@pytest.fixture
def start(cache, tmp_path):
    """Start a program with a cache of the same folder; what still runs at the end is killed."""
    started = []

    def begin(body, *words, **options):
        places = (str(cache.root), str(tmp_path / "origin"))
        process = subprocess.Popen(
            [sys.executable, "-c", HEAD + body, *places, *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
