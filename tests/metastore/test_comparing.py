"""In what runs differ."""

import json

import pytest

import aletheia_like as al
from aletheia_like.metastore.storing import store_bytes
from aletheia_like.ports.documents import Update


@pytest.fixture
def exper(ms, tmp_path):
    """Two runs that differ in little, and one that differs in much."""
    (tmp_path / "table.csv").write_text("a\n1\n")
    (tmp_path / "other.csv").write_text("a\n2\n")
    ms.add_dataset("table", tmp_path / "table.csv")
    exper = ms.exper("e")
    for number, lr in enumerate([0.1, 0.2, 0.2]):
        with exper.start_run(tags=["base"]) as run:
            run.set_hyper_params({"lr": lr, "opt": {"name": "adam", "step": 1}})
            run.set_model("net", version=number // 2)
            run.get_dataset("table", version=number // 2)
            run.add_metrics({"acc": float("nan"), "loss": [1, 1.0, 2][number]})
            run.log(speed=number)
            run.add_artifact("table", tmp_path / ["table.csv", "table.csv", "other.csv"][number])
            run.note = f"run {number // 2}"
        if number == 1:
            ms.add_dataset("table", tmp_path / "other.csv")
    return exper


def test_only_differences_are_told(exper):
    found = exper.compare("1", 2)

    assert found.titles == ("1", "2")
    assert {one.name: one.values for one in found} == {
        "hyper_params.lr": (0.1, 0.2),
        "summary.speed.last": (0, 1),
    }
    assert len(found) == 2
    assert {"metrics.acc", "hyper_params.opt.name", "datasets.table", "artifacts.table"} <= {
        one.name for one in found.everything
    }


def test_everything_that_differs_is_told(exper):
    found = exper.compare(1, 2, exper.run(3))

    told = {one.name: one.values for one in found}
    assert told["metrics.loss"] == (1, 1.0, 2)
    assert told["note"] == ("run 0", "run 0", "run 1")
    assert told["model.version"] == ("0", "0", "1")
    assert [text.split(",")[0] for text in told["datasets.table"]] == [
        *["version 0", "version 0", "version 1"]
    ]
    assert told["artifacts.table"][2].startswith("version 2, ")


def test_what_differs_looks_different(ms):
    exper = ms.exper("alike")
    pairs = {
        "kind": (0.1, "0.1"),
        "digits": (0.123456789, 0.123456788),
        "tail": (list(range(50)), [*range(49), 7]),
        "space": ("a b", "a  b"),
        "long": ("x" * 20_000, "x" * 20_001),
    }
    for place in range(2):
        with exper.start_run(hyper_params={name: two[place] for name, two in pairs.items()}):
            pass

    found = exper.compare(1, 2)

    texts = {name.removeprefix("hyper_params."): tuple(rest) for name, *rest in found.to_texts()}
    assert texts.keys() == pairs.keys()
    assert texts["long"][0].startswith("20000 bytes, ")
    assert texts["kind"] == ("0.1", "'0.1'")
    assert texts["tail"][0].endswith("48, 49")
    assert texts["tail"][1].endswith("48, 7")
    assert all(one != other and max(map(len, (one, other))) <= 40 for one, other in texts.values())
    assert "48, 7" in repr(found)


def test_packages_are_compared_one_by_one(ms, exper):
    session = ms.session
    lists = [{"numpy": {"version": "1"}, "rich": {"version": "9"}}, {"numpy": {"version": "2"}}]
    for run_id, packages in zip("12", lists, strict=True):
        digest = store_bytes(session, json.dumps(packages).encode(), "packages.json")
        path = exper.run(run_id).path
        session.documents.apply([Update(path, {("environment", "packages"): digest})])

    told = {one.name: one.values for one in exper.compare(1, 2)}
    assert told["packages.numpy"] == ("1", "2")
    assert told["packages.rich"] == ("9", None)


def test_a_list_of_packages_that_is_gone_is_told_by_its_digest(ms, exper):
    for run_id, digest in zip("12", ("a" * 64, "b" * 64), strict=True):
        path = exper.run(run_id).path
        ms.session.documents.apply([Update(path, {("environment", "packages"): digest})])

    told = {one.name: one.values for one in exper.compare(1, 2)}
    assert told["packages"] == ("a" * 64, "b" * 64)


def test_runs_of_other_experiments_are_compared(ms, exper):
    with ms.exper("f").start_run() as run:
        run.add_metric("loss", 1)

    found = exper.compare(1, ms.experiment("f")[-1])
    assert found.titles == ("e/1", "f/1")
    assert {"experiment", "hyper_params.lr"} <= {one.name for one in found}
    assert "metrics.loss" not in {one.name for one in found}


def test_a_comparison_is_a_table(exper):
    found = exper.compare(1, 2)

    frame = found.to_pandas()
    assert list(frame.columns) == ["1", "2"]
    assert frame.loc["hyper_params.lr"].tolist() == [0.1, 0.2]
    assert len(found.to_pandas(everything=True)) == len(found.everything)
    assert found.to_dicts()[0]["name"] == "hyper_params.lr"
    assert "<td>hyper_params.lr</td><td>0.1</td><td>0.2</td>" in found._repr_html_()
    assert "hyper_params.lr     0.1  0.2" in repr(found)


def test_equal_runs_give_an_empty_table(ms):
    exper = ms.exper("same")
    for _ in range(2):
        exper.start_run().finish()

    found = exper.compare(1, 2)
    assert len(found) == 0
    assert list(found.to_pandas().columns) == ["1", "2"]
    assert "0 differ" in repr(found)


@pytest.mark.parametrize("ids", [(), (1,), (1, 1), (1, 2, "1")])
def test_two_different_runs_are_needed(exper, ids):
    with pytest.raises(al.InvalidValueError, match="two runs or more"):
        exper.compare(*ids)


def test_a_run_that_is_missing_is_told(exper):
    with pytest.raises(al.NotFoundError, match="'7'"):
        exper.compare(1, 7)
