"""A save is all or nothing, once, whatever happens in the middle of it and whoever else saves."""

from __future__ import annotations

import contextlib
import secrets
import signal
import subprocess
import sys
import threading

import pytest

import aletheia_like as al
from aletheia_like.testing.stores import FailingBlobStore, FailingDocumentStore

MEMBERS = ("features", "weights")
PROGRAM = """
import os, signal, sys
import aletheia_like as al

url, mode, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
ms = al.Metastore("p", url=url, cache_dir=sys.argv[4], git="off")
repository = ms.repository("models")
if mode == "kill":
    store = ms.session.documents

    class Dying:
        left = number

        def apply(self, writes):
            Dying.left -= 1
            if Dying.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return store.apply(writes)

        def __getattr__(self, name):
            return getattr(store, name)

    ms.session.documents = Dying()
    repository.log_artifact("features", [number], handler="json")
    repository.log_artifact("weights", [number], handler="json", aliases=["best"])
    repository.save()
else:
    for turn in range(3):
        repository.log_artifact("features", [number, turn], handler="json")
        repository.save()
"""


@pytest.fixture(params=["memory", "embedded"])
def url(request, tmp_path):
    return "memory://" if request.param == "memory" else (tmp_path / "store").as_uri()


@pytest.fixture
def ms(url, tmp_path):
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as opened:
        yield opened


@pytest.fixture
def cloud(request, tmp_path):
    request.getfixturevalue("firestore_emulator")
    request.getfixturevalue("gcs_emulator")
    url = f"firestore://demo-{secrets.token_hex(6)}/(default)?bucket=aletheia-emulator"
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as opened:
        yield opened


class Counting:
    """Counts calls, and fails the one of a number, before or after its work."""

    def __init__(self, outage, number, when):
        self.outage, self.left, self.when = outage, number, when

    def pass_through(self, work):
        self.left -= 1
        if self.left == 0:
            self.outage.begin(1, self.when)
        return self.outage.pass_through(work)


def break_at(session, which, number, when):
    """Let one call of a store fail; return what tells whether it came to that."""
    failing = (FailingDocumentStore if which == "documents" else FailingBlobStore)(
        getattr(session, which)
    )
    outage = failing.outage
    failing.outage = Counting(outage, number, when)
    setattr(session, which, failing)
    return outage


def fill(repository):
    repository.log_artifact("features", [secrets.token_hex(4)], handler="json")
    repository.log_artifact("weights", [1], handler="json", aliases=["best"])


def seen(ms):
    """Return the versions that a reader sees, by name."""
    if not ms.repositories():
        return {}
    repository = ms.repository("models", "r")
    return {name: len(repository.versions(name)) for name in repository.names}


def check_interruptions(ms, which, whens=("before", "after")):
    """Break a save at each of its steps; it is whole or absent, and saving again makes it one."""
    done = 0
    for number in range(1, 30):
        met = 0
        for when in whens:
            inner = getattr(ms.session, which)
            repository = ms.repository("models")
            fill(repository)
            outage = break_at(ms.session, which, number, when)
            with contextlib.suppress(al.UnavailableError):
                repository.save()
            setattr(ms.session, which, inner)

            assert seen(ms) in (
                dict.fromkeys(MEMBERS, done) if done else {},
                dict.fromkeys(MEMBERS, done + 1),
            )
            repository.save()
            done += 1
            assert seen(ms) == dict.fromkeys(MEMBERS, done)
            met += outage.met
        if met == 0:
            return number
    pytest.fail("a save has no end")


@pytest.mark.parametrize("which", ["documents", "blobs"])
def test_a_save_is_whole_or_absent_wherever_it_is_interrupted(ms, which):  # V19
    assert check_interruptions(ms, which) > 1


def test_a_save_to_the_cloud_is_whole_or_absent_wherever_it_is_interrupted(cloud):  # V19
    assert check_interruptions(cloud, "documents", ["after"]) > 1


