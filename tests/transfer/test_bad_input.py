"""What is no export is refused, and what is there already is left alone."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

import aletheia_like as al
from aletheia_like.transfer.locking import locked


def foreign_sqlite(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (a)")
    connection.close()


def foreign_folder(path):
    path.mkdir()
    (path / "thesis.txt").write_text("my only copy")


def everything(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_path_without_a_known_suffix_is_refused(filled, tmp_path):
    for path in ("out", "out.csv", "out.txt"):
        with pytest.raises(al.InvalidValueError, match=r"NAME\.parquet"):
            filled.export(tmp_path / path)
    for path in ("out", "out.txt"):
        (tmp_path / path).touch()
        with pytest.raises(al.InvalidValueError, match=r"NAME\.parquet .* or a file .* of MLflow"):
            filled.import_(tmp_path / path)
    with pytest.raises(al.InvalidValueError, match="jsonl, parquet, sqlite"):
        filled.export(tmp_path / "out", format="excel")


def test_the_format_can_be_given(filled, opened, tmp_path):
    filled.export(tmp_path / "backup", format="sqlite")

    assert opened("copy").import_(tmp_path / "backup", format="sqlite").runs == 3


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.sqlite", "a.db"])
def test_what_is_somebody_elses_is_not_written_to(filled, tmp_path, name):
    folder = tmp_path / "target"
    folder.mkdir()
    if name.endswith(("sqlite", "db")):
        foreign_sqlite(folder / name)
    else:
        foreign_folder(folder / name)
    before = everything(folder)

    with pytest.raises(al.AlreadyExistsError, match="export"):
        filled.export(folder / name)

    assert everything(folder) == before


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_file_where_a_folder_should_be_is_left(filled, tmp_path, name):
    (tmp_path / name).write_text("words")

    with pytest.raises(al.AlreadyExistsError):
        filled.export(tmp_path / name)

    assert (tmp_path / name).read_text() == "words"


def test_where_nothing_can_be_written_is_told_at_once(filled, tmp_path):
    (tmp_path / "file").write_text("words")
    before = filled.usage

    with pytest.raises(al.AccessDeniedError, match=r"cannot write into .*file: "):
        filled.export(tmp_path / "file" / "a.db")
    assert (filled.usage - before).document_reads <= 1


def test_a_link_goes_on_to_be_one(filled, opened, tmp_path):
    filled.export(tmp_path / "a.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
    with filled.exper("new").start_run():
        pass

    filled.export(tmp_path / "link.db")

    assert (tmp_path / "link.db").is_symlink()
    assert opened("copy").import_(tmp_path / "a.db").runs == 4


def test_a_folder_where_a_file_should_be_is_left(filled, tmp_path):
    foreign_folder(tmp_path / "a.sqlite")

    with pytest.raises(al.AlreadyExistsError):
        filled.export(tmp_path / "a.sqlite")


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "sqlite"])
def test_an_export_of_another_project_is_left(filled, opened, tmp_path, suffix):
    filled.export(tmp_path / f"out.{suffix}")
    other = opened("store", project="other")
    other.exper("e")

    with pytest.raises(al.AlreadyExistsError, match="project"):
        other.export(tmp_path / f"out.{suffix}")

    assert opened("copy").import_(tmp_path / f"out.{suffix}").runs == 3


def test_what_is_no_export_is_not_imported(opened, tmp_path):
    foreign_sqlite(tmp_path / "a.sqlite")
    (tmp_path / "b.sqlite").write_bytes(b"no database at all, only words" * 100)
    for name in ("a.jsonl", "a.parquet"):
        foreign_folder(tmp_path / name)
    (tmp_path / "b.jsonl").mkdir()
    (tmp_path / "b.jsonl" / "data.jsonl").write_text('{"loss": 1}\n')
    ms = opened()

    for name in ("a.sqlite", "b.sqlite", "a.jsonl", "b.jsonl", "a.parquet"):
        with pytest.raises(al.InvalidValueError, match="no export of ours"):
            ms.import_(tmp_path / name)
    for name in ("c.sqlite", "c.jsonl", "c.parquet"):
        with pytest.raises(al.NotFoundError, match="nothing at"):
            ms.import_(tmp_path / name)
    assert ms.projects() == []


def test_a_damaged_sqlite_file_is_refused(filled, opened, tmp_path):
    filled.export(tmp_path / "a.sqlite")
    with (tmp_path / "a.sqlite").open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * 8192)
    copy = opened("copy")

    with pytest.raises(al.AletheiaError):
        copy.import_(tmp_path / "a.sqlite")
    assert copy.projects() == []


def test_a_half_written_parquet_folder_is_refused_and_mended(filled, opened, tmp_path):
    folder = tmp_path / "a.parquet"
    filled.export(folder)
    mark = folder / "_aletheia.json"
    mark.write_text(mark.read_text().replace('"complete": true', '"complete": false'))
    copy = opened("copy")

    with pytest.raises(al.IntegrityError, match="half written"):
        copy.import_(folder)
    assert copy.projects() == []

    filled.export(folder)
    assert copy.import_(folder).runs == 3


def test_a_half_written_folder_of_lines_changes_nothing_and_is_mended(filled, opened, tmp_path):
    target = tmp_path / "a.jsonl"
    filled.export(target)
    data = target / "data.jsonl"
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) // 2])
    copy = opened("copy")

    with pytest.raises(al.IntegrityError, match="half written"):
        copy.import_(target)

    assert copy.projects() == []
    filled.export(target)
    assert copy.import_(target).runs == 3


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.db"])
def test_an_empty_project_has_nothing_to_export(opened, tmp_path, name):
    with pytest.raises(al.NotFoundError, match="nothing to export"):
        opened("empty").export(tmp_path / name)

    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.db"])
def test_columns_of_several_types_and_odd_names_come_back(opened, tmp_path, name):
    cells = [1, "two", None, 2.5, True, [1, "x"], {"a": {"b": None}}]
    ms = opened("odd")
    with ms.exper("a; DROP TABLE x").start_run(hyper_params={"'": 1, '"; --': [1, "a"]}) as run:
        for cell in cells:
            run.log({"mixed": cell, "a; DROP TABLE x": 1, '"': "'"})

    ms.export(tmp_path / name)
    copy = opened("copy")
    copy.import_(tmp_path / name)

    assert copy["a; DROP TABLE x"].run(1).rows()["mixed"] == cells
    assert copy["a; DROP TABLE x"].run(1).hyper_params == {"'": 1, '"; --': [1, "a"]}


def test_a_parquet_folder_without_one_of_its_tables_is_refused(filled, opened, tmp_path):
    filled.export(tmp_path / "a.parquet")
    next((tmp_path / "a.parquet" / "rows").iterdir()).unlink()

    with pytest.raises(al.IntegrityError, match="lacks rows/"):
        opened("copy").import_(tmp_path / "a.parquet")


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-20])


def somebody_elses(path):
    from pyarrow import parquet, table

    parquet.write_table(table({"x": [1]}), path)


@pytest.mark.parametrize(
    ("spoil", "told"), [(cut_off, "is damaged"), (somebody_elses, "lacks .*sequence")]
)
@pytest.mark.parametrize("folder", ["rows", "others"])
def test_a_damaged_table_of_rows_is_found_before_anything_is_written(
    filled, opened, tmp_path, spoil, told, folder
):
    filled.export(tmp_path / "a.parquet")
    spoil(next((tmp_path / "a.parquet" / folder).iterdir()))
    copy = opened("copy")

    with pytest.raises(al.IntegrityError, match=told):
        copy.import_(tmp_path / "a.parquet")
    assert copy.projects() == []


def test_a_failed_export_leaves_the_earlier_one(filled, opened, tmp_path):
    filled.export(tmp_path / "a.sqlite")
    before = (tmp_path / "a.sqlite").read_bytes()
    (blob,) = [one for one in (tmp_path / "store" / "blobs").rglob("492d5ea4*") if one.is_file()]
    blob.unlink()

    with pytest.raises(al.NotFoundError):
        filled.export(tmp_path / "a.sqlite")

    assert (tmp_path / "a.sqlite").read_bytes() == before
    assert not list(tmp_path.glob(".a.sqlite*"))


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_two_exports_into_one_folder_wait_for_each_other(filled, opened, tmp_path, suffix):
    target = tmp_path / f"out.{suffix}"
    others = [filled, *(opened() for _ in range(3))]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda ms: ms.export(target), others))

    assert opened("copy").import_(target).runs == 3
    if suffix == "jsonl":
        kinds = [json.loads(line)["kind"] for line in (target / "data.jsonl").open()]
        assert (kinds.count("end"), kinds.count("export")) == (1, 1)


def test_an_export_that_lasts_is_named(tmp_path):
    with (
        locked(tmp_path / "out.jsonl"),
        pytest.raises(al.ConflictError, match=r"another export.*out\.jsonl"),
        locked(tmp_path / "out.jsonl", seconds=0),
    ):
        pass
