"""Series under faults: killed writers, stores that diverge, broken moves, damaged bytes."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest

import aletheia_like as al
from aletheia_like.adapters.gcs import GcsBlobStore
from aletheia_like.ports.documents import Create, Query
from aletheia_like.series.columnstore import MEDIA_TYPE
from aletheia_like.testing.emulators import BUCKET
from tests.faults.faulty import Faulty

SEED = int(os.environ.get("ALETHEIA_TEST_SEED", random.randrange(1 << 30)))
NUMBERS = {"at": "int*", "value": "float"}
LONG = 20_000
"""Rows whose values take a blob of their own."""


def rows(series):
    frame = series.frame()
    return dict(zip(frame["at"].tolist(), frame["value"].tolist(), strict=True))


def noise(seed, count=LONG):
    return {"at": np.arange(count), "value": np.random.default_rng(seed).random(count)}


# Forked from one program that has loaded everything, so that many kills cost no many imports.
NURSERY = """
seed, count, at_once, task = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
chance = random.Random(seed)
import numpy as np
import aletheia_like.series.moving, aletheia_like.series.tidying, aletheia_like.series.frame
from aletheia_like.adapters import sqlite, directory
if os.environ["STORE"].startswith("firestore"):
    from google.cloud import firestore_v1
    from aletheia_like.adapters import firestore

def write(number, chance, clct):
    # Two series in one revision: both have it, or neither.
    values = np.random.default_rng(number).random(20_000)
    for index in itertools.count():
        with clct.multi():
            for side in "left", "right":
                (clct / f"{side} {number}").write({"at": [index], "value": [float(index)]})
        ack("pair", number, index)
        if chance.random() < 0.1:
            made = (clct / f"long {number}").write(
                {"at": np.arange(20_000), "value": values + index}
            )
            ack("long", number, index, made.id)

def tidy(number, chance, clct):
    series = clct / f"tidied {number}"
    for index in itertools.count():
        series.write({"at": [index], "value": [float(index)]})
        ack("point", number, index)
        if chance.random() < 0.1:
            clct.defrag()
            ack("defrag", number)
        elif chance.random() < 0.1:
            clct.trim()
            ack("trim", number)

def live(number):
    ms = opened()
    clct = ms.collection("c")
    os.write(ready, b".")
    {"write": write, "tidy": tidy}[task](number, random.Random(seed * 1000 + number), clct)

wait, ready = os.pipe()
for first in range(0, count, at_once):
    pids = []
    for number in range(first, min(first + at_once, count)):
        pids.append(os.fork())
        if pids[-1] == 0:
            live(number)
    for _ in pids:
        os.read(wait, 1)
    begun = time.monotonic()
    for pid, moment in zip(pids, sorted(chance.uniform(0.05, 0.8) for _ in pids)):
        time.sleep(max(0.0, begun + moment - time.monotonic()))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
"""


def last(child, word):
    """Return the last number that each writer acknowledged."""
    return {int(one[1]): int(one[2]) for one in child.acks if one[0] == word}


def test_killed_writers_leave_every_acknowledged_revision_whole(place, start):  # T17, point 2
    print(f"ALETHEIA_TEST_SEED={SEED}")
    with place.open() as ms:
        ms.create_collection(NUMBERS, "c")
    child = start(place, NURSERY, SEED, 6, 3, "write")
    assert child.wait() == 0, child.warnings

    with place.open() as ms:
        clct = ms.collection("c")
        clct.changelog.check_whole()
        told = {one[3]: one for one in child.acks if one[0] == "long"}
        assert told.keys() <= {one.id for one in clct.log()}
        assert len(clct.heads()) == 1
        for number, index in last(child, "pair").items():
            left, right = rows(clct / f"left {number}"), rows(clct / f"right {number}")
            assert left == right == {one: float(one) for one in range(len(left))}
            assert index + 1 <= len(left) <= index + 2
        for number, index in last(child, "long").items():
            shown = (clct / f"long {number}").frame()["value"] - noise(number)["value"]
            assert np.allclose(shown, shown[0])
            assert shown[0] >= index - 1e-6
        # The next writer goes on.
        assert (clct / "left 0").write({"at": [10**6], "value": [0.0]}) is not None
        assert len(clct.heads()) == 1


def test_killed_tidying_loses_nothing_that_was_shown(embedded, start):  # T19, T21
    print(f"ALETHEIA_TEST_SEED={SEED}")
    with embedded.open() as ms:
        ms.create_collection(NUMBERS, "c")
    child = start(embedded, NURSERY, SEED, 6, 2, "tidy")
    assert child.wait() == 0, child.warnings

    with embedded.open() as ms:
        clct = ms.collection("c")
        for number, index in last(child, "point").items():
            shown = rows(clct / f"tidied {number}")
            assert shown == {one: float(one) for one in range(len(shown))}
            assert index + 1 <= len(shown) <= index + 2
        (clct / "next").write({"at": [1], "value": [1.0]})
        before = {one.label: rows(one) for one in clct}
        clct.defrag()
        clct.trim()
        assert {one.label: rows(one) for one in clct} == before


WRITER = """
number, count = int(sys.argv[1]), int(sys.argv[2])
series = opened().collection("c") / "s"
for index in range(count):
    # Some places are the writer's own, one is everybody's.
    made = series.write({"at": [number + 4 * index], "value": [float(number)]})
    ack("own", number + 4 * index, made.id)
    made = series.write({"at": [10**6], "value": [float(number * 1000 + index)]})
    ack("shared", number * 1000 + index, made.id)
