"""What plots show, against pandas, and the files they become."""

from __future__ import annotations

import math
import re
import secrets
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import aletheia_like as al
from aletheia_like.errors import InvalidValueError, MissingExtraError, NotFoundError
from aletheia_like.plots.averaging import averaged, line_of
from aletheia_like.plots.thinning import smoothed, thinned

pytest.importorskip("plotly")
pytest.importorskip("pyarrow")
LOSSES = {1: [4.0, 2.0, 1.0], 2: [6.0, 3.0, 1.5], 3: [5.0, math.nan, 0.5]}


@pytest.fixture
def ms(tmp_path):
    url = (tmp_path / "store").as_uri()
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as metastore:
        yield metastore


@pytest.fixture
def exper(ms):
    """Three runs of two folds."""
    found = ms.exper("sweep")
    for number, losses in LOSSES.items():
        params = {"lr": 10.0**-number, "opt": "adam" if number < 3 else "sgd"}
        with found.start_run(fold=number % 2, hyper_params=params) as run:
            for step, loss in enumerate(losses):
                run.log(step=step, loss=loss, note="words")
            run.add_metrics({"acc": number / 10})
    return found


def test_a_curve_is_the_mean_and_one_standard_deviation_of_its_runs(exper):
    rows = pd.DataFrame(
        {"run": number, "step": step, "loss": loss}
        for number, losses in LOSSES.items()
        for step, loss in enumerate(losses)
    )
    expected = rows[rows.run != 3].groupby("step").loss.agg(["mean", "std"])

    (curve,) = exper.plot("loss", group=None, where="number < 3").data.curves

    assert curve.runs == 2
    assert curve.xs == (0, 1, 2)
    assert curve.ys == pytest.approx(expected["mean"].to_list())
    assert curve.lows == pytest.approx((expected["mean"] - expected["std"]).to_list())
    assert curve.highs == pytest.approx((expected["mean"] + expected["std"]).to_list())


def test_runs_share_a_curve_by_fold_or_by_any_column(exper):
    folds = exper.plot("loss").data.curves
    assert [(one.label, one.runs) for one in folds] == [("fold 0", 1), ("fold 1 · 2 runs", 2)]
    assert folds[1].ys == (4.5, 2.0, 0.75)
    by_opt = exper.plot("loss", group="hyper_params.opt", spread="minmax").data.curves
    assert [one.label.split(" · ")[0] for one in by_opt] == [
        "hyper_params.opt = adam",
        "hyper_params.opt = sgd",
    ]
    assert (by_opt[0].lows, by_opt[0].highs) == ((4, 2, 1), (6, 3, 1.5))
    assert math.isnan(by_opt[1].ys[1])


def test_a_run_that_did_all_folds_is_divided_by_its_rows(ms):
    found = ms.exper("one")
    with found.start_run() as run:
        for fold in range(2):
            for step in range(3):
                run.log(step=step, fold=fold, loss=fold + step)

    labels = [(one.label, one.ys) for one in found.plot("loss").data.curves]

    assert labels == [("fold 0", (0, 1, 2)), ("fold 1", (1, 2, 3))]


def test_runs_that_logged_at_other_steps_are_straight_in_between():
    first = line_of(np.array([0.0, 10.0]), np.array([0.0, 10.0]))
    second = line_of(np.array([0.0, 5.0, 5.0]), np.array([2.0, 3.0, 9.0]))

    found = averaged([first, second], "std")

    assert found.xs.tolist() == [0, 5, 10]
    assert found.mean.tolist() == [1, 7, 10]
    assert math.isnan(found.lows[2])


def test_a_moving_average_is_that_of_pandas():
    values = np.array([1.0, 5.0, np.nan, 2.0])
    expected = pd.Series(values).ewm(alpha=0.4, ignore_na=True).mean()

    found = smoothed(values, 0.6)

    assert found[[0, 1, 3]] == pytest.approx(expected[[0, 1, 3]].to_numpy())
    assert math.isnan(found[2])


