"""`aletheia sync` sends what runs left, says what it did, and can be repeated."""

from __future__ import annotations

import pytest

import aletheia_like as al

FAILURE, UNAVAILABLE = 1, 7
AWAY = {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1", "ALETHEIA_TIMEOUT": "1"}


@pytest.fixture
def rows(tmp_path):
    def read(run_id=1, project="p"):
        url = (tmp_path / "home").as_uri()
        with al.Metastore(project, url=url, cache_dir=tmp_path / "cache", git="off") as ms:
            return ms.experiment("sweep").run(run_id).rows()["step"]

    return read


def journals(tmp_path):
    return list((tmp_path / "home" / "journal").rglob("*.journal"))


def test_nothing_to_send(aletheia, tmp_path):
    done = aletheia("sync")
    assert (done.code, done.out, done.err.strip()) == (0, "", "nothing to send")
    assert aletheia("sync", "--json").json == []
    assert not (tmp_path / "home").exists()


def test_rows_are_sent_once(aletheia, killed, rows, tmp_path):  # C11
    killed(5)
    dry = aletheia("sync", "--dry-run")
    assert (dry.code, dry.out) == (0, "would  p/sweep/1: 5 rows\n")
    assert len(journals(tmp_path)) == 1

    done = aletheia("sync")
    assert (done.code, done.out) == (0, "sent   p/sweep/1: 5 rows\n")
    assert done.err.strip() == "5 rows of 1 journal sent"
    assert rows() == list(range(5))
    assert journals(tmp_path) == []
    assert "nothing to send" in aletheia("sync").err


def test_the_end_of_a_killed_run_is_told(aletheia, killed):
    killed()
    aletheia("sync")

    assert aletheia("show", "p/sweep/1", "--json").json["status"] == "lost"


def test_torn_lines_are_counted(aletheia, killed, rows, tmp_path):
    killed(3)
    (journal,) = journals(tmp_path)
    with journal.open("ab") as stream:
        stream.write(b'00000000 [4,1.0,{"st')

    assert aletheia("sync").out == "sent   p/sweep/1: 3 rows, 1 torn line left out\n"
    assert rows() == [0, 1, 2]


def test_projects_and_stores_can_be_chosen(aletheia, killed):
    killed(1, project="p")
    killed(2, project="q")
    sent = aletheia("sync", "-p", "q", "--json").json
    assert [(one["run"], one["rows"], one["error"]) for one in sent] == [("q/sweep/1", 2, None)]
    assert "nothing to send" in aletheia("sync", "--url", "memory://").err
    assert "p/sweep/1" in aletheia("sync", ALETHEIA_PROJECT="q").out


def test_a_store_that_is_away_keeps_its_journal_and_others_are_sent(
    aletheia, killed, tmp_path, firestore_emulator
):
    cloud = "firestore://demo-sync"
    for _ in range(2):
        killed(2, url=cloud, FIRESTORE_EMULATOR_HOST=firestore_emulator)
    killed(3)

    done = aletheia("sync", **AWAY)
    assert done.code == UNAVAILABLE
    assert "sent   p/sweep/1: 3 rows" in done.out
    assert done.out.count("kept   p/sweep/") == 2
    assert done.out.count("cannot be reached") == 1
    assert "3 rows of 1 journal sent; 2 journals kept" in done.err
    assert len(journals(tmp_path)) == 2
    later = aletheia("sync", "--json", FIRESTORE_EMULATOR_HOST=firestore_emulator).json
    assert [(one["url"], one["rows"]) for one in later] == [(cloud, 2)] * 2
    assert journals(tmp_path) == []


def test_the_rows_of_a_deleted_run_stay_here(aletheia, killed, tmp_path):
    killed()
    aletheia("delete", "p/sweep/1", "--yes", "--force", "--forever")
    done = aletheia("sync")

    assert (done.code, "was deleted" in done.out) == (FAILURE, True)
    assert len(journals(tmp_path)) == 1


def test_a_journal_that_cannot_be_read_stays(aletheia, killed, tmp_path):  # R21
    killed(3)
    (journal,) = journals(tmp_path)
    damaged = journal.read_bytes().translate(bytes.maketrans(b"0123456789", b"1234567890"))
    journal.write_bytes(damaged)

    aletheia("sync")

    assert journal.read_bytes() == damaged
