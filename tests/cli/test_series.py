"""`aletheia series`, as Lakota's shell session goes."""

from __future__ import annotations

import pytest

BRUSSELS = """\
timestamp,value
2020-01-01T00:00:00,1.0
2020-01-02T00:00:00,2.0
2020-01-03T00:00:00,3.0
2020-01-04T00:00:00,4.0
"""


@pytest.fixture
def written(aletheia, tmp_path):
    """A collection with a series of four days."""
    (tmp_path / "brussels.csv").write_text(BRUSSELS)
    columns = ("timestamp timestamp*", "value float")
    assert aletheia("series", "create", "temperature", *columns, "-p", "p").code == 0
    done = aletheia("series", "write", "temperature/Brussels", "brussels.csv", "-p", "p")
    assert done.code == 0, done.err
    return done.out.strip()


def test_a_session_in_the_shell(aletheia, written, tmp_path):  # C9, L31
    def run(*arguments):
        done = aletheia("series", *arguments, "-p", "p")
        assert done.code == 0, done.err
        return done

    assert run("ls").out == "temperature\n"
    assert run("ls", "temperature").out == "Brussels\n"
    assert run("read", "temperature/Brussels", "--csv").out == BRUSSELS
    shown = run("read", "temperature/Brussels", "--stop", "2020-01-03", "--closed", "both")
    assert [line.split() for line in shown.out.splitlines()[2:]] == [
        [f"2020-01-0{day}T00:00:00", f"{day}.0"] for day in (1, 2, 3)
    ]
    assert len(run("read", "temperature/Brussels", "--tail", "2", "--json").json) == 2
    paged = run("read", "temperature/Brussels", "--paginate", "3", "--csv")
    assert paged.out == BRUSSELS
    limited = run("read", "temperature/Brussels", "--limit", "1", "--offset", "1", "-c", "value")
    assert limited.out.split()[-1] == "2.0"

    (tmp_path / "more.csv").write_text("timestamp,value\n2020-01-02,20\n")
    again = run("write", "temperature/Brussels", "more.csv").out.strip()
    assert [row["revision"] for row in run("rev", "temperature", "--json").json] == [
        written,
        again,
    ]
    assert again in run("rev", "temperature/Brussels").out
    past = run("read", "temperature/Brussels", "--before", again, "--csv")
    assert past.out == BRUSSELS
    monthly = run("read", "temperature/Brussels", "--by", "month", "--agg", "value=max", "--json")
    assert monthly.json == [{"timestamp": "2020-01-01T00:00:00", "value_max": 20.0}]

    assert (
        "1 head" in run("merge", "temperature").err
        or "one head" in run("merge", "temperature").err
    )
    assert "1 series" in run("defrag", "temperature").err
    assert run("push", "./other", "temperature").out.startswith("2 revisions")
    assert run("push", "./other").out.startswith("0 revisions")
    assert run("pull", "./other").out.startswith("0 revisions")
    assert run("trim", "temperature", "--dry-run", "--json").json["forgotten"] == 1
    assert "forgot 1 revision" in run("trim", "temperature", "--yes").err
    assert run("gc", "--json").json["swept"] == 0
    run("rename", "temperature/Brussels", "Bruxelles")
    run("delete", "temperature/Bruxelles", "--stop", "2020-01-04")
    assert run("read", "temperature/Bruxelles", "--csv").out.splitlines()[1:] == [
        "2020-01-04T00:00:00,4.0"
    ]
    run("rename", "temperature", "heat")
    run("delete", "heat", "--yes")
    assert run("ls").out == ""


def test_rows_come_from_standard_input(process, written):  # C9
    done = process("series", "write", "temperature/Ghent", "-p", "p", stdin=BRUSSELS)

    assert done.code == 0, done.err
    assert "4 rows" in done.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("read", "temperature/Nowhere"), 3),
        (("read", "nowhere/Brussels"), 3),
        (("read", "temperature"), 2),
        (("read", "temperature/Brussels", "--start", "soon"), 2),
        (("write", "temperature/Brussels", "bad.csv"), 2),
        (("create", "temperature", "at int*"), 2),
        (("create", "other", "at int"), 2),
        (("trim", "temperature", "--before", "long ago"), 2),
        (("delete", "temperature"), 2),
    ],
)
def test_what_is_wrong_has_an_exit_code(aletheia, written, tmp_path, arguments, code):
    (tmp_path / "bad.csv").write_text("timestamp,value\n2020-01-01\n")

    assert aletheia("series", *arguments, "-p", "p").code == code


def test_numbers_are_numbers_in_json(aletheia, written):  # C9, C12
    found = aletheia("series", "read", "temperature/Brussels", "--json", "--tail", "1", "-p", "p")

    assert found.json == [{"timestamp": "2020-01-04T00:00:00", "value": 4.0}]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"timestamp,value\n2020-01-01,\xff\n", "no text in UTF-8"),
        (b"timestamp,value,value\n2020-01-01,1,2\n", "'value' twice"),
        (b"timestamp,value\n2020-01-01,1\n2020-01-02\n", "line 3 has 1 cell, the first"),
    ],
)
def test_input_that_is_no_table_is_refused(aletheia, written, tmp_path, content, why):  # C9
    (tmp_path / "wrong.csv").write_bytes(content)

    done = aletheia("series", "write", "temperature/Brussels", "wrong.csv", "-p", "p")

    assert done.code == 2
    assert why in done.err


def test_the_mark_that_spreadsheets_begin_a_file_with_is_no_name(aletheia, written, tmp_path):
    (tmp_path / "excel.csv").write_bytes(b"\xef\xbb\xbf" + BRUSSELS.encode())

    done = aletheia("series", "write", "temperature/Brussels", "excel.csv", "-p", "p")

    assert (done.code, "nothing to do" in done.err) == (0, True)


@pytest.mark.parametrize(
    "options",
    [
        ("--tail", "2", "--limit", "1"),
        ("--by", "day", "--paginate", "2"),
        ("--csv", "--json"),
        ("--agg", "value=max"),
    ],
)
def test_options_that_do_not_go_together_are_refused(aletheia, written, options):  # C12
    done = aletheia("series", "read", "temperature/Brussels", *options, "-p", "p")

    assert done.code == 2
    assert options[0] in done.err


def test_pages_and_columns_that_come_twice_are_as_asked(aletheia, written):  # C9, T6
    options = ("--paginate", "2", "--limit", "3", "-c", "value,value", "--csv")

    found = aletheia("series", "read", "temperature/Brussels", *options, "-p", "p")

    assert found.out.split() == ["value", "1.0", "2.0", "3.0"]


def test_a_rename_stays_in_its_collection(aletheia, written):  # C9, T9
    moved = aletheia("series", "rename", "temperature/Brussels", "rain/Brussels", "-p", "p")
    named = aletheia("series", "rename", "temperature/Brussels", "temperature/Ghent", "-p", "p")
    gone = aletheia("series", "delete", "temperature/Brussels", "-p", "p")

    assert (moved.code, named.code, gone.code) == (2, 0, 3)
    assert aletheia("series", "ls", "temperature", "-p", "p").out == "Ghent\n"
