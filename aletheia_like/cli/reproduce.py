"""`aletheia reproduce` and `aletheia verify`: whether a run can be done again, and is whole."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from aletheia_like.capture.environment import mask
from aletheia_like.cli import completing
from aletheia_like.cli.naming import named_run
from aletheia_like.cli.output import (
    counted,
    print_fields,
    print_json,
    print_table,
    say,
    shown,
    store_options,
)
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.verifying import Verification
from aletheia_like.model.quantities import shown_bytes, shown_seconds
from aletheia_like.reproduce.again import Reproduction
from aletheia_like.reproduce.comparing import ATOL, RTOL, Bound

_EXIT_CODES = {"same": 0, "differs": 6, "within tolerance": 8, "cannot": 9}
_FAILED = 6
_TERMINATED = 143
_SHOWN = 20


@click.command(
    short_help="Do a run again, and compare.", context_settings={"ignore_unknown_options": False}
)
@click.argument("run", shell_complete=completing.runs)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--repo", type=click.Path(), help="A repository that has the commit.")
@click.option("--venv", is_flag=True, help="Install the recorded packages into a fresh place.")
@click.option("--strict", is_flag=True, help="Refuse if Python or a package differs.")
@click.option("--as-committed", is_flag=True, help="Do without differences nobody stored.")
@click.option("--rtol", multiple=True, metavar="[NAME=]X", help="Relative tolerance.")
@click.option("--atol", multiple=True, metavar="[NAME=]X", help="Absolute tolerance.")
@click.option("--ignore", multiple=True, metavar="NAME", help="What does not count; with *.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="An environment variable.")
@click.option("--timeout", type=float, metavar="SECONDS", help="How long the command may take.")
@click.option("--keep", is_flag=True, help="Leave the working tree, and say where it is.")
@click.option("--dry-run", is_flag=True, help="Look whether everything is there; run nothing.")
@click.option("--quiet", is_flag=True, help="Do not show what the command prints.")
@click.option("--all", "everything", is_flag=True, help="Show what is the same too.")
@store_options
def reproduce(
    run: str,
    command: tuple[str, ...],
    *,
    repo: str | None,
    rtol: tuple[str, ...],
    atol: tuple[str, ...],
    env: tuple[str, ...],
    quiet: bool,
    everything: bool,
    project: str | None,
    url: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Do a run again from its commit, data sets and command, and compare what comes of it.

    It runs the command that was recorded, or the one after `--`, in a fresh working tree. Exit
    code 0: the same, 8: within tolerance, 6: it differs, 9: it cannot be done again.

    Example: aletheia reproduce "which species/1" --rtol metrics.accuracy=0.01
    """
    name, id_ = named_run(run, project)
    options |= {"rtol": _bounds(rtol, RTOL), "atol": _bounds(atol, ATOL)}
    variables = dict(_variable(one) for one in env)
    with _ending_all(), Metastore(name.project, url=url, git="off") as ms:
        found = ms.reproduce(
            ms.experiment(name.experiment).run(id_),
            repo=repo,
            command=command,
            variables=variables,
            show=None if quiet else _show,
            **options,
        )
    if as_json:
        print_json(_told(found))
    else:
        _print(found, everything=everything)
    if found.verdict is not None:
        sys.exit(_EXIT_CODES[found.verdict])


@click.command(short_help="Hash everything a run refers to.")
@click.argument("run", shell_complete=completing.runs)
@click.option("--workers", default=8, show_default=True, help="Blobs that are read at once.")
@store_options
def verify(run: str, *, workers: int, project: str | None, url: str | None, as_json: bool) -> None:
    """Read and hash everything a run refers to, in the store; exit code 6 if something is wrong.

    Its artifacts and data sets with all their files, files and long values in its rows, and what
    was captured of its code, packages and console.

    Example: aletheia verify "which species/1"
    """
    name, id_ = named_run(run, project)
    with Metastore(name.project, url=url, git="off") as ms:
        found = ms.experiment(name.experiment).run(id_).verify(workers=workers)
    if as_json:
        print_json({"ok": found.ok, **_fields_of(found)})
    else:
        _print_verified(found)
    if not found.ok:
        sys.exit(_FAILED)


