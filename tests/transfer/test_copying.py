"""Projects move between stores: only what is missing, blobs first, whole whatever interrupts."""

from __future__ import annotations

import re

import pytest

import aletheia_like as al
from aletheia_like.metastore.amending import amend, plan_amendment
from aletheia_like.testing.stores import RecordingDocumentStore
from tests.transfer.conftest import contents, failing, fill


def counts(tally):
    return tally.rows, tally.runs, tally.artifacts, tally.datasets, tally.blobs, tally.changed


def test_a_pushed_project_is_the_same(filled, opened):  # Q31, O10
    copy = opened("copy")

    tally = filled.push(copy)

    assert contents(copy) == contents(filled)
    assert counts(tally)[:4] == (37, 3, 7, 2)
    assert (
        copy.get_object(copy.experiment("which/one").run(1).latest("thing"), trust=True).score == 7
    )


def test_projects_merge_and_the_later_state_of_a_run_wins(opened, tmp_path):  # M22
    one, two, three = (opened(name) for name in ("one", "two", "three"))
    with one.exper("shared").start_run() as run:
        run.add_metric("acc", 0.1)
    for ms, acc in ((two, 0.2), (three, 0.3)):
        ms.pull(one)
        with ms.exper(f"of {acc}").start_run():
            pass
        with ms.exper("shared").start_run(id="1", resume="must") as run:
            run.add_metric("acc", acc)

    for other in (three, two):
        one.pull(other)

    assert one.experiment("shared").run("1").metrics == {"acc": 0.3}
    assert [each.name for each in one.experiments()] == ["of 0.2", "of 0.3", "shared"]
    two.pull(three, experiments=["shared"])
    before = contents(one)
    assert counts(one.pull(two)) == (0, 0, 0, 0, 0, 0)
    assert contents(one) == before


def test_repeating_it_moves_nothing(filled, opened):  # Q31
    copy = opened("copy")
    filled.push(copy)

    again, back = filled.push(copy), filled.pull(copy)

    assert counts(again) == counts(back) == (0, 0, 0, 0, 0, 0)
    assert again.kept == ()


def test_a_project_goes_to_the_cloud_and_back(filled, opened, cloud_url):
    cloud, copy = opened(url=cloud_url), opened("copy")

    up = filled.push(cloud)
    down = copy.pull(cloud)

    assert counts(up) == counts(down)
    assert contents(copy) == contents(cloud) == contents(filled)
    assert counts(filled.push(cloud)) == (0, 0, 0, 0, 0, 0)


def test_a_store_can_be_given_by_its_address(filled, opened, tmp_path):
    tally = filled.push((tmp_path / "copy").as_uri())

    assert tally.runs == 3
    assert contents(opened("copy")) == contents(filled)


def test_a_store_is_not_copied_into_itself(filled):
    for same in (filled, filled.url):
        with pytest.raises(al.InvalidValueError, match="where it comes from"):
            filled.push(same)


def test_a_project_can_be_copied_beside_itself(filled, opened):
    other = opened("store", project="other")

    filled.push(other)

    assert contents(other)["runs"] == contents(filled)["runs"]


def test_a_project_that_is_not_there_is_told(filled, opened):
    with pytest.raises(al.NotFoundError, match="project 'q' has nothing to copy"):
        opened("target", "q").pull(filled.url)
    assert opened("target").projects() == []


def test_only_what_was_chosen_moves(filled, opened):
    copy = opened("copy")

    tally = filled.push(copy, runs=[r"which\/one/2"])

    assert copy.experiment("which/one").runs().ids == ["2"]
    assert [one.name for one in copy.datasets()] == ["table"]
    assert counts(tally)[1:4] == (1, 2, 1)
    assert copy.get_metadata("notes") is None
    assert filled.push(copy).runs == 2
    assert contents(copy) == contents(filled)


def test_a_run_that_goes_on_catches_up(opened):
    ms, copy = opened(), opened("copy")
    run = ms.exper("e").start_run()
    for step in range(100):
        run.log(step=step, text="x" * 1_000)
        if step % 20 == 0:
            run.flush()
            assert ms.push(copy).rows == (1 if step == 0 else 20)
    run.finish()

    tally = ms.push(copy)

    assert (tally.rows, tally.changed) == (19, 1)
    assert (
        copy.experiment("e").run(1).rows().to_dicts()
        == ms.experiment("e").run(1).rows().to_dicts()
    )
    assert copy.experiment("e").run(1).status == "finished"


