"""Which blobs documents and rows mention, and how their files are called."""

from __future__ import annotations

import pytest

from aletheia_like.model.rows import Line, pack
from aletheia_like.transfer.mentions import inside, of_fields, of_rows, safe_name

ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64


def test_documents_mention_blobs_by_what_is_around_them():
    fields = {
        "digest": ONE,
        "filename": "model.pt",
        "environment": {"packages": TWO},
        "hyper_params": {"long": {"@text": [THREE, 9, "begins"]}, "other": "x" * 64},
    }

    assert of_fields(fields) == {ONE: "model.pt", TWO: "packages.json", THREE: "text.txt"}


def test_a_manifest_is_called_one_wherever_it_is_mentioned():
    fields = {
        "uses": [{"name": "a", "digest": ONE}],
        "kind": "directory",
        "digest": ONE,
        "manifest": ONE,
    }

    assert of_fields(fields) == {ONE: "manifest.jsonl"}


def test_rows_mention_files_and_objects():
    rows = [
        Line(1, 1.0, {"file": {"@file": {"name": "a.png", "sha256": ONE, "size": 1}}}),
        Line(2, 2.0, {"model": TWO, "text": f"not a digest: {THREE}"}),
    ]

    assert of_rows(pack(rows), 2) == {ONE: "a.png", TWO: "model.cloudpickle"}


def test_long_values_and_manifests_mention_what_is_in_them(tmp_path):
    path = tmp_path / "blob"
    path.write_text(f'{{"path": "a/b.txt", "sha256": "{ONE}", "size": 1}}\nno json "{TWO}"\n')

    assert inside(path, "manifest.jsonl") == {ONE: "b.txt"}
    assert inside(path, "table.csv") == {}


@pytest.mark.parametrize(
    ("name", "media_type", "safe"),
    [
        ("a.csv", None, "a.csv"),
        ("../../etc/passwd", None, "_._etc_passwd"),
        ("..", None, "blob"),
        ("nul\x00\n", None, "nul__"),
        ("plot", "image/png", "plot.png"),
        ("x" * 300 + ".tar", None, "x" * 116 + ".tar"),
        ("", "text/plain", "blob.txt"),
    ],
)
def test_names_of_files_are_safe_everywhere(name, media_type, safe):
    assert safe_name(name, media_type) == safe
