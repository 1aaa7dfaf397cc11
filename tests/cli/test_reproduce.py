"""A run of the example that is done again by the real command, in a real repository."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "descent.py"
RUN = "descent/slope/1"


@pytest.fixture
def environment(environment):
    """Variables of an empty embedded store, for git, and for a program far from this package."""
    who = {
        f"GIT_{name}_{what}": value
        for name in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
    }
    kept = {key: value for key, value in environment.items() if key != "ALETHEIA_GIT"}
    path = os.pathsep.join([str(EXAMPLE.parents[1]), *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, **who, "PYTHONPATH": path, "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture
def git(environment, tmp_path):
    """Ask git in the repository."""

    def ask(*arguments):
        done = subprocess.run(
            ["git", *arguments],
            cwd=tmp_path / "code",
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    return ask


@pytest.fixture
def code(git, tmp_path):
    """A repository with the example in its one commit."""
    root = tmp_path / "code"
    root.mkdir()
    shutil.copyfile(EXAMPLE, root / "descent.py")
    git("init", "--quiet", "--initial-branch=main")
    git("add", "--all")
    git("commit", "--quiet", "--message", "Add the example")
    return root


@pytest.fixture
def record(code, environment):
    """Run the example, as its user would."""

    def run(*arguments, program="descent.py", **variables):
        done = subprocess.run(
            [sys.executable, program, *arguments],
            cwd=code,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return run


def verdicts(found):
    return {one["name"]: one["verdict"] for one in found["outcomes"]}


def test_a_seeded_run_gives_the_same_and_leaves_the_checkout_alone(record, aletheia, code, git):
    record("--seed", "1")
    (code / "descent.py").write_text("raise SystemExit('the user goes on working')\n")
    before = [git(*words.split()) for words in ("status --porcelain", "log --all", "branch")]

    done = aletheia("reproduce", RUN, "--json", "--repo", code)

    assert done.code == 0, done.out + done.err
    assert (done.json["verdict"], done.json["again"]) == ("same", "2")
    assert set(verdicts(done.json).values()) == {"same"}
    assert {"metrics.slope", "rows.loss", "artifacts.line", "datasets.points"} <= set(
        verdicts(done.json)
    )
    after = [git(*words.split()) for words in ("status --porcelain", "log --all", "branch")]
    assert after == before
    assert len(git("worktree", "list").splitlines()) == 1
    assert "does again        slope/1" in aletheia("show", "descent/slope/2").out


def test_a_changed_seed_differs(record, aletheia, code):
    record("--seed", "1")
    command = ("--", "python", "descent.py", "--seed", "2")

    done = aletheia("reproduce", RUN, "--repo", code, *command)

    assert done.code == 6, done.out + done.err
    assert "metrics.slope" in done.out
    assert "hyper_params.seed" in done.out
    assert "differs" in done.out
    assert "artifacts.line" not in done.out


def test_an_unseeded_run_is_within_tolerance(record, aletheia, code):
    record()

    near = aletheia("reproduce", RUN, "--repo", code, "--rtol", "0.5", "--json")

    assert (near.code, near.json["verdict"]) == (8, "within tolerance"), near.out + near.err
    assert verdicts(near.json)["metrics.slope"] == "within tolerance"


def test_a_missing_commit_cannot_be_done_again(record, aletheia, code, git, tmp_path):
    git("remote", "add", "origin", "https://ada:secret@example.org/code.git")
    record("--seed", "1")
    commit = git("rev-parse", "HEAD").strip()
    other = tmp_path / "other"
    subprocess.run(["git", "init", "--quiet", other], check=True)

    done = aletheia("reproduce", RUN, "--repo", other)

    assert done.code == 9
    assert f"commit {commit} is not in {other}" in done.out
    assert f"git -C {other} fetch https://example.org/code.git main" in done.out
    assert "secret" not in done.out + done.err


def test_a_deleted_blob_cannot_be_done_again_and_is_told(record, aletheia, code, tmp_path):
    record("--seed", "1")
    whole = aletheia("verify", RUN)
    used = aletheia("show", RUN, "--json").json["datasets"]["points"]["digest"]
    for path in tmp_path.rglob(f"*{used}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    done = aletheia("reproduce", RUN, "--repo", code)
    verified = aletheia("verify", RUN, "--json")

    assert whole.code == 0, whole.out + whole.err
    assert done.code == 9
    assert "its data set points@0 cannot be had" in done.out
    assert verified.code == 6
    (problem,) = verified.json["problems"]
    assert (problem["what"], problem["kind"]) == ("data set points@0", "missing")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_it_ends_the_command_and_removes_the_working_tree(
    record, environment, code, git, tmp_path, number
):
    record("--seed", "1")
    noted = tmp_path / "noted"
    program = (
        f"import os, time; open({str(noted)!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    )
    command = [sys.executable, "-m", "aletheia_like", "reproduce", RUN, "--repo", code]
    process = subprocess.Popen(
        [*command, "--", "python", "-c", program], env=environment, cwd=tmp_path
    )
    wait_for(lambda: noted.exists() and noted.read_text())
    process.send_signal(number)

    code_ = process.wait(60)

    assert code_ == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert len(git("worktree", "list").splitlines()) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(noted.read_text()), 0)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_mistakes_have_the_usual_exit_codes(aletheia):
    assert aletheia("reproduce", "p/e/1").code == 3
    assert aletheia("reproduce", "p/e/1", "--rtol", "much").code == 2
