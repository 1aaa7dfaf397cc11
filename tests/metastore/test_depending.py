"""What runs build on, and what they are tested on."""

from __future__ import annotations

import pytest

import aletheia_like as al
from aletheia_like.errors import (
    AlreadyExistsError,
    InvalidValueError,
    NotFoundError,
    ReadOnlyError,
)


@pytest.fixture
def url(tmp_path):
    return (tmp_path / "local").as_uri()


@pytest.fixture
def opened(url, tmp_path):
    """Open a project of one embedded store."""
    stores = []

    def opener(project="p"):
        stores.append(al.Metastore(project, url=url, cache_dir=tmp_path / "c", git="off"))
        return stores[-1]

    yield opener
    for one in stores:
        one.close()


def test_dependencies_lead_to_metrics_of_other_projects(opened):  # M21
    a = opened("project1").exper("A")
    a.add_metric("acc", 0.9)
    a.flush()
    with a.start_run() as base:
        base.add_metric("loss", 0.1)
    with opened().exper("B").start_run() as run:
        run.depend_on(a, "a")
        run.depend_on(base)
    b = opened().exper("B")
    b.depend_on(a, "a")
    b.flush()

    again = opened().experiment("B").run(run.id)
    assert list(again.dependencies) == ["a", "A/1"]
    assert again.dependencies["a"].metrics == {"acc": 0.9}
    assert again.dependencies["A/1"].metrics == {"loss": 0.1}
    assert opened().experiment("B").dependencies["a"].metrics == {"acc": 0.9}
    drawn = [(one.kind, one.name) for one in again.lineage().up]
    assert drawn == [("experiment", "project1/A"), ("run", "project1/A/1")]
    assert "dependencies" not in "".join(opened().runs().columns)


def test_a_dependency_that_cannot_be_is_refused(opened, tmp_path):
    exper = opened().exper("e")
    other = al.Metastore("p", url="memory://", cache_dir=tmp_path / "c2", git="off").exper("e")
    with pytest.raises(InvalidValueError, match="another store"):
        exper.depend_on(other)
    with pytest.raises(InvalidValueError, match="itself"):
        exper.depend_on(exper)
    with pytest.raises(NotFoundError, match="there are none"):
        exper.dependencies["a"]
    with pytest.raises(ReadOnlyError):
        opened().experiment("e").depend_on(opened().exper("other"))


def test_a_test_keeps_metrics_params_and_artifacts(opened):  # V27
    with opened().exper("e").start_run() as run:
        with run.log_test("women", desc="half of them") as test:
            test.add_metric("acc", 0.8)
            test.set_params({"threshold": 0.5})
            test.add_artifact("matrix", [[1, 2]], handler="json")
        with pytest.raises(ZeroDivisionError), run.log_test("men") as test:
            test.add_metric("acc", 1 / 1)
            test.add_artifact("matrix", [[3]], handler="json")
            test.add_metric("loss", 1 / 0)

    again = opened().experiment("e").run(run.id)
    assert list(again.tests) == ["women"]
    stored = again.tests["women"]
    assert (stored.metrics, stored.params) == ({"acc": 0.8}, {"threshold": 0.5})
    assert stored.desc == "half of them"
    assert again.load_artifact(stored.artifacts["matrix"]) == [[1, 2]]
    assert list(again.artifacts) == ["women/matrix"]
    assert again.metrics == {}
    with pytest.raises(ReadOnlyError), again.log_test("late"):
        pass


def test_a_name_is_nothing_to_depend_on(opened):  # M21
    with pytest.raises(InvalidValueError, match="a run or an experiment is wanted"):
        opened().exper("e").depend_on("other")


def test_a_name_that_is_taken_is_refused_where_it_may_not_be_overwritten(opened):  # V21
    exper = opened().exper("e")
    with exper.start_run() as run:
        first = run.add_artifact("a", "one", handler="text", overwrite=False)
        with pytest.raises(AlreadyExistsError, match="overwrite=True"):
            run.add_artifact("a", "two", handler="text", overwrite=False)
        second = run.add_artifact("a", "two", handler="text", overwrite=True)

    assert (first.version, second.version) == (0, 1)
    assert [exper.load_artifact("a", number) for number in (0, 1)] == ["one", "two"]
    with exper.start_run() as other:
        assert other.add_artifact("a", "new", handler="text", overwrite=False).version == 2
    with pytest.raises(AlreadyExistsError):
        exper.add_artifact("a", "x", handler="text", overwrite=False)


def test_what_a_run_loads_from_a_repository_is_in_its_lineage(opened):
    ms = opened()
    repository = ms.repository("models")
    with ms.exper("e").start_run() as maker:
        maker.add_artifact("weights", [1], handler="json")
    maker.promote_artifact(repository, "weights", aliases=["production"])
    repository.load_artifact("weights")
    with ms.exper("e").start_run() as parent, parent.start_run() as run:
        assert repository.load_artifact("weights", "production") == [1]
        repository.load_artifact("weights")
    with ms.exper("e").start_run() as one, ms.exper("e").start_run() as two:
        repository.load_artifact("weights")
        two.use_artifact(repository.artifact("weights"))

    (node, *_) = run.lineage().up
    assert (node.kind, node.name, node.up[0].name) == (
        "repository version",
        "models/weights@0",
        "e/1",
    )
    down = repository.lineage("weights").down
    assert [(one.kind, one.name) for one in down] == [
        ("run", f"e/{run.id}"),
        ("run", f"e/{two.id}"),
    ]
    uses = [len(each.record.extra.get("used_artifacts", {})) for each in (parent, run, one, two)]
    assert uses == [0, 1, 0, 1]


def test_whoever_reopens_a_run_is_noted(opened, monkeypatch):  # M14
    exper = opened().exper("e")
    with exper.start_run() as run:
        run.add_metric("acc", 0.5)
    before = exper.run("1").record.updated_at
    monkeypatch.setenv("ALETHEIA_AUTHOR", "Ada")
    with exper.start_run(id="1", resume="must") as again:
        again.add_metric("acc", 0.6)

    after = opened().experiment("e").run("1")
    assert (after.metrics, after.updated_by) == ({"acc": 0.6}, "Ada")
    assert after.record.updated_at > before


def test_the_lineage_of_an_artifact_tells_who_used_it(ms):
    with ms.exper("e").start_run() as maker:
        version = maker.add_artifact("weights", [1], handler="json")
    with ms.exper("e").start_run() as near:
        near.load_artifact("weights", 0)
    with ms.exper("f").start_run() as far:
        far.use_artifact(version)

    (made,) = maker.lineage().down
    assert [one.name for one in made.down] == ["e/2"]
    assert [(one.kind, one.name) for one in far.lineage().up] == [("artifact", "weights@0")]
    assert far.lineage().up[0].up[0].name == "e/1"
