"""A table of runs shows of each what its own row shows."""

from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from aletheia_like.metastore.changes import seen_record
from aletheia_like.metastore.runcolumns import run_row
from aletheia_like.metastore.tables import Runs
from aletheia_like.model.records import RunRecord
from aletheia_like.ports.documents import Document

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
ODD = (
    {"@items": [["a.b", 1], ["", {"c": 2}]]},
    {"@decimal": "1.50"},
    {"@text": "unknown"},
    {"name": "m", "version": 1},
    {"commit": "c" * 40},
)
KEYS = st.sampled_from(["a", "b", "a.b", "c", "@items"])
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3)
VALUES = st.recursive(
    LEAVES | st.just(NOW) | st.just(b"\0") | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
FREE = ("seconds", "commit", "hyper_params.a", "metrics.a", "zeta", "dependencies", "updated_by")
NAMES = st.sampled_from([*RunRecord.__dataclass_fields__, "schema_version", *FREE])
FIELDS = st.dictionaries(NAMES, VALUES, max_size=8)
USUAL = st.fixed_dictionaries(
    {"hyper_params": st.dictionaries(KEYS, VALUES, max_size=3)},
    optional={"metrics": st.dictionaries(KEYS, LEAVES, max_size=3), "started_at": st.just(NOW)},
)


def document(number: int, fields: dict[str, object]) -> Document:
    path = f"projects/p/experiments/an%20experiment/runs/{number}"
    later = NOW + dt.timedelta(minutes=number)
    return Document(path, fields, "1", later, NOW + dt.timedelta(minutes=3))


@settings(max_examples=300)
@given(st.lists(FIELDS | USUAL, min_size=1, max_size=5))
def test_columns_hold_what_the_rows_of_the_runs_hold(every):  # C1, Q20
    documents = [document(number, fields) for number, fields in enumerate(every)]
    rows = [run_row(seen_record(one)) for one in documents]

    shown = Runs(documents)

    assert set(shown.columns) == set().union(*rows)
    expected = [{name: row.get(name) for name in shown.columns} for row in rows]
    assert repr(shown.to_dicts()) == repr(expected)


def test_what_only_lineage_needs_is_no_column():
    shown = Runs([document(1, {"used_artifacts": {"w": {"version": 1}}, "zeta": 1})])

    assert {"used_artifacts", "zeta"} & set(shown.columns) == {"zeta"}
