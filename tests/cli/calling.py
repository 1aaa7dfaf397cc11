"""The command in the process of the tests: as in one of its own, without starting Python anew.

What a process has of its own is given to each call and taken back: arguments, variables, the
folder, the standard streams, warnings, and what this process was given of the cache.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import aletheia_like
from aletheia_like.cache.leases import lease_on
from aletheia_like.cli.main import main
from aletheia_like.metastore import telling
from aletheia_like.metastore.ending import Terminator

_MAIN = str(Path(aletheia_like.__file__).with_name("__main__.py"))
_IGNORED = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def call(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Outcome:
    """Run the command with exactly these variables in a folder; nothing is on its stdin.

    Raises:
        Exception: What the command did not turn into an exit code.
    """
    telling.forget()
    before = _found_and_left()
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        _environment(environment),
        contextlib.chdir(folder),
        _streams(out, err),
        _warnings_of_a_program(),
    ):
        code = _exit_code(arguments)
        assert Path.cwd() == folder.resolve()
        told, said = _text(out), _text(err)
    assert _found_and_left() == before
    if "ALETHEIA_CACHE_DIR" in environment:
        # The system takes back what was given to a process that ends.
        lease_on(Path(environment["ALETHEIA_CACHE_DIR"])).release()
    return Outcome(code, told, said)


def _exit_code(arguments: Sequence[str]) -> int:
    before, sys.argv = sys.argv, [_MAIN, *arguments]
    try:
        main()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    finally:
        sys.argv = before
        sys.stdout.flush()
        sys.stderr.flush()


def _found_and_left() -> Any:
    """Return what a command is to leave as it was."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    if isinstance(handlers[signal.SIGTERM], Terminator):
        # A metastore that records runs watches the end of its process, for good.
        handlers[signal.SIGTERM] = signal.SIG_DFL
    return handlers, list(logging.getLogger().handlers), logging.getLogger().level


@contextlib.contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    _become(wanted)
    try:
        yield
    finally:
        _become(before)


def _become(wanted: Mapping[str, str]) -> None:
    """Change no more variables than differ: other threads may be reading them."""
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


@contextlib.contextmanager
def _streams(out: IO[bytes], err: IO[bytes]) -> Iterator[None]:
    """Let the standard streams be files, buffered as those of a process."""
    before = sys.stdin, sys.stdout, sys.stderr
    with (
        Path(os.devnull).open(encoding="utf-8") as stdin,
        os.fdopen(os.dup(out.fileno()), "w", encoding="utf-8") as stdout,
        os.fdopen(os.dup(err.fileno()), "w", 1, "utf-8", "backslashreplace") as stderr,
    ):
        sys.stdin, sys.stdout, sys.stderr = stdin, stdout, stderr
        try:
            yield
        finally:
            sys.stdin, sys.stdout, sys.stderr = before


def _text(written: IO[bytes]) -> str:
    """Return what was written, with the ends of lines as `subprocess` gives them."""
    written.seek(0)
    return written.read().decode().replace("\r\n", "\n").replace("\r", "\n")


@contextlib.contextmanager
def _warnings_of_a_program() -> Iterator[None]:
    """Print warnings as Python does, instead of collecting them for the report of the tests."""

    def show(message, category, filename, lineno, file=None, line=None):
        del file
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))

    with warnings.catch_warnings():
        warnings.resetwarnings()
        for kind in _IGNORED:
            warnings.simplefilter("ignore", kind)
        warnings.showwarning = show
        yield
