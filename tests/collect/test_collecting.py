"""`gc` takes what nothing refers to and is old enough, and nothing else."""

from __future__ import annotations

import datetime as dt
import io

import pytest

import aletheia_like as al
from aletheia_like.collect.collecting import Options, collect
from aletheia_like.errors import InvalidValueError, NotFoundError, UnavailableError
from aletheia_like.model import paths
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.documents import Create, Query
from aletheia_like.testing.stores import FailingDocumentStore

NONE = dt.timedelta(0)


def collected(ms, **options):
    given = {"dry_run": False, "grace": NONE, "keep": NONE, "exclusive": True} | options
    return ms.gc(**given)


def blobs(ms):
    return set(ms.session.blobs.digests())


def index(ms):
    return {one.id for one in ms.session.documents.query(Query(paths.FILES))}


def fill(ms, folder, *, name="e"):
    """Record a run that refers to blobs in every way there is."""
    import pandas as pd

    tree = folder / f"tree-{name}"
    (tree / "sub").mkdir(parents=True)
    (tree / "a.txt").write_text(f"a of {name}")
    (tree / "sub" / "b.txt").write_text(f"b of {name}")
    with ms.exper(name).start_run(hyper_params={"long": f"{name} " * 20_000}) as run:
        run.log(file=al.File(tree / "a.txt"), deep=[{"in": al.File(tree / "sub" / "b.txt")}])
        run.log(frame=pd.DataFrame({"x": [name]}), thing=io.StringIO, folder=al.Folder(tree))
        run.log(many=[f"{name}{number}" for number in range(40_000)])
        run.log(kept=[*range(60_000), al.File(tree / "sub" / "b.txt")])
        (tree / "live.log").write_text(f"log of {name}")
        run.log(log=al.LogFile(tree / "live.log"))
        run.add_artifact("tree", tree)
        run.add_artifact("json", {"of": name}, handler="json")
    ms.add_dataset(f"data-{name}", tree)
    ms.add_metadata(f"meta-{name}", {"text": f"meta {name} " * 20_000})
    return run


def test_whatever_is_referred_to_stays(ms, tmp_path):
    run = fill(ms, tmp_path)
    with ms.repository("models", "w") as repo:
        run.promote_artifact(repo, "json")
    with ms.repository("models", "w") as repo:
        repo.log_artifact("another", {"b": 2}, "json")
    before = blobs(ms)
    done = collected(ms)

    assert (done.swept, done.broken, done.referenced) == (0, [], len(before))
    assert blobs(ms) == before
    assert ms.verify("e/1").ok
    assert ms.get_metadata("meta-e")["text"].startswith("meta e")
    assert ms.rows()["kept"][3][-1].local_path.read_text() == "b of e"
    assert ms.repository("models", "r", generation=0).load_artifact("json") == {"of": "e"}
    assert ms.get_dataset("data-e", download=True).local_path.is_dir()


def test_what_was_deleted_for_ever_is_taken_and_what_others_share_is_not(ms, tmp_path):
    fill(ms, tmp_path)
    (tmp_path / "only.txt").write_text("only here")
    ms.exper("f").start_run().finish()
    ms.exper("f").add_artifact("only", tmp_path / "only.txt")
    ms.exper("f").add_artifact("shared", tmp_path / "tree-e" / "a.txt")
    before, only = blobs(ms), digest_bytes(b"only here")
    ms.delete_experiment("f", forever=True)

    looked = collected(ms, dry_run=True)
    assert (looked.swept, looked.swept_size, blobs(ms)) == (1, 9, before)
    assert collected(ms).swept == 1
    assert blobs(ms) == index(ms) == before - {only}
    assert collected(ms).swept == 0


def test_what_is_young_stays(ms, tmp_path):
    fill(ms, tmp_path)
    ms.delete_experiment("e", forever=True)
    done = collected(ms, grace=dt.timedelta(days=1), exclusive=False)

    assert (done.swept, done.young > 5, done.young_size > 1_000) == (0, True, True)


def test_a_short_grace_is_refused_unless_nobody_else_is_there(ms):
    with pytest.raises(InvalidValueError, match="exclusive"):
        ms.gc(grace=dt.timedelta(hours=1))
    assert ms.gc().dry_run