@pytest.mark.parametrize("number", [1, 2])
def test_a_process_that_is_killed_while_it_saves_leaves_nothing_half_done(tmp_path, number):
    url = (tmp_path / "store").as_uri()
    command = [sys.executable, "-c", PROGRAM, url, "kill", str(number), str(tmp_path / "cache")]

    done = subprocess.run(command, capture_output=True, timeout=60, check=False)

    assert done.returncode == -signal.SIGKILL, done.stderr
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        assert seen(ms) == {}
        with ms.repository("models") as repository:
            fill(repository)
        assert seen(ms) == dict.fromkeys(MEMBERS, 1)


def save_at_once(ms, savers):
    """Let threads save to one repository; return the errors they met."""
    errors, ready = [], threading.Barrier(savers)

    def save(number):
        try:
            repository = ms.repository("models")
            repository.log_artifact("features", [number], handler="json", aliases=["newest"])
            repository.log_artifact(f"own {number}", [number], handler="json")
            ready.wait(timeout=60)
            repository.save()
        except al.AletheiaError as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(savers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return errors


def check_nothing_is_lost(ms, savers):
    repository = ms.repository("models", "r")
    versions = repository.versions("features")
    assert [one.version for one in versions] == list(range(savers))
    assert sorted(one.load()[0] for one in versions) == list(range(savers))
    assert repository.names == sorted(["features", *(f"own {one}" for one in range(savers))])
    assert repository.aliases("features") == {"newest": savers - 1}
    moves = [one.details for one in repository.audit("features") if one.action == "alias"]
    assert sorted((one["to"], one["from"]) for one in moves) == [
        (number, number - 1 if number else None) for number in range(savers)
    ]


def test_threads_that_save_at_once_lose_nothing(ms):  # V18
    assert save_at_once(ms, 8) == []

    check_nothing_is_lost(ms, 8)


def test_threads_that_save_to_the_cloud_at_once_lose_nothing(cloud):  # V18
    assert save_at_once(cloud, 4) == []

    check_nothing_is_lost(cloud, 4)


def test_processes_that_save_at_once_lose_nothing(tmp_path):  # V18
    url = (tmp_path / "store").as_uri()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, url, "save", str(number), str(tmp_path / "cache")]
        )
        for number in range(3)
    ]

    assert [one.wait(timeout=120) for one in started] == [0, 0, 0]
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        versions = ms.repository("models", "r").versions("features")
        assert [one.version for one in versions] == list(range(9))
        loaded = [tuple(one.load()) for one in versions]
        assert sorted(loaded) == [(who, turn) for who in range(3) for turn in range(3)]
        for who in range(3):
            turns = [turn for one, turn in loaded if one == who]
            assert turns == [0, 1, 2]


def test_threads_that_move_one_alias_leave_an_unbroken_trail(ms):
    repository = ms.repository("models")
    for number in range(5):
        repository.log_artifact("features", [number], handler="json")
    repository.save()
    threads = [
        threading.Thread(target=repository.set_alias, args=("features", "best", number))
        for number in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)

    moves = [one.details for one in repository.audit("features") if one.action == "alias"]
    came_from = {one["from"] for one in moves}
    assert {one["to"] for one in moves} == set(range(5))
    assert came_from == {None, *range(5)} - {repository.aliases("features")["best"]}


def test_of_threads_that_expect_the_same_only_one_moves_the_alias(ms):
    repository = ms.repository("models")
    for number in range(5):
        repository.log_artifact("features", [number], handler="json")
    repository.save()
    outcomes = []

    def move(number):
        try:
            repository.set_alias("features", "best", number, expected=None)
            outcomes.append("moved")
        except al.ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=move, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)

    assert sorted(outcomes) == ["moved", *["refused"] * 4]


def test_what_is_staged_after_a_lost_answer_is_saved_once(ms):
    repository, inner = ms.repository("models"), ms.session.documents
    repository.log_artifact("features", [1], handler="json")
    failing = FailingDocumentStore(inner)
    apply = failing.apply

    def lose(writes):
        if any("/audit/" in one.path for one in writes):
            failing.outage.begin(1, "after")
        return apply(writes)

    failing.apply = lose
    ms.session.documents = failing
    with pytest.raises(al.UnavailableError):
        repository.save()
    ms.session.documents = inner
    repository.log_artifact("features", [2], handler="json")

    assert [one.version for one in repository.save()] == [0, 1]
    assert [one.load() for one in repository.versions("features")] == [[1], [2]]