"""


def test_writers_in_two_stores_diverge_and_merging_loses_nothing(
    embedded, firestore, start, tmp_path
):  # T16, T17, L18, L19
    cloud = firestore.at(tmp_path / "other")
    with embedded.open() as here, cloud.open() as there:
        here.create_collection(NUMBERS, "c")
        here.push(there)
        writers = [
            start(place, WRITER, number, 12)
            for number, place in enumerate((embedded, embedded, cloud, cloud))
        ]
        mine, other = here.collection("c"), there.collection("c")
        for one in writers:
            one.wait_for("shared")
        while any(one.process.poll() is None for one in writers):
            mine.pull(other)
            mine.merge()
            other.pull(mine)
        for one in writers:
            assert one.wait() == 0, one.warnings
        for _ in range(3):
            mine.pull(other)
            mine.merge()
            other.pull(mine)

        acks = [ack for one in writers for ack in one.acks]
        newest = max((ack for ack in acks if ack[0] == "shared"), key=lambda ack: ack[2])
        wanted = {int(ack[1]): float(int(ack[1]) % 4) for ack in acks if ack[0] == "own"}
        wanted[10**6] = float(newest[1])
        assert len(acks) == 96
        assert rows(mine / "s") == rows(other / "s") == wanted
        assert [one.id for one in mine.heads()] == [one.id for one in other.heads()]
        assert {ack[2] for ack in acks} <= {one.id for one in mine.log()}


MOVER = """
verb, other, blobs, killed_at = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
ms = opened()
options = {"cache_dir": os.environ["ALETHEIA_HOME"] + "/there", "git": "off"}
there = al.Metastore("p", url=other, blobs=other + "/blobs", **options)
target = there if verb == "push" else ms
upload, apply = target.session.blobs.upload, target.session.documents.apply
moved = []

def counted(work, kind, limit):
    def act(*arguments, **options):
        if moved.count(kind) == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        done = work(*arguments, **options)
        moved.append(kind)
        return done
    return act

