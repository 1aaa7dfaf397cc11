"""Promotion copies no bytes and keeps where a version came from; lineage draws it."""

from __future__ import annotations

import datetime as dt

import git
import pytest

import aletheia_like as al
from aletheia_like.testing.stores import FailingDocumentStore


@pytest.fixture
def ms(tmp_path):
    url = (tmp_path / "store").as_uri()
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as opened:
        yield opened


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    return path


@pytest.fixture
def run(ms, table):
    """A run that used a data set and made an artifact twice, opened for reading."""
    ms.add_dataset("table", table, source="a survey")
    with ms.exper("which one").start_run() as recorded:
        recorded.get_dataset("table")
        recorded.add_artifact("weights", [1], handler="json")
        recorded.add_artifact("weights", [2], handler="json")
        recorded.start_run().finish()
    return ms.experiment("which one").run(recorded.id)


def test_a_promoted_version_shares_its_bytes_and_tells_where_it_is_from(ms, run):  # V16
    before = set(ms.session.blobs.digests())

    promoted = run.promote_artifact(ms.repository("models"), "weights", aliases=["best"])

    assert set(ms.session.blobs.digests()) == before
    record = promoted.record
    assert (record.project, record.experiment, record.run) == ("p", "which one", run.id)
    assert (record.name, record.version, record.handler) == ("weights", 0, "json")
    assert record.extra["promoted_from"]["version"] == 1
    assert record.extra["inputs"]["table"]["digest"] == ms.get_dataset("table").digest
    assert promoted.aliases == ("best",)
    assert promoted.load() == [2]


def test_a_promoted_version_keeps_the_commit(ms, tmp_path, monkeypatch):  # V16
    tree = tmp_path / "tree"
    tree.mkdir()
    with git.Repo.init(tree) as repository:
        (tree / "train.py").write_text("pass\n")
        repository.index.add(["train.py"])
        commit = repository.index.commit("first").hexsha
    monkeypatch.chdir(tree)
    models = ms.repository("models")
    with ms.exper("e").start_run(git="warn") as run:
        run.add_artifact("weights", [1], handler="json")
        run.promote_artifact(models, "weights")
    models.save()

    assert models.artifact("weights").commit == commit


def test_an_older_version_of_the_run_can_be_promoted(ms, run):
    models = ms.repository("models")

    assert run.promote_artifact(models, "weights", 0).load() == [1]
    assert run.promote_artifact(models, "weights").version == 1


def test_what_is_promoted_already_is_refused(ms, run):  # V17
    models = ms.repository("models")
    run.promote_artifact(models, "weights")

    with pytest.raises(al.AlreadyExistsError, match="this very version"):
        run.promote_artifact(models, "weights")
    assert models.staged == ()


def test_what_is_older_than_the_newest_is_refused_unless_it_is_wanted(ms, run):  # V17
    models = ms.repository("models")
    run.promote_artifact(models, "weights", 1)

    with pytest.raises(al.AlreadyExistsError, match="is newer"):
        run.promote_artifact(models, "weights", 0)

    assert run.promote_artifact(models, "weights", 0, allow_older=True).load() == [1]


def test_two_that_promote_the_same_at_once_store_it_once(ms, run):  # V17
    first, second = ms.repository("models"), ms.repository("models")
    experiment = ms.exper("which one")
    with experiment.start_run() as recorded:
        recorded.add_artifact("weights", [3], handler="json")
        recorded.promote_artifact(first, "weights")
        recorded.promote_artifact(second, "weights")
    first.save()

    with pytest.raises(al.AlreadyExistsError, match="this very version"):
        second.save()
    assert len(first.versions("weights")) == 1


def test_refusals_leave_nothing_behind(ms, run, table):  # V17
    with ms.exper("e").start_run() as other:
        other.add_artifact("only here", table, upload_file=False)
        other.add_artifact("weights", [9], handler="json")
    models = ms.repository("models")

    for refused, name, version in (
        (run, "nix", None),
        (run, "weights", 7),
        (other, "weights", 1),
        (other, "only here", None),
    ):
        with pytest.raises(al.NotFoundError):
            refused.promote_artifact(models, name, version)
    assert ms.repositories() == []
    assert models.staged == ()


def test_a_repository_opened_for_reading_takes_nothing(ms, run):  # V17
    run.promote_artifact(ms.repository("models"), "weights", 0)

    with pytest.raises(al.ReadOnlyError):
        run.promote_artifact(ms.repository("models", "r"), "weights")


def test_a_repository_of_another_store_is_refused(run, tmp_path):  # V17
    with (
        al.Metastore("p", url=(tmp_path / "other").as_uri(), git="off") as other,
        pytest.raises(al.InvalidValueError, match="copy the project there first"),
    ):
        run.promote_artifact(other.repository("models"), "weights")


def test_a_repository_of_another_project_takes_a_promotion(ms, run, tmp_path):
    options = {"url": ms.url, "cache_dir": tmp_path / "cache", "git": "off"}
    with al.Metastore("shared", **options) as other:
        run.promote_artifact(other.repository("models"), "weights")

        assert other.repository("models", "r").artifact("weights").record.project == "p"
        assert other.repository("models", "r").load_artifact("weights") == [2]


def test_a_promotion_that_cannot_be_saved_stages_nothing(ms, run):  # V17
    models, inner = ms.repository("models"), ms.session.documents
    failing = FailingDocumentStore(inner)

    def refuse(writes):
        failing.outage.begin(1)
        return FailingDocumentStore.apply(failing, writes)

    failing.apply = refuse
    ms.session.documents = failing
    with pytest.raises(al.UnavailableError):
        run.promote_artifact(models, "weights")
    ms.session.documents = inner

    assert (models.staged, ms.repositories()) == ((), [])
    assert run.promote_artifact(models, "weights").version == 0