def test_changes_made_on_both_sides_meet(opened):
    ms, copy = opened(), opened("copy")
    with ms.exper("e").start_run() as run:
        run.log(step=1, loss=1.0, note="a")
    ms.push(copy)
    for store, name in ((ms, "loss"), (copy, "note")):
        path = store.experiment("e").run(1).path
        amend(store.session, plan_amendment(store.session, path, name, 7.0, {"step": 1}))

    there, back = ms.push(copy), ms.pull(copy)

    assert (there.rows, back.rows) == (1, 1)
    assert counts(ms.push(copy)) == counts(ms.pull(copy)) == (0, 0, 0, 0, 0, 0)
    for store in (ms, copy):
        run = store.experiment("e").run(1)
        row = run.rows().to_dicts()[0]
        assert (row["loss"], row["note"]) == (7.0, 7.0)
        assert (run.summary["loss"]["last"], run.summary["note"]["last"]) == (7.0, 7.0)


def test_another_run_of_the_same_id_is_a_conflict(filled, opened, files):
    other = opened("other")
    fill(other, files)
    before = contents(other)

    with pytest.raises(al.ConflictError, match=re.escape(r"run which\/one/1, run which\/one/2")):
        filled.push(other)

    assert contents(other) == before


def test_conflicts_get_new_names_if_that_is_asked_for(filled, opened, files):
    other = opened("other")
    fill(other, files)
    mine = contents(filled)["runs"][r"which/one/2"]

    tally = filled.push(other, rename=True)

    assert (tally.runs, tally.artifacts, tally.datasets) == (3, 6, 0)
    new = tally.renamed[r"which\/one/2"].rpartition("/")[2]
    moved = other.experiment("which/one").run(new)
    assert moved.number is None
    assert moved.rows()["step"] == filled.experiment("which/one").run(2).rows()["step"]
    assert moved.artifacts["table"].version in (3, 4, 5)
    assert contents(other)["runs"][f"which/one/{new}"]["hyper_params"] == mine["hyper_params"]
    assert len(other.experiment("which/one").results()) == 6
    with other.exper("which/one").start_run() as run:
        assert run.id == "4"


def test_renaming_again_moves_nothing(filled, opened, files):
    other = opened("other")
    fill(other, files)
    filled.push(other, rename=True)

    again, without = filled.push(other, rename=True), filled.push(other)

    assert counts(again) == counts(without) == (0, 0, 0, 0, 0, 0)


def test_what_differs_and_stays_is_told(filled, opened):
    copy = opened("copy")
    filled.push(copy)
    copy.exper("which/one").desc = "my own words"
    copy.add_metadata("notes", {"mine": 1}, overwrite=True)
    copy.flush()

    tally = filled.push(copy)

    assert tally.kept == ("notes", r"which\/one")
    assert copy.experiment("which/one").desc == "my own words"
    assert copy.get_metadata("notes") == {"mine": 1}


def test_numbers_go_on_after_the_highest_of_both(opened):
    ms, copy = opened(), opened("copy")
    for _ in range(2):
        ms.exper("e").start_run().finish()
    ms.push(copy)
    ms.exper("e").start_run().finish()
    ms.exper("e").delete_run(3)

    ms.push(copy)

    assert copy.exper("e").start_run().id == "4"


@pytest.mark.parametrize("kind", ["documents", "blobs"])
def test_whatever_interrupts_it_repeating_moves_the_rest(filled, opened, kind):
    calls = 0
    wanted = contents(filled)
    finished = False
    while not finished:
        calls += 1 if calls < 12 else 7
        copy = opened(f"copy {calls}")
        steady = copy.session.documents, copy.session.blobs
        failing(copy.session, **{kind: calls})
        try:
            filled.push(copy)
            finished = True
        except al.UnavailableError:
            copy.session.documents, copy.session.blobs = steady
            copy.session.known_files.clear()
            assert_whole(copy)
            filled.push(copy)
        copy.session.documents, copy.session.blobs = steady
        assert contents(copy) == wanted

    assert calls > 5


def assert_whole(ms):
    """Whatever can be seen is complete: runs have their rows, versions their files."""
    for exper in ms.experiments(debug=True):
        for run in exper.runs(debug=True).ids:
            assert len(exper.run(run).rows()) in (10, 11)
    for dataset in ms.datasets():
        assert [dataset.open(file.path).read() for file in dataset.files()]


def test_no_document_mentions_a_blob_that_is_not_there(filled, opened):
    copy = opened("copy")
    session = copy.session
    inner = session.documents

    class Watching(RecordingDocumentStore):
        def apply(self, writes):
            for digest in set(re.findall(r"'([0-9a-f]{64})'", repr(writes))):
                assert session.blobs.exists(digest)
            return super().apply(writes)

    session.documents = Watching(inner)

    filled.push(copy)

    assert contents(copy) == contents(filled)


def test_a_broken_source_is_told(filled, opened, tmp_path):
    (blob,) = [one for one in (tmp_path / "store" / "blobs").rglob("492d5ea4*") if one.is_file()]
    blob.chmod(0o644)
    blob.write_bytes(b"other")
    copy = opened("copy")

    with pytest.raises(al.IntegrityError):
        filled.push(copy)
