"""What has to be run, and where: from what a run recorded; nothing is read or started here."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

from aletheia_like.capture.environment import MASK
from aletheia_like.model.records import Environment, GitState, RunRecord

_PYTHON = re.compile(r"(python|pypy)[\d.]*(\.exe)?", re.IGNORECASE)
_INSTEAD = "give the command after --, as in aletheia reproduce RUN -- python train.py"


class CannotError(Exception):
    """The run cannot be done again; the text says why, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where the code was, and where it is now.

    Attributes:
        before: Root of the working tree on the machine of the first run; None if not recorded.
        now: Root of the fresh working tree.
        subdirectory: Where the program starts, relative to either.
    """

    before: PurePath | None
    now: Path
    subdirectory: str = ""

    def moved(self, path: str) -> str:
        """Return an absolute path of the first working tree as one of the fresh one."""
        if self.before is None or not PurePath(path).is_relative_to(self.before):
            return path
        return str(self.now / PurePath(path).relative_to(self.before))


def check_record(record: RunRecord, *, as_committed: bool = False) -> str:
    """Return the commit of a run that can be done again.

    Args:
        record: The run.
        as_committed: Whether the commit will do if the tree had differences that nobody has.

    Raises:
        CannotError: It has not ended, or its code is not known.
    """
    if record.status not in ("finished", "failed"):
        message = f"it did not come to its own end: it is {record.status}"
        raise CannotError(message)
    git = record.git
    if git is None or git.commit is None:
        message = "it recorded no commit: it ran outside any git repository, or with git='off'"
        raise CannotError(message)
    if git.dirty and git.snapshot is None and not as_committed:
        message = (
            f"its tree differed from commit {git.commit[:12]} and the differences were not "
            "stored: --as-committed runs the commit as it is; git='snapshot' stores them"
        )
        raise CannotError(message)
    return git.commit


def check_command(around: Environment | None, given: Sequence[str]) -> tuple[str, ...]:
    """Return the command line to run, as it was recorded or as it is given.

    Raises:
        CannotError: None was recorded that could be started again.
    """
    if given:
        return tuple(given)
    recorded = around.command if around is not None else ()
    if around is None or not recorded:
        message = f"its command was not recorded: {_INSTEAD}"
        raise CannotError(message)
    if any("ipykernel" in one or "colab_kernel" in one for one in recorded) or (
        around.entry_point or ""
    ).endswith(".ipynb"):
        message = (
            f"it ran in a notebook ({around.entry_point or 'unnamed'}), which is no command: save "
            f"it as a script (jupyter nbconvert --to script), commit that, and {_INSTEAD}"
        )
        raise CannotError(message)
    if len(recorded) == 1 or "-" in recorded[1:2]:
        message = f"its program was typed in or read from a pipe, not from a file: {_INSTEAD}"
        raise CannotError(message)
    if any(MASK in one for one in recorded):
        message = f"its command held a secret, which is masked in the record: {_INSTEAD}"
        raise CannotError(message)
    return recorded


def checkout_of(git: GitState, around: Environment | None, now: Path) -> Checkout:
    """Return where the code was and is; older records name the root only by way of the folder."""
    if git.root is not None:
        return Checkout(PurePath(git.root), now, git.subdirectory)
    cwd = around.cwd if around is not None else None
    if cwd is None:
        return Checkout(None, now, git.subdirectory)
    below = len(PurePath(git.subdirectory).parts)
    path = PurePath(cwd)
    before = path.parents[below - 1] if below else path
    return Checkout(before, now, git.subdirectory)


def moved_command(
    command: Sequence[str], around: Environment | None, checkout: Checkout, python: Path
) -> list[str]:
    """Return a command with this machine's Python, and with the fresh working tree's paths.

    Args:
        command: As it was recorded or given.
        around: Where it ran.
        checkout: Where the code was and is.
        python: The interpreter to use.
    """
    first, *rest = command
    program = str(python) if _PYTHON.fullmatch(PurePath(first).name) else first
    cwd = around.cwd if around is not None else None
    outside = cwd is not None and checkout.moved(cwd) == cwd
    arguments = [_moved(one, checkout, cwd if outside else None) for one in rest]
    if arguments and around is not None and around.executable is not None:
        scripts = PurePath(around.executable).parent
        if PurePath(arguments[0]).parent == scripts:
            # The entry point of a package lies beside its interpreter, wherever that is now.
            arguments[0] = str(python.parent / PurePath(arguments[0]).name)
    return [program, *arguments]


def moved_search_path(
    present: str | None, packages: Mapping[str, Mapping[str, str]], checkout: Checkout
) -> list[str]:
    """Return the entries of `PYTHONPATH`: code of the first tree is looked for in the fresh one.

    Args:
        present: `PYTHONPATH` here.
        packages: The recorded packages; one that was installed out of the tree is found first.
        checkout: Where the code was and is.
    """
    entries = [checkout.moved(one) for one in (present or "").split(os.pathsep) if one]
    for package in packages.values():
        origin = local_origin(package)
        if origin is not None and checkout.moved(origin) != origin:
            folder = checkout.moved(origin)
            entries[:0] = [f"{folder}/src", folder]
    return list(dict.fromkeys(entries))


def local_origin(package: Mapping[str, str]) -> str | None:
    """Return the folder that a package was installed from, if it was one of the machine."""
    parts = urlsplit(package.get("from", ""))
    return unquote(parts.path) if parts.scheme == "file" else None


def requirements(
    packages: Mapping[str, Mapping[str, str]],
    checkout: Checkout,
    *,
    without: Sequence[str] = (),
    is_here: Callable[[str], bool] = os.path.exists,
) -> list[str]:
    """Return what pip has to install for the recorded packages.

    What was installed out of the working tree is found there instead.

    Args:
        packages: What was recorded.
        checkout: Where the code was and is.
        without: Names of packages to leave out.
        is_here: Whether this machine has a folder, too.

    Raises:
        CannotError: A package came from a folder that is not here.
    """
    lines = []
    for name, package in packages.items():
        origin = package.get("from", "")
        folder = local_origin(package)
        if name.lower() in without:
            continue
        if folder is not None and checkout.moved(folder) != folder:
            continue
        if folder is not None and is_here(folder):
            lines.append(f"{name} @ {origin}")
            continue
        if folder is not None and not folder.endswith((".whl", ".tar.gz")):
            message = (
                f"the package {name} was installed from {folder}, which is not here and which no "
                "index has: do it without --venv"
            )
            raise CannotError(message)
        scheme = urlsplit(origin).scheme
        if scheme in ("https", "http") and MASK not in origin and not folder:
            is_archive = origin.endswith((".whl", ".zip", ".tar.gz"))
            lines.append(f"{name} @ {origin}" if is_archive else f"{name} @ git+{origin}")
        else:
            lines.append(f"{name}=={package.get('version', '')}")
    return lines


def package_differences(
    recorded: Mapping[str, Mapping[str, str]], present: Mapping[str, Mapping[str, str]]
) -> list[tuple[str, str | None, str | None]]:
    """Return name, recorded and present version of each package that is not the same here.

    Packages that are here only are left out: the run did not have them.
    """
    known = {_normal(name): entry.get("version") for name, entry in present.items()}
    return [
        (name, entry.get("version"), known.get(_normal(name)))
        for name, entry in recorded.items()
        if entry.get("version") != known.get(_normal(name))
    ]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _moved(argument: str, checkout: Checkout, cwd: str | None) -> str:
    """Return an argument for the fresh tree: a path, or an option with one behind its `=`."""
    option, equals, value = argument.partition("=")
    if equals and option.startswith("-"):
        return f"{option}={checkout.moved(value)}"
    if cwd is not None and not argument.startswith("-"):
        # It was started from elsewhere, by a path that leads into the tree.
        absolute = os.path.normpath(PurePath(cwd) / argument)
        if checkout.moved(absolute) != absolute:
            return checkout.moved(absolute)
    return checkout.moved(argument)
