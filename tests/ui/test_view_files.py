"""View files are read as people write them, and refused with their line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import aletheia_like as al
from aletheia_like.cli.main import main
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


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [(None, 1, "No such file"), ("index: run_id\npanels: 3\n", 2, "view.yaml, line 2: panels")],
)
def test_the_page_does_not_start_with_a_view_file_that_cannot_be(  # U1
    tmp_path, capsys, text, code, told
):
    path = tmp_path / "view.yaml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(SystemExit) as ended:
        main(["ui", "--view", str(path), "--url", "memory://", "-p", "p", "--port", "0"])

    assert ended.value.code == code
    assert told in capsys.readouterr().err


def test_the_view_file_of_the_documentation_is_one():
    page = Path(__file__).parents[2] / "docs" / "howto" / "views.md"
    (text,) = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)

    assert len(parse_view(text).panels) == 4
