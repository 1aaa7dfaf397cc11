"""The security rules, asked through the emulator's own rules engine."""

from __future__ import annotations

import base64
import json
import secrets
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from aletheia_like.adapters.firestore import FirestoreDocumentStore, _Connection
from aletheia_like.errors import AccessDeniedError
from aletheia_like.ports.documents import Create, Query
from aletheia_like.testing.emulators import FirestoreEmulator

RULES = Path(__file__).parents[2] / "emulator" / "firestore.rules"
PROJECT = "demo-rules"
OPEN, FORBIDDEN, UNAUTHENTICATED = 200, 403, 401

READABLE = ["projects/p", "projects/p/experiments/e/runs/r", "files/abc"]
HIDDEN = ["other/d", "users/u/projects/p"]


@pytest.fixture(scope="module")
def server(firestore_emulator):
    del firestore_emulator
    with FirestoreEmulator(rules=RULES) as started:
        yield started


@pytest.fixture
def store(server, monkeypatch):
    """A server's client, which no rule holds back."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", server.host)
    store = FirestoreDocumentStore(PROJECT)
    for path in (*READABLE, *HIDDEN):
        if store.get(path) is None:
            store.apply([Create(path, {"n": 1})])
    yield store
    store.close()


def token(**claims):
    """Return a token as Firebase issues them, without a signature: the emulator takes it."""
    now = int(time.time())
    fields = {"sub": "somebody", "user_id": "somebody", "aud": PROJECT, "iat": now, **claims}
    parts = ({"alg": "none", "typ": "JWT"}, {"exp": now + 3600, **fields})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(part.rstrip("=") for part in encoded), ""])


VIEWER = {"viewer": True}
STRANGERS = [None, {}, {"viewer": False}, {"viewer": "true"}, {"admin": True}]


def ask(server, who, path, method="GET", body=None):
    """Return the status of a browser's request."""
    request = urllib.request.Request(
        f"http://{server.host}/v1/projects/{PROJECT}/databases/(default)/documents{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={} if who is None else {"Authorization": f"Bearer {token(**who)}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("path", READABLE)
def test_a_viewer_gets_documents(server, store, path):
    assert ask(server, VIEWER, f"/{path}") == OPEN


@pytest.mark.parametrize("path", ["projects", "projects/p/experiments/e/runs", "files"])
def test_a_viewer_lists_collections(server, store, path):
    assert ask(server, VIEWER, f"/{path}") == OPEN


@pytest.mark.parametrize("who", STRANGERS)
@pytest.mark.parametrize("path", [*READABLE, "projects", "files"])
def test_strangers_read_nothing(server, store, who, path):
    assert ask(server, who, f"/{path}") in (FORBIDDEN, UNAUTHENTICATED)


@pytest.mark.parametrize("path", [*HIDDEN, "other"])
def test_a_viewer_reads_nothing_else(server, store, path):
    assert ask(server, VIEWER, f"/{path}") == FORBIDDEN


@pytest.mark.parametrize("who", [*STRANGERS, VIEWER])
@pytest.mark.parametrize("path", [*READABLE, "projects/new", "files/new", "other/new"])
def test_nobody_writes(server, store, who, path):
    fields = {"fields": {"n": {"integerValue": "2"}}}

    assert ask(server, who, f"/{path}", "PATCH", fields) in (FORBIDDEN, UNAUTHENTICATED)
    assert ask(server, who, f"/{path}", "DELETE") in (FORBIDDEN, UNAUTHENTICATED)


def test_a_server_writes(store):
    path = f"projects/{secrets.token_hex(4)}"

    store.apply([Create(path, {"n": 2})])

    assert store.get(path).fields == {"n": 2}


@pytest.mark.parametrize("action", ["get", "query", "apply"])
def test_what_credentials_do_not_allow_is_told(store, action):
    """The store itself, with the rights of a stranger."""
    own = store._connections.get()
    metadata = (("authorization", f"Bearer {token()}"),)
    store._connections._client = _Connection(own.client, metadata)
    actions = {
        "get": lambda: store.get("projects/p"),
        "query": lambda: list(store.query(Query("projects"))),
        "apply": lambda: store.apply([Create("projects/new", {})]),
    }

    with pytest.raises(AccessDeniedError, match="demo-rules"):
        actions[action]()
