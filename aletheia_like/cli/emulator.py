"""`aletheia emulator`: both servers for a command, for a terminal, or for as long as wanted."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from types import FrameType

import click

from aletheia_like.cli.output import print_json, say
from aletheia_like.errors import NotFoundError, UnavailableError

_NAMES = (
    "FIRESTORE_EMULATOR_HOST",
    "STORAGE_EMULATOR_HOST",
    "GOOGLE_CLOUD_PROJECT",
    "ALETHEIA_BLOBS",
)
_NOT_FOUND = 127
_NOT_RUNNABLE = 126


@click.group(short_help="Run the emulators for a command, or for long.")
def emulator() -> None:
    """Run the Firestore emulator and fake-gcs-server; they are always stopped."""


@emulator.command()
def start() -> None:
    """Run both servers until Ctrl-C; print the variables that lead clients to them.

    In another terminal: eval "$(aletheia emulator env)"

    Example: aletheia emulator start
    """
    from aletheia_like.testing.emulators import announced, running_emulators

    _Relay().install()
    with running_emulators() as environment, announced(environment):
        _print_environment(environment)
        say("running; Ctrl-C stops both")
        try:
            while True:
                signal.pause()
        except KeyboardInterrupt:
            say("stopped")


@emulator.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def env(*, as_json: bool) -> None:
    """Print the variables of running emulators; exit code 7 if there are none.

    Those of this shell, else those of `aletheia emulator start`.

    Example: eval "$(aletheia emulator env)"
    """
    from aletheia_like.testing.emulators import announced_environment, answering

    here = {name: os.environ[name] for name in _NAMES if os.environ.get(name)}
    is_here = "FIRESTORE_EMULATOR_HOST" in here
    found = here if is_here and answering(here) else announced_environment()
    if found is None and is_here:
        given = here["FIRESTORE_EMULATOR_HOST"]
        message = f"nothing answers at FIRESTORE_EMULATOR_HOST={given}: unset it, or start it"
        raise UnavailableError(message)
    if found is None:
        message = "no emulator is running: start one by `aletheia emulator start`"
        raise UnavailableError(message)
    if as_json:
        print_json(found)
    else:
        _print_environment(found)


@emulator.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(command: tuple[str, ...]) -> None:
    """Run COMMAND with both servers; signals and its exit code are passed on.

    Example: aletheia emulator exec -- pytest
    """
    from aletheia_like.testing.emulators import running_emulators, variables_of_classes

    relay = _Relay()
    relay.install()
    with running_emulators() as environment:
        status = relay.run(command, os.environ | environment | variables_of_classes())
    sys.exit(status)


@emulator.command()
def install() -> None:
    """Download the Firestore emulator unless it is found, and print where it is.

    Example: aletheia emulator install
    """
    from aletheia_like.testing.emulators import (
        JAR_BYTES,
        find_firestore_jar,
        install_firestore_jar,
    )

    try:
        click.echo(find_firestore_jar())
    except NotFoundError:
        label = "Firestore emulator"
        with click.progressbar(length=JAR_BYTES, label=label, file=sys.stderr) as bar:
            path = install_firestore_jar(progress=bar.update)
        click.echo(path)


class _Relay:
    """Passes signals on to a command; while there is none, they end this process in order."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = False
        self._early: list[int] = []

    def install(self) -> None:
        """Handle the signals that ask to end."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._handle)

    def run(self, command: tuple[str, ...], environment: Mapping[str, str]) -> int:
        """Run the command and return its exit code, as a shell would.

        Raises:
            KeyboardInterrupt: Ctrl-C came before the command had started.
        """
        signal.signal(signal.SIGINT, self._handle)
        self._starting = True
        try:
            self._process = subprocess.Popen(command, env=dict(environment))
        except OSError as error:
            say(f"aletheia: cannot run {command[0]!r}: {error.strerror}")
            return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUNNABLE
        finally:
            self._starting = False
        for number in self._early:
            self._process.send_signal(number)
        status = self._process.wait()
        self._process = None
        return status if status >= 0 else 128 - status

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGINT and _has_terminal():
            # The terminal has told the command itself.
            return
        if self._process is not None:
            self._process.send_signal(number)
        elif self._starting:
            self._early.append(number)
        else:
            sys.exit(128 + number)


def _has_terminal() -> bool:
    """Whether Ctrl-C reaches every process of our group."""
    try:
        terminal = os.open(os.ctermid(), os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _print_environment(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    sys.stdout.flush()
