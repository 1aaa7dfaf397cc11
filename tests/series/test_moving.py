"""Series, runs and experiments between stores of every kind, in every direction."""

from __future__ import annotations

import itertools
import secrets

import numpy as np
import pytest

NUMBERS = {"at": "int*", "value": "float"}


def everything(ms):
    """Return all that a project shows."""
    exper = ms.experiment("e")
    run = exper.run("1")
    clct = ms.collection("c")
    return (
        ms.collections(),
        [one.id for one in clct.log()],
        {one.label: one.frame()["value"].tolist() for one in clct},
        list(run.rows()["loss"]),
        exper.artifact("a").open().read(),
    )


@pytest.fixture
def opener(opened, request, tmp_path):
    """Open a new and empty store of a kind."""

    def open_one(kind):
        if kind == "memory":
            return opened()
        if kind == "embedded":
            return opened((tmp_path / secrets.token_hex(4)).as_uri())
        blobs = f"gs://aletheia-emulator/{secrets.token_hex(6)}"
        url = request.getfixturevalue("cloud_url").replace("demo-", f"demo-{secrets.token_hex(3)}")
        return opened(url, blobs=blobs)

    return open_one


@pytest.mark.parametrize(
    ("verb", "kinds"),
    [
        ("push", ["memory", "embedded", "firestore", "memory"]),
        ("pull", ["memory", "firestore", "embedded", "memory"]),
        ("push", ["embedded", "embedded"]),
        ("pull", ["firestore", "firestore"]),
    ],
)
def test_a_project_goes_from_any_store_to_any_other(opener, tmp_path, verb, kinds):  # T14, Q31
    stores = [opener(kind) for kind in kinds]
    first, values = stores[0], np.random.default_rng(0).random(20_000)
    clct = first.create_collection(NUMBERS, "c")
    (clct / "s").write({"at": np.arange(20_000), "value": values})
    (clct / "s").write({"at": [5], "value": [0.0]})
    (clct / "t").write({"at": [1], "value": [1.0]})
    (tmp_path / "file").write_bytes(b"bytes")
    with first.exper("e").start_run() as run:
        run.log(loss=0.5)
        run.add_artifact("a", tmp_path / "file")
    wanted = everything(first)

    for source, target in itertools.pairwise(stores):
        moved = source.push(target) if verb == "push" else target.pull(source)
        assert (moved.collections, moved.revisions, moved.runs, moved.blobs) == (1, 3, 1, 3)
        assert everything(target) == wanted
        again = source.push(target) if verb == "push" else target.pull(source)
        assert (again.revisions, again.runs, again.rows, again.blobs, again.bytes) == (0,) * 5


def test_another_store_keeps_its_blobs_where_its_address_says(opened, tmp_path, monkeypatch):
    monkeypatch.setenv("ALETHEIA_BLOBS", (tmp_path / "mine").as_uri())
    ms = opened((tmp_path / "store").as_uri())
    values = np.random.default_rng(0).random(20_000)
    (ms.create_collection(NUMBERS, "c") / "s").write({"at": np.arange(20_000), "value": values})
    stick = (tmp_path / "stick").as_uri()

    ms.push(stick)

    monkeypatch.delenv("ALETHEIA_BLOBS")
    assert (opened(stick) / "c" / "s").frame()["value"].tolist() == values.tolist()


def test_what_moves_is_told_while_it_moves(opened, capsys, monkeypatch):
    monkeypatch.setenv("ALETHEIA_PROGRESS", "true")
    ms = opened()
    values = np.random.default_rng(0).random(20_000)
    (ms.create_collection(NUMBERS, "c") / "s").write({"at": np.arange(20_000), "value": values})
    capsys.readouterr()

    opened().pull(ms)

    assert "what is moved" in capsys.readouterr().err