def test_a_version_that_was_logged_counts_when_dates_are_compared(ms, run):  # V17
    models = ms.repository("models")
    models.log_artifact("weights", [0], handler="json")
    models.save()

    with pytest.raises(al.AlreadyExistsError, match="is newer"):
        run.promote_artifact(models, "weights")


def test_the_lineage_of_a_run_goes_up_to_sources_and_down_to_repositories(ms, run):
    run.promote_artifact(ms.repository("models"), "weights", aliases=["best"])

    found = run.lineage()

    assert (found.kind, found.name) == ("run", f"which one/{run.id}")
    data = found.up[0]
    assert (data.kind, data.name, data.up[0].name) == ("data set", "table@0", "a survey")
    first, second, child = found.down
    assert [first.name, second.name, child.kind] == ["weights@0", "weights@1", "run"]
    assert first.down == ()
    assert second.down[0].name == "models/weights@0"
    assert second.down[0].details["aliases"] == ["best"]


def test_the_lineage_of_a_version_goes_up_to_sources(ms, run):
    models = ms.repository("models")
    run.promote_artifact(models, "weights")

    found = models.lineage("weights").to_dict()

    chain = []
    while found:
        chain.append((found["kind"], found["name"]))
        found = found.get("up", [None])[0]
    assert chain == [
        ("repository version", "weights@0"),
        ("artifact", "weights@1"),
        ("run", f"which one/{run.id}"),
        ("data set", "table@0"),
        ("source", "a survey"),
    ]


def test_the_lineage_of_a_version_outlives_its_run(ms, run):  # V16
    models = ms.repository("models")
    run.promote_artifact(models, "weights")
    ms.exper("which one").delete_run(run.id, forever=True)

    made = models.lineage("weights").up[0].up[0]

    assert (made.name, made.details["status"]) == (f"which one/{run.id}", "deleted")
    assert [(one.name, one.up[0].name) for one in made.up] == [("table@0", "a survey")]


def test_lineage_goes_up_through_the_runs_whose_artifacts_were_used(ms, run):  # V16
    exper = ms.experiment("which one")
    with ms.exper("uses").start_run() as user:
        user.use_artifact(exper.run(run.id).artifact("weights", 1))
        user.add_artifact("tuned", [3], handler="json")
    with ms.exper("uses").start_run() as last:
        last.use_artifact(ms.experiment("uses").run(user.id).artifact("tuned"))

    names, node = [], last.lineage()
    while node.up:
        node = node.up[0]
        names.append(node.name)

    made = f"which one/{run.id}"
    assert names == [
        "tuned@0",
        f"uses/{user.id}",
        "weights@1",
        made,
        "table@0",
        "a survey",
    ]


def test_what_is_from_another_project_is_followed_there(ms, run):  # V16
    with al.Metastore("q", url=ms.url, git="off") as other:
        shelf = other.repository("shared")
        run.promote_artifact(shelf, "weights")
        with other.exper("uses").start_run() as user:
            user.use_artifact(shelf.artifact("weights"))

        maker = user.lineage().up[0].up[0]

    assert (maker.name, maker.details["status"]) == (f"which one/{run.id}", "finished")
    assert [one.name for one in maker.up] == ["table@0"]


def test_a_name_is_no_repository(run):  # V17
    with pytest.raises(al.InvalidValueError, match="a repository is wanted"):
        run.promote_artifact("models", "weights")


def test_runs_that_used_each_other_have_a_lineage_that_ends(ms):
    exper = ms.exper("e")
    one, other = exper.start_run(), exper.start_run()
    for run in (one, other):
        run.add_artifact(f"of {run.id}", [run.id], handler="json")
    one.load_artifact(f"of {other.id}")
    other.load_artifact(f"of {one.id}")
    one.finish()
    other.finish()

    above = one.lineage().up[0].up[0]

    assert above.name == f"e/{other.id}"
    assert above.up[0].up[0].name == f"e/{one.id}"
    assert above.up[0].up[0].up == ()


def test_a_child_run_came_from_its_parent(ms, run):
    child = ms.experiment("which one").run("2")

    assert [one.name for one in child.lineage().up] == [f"which one/{run.id}"]


def test_a_promotion_of_a_day_is_found_as_of_that_day(ms, run):
    models = ms.repository("models")
    day = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    ms.session.clock = lambda: day
    run.promote_artifact(models, "weights")

    assert models.load_artifact("weights", day) == [2]
    with pytest.raises(al.NotFoundError):
        models.load_artifact("weights", day - dt.timedelta(seconds=1), match="asof")


def test_an_artifact_of_another_run_is_noted_as_used_without_a_write_of_its_own(ms):
    exper = ms.exper("uses")
    with exper.start_run() as maker:
        maker.add_artifact("table", {"a": 1})
    with exper.start_run() as user:
        user.flush()
        before = ms.usage.document_writes
        assert user.load_artifact("table") == {"a": 1}
        assert user.load_artifact("table", 0) == {"a": 1}
        noted = ms.usage.document_writes - before
        user.add_artifact("own", [1])
        user.load_artifact("own")

    node = ms.experiment("uses").run(user.id).lineage()
    (used,) = [one for one in node.up if one.kind == "artifact"]
    assert (used.name, used.up[0].name) == ("table@0", f"uses/{maker.id}")
    assert noted <= 1
    assert "used_artifacts" not in exper.runs().columns
