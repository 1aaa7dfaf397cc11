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
from aletheia_like.errors import UnavailableError

_NAMES = (
    "FIRESTORE_EMULATOR_HOST",
    "STORAGE_EMULATOR_HOST",
    "GOOGLE_CLOUD_PROJECT",
    "ALETHEIA_BLOBS",
)


@click.group()
def emulator() -> None:
    """Run the Firestore emulator and fake-gcs-server; they are always stopped."""


@emulator.command()
def start() -> None:
    """Run both servers until Ctrl-C; print the variables that lead clients to them."""
    from aletheia_like.testing.emulators import running_emulators

    signal.signal(signal.SIGTERM, _end)
    with running_emulators() as environment:
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
    """Print the variables of this shell's emulators; exit code 7 if there are none."""
    found = {name: os.environ[name] for name in _NAMES if os.environ.get(name)}
    if "FIRESTORE_EMULATOR_HOST" not in found:
        message = "no emulator in this shell: `aletheia emulator start` prints what to set"
        raise UnavailableError(message)
    if as_json:
        print_json(found)
    else:
        _print_environment(found)


@emulator.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(command: tuple[str, ...]) -> None:
    """Run COMMAND with both servers; its exit code is passed on.

    Example: aletheia emulator exec -- pytest
    """
    from aletheia_like.testing.emulators import running_emulators

    signal.signal(signal.SIGTERM, _end)
    with running_emulators() as environment:
        try:
            process = subprocess.Popen(command, env={**os.environ, **environment})
        except OSError as error:
            message = f"cannot run {command[0]!r}: {error.strerror}"
            raise click.UsageError(message) from error
        status = _wait(process)
    sys.exit(status if status >= 0 else 128 - status)


@emulator.command()
def install() -> None:
    """Download the Firestore emulator, once, and print where it is."""
    from aletheia_like.testing.emulators import install_firestore_jar

    click.echo(install_firestore_jar())


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the command; an interruption is the command's to handle, then ours."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
        except SystemExit:
            process.terminate()
            process.wait()
            raise


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(128 + number)


def _print_environment(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    sys.stdout.flush()
