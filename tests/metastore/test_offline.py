"""Offline: what was opened here before still opens, and no network is touched."""

from __future__ import annotations

import secrets

import pytest

import aletheia_like as al
from aletheia_like.testing.emulators import FirestoreEmulator, GcsEmulator, create_bucket


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    return path


def test_a_fetched_dataset_opens_without_any_server(tmp_path, table, monkeypatch):  # D6
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
            ms.get_dataset("table", download=True)
    finally:
        firestore.stop()
        gcs.stop()

    with al.Metastore("p", offline=True, **options) as ms:
        assert ms.get_dataset("table", download=True).local_path.read_text() == "a,b\n1,2\n"
        assert ms.usage.document_reads == 0
        for impossible in (
            lambda: ms.get_dataset("unseen"),
            ms.datasets,
            lambda: ms.exper("e", exist_ok=False),
            lambda: ms.add_metadata("m", {}),
        ):
            with pytest.raises(al.UnavailableError, match="offline"):
                impossible()


def test_the_embedded_store_works_offline(tmp_path, table):
    options = {"url": (tmp_path / "s").as_uri(), "cache_dir": tmp_path / "c", "git": "off"}
    with al.Metastore("p", offline=True, **options) as ms:
        ms.add_dataset("table", table)
        with ms.exper("e").start_run() as run:
            assert run.get_dataset("table", download=True).local_path is not None