@contextlib.contextmanager
def _ending_all() -> Iterator[None]:
    """Let whoever ends this end the command, too, so that the working tree goes."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _bounds(given: Sequence[str], default: float) -> Bound:
    """Return a tolerance from `X` and `NAME=X`; the names go before what holds for all."""
    named: dict[str, float] = {}
    general = default
    for one in given:
        name, _, number = one.rpartition("=")
        try:
            value = float(number)
        except ValueError as error:
            message = f"{one!r} is no tolerance: write a number, or NAME=NUMBER"
            raise InvalidValueError(message) from error
        if name:
            named[name] = value
        else:
            general = value
    return {**named, "*": general} if named else general


def _variable(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not name or not found:
        message = f"{text!r} is no environment variable: write NAME=VALUE"
        raise InvalidValueError(message)
    return name, value


def _show(data: bytes) -> None:
    """Pass on what the command prints; standard output is for the answer."""
    sys.stderr.flush()
    os.write(sys.stderr.fileno(), data)


def _told(found: Reproduction) -> Mapping[str, Any]:
    names = ("run", "verdict", "reason", "again", "commit", "command", "exit_code", "seconds")
    return {
        **{name: getattr(found, name) for name in names},
        "folder": found.folder,
        "notes": found.notes,
        "environment": [
            {"name": name, "recorded": before, "present": now}
            for name, before, now in found.environment
        ],
        "outcomes": found.outcomes,
        "output": mask(found.output),
    }


def _print(found: Reproduction, *, everything: bool) -> None:
    print_fields(
        {
            "run": found.run,
            "again": found.again,
            "commit": found.commit,
            "command": found.command,
            "took": shown_seconds(found.seconds),
            "kept in": found.folder,
        }
    )
    if found.environment:
        click.echo(f"\nnot as recorded: {counted(len(found.environment), 'thing')}")
        rows = [dict(zip(("name", "was", "is"), one, strict=True)) for one in found.environment]
        first = rows if everything else rows[:_SHOWN]
        print_table(first, {"name": "", "was": "recorded", "is": "here"})
        if len(first) < len(rows):
            say(f"and {len(rows) - len(first)} more: --all shows them")
    chosen = found.outcomes if everything else found.differences
    if chosen:
        click.echo()
        rows = [
            {"name": one.name, "first": first, "again": again, "is": one.verdict}
            for one in chosen
            for first, again in [_told_apart(one.first, one.again)]
        ]
        print_table(rows, {"name": "", "first": "first", "again": "again", "is": ""})
    for note in found.notes:
        say(f"note: {note}")
    if found.output and found.verdict == "cannot":
        say(f"the command printed:\n{mask(found.output).rstrip()}")
    same = sum(one.verdict == "same" for one in found.outcomes)
    count = f" ({same} of {len(found.outcomes)} the same)" if found.outcomes else ""
    reason = f": {found.reason}" if found.reason else count
    click.echo(
        f"\n{found.verdict or 'it can be tried: everything that was recorded is here'}{reason}"
    )


def _told_apart(first: Any, again: Any) -> tuple[Any, Any]:
    """Return two values with as many digits as it takes to see the difference."""
    if first != again and shown(first) == shown(again):
        return repr(first), repr(again)
    return first, again


def _fields_of(found: Verification) -> Mapping[str, Any]:
    return {
        "run": found.subject,
        "blobs": found.blobs,
        "size": found.size,
        "noted": found.noted,
        "problems": found.problems,
    }


def _print_verified(found: Verification) -> None:
    if found.problems:
        rows = [
            {"what": one.what, "kind": one.kind, "detail": one.detail} for one in found.problems
        ]
        print_table(rows, {"what": "what", "kind": "", "detail": ""})
    if found.noted:
        say(f"recorded without their bytes: {', '.join(found.noted)}")
    wrong = counted(len(found.problems), "problem")
    say(f"{counted(found.blobs, 'blob')} hashed, {shown_bytes(found.size)}, {wrong}")
