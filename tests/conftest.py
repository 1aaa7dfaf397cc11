"""What all tests share: clean settings, and a Firestore of their own."""

from __future__ import annotations

import itertools
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import hypothesis
import pytest

from aletheia_like import connect
from aletheia_like.adapters.counting import CountingDocumentStore
from aletheia_like.metastore import telling
from aletheia_like.ports.documents import Document, DocumentStore, Query
from aletheia_like.testing import plugin
from aletheia_like.testing.indexes import missing_index, read_indexes

TOGETHER = (
    "tests/integrations/",
    "tests/testing/test_rules.py",
    "tests/conformance/test_blobs.py::TestS3",
    "tests/faults/test_s3.py",
    "tests/transfer/foreign/test_mlflow.py",
    "tests/transfer/foreign/",
)
"""Tests that share what is slow to start or to make: Spark, a server, what a tracker recorded."""
INDEXES = read_indexes(Path(__file__).parents[1] / "emulator" / "firestore.indexes.json")

hypothesis.settings.register_profile("tests", deadline=None, print_blob=True)
hypothesis.settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Load our plugin as an installed package has it, also from a mere source tree."""
    if not config.pluginmanager.is_registered(plugin):
        config.pluginmanager.register(plugin)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Give tests that share something slow to one worker: to start it once is enough."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((one for one in TOGETHER if nodeid.startswith(one)), nodeid)

    return Scheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield folders that nobody has made yet: most tests need none, and making one takes time."""
    root = tmp_path_factory.mktemp("homes")
    return (root / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def settings_of_nobody(monkeypatch: pytest.MonkeyPatch, homes: Iterator[Path]) -> None:
    """Keep the settings, stores and caches of whoever runs the tests out of them."""
    home = next(homes)
    for name in ("URL", "PROJECT", "BLOBS", "CACHE_DIR", "GIT", "OFFLINE", "HOME", "AUTHOR"):
        monkeypatch.delenv(f"ALETHEIA_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))


@pytest.fixture(autouse=True)
def nothing_told_yet() -> None:
    """Let each test be warned, of what another one in this process was warned of, too."""
    telling.forget()


@pytest.fixture(autouse=True)
def queries_have_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every query of a metastore that Firestore could not answer: the emulator does not."""

    class CheckedDocumentStore(CountingDocumentStore):
        def query(self, query: Query) -> Iterator[Document]:
            missing = missing_index(query, INDEXES)
            assert missing is None, missing
            return super().query(query)

    monkeypatch.setattr(connect, "CountingDocumentStore", CheckedDocumentStore)


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """The address of a real S3 server of moto's."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield "http://127.0.0.1:{1}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def mounted() -> Callable[..., AbstractContextManager[None]]:
    """Mount something on a folder while a block runs; skip the test where that is forbidden."""

    @contextmanager
    def mount(folder: Path, *arguments: str) -> Iterator[None]:
        done = subprocess.run(
            ["mount", *arguments, folder], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"only root may mount: {done.stderr.strip()}")
        try:
            yield
        finally:
            subprocess.run(["umount", folder], check=True)

    return mount


@pytest.fixture
def firestore_store(firestore_emulator: str) -> Iterator[DocumentStore]:
    """An empty Firestore database."""
    from aletheia_like.adapters.firestore import FirestoreDocumentStore

    store = FirestoreDocumentStore(f"demo-{secrets.token_hex(6)}")
    yield store
    store.close()
