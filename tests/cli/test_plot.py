"""`aletheia plot`, in a terminal, through a pipe, and into files."""

from __future__ import annotations

import math
import re
import sys

import pytest

from aletheia_like.cli.curves import Look, Series, draw, draw_histogram
from aletheia_like.plots.bars import histogram_of

pytest.importorskip("plotext")
USAGE, NOT_FOUND = 2, 3


def drawn(**changes):
    series = changes.pop("series", [Series("a", [0.0, 1.0, 2.0], [1.0, 3.0, 2.0])])
    return draw(series, Look(**{"title": "t", "x_label": "x", **changes}), 60, 18, colour=False)


def test_a_curve_through_a_pipe_is_plain_text(aletheia, logged):  # C8
    shown = aletheia("plot", "p/sweep/1", "-c", "loss")
    assert (shown.code, "\x1b" in shown.out) == (0, False)
    lines = shown.out.splitlines()
    assert len(lines) == 20
    assert "loss · p/sweep/1" in lines[0]
    assert lines[-1].strip() == "step"
    assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 50), (30, 8)])
def test_a_drawing_fits_the_terminal(terminal, logged, columns, lines):
    shown = terminal(columns, "plot", "p/sweep/1", "p/sweep/2", "-c", "loss,step", lines=lines)
    assert shown.code == 0
    assert max(map(len, shown.out.splitlines())) <= max(columns, 40)
    assert len(shown.out.splitlines()) < max(lines, 16)


def test_several_runs_are_told_apart(aletheia, terminal, logged):
    shown = aletheia("plot", "p/sweep/1", "p/sweep/2", "-c", "loss").out.splitlines()
    assert [line.split() for line in shown[:2]] == [["⠶⠶", "p/sweep/1"], ["xx", "p/sweep/2"]]
    assert any("x" in line for line in shown[3:])
    both = terminal(80, "plot", "p/sweep/1", "-c", "loss", "-c", "step").out.splitlines()
    assert [line.split() for line in both[:2]] == [["━━", "loss"], ["━━", "step"]]


def test_the_data_can_be_had(aletheia, logged):
    (one,) = aletheia("plot", "sweep/1", "-p", "p", "-c", "loss", "--json").json
    assert one["label"] == "loss"
    assert one["x"] == list(range(10))
    assert one["y"][:2] == [1.0, 0.5]
    (by_row,) = aletheia("plot", "p/sweep/1", "-c", "step", "--x", "loss", "--json").json
    assert by_row["x"] == sorted(by_row["x"])
    (by_time,) = aletheia("plot", "p/sweep/1", "-c", "loss", "--x", "timestamp", "--json").json
    assert by_time["x"][0] == 0


def test_what_to_draw_must_be_known(aletheia, logged):
    with logged.exper("sweep").start_run() as run:
        run.log(step=1, only=2.5)
        run.log(step=2, only=3.5)
    assert "only · p/sweep/3" in aletheia("plot", "p/sweep/3").out
    assert aletheia("plot", "p/sweep/3", "-c", "loss").code == NOT_FOUND
    assert aletheia("plot", "p/sweep/99", "-c", "loss").code == NOT_FOUND
    assert aletheia("plot", "p/sweep/1", "--x", "epoch").code == NOT_FOUND
    with logged.exper("sweep").start_run() as run:
        run.log(text="x", a=1, b=2)
    unclear = aletheia("plot", "p/sweep/4")
    assert (unclear.code, "there are a, b" in unclear.err) == (USAGE, True)
    text = aletheia("plot", "p/sweep/4", "-c", "text")
    assert (text.code, "holds no numbers" in text.err) == (USAGE, True)
    with logged.exper("sweep").start_run():
        pass
    empty = aletheia("plot", "p/sweep/5", "-c", "loss")
    assert (empty.code, "nothing to draw yet" in empty.err) == (USAGE, True)


def test_values_without_a_place_are_told(aletheia, logged):
    shown = aletheia("plot", "p/sweep/1", "p/sweep/2", "-c", "step", "--log")
    assert (shown.code, "what is zero or less is a gap" in shown.err) == (0, True)
    across = aletheia("plot", "p/sweep/1", "-c", "loss", "--log-x")
    assert (across.code, "1 points at zero or less" in across.err) == (0, True)


