"""Data sets as DataFrames of Spark: by format, verified, and their use recorded."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

import aletheia_like as al
from aletheia_like.metastore.datasets import DatasetVersion

FRAME = pd.DataFrame({"number": [1, 2], "share": [0.5, 1.5], "text": ["a", "ä, b"]})
WRITERS = {
    "rows.parquet": FRAME.to_parquet,
    "rows [1] 100%.csv": lambda path: FRAME.to_csv(path, index=False),
    "rows.csv.gz": lambda path: FRAME.to_csv(path, index=False),
    "rows.tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "rows.jsonl": lambda path: FRAME.to_json(path, orient="records", lines=True),
}


def added(ms, path, **options):
    ms.add_dataset("data", path, **options)
    return ms.get_dataset("data")


# D15
@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_the_pandas_frame(spark, metastore, tmp_path, name):
    WRITERS[name](tmp_path / name)

    found = added(metastore, tmp_path / name).to_spark(spark)

    columns = list(FRAME.columns)
    pd.testing.assert_frame_equal(
        found.select(columns).toArrow().to_pandas(), FRAME, check_dtype=False
    )


# D15
def test_reading_with_spark_is_a_use(spark, metastore, tmp_path):
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    metastore.add_dataset("words", tmp_path / "words.txt")

    with metastore.exper("e").start_run() as run:
        found = run.get_dataset("words", download=True).to_spark(spark)
        lines = [row.value for row in found.collect()]

    assert lines == ["one", "two"]
    assert list(run.record.datasets) == ["words"]


def test_folders_of_a_directory_are_columns(spark, metastore, tmp_path):
    for day in (1, 2):
        folder = tmp_path / "data" / f"day={day}"
        folder.mkdir(parents=True)
        (folder / "part.csv").write_text(f"x\n{day * 10}\n")
    (tmp_path / "data" / "_SUCCESS").write_text("")

    found = added(metastore, tmp_path / "data").to_spark(spark)

    assert sorted(map(tuple, found.select("day", "x").collect())) == [(1, 10), (2, 20)]


def test_a_partition_and_images_are_read(spark, metastore, tmp_path):
    for part in ("train", "test"):
        (tmp_path / "data" / part).mkdir(parents=True)
        (tmp_path / "data" / part / "0.png").write_bytes(part.encode())
    metastore.add_dataset("data", tmp_path / "data", partitions={"train": "train/*"})

    found = metastore.get_dataset("data", partition="train").to_spark(spark)

    assert [bytes(row.content) for row in found.collect()] == [b"train"]


def test_a_damaged_copy_is_not_read(spark, metastore, tmp_path):
    (tmp_path / "words.txt").write_text("good")
    dataset = added(metastore, tmp_path / "words.txt")
    local = dataset.fetch()
    local.chmod(0o600)
    local.write_text("bad!")

    assert [row.value for row in dataset.to_spark(spark).collect()] == ["good"]


def test_several_formats_need_a_choice(spark, metastore, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("x\n1\n")
    (tmp_path / "data" / "b.txt").write_text("words\n")
    dataset = added(metastore, tmp_path / "data")

    with pytest.raises(al.InvalidValueError, match=r"several formats \(a.csv, b.txt\): name one"):
        dataset.to_spark(spark)

    assert [tuple(row) for row in dataset.to_spark(spark, format="csv").collect()] == [(1,)]
    assert dataset.to_spark(spark, format="csv", header=False).count() == 2


class Reader:
    """Notes what a session's reader is told, where the place itself cannot be reached."""

    def __init__(self):
        self.read, self.places, self.kind = self, [], None

    def format(self, kind):
        self.kind = kind
        return self

    def options(self, **options):
        return self

    def load(self, places):
        self.places = places


def test_what_is_not_here_is_read_where_it_was_added_from(metastore, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.parquet").write_bytes(b"1")
    local = added(metastore, tmp_path / "data")
    record = replace(local.record, location="s3://bucket/data/")
    dataset, reader = DatasetVersion(metastore.session, record), Reader()

    dataset.to_spark(reader)
    assert (reader.kind, reader.places) == ("parquet", ["s3a://bucket/data/a.parquet"])

    dataset.fetch()
    dataset.to_spark(reader)
    assert reader.places == [f"file://{dataset.local_path}/a.parquet"]


@pytest.mark.parametrize("upload", [True, False])
def test_a_partition_that_is_read_where_it_is_has_only_its_files(metastore, tmp_path, upload):
    for part in ("train", "test"):
        (tmp_path / "data" / part).mkdir(parents=True)
        (tmp_path / "data" / part / "a.parquet").write_bytes(b"1")
    metastore.add_dataset(
        "data", tmp_path / "data", upload=upload, partitions={"train": "train/*"}
    )
    record = replace(metastore.get_dataset("data").record, location="s3://bucket/data")
    reader = Reader()

    DatasetVersion(metastore.session, record, "train").to_spark(reader)

    assert reader.places == ["s3a://bucket/data/train/a.parquet"]  # D12


def test_no_session_and_no_known_suffix_are_told(metastore, tmp_path):
    (tmp_path / "data.bin").write_bytes(b"1")
    dataset = added(metastore, tmp_path / "data.bin")

    with pytest.raises(al.InvalidValueError, match="can be read by a SparkSession, not by None"):
        dataset.to_spark(None)
    with pytest.raises(al.InvalidValueError, match=r"no suffix that tells .* \(data.bin\)"):
        dataset.to_spark(Reader())


# D15
def test_without_pyspark_the_package_works_and_says_what_is_missing():
    program = (
        "import sys; sys.modules['pyspark'] = None\n"
        "import aletheia_like as al\n"
        "from aletheia_like.integrations import spark\n"
        "try: spark.register(object())\n"
        "except al.MissingExtraError as error: print(error)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "pip install 'aletheia-like[spark]'" in done.stdout
