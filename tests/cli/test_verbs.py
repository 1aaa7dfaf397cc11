"""Every verb, as people and scripts call it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import aletheia_like as al


def test_nothing_yet(aletheia, tmp_path):
    assert "no projects yet" in aletheia("ls").err
    assert "no experiments" in aletheia("ls", ALETHEIA_PROJECT="p").err
    assert "no data sets" in aletheia("data", "ls", "-p", "p").err
    assert not (tmp_path / "home").exists()


def test_a_project_that_is_not_there_is_no_empty_one(aletheia, recorded):
    for arguments in (("nope",), ("-p", "nope")):
        missing = aletheia("ls", *arguments)
        assert (missing.code, "no project 'nope'" in missing.err) == (3, True)
        assert "there are 'p'" in missing.err
    recorded.add_metadata("m", {})
    empty = type(recorded)("empty", url=recorded.url)
    empty.add_metadata("m", {})
    assert aletheia("ls", "empty").code == 0


def test_who_names_no_project_is_told_how(aletheia, recorded):
    for arguments in (("show", "e/1"), ("latest", "e/1"), ("head", "e")):
        told = aletheia(*arguments)
        assert (told.code, "no project is named" in told.err) == (2, True), arguments
        assert "-p PROJECT" in told.err
    away = {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1", "GOOGLE_CLOUD_PROJECT": ""}
    for arguments in (("ls",), ("get", "0" * 64, "out")):
        told = aletheia(*arguments, **away)
        assert (told.code, "GOOGLE_CLOUD_PROJECT" in told.err) == (2, True)
    assert "unnamed" not in aletheia("config", **away).out


def test_a_store_that_cannot_be_there_is_no_empty_one(aletheia, tmp_path):
    (tmp_path / "file").touch()
    for url in ((tmp_path / "file").as_uri(), (tmp_path / "file" / "x").as_uri()):
        for arguments in ((), ("-p", "p")):
            told = aletheia("ls", *arguments, "--url", url)
            assert (told.code, url in told.err) == (7, True)


def test_packages_are_counted_and_can_be_seen(aletheia, recorded, tmp_path):
    line = next(
        line for line in aletheia("show", r"p/which\/one/1").out.splitlines() if "packages" in line
    )
    _, count, *command = line.replace("`", "").replace(",", "").split()
    assert aletheia(*command[1:4]).code == 0
    assert len(json.loads((tmp_path / "packages.json").read_text())) == int(count)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["shwo"], "No such command 'shwo'. Did you mean 'show'?"),
        (["runs"], "No such command 'runs'. Did you mean 'ls'?"),
        (["xyzzy"], "No such command 'xyzzy'."),
        (["-p", "p", "ls"], "No such option '-p'. Options of a verb stand behind it"),
    ],
)
def test_who_misnames_a_verb_is_told_which_may_be_meant(aletheia, arguments, said):
    done = aletheia(*arguments)

    assert done.code == 2
    assert said in done.err


def test_the_version_is_an_option_and_a_verb(aletheia):
    assert aletheia("--version").out == aletheia("version").out


def test_no_help_is_cut(aletheia):
    verbs = aletheia("--help", COLUMNS="80").out.partition("Commands:")[2]
    assert "..." not in verbs


def test_from_projects_to_one_run(aletheia, recorded):  # C10
    assert "p " in aletheia("ls").out
    experiments = aletheia("ls", "-p", "p")
    assert "which/one" in experiments.out
    assert "trial" not in experiments.out
    assert "trial" in aletheia("ls", "-p", "p", "--debug").out
    runs = aletheia("ls", r"p/which\/one")
    assert runs.out.count("finished") == 3
    shown = aletheia("show", r"p/which\/one/2").out
    for text in ("acc", "0.9", "lr", "adam", "table", "version 0", "run 1", "python"):
        assert text in shown
    assert aletheia("show", r"which\/one/2", "-p", "p").out == shown


def test_json_is_data_and_chatter_is_not(aletheia, recorded):
    assert [one["name"] for one in aletheia("ls", "--json").json] == ["p"]
    runs = aletheia("ls", r"p/which\/one", "--json", "--order-by=-metrics.acc", "--limit=2").json
    assert [run["id"] for run in runs] == ["2", "1"]
    shown = aletheia("show", r"p/which\/one/3", "--json").json
    assert shown["metrics"] == {"acc": "nan"}
    assert shown["hyper_params"] == {"lr": 0.2, "opt": {"name": "adam"}}
    assert shown["status"] == "finished"


def test_looking_writes_nothing(aletheia, recorded, tmp_path):
    database = tmp_path / "home" / "metastore.sqlite"
    before = database.read_bytes()
    aletheia("ls", r"p/which\/one")
    aletheia("show", r"p/which\/one/1")

    assert database.read_bytes() == before


def test_data_is_added_listed_and_fetched(aletheia, tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.txt").write_text("a")
    added = aletheia("data", "add", "tree", tmp_path / "tree", "-p", "p", "--desc", "one file")
    assert (added.code, len(added.out.strip())) == (0, 64)
    listed = aletheia("data", "ls", "-p", "p", "--json").json
    assert [(one["name"], one["version"], one["files"]) for one in listed] == [("tree", 0, 1)]
    assert "one file" in aletheia("data", "ls", "tree", "-p", "p").out

    path = aletheia("data", "get", "tree", "-p", "p").out.strip()
    assert [one.name for one in Path(path).iterdir()] == ["a.txt"]
    copied = aletheia("data", "get", "tree", tmp_path / "out", "-p", "p").out.strip()
    assert copied == str(tmp_path / "out" / "tree")


def test_one_file_becomes_the_file_that_is_named(aletheia, recorded, tmp_path):
    (tmp_path / "folder").mkdir()
    for dest, path in (
        ("out.csv", "out.csv"),
        ("folder", "folder/table.csv"),
        ("f/", "f/table.csv"),
    ):
        assert aletheia("data", "get", "table", dest, "-p", "p").out.strip() == path
        assert (tmp_path / path).read_text() == "a,b\n1,2\n"
    assert aletheia("data", "get", "table", "out.csv", "-p", "p").code == 0


def test_exit_codes_tell_what_went_wrong(aletheia, recorded, tmp_path):
    assert aletheia("nonsense").code == 2
    assert aletheia("show", "one", "-p", "p").code == 2
    assert aletheia("ls", "--url", "ftp://x").code == 2
    missing = aletheia("show", r"p/which\/one/99")
    assert (missing.code, missing.out) == (3, "")
    assert "'99'" in missing.err
    assert aletheia("data", "add", "x", tmp_path / "none", "-p", "p").code == 3
    assert aletheia("data", "get", "x", "-p", "p").code == 3
    assert aletheia("data", "add", "x", "http://127.0.0.1:9/x", "-p", "p").code == 7
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "table.csv").write_text("there")
    assert aletheia("data", "get", "table", tmp_path / "out", "-p", "p").code == 5
    away = {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1", "ALETHEIA_TIMEOUT": "1"}
    assert aletheia("ls", "-p", "p", "--url", "firestore://demo-x", **away).code == 7


def test_a_damaged_cache_file_is_exit_code_6(aletheia, recorded, tmp_path):
    assert aletheia("cache", "verify").code == 0
    blob = next(path for path in (tmp_path / "cache" / "blobs").rglob("*") if path.is_file())
    blob.chmod(0o644)
    blob.write_text("damaged")

    found = aletheia("cache", "verify")
    assert (found.code, found.out.strip()) == (6, str(blob))
    assert aletheia("cache", "verify", "--repair").code == 0
    assert aletheia("cache", "verify", "--json").json["wrong"] == []


def test_the_cache_is_listed(aletheia, recorded):
    listed = aletheia("cache", "ls", "--json").json
    assert [one["size"] for one in listed] == [8]
    assert "sha-256" in aletheia("cache", "ls").out


def test_config_says_where_settings_come_from(aletheia, tmp_path):
    settings = aletheia("config", "-p", "p", "--json").json
    assert settings["project"] == {"value": "p", "origin": "argument"}
    assert settings["git"] == {"value": "off", "origin": "ALETHEIA_GIT"}
    printed = aletheia("config")
    assert printed.code == 0
    assert "no project is named" in printed.err
    assert printed.out.splitlines()[2].split() == ["project", "not", "set"]
    assert aletheia("config", "--json").json["project"] == {"value": None, "origin": "not set"}
    home = aletheia("config", "-p", "p", "--url", "file://~/q", "--json", HOME=tmp_path).json
    assert home["url"]["value"] == (tmp_path / "q").as_uri()
    (tmp_path / "aletheia.toml").write_text('git = "maybe"')
    broken = aletheia("config", "-p", "p", ALETHEIA_GIT="")
    assert (broken.code, "aletheia.toml" in broken.err) == (2, True)


def test_the_doctor_finds_what_is_wrong(aletheia, tmp_path):
    well = aletheia("doctor", "--json")
    assert well.code == 0
    assert {one["what"]: one["status"] for one in well.json}["documents"] == "ok"

    away = {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1", "ALETHEIA_TIMEOUT": "1"}
    ill = aletheia("doctor", "--json", **away)
    found = {one["what"]: one for one in ill.json}
    assert ill.code == 7
    assert found["documents"]["status"] == "fail"
    assert "cannot be reached" in found["documents"]["found"]
    assert "ALETHEIA_BLOBS" in found["blobs"]["found"]

    nobody = aletheia("doctor", "--json", GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "no.json"))
    assert nobody.code == 7
    assert "no.json" in {one["what"]: one for one in nobody.json}["credentials"]["found"]


def test_the_demo_records_five_runs(aletheia):
    pytest.importorskip("sklearn")
    first = aletheia("demo")
    assert first.code == 0, first.err
    assert "mean accuracy 0.9" in first.out
    board = aletheia("demo", "--json").json
    assert sorted(row["fold"] for row in board) == list(range(5))

    runs = aletheia("ls", "penguins/which species", "--json").json
    assert [run["status"] for run in runs] == ["finished"] * 10
    assert len(aletheia("data", "ls", "palmer-penguins", "-p", "penguins", "--json").json) == 1


def test_version_and_help(aletheia):  # C12
    from aletheia_like.version import __version__

    assert aletheia("version").out.strip() == __version__
    assert aletheia("version", "--json").json == {"version": __version__}
    for verb in aletheia("--help").out.partition("Commands:")[2].split("\n"):
        if verb.startswith("  ") and not verb.startswith("   "):
            told = aletheia(verb.split()[0], "--help")
            assert (told.code, "Usage:" in told.out) == (0, True)


def test_each_verb_loads_what_it_needs_itself(environment, tmp_path):
    # In forks of a process that has no verb yet: what another verb loads could hide a mistake.
    program = """
