"""Projects, experiments and metadata."""

from __future__ import annotations

import getpass
import math

import pytest

import aletheia_like as al


def test_the_first_write_creates_the_project(ms, open_ms):  # M1
    ms.exper("e")

    assert [project.name for project in ms.projects()] == ["p"]
    assert open_ms("q").experiments() == []


def test_opening_an_experiment_twice_gives_the_same(ms):  # M4
    first = ms.exper("e", desc="why")

    assert ms.exper("e").desc == "why"
    assert [one.name for one in ms.experiments()] == ["e"]
    with pytest.raises(al.AlreadyExistsError, match="'e'"):
        ms.exper("e", exist_ok=False)
    assert first.name == "e"


def test_a_new_experiment_may_be_asked_to_be_new(ms):
    assert ms.exper("fresh", exist_ok=False).name == "fresh"


def test_debug_experiments_open_again_and_stay_out_of_lists(ms):  # M5
    ms.exper("trial", debug=True)

    assert ms.exper("trial", debug=True).debug
    assert ms.experiments() == []
    assert [one.name for one in ms.experiments(debug=True)] == ["trial"]


def test_the_description_is_read_by_another_process_after_flush(ms, open_ms):  # M8
    exper = ms.exper("e")
    exper.desc = "notes *in markdown*"
    ms.flush()

    assert open_ms().experiment("e").desc == "notes *in markdown*"


def test_free_attributes_become_fields(ms, open_ms):  # M9
    exper = ms.exper("e")
    exper.rando_prop = {"a": [1, 2.5]}
    exper._mine = 1
    ms.flush()
    read = open_ms().experiment("e")

    assert read.rando_prop == {"a": [1, 2.5]}
    assert not hasattr(read, "_mine")
    with pytest.raises(al.ReadOnlyError, match="name"):
        exper.name = "other"


def test_an_experiment_opened_for_reading_cannot_be_changed(ms):  # M13
    ms.exper("e")
    read = ms.experiment("e")

    with pytest.raises(al.ReadOnlyError, match=r"ms\.exper"):
        read.desc = "x"
    with pytest.raises(al.ReadOnlyError):
        read.start_run()
    with pytest.raises(al.ReadOnlyError):
        read.add_metric("a", 1)


def test_unknown_experiment_names_what_there_is(ms):
    ms.exper("one")

    with pytest.raises(al.NotFoundError, match="'one'"):
        ms.experiment("two")


def test_metadata_is_kept_unless_overwritten(ms, open_ms):  # M15
    assert ms.add_metadata("m", {"a": 1, "nested": {"b": [1, [2]]}})
    assert not ms.add_metadata("m", {"a": 2})
    assert open_ms().get_metadata("m") == {"a": 1, "nested": {"b": [1, [2]]}}
    assert ms.add_metadata("m", {"a": 3}, overwrite=True)
    assert ms.get_metadata("m") == {"a": 3}
    assert ms.get_metadata("none") is None


def test_an_experiment_edited_by_hand_stays_readable(ms):
    exper = ms.exper("e")
    path = exper.path
    from aletheia_like.ports.documents import Update

    ms.session.documents.apply(
        [Update(path, {("colour",): "red", ("next_run_number",): "many", ("tags",): 7})]
    )
    read = ms.experiment("e")

    assert read.colour == "red"
    assert read.tags == ()
    assert ms.exper("e").start_run(id="x").id == "x"


@pytest.mark.parametrize(
    "name", ["a/b", "a.b", "..", "ünïcödé 实验", "100%", "__x__", "__", "a" * 1_400, " spaced "]
)
def test_odd_names_are_names(ms, open_ms, name):
    run = ms.exper(name).start_run(id=name)
    run.finish()

    assert [one.name for one in open_ms().experiments()] == [name]
    assert open_ms().experiment(name).run(name).id == name


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\ud800", "é" * 1_000, "@x", 7, None])
def test_impossible_names_are_refused_before_any_write(ms, name):
    with pytest.raises(al.InvalidValueError, match="name"):
        ms.exper(name)

    assert ms.projects() == []


def test_tags_are_added_and_replaced(ms, open_ms):  # M19
    exper = ms.exper("e")
    exper.tag("a", "b")
    exper.tag("b", "c")
    ms.flush()
    assert open_ms().experiment("e").tags == ("a", "b", "c")

    exper.tag(overwrite=True)
    ms.flush()
    assert open_ms().experiment("e").tags == ()
    with pytest.raises(al.InvalidValueError, match="list"):
        exper.tags = "abc"


def test_numbers_of_an_experiment_survive(ms, open_ms):
    ms.exper("e").add_metric("best", math.inf)
    ms.flush()

    assert open_ms().experiment("e").metrics == {"best": math.inf}


def test_the_author_is_stored(ms, monkeypatch):  # M20
    monkeypatch.setenv("ALETHEIA_AUTHOR", "ada")
    run = ms.exper("e").start_run()

    assert run.record.created_by == "ada"


def test_the_author_is_the_user_of_the_system_unless_told(ms, monkeypatch):  # M20
    monkeypatch.delenv("ALETHEIA_AUTHOR", raising=False)

    assert ms.exper("e").start_run().record.created_by == getpass.getuser()


def test_repr_says_which_store_and_why(ms, store_url):
    assert store_url in repr(ms)
    assert "argument" in repr(ms)


def test_a_metastore_is_iterated_by_the_names_it_takes():  # M18
    with al.Metastore("p", url="memory://", git="off") as ms:
        for name in ("b", "a/b"):
            ms.exper(name)

        assert sorted(ms) == ["a/b", "b"]
        assert [ms[name].name for name in ms] == list(ms)
