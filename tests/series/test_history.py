"""Several writers: revisions diverge, are joined, moved and tidied, and nothing is lost."""

from __future__ import annotations

import datetime as dt
import threading
import time

import numpy as np
import pytest

import aletheia_like as al
from aletheia_like.ports.documents import Filter, Query
from aletheia_like.series.columnstore import MEDIA_TYPE

NUMBERS = {"at": "int*", "value": "float"}
AT_ONCE = {"grace": dt.timedelta(0), "exclusive": True}


def at(*places, value=None):
    return {"at": list(places), "value": [float(p if value is None else value) for p in places]}


def rows(series, **options):
    frame = series.frame(**options)
    return dict(zip(frame["at"].tolist(), frame["value"].tolist(), strict=True))


def column_blobs(ms):
    wanted = Filter(("media_type",), "==", MEDIA_TYPE)
    return {one.id for one in ms.session.documents.query(Query("files", (wanted,)))}


@pytest.fixture
def two(opened):
    """Equal collections in two stores."""
    return [opened().create_collection(NUMBERS, "c") for _ in range(2)]


def test_writers_in_one_store_lose_nothing(ms):  # T17, L18
    ms.create_collection(NUMBERS, "c")
    errors = []

    def work(number):
        try:
            series = ms.collection("c") / f"series {number % 2}"
            for step in range(5):
                series.write(at(number * 10 + step))
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    clct = ms.collection("c")
    assert errors == []
    assert len(clct.log()) == 20
    assert len(clct.heads()) == 1
    assert len(clct / "series 0") == len(clct / "series 1") == 10


def test_two_handles_of_one_store_build_on_each_other(opened, tmp_path):
    url = (tmp_path / "store").as_uri()
    one = opened(url).create_collection(NUMBERS, "c") / "s"
    two = opened(url).collection("c") / "s"

    one.write(at(1, 2, 3))
    two.write(at(2, value=20))
    one.write(at(3, value=30))

    assert rows(two) == {1: 1.0, 2: 20.0, 3: 30.0}
    assert two.write(at(1)) is None
    assert len(two.collection.heads()) == 1


def test_a_no_op_is_judged_by_what_others_wrote_meanwhile(opened, tmp_path):
    url = (tmp_path / "store").as_uri()
    one = opened(url).create_collection(NUMBERS, "c") / "s"
    one.write(at(1, 2))
    (opened(url).collection("c") / "s").write(at(1, 2, value=0))

    assert one.write(at(1, 2)) is not None
    assert rows(one) == {1: 1.0, 2: 2.0}


def test_merging_is_the_same_everywhere(two):  # T17, L19
    for clct, value in zip(two, (1, 2), strict=True):
        (clct / "s").write(at(value, 5, value=value))
        # Stamps of two stores are in order only if they are of different milliseconds.
        time.sleep(0.002)
    two[0].pull(two[1])
    two[1].pull(two[0])

    merged = [clct.merge()[0].child for clct in two]

    assert merged[0] == merged[1]
    assert two[0].pull(two[1]) == two[1].pull(two[0]) == 0
    assert rows(two[0] / "s") == rows(two[1] / "s") == {1: 1.0, 2: 2.0, 5: 2.0}


def test_who_has_seen_a_write_of_a_fast_clock_writes_after_it(opened):  # T18, L20
    fast, right = opened(), opened()
    clocks = [one.create_collection(NUMBERS, "c") for one in (fast, right)]
    ahead = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    clocks[0].changelog.now = lambda: ahead
    (clocks[0] / "s").write(at(1, value=1))

    with pytest.warns(UserWarning, match="clock"):
        clocks[1].pull(clocks[0])
    (clocks[1] / "s").write(at(1, value=2))
    clocks[0].pull(clocks[1])

    assert rows(clocks[0] / "s") == rows(clocks[1] / "s") == {1: 2.0}
    assert clocks[0].merge() == []


def test_a_machine_whose_clock_is_wrong_takes_the_time_of_the_store(opened, tmp_path):  # T18
    ms = opened((tmp_path / "store").as_uri())
    clct = ms.create_collection(NUMBERS, "c")
    ms.session.clock = lambda: dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)

    made = (clct / "s").write(at(1))

    assert abs(made.at - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)


