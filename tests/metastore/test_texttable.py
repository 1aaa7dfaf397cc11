"""Tables that people look at: aligned, no wider than the terminal, in an order of their own."""

from __future__ import annotations

import datetime as dt
import random

import pytest

import aletheia_like as al
from aletheia_like.metastore.tables import Runs, Table
from aletheia_like.ports.documents import Document


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")


def test_runs_print_as_a_table(project_ms):  # A17, C10
    exper = project_ms.exper("e", debug=True)
    for lr in (0.1, 0.25):
        with exper.start_run(name="try", hyper_params={"lr": lr}) as run:
            run.add_metric("acc", 1 - lr)

    head, first, second, foot = str(exper.runs()).splitlines()

    assert head.split() == ["id", "number", "name", "status", "hyper_params.lr", "metrics.acc"]
    assert first.split()[:4] == ["1", "1", "try", "finished"]
    assert second.split()[-2:] == ["0.25", "0.75"]
    assert foot.startswith("[2 runs x 16 columns; not shown: ")
    assert repr(exper.runs()) == str(exper.runs())
    assert "metrics.acc" in str(exper.results())


def test_an_empty_table_says_that_it_is():
    assert str(Runs([])) == "[0 runs x 0 columns]"
    assert "0 rows" in Table([])._repr_html_()


def test_a_long_table_shows_its_beginning_and_its_end():
    shown = str(Table([{"n": n} for n in range(1_000)])).splitlines()

    assert [line.strip() for line in shown[10:14]] == ["9", "…", "995", "996"]
    assert shown[-1] == "[1,000 rows x 1 columns]"


def test_no_line_is_wider_than_the_terminal():
    rows = [{f"column {n}": "表" * n for n in range(40)} | {"text": "a\nb\x1b[31m" * 99}]

    shown = str(Table(rows)).splitlines()

    assert all(len(line) + line.count("表") <= 60 for line in shown)
    assert "\x1b" not in str(Table(rows))
    assert "not shown: column" in shown[-1]


def test_moments_are_as_exact_as_tells_them_apart():
    start = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    near = [{"at": start + dt.timedelta(milliseconds=n)} for n in range(2)]

    assert "2026-01-31 12:00:00Z" in str(Table([{"at": start}]))
    assert "2026-01-31 12:00:00.001Z" in str(Table(near))


def test_the_order_of_columns_does_not_depend_on_the_store():
    fields = {"status": "finished", "zeta": 1, "alpha": 2}
    fields["metrics"] = {f"loss {n}": float(n) for n in range(12)}
    fields["hyper_params"] = {"b": {"d": 1, "c": 2}, "a": 3}
    moment = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
    columns = []
    for seed in range(5):
        mixed = {name: _mixed(value, seed) for name, value in _mixed(fields, seed).items()}
        path = "projects/p/experiments/e/runs/1"
        columns.append(Runs([Document(path, mixed, "1", moment, moment)]).columns)

    assert all(one == columns[0] for one in columns)
    assert columns[0][14:17] == ["hyper_params.a", "hyper_params.b.c", "hyper_params.b.d"]
    assert columns[0][17:] == [*(f"metrics.loss {n}" for n in range(12)), "alpha", "zeta"]


def test_looking_at_rows_reads_nothing(project_ms):
    exper = project_ms.exper("e", debug=True)
    with exper.start_run() as run:
        run.log(note="long " * 100_000)
    rows = exper.run(1).rows()
    before = project_ms.usage

    shown = str(rows)

    assert "long long" in shown
    assert (project_ms.usage - before).blob_reads == 0


def _mixed(value, seed):
    if not isinstance(value, dict):
        return value
    items = list(value.items())
    random.Random(seed).shuffle(items)
    return dict(items)


@pytest.fixture
def project_ms(tmp_path):
    with al.Metastore("p", url=tmp_path.as_uri(), git="off") as ms:
        yield ms
