"""Stores that exchange revisions in any order come to show the same."""

from __future__ import annotations

import secrets
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aletheia_like as al

STORES = st.integers(0, 2)
LABELS = st.sampled_from(["a", "b"])
PLACES = st.lists(st.integers(0, 12), unique=True, max_size=5).map(sorted)
CLOSED = st.sampled_from(["both", "left", "right", "neither"])
STEPS = st.one_of(
    st.tuples(st.just("write"), STORES, LABELS, PLACES, CLOSED),
    st.tuples(st.just("delete"), STORES, LABELS, st.integers(0, 12), st.integers(0, 12)),
    st.tuples(st.just("rename"), STORES, LABELS, LABELS),
    st.tuples(st.just("pull"), STORES, STORES, st.booleans()),
    st.tuples(st.just("push"), STORES, STORES),
    st.tuples(st.sampled_from(["merge", "defrag", "trim", "wipe"]), STORES, LABELS),
)


def carry_out(collections, step, number, history):
    """Do a step, and note what it did for the model."""
    kind, place, *rest = step
    clct = collections[place]
    made = None
    match kind, *rest:
        case "write", label, places, closed:
            data = {"at": places, "value": [float(number * 100 + one) for one in places]}
            made = clct.series(label).write(data, closed=closed)
        case "delete", label, start, stop:
            made = clct.series(label).delete(start, stop)
        case "rename", label, other:
            taken = content(clct).get(label, {})
            step = (*step, taken)
            try:
                made = clct.series(label).rename(other)
            except al.NotFoundError:
                return
        case "wipe", label:
            made = clct.series(label).delete()
        case "pull", other, shallow:
            if other != place:
                clct.pull(collections[other], shallow=shallow)
        case "push", other:
            if other != place:
                clct.push(collections[other])
        case "merge", _:
            clct.merge()
        case "defrag", _:
            clct.defrag()
        case "trim", _:
            clct.trim()
    if made is not None:
        history[made.id] = step, number


def model(history, *, by_key):
    """Return what all steps in order of their time leave: rows by label."""
    shown = {}
    for _, (step, number) in sorted(history.items()):
        match step:
            case "write", _, label, places, closed:
                low, high = places[0], places[-1]
                first = low if closed in ("both", "left") else low + 1
                last = high if closed in ("both", "right") else high - 1
                before = shown.get(label, {})
                kept = {k: v for k, v in before.items() if by_key or not first <= k <= last}
                new = {k: float(number * 100 + k) for k in places if first <= k <= last}
                if by_key:
                    new = {k: float(number * 100 + k) for k in places}
                shown[label] = kept | new
            case "delete", _, label, start, stop:
                before = shown.get(label, {})
                shown[label] = {k: v for k, v in before.items() if not start <= k < stop}
            case "rename", _, label, other, taken:
                shown.pop(label, None)
                shown[other] = taken
            case "wipe", _, label:
                shown[label] = {}
    return {label: found for label, found in shown.items() if found}


def content(clct):
    found = {}
    for series in clct:
        frame = series.frame()
        if len(frame):
            found[series.label] = dict(
                zip(frame["at"].tolist(), frame["value"].tolist(), strict=True)
            )
    return found


def exchange(collections):
    """Let all pull from all and merge, until nothing moves any more."""
    for _ in range(5):
        moved = [mine.pull(other) for mine in collections for other in collections]
        merged = [one.merge() for one in collections]
        if not any(moved) and not any(merged):
            return
    message = "five rounds did not suffice"
    raise AssertionError(message)


def check_convergence(collections, steps, kind):
    """Carry out all steps, exchange, and compare with each other and with the model."""
    history = {}
    for number, step in enumerate(steps, 1):
        carry_out(collections, step, number, history)

    exchange(collections)

    shown = [content(one) for one in collections]
    assert shown[0] == shown[1] == shown[2] == model(history, by_key=kind == "kv")
    assert len({one.heads()[0].id for one in collections if one.heads()}) <= 1
    for one in collections:
        one.defrag()
        one.trim()
    assert [content(one) for one in collections] == shown


def schema_of(kind):
    columns = {"at": "int*", "value": "float"}
    return al.Schema(columns) if kind == "series" else al.Schema.kv(columns)


@pytest.mark.parametrize("kind", ["series", "kv"])
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, max_size=14))
def test_any_interleaving_converges_to_what_the_order_of_time_says(kind, steps):  # T17
    with tempfile.TemporaryDirectory() as cache:
        stores = [al.Metastore("p", url="memory://", cache_dir=cache, git="off") for _ in range(3)]
        collections = [one.create_collection(schema_of(kind), "c") for one in stores]
        check_convergence(collections, steps, kind)
        for ms in stores:
            ms.close()


@pytest.fixture
def real_stores(opened, cloud_url, tmp_path):
    """A store of each kind: in memory, embedded, Firestore with Cloud Storage."""
    blobs = f"gs://aletheia-emulator/{secrets.token_hex(6)}"
    return [opened(), opened((tmp_path / "store").as_uri()), opened(cloud_url, blobs=blobs)]


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(kind=st.sampled_from(["series", "kv"]), steps=st.lists(STEPS, min_size=6, max_size=14))
def test_stores_of_every_kind_converge(real_stores, kind, steps):  # T17
    label = secrets.token_hex(6)
    collections = [one.create_collection(schema_of(kind), label) for one in real_stores]
    check_convergence(collections, steps, kind)
