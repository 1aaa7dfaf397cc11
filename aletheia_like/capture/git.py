"""The state of the git repository that a run's code is in, and what the rules say about it.

No remote name, branch or current folder is assumed. Git is asked by GitPython, with locks off, so
that looking never disturbs a commit that is being made beside us.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from aletheia_like.errors import ConflictError, DirtyTreeError
from aletheia_like.model.records import GitState

GitMode = Literal["refuse", "snapshot", "warn", "off", "require"]

SECONDS = 20.0
"""Time that one question to git may take."""

_NO_GIT = "git is not installed, or not on PATH"
_LISTED = 20
_RECORDED = 100
_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
_SCP = re.compile(r"(?:[^@/\s]+@)([^:/\s]+:.*)")
_SNAPSHOT = (
    "start with git='snapshot' (ALETHEIA_GIT=snapshot), which stores the differences with the run"
)
_HOW_TO_GO_ON = f"commit or stash them, or {_SNAPSHOT}"


class GitFailedError(Exception):
    """Git could not be asked, or answered with an error."""


@dataclass(frozen=True, slots=True)
class _Status:
    """What one `git status` says."""

    commit: str | None = None
    branch: str | None = None
    upstream: str | None = None
    ahead: int | None = None
    behind: int | None = None
    files: tuple[str, ...] = ()


def find_repository(start: Path | None = None) -> Path | None:
    """Return the root of the working tree around `start`, or None.

    Args:
        start: By default the folder of the script that was started, if it is in a repository, else
            the current folder: schedulers and configuration tools change the latter.
    """
    for folder in [start] if start is not None else _usual_starts():
        for one in (folder, *folder.parents):
            if (one / ".git").exists():
                return one
    return None


def _usual_starts() -> list[Path]:
    starts = []
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if script is not None:
        path = Path(script).absolute()
        # A program that was installed is not the researcher's code.
        if "site-packages" not in path.parts and path.parent.name != "bin":
            starts.append(path.parent)
    with contextlib.suppress(FileNotFoundError):
        starts.append(Path.cwd())
    return starts


def run_git(root: Path, *arguments: str, stdin: Any = None, seconds: float = SECONDS) -> bytes:
    """Return what a git command prints.

    Args:
        root: Where it runs.
        *arguments: What comes after `git`.
        stdin: What it reads.
        seconds: How long it may take.

    Raises:
        GitFailedError: There is no git, it took too long, or it says no.
    """
    try:
        import git
    except ImportError as error:
        raise GitFailedError(_NO_GIT) from error
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", *arguments]
    try:
        output = git.Git(str(root)).execute(
            command,
            istream=stdin,
            as_process=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
            kill_after_timeout=seconds,
            env={**os.environ, **_ENVIRONMENT},
        )
    except git.GitCommandNotFound as error:
        raise GitFailedError(_NO_GIT) from error
    except git.GitCommandError as error:
        raise GitFailedError(
            str(error.stderr).strip() or f"git ended with {error.status}"
        ) from error
    return output if isinstance(output, bytes) else str(output).encode()


def read_git_state(root: Path) -> GitState:
    """Return the state of the repository whose working tree is at `root`.

    Raises:
        GitFailedError: Git is missing, or refuses to look at this repository.
    """
    printed = run_git(root, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all")
    status = _parse_status(printed.decode(errors="surrogateescape"))
    remotes = _remotes(root)
    name = _remote_name(status, remotes)
    return GitState(
        commit=status.commit,
        branch=status.branch,
        remote=remotes.get(name) if name else None,
        dirty=bool(status.files),
        files=tuple(_readable(file) for file in status.files[:_RECORDED]),
        changed=len(status.files),
        subdirectory=_subdirectory(root),
        upstream=status.upstream,
        ahead=status.ahead,
        behind=status.behind,
        pushed=_is_pushed(root, status) if remotes else None,
        root=_readable(str(root)),
    )


def changed_files(root: Path) -> list[str]:
    """Return every tracked or untracked, not ignored, file that differs from the commit.

    Names that are no UTF-8 come as Python's file functions take them.
    """
    printed = run_git(
        root, "status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames"
    )
    return list(_parse_status(printed.decode(errors="surrogateescape")).files)


def check_git(
    state: GitState | None,
    mode: str,
    *,
    require_pushed: bool = False,
    where: Path,
    failure: str | None = None,
) -> list[str]:
    """Decide whether a run may start; return what its user should be warned of.

    Args:
        state: The repository's state; None outside any, or if git failed.
        mode: `refuse`, `snapshot`, `warn`, `off` or `require`.
        require_pushed: Refuse commits that the upstream does not have, or that lag behind it.
        where: The repository, or the current folder, for the messages.
        failure: Why git could not be asked.

    Raises:
        DirtyTreeError: The mode refuses this state; the message says how to go on.
    """
    if mode == "off":
        return []
    if state is None:
        return _check_absence(mode, where, failure)
    problem = _problem(state, where)
    if problem is None and require_pushed:
        problem = _unpushed(state, where)
    if problem is None:
        return []
    if mode == "warn" or (mode == "snapshot" and (state.dirty or state.commit is None)):
        return [] if mode == "snapshot" else [problem]
    raise DirtyTreeError(problem, state.files)


def tag_commit(root: Path, name: str, commit: str) -> str:
    """Set a lightweight tag on a commit and return its name; setting it again is nothing.

    Characters that git forbids in names become `-`.

    Raises:
        ConflictError: The tag is on another commit; it is not moved.
        GitFailedError: Git cannot set it.
    """
    tag = "/".join(_tag_part(part) for part in name.split("/"))
    try:
        existing = run_git(root, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}")
    except GitFailedError:
        run_git(root, "tag", tag, commit)
        return tag
    if existing.decode().strip() != commit:
        message = f"the tag {tag!r} is on another commit and stays there: {existing.decode()[:12]}"
        raise ConflictError(message)
    return tag


def _check_absence(mode: str, where: Path, failure: str | None) -> list[str]:
    if failure is not None:
        owner = "safe.directory" in failure or "dubious ownership" in failure
        advice = "start with git='off' (ALETHEIA_GIT=off)"
        if owner:
            advice = f"git config --global --add safe.directory {where}"
        elif "not installed" in failure:
            advice = f"install git, or {advice}"
        else:
            advice = f"see what `git status` says there, or {advice}"
        message = (
            f"the git repository at {where} cannot be read: {failure.splitlines()[0]}: {advice}"
        )
        if mode == "warn":
            return [message]
        raise DirtyTreeError(message)
    message = f"{where} is in no git repository, so no commit is recorded: git init makes one"
    if mode == "require":
        raise DirtyTreeError(message)
    return [message]


def _problem(state: GitState, where: Path) -> str | None:
    if state.commit is None:
        return f"the git repository at {where} has no commit yet: make one, or {_SNAPSHOT}"
    if not state.dirty:
        return None
    listed = "".join(f"\n    {file}" for file in state.files[:_LISTED])
    more = state.changed - min(state.changed, _LISTED)
    rest = f"\n    and {more} more" if more else ""
    return (
        f"{_counted_files(state.changed)} in {where} from commit {state.commit[:12]}:"
        f"{listed}{rest}\n{_HOW_TO_GO_ON}"
    )


def _counted_files(count: int) -> str:
    return "1 file differs" if count == 1 else f"{count} files differ"


def _unpushed(state: GitState, where: Path) -> str | None:
    if state.pushed is None:
        return f"{where} has no remote, and pushed commits are required: git remote add NAME URL"
    if state.upstream is None and not state.pushed:
        return f"{where}: commit {state.commit} is on no remote: git push -u REMOTE BRANCH"
    if state.ahead or not state.pushed:
        return f"{where} is {state.ahead} commits ahead of {state.upstream}: git push"
    if state.behind:
        return f"{where} is {state.behind} commits behind {state.upstream}: git pull"
    return None


def _parse_status(printed: str) -> _Status:
    """Read the porcelain format, version 2; see git-status(1)."""
    status = _Status()
    files: list[str] = []
    fields = iter(printed.split("\0"))
    for line in fields:
        kind, _, rest = line.partition(" ")
        if kind == "#":
            status = _with_header(status, rest)
        elif kind == "1":
            files.append(rest.split(" ", 7)[7])
        elif kind == "2":
            files += [rest.split(" ", 8)[8], next(fields, "")]
        elif kind == "u":
            files.append(rest.split(" ", 9)[9])
        elif kind == "?":
            files.append(rest)
    return replace(status, files=tuple(sorted(file for file in files if file)))


def _with_header(status: _Status, header: str) -> _Status:
    key, _, value = header.partition(" ")
    match key:
        case "branch.oid":
            return replace(status, commit=None if value == "(initial)" else value)
        case "branch.head":
            return replace(status, branch=None if value == "(detached)" else value)
        case "branch.upstream":
            return replace(status, upstream=value)
        case "branch.ab":
            ahead, behind = value.split()
            return replace(status, ahead=int(ahead), behind=-int(behind))
    return status


def _remotes(root: Path) -> dict[str, str]:
    """Return the URL of each remote, without credentials."""
    try:
        printed = run_git(root, "config", "--null", "--get-regexp", r"^remote\..*\.url$")
    except GitFailedError:
        return {}
    remotes: dict[str, str] = {}
    for line in printed.decode(errors="replace").split("\0"):
        key, _, url = line.partition("\n")
        if url:
            remotes.setdefault(key.removeprefix("remote.").removesuffix(".url"), strip_url(url))
    return remotes


def _remote_name(status: _Status, remotes: dict[str, str]) -> str | None:
    followed = [name for name in remotes if (status.upstream or "").startswith(f"{name}/")]
    if followed:
        return max(followed, key=len)
    return min(remotes, default=None)


def _is_pushed(root: Path, status: _Status) -> bool | None:
    if status.commit is None:
        return False
    if status.upstream is not None and status.ahead == 0:
        return True
    try:
        found = run_git(
            root, "for-each-ref", "--count=1", f"--contains={status.commit}", "refs/remotes"
        )
    except GitFailedError:
        return None
    return bool(found.strip())


def _subdirectory(root: Path) -> str:
    try:
        inside = Path.cwd().resolve().relative_to(root.resolve())
    except (ValueError, FileNotFoundError):
        return ""
    return "" if inside == Path() else inside.as_posix()


def strip_url(url: str) -> str:
    """Return a remote's URL without user, password, token or query.

    Examples:
        >>> strip_url("https://user:secret@example.org/a.git?token=1")
        'https://example.org/a.git'
    """
    if "://" not in url:
        scp = _SCP.fullmatch(url)
        return scp[1] if scp else url
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("://")[0] + "://…"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _readable(file: str) -> str:
    return file.encode(errors="surrogateescape").decode(errors="replace")


def _tag_part(part: str) -> str:
    """Return one part of a tag's name as git-check-ref-format(1) allows it."""
    cleaned = re.sub(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^\.|\.$|\.lock$", "-", part)
    return cleaned.strip("/") or "-"
