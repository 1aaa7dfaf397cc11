"""Differences of versions, as people and programs read them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyarrow import parquet

import aletheia_like as al


@pytest.fixture
def repository(tmp_path):
    with al.Metastore("p", url="memory://", cache_dir=tmp_path / "cache", git="off") as ms:
        yield ms.repository("r")


@pytest.fixture
def diff(repository, tmp_path):
    """Save two values under one name, and compare them."""

    def compared(before, after, name="a", **options):
        for number, value in enumerate((before, after)):
            path = tmp_path / str(number) / name
            if isinstance(value, bytes):
                path.parent.mkdir()
                path.write_bytes(value)
            is_file = isinstance(value, bytes)
            repository.log_artifact(name, path if is_file else value, **options)
        repository.save()
        return repository.diff(name, 0, 1)

    return compared


def test_texts_differ_line_by_line(diff):  # V25
    found = diff(b"one\ntwo\nthree\n", b"one\n2\nthree\n", "notes.txt")

    assert found.splitlines() == [
        "--- notes.txt@0",
        "+++ notes.txt@1",
        "@@ -1,3 +1,3 @@",
        " one",
        "-two",
        "+2",
        " three",
    ]
    assert found.to_dict()["lines"][4:6] == ["-two", "+2"]


def test_texts_that_differ_only_in_their_end_do_differ(diff):  # V25
    found = diff(b"one\ntwo", b"one\ntwo\n", "notes.txt")

    assert found.split("\n")[2:] == [
        "@@ -1,2 +1,2 @@",
        " one",
        "-two",
        "\\ No newline at end of file",
        "+two",
    ]


def test_texts_that_differ_only_in_their_ends_of_lines_do_differ(diff):  # V25
    found = diff(b"one\ntwo\n", b"one\r\ntwo\n", "notes.txt")

    assert found.to_dict()["lines"][3:] == ["-one", "+one^M", " two"]


def test_equal_versions_do_not_differ(diff):  # V25
    found = diff(b"one\n", b"one\n", "notes.txt")

    assert found == ""
    assert found.to_dict()["same"] is True


def test_bytes_that_are_no_text_are_refused(diff):  # V25
    with pytest.raises(ValueError, match="neither text, JSON nor a table"):
        diff(b"\x00\x01", b"\x00\x02", "model.bin")


def test_json_differs_value_by_value(diff):
    found = diff(
        {"a": {"b": [1, 2]}, "gone": None, "same": 1.5},
        {"a": {"b": [1, 3, 4]}, "new": "x", "same": 1.5},
        handler="json",
    )

    assert found.splitlines()[2:] == [
        "- a.b[1]: 2",
        "+ a.b[1]: 3",
        "+ a.b[2]: 4",
        "- gone: null",
        "+ new: x",
    ]
    assert found.to_dict()["changes"][0] == {
        "where": "a.b[1]",
        "what": "changed",
        "before": 2,
        "after": 3,
    }


def test_json_that_differs_in_types_only_differs(diff):
    assert [one.where for one in diff([1, True], [1.0, 1], handler="json").changes] == [
        "[0]",
        "[1]",
    ]


def test_json_that_is_none_is_compared_as_text(diff):
    assert "-{" in diff(b"{\n", b"[\n", "a.json")


def test_tables_differ_cell_by_cell(diff):
    found = diff(b"a,b\n1,x\n2,y\n3,z\n", b"a,b\n1,x\n2,Y\n3,z\n", "t.csv")

    assert found.splitlines()[2:] == ["- row 1, b: y", "+ row 1, b: Y"]


def test_tables_differ_by_columns_and_rows(diff):
    found = diff(b"a,b\n1,x\n2,y\n", b"a,c\n0,n\n1,n\n2,n\n", "t.csv")

    assert found.splitlines()[2:] == ["- column b", "+ column c", '+ row 0: {"a": "0"}']


def test_rows_in_the_middle_of_a_table_come_and_go(diff):
    before = b"a\n" + b"".join(b"%d\n" % number for number in range(100))
    found = diff(
        before, before.replace(b"\n50\n", b"\n").replace(b"\n60\n", b"\n60\n60.5\n"), "t.csv"
    )

    assert [(one.where, one.what) for one in found.changes] == [
        ("row 50, a", "changed"),
        *((f"row {number}, a", "changed") for number in range(51, 61)),
    ]


def test_parquet_is_compared_as_a_table(diff, tmp_path):
    files = []
    for number, rows in enumerate(([1, 2], [1, 2, 3])):
        path = tmp_path / f"{number}.parquet"
        parquet.write_table(pa.table({"n": rows}), path)
        files.append(path.read_bytes())

    assert diff(*files, "t.parquet").splitlines()[2:] == ['+ row 2: {"n": 3}']


def test_directories_differ_file_by_file(repository, tmp_path):
    for files in ({"a": "1", "b": "1"}, {"a": "2", "c": "1"}):
        tree = tmp_path / files["a"]
        tree.mkdir()
        for name, text in files.items():
            (tree / name).write_text(text)
        repository.log_artifact("tree", tree)
    repository.save()

    found = repository.diff("tree", 0)

    assert [(one.where, one.what) for one in found.changes] == [
        ("a", "changed"),
        ("b", "removed"),
        ("c", "added"),
    ]


def test_a_directory_is_not_compared_with_a_file(repository, tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_text("1")
    repository.log_artifact("x", tmp_path / "tree")
    repository.log_artifact("x", tmp_path / "tree" / "a")
    repository.save()

    with pytest.raises(al.InvalidValueError, match="only x@0 is a directory"):
        repository.diff("x", 0, 1)


def test_references_differ_by_where_they_lead(diff):
    found = diff("s3://a/b", "s3://a/c", is_local=False)

    assert found.splitlines()[2:] == ["- location: s3://a/b", "+ location: s3://a/c"]


def test_long_differences_are_cut_for_people_only(diff):
    found = diff(list(range(300)), [-1] * 300, handler="json")

    assert found.splitlines()[-1] == "… and 100 more"
    assert len(found.changes) == 300


def test_types_of_columns_differ_and_texts_are_told_from_numbers(repository):  # V25
    for column in ([1], ["1"]):
        repository.log_artifact("t", pa.table({"n": column}))
    repository.save()

    assert repository.diff("t", 0, 1).splitlines()[2:] == [
        "- column n: int64",
        "+ column n: string",
        "- row 0, n: 1",
        "+ row 0, n: '1'",
    ]
