"""Stores that somebody has changed: nothing is written outside of the folder that was meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import aletheia_like as al
from aletheia_like.model import paths
from aletheia_like.ports.documents import Update

NAMES = ["../evil", "/tmp/evil", "..", "a/../../evil", "evil\\..\\x", "a\nb", "sub/evil"]


@pytest.fixture
def ms(tmp_path):
    with al.Metastore(
        "p", url=(tmp_path / "store").as_uri(), cache_dir=tmp_path / "cache", git="off"
    ) as opened:
        yield opened


def outside(tmp_path):
    """Return what was written under one of the names, anywhere."""
    return [*tmp_path.rglob("*evil*"), *Path("/tmp").glob("evil")]


def made(tmp_path):
    """Return a file to add, out of the way."""
    (tmp_path / "in").mkdir(exist_ok=True)
    path = tmp_path / "in" / "file"
    path.write_text("content")
    return path


def rename(ms, owner, name, number=0):
    """Let a version of the store say another name for its file."""
    version = paths.version(owner, number)
    ms.session.documents.apply(
        [Update(version, {("filename",): name}), Update(owner, {("latest", "filename"): name})]
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_that_climbs_is_refused(ms, tmp_path, name):
    exper = ms.exper("e")
    exper.add_artifact("a", made(tmp_path))
    ms.add_dataset("d", made(tmp_path))
    artifact, dataset = paths.artifact(exper.path, "a"), paths.dataset("projects/p", "d")
    rename(ms, artifact, name)
    rename(ms, dataset, name)

    found = [exper.artifact("a"), exper.artifact("a", 0), ms.get_dataset("d")]

    for version in found:
        for fetch in (version.download, lambda v=version: v.download(tmp_path / "out")):
            with pytest.raises(al.IntegrityError, match="leads out of its folder"):
                fetch()
    assert outside(tmp_path) == []
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*"))


def test_a_file_name_that_climbs_is_refused_in_copies_of_releases(ms, tmp_path):
    repository = ms.repository("r", "a")
    repository.log_artifact("a", made(tmp_path))
    repository.save()
    repository.release("v1")
    rename(ms, repository.place.owner("a"), "../../../evil")

    with pytest.raises(al.IntegrityError, match="leads out of its folder"):
        ms.repository("r").released("v1").download(tmp_path / "out")

    assert outside(tmp_path) == []


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_path_in_a_manifest_that_climbs_is_refused(ms, tmp_path, name):
    (tmp_path / "in" / "tree").mkdir(parents=True)
    (tmp_path / "in" / "tree" / "f").write_text("x")
    ms.add_dataset("d", tmp_path / "in" / "tree")
    digest = ms.get_dataset("d").files()[0].digest
    line = json.dumps({"path": name, "sha256": digest, "size": 1}) + "\n"
    (tmp_path / "in" / "manifest").write_text(line)
    manifest = ms.add_dataset("m", tmp_path / "in" / "manifest").digest
    owner = paths.dataset("projects/p", "d")
    ms.session.documents.apply([Update(owner, {("latest", "manifest"): manifest})])

    with pytest.raises(al.IntegrityError, match="not a manifest"):
        ms.get_dataset("d", download=True)
    with pytest.raises(al.IntegrityError, match="not a manifest"):
        ms.get_dataset("d").download(tmp_path / "out")

    assert outside(tmp_path) == []


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_file_in_a_row_whose_name_climbs_is_refused(ms, tmp_path, name):
    with ms.exper("e").start_run() as run:
        run.log(f=al.File(made(tmp_path)))
    stored = run.rows()["f"][0]

    with pytest.raises(al.InvalidValueError, match=r"stay inside|rename the file"):
        ms.session.cache.fetch_file(stored.digest, name)

    assert outside(tmp_path) == []


def test_a_digest_that_is_a_path_is_refused(ms, tmp_path):
    exper = ms.exper("e")
    exper.add_artifact("a", made(tmp_path))
    owner = paths.artifact(exper.path, "a")
    ms.session.documents.apply([Update(owner, {("latest", "digest"): "../../evil"})])

    with pytest.raises(al.AletheiaError, match="sha-256"):
        exper.artifact("a").download(tmp_path / "out")

    assert outside(tmp_path) == []
