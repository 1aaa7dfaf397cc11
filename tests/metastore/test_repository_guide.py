"""The guide to versioned artifacts, step by step, with a clock that stands where it is put."""

from __future__ import annotations

import datetime as dt
import secrets

import pytest

import aletheia_like as al

FIRST = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture(params=["memory", "embedded", "firestore"])
def ms(request, tmp_path):
    urls = {"memory": lambda: "memory://", "embedded": (tmp_path / "store").as_uri}
    options = {"cache_dir": tmp_path / "cache", "git": "off"}
    if request.param == "firestore":
        request.getfixturevalue("firestore_emulator")
        request.getfixturevalue("gcs_emulator")
        options["url"] = (
            f"firestore://demo-{secrets.token_hex(6)}/(default)?bucket=aletheia-emulator"
        )
    else:
        options["url"] = urls[request.param]()
    with al.Metastore("guide", **options) as opened:
        yield opened


@pytest.fixture
def clock(ms):
    ms.session.clock = Clock(FIRST)
    return ms.session.clock


def test_a_repository_as_a_standalone_structure(ms, clock):  # V8, V9, V11, V12, V13
    repository = ms.repository("repository", mode="w")
    repository.log_artifact(name="features", value=[0, 1, 2], handler="json", indent=4)
    with pytest.raises(al.NotFoundError, match=r"save\(\)"):
        repository.load_artifact("features")
    repository.save()

    repository = ms.repository("repository", mode="r")
    assert repository.load_artifact(name="features") == [0, 1, 2]
    assert repository.artifact("features").open().read() == b"[\n    0,\n    1,\n    2\n]"

    clock.now = FIRST + 2 * DAY
    repository = ms.repository("repository", mode="a")
    repository.log_artifact(name="features", value=[0, 1, 2, 3], handler="json", indent=4)
    repository.save()

    repository = ms.repository("repository", mode="r")
    assert repository.load_artifact("features") == [0, 1, 2, 3]
    assert repository.load_artifact("features", version=0) == [0, 1, 2]
    assert repository.load_artifact("features", version="2026-01-01T12:00:00") == [0, 1, 2]
    assert repository.load_artifact("features", version=FIRST + 2 * DAY) == [0, 1, 2, 3]
    as_of = repository.load_artifact("features", version="2026-01-02T12:00:00", match="asof")
    assert as_of == [0, 1, 2]
    as_of = repository.load_artifact("features", version=FIRST + 3 * DAY, match="asof")
    assert as_of == [0, 1, 2, 3]


def test_promoting_an_artifact_of_a_run_that_has_ended(ms):  # V14, V16
    project = ms.exper("project")
    with project.start_run("my-experiment") as run:
        run.add_artifact(name="features", value=[0, 1, 2], handler="json", indent=4)
    repository = ms.repository("repository")

    promoted = ms.experiment("project").run(run.id).promote_artifact(repository, "features")

    assert promoted.version == 0
    assert ms.repository("repository", mode="r").load_artifact("features") == [0, 1, 2]


def test_promoting_an_artifact_while_the_run_is_recorded(ms):  # V15
    repository = ms.repository("repository")
    with ms.exper("project").start_run("my-experiment") as run:
        run.add_artifact(name="features", value=[0, 1, 2], handler="json", indent=4)
        assert run.promote_artifact(repository, "features") is None

    assert ms.repositories() == []
    repository.save()
    assert ms.repository("repository", mode="r").load_artifact("features") == [0, 1, 2]
