"""`aletheia config`, `version` and `completion`."""

from __future__ import annotations

import click

from aletheia_like.cli.output import print_json, print_table, store_options


@click.command()
@store_options
def config(*, project: str | None, url: str | None, as_json: bool) -> None:
    """Show every setting, its value, and where it came from.

    Example: aletheia config -p penguins
    """
    from aletheia_like.cli.browse import UNNAMED
    from aletheia_like.errors import SettingsError
    from aletheia_like.settings import load_settings

    missing: set[str] = set()
    try:
        settings = load_settings(project=project, url=url)
    except SettingsError as error:
        if project is not None or "no project is named" not in str(error):
            raise
        settings = load_settings(project=UNNAMED, url=url)
        click.echo(f"aletheia: {error}", err=True)
        missing = {"project"}
        # A database of Firestore may be called like the project.
        missing |= {"url"} if f"://{UNNAMED}/" in settings.url and url is None else set()
    rows = [
        {"setting": name, "value": None, "origin": "not set"}
        if name in missing
        else {"setting": name, "value": value, "origin": origin}
        for name, value, origin in settings.items()
    ]
    if as_json:
        print_json(
            {row["setting"]: {"value": row["value"], "origin": row["origin"]} for row in rows}
        )
    else:
        print_table(rows, {"setting": "setting", "value": "value", "origin": "from"})


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def version(*, as_json: bool) -> None:
    """Print the version.

    Example: aletheia version --json
    """
    from aletheia_like.version import __version__

    if as_json:
        print_json({"version": __version__})
    else:
        click.echo(__version__)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the code that completes this command in a shell.

    Example: eval "$(aletheia completion bash)"
    """
    from click.shell_completion import get_completion_class

    from aletheia_like.cli.completing import VARIABLE, install
    from aletheia_like.cli.main import cli

    install()
    found = get_completion_class(shell)
    if found is None:
        message = f"no completion for {shell}"
        raise click.UsageError(message)
    click.echo(found(cli, {}, "aletheia", VARIABLE).source())
