"""A dirty tree is rebuilt byte for byte from its snapshot."""

from __future__ import annotations

import stat
import tarfile

import pytest

from aletheia_like.capture.git import read_git_state
from aletheia_like.capture.git_snapshot import apply_snapshot, take_snapshot
from aletheia_like.errors import IntegrityError, InvalidValueError

LIMIT = 10_000_000


def content_of(root):
    """Return every file with its bytes, or its target, and whether it may be executed."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name == ".git" or name.startswith(".git/") or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            found[name] = path.readlink()
        else:
            found[name] = (path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR))
    return found


def snapshot(repo, limit=LIMIT):
    return take_snapshot(repo.root, read_git_state(repo.root), max_bytes=limit)


@pytest.fixture
def rebuilt(repo, tmp_path):
    """Clone the commit elsewhere and apply the snapshot."""

    def rebuild():
        data = snapshot(repo)
        target = tmp_path / "rebuilt"
        repo.git("clone", "--quiet", str(repo.root), str(target))
        repo.git("-C", str(target), "checkout", "--quiet", read_git_state(repo.root).commit)
        apply_snapshot(data, target)
        return target

    return rebuild


def test_every_kind_of_change_at_once(repo, rebuilt):  # R13
    repo.commit("old.py")
    repo.commit("gone/deep.py")
    repo.commit("mode.sh", "#!/bin/sh\n")
    repo.write(".gitignore", "*.log\n")
    repo.write("secret.log")
    repo.write("train.py", "print(2)\n")
    repo.write("staged.py")
    repo.git("add", "staged.py", ".gitignore")
    repo.write("staged.py", "changed after it was staged\n")
    repo.git("mv", "old.py", "new name.py")
    (repo.root / "gone" / "deep.py").unlink()
    (repo.root / "mode.sh").chmod(0o755)
    (repo.root / "link").symlink_to("train.py")
    (repo.root / "dangling").symlink_to("nowhere")
    (repo.root / "binary").write_bytes(bytes(range(256)) * 10)
    repo.write("empty", "")
    repo.write("ünï 实验/a b\nc")

    expected = content_of(repo.root)
    del expected["secret.log"]
    assert content_of(rebuilt()) == expected


def test_line_endings_are_kept_whatever_git_converts(repo, rebuilt):  # R13
    repo.git("config", "core.autocrlf", "true")
    (repo.root / "crlf.txt").write_bytes(b"a\r\nb\n")
    (repo.root / "train.py").write_bytes(b"print(2)\r\n")

    assert content_of(rebuilt()) == content_of(repo.root)


def test_a_file_replaced_by_a_link_and_back(repo, rebuilt):
    repo.commit("other.py")
    (repo.root / "train.py").unlink()
    (repo.root / "train.py").symlink_to("other.py")

    assert content_of(rebuilt()) == content_of(repo.root)


def test_equal_trees_give_equal_bytes(repo):
    repo.write("a.py")
    first = snapshot(repo)
    (repo.root / "a.py").touch()

    assert snapshot(repo) == first


def test_a_tree_without_commits_can_be_stored(make_repo, tmp_path):
    repo = make_repo()
    repo.write("a.py", "x")
    apply_snapshot(snapshot(repo), tmp_path / "home")

    assert (tmp_path / "home" / "a.py").read_text() == "x"


def test_too_large_names_the_largest(repo):
    repo.write("large.bin", "x" * 100_000)
    repo.write("small.bin")

    with pytest.raises(InvalidValueError, match=r"largest are large\.bin"):
        snapshot(repo, 50_000)


def test_a_repository_inside_is_refused(repo):
    nested = repo.root / "nested"
    nested.mkdir()
    repo.git("init", "--quiet", str(nested))
    (nested / "x").write_text("x")

    with pytest.raises(InvalidValueError, match="nested"):
        snapshot(repo)


@pytest.mark.parametrize("name", ["files/../../evil", "files/link/evil", "files//etc/evil"])
def test_an_archive_that_climbs_out_is_refused(repo, tmp_path, name):
    import io
    import json

    (repo.root / "link").symlink_to(tmp_path)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for one, data in (
            ("snapshot.json", json.dumps({"commit": None, "gone": []}).encode()),
            (name, b"x"),
        ):
            member = tarfile.TarInfo(one)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

    with pytest.raises(IntegrityError, match="outside"):
        apply_snapshot(content.getvalue(), repo.root)
    assert not (tmp_path / "evil").exists()


def test_a_damaged_archive_is_refused(tmp_path):
    with pytest.raises(IntegrityError, match="snapshot"):
        apply_snapshot(b"no archive" * 100, tmp_path)
