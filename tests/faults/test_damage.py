"""A journal that a loss of power or a bad disk has damaged gives every line that is whole."""

from __future__ import annotations

import pytest

from aletheia_like.journal import Journal, journals, read_journal
from aletheia_like.metastore.recovering import abandoned

ROWS = [b'[%d,1.5,{"i":%d}]' % (number, number) for number in range(1, 6)]


@pytest.fixture
def journal(tmp_path):
    """A journal of five rows and two notes that its writer left."""
    written = Journal(tmp_path / "j", "w", {"path": "projects/p", "main": True})
    for row in ROWS[:3]:
        written.append(row)
    written.note({"set": [{"path": ["metrics", "a"], "value": 1}]})
    for row in ROWS[3:]:
        written.append(row)
    written.leave()
    return journals(tmp_path / "j")[0]


def test_cut_at_every_byte_it_keeps_every_whole_line(journal):
    data = journal.read_bytes()
    for size in range(len(data)):
        journal.write_bytes(data[:size])
        content = read_journal(journal)
        whole = [row for row in ROWS if row in data[:size]]
        # The line is whole even if only its end is missing.
        assert content.rows == whole, size


def test_with_any_one_byte_flipped_all_other_rows_arrive(journal):
    data = journal.read_bytes()
    for place in range(len(data)):
        flipped = data[place] ^ (0x01, 0x2A, 0xFF)[place % 3]
        journal.write_bytes(data[:place] + bytes([flipped]) + data[place + 1 :])
        content = read_journal(journal)
        begin = data.rfind(b"\n", 0, place) + 1
        end = data.find(b"\n", place)
        hit = data[begin:end] if place < end else b""
        assert content.head["path"] == "projects/p"
        # A flip inside the checksum may leave the same number, in other letters.
        assert content.rows in (ROWS, [row for row in ROWS if row not in hit]), place


def test_a_block_of_zeros_in_the_middle_costs_only_what_lay_there(journal):
    data = journal.read_bytes()
    begin = data.index(ROWS[1])
    journal.write_bytes(data[:begin] + b"\0" * len(ROWS[1]) + data[begin + len(ROWS[1]) :])

    assert read_journal(journal).rows == [row for row in ROWS if row != ROWS[1]]


def test_a_journal_that_cannot_be_read_is_never_removed(journal):
    data = journal.read_bytes()
    journal.write_bytes(data[data.index(ROWS[0]) - 9 :])

    assert list(abandoned(journal.parent)) == []
    assert journal.exists()
