"""The same documents, queries and writes give the same answers on every store."""  # B1, B2, B3

import datetime as dt
import math
import uuid

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from aletheia_like.adapters.memory import MemoryDocumentStore
from aletheia_like.adapters.sqlite import SqliteDocumentStore
from aletheia_like.errors import AletheiaError, InvalidValueError
from aletheia_like.model.values import equal
from aletheia_like.ports.documents import (
    REMOVE,
    Create,
    Delete,
    Filter,
    Order,
    Query,
    Update,
    check_writes,
)

KEYS = ("a", "b", "a.b", "é/`\\")
FIELD_PATHS = st.lists(st.sampled_from(KEYS), min_size=1, max_size=2).map(tuple)
# Few values, so that many meet; and any value, so that nothing is left out.
FAMILIAR = st.sampled_from(
    [
        *[None, False, True, math.nan, -0.0, 0, 1, 1.0, 2**53, 2**53 + 1, 2.0**53, 2.0**63],
        *[2**63 - 1, math.inf, "", "a", "a\x00", "\uffff", "\N{GRINNING FACE}", b"", b"\xff"],
        *[
            dt.datetime(2026, 1, 31, tzinfo=dt.UTC),
            dt.datetime(1, 1, 1, microsecond=1, tzinfo=dt.UTC),
        ],
    ]
)
ANY = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.datetimes(timezones=st.just(dt.UTC)),
)
VALUES = st.recursive(
    FAMILIAR | ANY,
    lambda inner: st.one_of(
        st.lists(inner.filter(lambda item: not isinstance(item, list)), max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    ),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)
IDS = st.sampled_from(["1", "10", "2", "A", "_", "a b", "é", "\uffff", "\N{GRINNING FACE}"])


@st.composite
def queries(draw, values):
    """Make queries that stores answer, about some of the values that are there."""
    if draw(st.booleans()):
        values = values | VALUES
    field = draw(FIELD_PATHS)
    filters = [
        (field, draw(st.sampled_from(["<", "<=", ">", ">=", "!="])), draw(values))
        for _ in range(draw(st.integers(0, 2)))
    ]
    orders = [(field, draw(st.booleans()))] if filters or draw(st.booleans()) else []
    for operator in draw(st.lists(st.sampled_from(["==", "in", "contains"]), max_size=2)):
        wanted = draw(st.lists(values, min_size=1, max_size=3) if operator == "in" else values)
        filters.append((draw(FIELD_PATHS), operator, wanted))
    orders += [(path, draw(st.booleans())) for path in draw(st.lists(FIELD_PATHS, max_size=1))]
    try:
        return (
            tuple(Filter(*one) for one in filters),
            tuple(Order(*one) for one in orders),
            draw(st.none() | st.integers(1, 5)),
        )
    except InvalidValueError:
        assume(False)


def found_in(fields):
    """Return the values in fields, and those inside them."""
    for value in fields.values() if isinstance(fields, dict) else fields:
        yield value
        if isinstance(value, dict | list):
            yield from found_in(value)


@st.composite
def collections(draw):
    """Make documents, and queries about them."""
    documents = draw(st.dictionaries(IDS, FIELDS, max_size=8))
    present = list(found_in(documents))
    values = st.sampled_from(present) if present else VALUES
    return documents, draw(st.lists(queries(values), min_size=1, max_size=5))


@st.composite
def writes(draw):
    """Make one write: its id, and what makes it a write below some path."""
    kind = draw(st.sampled_from(["create", "update", "update", "update", "delete"]))
    changes = st.dictionaries(FIELD_PATHS, VALUES | st.just(REMOVE), min_size=1, max_size=3)
    content = {"create": FIELDS, "update": changes, "delete": st.none()}[kind]
    # Which of the revisions that were seen is expected: none, the latest, an earlier one.
    return kind, draw(IDS), draw(content), draw(st.sampled_from([None, None, -1, -2]))


def is_allowed(batch):
    try:
        check_writes([made(write, "c/d/e", {}) for write in batch])
    except InvalidValueError:
        return False
    return True


def made(write, collection, seen):
    """Return the write itself, with a revision out of those `seen`."""
    kind, id_, content, age = write
    path = f"{collection}/{id_}"
    revisions = seen.get(id_, [])
    revision = revisions[age] if age is not None and len(revisions) >= -age else None
    match kind:
        case "create":
            return Create(path, content)
        case "update":
            return Update(path, content, revision)
        case _:
            return Delete(path, revision)


def answer(store, collection, query):
    """Return what a query finds."""
    filters, orders, limit = query
    try:
        found = store.query(Query(collection, filters, orders, limit))
        return [[document.id, document.fields] for document in found]
    except InvalidValueError:
        assume(False)


def history(store, collection, batches):
    """Apply the batches and return all that can be seen of it from outside."""
    seen = {}
    told = []
    for batch in batches:
        try:
            revisions = store.apply([made(write, collection, seen) for write in batch])
        except AletheiaError as error:
            told.append(type(error).__name__ if len(batch) == 1 else "refused")
            continue
        for (_, id_, *_), revision in zip(batch, revisions, strict=True):
            known = seen.setdefault(id_, [])
            told.append(revision in known)
            if revision is not None and revision not in known:
                known.append(revision)
        told.append([[one.id, one.fields] for one in store.query(Query(collection))])
    return told


MANY = settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def new_collection():
    return f"projects/{uuid.uuid4().hex}/things"


@pytest.fixture(params=["sqlite", "firestore"])
def other(request, tmp_path):
    """Return the store that is compared with the one in memory."""
    if request.param == "firestore":
        yield request.getfixturevalue("firestore_store")
        return
    store = SqliteDocumentStore(tmp_path / "store.db")
    yield store
    store.close()


@given(collections())
@MANY
def test_queries_find_the_same(other, made_up):
    documents, asked = made_up
    collection = new_collection()
    memory = MemoryDocumentStore()
    created = [Create(f"{collection}/{id_}", fields) for id_, fields in documents.items()]
    for store in (memory, other):
        store.apply(created)

    for query in asked:
        assert equal(answer(other, collection, query), answer(memory, collection, query)), query


@given(st.lists(st.lists(writes(), min_size=1, max_size=3).filter(is_allowed), max_size=8))
@MANY
def test_writes_do_the_same(other, batches):
    collection = new_collection()

    assert equal(
        history(other, collection, batches),
        history(MemoryDocumentStore(), collection, batches),
    )


@given(st.lists(FIELDS, max_size=8), FIELD_PATHS)
def test_downwards_is_upwards_reversed(documents, path):
    memory = MemoryDocumentStore()
    memory.apply([Create(f"c/{number}", fields) for number, fields in enumerate(documents)])

    up = [one.id for one in memory.query(Query("c", order_by=(Order(path),)))]
    down = [one.id for one in memory.query(Query("c", order_by=(Order(path, descending=True),)))]

    assert up == down[::-1]
