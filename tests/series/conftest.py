"""Collections over every store, and several stores that exchange them."""

from __future__ import annotations

import secrets

import pytest

import aletheia_like as al

DAYS = ["2020-01-01T00:00", "2020-01-02T00:00", "2020-01-03T00:00", "2020-01-04T00:00"]
TEMPERATURE = al.Schema(timestamp="timestamp*", value="float")


@pytest.fixture
def opened(tmp_path):
    """Open the project `p` in a store of its own in memory, or at an address."""
    stores = []

    def opener(url="memory://", project="p", **options):
        cache = options.pop("cache_dir", tmp_path / "cache" / str(len(stores)))
        stores.append(al.Metastore(project, url=url, cache_dir=cache, git="off", **options))
        return stores[-1]

    yield opener
    for ms in stores:
        ms.close()


@pytest.fixture(params=["memory", "embedded", "firestore"])
def ms(request, opened, tmp_path):
    """A metastore over every store."""
    if request.param == "memory":
        return opened()
    if request.param == "embedded":
        return opened((tmp_path / "store").as_uri())
    url = request.getfixturevalue("cloud_url")
    # Of its own: a collection sweeps what it does not know from a bucket.
    return opened(url, blobs=f"gs://aletheia-emulator/{secrets.token_hex(6)}")


@pytest.fixture
def cloud_url(request):
    """The address of an empty store on the emulators."""
    request.getfixturevalue("firestore_emulator")
    request.getfixturevalue("gcs_emulator")
    return f"firestore://demo-{secrets.token_hex(6)}/(default)?bucket=aletheia-emulator"


@pytest.fixture
def clct(opened):
    """An empty collection of temperatures in memory."""
    return opened().create_collection(TEMPERATURE, "temperature")


@pytest.fixture
def numbers(opened):
    """An empty collection with whole numbers as the index, in memory."""
    return opened().create_collection({"at": "int*", "value": "float"}, "numbers")


def at(*places, value=None):
    """Return rows at some places, with these or other values."""
    return {"at": list(places), "value": [float(p if value is None else value) for p in places]}


def rows(series, **options):
    """Return the rows of a series as a dictionary of their values by their places."""
    frame = series.frame(**options)
    return dict(zip(frame["at"].tolist(), frame["value"].tolist(), strict=True))