def test_a_million_points_become_few_and_keep_the_spike():
    xs = np.arange(1_000_000.0)
    ys = np.sin(xs / 1e5)
    ys[123_456], ys[500_000] = 50, np.nan

    places = thinned(xs, ys, 2_000)

    assert len(places) <= 2_001
    assert {0, 123_456, 500_000, 999_999} <= set(places.tolist())


def test_ended_runs_are_read_once(exper, ms):
    exper.plot("loss")
    before = ms.usage
    exper.plot("loss")
    assert (ms.usage - before).document_reads == 3
    before = ms.usage
    exper.plot("metrics.acc", against="hyper_params.lr")
    assert (ms.usage - before).document_reads == 3


def test_scatter_and_parallel_show_a_run_each(exper):
    scatter = exper.plot("metrics.acc", against="hyper_params.lr", group=None, log="x").data
    assert scatter.groups[0].ys == (0.1, 0.2, 0.3)
    assert scatter.x.log
    parallel = exper.plot(kind="parallel").data
    assert [axis.title for axis in parallel.axes] == [
        "hyper_params.lr",
        "hyper_params.opt",
        "metrics.acc",
    ]
    assert parallel.axes[1].categories == ("adam", "sgd")
    assert parallel.values[1] == (0, 0, 1)  # noqa: PD011 - no data frame
    assert parallel.colour == 2
    by_step = exper.plot("metrics.acc", against="step", group=None).data
    assert by_step.x.title == "step (last)"
    assert len(by_step.groups[0].xs) == 3
    by_number = exper.plot("metrics.acc", group=None).data
    assert (by_number.x.title, by_number.groups[0].xs) == ("number", (1, 2, 3))


def test_a_metric_that_is_infinite_for_all_does_not_hide_the_rest(ms):
    other = ms.exper("diverging")
    for rate in (1, 2):
        with other.start_run(hyper_params={"lr": rate}) as run:
            run.add_metrics({"acc": rate / 2, "loss": math.inf})

    parallel = other.plot(kind="parallel").data

    assert [axis.title for axis in parallel.axes] == ["hyper_params.lr", "metrics.acc"]
    assert len(parallel.names) == 2


def test_a_page_holds_the_data_and_asks_nobody(exper, tmp_path):
    from plotly.offline import get_plotlyjs

    page = exper.plot("loss").save(tmp_path / "x.html").read_text(encoding="utf-8")
    own = page.replace(get_plotlyjs(), "")

    assert len(own) < len(page)
    assert not re.search(r"https?://|<script[^>]+src|<link", own)
    assert "4.5,2.0,0.75" in own.replace(" ", "")


def test_the_greatest_numbers_can_be_drawn(ms, tmp_path):  # C8
    with ms.exper("diverged").start_run() as run:
        run.log_batch([{"step": 0, "loss": 1e308}, {"step": 1, "loss": -1e308}])
        run.add_metrics({"acc": 1e308})

    ms.exper("diverged").plot("loss").save(tmp_path / "x.png")
    ms.exper("diverged").plot("metrics.acc").save(tmp_path / "y.png")

    for name in ("x.png", "y.png"):
        with Image.open(tmp_path / name) as image:
            image.load()


def test_pictures_of_every_kind_can_be_opened(exper, tmp_path):
    exper.plot("loss", log=True).save(tmp_path / "x.png")
    exper.plot("metrics.acc", against="hyper_params.opt").save(tmp_path / "x.svg")
    exper.plot(kind="parallel").save(tmp_path / "x.pdf")

    with Image.open(tmp_path / "x.png") as image:
        image.load()
        assert image.width == 1200
    assert ET.parse(tmp_path / "x.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")


