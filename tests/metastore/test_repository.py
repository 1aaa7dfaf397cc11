"""Repositories: staged versions, all-or-nothing saves, and which version is meant."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

import aletheia_like as al

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def ms(tmp_path):
    with al.Metastore("p", url="memory://", cache_dir=tmp_path / "cache", git="off") as opened:
        opened.session.clock = lambda: NOON
        yield opened


def log(repository, value, name="features", **options):
    repository.log_artifact(name, value, handler="json", **options)
    return repository.save()[-1]


def later(ms, by):
    ms.session.clock = lambda: NOON + by


def test_a_name_counts_its_versions_from_zero(ms):  # V11
    repository = ms.repository("models")

    saved = [log(repository, [number]) for number in range(3)]

    assert [one.version for one in saved] == [0, 1, 2]
    assert [repository.load_artifact("features", number) for number in range(3)] == [[0], [1], [2]]
    assert [one.version for one in repository.versions("features")] == [0, 1, 2]


def test_versions_of_one_moment_stay_distinct(ms):  # V11
    repository = ms.repository("models")
    for value in ("a", "b"):
        repository.log_artifact("features", value, handler="json")
    repository.save()

    assert repository.load_artifact("features", 0) == "a"
    assert repository.load_artifact("features", 1) == "b"
    assert repository.load_artifact("features", NOON, match="asof") == "b"


def test_nothing_is_stored_before_the_save(ms):  # V8
    repository = ms.repository("models")
    repository.log_artifact("features", [1], handler="json")

    assert repository.staged == ("features",)
    assert ms.repositories() == []
    assert list(ms.session.blobs.digests()) == []
    with pytest.raises(al.NotFoundError, match="is staged"):
        repository.load_artifact("features")


def test_a_value_is_kept_as_it_was_when_it_was_logged(ms):
    repository, value = ms.repository("models"), [1]
    repository.log_artifact("features", value, handler="json")
    value.append(2)
    repository.save()

    assert repository.load_artifact("features") == [1]


def test_a_file_that_changed_since_saves_nothing(ms, tmp_path):  # V19
    (tmp_path / "f.txt").write_text("one")
    repository = ms.repository("models")
    repository.log_artifact("a", 1, handler="json")
    repository.log_artifact("f", tmp_path / "f.txt")
    (tmp_path / "f.txt").write_text("two")

    with pytest.raises(al.IntegrityError):
        repository.save()

    assert ms.repositories() == []
    assert repository.staged == ("a", "f")


def test_a_value_that_cannot_be_written_leaves_the_rest_staged(ms):  # V19
    repository = ms.repository("models")
    repository.log_artifact("a", 1, handler="json")

    with pytest.raises(al.InvalidValueError):
        repository.log_artifact("b", object(), handler="json")

    assert [one.name for one in repository.save()] == ["a"]


def test_directories_and_references_are_versions_too(ms, tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "one.txt").write_text("one")
    repository = ms.repository("models")
    repository.log_artifact("tree", tmp_path / "tree")
    repository.log_artifact("far", "s3://bucket/model", is_local=False)
    repository.save()

    fetched = repository.artifact("tree").download(tmp_path / "out")
    assert (fetched / "one.txt").read_text() == "one"
    assert repository.artifact("far").location == "s3://bucket/model"


def test_mode_r_refuses_every_change(ms):  # V13
    log(ms.repository("models"), [1])
    repository = ms.repository("models", "r")

    for change in (
        lambda: repository.log_artifact("features", [2], handler="json"),
        repository.save,
        lambda: repository.set_alias("features", "best", 0),
        lambda: repository.set_expiry("features"),
        lambda: repository.release("v1"),
    ):
        with pytest.raises(al.ReadOnlyError):
            change()


def test_mode_r_refuses_a_repository_that_is_not_there(ms):
    with pytest.raises(al.NotFoundError, match="models"):
        ms.repository("models", "r")


@pytest.mark.parametrize("mode", ["a", "w+"])
def test_modes_a_and_w_plus_add_to_what_is_there(ms, mode):  # V13
    log(ms.repository("models"), [1])

    assert log(ms.repository("models", mode), [2]).version == 1


def test_mode_w_starts_empty_and_what_was_there_stays(ms):  # V13
    log(ms.repository("models"), [1])
    repository = ms.repository("models", "w")
    assert repository.names == []
    assert ms.repository("models").names == ["features"]

    saved = log(repository, [2])

    assert saved.version == 0
    assert ms.repository("models", "r").load_artifact("features") == [2]
    assert ms.repository("models", "r", generation=0).load_artifact("features") == [1]


def test_whoever_opened_it_before_it_was_begun_anew_is_told(ms):
    log(ms.repository("models"), [1])
    old, new = ms.repository("models"), ms.repository("models", "w")
    log(new, [2])
    old.log_artifact("features", [3], handler="json")

    with pytest.raises(al.ConflictError, match="begun anew"):
        old.save()
    with pytest.raises(al.ConflictError, match="begun anew"):
        old.discard() or old.release("v1")


def test_two_that_begin_anew_at_once_lose_nothing(ms):
    log(ms.repository("models"), [1])
    first, second = ms.repository("models", "w"), ms.repository("models", "w")

    assert [log(first, [2]).version, log(second, [3]).version] == [0, 1]
    assert ms.repository("models", "r").generation == 1


def test_an_unknown_mode_is_refused(ms):  # V13
    with pytest.raises(ValueError, match="r, a, w or w"):
        ms.repository("models", "x")


def test_a_block_saves_unless_it_fails(ms):
    with ms.repository("models") as repository:
        repository.log_artifact("kept", 1, handler="json")
    with pytest.raises(RuntimeError), ms.repository("models") as repository:
        repository.log_artifact("lost", 1, handler="json")
        raise RuntimeError

    assert ms.repository("models", "r").names == ["kept"]


def test_one_save_takes_what_one_apply_takes(ms, tmp_path):
    repository = ms.repository("models")
    for number in range(245):
        repository.log_artifact(f"a{number}", "memory://x", is_local=False)

    with pytest.raises(al.InvalidValueError, match=r"save\(\) before 'more'"):
        repository.log_artifact("more", "memory://x", is_local=False)

    assert len(repository.save()) == 245


def test_each_wrong_version_has_an_error_of_its_own(ms):  # V12
    repository = ms.repository("models")
    log(repository, [1], aliases=["best"])
    errors = {}
    for what, (name, version, match) in {
        "name": ("nix", None, "exact"),
        "number": ("features", 7, "exact"),
        "alias": ("features", "production", "exact"),
        "date": ("features", "2026-13-01", "exact"),
        "no date": ("features", "best", "asof"),
        "before": ("features", "2025-01-01", "asof"),
        "not exact": ("features", "2025-01-01", "exact"),
        "asof number": ("features", 0, "asof"),
        "asof newest": ("features", None, "asof"),
        "match": ("features", 0, "about"),
        "kind": ("features", True, "exact"),
    }.items():
        with pytest.raises(al.AletheiaError) as caught:
            repository.load_artifact(name, version, match)
        errors[what] = caught.value

    absent = {what for what, error in errors.items() if isinstance(error, al.NotFoundError)}
    assert absent == {"name", "number", "alias", "before", "not exact"}
    wrong = {what for what, error in errors.items() if isinstance(error, al.InvalidValueError)}
    assert wrong == errors.keys() - absent | {"alias"}
    assert len({str(error) for error in errors.values()}) == len(errors)


def test_a_day_is_its_midnight(ms):  # V12
    repository = ms.repository("models")
    log(repository, [1], expires_at=dt.date(2030, 1, 1))
    tomorrow = NOON.date() + dt.timedelta(days=1)

    assert repository.load_artifact("features", tomorrow, match="asof") == [1]
    assert list(repository.snapshot(tomorrow)) == ["features"]
    for call in (repository.snapshot, lambda date: repository.set_expiry("features", 0, date)):
        with pytest.raises(al.InvalidValueError, match="not int: 5"):
            call(5)


def test_a_number_as_text_is_told_apart(ms):  # V12
    log(ms.repository("models"), [1])

    with pytest.raises(al.InvalidValueError, match="the version of this number is 0"):
        ms.repository("models").load_artifact("features", "0")


def test_a_date_in_whole_seconds_finds_the_version_of_that_second(ms):  # V12
    repository = ms.repository("models")
    later(ms, dt.timedelta(microseconds=250_000))
    log(repository, [1])

    assert repository.load_artifact("features", "2026-01-01T12:00:00") == [1]
    assert repository.load_artifact("features", "2026-01-01T13:00:00.25+01:00") == [1]
    with pytest.raises(al.NotFoundError):
        repository.load_artifact("features", "2026-01-01T12:00:00.25001")


def test_aliases_move_and_the_trail_tells_who_moved_them(ms, monkeypatch):
    repository = ms.repository("models")
    log(repository, [1], aliases=["production"])
    log(repository, [2])
    monkeypatch.setenv("ALETHEIA_AUTHOR", "ada")
    later(ms, SECOND)
    repository.set_alias("features", "production", 1)
    repository.set_alias("features", "production", 1)
    later(ms, 2 * SECOND)
    repository.remove_alias("features", "production")

    moves = [one for one in repository.audit("features") if one.action == "alias"]
    assert [(one.details["from"], one.details["to"]) for one in moves] == [
        (None, 0),
        (0, 1),
        (1, None),
    ]
    assert moves[1].by == "ada"
    assert moves[1].at == NOON + SECOND
    assert repository.audit("other") == []


def test_a_version_is_found_by_its_alias_and_tells_it(ms):
    repository = ms.repository("models")
    log(repository, [1], aliases=["best", "first"])
    log(repository, [2], aliases=["best"])

    assert repository.load_artifact("features", "best") == [2]
    assert repository.artifact("features", "first").aliases == ("first",)
    assert [one.aliases for one in repository.artifacts()] == [("best",)]
    assert repository.aliases("features") == {"best": 1, "first": 0}


def test_an_alias_moves_only_from_where_it_is_expected(ms):
    repository = ms.repository("models")
    log(repository, [1], aliases=["best"])
    log(repository, [2])

    with pytest.raises(al.ConflictError, match="names version 0, not version 1"):
        repository.set_alias("features", "best", 1, expected=1)

    repository.set_alias("features", "best", 1, expected=0)
    repository.set_alias("features", "new", 1, expected=None)
    assert repository.aliases("features") == {"best": 1, "new": 1}


@pytest.mark.parametrize("alias", ["3", "-1", "2026-01-01", "20260101", "", "@a"])
def test_what_reads_as_a_number_or_date_is_no_alias(ms, alias):
    repository = ms.repository("models")
    log(repository, [1])

    with pytest.raises(al.InvalidValueError):
        repository.set_alias("features", alias, 0)


def test_an_alias_needs_an_artifact_and_a_version(ms):
    repository = ms.repository("models")
    log(repository, [1])

    for call in (
        lambda: repository.set_alias("nix", "best", 0),
        lambda: repository.set_alias("features", "best", 7),
        lambda: repository.remove_alias("features", "best"),
    ):
        with pytest.raises(al.NotFoundError):
            call()


def test_what_has_expired_is_found_by_its_number_only(ms):  # V24
    repository = ms.repository("models")
    log(repository, [1])
    log(repository, [2], expires_at="2026-01-01T12:00:01")
    assert repository.load_artifact("features") == [2]

    later(ms, SECOND)

    assert repository.load_artifact("features") == [1]
    assert repository.load_artifact("features", NOON, match="asof") == [1]
    assert repository.load_artifact("features", 1) == [2]
    assert repository.load_artifact("features", NOON) == [2]


def test_expiry_is_set_afterwards_and_taken_back(ms):  # V24
    repository = ms.repository("models")
    log(repository, [1])
    repository.set_expiry("features")
    with pytest.raises(al.NotFoundError, match="has expired"):
        repository.load_artifact("features")

    repository.set_expiry("features", 0, "2030-01-01")

    assert repository.load_artifact("features") == [1]
    assert [one.action for one in repository.audit()] == ["save", "expiry", "expiry"]


def test_a_snapshot_has_one_version_of_each_name(ms):  # V22
    repository = ms.repository("models")
    log(repository, [1])
    later(ms, SECOND)
    log(repository, [2])
    log(repository, ["new"], name="other")

    then = repository.snapshot(NOON)
    now = repository.snapshot("2026-01-01T12:00:01")

    assert {name: one.version for name, one in then.items()} == {"features": 0}
    assert {name: one.version for name, one in now.items()} == {"features": 1, "other": 0}
    assert then.load_artifact("features") == [1]
    with pytest.raises(al.NotFoundError, match="other"):
        then["other"]


def test_a_snapshot_of_chosen_versions_has_exactly_these(ms):  # V22
    repository = ms.repository("models")
    log(repository, [1], aliases=["best"])
    log(repository, [2])
    log(repository, ["new"], name="other")
    log(repository, ["none"], name="third")

    chosen = repository.snapshot({"features": "best", "other": None})

    assert {name: one.version for name, one in chosen.items()} == {"features": 0, "other": 0}
    with pytest.raises(al.NotFoundError, match="no version 7"):
        repository.snapshot({"features": 7})


def test_a_release_keeps_the_versions_of_its_day(ms):  # V23
    repository = ms.repository("models")
    log(repository, [1])
    repository.release("v1")
    log(repository, [2])

    assert repository.released("v1").load_artifact("features") == [1]
    assert [(one.tag, one.versions) for one in repository.releases()] == [("v1", {"features": 0})]
    with pytest.raises(al.AlreadyExistsError, match="v1"):
        repository.release("v1")
    with pytest.raises(al.NotFoundError, match="v1"):
        repository.released("v2")


def test_a_release_needs_something_saved(ms):
    repository = ms.repository("models")
    with pytest.raises(al.RunStateError, match="nothing to release"):
        repository.release("v1")
    repository.log_artifact("features", [1], handler="json")
    with pytest.raises(al.RunStateError, match="save"):
        repository.release("v1")


def test_a_release_leaves_out_what_has_expired(ms):
    repository = ms.repository("models")
    log(repository, [1])
    log(repository, [2])
    log(repository, [1], name="gone")
    repository.set_expiry("features", 1)
    repository.set_expiry("gone")

    assert {name: one.version for name, one in repository.release("v1").items()} == {"features": 0}


def test_a_release_is_copied_with_its_files_and_a_list_only(ms, tmp_path):  # V26
    repository = ms.repository("models")
    log(repository, [1])
    log(repository, [1], name="a/b")
    repository.release("v1")
    log(repository, [2])

    folder = repository.released("v1").download(tmp_path / "copy")
    repository.released("v1").download(tmp_path / "copy")

    found = sorted(
        one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()
    )
    assert found == ["a%2Fb/a_b.json", "features/features.json", "manifest.json"]
    assert (folder / "features" / "features.json").read_text() == "[1]"


def test_no_name_leads_out_of_the_folder_of_a_copy(ms, tmp_path):
    repository = ms.repository("models")
    for name in ("..", "../up", "manifest.json", "/root"):
        log(repository, [name], name=name)

    folder = repository.release("v1").download(tmp_path / "in" / "copy")

    assert [one.name for one in (tmp_path / "in").iterdir()] == ["copy"]
    folders = sorted(one.name for one in folder.iterdir() if one.is_dir())
    assert folders == ["%2E%2E", "%2Froot", "%6Danifest.json", "..%2Fup"]


def test_equal_content_is_stored_once(ms):
    repository = ms.repository("models")
    first, second = log(repository, [1]), log(repository, [1])

    assert first.digest == second.digest
    assert len(list(ms.session.blobs.digests())) == 1


def test_an_artifact_of_an_experiment_is_chosen_in_the_same_ways(ms):
    exper = ms.exper("e")
    exper.add_artifact("features", [1], handler="json", aliases=["best"])
    later(ms, SECOND)
    exper.add_artifact("features", [2], handler="json")
    with exper.start_run() as run:
        pass

    for holder in (exper, run):
        assert holder.load_artifact("features") == [2]
        assert holder.load_artifact("features", 0) == [1]
        assert holder.load_artifact("features", "best") == [1]
        assert holder.load_artifact("features", NOON) == [1]
        assert holder.load_artifact("features", "2026-01-01T12:00:00", "asof") == [1]
        with pytest.raises(al.NotFoundError, match="'nix' in experiment 'e'"):
            holder.load_artifact("nix")


def test_a_run_loads_what_it_made_itself(ms):
    exper = ms.exper("e")
    with exper.start_run() as first:
        first.add_artifact("features", ["mine"], handler="json")
    with exper.start_run() as second:
        second.add_artifact("features", ["other"], handler="json")

    assert exper.run(first.id).load_artifact("features") == ["mine"]
    assert exper.load_artifact("features") == ["other"]


def test_names_may_hold_slashes_and_dots(ms, tmp_path):
    repository = ms.repository("my/models")
    repository.log_artifact("a/b.c", [1], handler="json", aliases=["x.y/z"])
    repository.save()

    assert ms.repositories() == ["my/models"]
    assert repository.load_artifact("a/b.c", "x.y/z") == [1]
    assert isinstance(repository.artifact("a/b.c").download(tmp_path), Path)


def test_staged_files_are_gone_after_the_save(ms):
    repository = ms.repository("models")
    repository.log_artifact("features", [1], handler="json")
    folder = repository._scratch()
    repository.save()

    assert not folder.exists()