target.session.blobs.upload = counted(upload, "blob", blobs)
target.session.documents.apply = counted(apply, "apply", killed_at)
getattr(ms, verb)(there, collections=["c"])
"""


@pytest.mark.parametrize(
    ("store", "verb", "blobs", "applies"),
    [
        ("embedded", "push", 3, -1),
        ("firestore", "pull", 3, -1),
        ("firestore", "pull", -1, 3),
    ],
)
def test_a_killed_move_is_resumed_with_what_is_missing(
    request, start, tmp_path, store, verb, blobs, applies
):  # T14, L15, point 3
    place = request.getfixturevalue(store)
    other = (tmp_path / "other").as_uri()
    far = al.Metastore("p", url=other, blobs=f"{other}/blobs", git="off", cache_dir=place.home)
    with place.open() as ms, far:
        source, target = (ms, far) if verb == "push" else (far, ms)
        clct = source.create_collection(NUMBERS, "c")
        for number in range(40):
            (clct / "s").write(noise(number, 1_800 if number % 8 else LONG))
        child = start(place, MOVER, verb, other, blobs, applies)
        assert child.wait() == -9, child.warnings
        there = column_blobs(target)
        known = set()
        if "c" in target.collections():
            copied = target.collection("c")
            copied.changelog.check_whole()
            known = {one.id for one in copied.log()}

        tally = target.pull(source, collections=["c"])

        total = column_blobs(source)
        assert column_blobs(target) == total
        assert tally.revisions == 40 - len(known)
        assert tally.blobs == len(total - there)
        assert (blobs < 0) == bool(known)
        assert (target / "c" / "s").frame().equals((clct / "s").frame())
        assert [one.id for one in (target / "c").log()] == [one.id for one in clct.log()]
        again = target.pull(source, collections=["c"])
        assert (again.revisions, again.blobs, again.bytes) == (0, 0, 0)


def column_blobs(ms):
    found = ms.session.documents.query(Query("files"))
    return {one.id for one in found if one.fields.get("media_type") == MEDIA_TYPE}


@pytest.fixture
def bucket(firestore, monkeypatch):
    """A store whose blobs come over a line that can be spoiled; its prefix in the bucket."""
    with Faulty(os.environ["STORAGE_EMULATOR_HOST"]) as line:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", line.url)
        yield line


def test_a_byte_flipped_on_the_way_is_fetched_anew(gcs_emulator, bucket, firestore, tmp_path):
    # T28
    prefix = f"series-{SEED}-{os.getpid()}"
    options = {"url": firestore.url, "blobs": f"gs://{BUCKET}/{prefix}", "git": "off"}
    with al.Metastore("p", cache_dir=tmp_path / "writer", **options) as ms:
        (ms.create_collection(NUMBERS, "c") / "s").write(noise(1))
    bucket.concerns = lambda method, path: method == "GET" and "/download/" in path
    bucket.plan.append("flip")

    with al.Metastore("p", cache_dir=tmp_path / "reader", **options) as ms:
        shown = (ms / "c" / "s").frame()
        assert not bucket.plan
        assert shown["value"].tobytes() == noise(1)["value"].tobytes()

        # At rest there is nothing right to fetch: an error that names the blob.
        digest = (ms / "c" / "s").segments()[0].columns["value"]
        store = GcsBlobStore(BUCKET, prefix)
        store._at(store._name(digest)).upload_from_string(b"something else")
        store.close()
    with (
        al.Metastore("p", cache_dir=tmp_path / "late", **options) as ms,
        pytest.raises(al.IntegrityError, match=digest),
    ):
        (ms / "c" / "s").df()


def test_a_byte_flipped_in_the_cache_is_never_a_wrong_number(place):  # T28
    with place.open() as ms:
        series = ms.create_collection(NUMBERS, "c") / "s"
        series.write(noise(1))
        path = ms.cache.path(series.segments()[0].columns["value"])
    content = path.read_bytes()
    chance = random.Random(SEED)
    for spot in [0, len(content) - 1, *(chance.randrange(len(content)) for _ in range(4))]:
        path.chmod(0o644)
        path.write_bytes(content[:spot] + bytes([content[spot] ^ 0x10]) + content[spot + 1 :])

        with place.open() as ms:
            shown = (ms / "c" / "s").frame()
        assert shown["value"].tobytes() == noise(1)["value"].tobytes(), spot


def test_what_a_blob_is_missing_for_is_told_and_nothing_is_moved(place, tmp_path):
    with place.open() as ms:
        clct = ms.create_collection(NUMBERS, "c")
        (clct / "whole").write(noise(1))
        (clct / "broken").write(noise(2))
        digest = (clct / "broken").segments()[0].columns["value"]
        ms.session.blobs.delete(digest)

    with place.at(tmp_path / "reader").open() as ms:
        with pytest.raises(al.IntegrityError, match=f"broken.*{digest}|{digest}"):
            (ms / "c" / "broken").df()
        assert len((ms / "c" / "whole").df()) == LONG
        with al.Metastore("p", url="memory://", cache_dir=tmp_path / "copy", git="off") as copy:
            with pytest.raises(al.IntegrityError, match=digest):
                copy.pull(ms)
            assert copy.collection("c").log() == []


VERBS = {
    "read": lambda clct: (clct / "s").df(),
    "write": lambda clct: (clct / "s").write({"at": [3], "value": [3.0]}),
    "merge": lambda clct: clct.merge(),
    "defrag": lambda clct: clct.defrag(),
    "trim": lambda clct: clct.trim(),
}


def test_a_foreign_revision_is_refused_by_every_verb_and_nothing_is_written(place, tmp_path):
    with place.open() as ms:
        clct = ms.create_collection(NUMBERS, "c")
        made = (clct / "s").write({"at": [1], "value": [1.0]})
        other = ms.create_collection({"at": "int*", "value": "int"}, "other")
        foreign = (other / "s").write({"at": [2], "value": [2]})
        documents = ms.session.documents
        (one,) = documents.query(Query(other.changelog.collection))
        path = f"{clct.changelog.collection}/{foreign.id}"
        documents.apply([Create(path, {**one.fields, "arrival": 9})])

    with al.Metastore("p", url="memory://", cache_dir=tmp_path / "copy", git="off") as copy:
        for verb in VERBS.values():
            with place.open() as ms, pytest.raises(al.IntegrityError, match=foreign.id):
                verb(ms.collection("c"))
            with place.open() as ms, pytest.raises(al.IntegrityError, match=foreign.id):
                copy.pull(ms, collections=["c"])
        assert copy.collections() == []
    with place.open() as ms:
        there = {one.id for one in ms.session.documents.query(Query(clct.changelog.collection))}
        assert there == {made.id, foreign.id}
