"""Data sets from any place; changes there are noticed."""  # A18 A21 D2 D14

from __future__ import annotations

import datetime as dt
import functools
import http.server
import ipaddress
import os
import secrets
import ssl
import subprocess
import sys
import threading
import uuid

import fsspec
import pytest

import aletheia_like as al
from aletheia_like.testing.emulators import BUCKET

FILES = {"part/a.csv": b"a,b\n1,2\n", "part/b.csv": b"a,b\n3,4\n", "c.txt": b""}


class Shelf:
    """A folder at some address that a test fills."""

    def __init__(self, url, write):
        self.url, self.write = url, write

    def fill(self):
        for name, data in FILES.items():
            self.write(name, data)
        return self


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def web(tmp_path):
    pytest.importorskip("aiohttp")
    root = tmp_path / "served"
    root.mkdir()
    handler = functools.partial(QuietHandler, directory=str(root))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def write(name, data):
        path = root / "shelf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    yield Shelf(f"http://127.0.0.1:{server.server_port}/shelf/", write)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def s3(s3_endpoint, monkeypatch):
    s3fs = pytest.importorskip("s3fs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    system = s3fs.S3FileSystem(skip_instance_cache=True)
    bucket = f"b{secrets.token_hex(4)}"
    system.mkdir(bucket)
    return Shelf(
        f"s3://{bucket}/shelf",
        lambda name, data: system.pipe_file(f"{bucket}/shelf/{name}", data),
    )


@pytest.fixture
def gs(gcs_emulator):
    pytest.importorskip("gcsfs")
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client("demo-aletheia", credentials=AnonymousCredentials())
    folder = f"sources/{secrets.token_hex(4)}"
    return Shelf(
        f"gs://{BUCKET}/{folder}",
        lambda name, data: client.bucket(BUCKET).blob(f"{folder}/{name}").upload_from_string(data),
    )


@pytest.fixture
def memory():
    folder = f"memory://{uuid.uuid4().hex}"
    return Shelf(
        folder, lambda name, data: fsspec.filesystem("memory").pipe_file(f"{folder}/{name}", data)
    )


@pytest.fixture(params=["memory", "web", "s3", "gs"])
def shelf(request):
    return request.getfixturevalue(request.param).fill()


@pytest.fixture
def local(tmp_path):
    root = tmp_path / "shelf"

    def write(name, data):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)

    return Shelf(str(root), write)


@pytest.fixture(params=["local", "memory", "web", "s3", "gs"])
def any_shelf(request):
    return request.getfixturevalue(request.param).fill()


@pytest.fixture
def ms(tmp_path):
    with al.Metastore(
        "p", url=(tmp_path / "store").as_uri(), cache_dir=tmp_path / "cache", git="off"
    ) as ms:
        yield ms


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_a_folder_is_copied_in(ms, any_shelf, tmp_path):
    version = ms.add_dataset("d", any_shelf.url, partitions={"part": "part/*"})
    any_shelf.write("c.txt", b"changed later")

    assert contents(version.download(tmp_path / "out")) == FILES
    assert (version.location, version.record.state) == (any_shelf.url, None)
    assert [one.path for one in ms.get_dataset("d", partition="part").files()] == [
        "part/a.csv",
        "part/b.csv",
    ]


def test_a_referenced_folder_is_fetched_from_its_place(ms, any_shelf):
    version = ms.add_dataset("d", any_shelf.url, upload=False, partitions={"part": "part/*"})
    assert not ms.session.blobs.exists(version.files()[0].digest)

    part = ms.get_dataset("d", partition="part", download=True)
    assert sorted(contents(part.local_path)) == ["part/a.csv", "part/b.csv"]
    assert version.open("part/b.csv").read() == FILES["part/b.csv"]
    assert contents(ms.get_dataset("d", download=True).local_path) == FILES


def test_a_change_at_the_place_is_noticed(ms, any_shelf):
    ms.add_dataset("d", any_shelf.url, upload=False)
    any_shelf.write("part/a.csv", b"a,b\n1,2\n7,8\n")

    with pytest.raises(al.NotFoundError, match="has changed since it was added as d@0"):
        ms.get_dataset("d", download=True)
    assert ms.add_dataset("d", any_shelf.url, upload=False).version == 1
    assert len(ms.get_dataset("d").open("part/a.csv").read()) == 12


@pytest.mark.parametrize("upload", [True, False])
def test_what_changed_and_was_added_again_has_other_bytes_and_the_old_copy_is_kept(
    ms, shelf, upload
):  # D7
    old = ms.add_dataset("d", shelf.url, upload=upload)
    before = ms.get_dataset("d", download=True).local_path
    shelf.write("part/a.csv", b"a,b\n1,9\n7,8\n")
    new = ms.add_dataset("d", shelf.url, upload=upload)
    after = ms.get_dataset("d", download=True).local_path

    assert (old.version, new.version) == (0, 1)
    assert old.digest != new.digest
    assert contents(after) == {**FILES, "part/a.csv": b"a,b\n1,9\n7,8\n"}
    assert contents(before) == FILES
    read = ms.usage.blob_reads
    assert ms.get_dataset("d", 0, download=True).local_path == before
    assert ms.usage.blob_reads == read


