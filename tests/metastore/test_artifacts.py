"""Artifacts: files and directories that runs and experiments make."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import aletheia_like as al
from aletheia_like.ports.documents import Query


@pytest.fixture
def run(ms):
    return ms.exper("e").start_run()


def documents_of(ms):
    return [one.path for one in ms.session.documents.query(Query("files"))]


def test_a_file_is_stored_once_and_comes_back_equal(ms, run, tmp_path):  # A13, V1
    path = tmp_path / "model.pt"
    path.write_bytes(os.urandom(100_000))

    version = run.add_artifact("weights", path)
    run.finish()

    assert (version.name, version.version, version.size) == ("weights", 0, 100_000)
    assert version.download().read_bytes() == path.read_bytes()
    assert version.download(tmp_path / "out").name == "model.pt"
    assert version.open().read() == path.read_bytes()
    assert version.run == run.id
    use = ms.experiment("e").run(run.id).artifacts["weights"]
    assert (use.version, use.digest) == (0, version.digest)


def test_equal_content_is_not_uploaded_again(ms, run, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * 1000)
    for learning in ms.session.captures.values():
        learning.join()
    first = run.add_artifact("a", path)
    before = ms.usage

    again = run.add_artifact("a", path)
    other = run.add_artifact("b", path)
    later = ms.exper("e").start_run().add_artifact("a", path)

    assert (again.version, other.version, later.version) == (0, 0, 1)
    assert first.digest == again.digest == other.digest == later.digest
    assert (ms.usage - before).bytes_up == 0


def test_versions_count_up_by_content(run, tmp_path):  # V11
    path = tmp_path / "a.txt"
    versions = []
    for number in range(3):
        path.write_text(str(number))
        versions.append(run.add_artifact("a", path))

    assert [version.version for version in versions] == [0, 1, 2]
    assert [version.open().read() for version in versions] == [b"0", b"1", b"2"]


def test_a_directory_is_a_whole_tree(ms, run, tmp_path):  # A13, V1
    tree = tmp_path / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "a.txt").write_text("a")
    (tree / "deep" / "er" / "b ü.txt").write_text("b")
    (tree / "deep" / "same.txt").write_text("a")

    version = run.add_artifact("tree", tree, is_dir=True)

    assert [file.path for file in version.files()] == ["a.txt", "deep/er/b ü.txt", "deep/same.txt"]
    copy = version.download(tmp_path / "out")
    assert (copy / "deep" / "er" / "b ü.txt").read_text() == "b"
    assert version.open("deep/same.txt").read() == b"a"
    with pytest.raises(al.NotFoundError, match=r"deep/same\.txt"):
        version.open("none")
    path = f"projects/p/experiments/e/artifacts/tree/versions/{version.version}/files"
    stored = list(ms.session.documents.query(Query(path)))
    assert sorted(one.fields["path"] for one in stored) == [file.path for file in version.files()]


def test_a_second_download_leaves_what_is_right_and_refuses_what_is_not(run, tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.txt").write_text("a")
    for version in (
        run.add_artifact("tree", tmp_path / "tree"),
        run.add_artifact("file", tmp_path / "tree" / "a.txt"),
    ):
        copy = version.download(tmp_path / "out")
        assert version.download(tmp_path / "out") == copy

        file = copy / "a.txt" if copy.is_dir() else copy
        file.write_text("b")
        with pytest.raises(al.AlreadyExistsError, match="differs"):
            version.download(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "tree"]


def test_only_the_hash_may_be_recorded(run, tmp_path):  # A13, V1
    path = tmp_path / "big.bin"
    path.write_bytes(b"123")

    version = run.add_artifact("big", path, upload_file=False)

    assert version.size == 3
    assert version.record.location == str(path)
    with pytest.raises(al.NotFoundError, match="not in the store"):
        version.download()


def test_a_uri_may_be_referenced(run):  # A13, V1
    version = run.add_artifact("remote", "gs://bucket/model.pt", is_local=False)

    assert version.location == "gs://bucket/model.pt"
    assert version.digest is None
    with pytest.raises(al.InvalidValueError, match="URI"):
        run.add_artifact("remote", "model.pt", is_local=False)


@pytest.mark.parametrize("options", [{}, {"is_dir": True}, {"upload_file": False}])
def test_a_missing_path_fails_before_anything_is_written(ms, tmp_path, options):  # A13, V1
    # Not of a run, whose beginning may still be written.
    exper = ms.exper("e")
    before = ms.usage
    with pytest.raises(al.NotFoundError, match="nothing at"):
        exper.add_artifact("a", tmp_path / "none", **options)

    used = ms.usage - before
    assert used.document_writes == 0
    assert used.blob_writes == 0


def test_a_text_is_one_alias_and_no_number_is_one(ms):
    exper = ms.exper("e")

    assert exper.add_artifact("a", [1], aliases="best").aliases == ("best",)
    for alias in ("0", "2026-01-01"):
        with pytest.raises(al.InvalidValueError, match="cannot be an alias"):
            exper.add_artifact("a", [2], aliases=[alias])


def test_a_download_to_what_is_no_folder_is_refused(ms, tmp_path):  # V1
    version = ms.exper("e").add_artifact("a", [1])
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("nowhere")

    for name in ("file", "link", "file/below"):
        with pytest.raises(al.AlreadyExistsError, match="is no folder"):
            version.download(tmp_path / name)
    with pytest.raises(al.UnavailableError, match="cannot be written"):
        version.download("/proc/nowhere")


def test_no_path_is_not_the_current_folder(ms):  # V1
    with pytest.raises(al.InvalidValueError, match="is empty"):
        ms.exper("e").add_artifact("a", "")


def test_a_tilde_may_begin_a_name(ms, tmp_path, monkeypatch):  # V1
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~nobody-at-all").write_text("a")

    assert ms.exper("e").add_artifact("a", "~nobody-at-all").open().read() == b"a"


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "a\udcff"])
def test_a_file_that_not_every_system_can_name_is_refused(ms, tmp_path, name):
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / name).write_text("a")

    with pytest.raises(al.InvalidValueError, match="rename the file"):
        ms.exper("e").add_artifact("a", folder)


def test_the_kind_must_be_as_asked(run, tmp_path):
    # A folder of its own: the store lies in the other, and is written to meanwhile.
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("x")

    with pytest.raises(al.InvalidValueError, match="is a file"):
        run.add_artifact("a", folder / "file", is_dir=True)
    with pytest.raises(al.InvalidValueError, match="is a directory"):
        run.add_artifact("a", folder, is_dir=False)


def test_an_object_is_refused_with_advice(run):
    with pytest.raises(al.InvalidValueError, match="save it to a file"):
        run.add_artifact("a", object())


def test_an_object_comes_back_in_another_session(ms, open_ms, run):
    value = {"a": [1, [2.5, None]], "ü": True}
    version = run.add_artifact("a", value, separators=[",", ":"], sort_keys=True)
    run.finish()

    record = open_ms().experiment("e").run(run.id).load_artifact("a")
    again = open_ms().exper("e").start_run().add_artifact("a", value, separators=[",", ":"])

    assert record == value
    assert dict(version.record.options) == {"separators": [",", ":"], "sort_keys": True}
    assert (again.version, again.digest, again.load()) == (1, version.digest, value)


@pytest.mark.parametrize("name", ["a/b", "..", "ünï", "a b.c"])
def test_odd_artifact_names(ms, run, tmp_path, name):
    (tmp_path / "f").write_text("x")
    run.add_artifact(name, tmp_path / "f")
    run.finish()

    assert list(ms.experiment("e").run(run.id).artifacts) == [name]


def test_an_experiment_has_artifacts_too(ms, tmp_path):
    (tmp_path / "f").write_text("x")
    version = ms.exper("e").add_artifact("notes", tmp_path / "f")

    assert (version.version, version.run, version.experiment) == (0, None, "e")


def test_two_processes_lose_no_version(open_ms, store_url, tmp_path):  # V18
    exper = open_ms().exper("e")
    program = (
        "import sys, pathlib, aletheia_like as al\n"
        "url, folder, who = sys.argv[1:]\n"
        "path = pathlib.Path(folder, who)\n"
        "with al.Metastore('p', url=url, cache_dir=folder + '/c', git='off') as ms:\n"
        "    for number in range(6):\n"
        "        path.write_text(f'{who} {number}')\n"
        "        ms.exper('e').add_artifact('a', path)\n"
    )
    command = [sys.executable, "-c", program, store_url, str(tmp_path)]
    started = [subprocess.Popen([*command, who]) for who in "ab"]

    assert [process.wait(timeout=60) for process in started] == [0, 0]
    path = f"{exper.path}/artifacts/a/versions"
    found = [one.id for one in open_ms().session.documents.query(Query(path))]
    assert sorted(found, key=int) == [str(number) for number in range(12)]
