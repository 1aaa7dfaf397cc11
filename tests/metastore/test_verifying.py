"""Everything a run refers to is hashed anew, in the store."""

from __future__ import annotations

import pytest

import aletheia_like as al


@pytest.fixture
def ms(tmp_path):
    with al.Metastore(
        "p", url=(tmp_path / "store").as_uri(), cache_dir=tmp_path / "cache", git="off"
    ) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path):
    """Two files and a folder with two more."""
    (tmp_path / "model" / "deep").mkdir(parents=True)
    for name in ("model/a.bin", "model/deep/b.bin", "table.csv", "seen.png"):
        (tmp_path / name).write_text(f"content of {name}")
    return tmp_path


@pytest.fixture
def run(ms, folder):
    """A run that refers to blobs in every way there is."""
    ms.add_dataset("table", folder / "table.csv")
    with ms.exper("e").start_run() as run:
        run.get_dataset("table")
        run.notes = "a long story " * 5000
        run.add_artifact("model", folder / "model")
        run.add_artifact("noted", folder / "table.csv", upload_file=False)
        run.log(seen=al.File(folder / "seen.png"), long=list(range(20_000)))
        run.log(hash="ab" * 32, text="a word " * 10_000)
    return ms.experiment("e").run(1)


def blob(folder, text):
    from aletheia_like.model.digests import digest_bytes

    digest = digest_bytes(text.encode())
    (path,) = [one for one in (folder / "store" / "blobs").rglob("*") if one.name == digest]
    return path


def test_a_whole_run_has_no_problems(run):
    found = run.verify()

    assert found.ok, found.problems
    assert found.problems == ()
    # Data set, two files, their list, packages, the notes, the file, the list, the text.
    assert found.blobs == 9
    assert found.size > 60_000
    assert found.noted == ("artifact noted@0",)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("model/deep/b.bin", "artifact model@0: deep/b.bin"),
        ("table.csv", "data set table@0"),
        ("seen.png", "column seen"),
    ],
)
def test_what_is_gone_or_changed_is_named(run, folder, name, what):
    path = blob(folder, f"content of {name}")
    path.chmod(0o644)
    path.write_text(f"CONTENT of {name}")
    changed = run.verify()
    path.unlink()

    gone = run.verify()

    assert [(one.what, one.kind, one.digest) for one in changed.problems] == [
        (what, "corrupt", path.name)
    ]
    assert [(one.what, one.kind) for one in gone.problems] == [(what, "missing")]


def test_versions_that_are_gone_and_rows_that_were_edited_are_named(ms, run):
    from aletheia_like.ports.documents import Delete, Query, Update

    documents = ms.session.documents
    documents.apply([Delete("projects/p/datasets/table/versions/0")])
    (chunk,) = documents.query(Query(f"{run.path}/rows"))
    documents.apply([Update(chunk.path, {("columns",): "no rows"})])

    found = run.verify()

    assert [(one.what.split("/")[0], one.kind) for one in found.problems] == [
        ("data set table@0", "missing"),
        (f"rows {chunk.path.rpartition('/')[2]}", "corrupt"),
    ]


def test_a_deleted_run_cannot_be_verified(ms, run):
    ms.exper("e").delete_run("1", forever=True)

    with pytest.raises(al.NotFoundError):
        run.verify()


def test_a_run_is_verified_by_its_name_in_any_store(open_ms, tmp_path):
    (tmp_path / "file").write_text("content")
    ms = open_ms()
    with ms.exper("e").start_run() as run:
        run.add_artifact("file", tmp_path / "file")

    assert ms.verify("e/1").ok
    ms.session.blobs.delete(run.artifacts["file"].digest)
    assert [one.kind for one in ms.verify(run).problems] == ["missing"]