def test_names_are_shown_as_they_are_and_do_nothing(ms, tmp_path):
    name = "<script>alert(1)</script> $x_1$ %{y} " + 80 * "n"
    found = ms.exper("odd")
    for number in range(2):
        with found.start_run(name=name, hyper_params={"opt": name, "n": number}) as run:
            run.log_batch({"step": step, "loss": step} for step in range(2))

    plots = [
        found.plot("loss", group="run"),
        found.plot("loss", group="hyper_params.opt"),
        found.plot("hyper_params.n", against="hyper_params.opt", group="hyper_params.opt"),
        found.plot(kind="parallel", columns=["hyper_params.n", "hyper_params.opt"]),
    ]
    for plot in plots:
        plot.save(tmp_path / "x.png")
        page = plot.save(tmp_path / "x.html").read_text(encoding="utf-8")
        assert "<script>alert" not in page


def test_what_is_nowhere_is_a_gap(ms):
    found = ms.exper("odd")
    with found.start_run() as run:
        for step, loss in enumerate([1.0, math.inf, -math.inf, math.nan, 10**400, 2.0]):
            run.log(step=step, loss=loss)

    (curve,) = found.plot("loss").data.curves

    assert np.flatnonzero(np.isfinite(curve.ys)).tolist() == [0, 5]


def test_a_live_run_is_drawn_with_what_it_just_logged(ms):
    with ms.exper("live").start_run() as run:
        run.log(step=1, loss=3.0)
        run.log(step=2, loss=2.0)

        assert run.plot("loss").data.curves[0].ys == (3, 2)
        assert ms.exper("live").plot("loss").data.curves[0].ys == (3, 2)


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        ({"y": "los"}, NotFoundError, "loss"),
        ({"y": "note"}, InvalidValueError, "holds no numbers"),
        ({"y": "loss", "where": "number = 9"}, NotFoundError, "no runs"),
        ({"y": "loss", "x": "stp"}, NotFoundError, "step"),
        ({"y": "loss", "smooth": 1}, InvalidValueError, "below 1"),
        ({"y": "metrics.ac", "against": "hyper_params.lr"}, NotFoundError, "metrics.acc"),
        ({"kind": "pie"}, InvalidValueError, "parallel"),
        ({"y": "loss", "group": "hyper_params.l"}, NotFoundError, "hyper_params.lr"),
        ({"y": "loss", "group": "opt"}, NotFoundError, "hyper_params.opt"),
        ({"y": "metrics.ac"}, NotFoundError, "metrics.acc"),
        ({"y": "metrics.acc", "against": "lr"}, NotFoundError, "hyper_params.lr"),
        ({"y": ["loss", "metrics.acc"]}, InvalidValueError, "against='number'"),
        (
            {"y": "metrics.acc", "against": "number", "group": "opt"},
            NotFoundError,
            "hyper_params.opt",
        ),
    ],
)
def test_what_cannot_be_drawn_is_told(exper, arguments, kind, told):
    with pytest.raises(kind, match=told):
        exper.plot(**arguments)


@pytest.mark.parametrize(("module", "suffix"), [("plotly", "html"), ("matplotlib", "png")])
def test_a_missing_package_is_named(exper, tmp_path, monkeypatch, module, suffix):
    plot = exper.plot("loss")
    for name in [one for one in sys.modules if one.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtraError, match=r"pip install 'aletheia-like\[plot\]'"):
        plot.save(tmp_path / f"x.{suffix}")


def test_reads_on_firestore_are_a_run_and_a_chunk_each_and_the_chunk_once(
    firestore_emulator, gcs_emulator, tmp_path
):
    url = f"firestore://demo-{secrets.token_hex(6)}/(default)?bucket=aletheia-emulator"
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        found = ms.exper("sweep")
        for fold in range(3):
            with found.start_run(fold=fold) as run:
                run.log_batch({"step": step, "loss": step + fold} for step in range(50))
        reads = []
        for _ in range(2):
            before = ms.usage
            (curve,) = found.plot("loss", group=None).data.curves
            reads.append((ms.usage - before).document_reads)

    assert (curve.runs, curve.ys[0]) == (3, 1)
    assert reads == [6, 3]
