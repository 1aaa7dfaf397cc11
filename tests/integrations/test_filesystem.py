"""Data sets by addresses of fsspec."""

from __future__ import annotations

import fsspec
import pytest

import aletheia_like as al
from aletheia_like.integrations import filesystem


@pytest.fixture
def ms(tmp_path, monkeypatch):
    filesystem.register()
    monkeypatch.setenv("ALETHEIA_URL", (tmp_path / "store").as_uri())
    monkeypatch.setenv("ALETHEIA_CACHE_DIR", str(tmp_path / "cache"))
    fsspec.get_filesystem_class("aletheia").clear_instance_cache()
    root = tmp_path / "digits"
    for part in ("train", "test"):
        (root / part).mkdir(parents=True)
        for number in range(2):
            (root / part / f"{number}.csv").write_text(f"a,b\n{number},{part}\n")
    with al.Metastore("p", git="off") as ms:
        ms.add_dataset("digits", root)
        (root / "train" / "0.csv").write_text("a,b\n7,new\n")
        ms.add_dataset("digits", root)
        yield ms
    fsspec.get_filesystem_class("aletheia").clear_instance_cache()


def test_a_file_opens_by_its_address_alone(ms):
    with fsspec.open("aletheia://p/digits@0/train/0.csv") as stream:
        assert stream.read() == b"a,b\n0,train\n"

    # The manifest, and the file; nothing else was fetched.
    assert len(ms.cache.ls()) == 2


def test_without_a_version_the_newest_is_meant(ms):
    assert fsspec.filesystem("aletheia").cat("aletheia://p/digits/train/0.csv") == b"a,b\n7,new\n"


def test_pandas_reads_it(ms):
    pandas = pytest.importorskip("pandas")

    frame = pandas.read_csv("aletheia://p/digits@0/test/1.csv")
    assert frame.to_dict("records") == [{"a": 1, "b": "test"}]


def test_parquet_is_read_by_columns(ms, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pandas.DataFrame({"a": [1, 2], "b": [3, 4]}).to_parquet(tmp_path / "file.parquet")
    ms.add_dataset("a/table", tmp_path / "file.parquet")

    for address in ("aletheia://p/a%2Ftable@0/file.parquet", "aletheia://p/a%2Ftable"):
        assert pandas.read_parquet(address, columns=["b"]).b.tolist() == [3, 4]


def test_it_is_listed_like_folders(ms):
    system = fsspec.filesystem("aletheia")

    assert system.ls("aletheia://p", detail=False) == ["p/digits@1"]
    assert system.ls("aletheia://p/digits@0", detail=False) == [
        "p/digits@0/test",
        "p/digits@0/train",
    ]
    assert system.glob("aletheia://p/digits@0/*/0.csv") == [
        "p/digits@0/test/0.csv",
        "p/digits@0/train/0.csv",
    ]
    assert system.info("aletheia://p/digits@0/test")["type"] == "directory"
    assert system.checksum("p/digits@0/test/0.csv") == ms.get_dataset("digits").files()[0].digest
    assert system.cat_file("p/digits@0/test/0.csv", start=-3, end=-1) == b"st"


def test_it_is_copied_by_fsspec(ms, tmp_path):
    fsspec.filesystem("aletheia").get("p/digits@0/train", str(tmp_path / "out"), recursive=True)

    assert (tmp_path / "out" / "0.csv").read_text() == "a,b\n0,train\n"


@pytest.mark.parametrize("address", ["p/none/0.csv", "p/digits@9/train/0.csv", "p/digits@0/x"])
def test_what_is_not_there_is_told(ms, address):
    with pytest.raises(FileNotFoundError):
        fsspec.open(f"aletheia://{address}").open()
    assert not fsspec.filesystem("aletheia").exists(address)


def test_it_cannot_be_written(ms):
    with pytest.raises(al.ReadOnlyError, match="only be read"):
        fsspec.open("aletheia://p/digits@0/train/0.csv", "wb").open()
