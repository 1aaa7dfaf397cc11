"""Runs that are done again out of their commit, by real processes."""

from __future__ import annotations

import pytest

import aletheia_like as al

_PLAIN = """
with al.Metastore("p").exper("e").start_run() as run:
    run.add_metric("a", 1.5)
"""


def test_a_dirty_tree_is_rebuilt_from_its_snapshot(code):
    code.commit(_PLAIN)
    (code.root / "extra.py").write_text("VALUE = 2\n")
    program = code.root / "train.py"
    program.write_text(program.read_text().replace("1.5", "__import__('extra').VALUE"))
    code.run(ALETHEIA_GIT="snapshot", PYTHONDONTWRITEBYTECODE="1")
    code.git("checkout", "--quiet", "train.py")
    (code.root / "extra.py").unlink()

    with code.open() as ms:
        found = ms.reproduce("e/1", repo=code.root)
        again = ms.experiment("e").run(found.again)

        assert (found.verdict, found.reason) == ("same", None)
        assert again.metrics == {"a": 2}
        assert again.git.snapshot == ms.experiment("e").run(1).git.snapshot
    assert code.git("status", "--porcelain") == ""


def test_differences_that_were_not_stored_are_refused_unless_told(code):
    code.commit(_PLAIN)
    (code.root / "note.txt").write_text("here")
    code.run(ALETHEIA_GIT="warn")

    with code.open() as ms:
        refused = ms.reproduce("e/1", repo=code.root)
        told = ms.reproduce("e/1", repo=code.root, as_committed=True)

    assert refused.verdict == "cannot"
    assert "--as-committed" in refused.reason
    assert told.verdict == "same"
    assert any("differences of its tree" in note for note in told.notes)


@pytest.mark.parametrize("code", ["embedded", "firestore"], indirect=True)
def test_what_rows_hold_is_compared_by_content(code):
    code.commit(
        """
import os, pathlib
with al.Metastore("p").exper("e").start_run() as run:
    pathlib.Path("out.txt").write_text(os.environ.get("WORD", "same"))
    pathlib.Path("log.txt").write_text(str(os.getpid()))
    run.log(loss=0.5, label=os.environ.get("WORD", "cat"), deep={"out": al.File("out.txt")})
    run.log(log=al.LogFile("log.txt"))
"""
    )
    code.run()
    for name in ("out.txt", "log.txt"):
        (code.root / name).unlink()

    with code.open() as ms:
        alike = ms.reproduce("e/1", repo=code.root)
        other = ms.reproduce("e/1", repo=code.root, variables={"WORD": "other"})

    assert (alike.verdict, alike.differences) == ("same", ())
    assert other.verdict == "differs"
    assert sorted(one.name for one in other.differences) == ["rows.deep.out", "rows.label"]


def test_inputs_are_the_versions_that_were_read(code, tmp_path):
    code.commit("""
with al.Metastore("p") as ms, ms.exper("e").start_run() as run:
    path = run.get_dataset("table", download=True).local_path
    run.add_metric("size", len(path.read_text()))
""")
    table = tmp_path / "table.csv"
    with code.open() as ms:
        table.write_text("old")
        ms.add_dataset("table", table)
        code.run()
        table.write_text("much newer")
        ms.add_dataset("table", table)

        found = ms.reproduce("e/1", repo=code.root)

        assert found.verdict == "same"
        assert ms.experiment("e").run(found.again).datasets["table"].version == 0


def test_of_several_runs_the_right_one_is_compared_and_none_is_reopened(code):
    code.commit("""
with al.Metastore("p") as ms:
    for number in range(3):
        with ms.exper("e").start_run() as run:
            run.add_metric("number", number)
    with ms.exper("e").start_run(id="named", resume="allow") as run:
        run.add_metric("number", 10)
""")
    code.run()

    with code.open() as ms:
        second = ms.reproduce("e/2", repo=code.root)
        named = ms.reproduce("e/named", repo=code.root)

        assert (second.verdict, second.again) == ("same", "5")
        assert named.verdict == "same"
        assert named.again.startswith("named-again-")
        assert ms.experiment("e").run("named").record.resumed_at is None


