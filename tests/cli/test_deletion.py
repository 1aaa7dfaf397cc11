"""`aletheia delete`, `restore` and `gc`."""

from __future__ import annotations

import pytest

import aletheia_like as al

NOT_FOUND, USAGE = 3, 2


@pytest.fixture
def recorded(aletheia, tmp_path):
    """An experiment with two runs, an artifact and a data set, in the store of the command."""
    (tmp_path / "a.txt").write_text("a")
    with al.Metastore("p", url=(tmp_path / "store").as_uri(), git="off") as ms:
        for _ in range(2):
            with ms.exper("e").start_run() as run:
                run.log(loss=1)
                run.add_artifact("a", tmp_path / "a.txt")
        ms.add_dataset("d", tmp_path / "a.txt")
    return lambda *words: aletheia(*words, "--url", (tmp_path / "store").as_uri())


def test_a_run_is_deleted_and_restored(recorded):
    before = recorded("ls", "p/e", "--json").json
    told = recorded("delete", "p/e/1", "--yes").err

    assert "deleted the finished run e/1 with 1 row" in told
    assert "aletheia restore p/e/1 brings it back" in told
    assert [one["id"] for one in recorded("ls", "p/e", "--json").json] == ["2"]
    assert recorded("show", "p/e/1").code == NOT_FOUND
    assert recorded("ls", "p/e", "--deleted", "--json").json[0]["deleted_at"]
    assert recorded("restore", "p/e/1", "--dry-run").err.strip() == "would restore p/e/1"
    assert recorded("restore", "p/e/1", "--json").json == {"restored": True, "dry_run": False}
    assert recorded("restore", "p/e/1").err.strip() == "p/e/1 was not deleted"
    assert recorded("ls", "p/e", "--json").json == before


def test_an_experiment_is_deleted_and_restored(recorded):
    dry = recorded("delete", "-p", "p", "e", "--dry-run")
    assert dry.err.strip() == "would delete the experiment e with 2 runs"
    assert recorded("delete", "-p", "p", "e").code == USAGE
    assert recorded("delete", "-p", "p", "e", "--yes", "--json").json["runs"] == 2
    assert recorded("ls", "p/e").code == NOT_FOUND
    assert "deleted" in recorded("ls", "p", "--deleted").out
    assert recorded("restore", "-p", "p", "e", "--dry-run").err.strip() == "would restore e"
    assert recorded("restore", "-p", "p", "e").code == 0
    assert len(recorded("ls", "p/e", "--json").json) == 2


def test_versions_are_deleted_and_restored(recorded):
    artifact, where = ("a", "--version", "1"), ("-p", "p", "-e", "e")
    dry = recorded("artifact", "delete", *artifact, *where, "--dry-run")
    assert (dry.code, dry.err.strip()) == (0, "would delete a@1")
    back = "aletheia artifact restore a --version 1 --experiment e brings it back"
    assert back in recorded("artifact", "delete", *artifact, *where, "--yes").err
    assert recorded("artifact", "get", *artifact, *where).code == NOT_FOUND
    assert recorded("artifact", "restore", *artifact, *where, "--json").json["restored"]
    assert recorded("artifact", "get", *artifact, *where).code == 0
    data = ("d", "--version", "0", "-p", "p")
    dry = recorded("data", "delete", *data, "--dry-run", "--json").json
    assert dry == {"name": "d", "version": 0, "dry_run": True}
    assert recorded("data", "delete", *data, "--yes", "--json").json == {**dry, "dry_run": False}
    assert recorded("data", "get", *data).code == NOT_FOUND
    assert recorded("data", "restore", *data).err.strip() == "restored d@0"
    assert recorded("data", "get", *data).code == 0


def test_gc_looks_first_and_deletes_when_told(recorded):
    recorded("delete", "p/e/1", "--yes")
    recorded("delete", "p/e/2", "--yes", "--forever")
    times = ("--grace", "0s", "--keep", "0s", "--exclusive")
    looked = recorded("gc", *times)

    assert "would be deleted" in looked.out
    assert "1 run would be deleted for ever" in looked.err
    assert recorded("restore", "p/e/1", "--dry-run").code == 0
    done = recorded("gc", *times, "--yes", "--json").json
    assert (done["purged"], done["dry_run"], done["swept"] > 0) == ({"run": 1}, False, True)
    assert recorded("restore", "p/e/1").code == NOT_FOUND
    assert recorded("data", "get", "d", "-p", "p").code == 0


@pytest.mark.parametrize("words", [("--grace", "soon"), ("--grace", "1h"), ("--keep", "-1d")])
def test_gc_refuses_times_that_make_no_sense(recorded, words):
    assert recorded("gc", *words).code == USAGE
