"""What views show, decided over rows that real runs logged."""

from __future__ import annotations

import math

import pytest

import aletheia_like as al
from aletheia_like.ui.views.defaults import default_view
from aletheia_like.ui.views.evaluating import (
    Grid,
    Lines,
    Tree,
    belonging,
    entries,
    matching,
    shown,
)
from aletheia_like.ui.views.view import Panel


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Rows of two runs of one experiment, and of a third without steps."""
    folder = tmp_path_factory.mktemp("views")
    with al.Metastore("p", url="memory://", cache_dir=folder / "cache", git="off") as ms:
        exper = ms.exper("a/b c")
        for number in range(2):
            with exper.start_run(id=f"run {number}/x") as run:
                run.log(config={"lr": 0.1, "deep": {"x": 1}}, who="me")
                run.log(config={"deep": {"y": 2}})
                for step in range(4):
                    picture = folder / f"{step}.png"
                    picture.write_bytes(b"\x89PNG" + bytes([step]))
                    run.log(step=step, loss=1 / (step + 1), note="words", image=al.File(picture))
                run.log(step=4, loss=math.nan)
                run.log(step=5, loss=math.inf)
        with ms.exper("other").start_run(id="r") as run:
            run.log(input="hello", output="world", score=1)
            run.log(input="hello", output="again")
        ms.flush()
        yield ms.rows()


@pytest.fixture
def one(rows):
    return belonging(rows, ["experiment", "run_id"], ["a/b c", "run 1/x"])


def test_each_distinct_index_is_one_entry_the_newest_first(rows):  # U2
    found = entries(rows, ["experiment", "run_id"])

    assert [entry.texts for entry in found] == [
        ("other", "r"),
        ("a/b c", "run 1/x"),
        ("a/b c", "run 0/x"),
    ]
    assert found[0].rows == 2


def test_rows_without_a_column_of_the_index_belong_to_no_entry(rows):  # U2
    assert [entry.texts for entry in entries(rows, ["run_id", "input"])] == [("r", "hello")]
    assert entries(rows, ["nowhere"]) == []


def test_a_search_wants_every_word_in_some_value(rows):  # U2
    found = entries(rows, ["experiment", "run_id"])

    assert [entry.texts[1] for entry in matching(found, "B 1/X")] == ["run 1/x"]
    assert matching(found, "nothing") == []


def test_data_without_an_index_is_the_latest_of_each_column_merged(one):  # U4
    content = shown(Panel("summary"), one).content

    assert isinstance(content, Tree)
    assert content.values["config"] == {"lr": 0.1, "deep": {"x": 1, "y": 2}}
    assert content.values["run_id"] == "run 1/x"


def test_data_with_an_index_is_a_table(rows):  # U5
    there = belonging(rows, ["run_id"], ["r"])

    content = shown(Panel("samples", ("output", "score"), ("input",)), there).content

    assert content == Grid(("input", "output", "score"), (("hello", "again", 1),))


def test_a_lineplot_has_a_line_for_each_column_and_gaps_for_what_is_not_finite(one):  # U6, U10
    content = shown(Panel("Loss", ("loss", "step"), ("step",), "lineplot"), one).content

    assert isinstance(content, Lines)
    (curve,) = content.figure.curves
    assert curve.xs == (0, 1, 2, 3, 4, 5)
    assert curve.ys[:2] == (1, 0.5)
    assert all(map(math.isnan, curve.ys[4:]))


def test_a_lineplot_says_which_columns_it_cannot_draw(one):  # U6
    panel = Panel("Loss", ("loss", "note", "missing"), ("step",), "lineplot")

    content = shown(panel, one).content

    assert len(content.figure.curves) == 1
    assert content.messages == (
        "'note' is not drawn: a plot needs numbers, and it holds str",
        "nothing was logged as 'missing'",
    )
    assert shown(Panel("x", ("note",), ("step",), "lineplot"), one).content.figure is None


def test_every_column_of_a_lineplot_means_those_with_numbers(one):  # U6
    content = shown(Panel("all", None, ("step",), "lineplot"), one).content

    assert [curve.label for curve in content.figure.curves] == ["loss"]
    assert content.messages == ()


def test_a_lineplot_over_words_has_them_across(rows):  # U6
    there = belonging(rows, ["run_id"], ["r"])

    content = shown(Panel("score", ("score",), ("input",), "lineplot"), there).content

    assert content.figure.x.categories == ("hello",)


def test_a_slider_has_a_position_for_each_step_that_has_something_to_see(one):  # U7
    panel = Panel("images", ("image",), slider="step")

    first, last = shown(panel, one, 0), shown(panel, one)

    assert first.positions == (0, 1, 2, 3)
    assert (first.position, last.position) == (0, 3)
    assert first.content.values["image"].name == "0.png"
    assert last.content.values["image"].name == "3.png"
    assert shown(panel, one, 99).position == 3


def test_a_slider_with_an_index_shows_a_table_of_the_chosen_step(one):  # U7
    content = shown(Panel("t", ("loss",), ("who", "note"), slider="step"), one, 1).content

    assert content is None
    content = shown(Panel("t", ("loss",), ("note",), slider="step"), one, 1).content
    assert content == Grid(("note", "loss"), (("words", 0.5),))


def test_a_panel_without_anything_to_see_is_empty(one):  # K22
    assert shown(Panel("none", ("nothing",)), one).content is None
    assert shown(Panel("none", ("nothing",), ("step",)), one).content is None
    assert shown(Panel("none", ("image",), slider="nowhere"), one).content is None


def test_the_default_view_is_a_summary_and_a_plot_of_each_column_of_numbers(one, rows):  # U1
    assert default_view(one).panels == (
        Panel("summary"),
        Panel("loss", ("loss",), ("step",), "lineplot"),
    )
    assert default_view(belonging(rows, ["run_id"], ["r"])).panels[1].index == ("timestamp",)
    assert default_view().index == ("project", "experiment", "run_id")
