"""Objects of rows: exported, deleted when nothing refers to them, tables that open as tables."""

from __future__ import annotations

import datetime as dt

import cloudpickle
import pandas as pd
import pytest

import aletheia_like as al
from aletheia_like.errors import (
    AlreadyExistsError,
    InvalidValueError,
    NotFoundError,
    RunStateError,
)


class Falsy:
    """An object that counts as nothing."""

    def __bool__(self):
        return False


@pytest.fixture
def run(ms):
    """A run that is running."""
    with ms.exper("e").start_run() as run:
        yield run


def test_an_object_is_exported_as_cloudpickle_reads_it(ms, run, tmp_path):  # O1, O6, O9
    digest = run.log(thing=Falsy())["thing"]
    run.log(thing=digest)
    run.flush()
    out = ms.export_object(digest, tmp_path / "thing")

    assert not cloudpickle.loads(out.read_bytes())
    assert isinstance(ms.get_object(digest, trust=True), Falsy)
    assert run.rows()["thing"] == [digest] * 2  # O3
    with pytest.raises(AlreadyExistsError):
        ms.export_object(digest, out)


def test_an_object_is_deleted_only_when_nothing_refers_to_it(ms, run):  # O7
    digest = run.log(thing=Falsy(), keep=1)["thing"]
    run.log(keep=2)
    run.flush()
    with pytest.raises(RunStateError, match="exclusive"):
        ms.delete_object(digest)
    with pytest.raises(RunStateError, match="thing; clear"):
        ms.delete_object(digest, exclusive=True)
    run.finish()

    assert ms.delete_object(digest, clear=True, exclusive=True) == 1
    assert (ms.rows()["thing"], ms.rows()["keep"]) == ([None, None], [1, 2])
    assert not ms.session.blobs.exists(digest)
    with pytest.raises(NotFoundError):
        ms.delete_object(digest)
    assert ms.exper("e").start_run().log(thing=Falsy())["thing"] == digest


def test_what_an_artifact_holds_is_not_deleted(ms, tmp_path):
    (tmp_path / "a").write_text("a")
    made = ms.exper("e").add_artifact("a", tmp_path / "a")
    with pytest.raises(RunStateError, match="artifacts/a"):
        ms.delete_object(made.digest, clear=True, exclusive=True)


def test_a_table_comes_back_with_its_types(run):  # V7
    frame = pd.DataFrame(
        {"when": pd.to_datetime(["2026-01-01"]), "n": [1], "text": ["a"]}, index=["row"]
    )
    run.log(table=al.Table(frame))
    table = run.latest("table")

    assert (type(table), table.name) == (al.Table, "table.parquet")
    pd.testing.assert_frame_equal(table.as_df(), frame)
    assert run.log(again=table)["again"].as_df().equals(frame)


def test_tables_of_equal_values_and_other_names_are_two(run):  # V7
    rows = [run.log(t=al.Table({"a": [1]})), run.log(t=al.Table({"b": [1]}))]
    rows.append(run.log(t=al.Table(pd.DataFrame({"a": [1]}), name="other")))

    first, second, third = (row["t"] for row in rows)
    assert first.digest != second.digest
    assert (list(second.as_df()), third.name) == (["b"], "other.parquet")
    assert run.log(t=al.Table({"a": [1]}))["t"].digest == first.digest


def test_what_is_no_table_is_refused(run):
    with pytest.raises(InvalidValueError, match=r"al\.Table"):
        run.log(t=al.Table(dt.date(2026, 1, 1)))
    assert len(run.rows()) == 0
