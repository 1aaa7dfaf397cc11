"""What has to be run, decided from records alone."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import pytest

from aletheia_like.model.records import Environment, GitState, RunRecord
from aletheia_like.reproduce.planning import (
    CannotError,
    Checkout,
    check_command,
    check_record,
    checkout_of,
    moved_command,
    moved_search_path,
    package_differences,
    requirements,
)

HERE = Checkout(PurePath("/home/ada/code"), Path("/tmp/x/code"), "sub")
PYTHON = Path("/venv/bin/python3")


def around(*command, **fields):
    return Environment(command=command, **fields)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        (None, "not recorded"),
        (around("python", "-m", "ipykernel_launcher", "-f", "x.json"), "notebook"),
        (around("python", "x", entry_point="/home/ada/look.ipynb"), r"look\.ipynb"),
        (around("python"), "typed in"),
        (around("python", "-"), "typed in"),
        (around("python", "train.py", "--api-key=***"), "secret"),
    ],
)
def test_commands_that_cannot_be_started_again(environment, reason):
    with pytest.raises(CannotError, match=reason):
        check_command(environment, ())

    assert check_command(environment, ("python", "a.py")) == ("python", "a.py")


@pytest.mark.parametrize(
    ("git", "status", "reason"),
    [
        (None, "finished", "no commit"),
        (GitState(None), "finished", "no commit"),
        (GitState("a" * 40, dirty=True), "finished", "--as-committed"),
        (GitState("a" * 40), "lost", "lost"),
    ],
)
def test_records_that_cannot_be_done_again(git, status, reason):
    with pytest.raises(CannotError, match=reason):
        check_record(RunRecord("p", "e", "1", git=git, status=status))


def test_a_command_gets_this_python_and_the_fresh_tree():
    recorded = around("/usr/bin/python3.11", cwd="/home/ada/code/sub")
    command = ["python3.11", "train.py", "--out=/home/ada/code/out", "/home/ada/codex", "a=b"]

    moved = moved_command(command, recorded, HERE, PYTHON)

    assert moved == [str(PYTHON), "train.py", "--out=/tmp/x/code/out", "/home/ada/codex", "a=b"]


def test_a_program_that_was_started_from_elsewhere_is_found_in_the_tree():
    recorded = around("python", "code/train.py", "data", cwd="/home/ada")

    moved = moved_command(recorded.command, recorded, HERE, PYTHON)

    assert moved == [str(PYTHON), "/tmp/x/code/train.py", "data"]


def test_an_entry_point_lies_beside_its_interpreter():
    recorded = around("python", "/old/bin/train", executable="/old/bin/python")

    assert moved_command(recorded.command, recorded, HERE, PYTHON)[1] == "/venv/bin/train"


def test_the_root_of_older_records_follows_from_the_folder():
    now = Path("/tmp/x")

    found = checkout_of(GitState("a" * 40, subdirectory="a/b"), around(cwd="/c/a/b"), now)

    assert (found.before, found.now) == (PurePath("/c"), now)


def test_a_package_of_the_tree_is_looked_for_in_the_fresh_one():
    packages = {"mine": {"version": "1", "from": "file:///home/ada/code"}}

    found = moved_search_path(f"/home/ada/code/lib{os.pathsep}/other", packages, HERE)

    assert found == ["/tmp/x/code/src", "/tmp/x/code", "/tmp/x/code/lib", "/other"]


def test_requirements_are_exact_and_leave_the_tree_out():
    packages = {
        "mine": {"version": "1", "from": "file:///home/ada/code"},
        "numpy": {"version": "2.1.0"},
        "tool": {"version": "3", "from": "https://example.org/tool.git"},
        "aletheia-like": {"version": "0.1.0"},
    }

    found = requirements(packages, HERE, without=["aletheia-like"])

    assert found == ["numpy==2.1.0", "tool @ git+https://example.org/tool.git"]
    odd = {"odd": {"version": "1", "from": "file:///elsewhere"}}
    here = requirements(odd, HERE, is_here=lambda _: True)
    assert here == ["odd @ file:///elsewhere"]
    with pytest.raises(CannotError, match="/elsewhere"):
        requirements({"odd": {"from": "file:///elsewhere"}}, HERE)


def test_differences_of_packages_do_not_depend_on_how_names_are_written():
    recorded = {"My_Package": {"version": "1"}, "gone": {"version": "2"}, "a": {"version": "3"}}
    present = {"my-package": {"version": "1"}, "a": {"version": "4"}, "new": {"version": "5"}}

    assert package_differences(recorded, present) == [("gone", "2", None), ("a", "3", "4")]
