"""`aletheia asset`, `aletheia cache results` and `cache forget`."""

from __future__ import annotations

import pytest

import aletheia_like as al

NOT_FOUND, USAGE, FAILED = 3, 2, 1


class Thing:
    """An object that leaves its hash in a row."""


def double(x):
    return 2 * x


@pytest.fixture
def recorded(aletheia, environment, tmp_path):
    """A run whose rows show an object twice, a file and a table, and a kept result."""
    (tmp_path / "a.txt").write_text("a")
    url = (tmp_path / "store").as_uri()
    cache = environment["ALETHEIA_CACHE_DIR"]
    ms = al.Metastore("p", url=url, cache_dir=cache, git="off")
    with ms, ms.exper("e").start_run() as run:
        digest = run.log(thing=Thing(), note="f" * 64)["thing"]
        run.log(again=[digest], deep={"file": al.File(tmp_path / "a.txt")})
        run.log(table=al.Table({"x": [1]}))
        run.wrap(cache=True)(double)(2)
    return digest, lambda *words: aletheia(*words, "--url", url)


def test_objects_and_files_of_rows_are_listed(recorded):  # C7
    digest, aletheia = recorded
    told = {one["name"]: one for one in aletheia("asset", "ls", "p/e/1", "--json").json}

    assert set(told) == {"thing", "a.txt", "table.parquet"}
    assert told["thing"]["digest"] == digest
    assert told["thing"]["columns"] == ["thing", "again"]
    assert (told["thing"]["cells"], told["thing"]["runs"]) == (2, ["e/1"])
    assert [told[one]["kind"] for one in told] == ["object", "file", "table"]
    assert told["a.txt"]["size"] == 1
    assert "a.txt" in aletheia("asset", "ls", "-p", "p").out
    assert aletheia("asset", "ls", "p/e/9").code == NOT_FOUND


def test_an_object_is_deleted_by_the_beginning_of_its_hash(recorded, tmp_path):  # C7, O7
    digest, aletheia = recorded
    file = aletheia("asset", "ls", "p/e/1", "--json").json[1]["digest"]
    exclusively = ("--exclusive", "--clear", "--yes")

    assert aletheia("asset", "delete", digest[:12], "--yes").code == FAILED
    refused = aletheia("asset", "delete", file, *exclusively)
    assert (refused.code, "referred to by" in refused.err) == (FAILED, True)
    url = (tmp_path / "store").as_uri()
    with al.Metastore("p", url=url, git="off") as ms:
        ms.exper("e").start_run(id="1", resume="must").set_value("again", None)
    dry = aletheia("asset", "delete", digest, *exclusively, "--dry-run", "--json")
    assert dry.json == {"digest": digest, "cleared": 1, "dry_run": True}
    assert aletheia("asset", "delete", digest, "--exclusive", "--clear").code == USAGE
    done = aletheia("asset", "delete", digest[:12], *exclusively)
    assert done.err.strip() == f"deleted {digest[:12]}, cleared in 1 row"
    assert digest not in aletheia("asset", "ls", "p/e", "--json").out
    assert aletheia("get", digest, tmp_path / "out").code == NOT_FOUND


def test_kept_results_are_listed_and_forgotten(recorded):  # C7
    _, aletheia = recorded
    (told,) = aletheia("cache", "results", "--json").json

    assert (told["function"], told["run"]) == ("double", "p/e/1")
    assert told["size"] > 0
    assert "double" in aletheia("cache", "results", "--function", "double").out
    assert aletheia("cache", "results", "--function", "other", "--json").json == []
    assert aletheia("cache", "forget").code == USAGE
    assert aletheia("cache", "forget", "zz", "--yes").code == NOT_FOUND
    assert aletheia("cache", "forget", told["key"][:8]).code == USAGE
    dry = aletheia("cache", "forget", "--all", "--dry-run", "--json").json
    assert dry == {"deleted": [told["key"]], "dry_run": True}
    assert aletheia("cache", "forget", told["key"][:8], "--yes").code == 0
    assert aletheia("cache", "results", "--json").json == []