def test_paths_into_the_tree_lead_into_the_fresh_one_and_variables_are_as_recorded(code):
    code.commit("""
import os, pathlib, sys
with al.Metastore("p").exper("e").start_run() as run:
    (pathlib.Path(sys.argv[1]) / "out.txt").write_text(os.environ["PYTHONHASHSEED"])
    run.add_metric("hash", hash("text"))
    run.add_artifact("out", pathlib.Path(sys.argv[1]) / "out.txt")
""")
    code.run(str(code.root / "train.py"), str(code.root), PYTHONHASHSEED="7")
    (code.root / "out.txt").write_text("mine")

    with code.open() as ms:
        found = ms.reproduce("e/1", repo=code.root)

    assert found.verdict == "same", found
    assert (code.root / "out.txt").read_text() == "mine"


def test_a_run_that_fails_now_cannot_be_compared(code):
    code.commit("""
import os
with al.Metastore("p").exper("e").start_run() as run:
    run.add_metric("a", 1)
    assert "BROKEN" not in os.environ, "it is broken"
""")
    code.run()

    with code.open() as ms:
        found = ms.reproduce("e/1", repo=code.root, variables={"BROKEN": "1"})

    assert (found.verdict, found.exit_code) == ("cannot", 1)
    assert "is failed: AssertionError: it is broken" in found.reason
    assert "it is broken" in found.output


def test_a_run_that_failed_and_fails_again_is_the_same(code):
    code.commit(_PLAIN + "    raise ValueError('as ever')\n")
    code.run(code=1)

    with code.open() as ms:
        found = ms.reproduce("e/1", repo=code.root)

    assert found.verdict == "same"
    assert {"status", "error"} <= {one.name for one in found.outcomes}


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(code, tmp_path):
    code.commit(
        _PLAIN
        + """
import os, pathlib, subprocess, sys, time
if "SLOW" in os.environ:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    pathlib.Path(os.environ["SLOW"]).write_text(str(child.pid))
    time.sleep(300)
"""
    )
    code.run()
    noted = tmp_path / "child"

    with code.open() as ms:
        found = ms.reproduce("e/1", repo=code.root, variables={"SLOW": str(noted)}, timeout=6)

    assert found.verdict == "cannot"
    assert "did not end within 6 seconds" in found.reason
    assert not noted.exists() or not is_alive(int(noted.read_text()))
    assert len(code.git("worktree", "list").splitlines()) == 1


def is_alive(process):
    psutil = pytest.importorskip("psutil")
    return psutil.pid_exists(process) and psutil.Process(process).status() != "zombie"


def test_what_is_kept_and_what_is_only_planned(code):
    code.commit(_PLAIN)
    code.run()

    with code.open() as ms:
        planned = ms.reproduce("e/1", repo=code.root, dry_run=True)
        runs = len(ms.experiment("e").runs())
        kept = ms.reproduce("e/1", repo=code.root, keep=True)

    assert (planned.verdict, runs) == (None, 1)
    assert planned.command.endswith("train.py")
    assert (kept.folder / "train.py").is_file()
    code.git("worktree", "remove", "--force", str(kept.folder))
    kept.folder.parent.rmdir()


def test_strict_refuses_other_packages(code, monkeypatch):
    code.commit(_PLAIN)
    code.run()
    with code.open() as ms:
        monkeypatch.setattr(
            "aletheia_like.reproduce.again.read_packages", lambda: '{"other": {"version": "1"}}'
        )
        found = ms.reproduce("e/1", repo=code.root, strict=True)

    assert found.verdict == "cannot"
    assert "--venv" in found.reason
    assert found.environment


def test_no_repository_and_no_such_run_are_told_apart(code, tmp_path):
    code.commit(_PLAIN)
    code.run()

    with code.open() as ms:
        found = ms.reproduce("e/1", repo=tmp_path / "nothing")
        with pytest.raises(al.NotFoundError):
            ms.reproduce("e/9")
        with pytest.raises(al.InvalidValueError, match="EXPERIMENT/RUN"):
            ms.reproduce("e")
        with pytest.raises(al.InvalidValueError, match="rtol"):
            ms.reproduce("e/1", rtol=-1)

    assert found.verdict == "cannot"
    assert "no git repository" in found.reason
    assert "--repo" in found.reason


def test_a_store_in_memory_cannot_be_recorded_into_by_a_command():
    with al.Metastore("p", url="memory://", git="off") as ms:
        with ms.exper("e").start_run() as run:
            run.add_metric("a", 1)

        found = ms.reproduce(run)

    assert found.verdict == "cannot"
    assert "memory" in found.reason