def test_trim_keeps_what_is_shown(ms):  # T19, L21
    clct = ms.create_collection(NUMBERS, "c")
    made = [(clct / "s").write(at(1, number, value=number)) for number in (2, 3, 4)]
    (clct / "t").write(at(7))
    shown = rows(clct / "s")

    assert clct.trim(made[2]) == 2
    assert clct.log()[0].id == made[2].id
    assert rows(ms.collection("c") / "s") == shown
    assert clct.trim() == 1
    assert clct.trim() == 0
    assert len(clct.log()) == 1
    assert rows(clct / "s") == shown
    with pytest.raises(al.NotFoundError, match="history"):
        (clct / "s").df(before=made[2].at)
    (clct / "s").write(at(100))
    assert rows(clct / "s") == shown | {100: 100.0}


def test_a_chosen_revision_can_be_taken_out(numbers):  # T19
    series = numbers / "s"
    made = [series.write(at(number, number + 1, value=number)) for number in (1, 2, 3)]
    shown = rows(series)

    numbers.drop(made[1])

    assert [one.id for one in numbers.log()] == [made[0].id, made[2].id]
    assert rows(series) == shown == {1: 1.0, 2: 2.0, 3: 3.0, 4: 3.0}
    with pytest.raises(al.InvalidValueError, match="head"):
        numbers.drop(made[2])
    with pytest.raises(al.NotFoundError):
        numbers.drop(made[1])


def test_what_was_trimmed_does_not_come_back_with_a_pull(two):
    for number in range(3):
        (two[0] / "s").write(at(number))
    two[1].pull(two[0])
    two[1].trim()

    assert two[1].pull(two[0]) == 0
    (two[1] / "s").write(at(9))
    assert two[0].pull(two[1]) == 1
    assert rows(two[0] / "s") == rows(two[1] / "s")


def test_a_shallow_copy_has_one_revision_and_the_same_rows(two):  # T20, L17
    for number in range(3):
        (two[0] / "s").write(at(number, number + 1, value=number))

    assert two[1].pull(two[0], shallow=True) == 1
    assert len(two[1].log()) == 1
    assert rows(two[1] / "s") == rows(two[0] / "s")
    (two[1] / "s").write(at(50))
    assert two[0].pull(two[1]) == 1
    assert rows(two[1] / "s") == rows(two[0] / "s")


def test_defrag_joins_small_segments(ms):  # T21, L22
    clct = ms.create_collection(NUMBERS, "c")
    series = clct / "s"
    made = [series.write(at(number)) for number in range(100)]
    shown, past = rows(series), rows(series, before=made[50])
    assert len(series.segments()) == 100

    assert clct.defrag() == 1
    assert clct.defrag() == 0
    assert len(series.segments()) == 1
    assert rows(series) == rows(ms.collection("c") / "s") == shown
    assert rows(series, before=made[50]) == past
    assert len(clct.log()) == 100
    series.write(at(50, value=0))
    assert rows(series) == shown | {50: 0.0}


def test_equal_rows_have_equal_segments_after_defrag(two):  # T21
    for number in range(20):
        (two[0] / "s").write(at(number))
        (two[1] / "s").write(at(19 - number))

    for clct in two:
        clct.defrag()

    assert (two[0] / "s").segments() == (two[1] / "s").segments()


def test_a_write_older_than_a_defrag_still_loses_and_a_newer_one_wins(two):
    (two[0] / "s").write(at(1, 2, 3, value=1))
    two[1].pull(two[0])
    (two[1] / "s").write(at(2, value=2))
    (two[0] / "s").write(at(3, value=3))

    two[0].defrag()
    two[0].pull(two[1])
    two[0].merge()

    assert rows(two[0] / "s") == {1: 1.0, 2: 2.0, 3: 3.0}


def test_many_writes_are_one_revision(ms):  # T22, L23
    clct = ms.create_collection(NUMBERS, "c")

    with clct.multi():
        for number in range(1_000):
            (clct / f"series {number:04}").write(at(1, 2, value=number))

    assert len(clct.log()) == 1
    assert len(clct.ls()) == 1_000
    assert rows(ms.collection("c") / "series 0999") == {1: 999.0, 2: 999.0}


