"""What the shells offer when somebody presses Tab."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

import aletheia_like as al
from aletheia_like.cli import completing
from aletheia_like.cli.main import cli
from tests.cli.conftest import read_until

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture
def url(tmp_path):
    """Two experiments with odd names, an artifact in a repository, a data set."""
    url = (tmp_path / "store").as_uri()
    with al.Metastore("penguins", url=url, git="off") as ms:
        for name in ("which species", "a/b"):
            exper = ms.exper(name)
            for _ in range(2):
                with exper.start_run() as run:
                    run.add_artifact("weights", [1], handler="json")
        run.promote_artifact(ms.repository("models"), "weights")
        ms.add_dataset("table, comma", __file__)
    return url


@pytest.fixture
def offered(environment, url, monkeypatch):
    """Return what is offered for the last of some words, the others being complete."""
    for name, value in {**environment, "ALETHEIA_URL": url}.items():
        monkeypatch.setenv(name, value)

    def ask(*words, project="penguins", kind=ShellComplete, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        if project:
            monkeypatch.setenv("ALETHEIA_PROJECT", project)
        else:
            monkeypatch.delenv("ALETHEIA_PROJECT", raising=False)
        found = kind(cli, {}, "aletheia", completing.VARIABLE)
        return [one.value for one in found.get_completions(list(words[:-1]), words[-1])]

    return ask


def test_runs_and_experiments_are_offered(offered):
    assert offered("show", "which") == ["which species/2", "which species/1"]
    assert offered("show", "") == ["a\\/b/", "which species/"]
    assert offered("head", "wh") == ["which species"]
    assert offered("watch", "wh") == ["which species"]
    assert offered("show", "-p", "penguins", "a\\/b/", project=None) == ["a\\/b/2", "a\\/b/1"]
    assert offered("ls", "-p", "peng", project=None) == ["penguins"]
    assert offered("diff", "pen", project=None) == ["penguins/"]
    assert offered("diff", "penguins/wh", project=None) == [
        "penguins/which species/2",
        "penguins/which species/1",
    ]


def test_other_names_verbs_and_options_are_offered(offered):
    assert offered("artifact", "get", "-r", "models", "w") == ["weights"]
    assert offered("artifact", "ls", "--repo", "") == ["models"]
    assert offered("data", "get", "t") == ["table, comma"]
    # Its code would cut the name at the comma.
    assert offered("data", "get", "t", kind=completing.Fish) == []
    assert "columns" in offered("c")
    assert offered("show", "--lin") == ["--lineage"]


def test_what_goes_wrong_is_silent(offered, capsys):
    assert offered("show", "none/") == []
    assert offered("show", "none/none/") == []
    assert offered("show", "x/", ALETHEIA_URL="nonsense://x") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_is_answered_as_its_code_reads_it(process, url, shell):
    words = ["aletheia", "show", "which"]
    line = ("\n" if shell == "bash" else " ").join(words)
    out = process(
        ALETHEIA_URL=url,
        ALETHEIA_PROJECT="penguins",
        COMP_WORDS=line,
        COMP_CWORD="which" if shell == "fish" else "2",
        _ALETHEIA_COMPLETE=f"{shell}_complete",
    )

    assert (out.code, out.err) == (0, "")
    lines = out.out.splitlines()
    if shell == "zsh":
        assert lines[:2] == ["plain", "which species/2"]
    else:
        first = "which\\ species/2" if shell == "bash" else "which species/2"
        assert lines[0].partition("\t")[0] == f"plain,{first}"


@pytest.fixture
def shell_variables(url, environment, tmp_path):
    """What a shell needs so that `aletheia` is this package over the filled store."""
    script = tmp_path / "bin" / "aletheia"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m aletheia_like "$@"\n')
    script.chmod(0o755)
    return {
        **environment,
        "PATH": f"{script.parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(one for one in sys.path if one),
        "ALETHEIA_URL": url,
        "ALETHEIA_PROJECT": "penguins",
        "TERM": "dumb",
        "PS1": "ready> ",
        "HISTFILE": "",
    }


def program_of(shell):
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not here: apt-get install {shell}")
    return found


@pytest.mark.parametrize(
    ("options", "prepare"),
    [
        (["bash", "--norc", "--noprofile", "-i"], None),
        (["zsh", "-f", "-i"], b"autoload -Uz compinit; compinit -u -D\n"),
    ],
    ids=["bash", "zsh"],
)
def test_a_shell_completes_a_name_with_a_space(options, prepare, shell_variables, tmp_path):
    pty = pytest.importorskip("pty")
    program = program_of(options[0])
    child, descriptor = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execve(program, options, shell_variables)
    try:
        seen = read_until(descriptor, b"ready> ")
        if prepare is not None:
            os.write(descriptor, prepare)
            read_until(descriptor, b"ready> ")
        os.write(descriptor, b'eval "$(aletheia completion %s)"\n' % options[0].encode())
        read_until(descriptor, b"ready> ")
        os.write(descriptor, b"aletheia show whi\t")
        seen = read_until(descriptor, b"species/")
        os.write(descriptor, b"2 --json\n")
        seen = read_until(descriptor, b'"experiment": "which species"')
    finally:
        os.write(descriptor, b"\x03\nexit\n")
        with contextlib.suppress(OSError):
            while os.read(descriptor, 65_536):
                pass
        os.waitpid(child, 0)
        os.close(descriptor)

    assert b"Traceback" not in seen


def test_fish_completes_a_name_with_a_space(shell_variables, tmp_path):
    asked = 'aletheia completion fish | source; complete -C "aletheia show whi"'
    done = subprocess.run(
        [program_of("fish"), "--no-config", "-c", asked],
        env=shell_variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert {line.partition("\t")[0] for line in done.stdout.splitlines()} == {
        "which species/1",
        "which species/2",
    }
