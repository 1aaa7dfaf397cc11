"""Blobs of S3 over a line that spoils them: right in the end, or one clear error."""  # B5

from __future__ import annotations

import os
import secrets
import time

import pytest

import aletheia_like as al
from aletheia_like.adapters.fsspec import FsspecBlobStore
from aletheia_like.adapters.retrying import RetryingBlobStore
from aletheia_like.model.digests import digest_bytes
from tests.faults.faulty import Faulty


@pytest.fixture
def line(s3_endpoint):
    with Faulty(s3_endpoint) as line:
        yield line


@pytest.fixture
def bare(line):
    s3fs = pytest.importorskip("s3fs")
    bucket = f"bucket-{secrets.token_hex(4)}"
    known = {"key": "k", "secret": "s"}
    endpoint = {"endpoint_url": f"http://{line.target}"}
    s3fs.S3FileSystem(**known, client_kwargs=endpoint, skip_instance_cache=True).mkdir(bucket)
    store = FsspecBlobStore(
        f"s3://{bucket}/blobs", **known, client_kwargs={"endpoint_url": line.url}
    )
    yield store
    store.close()


@pytest.fixture
def store(bare):
    return RetryingBlobStore(bare, deadline=15)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(300_000))
    return digest_bytes(path.read_bytes()), path


@pytest.mark.parametrize("faults", [[429, 503], ["cut"], ["flip"], ["drop", 500]])
def test_a_transfer_gets_through(store, line, file, tmp_path, faults):
    digest, path = file
    line.concerns = lambda method, path: method in ("GET", "PUT")
    line.plan.extend(one for one in faults if one not in ("cut", "flip"))
    assert store.upload(digest, path)
    line.plan.extend(faults)
    told = []
    store.download(digest, tmp_path / "copy", told.append)

    assert (tmp_path / "copy").read_bytes() == path.read_bytes()
    assert sum(told) == 300_000
    assert list(tmp_path.rglob("*.part")) == []


def test_a_storm_is_one_clear_error_in_time(bare, line, file, tmp_path):
    digest, path = file
    bare.upload(digest, path)
    line.storm = 503
    begun = time.monotonic()

    with pytest.raises(al.UnavailableError, match="s3://bucket"):
        RetryingBlobStore(bare, deadline=1).download(digest, tmp_path / "copy")
    assert time.monotonic() - begun < 15
    assert list(tmp_path.rglob("*.part")) == []


def test_what_is_sent_names_its_checksums(store, line, file):
    # By these S3 refuses bytes that were changed on their way; moto does not look.
    digest, path = file
    store.upload(digest, path)

    (told,) = [headers for method, _, headers in line.seen if method == "PUT"]
    assert told["X-Amz-Content-SHA256"] == digest
    assert told["x-amz-checksum-crc32"]