def test_an_exception_in_multi_leaves_nothing(numbers):  # T22
    def work():
        with numbers.multi():
            (numbers / "s").write(at(1))
            raise KeyError

    with pytest.raises(KeyError):
        work()

    assert numbers.log() == []
    (numbers / "s").write(at(2))
    assert rows(numbers / "s") == {2: 2.0}


def test_writes_in_multi_see_each_other(numbers):
    (numbers / "s").write(at(1, 2, 3))
    with numbers.multi(), numbers.multi():
        (numbers / "s").write(at(2, value=0))
        (numbers / "s").write(at(2))
        (numbers / "s").delete(3)
        (numbers / "s").rename("t")
        (numbers / "t").update({"at": [1, 2], "value": [10, 20]})

    assert len(numbers.log()) == 2
    assert numbers.ls() == ["t"]
    assert rows(numbers / "t") == {1: 10.0, 2: 20.0}


def test_garbage_goes_after_its_grace_time_only(ms):  # T23, L24
    clct = ms.create_collection(NUMBERS, "c")
    values = np.random.default_rng(0).random((2, 20_000))
    series = clct / "s"
    for one in values:
        series.write({"at": np.arange(20_000), "value": one})
    there = column_blobs(ms)
    assert ms.gc(dry_run=False, **AT_ONCE).swept == 0

    clct.trim()
    assert ms.gc(dry_run=False).young == 1
    assert ms.gc(dry_run=True, **AT_ONCE).swept == 1
    assert column_blobs(ms) == there
    assert ms.gc(dry_run=False, **AT_ONCE).swept == 1

    assert len(column_blobs(ms)) == len(there) - 1
    assert series.frame()["value"].tolist() == values[1].tolist()
    series.write({"at": np.arange(20_000), "value": values[0]})
    assert series.frame()["value"].tolist() == values[0].tolist()


def test_content_that_is_written_again_is_no_garbage(ms):  # T23
    clct = ms.create_collection(NUMBERS, "c")
    values = np.random.default_rng(0).random(20_000)
    data = {"at": np.arange(20_000), "value": values}
    (clct / "s").write(data)
    (clct / "s").delete()
    clct.trim()
    (clct / "t").write(at(1))
    clct.trim()
    assert ms.gc(dry_run=True, **AT_ONCE).swept > 0

    (clct / "again").write(data)

    assert ms.gc(dry_run=False, **AT_ONCE).swept == 0
    assert (clct / "again").frame()["value"].tolist() == values.tolist()


def test_many_revisions_are_packed_and_read_back(opened, tmp_path):  # T24
    url = (tmp_path / "store").as_uri()
    clct = opened(url).create_collection(NUMBERS, "c")
    series = clct / "s"
    for number in range(300):
        series.write(at(number))

    documents = list(opened(url).session.documents.query(Query(clct.changelog.collection)))
    again = opened(url).collection("c")

    assert len(documents) < 150
    assert len(again.log()) == 300
    assert rows(again / "s") == {number: float(number) for number in range(300)}
    assert rows(again / "s", before=again.log()[200]) == {n: float(n) for n in range(200)}
    (again / "s").write(at(300))
    assert len(clct.log()) == 301
    assert clct.trim() == 300
    assert len(series) == 301


def test_every_collection_is_moved_with_what_belongs_to_it(ms, opened):  # T14, L15
    with ms.exper("e").start_run() as run:
        run.log(loss=1.0, step=1)
    clct = ms.create_collection(NUMBERS, "c")
    values = np.random.default_rng(0).random(20_000)
    (clct / "s").write({"at": np.arange(20_000), "value": values})
    (clct / "s").write(at(5, value=0))
    other = opened()

    moved = other.pull(ms)

    assert (moved.collections, moved.revisions, moved.runs, moved.blobs) == (1, 2, 1, 2)
    assert other.collections() == ["c"]
    assert (other / "c" / "s").frame().equals((clct / "s").frame())
    again = other.pull(ms)
    assert (again.revisions, again.blobs, again.bytes, again.rows) == (0, 0, 0, 0)
    (other / "c" / "s").write(at(6, value=0))
    assert other.push(ms).revisions == 1
    assert (other / "c" / "s").frame().equals((clct / "s").frame())