def test_what_can_be_restored_keeps_its_bytes(ms, tmp_path):
    fill(ms, tmp_path)
    before = blobs(ms)
    ms.exper("e").delete_run(1)
    ms.exper("e").delete_artifact("tree", 0)
    done = collected(ms, keep=dt.timedelta(days=1))

    assert (done.swept, done.deleted_kept, done.purged) == (0, 2, {})
    assert blobs(ms) == before
    assert ms.exper("e").restore_run(1)
    assert ms.exper("e").restore_artifact("tree", 0)
    assert ms.verify("e/1").ok


def test_what_was_deleted_long_ago_goes_for_ever(ms, tmp_path):
    fill(ms, tmp_path)
    fill(ms, tmp_path, name="f")
    ms.exper("e").delete_run(1)
    ms.exper("e").delete_artifact("tree", 0)
    ms.delete_experiment("f")
    ms.delete_dataset("data-f", 0)
    looked, done = collected(ms, dry_run=True), collected(ms)

    assert looked.purged == done.purged == {"run": 1, "experiment": 1, "version": 2}
    assert looked.swept == done.swept > 5
    with pytest.raises(NotFoundError):
        ms.exper("e").restore_run(1)
    assert ms.experiments(deleted=True)[0].name == "e"
    assert collected(ms).purged == {}
    assert ms.get_dataset("data-e", download=True).local_path.is_dir()


def test_bytes_without_an_index_document_and_the_other_way_round(ms, tmp_path):
    lonely = digest_bytes(b"nobody")
    (tmp_path / "lonely").write_bytes(b"nobody")
    ms.exper("e")
    ms.session.blobs.upload(lonely, tmp_path / "lonely")
    ms.session.documents.apply([Create(paths.file("0" * 64), {"size": 7})])

    assert collected(ms, grace=dt.timedelta(hours=1)).young == 2
    assert collected(ms).swept == 2
    assert blobs(ms) == index(ms) == set()


def test_blobs_of_another_store_in_the_same_place_are_left_alone(ms, tmp_path):
    ms.exper("e")
    strange = {digest_bytes(str(number).encode()) for number in range(30)}
    for number in range(30):
        (tmp_path / "strange").write_text(str(number))
        ms.session.blobs.upload(digest_bytes(str(number).encode()), tmp_path / "strange")

    left = collect(ms.session, Options(grace=NONE, keep=NONE, dry_run=False))

    assert (left.swept, left.strangers, blobs(ms)) == (0, 30, strange)
    assert collected(ms).swept == 30


def test_what_waits_on_this_machine_keeps_its_blobs(ms, tmp_path):
    fill(ms, tmp_path)
    sent, spooled = sorted(blobs(ms))[:2]
    ms.delete_experiment("e", forever=True)
    ms.delete_dataset("data-e", 0)
    folder = ms.session.journal_folder
    (folder / "blobs" / spooled).mkdir(parents=True)
    (folder / "p.journal").write_bytes(b'12345678 {"file": "' + sent.encode() + b'"}\n\xff')
    collected(ms)

    assert {sent, spooled} <= blobs(ms)


def test_other_parts_can_refer_to_blobs(ms, tmp_path, monkeypatch):
    fill(ms, tmp_path)
    digest = digest_bytes(b"a of e")
    monkeypatch.setattr(ms, "_referring", lambda: [lambda _, found: found.add([digest])])
    ms.delete_experiment("e", forever=True)
    ms.delete_dataset("data-e", 0)
    collected(ms)

    assert digest in blobs(ms)
    assert digest_bytes(b"b of e") not in blobs(ms)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupted_collection_loses_nothing_and_can_be_repeated(ms, tmp_path, when):
    fill(ms, tmp_path)
    fill(ms, tmp_path, name="f")
    ms.exper("e").restore_run(1)
    kept = set(blobs(ms))
    ms.exper("f").delete_run(1)
    ms.delete_experiment("f")
    ms.delete_dataset("data-f", 0)
    real = ms.session.documents
    failing = FailingDocumentStore(real)
    ms.session.documents = failing
    for calls in range(1_000):
        failing.outage.begin(1, when)
        failing.outage.spared = calls
        try:
            done = collected(ms)
        except UnavailableError:
            ms.session.documents = real
            assert ms.verify("e/1").ok
            ms.session.documents = failing
            continue
        if failing.outage.left:
            break
    failing.outage.left = 0

    assert done.swept == collected(ms).swept == 0 or done.postponed == 0
    assert ms.verify("e/1").ok
    assert ms.get_metadata("meta-f")["text"].startswith("meta f")
    assert digest_bytes(b"a of e") in blobs(ms)
    assert blobs(ms) < kept