import os
import aletheia_like.connect
from aletheia_like.cli.main import cli, main
for verb in cli.list_commands(None):
    child = os.fork()
    if child == 0:
        main([verb, "--help"])
    assert os.waitpid(child, 0)[1] == 0, verb
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Usage: aletheia ") > 30


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_code_for_the_shell(aletheia, shell):
    code = aletheia("completion", shell).out

    assert "_ALETHEIA_COMPLETE" in code
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=code, text=True, check=True)


def test_a_reader_that_stops_early_is_no_error(environment, tmp_path):  # C13
    url = (tmp_path / "store").as_uri()
    with al.Metastore("p", url=url, git="off") as ms, ms.exper("e").start_run() as run:
        run.log_batch({"step": step, "text": "x" * 20} for step in range(3000))
    for form in ("", "--csv", "--json"):
        head = f"{sys.executable} -m aletheia_like head -n 3000 {form} p/e/1 --url {url}"
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {head} | head -n 1"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

        assert (done.returncode, done.stderr) == (0, "")


def test_debug_shows_the_traceback(aletheia, recorded):
    assert "Traceback" in aletheia("--debug", "show", r"p/which\/one/99").err


def test_an_interruption_is_exit_code_130(environment):
    process = subprocess.Popen(
        [sys.executable, "-m", "aletheia_like", "emulator", "exec", "--", "sleep", "0.1"],
        env={**environment, "PATH": "/nonexistent", "JAVA_HOME": "/nonexistent"},
        stderr=subprocess.PIPE,
        text=True,
    )
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode != 0


@pytest.mark.parametrize("verb", ["show", "head", "latest", "delete"])
def test_two_projects_for_one_run_are_refused(aletheia, recorded, verb):  # C3
    outcome = aletheia(verb, "other/e/1", "-p", "p")

    assert outcome.code == 2
    assert "names project 'other', -p says 'p'" in outcome.err
    assert "a slash inside a name" in outcome.err
