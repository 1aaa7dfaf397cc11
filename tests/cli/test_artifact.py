"""`aletheia artifact` and `aletheia show --lineage`, as a person types them."""

from __future__ import annotations

import pytest

import aletheia_like as al


@pytest.fixture
def stocked(tmp_path):
    """Two runs that made an artifact each from a data set, one of them promoted."""
    url = (tmp_path / "home").as_uri()
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        ms.add_dataset("table", tmp_path / "table.csv", source="a survey")
        for number in range(2):
            with ms.exper("which one").start_run() as run:
                run.get_dataset("table")
                run.add_artifact("features", list(range(2 + number)), handler="json")
        ms.experiment("which one").run("1").promote_artifact(ms.repository("models"), "features")
        yield ms


@pytest.fixture
def run_verb(stocked, aletheia):
    """Run a verb on the project, in the store that was filled."""
    return lambda *arguments: aletheia(*arguments, "-p", "p", "--url", stocked.url)


def test_artifacts_are_promoted_listed_compared_and_fetched(run_verb, tmp_path):
    promoted = run_verb(
        "artifact", "promote", "which one/2", "features", "models", "--alias", "best"
    )
    listed = run_verb("artifact", "ls", "features", "--repo", "models", "--json").json
    everywhere = run_verb("artifact", "ls").out
    diff = run_verb("artifact", "diff", "features", "0", "best", "-r", "models")
    told = run_verb("artifact", "diff", "features", "0", "-e", "which one", "--json").json
    fetched = run_verb("artifact", "get", "features", "out.json", "-r", "models")

    assert promoted.out == "models/features@1\n"
    assert [(row["version"], row["aliases"]) for row in listed] == [(0, []), (1, ["best"])]
    assert listed[1]["run"] == "which one/2"
    assert "repository models" in everywhere
    assert "experiment which one" in everywhere
    assert diff.out.splitlines()[2:] == ["+ [2]: 2"]
    assert told["changes"] == [{"where": "[2]", "what": "added", "before": None, "after": 2}]
    assert fetched.out == "out.json\n"
    assert (tmp_path / "out.json").read_text() == "[0, 1, 2]"


def test_aliases_move_and_the_trail_is_shown(run_verb):
    moved = run_verb("artifact", "alias", "features", "best", "0", "-r", "models")
    removed = run_verb("artifact", "alias", "features", "best", "-r", "models", "--remove")
    trail = run_verb("artifact", "ls", "features", "-r", "models", "--audit").out

    assert (moved.out, removed.out) == ("best: features@0\n", "best: nothing\n")
    assert "best of features: nothing -> 0" in trail
    assert "best of features: 0 -> nothing" in trail


def test_lineage_is_drawn_up_and_down(run_verb):
    run = run_verb("show", "which one/1", "--lineage").out
    told = run_verb("show", "which one/1", "--lineage", "--json").json
    version = run_verb("artifact", "show", "features", "-r", "models").out

    lines = [line.lstrip("│├└─ ") for line in run.splitlines()]
    starts = ["run which one/1", "from", "data set table@0", "source a survey", "made"]
    starts += ["artifact features@0", "repository version models/features@0"]
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))
    assert told["down"][0]["down"][0]["name"] == "models/features@0"
    assert [line.lstrip("│├└─ ").split("  ")[0] for line in version.splitlines()][-2:] == [
        "data set table@0",
        "source a survey",
    ]


def test_verify_tells_of_bytes_that_are_wrong(run_verb, stocked, tmp_path):
    intact = run_verb("artifact", "verify", "features", "-r", "models")
    digest = stocked.repository("models").artifact("features").digest
    (blob,) = [one for one in (tmp_path / "home").rglob(digest) if one.is_file()]
    blob.chmod(0o644)
    blob.write_bytes(b"[0, 2]")

    wrong = run_verb("artifact", "verify", "features", "-r", "models", "--json")
    blob.unlink()
    missing = run_verb("artifact", "verify", "features", "-r", "models", "--version", "0")

    assert (intact.code, wrong.code, missing.code) == (0, 6, 6)
    assert wrong.json[0]["verdict"] == "corrupt"
    assert wrong.json[0]["problems"][0]["what"] == "features@0"
    assert "missing" in missing.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["get", "features"], 2, "--repo REPOSITORY or --experiment"),
        (["get", "features", "-r", "models", "-e", "which one"], 2, "not both"),
        (["get", "nix", "-r", "models"], 3, "there are 'features'"),
        (["get", "features", "-r", "nix"], 3, "there are 'models'"),
        (["get", "features", "-r", "models", "--version", "7"], 3, "there are 0"),
        (["get", "features", "-r", "models", "--version", "1.5.2026"], 2, "is no date"),
        (["get", "features", "-r", "models", "--as-of", "2020-01-01"], 3, "the first is of"),
        (
            ["get", "features", "-r", "models", "--as-of", "2099-01-01", "--version", "0"],
            2,
            "both",
        ),
        (["promote", "which one/1", "features", "models"], 5, "this very version"),
        (["promote", "which one/1", "nix", "models"], 3, "it made 'features'"),
        (["alias", "features", "7", "-r", "models"], 2, "cannot be an alias"),
        (["ls", "--audit"], 2, "--repo"),
    ],
)
def test_what_cannot_be_done_is_explained(run_verb, arguments, code, words):
    done = run_verb("artifact", *arguments)

    assert (done.code, done.out) == (code, "")
    assert words in done.err


def test_a_difference_cannot_move_the_cursor(stocked, run_verb):
    repository = stocked.repository("texts")
    for text in ("a\n", "\x1b]0;title\x07\u202eb\n"):
        repository.log_artifact("note", text, handler="text")
    repository.save()

    shown = run_verb("artifact", "diff", "note", "0", "--repo", "texts").out

    assert "+·]0;title··b" in shown
    assert "\x1b" not in shown
