"""`aletheia demo`: the quickstart example, from data set to leaderboard."""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
from importlib.resources import as_file, files
from pathlib import Path

import click

from aletheia_like.cli.output import print_json, say
from aletheia_like.connect import Metastore
from aletheia_like.errors import MissingExtraError, NotFoundError

_PROJECT, _EXPERIMENT, _FOLDS = "penguins", "which species", 5


@click.command(short_help="Record an example, from data set to leaderboard.")
@click.option("-p", "--project", hidden=True, help="Ignored: the example names its own.")
@click.option("--url", help="The store; else from the settings.")
@click.option("--json", "as_json", is_flag=True, help="Print the leaderboard as JSON.")
def demo(*, project: str | None, url: str | None, as_json: bool) -> None:
    """Record five-fold cross-validation on the Palmer penguins and print the leaderboard.

    Example: aletheia emulator exec -- aletheia demo
    """
    del project
    if url is not None:
        os.environ["ALETHEIA_URL"] = url
    # Whoever tries the demo has not asked for their own working tree to be judged.
    os.environ.setdefault("ALETHEIA_GIT", "warn")
    # What the example prints is for people.
    chatter = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    try:
        with chatter:
            runpy.run_path(str(_script()), run_name="__main__")
    except ImportError as error:
        if error.name in ("sklearn", "palmerpenguins"):
            message = f"the demo needs {error.name}: pip install 'aletheia-like[examples]'"
            raise MissingExtraError(message) from error
        raise
    if as_json:
        with Metastore(_PROJECT, git="off") as ms:
            print_json(ms.experiment(_EXPERIMENT).results().to_dicts()[-_FOLDS:])
    say('look around: aletheia ls penguins; aletheia show "penguins/which species/1"; aletheia ui')


def _script() -> Path:
    """Return the example: inside the installed package, or beside it in a checkout."""
    with as_file(files("aletheia_like")) as package:
        for path in (
            package / "cli" / "_quickstart.py",
            package.parent / "examples/quickstart.py",
        ):
            if path.is_file():
                return path
    message = "the example is not installed: reinstall aletheia-like, or use a checkout"
    raise NotFoundError(message)
