"""The state of real repositories, odd ones too, and what the rules make of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest

from aletheia_like.capture.git import (
    GitFailedError,
    check_git,
    find_repository,
    read_git_state,
    strip_url,
    tag_commit,
)
from aletheia_like.errors import ConflictError, DirtyTreeError


def refuse(repo, **options):
    check_git(read_git_state(repo.root), "refuse", where=repo.root, **options)


def test_a_clean_tree_has_a_commit_and_no_files(repo):  # R10
    state = read_git_state(repo.root)

    assert state.commit == repo.git("rev-parse", "HEAD")
    assert state.branch == "main"
    assert not state.dirty
    assert (state.remote, state.upstream, state.pushed) == (None, None, None)
    refuse(repo)


def modify(repo):
    repo.write("train.py", "print(2)\n")
    return "train.py"


def stage(repo):
    modify(repo)
    repo.git("add", "train.py")
    return "train.py"


def delete(repo):
    (repo.root / "train.py").unlink()
    return "train.py"


def rename(repo):
    repo.git("mv", "train.py", "learn.py")
    return "learn.py"


def leave_untracked(repo):
    repo.write("deep/new file.py")
    return "deep/new file.py"


def leave_unicode(repo):
    repo.write("ünï 实验.py")
    return "ünï 实验.py"


def make_executable(repo):
    (repo.root / "train.py").chmod(0o755)
    return "train.py"


CHANGES = [modify, stage, delete, rename, leave_untracked, leave_unicode, make_executable]


@pytest.mark.parametrize("change", CHANGES)
def test_a_dirty_tree_is_refused_and_its_files_are_named(repo, change):  # R11, R12
    name = change(repo)

    with pytest.raises(DirtyTreeError, match="snapshot") as refused:
        refuse(repo)
    assert name in refused.value.files
    assert name in str(refused.value)


def test_a_name_with_a_newline_counts(repo):
    repo.write("two\nlines")

    assert read_git_state(repo.root).files == ("two\nlines",)


def test_ignored_files_never_count(repo):  # R12
    repo.write(".gitignore", "*.log\n")
    repo.git("add", ".gitignore")
    repo.git("commit", "--quiet", "--message", "Ignore")
    repo.write("deep/run.log")

    assert not read_git_state(repo.root).dirty


def test_modes(repo):
    modify(repo)
    state = read_git_state(repo.root)

    assert check_git(state, "off", where=repo.root) == []
    assert check_git(state, "snapshot", where=repo.root) == []
    assert "train.py" in check_git(state, "warn", where=repo.root)[0]
    with pytest.raises(DirtyTreeError):
        check_git(state, "require", where=repo.root)


def test_a_detached_head_has_no_branch(repo):  # R15
    repo.git("checkout", "--quiet", "--detach")

    state = read_git_state(repo.root)
    assert (state.branch, len(state.commit)) == (None, 40)
    refuse(repo)


def test_no_commit_yet(make_repo):  # R15
    repo = make_repo()
    assert read_git_state(repo.root).commit is None

    with pytest.raises(DirtyTreeError, match="no commit yet: make one, or start with"):
        refuse(repo)


def test_no_git_program(repo, tmp_path):  # R15
    program = (
        "import sys, pathlib\n"
        "from aletheia_like.capture.git import *\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "try:\n    read_git_state(root)\n"
        "except GitFailedError as error:\n"
        "    try:\n        check_git(None, 'refuse', where=root, failure=str(error))\n"
        "    except Exception as refused:\n        print(refused)\n"
    )
    environment = {**os.environ, "PATH": str(tmp_path), "GIT_PYTHON_REFRESH": "quiet"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(repo.root)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "not installed" in done.stdout
    assert "git='off'" in done.stdout


def test_a_subdirectory_finds_its_repository(repo, monkeypatch):  # R15
    inside = repo.root / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)

    assert find_repository(inside) == repo.root
    assert read_git_state(repo.root).subdirectory == "a/b"


def test_a_submodule(repo, make_repo):  # R15
    library = make_repo("library")
    library.commit("lib.py")
    repo.git(
        "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "lib"
    )
    repo.git("commit", "--quiet", "--message", "Add a submodule")
    assert not read_git_state(repo.root).dirty
    assert find_repository(repo.root / "lib") == repo.root / "lib"

    (repo.root / "lib" / "lib.py").write_text("changed")
    assert read_git_state(repo.root).files == ("lib",)


def test_a_worktree(repo, tmp_path):  # R15
    repo.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))

    state = read_git_state(tmp_path / "side")
    assert find_repository(tmp_path / "side") == tmp_path / "side"
    assert (state.branch, state.dirty) == ("side", False)


def test_a_foreign_owner_gets_the_line_to_type(repo):  # R15
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    for path in (repo.root, *repo.root.rglob("*")):
        os.chown(path, 12_345, 12_345)

    with pytest.raises(GitFailedError) as failed:
        read_git_state(repo.root)
    with pytest.raises(DirtyTreeError, match=r"safe\.directory"):
        check_git(None, "refuse", where=repo.root, failure=str(failed.value))
    told = check_git(None, "warn", where=repo.root, failure=str(failed.value))
    assert f"safe.directory {repo.root}" in told[0]


def test_a_broken_repository_is_refused(repo):
    shutil.rmtree(repo.root / ".git" / "objects")
    (repo.root / ".git" / "HEAD").unlink()

    with pytest.raises(GitFailedError):
        read_git_state(repo.root)


def test_a_shallow_clone(repo, make_repo, tmp_path):  # R15
    repo.commit("second.py")
    repo.git("clone", "--quiet", "--depth=1", repo.root.as_uri(), str(tmp_path / "shallow"))

    state = read_git_state(tmp_path / "shallow")
    assert state.commit == repo.git("rev-parse", "HEAD")
    assert state.pushed


def test_a_merge_in_conflict_is_dirty(repo):
    repo.git("checkout", "--quiet", "-b", "side")
    repo.commit("train.py", "side\n")
    repo.git("checkout", "--quiet", "main")
    repo.commit("train.py", "main\n")
    with pytest.raises(subprocess.CalledProcessError):
        repo.git("merge", "side")

    assert read_git_state(repo.root).files == ("train.py",)


def test_outside_any_repository(tmp_path):  # R16
    assert find_repository(tmp_path) is None
    assert "no git repository" in check_git(None, "refuse", where=tmp_path)[0]
    with pytest.raises(DirtyTreeError, match="git init"):
        check_git(None, "require", where=tmp_path)


def test_many_dirty_files_are_listed_briefly(repo):
    for number in range(3_000):
        (repo.root / f"{number:04}.txt").write_text("x")
    begun = time.monotonic()
    state = read_git_state(repo.root)

    assert state.changed == 3_000
    assert len(state.files) == 100
    with pytest.raises(DirtyTreeError, match="and 2980 more"):
        refuse(repo)
    assert time.monotonic() - begun < 10


def test_a_folder_that_is_gone_is_no_repository(tmp_path):
    program = (
        "import os, sys\nfrom aletheia_like.capture.git import find_repository\n"
        "os.chdir(sys.argv[1]); os.rmdir(sys.argv[1])\nprint(find_repository())\n"
    )
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program, str(gone)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"


@pytest.fixture
def pushed(repo, make_repo, tmp_path):
    """A repository whose branch follows a remote that is not called origin."""
    repo.git("init", "--quiet", "--bare", str(tmp_path / "hub.git"))
    repo.git("remote", "add", "hub", str(tmp_path / "hub.git"))
    repo.git("push", "--quiet", "--set-upstream", "hub", "main")
    return repo


def test_a_pushed_commit(pushed):  # R14
    state = read_git_state(pushed.root)

    assert (state.upstream, state.ahead, state.behind, state.pushed) == ("hub/main", 0, 0, True)
    refuse(pushed, require_pushed=True)


def test_a_commit_that_is_ahead(pushed):  # R14
    pushed.commit("more.py")

    assert read_git_state(pushed.root).ahead == 1
    assert not read_git_state(pushed.root).pushed
    refuse(pushed)
    with pytest.raises(DirtyTreeError, match="git push"):
        refuse(pushed, require_pushed=True)


def test_a_commit_that_is_behind(pushed):  # R14
    pushed.commit("more.py")
    pushed.git("push", "--quiet")
    pushed.git("reset", "--quiet", "--hard", "HEAD~1")

    with pytest.raises(DirtyTreeError, match="git pull"):
        refuse(pushed, require_pushed=True)


def test_no_remote_and_no_upstream(repo, pushed):  # R14
    pushed.git("checkout", "--quiet", "-b", "side")
    refuse(pushed, require_pushed=True)
    pushed.commit("side.py")
    with pytest.raises(DirtyTreeError, match="git push -u"):
        refuse(pushed, require_pushed=True)
    pushed.git("remote", "remove", "hub")
    with pytest.raises(DirtyTreeError, match="no remote"):
        refuse(pushed, require_pushed=True)


@pytest.mark.parametrize(
    ("url", "stripped"),
    [
        ("https://me:secret@example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://ghp_token@example.org/a.git?x=y#z", "https://example.org/a.git"),
        ("git@example.org:a/b.git", "example.org:a/b.git"),
        ("ssh://me:pw@example.org:22/a.git", "ssh://example.org:22/a.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("https://[broken", "https://…"),
    ],
)
def test_remotes_lose_their_credentials(repo, url, stripped):  # R10
    repo.git("remote", "add", "hub", url)

    assert strip_url(url) == stripped
    assert read_git_state(repo.root).remote == stripped


def test_the_followed_remote_is_named_among_several(pushed):
    pushed.git("remote", "add", "another", "https://example.org/x.git")

    assert read_git_state(pushed.root).remote.endswith("hub.git")


def test_a_tag_is_set_once_and_never_moved(repo):  # R17
    commit = repo.git("rev-parse", "HEAD")
    tag = tag_commit(repo.root, "exp/my run: a~b/1", commit)

    assert tag == "exp/my-run--a-b/1"
    assert tag_commit(repo.root, "exp/my run: a~b/1", commit) == tag
    assert repo.git("tag", "--points-at", commit) == tag
    other = repo.commit("other.py")
    with pytest.raises(ConflictError, match="stays there"):
        tag_commit(repo.root, tag, other)
    assert repo.git("rev-parse", f"{tag}^{{commit}}") == commit
