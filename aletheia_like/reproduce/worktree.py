"""A fresh working tree of a commit, beside the user's own, which is never touched."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aletheia_like.capture.git import GitFailedError, find_repository, run_git
from aletheia_like.capture.git_snapshot import apply_snapshot
from aletheia_like.errors import IntegrityError
from aletheia_like.model.records import GitState
from aletheia_like.reproduce.planning import CannotError

_SECONDS = 600.0
_NO_HOOKS = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")


def find_code(state: GitState, commit: str, given: Path | None) -> Path:
    """Return a repository that has the commit.

    Args:
        state: What the run recorded.
        commit: Which.
        given: The repository to use; else the one around the current folder, or the run's own.

    Raises:
        CannotError: There is no repository, or none that has the commit; says how to get it.
    """
    places = [given] if given is not None else _usual_places(state)
    present = [place for place in places if _is_repository(place)]
    for place in present:
        if _has_commit(place, commit):
            return place
    if present:
        message = f"commit {commit} is not in {present[0]}: {_how_to_fetch(state, present[0])}"
        raise CannotError(message)
    where = f"{given} is no git repository" if given is not None else "there is no repository here"
    source = f"git clone {state.remote}, and " if state.remote else ""
    message = f"{where}: {source}name its folder by --repo"
    raise CannotError(message)


@contextmanager
def fresh_worktree(
    repository: Path, commit: str, snapshot: bytes | None, *, keep: bool
) -> Iterator[Path]:
    """Yield a working tree at a commit, with the differences of a snapshot; remove it afterwards.

    Args:
        repository: Where the commit is; its branches, index and working tree stay as they are.
        commit: Which.
        snapshot: The archive of a dirty tree, to be put on top.
        keep: Leave it there, also after an error.

    Raises:
        CannotError: Git refuses, or the snapshot is damaged.
    """
    folder = Path(tempfile.mkdtemp(prefix="aletheia-")).resolve()
    tree = folder / (repository.name or "code")
    try:
        try:
            run_git(
                repository,
                *_NO_HOOKS,
                "worktree",
                "add",
                "--detach",
                "--quiet",
                str(tree),
                commit,
                seconds=_SECONDS,
            )
            if snapshot is not None:
                apply_snapshot(snapshot, tree)
        except (GitFailedError, IntegrityError) as error:
            message = f"no working tree can be made of commit {commit[:12]}: {error}"
            raise CannotError(message) from error
        yield tree
    finally:
        if not keep:
            _remove(repository, folder, tree)


def lacks_submodules(tree: Path) -> bool:
    """Whether the commit has submodules, which a fresh working tree holds as empty folders."""
    return (tree / ".gitmodules").is_file()


def _remove(repository: Path, folder: Path, tree: Path) -> None:
    with contextlib.suppress(GitFailedError):
        command = ("worktree", "remove", "--force", "--force", str(tree))
        run_git(repository, *command, seconds=_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


def _usual_places(state: GitState) -> Sequence[Path]:
    here = find_repository(Path.cwd())
    before = Path(state.root) if state.root is not None else None
    return [place for place in (here, before) if place is not None]


def _is_repository(place: Path) -> bool:
    if not place.is_dir():
        return False
    try:
        run_git(place, "rev-parse", "--git-dir")
    except GitFailedError:
        return False
    return True


def _has_commit(place: Path, commit: str) -> bool:
    try:
        run_git(place, "cat-file", "-e", f"{commit}^{{commit}}")
    except GitFailedError:
        return False
    return True


def _how_to_fetch(state: GitState, place: Path) -> str:
    if state.remote is None:
        return "it recorded no remote; ask who made the run, or name another repository by --repo"
    what = state.branch or state.commit
    unpushed = " (it was not pushed when the run started)" if state.pushed is False else ""
    return f"git -C {place} fetch {state.remote} {what}{unpushed}, or name another by --repo"
