"""Every verb looks and behaves like the others."""

from __future__ import annotations

import re

import click
import pytest

import aletheia_like as al
from aletheia_like.cli.main import cli
from aletheia_like.cli.output import harmless
from tests.cli.conftest import without_colours

# They ask no store, or more than one.
_WITHOUT_A_STORE = {
    "completion",
    "copy",
    "emulator env",
    "emulator exec",
    "emulator install",
    "emulator start",
    "version",
}


def commands(group, before=""):
    context = click.Context(cli)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield pytest.param(before + name, command, id=before + name)


def options_of(command):
    return {name for one in command.params if isinstance(one, click.Option) for name in one.opts}


@pytest.mark.parametrize(("name", "command"), list(commands(cli)))
def test_every_verb_has_an_example_and_the_usual_options(name, command):  # C12
    given = options_of(command)

    # `series gc` is `gc` by another name.
    shown = "gc" if name == "series gc" else name
    assert re.search(r"Examples?: .*aletheia " + shown, command.help.replace("\n", " "))
    if name not in _WITHOUT_A_STORE:
        assert given >= {"--project", "-p", "--url", "--json"}
    if "--yes" in given:
        assert "-y" in given
        # What `get` may overwrite is a file of this machine.
        assert "--dry-run" in given or name == "get"
    for one in command.params:
        assert not isinstance(one, click.Option) or one.help, one.opts


def test_what_others_named_does_not_reach_the_terminal_as_commands():
    assert harmless("a\x1b[31mb\r\x07c\nd") == "a·[31mb··c\nd"


def test_hostile_names_are_printed_harmlessly(aletheia, tmp_path):
    url = (tmp_path / "store").as_uri()
    with al.Metastore("p", url=url, git="off") as ms:
        with ms.exper("e").start_run() as run:
            run.desc = "d\x1b]0;title\x07"
        ms.exper("e").desc = "d\x1b[2J"
    for verb in (["ls", "p"], ["show", "p/e/1"]):
        told = aletheia(*verb, "--url", url)

        assert (told.code, "\x1b" in told.out, "·" in told.out) == (0, False, True)


def test_tables_fit_the_terminal_and_colours_can_be_declined(several, tmp_path):
    url = (tmp_path / "store").as_uri()
    ms = al.Metastore("p", url=url, git="off")
    with ms, ms.exper("an experiment with a long name").start_run(name="w" * 60) as run:
        run.add_metrics({f"metric number {number}": number / 7 for number in range(9)})
        run.add_artifact("weights", "one\n", handler="text")
        run.add_artifact("weights", "two\n", handler="text")
    name = "an experiment with a long name"
    changes = ["artifact", "diff", "weights", "0", "1", "-p", "p", "--url", url, "-e", name]
    shown, colourful = several(60, ["ls", f"p/{name}", "--url", url], changes, raw=True)
    (plain,) = several(60, changes, raw=True, NO_COLOR="1")

    assert shown.code == 0
    assert max(map(len, without_colours(shown.out).splitlines())) <= 60
    assert ("\x1b[" in colourful.out, "\x1b[" in plain.out) == (True, False)
