"""What git says about the code decides whether a run starts."""  # R10 R11 R13 R16 R17

from __future__ import annotations

import subprocess
import warnings

import pytest

import aletheia_like as al


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit; the current folder."""
    root = tmp_path / "code"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setattr("aletheia_like.capture.git._usual_starts", lambda: [root])
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.org")
    (root / "train.py").write_text("print(1)\n")
    for command in ("init -q -b main", "add -A", "commit -q -m first"):
        subprocess.run(["git", *command.split()], check=True, cwd=root)
    return root


@pytest.fixture
def open_code_ms(open_ms):
    return lambda **options: open_ms(**{"git": None, **options})


def test_a_clean_commit_is_recorded(repository, open_code_ms):
    with open_code_ms().exper("e").start_run() as run:
        pass

    git = open_code_ms().experiment("e").run(1).git
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert git.commit == head.stdout.strip()
    assert (git.branch, git.dirty) == ("main", False)
    assert run.environment.command


def test_a_run_has_everything_that_the_seed_lists(repository, open_code_ms, tmp_path):  # A21
    (tmp_path / "raw.csv").write_text("1")
    (tmp_path / "clean.csv").write_text("2")
    ms = open_code_ms()
    raw = ms.add_dataset("raw", tmp_path / "raw.csv")
    ms.add_dataset("clean", tmp_path / "clean.csv", source=raw, partitions={"0": "*"})
    with ms.exper("e").start_run(fold=0) as run:
        run.set_model("resnet", desc="small", version=2, project="vision")
        run.get_dataset("clean", partition="0")
        run.log_dir, run.saved_model, run.desc = tmp_path / "logs", "model.pt", "first"
        run.res = {"accuracy": 0.9}

    other = open_code_ms()
    read = other.experiment("e").run(run.id)
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert read.git.commit == head.stdout.strip()
    assert (read.fold, read.model.name, read.model.project) == (0, "resnet", "vision")
    assert (read.log_dir, read.saved_model, read.desc) == (
        str(tmp_path / "logs"),
        "model.pt",
        "first",
    )
    assert read.res == {"accuracy": 0.9}
    assert read.started_at <= read.ended_at
    assert [(use.name, use.partition) for use in read.datasets.values()] == [("clean", "0")]
    source = other.get_dataset("clean").source
    assert source["parents"] == [{"dataset": "raw", "version": 0, "digest": raw.digest}]
    assert source["code"]["commit"] == read.git.commit


def test_a_dirty_tree_is_refused_before_anything_is_written(repository, open_code_ms):
    ms = open_code_ms()
    exper = ms.exper("e")
    (repository / "train.py").write_text("print(2)\n")
    before = ms.usage

    with pytest.raises(al.DirtyTreeError, match=r"train\.py") as refused:
        exper.start_run()

    assert refused.value.files == ("train.py",)
    assert "snapshot" in str(refused.value)
    used = ms.usage - before
    assert (used.document_writes, used.blob_writes) == (0, 0)
    assert len(exper.runs()) == 0


def test_a_snapshot_rebuilds_the_tree(repository, open_code_ms, tmp_path):
    from aletheia_like.capture.git_snapshot import apply_snapshot

    (repository / "train.py").write_text("print(2)\n")
    (repository / "new.py").write_text("new\n")
    ms = open_code_ms(git="snapshot")
    with ms.exper("e").start_run() as run:
        pass

    git = open_code_ms().experiment("e").run(run.id).git
    assert (git.dirty, git.files) == (True, ("new.py", "train.py"))
    target = tmp_path / "rebuilt"
    subprocess.run(["git", "clone", "-q", repository, target], check=True)
    apply_snapshot(ms.cache.fetch(git.snapshot).read_bytes(), target)
    assert (target / "train.py").read_text() == "print(2)\n"
    assert (target / "new.py").read_text() == "new\n"


def test_a_clean_tree_needs_no_snapshot(repository, open_code_ms):
    run = open_code_ms(git="snapshot").exper("e").start_run()

    assert run.git.snapshot is None


def test_warn_warns_and_records(repository, open_code_ms):
    (repository / "train.py").write_text("print(2)\n")
    exper = open_code_ms().exper("e")

    with pytest.warns(UserWarning, match=r"train\.py"):
        run = exper.start_run(git="warn")
    assert run.git.dirty


def test_off_asks_nothing(repository, open_code_ms):
    (repository / "train.py").write_text("print(2)\n")

    assert open_code_ms(git="off").exper("e").start_run().git is None


def test_a_trial_is_never_refused(repository, open_code_ms):
    (repository / "train.py").write_text("print(2)\n")

    run = open_code_ms().exper("e", debug=True).start_run()
    assert run.git.dirty


def test_an_unknown_mode_is_refused(repository, open_code_ms):
    with pytest.raises(al.InvalidValueError, match="refuse"):
        open_code_ms().exper("e").start_run(git="maybe")
    with pytest.raises(al.SettingsError, match="git"):
        open_code_ms(git="maybe")


def test_outside_any_repository_a_warning_is_given_once(open_ms, tmp_path, monkeypatch):
    monkeypatch.setattr("aletheia_like.capture.git._usual_starts", lambda: [tmp_path])
    exper = open_ms(git=None).exper("e")
    with pytest.warns(UserWarning, match="no git repository") as told:
        run = exper.start_run()
    assert (run.git, told[0].filename) == (None, __file__)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exper.start_run()
        open_ms(git=None).exper("e").start_run()
    with pytest.raises(al.DirtyTreeError, match="git init"):
        exper.start_run(git="require")


def test_unpushed_commits_are_refused_if_asked_for(repository, open_code_ms, monkeypatch):
    monkeypatch.setenv("ALETHEIA_REQUIRE_PUSHED", "1")

    with pytest.raises(al.DirtyTreeError, match="no remote"):
        open_code_ms().exper("e").start_run()


def test_a_tag_is_set_if_asked_for(repository, open_code_ms, monkeypatch):  # R17
    monkeypatch.setenv("ALETHEIA_TAG_RUNS", "1")
    with open_code_ms().exper("my exper").start_run() as run:
        pass

    tags = subprocess.run(
        ["git", "tag", "--points-at", "HEAD"], capture_output=True, text=True, check=True
    )
    assert tags.stdout.split() == ["exp/my-exper/1"]
    assert run.git.tag == "exp/my-exper/1"


def test_the_snapshot_of_a_repository_without_commit_is_seen(  # R13 R15
    repository, open_code_ms
):
    subprocess.run(["rm", "-r", ".git"], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    open_code_ms().exper("e").start_run(git="snapshot").finish()

    git = open_code_ms().experiment("e").run(1).git
    assert (git.commit, git.branch, git.dirty) == (None, "main", True)
    assert git.snapshot is not None


def test_a_wrong_word_for_git_is_no_wish_for_the_default(open_code_ms):  # R11
    with pytest.raises(al.InvalidValueError, match="git is one of"):
        open_code_ms().exper("e").start_run(git=False)