def test_one_file_may_be_referenced(ms, shelf):
    url = f"{shelf.url.rstrip('/')}/part/a.csv"
    version = ms.add_dataset("d", url, upload=False)
    again = ms.add_dataset("d", url, upload=False)
    assert ms.get_dataset("d", download=True).local_path.name == "a.csv"

    assert again.version == version.version
    assert version.record.state["size"] == 8
    shelf.write("part/a.csv", b"others!!")
    # What was fetched once is right and stays so.
    assert ms.get_dataset("d", download=True).local_path.read_bytes() == FILES["part/a.csv"]


def test_content_that_changes_behind_an_equal_state_is_noticed(ms, tmp_path):
    url = f"memory://{uuid.uuid4().hex}/a.txt"
    system = fsspec.filesystem("memory")
    system.pipe_file(url, b"first")
    version = ms.add_dataset("d", url, upload=False)
    stored = system.store[system._strip_protocol(url)]
    stored.seek(0)
    stored.write(b"other")

    with pytest.raises(al.NotFoundError, match="has changed"):
        version.fetch()
    assert list(tmp_path.rglob("*.part")) == []


FETCH = """
import sys, aletheia_like as al
with al.Metastore("p", url="memory://", cache_dir=sys.argv[2], git="off") as ms:
    print(ms.add_dataset("d", sys.argv[1]).open().read())
"""


def test_an_encrypted_place_is_read_if_its_certificate_is_trusted(tmp_path, monkeypatch):  # D14
    pytest.importorskip("aiohttp")
    certificate = self_signed(tmp_path)
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "a.txt").write_bytes(b"secret")
    handler = functools.partial(QuietHandler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"https://127.0.0.1:{server.server_port}/a.txt"
        trusting = {**os.environ, "SSL_CERT_FILE": str(certificate)}
        done = subprocess.run(
            [sys.executable, "-c", FETCH, url, tmp_path / "c"],
            env=trusting,
            capture_output=True,
            text=True,
            check=False,
        )
        monkeypatch.setenv("ALETHEIA_TIMEOUT", "1")
        with (
            al.Metastore("p", url="memory://", cache_dir=tmp_path / "d", git="off") as doubting,
            pytest.raises(al.UnavailableError, match=r"(?i)certificate"),
        ):
            doubting.add_dataset("d", url)
        server.shutdown()
        thread.join()

    assert done.stdout == "b'secret'\n", done.stderr


def self_signed(folder):
    """Make a key and a certificate for this machine, in one file."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(pem, private, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    return path


def test_a_listing_that_leads_out_of_its_folder_is_refused(ms):
    root = f"/{uuid.uuid4().hex}"
    fsspec.filesystem("memory").pipe_file(f"{root}/../evil", b"x")

    with pytest.raises(al.InvalidValueError, match="stay inside"):
        ms.add_dataset("d", f"memory:/{root}")
    assert ms.datasets() == []


def test_a_derived_data_set_points_at_its_parents_and_its_code(ms, tmp_path, monkeypatch):
    (tmp_path / "raw.csv").write_text("1")
    (tmp_path / "clean.csv").write_text("2")
    raw = ms.add_dataset("raw", tmp_path / "raw.csv")
    with ms.exper("cleaning").start_run() as run:
        run.get_dataset("raw")
        clean = ms.add_dataset("clean", tmp_path / "clean.csv", source=run)
    both = ms.add_dataset("both", tmp_path / "clean.csv", source=[raw, clean])

    parent = {"dataset": "raw", "version": 0, "digest": raw.digest}
    assert clean.source == {"parents": [parent]}
    assert (clean.record.run, clean.record.experiment) == (run.id, "cleaning")
    assert [one["dataset"] for one in both.source["parents"]] == ["raw", "clean"]
    node = both.lineage()
    assert [one.name for one in node.up] == ["raw@0", "clean@0"]
    assert [one.name for one in node.up[1].up] == [f"cleaning/{run.id}", "raw@0"]
    assert node.up[0].up[0].name == str(tmp_path / "raw.csv")


def test_the_code_of_a_derived_data_set_is_its_commit(tmp_path, monkeypatch):
    import git

    repository = git.Repo.init(tmp_path / "code")
    (tmp_path / "code" / "raw.csv").write_text("1")
    repository.git.add(".")
    repository.git.execute(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"]
    )
    monkeypatch.chdir(tmp_path / "code")
    with al.Metastore("p", url="memory://", cache_dir=tmp_path / "cache") as ms:
        raw = ms.add_dataset("raw", "raw.csv")
        derived = ms.add_dataset("derived", "raw.csv", source=raw)

    head = repository.head.commit.hexsha
    assert (derived.source["code"]["commit"], derived.commit) == (head, head)
    assert raw.commit is None
