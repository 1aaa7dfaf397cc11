"""View files are read as people write them, and refused with their line."""

from __future__ import annotations

import pytest

import aletheia_like as al
from aletheia_like.errors import AletheiaError, SettingsError
from aletheia_like.ui.views.parsing import parse_view, read_view
from aletheia_like.ui.views.view import Panel

FILE = """
index:
    - project
    - run_id

panels:
    - name: summary
      columns: '*'
      type: data

    - name: Loss
      columns: ['loss', 'square']
      index: step
      type: lineplot

    - name: images
      columns: image
      slider: step
"""


def test_a_view_file_is_read_as_it_is_written(tmp_path):  # U1
    path = tmp_path / "view.yaml"
    path.write_text(FILE)

    view = read_view(path)

    assert view.index == ("project", "run_id")
    assert view.panels == (
        Panel("summary"),
        Panel("Loss", ("loss", "square"), ("step",), "lineplot"),
        Panel("images", ("image",), slider="step"),
    )


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("index: run_id\npanels:\n - name: a\n   type: lineplt\n", 4, "data, lineplot"),
        ("index: run_id\npanels:\n - name: a\n   type: lineplot\n", 3, "needs an index"),
        ("index: run_id\npanels:\n - name: a\n   colums: x\n", 4, "'columns'"),
        ("index: run_id\npanels:\n - columns: x\n", 3, "needs a name"),
        ("index: run_id\npanels:\n - name: a\n   columns: [x, {y: z}]\n", 4, "names of columns"),
        ("index: run_id\npanels:\n - name: a\n   columns: []\n", 4, "one column or more"),
        ("index: run_id\npanels:\n - name: a\n   columns: [x, y, x]\n", 4, "twice"),
        ("index: run_id\npanels:\n - name: a\n   name: b\n", 4, "twice"),
        ("index: run_id\npanels:\n - name: a\n   columns: *\n", 4, "in quotes: '*'"),
        ("index: run_id\npanels:\n - just text\n", 3, "a panel has lines"),
        ("index: run_id\npanels: 3\n", 2, "list of one panel"),
        ("index: run_id\npanels:\n", 2, "list of one panel"),
        ("index: run_id\n", 1, "needs the key 'panels'"),
        ("index: [run_id\npanels: []\n", 2, "this is no YAML"),
        ("- index\n", 1, "a view has lines"),
        ("index: run_id\npanels:\n - name:\n", 3, "name is empty"),
    ],
)
def test_a_wrong_view_file_says_which_line_and_what_is_expected(text, line, expected):  # K20
    with pytest.raises(SettingsError) as caught:
        parse_view(text, "view.yaml")

    assert str(caught.value).startswith(f"view.yaml, line {line}: ")
    assert expected in str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", "\x00", "a: !!python/object:os.system x"])
def test_what_is_no_view_is_refused(text):
    with pytest.raises(SettingsError):
        parse_view(text)


def test_a_missing_view_file_is_told_apart_from_a_wrong_one(tmp_path):  # U1
    with pytest.raises(AletheiaError, match="No such file") as caught:
        read_view(tmp_path / "none.yaml")

    assert not isinstance(caught.value, SettingsError | al.NotFoundError)