def test_some_collections_can_be_chosen(opened):
    one, two = opened(), opened()
    for label in ("a", "b"):
        (one.create_collection(NUMBERS, label) / "s").write(at(1))
    one.exper("e").start_run().finish()

    assert two.pull(one, collections=["b"], shallow=True).revisions == 1
    assert two.collections() == ["b"]
    assert two.experiments() == []
    assert two.pull(one, experiments=["e"]).collections == 0
    assert two.pull(one).collections == 1
    with pytest.raises(al.NotFoundError):
        two.pull(one, collections=["z"])
    with pytest.raises(al.InvalidValueError):
        two.pull(one, collections="a")


def test_another_schema_is_refused_before_anything_moves(opened):  # T14
    one, two = opened(), opened()
    (one.create_collection(NUMBERS, "a") / "s").write(at(1))
    (one.create_collection(NUMBERS, "b") / "s").write(at(1))
    two.create_collection({"at": "int*", "value": "int"}, "b")

    with pytest.raises(ValueError, match="schema"):
        two.pull(one)
    with pytest.raises(ValueError, match="schema"):
        (one / "b").push(two / "b")

    assert two.collections() == ["b"]
    assert (two / "b").log() == []


def test_an_interrupted_pull_goes_on_where_it_was(opened, tmp_path):
    from aletheia_like.testing.stores import FailingDocumentStore

    one, two = opened(), opened()
    clct = one.create_collection(NUMBERS, "c")
    for number in range(5):
        values = np.random.default_rng(number).random(30_000)
        (clct / "s").write({"at": np.arange(30_000), "value": values})
    target = two.create_collection(NUMBERS, "c")
    failing = FailingDocumentStore(two.session.documents)
    two.session.documents = failing
    failed = 0
    for after in range(0, 30, 3):
        failing.outage.left = 0
        calls = [after]

        def pass_through(work, calls=calls):
            calls[0] -= 1
            if calls[0] < 0:
                message = "an outage on purpose"
                raise al.UnavailableError(message)
            return work()

        failing.outage.pass_through = pass_through
        try:
            target.pull(clct)
        except al.UnavailableError:
            failed += 1
    failing.outage.pass_through = lambda work: work()

    target.pull(clct)

    assert failed
    assert (target / "s").frame().equals((clct / "s").frame())
    assert [one.id for one in target.log()] == [one.id for one in clct.log()]
    assert target.pull(clct) == 0


@pytest.mark.parametrize("name", ["all.jsonl", "all.db", "all.parquet"])
def test_an_export_holds_collections_with_their_history(opened, tmp_path, name):  # T27, L29
    one, two = opened(), opened()
    clct = one.create_collection(NUMBERS, "a/b")
    values = np.random.default_rng(0).random(20_000)
    (clct / "s").write({"at": np.arange(20_000), "value": values})
    with clct.multi():
        for number in range(200):
            (clct / f"t{number}").write(at(number))
    for number in range(150):
        (clct / "u").write(at(number))
    one.exper("e").start_run().finish()

    one.export(tmp_path / name)
    moved = two.import_(tmp_path / name)

    assert (moved.collections, moved.revisions, moved.runs) == (1, 152, 1)
    assert two.import_(tmp_path / name).revisions == 0
    copied = two / "a/b"
    assert [line.id for line in copied.log()] == [line.id for line in clct.log()]
    assert copied.ls() == clct.ls()
    for label in ("s", "t7", "u"):
        assert (copied / label).frame().equals((clct / label).frame())
    one.export(tmp_path / f"chosen-{name}", experiments=["e"])
    assert opened().import_(tmp_path / f"chosen-{name}").collections == 0


WRITER = """
import sys
import aletheia_like as al

ms = al.Metastore("p", url=sys.argv[1], cache_dir=sys.argv[2], git="off")
series = ms / "c" / "s"
for number in range(20):
    place = int(sys.argv[3]) + 2 * number
    series.write({"at": [place], "value": [place]})
"""


def test_processes_that_write_at_once_lose_nothing(opened, tmp_path):  # T17, T24
    import subprocess
    import sys

    url = (tmp_path / "store").as_uri()
    clct = opened(url).create_collection(NUMBERS, "c")
    command = [sys.executable, "-c", WRITER, url, str(tmp_path / "cache")]

    writers = [subprocess.Popen([*command, str(number)]) for number in range(2)]

    assert [one.wait(timeout=120) for one in writers] == [0, 0]
    assert rows(clct / "s") == {number: float(number) for number in range(40)}
    assert len(clct.log()) == 40
