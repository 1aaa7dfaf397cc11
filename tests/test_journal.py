"""The journal gives back what was appended, in order, once, and from any file it left."""

from __future__ import annotations

import datetime as dt
import json
import logging
import math
import os
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aletheia_like.errors import UnavailableError
from aletheia_like.journal import (
    SUFFIX,
    Journal,
    check_line,
    claimed,
    journals,
    read_head,
    read_journal,
    writer_of,
)

HEAD = {"path": "projects/p", "create": {"at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def journal(folder):
    journal = Journal(folder, "w", HEAD)
    yield journal
    journal.leave()


def row(number, width=0):
    return json.dumps([number, 0.5, {"x": "x" * width}]).encode()


def drained(journal, limit=1 << 20):
    found = []
    while rows := journal.take(limit):
        found += rows
    return found


def test_nothing_is_touched_before_the_first_line(folder, journal):
    assert journal.take() == journal.peek() == []
    assert not journal.has_more()
    journal.sync()
    journal.remove()
    assert not folder.exists()


def test_rows_are_taken_once_and_in_order(journal):
    rows = [row(number) for number in range(100)]
    for one in rows:
        journal.append(one)

    assert journal.has_more()
    assert drained(journal) == rows
    assert not journal.has_more()
    assert journal.take() == []


def test_peeking_leaves_rows_to_be_taken(journal):
    journal.append(row(1))
    journal.append(row(2))
    taken = journal.take(10)

    assert [*taken, *journal.peek()] == [row(1), row(2)]
    assert journal.peek() == journal.peek()
    assert [*taken, *drained(journal)] == [row(1), row(2)]


@pytest.mark.parametrize("limit", [1, 30, 100, 1_000, 10**6])
def test_about_as_many_bytes_are_taken_as_wanted(journal, limit):
    rows = [row(number, width) for number, width in enumerate([0, 500, 0, 0, 3_000, 7])]
    for one in rows:
        journal.append(one)

    first = journal.take(limit)

    assert first
    assert sum(map(len, first)) <= max(limit, 4 * len(first[0]))
    assert first + drained(journal, limit) == rows


def test_a_line_can_be_read_as_soon_as_it_was_appended(folder, journal):
    for number in range(3):
        journal.append(row(number))

        (path,) = journals(folder)
        assert len(read_journal(path).rows) == number + 1


def test_a_journal_says_whose_it_is(folder, journal):
    journal.append(row(1))

    (path,) = journals(folder)
    head = {"journal": 1, "writer": "w", **HEAD}
    assert read_journal(path).head == read_head(path) == head
    assert writer_of(path) == "w"


def test_notes_keep_whatever_a_document_holds(folder, journal):
    value = {"nan": math.nan, "bytes": b"\x00", "at": HEAD["create"]["at"], "list": [1, None]}
    journal.append(row(1))
    first = journal.note({"set": [{"path": ["a"], "value": value}]})
    second = journal.note({"set": []})
    journal.done(first)

    (path,) = journals(folder)
    content = read_journal(path)
    assert (first, second) == (1, 2)
    assert content.rows == [row(1)]
    assert [one.get("note") for one in content.notes] == [1, 2, None]
    assert content.notes[2] == {"done": 1}
    stored = content.notes[0]["set"][0]["value"]
    assert math.isnan(stored.pop("nan"))
    assert stored == {key: one for key, one in value.items() if key != "nan"}


def test_notes_are_not_taken_for_rows(journal):
    journal.note({"set": []})
    journal.append(row(1))
    journal.note({"set": []})
    journal.done(1)

    assert journal.peek() == [row(1)]
    assert drained(journal) == [row(1)]
    assert not journal.has_more()


def test_every_line_carries_its_checksum(folder, journal):
    journal.append(row(1))

    (path,) = journals(folder)
    for line in path.read_bytes().splitlines():
        body = line[9:]
        assert line[:9] == b"%08x " % zlib.crc32(body)
        assert check_line(line) == body
        assert check_line(line[:-1]) is None
    for wrong in (b"", b"1", b"zzzzzzzz {}", b"00000000 {}", b"00000000 ", b"00000000"):
        assert check_line(wrong) is None


def test_a_long_journal_goes_on_in_new_files(folder):
    journal = Journal(folder, "w", HEAD, segment_bytes=1_000)
    rows = [row(number, 40) for number in range(100)]
    for one in rows:
        journal.append(one)

    found = journals(folder)
    assert len(found) > 3
    assert [one for path in sorted(found) for one in read_journal(path).rows] == rows
    assert all(read_journal(path).head["writer"] == "w" for path in found)
    assert journal.peek() == drained(journal) == rows
    journal.leave()


def test_files_whose_lines_are_all_stored_are_removed(folder):
    journal = Journal(folder, "w", HEAD, segment_bytes=1_000)
    for number in range(100):
        journal.append(row(number, 40))
    before = len(journals(folder))

    journal.take(2_500)
    journal.done(0)
    some = len(journals(folder))
    drained(journal)
    journal.done(0)

    assert before > some > 1
    assert len(journals(folder)) == 1
    journal.append(row(1))
    assert drained(journal) == [row(1)]
    journal.leave()


def test_a_file_with_a_note_that_is_not_stored_stays(folder):
    journal = Journal(folder, "w", HEAD, segment_bytes=300)
    noted = journal.note({"set": [{"path": ["a"], "value": 1}]})
    for number in range(20):
        journal.append(row(number, 40))
    drained(journal)

    journal.done(noted - 1)
    with_note = len(journals(folder))
    journal.done(noted)

    assert with_note > len(journals(folder)) == 1
    journal.leave()


def test_a_journal_that_is_stored_leaves_nothing(folder, journal):
    journal.append(row(1))
    drained(journal)
    journal.remove()

    assert journals(folder) == []
    assert list(folder.iterdir()) == []


def test_a_row_that_came_meanwhile_keeps_the_journal(folder, journal):
    journal.append(row(1))
    drained(journal)
    journal.append(row(2))
    journal.remove()

    assert len(journals(folder)) == 1
    assert drained(journal) == [row(2)]


def test_a_journal_may_go_on_after_it_was_removed(folder, journal):
    journal.append(row(1))
    drained(journal)
    journal.remove()
    journal.append(row(2))

    (path,) = journals(folder)
    assert read_journal(path).rows == drained(journal) == [row(2)]


def test_only_the_files_of_a_writer_that_is_gone_can_be_claimed(folder, journal):
    journal.append(row(1))
    (path,) = journals(folder)

    with claimed(path) as held:
        assert not held
    journal.leave()
    with claimed(path) as held, claimed(path) as twice:
        assert held
        assert not twice
    path.unlink()
    with claimed(path) as held:
        assert not held


def test_journals_are_sorted_by_their_last_change(folder):
    for name, moment in (("late", 3_000), ("early", 1_000), ("mid", 2_000)):
        one = Journal(folder, name, HEAD)
        one.append(row(1))
        one.leave()
        os.utime(folder / f"{name}-0000.journal", (moment, moment))
    (folder / "other.txt").write_text("x")

    assert [writer_of(path) for path in journals(folder)] == ["early", "mid", "late"]
    assert journals(folder / "nowhere") == []


def test_two_writers_have_files_of_their_own(folder, journal):
    other = Journal(folder, "v", HEAD)
    journal.append(row(1))
    other.append(row(2))

    assert sorted(map(writer_of, journals(folder))) == ["v", "w"]
    assert (drained(journal), drained(other)) == ([row(1)], [row(2)])
    other.leave()


def test_what_the_disk_refuses_is_held_and_written_later(folder, caplog):
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")
    journal = Journal(folder, "w", HEAD)
    with caplog.at_level(logging.WARNING, "aletheia"):
        for number in range(5):
            journal.append(row(number))
    assert journal.peek() == [row(number) for number in range(5)]
    assert len(caplog.records) == 1

    folder.unlink()
    journal.append(row(5))

    (path,) = journals(folder)
    assert read_journal(path).rows == drained(journal) == [row(number) for number in range(6)]
    journal.leave()


def test_what_is_held_can_be_taken_like_all_else(folder):
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")
    journal = Journal(folder, "w", HEAD)
    journal.append(row(1))
    journal.note({"set": []})
    journal.append(row(2))

    assert journal.has_more()
    assert journal.take() == [row(1), row(2)]
    assert not journal.has_more()
    assert journal.take() == journal.peek() == []


def test_a_strict_journal_refuses_what_the_disk_refuses(folder):
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")
    journal = Journal(folder, "w", HEAD, strict=True)

    with pytest.raises(UnavailableError, match="free some space"):
        journal.append(row(1))
    assert not journal.has_more()
    assert journal.peek() == []


@settings(max_examples=50)
@given(
    st.lists(st.binary(max_size=60).map(lambda data: b"[" + data.replace(b"\n", b" ") + b"]")),
    st.integers(200, 500),
    st.data(),
)
def test_any_rows_come_back_from_any_files(tmp_path_factory, rows, segment_bytes, data):
    folder = tmp_path_factory.mktemp("any")
    journal = Journal(folder, "w", HEAD, segment_bytes=segment_bytes)
    taken = []

    for one in rows:
        journal.append(one)
        if data.draw(st.booleans()):
            taken += journal.take(data.draw(st.integers(1, 200)))

    assert [*taken, *journal.peek()] == rows
    journal.leave()
    kept = [one for path in sorted(journals(folder)) for one in read_journal(path).rows]
    assert kept == rows


def test_a_head_of_a_file_that_is_gone_is_nobodys(tmp_path):
    assert read_head(tmp_path / f"gone-0000{SUFFIX}") == {}
