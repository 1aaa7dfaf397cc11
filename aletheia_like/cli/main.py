"""The command `aletheia`: verbs are loaded when they are called, errors become exit codes.

0 ok, 1 failure, 2 usage, 3 not found, 4 dirty tree, 5 conflict, 6 verification failed,
7 store unavailable, or access to it denied; of `reproduce` also 8 within tolerance, 9 cannot
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from aletheia_like import errors

_VERBS: Mapping[str, str] = {
    "artifact": "aletheia_like.cli.artifact:artifact",
    "asset": "aletheia_like.cli.asset:asset",
    "cache": "aletheia_like.cli.cache:cache",
    "columns": "aletheia_like.cli.columns:columns",
    "completion": "aletheia_like.cli.settings:completion",
    "config": "aletheia_like.cli.settings:config",
    "copy": "aletheia_like.cli.transfer:copy",
    "cost": "aletheia_like.cli.cost:cost",
    "data": "aletheia_like.cli.data:data",
    "delete": "aletheia_like.cli.deletion:delete",
    "demo": "aletheia_like.cli.demo:demo",
    "diff": "aletheia_like.cli.diff:diff",
    "doctor": "aletheia_like.cli.doctor:doctor",
    "emulator": "aletheia_like.cli.emulator:emulator",
    "export": "aletheia_like.cli.transfer:export",
    "gc": "aletheia_like.cli.collection:gc",
    "get": "aletheia_like.cli.change:get",
    "head": "aletheia_like.cli.rows:head",
    "import": "aletheia_like.cli.transfer:import_",
    "latest": "aletheia_like.cli.rows:latest",
    "ls": "aletheia_like.cli.browse:ls",
    "plot": "aletheia_like.cli.plot:plot",
    "pull": "aletheia_like.cli.transfer:pull",
    "push": "aletheia_like.cli.transfer:push",
    "reproduce": "aletheia_like.cli.reproduce:reproduce",
    "restore": "aletheia_like.cli.deletion:restore",
    "series": "aletheia_like.cli.series:series",
    "set": "aletheia_like.cli.change:set_",
    "show": "aletheia_like.cli.browse:show",
    "sql": "aletheia_like.cli.sql:sql",
    "stats": "aletheia_like.cli.rows:stats",
    "sync": "aletheia_like.cli.sync:sync",
    "tail": "aletheia_like.cli.rows:tail",
    "top": "aletheia_like.cli.top:top",
    "ui": "aletheia_like.cli.ui:ui",
    "verify": "aletheia_like.cli.reproduce:verify",
    "version": "aletheia_like.cli.settings:version",
    "watch": "aletheia_like.cli.watch:watch",
}

_OTHER_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("runs", "list", "search", "find", "query", "experiments"), "ls"),
    **dict.fromkeys(("rm", "remove"), "delete"),
    "compare": "diff",
    "download": "get",
    "info": "show",
    "status": "top",
}
"""What other programs call a verb."""

_EXIT_CODES: Sequence[tuple[type[Exception], int]] = (
    (errors.NotFoundError, 3),
    (errors.DirtyTreeError, 4),
    (errors.ConflictError, 5),
    (errors.AlreadyExistsError, 5),
    (errors.IntegrityError, 6),
    (errors.UnavailableError, 7),
    (errors.AccessDeniedError, 7),
    (errors.SettingsError, 2),
    (errors.InvalidValueError, 2),
)
_INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose verbs are imported only when they are called or asked for help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs."""
        del ctx
        return sorted(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb."""
        del ctx
        if cmd_name not in _VERBS:
            return None
        module, _, name = _VERBS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        return command if isinstance(command, click.Command) else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Say of an option before the verb that its place is behind it."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            told = error.format_message()
            message = f"{told} Options of a verb stand behind it: `aletheia ls -p PROJECT`"
            raise click.UsageError(message, ctx) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a verb; of one that is not there, say which may be meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            word = args[0]
            other = _OTHER_WORDS.get(word)
            meant = [other] if other else difflib.get_close_matches(word, _VERBS)
            hint = f" Did you mean {' or '.join(map(repr, meant))}?" if meant else ""
            message = f"No such command {word!r}.{hint}"
            raise click.UsageError(message, ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; that its reader stopped early is no error, though click takes it for one."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            _write_no_more()
            raise click.exceptions.Exit(0) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(
    package_name="aletheia-like", message="%(version)s", help="Print the version."
)
@click.pass_context
def cli(context: click.Context, *, debug: bool) -> None:
    """Experiments, runs, artifacts and data sets, in Firestore or on this machine.

    A run is named EXPERIMENT/RUN or PROJECT/EXPERIMENT/RUN.
    """
    context.obj = {"debug": debug}
    if os.environ.get("NO_COLOR"):
        context.color = False


def _write_no_more() -> None:
    """The reader has seen enough; a second failure while closing would print a traceback."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def exit_code(error: Exception) -> int:
    """Return the exit code that tells scripts what kind of error it was."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit."""
    if "_ALETHEIA_COMPLETE" in os.environ:
        from aletheia_like.cli.completing import install

        install()
    try:
        status: Any = cli.main(args=arguments, prog_name="aletheia", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        sys.exit(_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        _write_no_more()
        sys.exit(0)
    except errors.AletheiaError as error:
        if "--debug" in (arguments or sys.argv) or os.environ.get("ALETHEIA_DEBUG"):
            traceback.print_exc()
        click.echo(f"aletheia: {error}", err=True)
        sys.exit(exit_code(error))
    sys.exit(status if isinstance(status, int) else 0)
