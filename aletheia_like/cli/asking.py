"""Asking before something is lost."""

from __future__ import annotations

import sys

import click

from aletheia_like.cli.output import say

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
"""For verbs that `confirm`."""


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if the user agrees, by `--yes` or at the terminal.

    Raises:
        click.UsageError: There is nobody to ask.
        click.exceptions.Exit: The user declined.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        message = f"{question} Nobody is here to ask: give --yes"
        raise click.UsageError(message)
    if not click.confirm(question, err=True):
        say("nothing was changed")
        raise click.exceptions.Exit(1)