@pytest.mark.parametrize(
    ("option", "suffix"), [("--log", "png"), ("--hist", "html"), ("--scatter", "svg")]
)
def test_pictures_need_no_display(aletheia, logged, tmp_path, option, suffix):  # C8
    pytest.importorskip("matplotlib")
    out = tmp_path / f"x.{suffix}"
    done = aletheia("plot", "p/sweep/1", "p/sweep/2", "-c", "loss", "--out", out, option)

    assert (done.code, done.err.splitlines()[0]) == (0, f"wrote {out}")
    assert out.stat().st_size > 1_000


def test_a_file_says_what_it_is_by_its_name(aletheia, logged):
    assert aletheia("plot", "p/sweep/1", "-c", "loss", "--out", "model.pt").code == USAGE


@pytest.mark.parametrize(
    ("package", "options"), [("plotext", []), ("matplotlib", ["--out", "x.png"])]
)
def test_a_missing_package_is_named(aletheia, logged, monkeypatch, package, options):
    for name in [one for one in sys.modules if one.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)

    done = aletheia("plot", "p/sweep/1", "-c", "loss", *options)

    assert done.code == 1
    assert "pip install 'aletheia-like[plot]'" in done.err


def test_a_histogram_counts_every_value():
    figure = histogram_of({"a": [0.0, 0.1, 0.2, 5.0, 10.0]}, 4, "t", "x")
    text = draw_histogram(figure, 60, 18, colour=False)
    assert figure.groups[0].counts == (3, 0, 1, 1)
    assert re.search(r"^ *3┤", text, re.MULTILINE)
    assert "█" in text


def test_a_single_point_and_a_flat_line_can_be_drawn():
    assert drawn(series=[Series("a", [3.0], [7.0])])
    assert drawn(series=[Series("a", [3.0, 4.0], [7.0, 7.0])])
    assert drawn(series=[Series("a", [3.0], [7.0])], log=True)
    assert drawn(series=[Series("a", [], []), Series("b", [1.0], [1e-300])])


def test_numbers_at_the_ends_of_what_there_is_can_be_drawn():
    assert drawn(series=[Series("a", [0.0, 1.0], [-1e300, 1e300])])
    assert drawn(series=[Series("a", [0.0, 1.0], [5e-324, 1e300])], log=True)
    bars = histogram_of({"a": [-1e300, 1e300], "b": [math.inf]}, 3, "t", "x")
    assert [one.counts for one in bars.groups] == [(1, 0, 1), (0, 0, 0)]
    assert bars.notes == ("1 value is left out: no finite number",)
    assert draw_histogram(bars, 60, 18, colour=True)


def test_a_million_points_become_few_that_look_the_same():
    ys = [0.0] * 1_000_000
    ys[654_321] = 9.0
    thin = Series("a", [float(x) for x in range(1_000_000)], ys).thinned(100)

    assert len(thin.xs) <= 404
    assert (max(thin.ys), thin.xs[thin.ys.index(9.0)]) == (9.0, 654_321)
    assert (thin.xs[0], thin.xs[-1]) == (0.0, 999_999)


def test_an_experiment_is_drawn_by_group(aletheia, logged, tmp_path):
    (both,) = aletheia("plot", "p/sweep", "-c", "loss", "--by", "all", "--json").json
    assert both["runs"] == 2
    assert aletheia("plot", "p/sweep/1", "-c", "loss", "--html", "one.html").code == 0
    assert "Plotly" in (tmp_path / "one.html").read_text(encoding="utf-8")


def test_named_runs_are_drawn_together_too(aletheia, logged):
    named = ("plot", "p/sweep/1", "p/sweep/2", "-c", "loss", "--json")
    (both,) = aletheia(*named, "--by", "all").json
    assert both["runs"] == 2
    (one,) = aletheia(*named, "--by", "fold", "--where", "fold = 1").json
    assert one["label"] == "fold 1"
    mixed = aletheia("plot", "p/sweep/1", "p/other/1", "-c", "loss", "--by", "fold")
    assert (mixed.code, "only runs of one experiment" in mixed.err) == (USAGE, True)
