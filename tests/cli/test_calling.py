"""A call in the process of the tests is as good as the command in one of its own."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path

import pytest

from aletheia_like.cli import main
from aletheia_like.metastore import telling

RUN = r"p/which\/one/1"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["show", RUN],
        ["head", RUN, "--csv", "-c", "nothing"],
        ["ls", "p", "--json"],
        ["delete", RUN],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_call_prints_what_the_command_prints(aletheia, process, recorded, arguments):
    assert aletheia(*arguments) == process(*arguments)


def test_a_call_leaves_no_trace(aletheia):
    def state():
        streams = sys.stdin, sys.stdout, sys.stderr
        return dict(os.environ), Path.cwd(), streams, list(sys.argv), list(warnings.filters)

    before = state()
    aletheia("completion", "bash", _ALETHEIA_COMPLETE="bash_source", ALETHEIA_PROJECT="q")
    aletheia("reproduce", "p/e/1")

    assert state() == before


def test_a_call_sees_only_what_it_is_given(aletheia, monkeypatch):
    monkeypatch.setenv("ALETHEIA_PROJECT", "other")
    settings = aletheia("config", "--json", ALETHEIA_GIT="warn").json

    assert settings["project"]["value"] is None
    assert settings["git"] == {"value": "warn", "origin": "ALETHEIA_GIT"}
    assert aletheia("config", "--json").json["git"]["value"] == "off"


def test_each_call_is_warned_anew_and_on_stderr(aletheia, monkeypatch):
    def warned(*_):
        telling.warn_once("this is said once in a process")
        return 0

    monkeypatch.setattr(main.cli, "main", lambda **_: warned())
    said = [aletheia("ls").err for _ in range(2)]

    assert [one.count("UserWarning: this is said once") for one in said] == [1, 1]


def test_what_the_command_does_not_expect_fails_the_test(aletheia, monkeypatch):
    def fail(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(main.cli, "main", fail)

    with pytest.raises(ZeroDivisionError):
        aletheia("ls")


def test_reproduce_gives_back_how_the_process_is_ended(aletheia, recorded):
    before = signal.getsignal(signal.SIGTERM)
    done = aletheia("reproduce", RUN)

    assert done.code == 9
    assert signal.getsignal(signal.SIGTERM) is before
