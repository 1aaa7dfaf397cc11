"""Rows of a run that is over can be changed without going on with it."""

from __future__ import annotations

import datetime as dt

import pytest

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.amending import amend, plan_amendment


@pytest.fixture
def run(ms):
    """A run of three rows that has finished."""
    with ms.exper("e").start_run() as run:
        for step in range(3):
            run.log(step=step, loss=1.0 - step / 4, note="a" if step else None)
    return ms.experiment("e").run(run.id)


def change(ms, run, name, value, **where):
    plan = plan_amendment(ms.session, run.path, name, value, where)
    amend(ms.session, plan)
    return plan.matched, plan.changed, plan.replaced


def document(ms, run):
    return ms.session.documents.get(run.path).fields


def test_a_column_is_set_in_all_rows(ms, run):  # Q18
    assert change(ms, run, "acc", 0.5) == (3, 3, 0)
    assert run.rows()["acc"] == [0.5, 0.5, 0.5]


def test_a_column_is_set_where_rows_have_a_value(ms, run):  # Q19, C2
    assert change(ms, run, "loss", 7, step=2) == (1, 1, 1)
    assert run.rows()["loss"] == [1.0, 0.75, 7]
    assert change(ms, run, "loss", 7, step=2) == (1, 0, 0)
    assert change(ms, run, "loss", 7, step=2, note="b") == (0, 0, 0)
    assert change(ms, run, "loss", 7, unknown=1) == (0, 0, 0)


def test_what_was_none_or_nothing_is_not_replaced(ms, run):
    assert change(ms, run, "note", "b") == (3, 3, 2)


def test_nothing_is_written_by_planning(ms, run):
    before = ms.usage.document_writes
    plan_amendment(ms.session, run.path, "acc", 1, {})

    assert ms.usage.document_writes == before


def test_other_runs_stay(ms, run):
    with ms.exper("e").start_run() as other:
        other.log(loss=1)
    change(ms, run, "loss", 2)

    assert other.rows()["loss"] == [1]


def test_the_end_of_the_run_stays_and_its_summary_follows(ms, run):
    before = document(ms, run)
    change(ms, run, "loss", 9, step=0)
    after = document(ms, run)

    assert after["summary"]["loss"] == {"last": 0.5, "min": 0.5, "max": 9, "step": 2}
    assert {key: after[key] for key in before if key != "summary"} == {
        key: before[key] for key in before if key != "summary"
    }


def test_a_column_that_holds_no_number_any_more_leaves_the_summary(ms, run):
    change(ms, run, "loss", "gone")

    assert document(ms, run)["summary"] == {}


def test_another_step_is_seen_in_the_summary(ms, run):
    change(ms, run, "step", 40, step=2)

    assert document(ms, run)["summary"]["loss"]["step"] == 40


def test_a_run_that_goes_on_is_not_touched_but_its_rows_are(ms):
    with ms.exper("e").start_run() as run:
        run.log(loss=1)
        run.flush()
        before = ms.session.documents.get(run.path)
        change(ms, run, "loss", 2)
        # A lost run must not seem to live because somebody corrected a value.
        assert ms.session.documents.get(run.path).revision == before.revision
        run.log(loss=3)
        run.flush()

        assert run.rows()["loss"] == [2, 3]


def test_rows_of_a_clock_that_is_ahead_are_meant_too(ms):
    with ms.exper("e").start_run() as run:
        later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=3)
        run.log(loss=1, timestamp=later)
    change(ms, run, "loss", 2)

    assert run.rows()["loss"] == [2]


def test_long_text_and_nested_values_come_back(ms, run):
    value = {"text": "x" * 50_000, "nested": [[1], {"a": None}]}
    change(ms, run, "big", value, step=1)

    assert run.rows()["big"] == [None, value, None]


def test_what_cannot_be_set_is_refused(ms, run):
    for name, value in (("", 1), ("run_id", "x"), ("timestamp", 1), ("x", object())):
        with pytest.raises(InvalidValueError):
            plan_amendment(ms.session, run.path, name, value, {})
    with pytest.raises(InvalidValueError, match="timestamp"):
        plan_amendment(ms.session, run.path, "x", 1, {"timestamp": 1})


def test_a_run_that_is_deleted_meanwhile_is_not_found(ms, run):
    plan = plan_amendment(ms.session, run.path, "acc", 1, {})
    ms.exper("e").delete_run(run.id)

    with pytest.raises(NotFoundError):
        amend(ms.session, plan)
