"""Runs are found by what they are: the same ones on every store, in the same order."""

import datetime as dt
import decimal
import math
import operator
import secrets

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aletheia_like as al
from aletheia_like.metastore.planning import plan
from aletheia_like.model import codec, paths
from aletheia_like.model.conditiontext import parse_condition
from aletheia_like.model.records import GitState, ModelInfo, RunRecord
from aletheia_like.ports.documents import Create

UTC = dt.UTC
DAY = dt.datetime(2026, 1, 31, 12, tzinfo=UTC)

# Values that are equal or not, of kinds that documents have no type for, and of mixed kinds.
VALUES = [
    *[None, True, False, 0, 1, 1.0, -2.5, 0.1, math.nan, math.inf, 2**62, 2**70, "", "a", "base"],
    *["2026-01-31", "0.1", decimal.Decimal("0.1"), decimal.Decimal("2"), dt.date(2026, 1, 31)],
    *[DAY, dt.datetime(2026, 1, 31, 12), dt.timedelta(seconds=1), [1, "a"], ["base"], {"a": 1}],
    *[1j, b"a"],
]


def pool():
    """Runs in which every value stands at every kind of place."""
    for number, value in enumerate(VALUES):
        odd = {1: "a", "lr": value} if number % 5 == 0 else {"lr": value}
        nested = {"opt": {"lr": value}} if number % 2 else {"opt.lr": value, "": 1}
        yield RunRecord(
            "p",
            "e",
            str(number + 1),
            number=number + 1 if number % 7 else None,
            name=["", "base", "a name"][number % 3] or None,
            status=["finished", "failed", "running", "killed"][number % 4],
            fold=VALUES[-number],
            model=ModelInfo(["net", "forest"][number % 2]) if number % 3 else None,
            hyper_params={**odd, **nested},
            metrics={} if number % 6 == 5 else {"acc": value, "val": {"acc": VALUES[number // 2]}},
            summary={"loss": {"min": number / 4, "last": 1}} if number % 2 else {},
            tags=[(), ("base",), ("base", "a")][number % 3],
            git=GitState(f"{number % 4}abc") if number % 2 else None,
            debug=number % 9 == 8,
            started_at=DAY + dt.timedelta(hours=number % 5) if number % 11 else None,
            extra={"note": value, "a.b": number} if number % 4 == 1 else {},
        )


def stored(run):
    """A run as it comes back; empty values are not stored."""
    return codec.run_record(f"projects/p/experiments/e/runs/{run.id}", codec.to_fields(run), None)


RUNS = [stored(run) for run in pool()]

COLUMNS = {
    "hyper_params.lr": lambda run: run.hyper_params.get("lr"),
    "hyper_params.opt.lr": lambda run: run.hyper_params.get(
        "opt.lr", run.hyper_params.get("opt", {}).get("lr")
    ),
    'hyper_params."opt.lr"': lambda run: run.hyper_params.get("opt.lr"),
    "metrics.acc": lambda run: run.metrics.get("acc"),
    "metrics.val.acc": lambda run: run.metrics.get("val", {}).get("acc"),
    "summary.loss.min": lambda run: run.summary.get("loss", {}).get("min"),
    "fold": lambda run: run.fold,
    "number": lambda run: run.number,
    "name": lambda run: run.name,
    "status": lambda run: run.status,
    "model": lambda run: run.model and run.model.name,
    "commit": lambda run: run.git and run.git.commit,
    "tags": lambda run: list(run.tags),
    "started_at": lambda run: run.started_at,
    "note": lambda run: run.extra.get("note"),
    "`a.b`": lambda run: run.extra.get("a.b"),
    "id": lambda run: run.id,
}

LITERALS = {
    "0": 0,
    "1": 1,
    "0.1": 0.1,
    "-2.5": -2.5,
    "nan": math.nan,
    "inf": math.inf,
    str(2**62): 2**62,
    str(2**70): 2**70,
    "true": True,
    "false": False,
    "'a'": "a",
    '"base"': "base",
    "''": "",
    "'net'": "net",
    "'finished'": "finished",
    "'running'": "running",
    "'1abc'": "1abc",
    "'2026-01-31'": "2026-01-31",
    "'2026-01-31T12:00'": "2026-01-31T12:00",
    "date '2026-01-31T13:00'": DAY + dt.timedelta(hours=1),
}
SIGNS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def moment(value):
    """The moment that a value is or writes."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, dt.datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=UTC)
    return None


def compares(left, sign, right):
    if left is None:
        return False
    if any(isinstance(value, dt.date) for value in (left, right)):
        left, right = moment(left), moment(right)
    left, right = (
        float(one) if isinstance(one, decimal.Decimal) else one for one in (left, right)
    )
    is_number = [type(one) in (int, float) for one in (left, right)]
    if all(is_number):
        odd = [isinstance(one, float) and math.isnan(one) for one in (left, right)]
        return sign == ("=" if all(odd) else "!=") if any(odd) else SIGNS[sign](left, right)
    alike = type(left) is type(right) and left is not None
    if alike and isinstance(left, str | dt.datetime):
        return SIGNS[sign](left, right)
    if sign in ("=", "!="):
        return SIGNS[sign](alike and left == right, True)
    return False


def contains(left, right):
    if isinstance(left, list):
        return any(compares(one, "=", right) for one in left)
    if isinstance(left, dict):
        return right in list(left)
    return isinstance(left, str) and isinstance(right, str) and right in left


def answer(test, run):
    """What a test means, told anew in the plainest way."""
    match test:
        case ("compare", name, sign, literal):
            return compares(COLUMNS[name](run), sign, LITERALS[literal])
        case ("columns", name, sign, other):
            left, right = COLUMNS[name](run), COLUMNS[other](run)
            return right is not None and compares(left, sign, right)
        case ("null", name, negated):
            return (COLUMNS[name](run) is None) != bool(negated)
        case ("in", name, negated, literals):
            left = COLUMNS[name](run)
            found = any(compares(left, "=", LITERALS[one]) for one in literals)
            return left is not None and found != bool(negated)
        case ("contains", name, negated, literal):
            left = COLUMNS[name](run)
            return left is not None and contains(left, LITERALS[literal]) != bool(negated)
        case ("startswith", name, literal):
            left, right = COLUMNS[name](run), LITERALS[literal]
            texts = isinstance(left, str) and isinstance(right, str)
            return texts and left.startswith(right)
        case ("not", one):
            return not answer(one, run)
        case ("and", *parts):
            return all(answer(one, run) for one in parts)
        case ("or", *parts):
            return any(answer(one, run) for one in parts)


def written(test):
    match test:
        case ("compare" | "columns", name, sign, other):
            return f"{name} {sign} {other}"
        case ("null", name, negated):
            return f"{name} is {negated}null"
        case ("in", name, negated, literals):
            return f"{name} {negated}in ({', '.join(literals)})"
        case ("contains", name, negated, literal):
            return f"{name} {negated}contains {literal}"
        case ("startswith", name, literal):
            return f"{name} startswith {literal}"
        case ("not", one):
            return f"not ({written(one)})"
        case (word, *parts):
            return f"({f' {word} '.join(map(written, parts))})"


NAMES = st.sampled_from(list(COLUMNS))
GIVEN = st.sampled_from(list(LITERALS))
NEGATED = st.sampled_from(["", "not "])


def is_answerable(test):
    """Whether it does not compare a moment with what is none, which is refused."""
    literals = test[3] if test[0] == "in" else test[3:]
    return test[1] != "started_at" or all(
        not isinstance(LITERALS[one], str) or moment(LITERALS[one]) for one in literals
    )


TESTS = st.recursive(
    st.one_of(
        st.tuples(st.just("compare"), NAMES, st.sampled_from(list(SIGNS)), GIVEN).filter(
            is_answerable
        ),
        st.tuples(st.just("columns"), NAMES, st.sampled_from(list(SIGNS)), NAMES).filter(
            lambda test: not {"hyper_params.lr", "note"}.isdisjoint(test)
        ),
        st.tuples(st.just("null"), NAMES, NEGATED),
        st.tuples(st.just("in"), NAMES, NEGATED, st.lists(GIVEN, max_size=4)).filter(
            is_answerable
        ),
        st.tuples(st.just("contains"), NAMES, NEGATED, GIVEN),
        st.tuples(st.just("startswith"), NAMES, GIVEN),
    ),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.just("and"), inner, inner),
        st.tuples(st.just("and"), inner, inner, inner),
        st.tuples(st.just("or"), inner, inner),
    ),
    max_leaves=5,
)


def rank(value):
    """By what a value is sorted: numbers, moments, texts, truth values, others; None is last."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return 9, 0
    if isinstance(value, bool):
        return 3, value
    if isinstance(value, int | float | decimal.Decimal):
        return 0, float(value) if isinstance(value, decimal.Decimal) else value
    if isinstance(value, dt.date):
        return 1, moment(value)
    return (2, value) if isinstance(value, str) else (4, str(value))


def expected(test, order, limit, *, debug):
    found = [run for run in RUNS if debug or not run.debug]
    found = [run for run in found if test is None or answer(test, run)]
    found.sort(key=lambda run: (run.started_at or dt.datetime.max.replace(tzinfo=UTC), run.number or 0))
    if order:
        column = COLUMNS[order.removeprefix("-")]
        groups = {}
        for run in found:
            kind, key = rank(column(run))
            groups.setdefault(kind, []).append((key, run))
        found = [
            run
            for kind in sorted(groups)
            for _, run in sorted(groups[kind], key=lambda one: one[0], reverse=order[0] == "-")
        ]
    return [run.id for run in found][:limit]


@pytest.fixture
def stores(tmp_path, firestore_emulator):
    """The same runs in every store."""
    opened = [
        al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off")
        for url in (
            "memory://",
            (tmp_path / "store").as_uri(),
            f"firestore://demo-{secrets.token_hex(6)}/(default)",
        )
    ]
    for ms in opened:
        path = ms.exper("e").path
        # In another order than that of their starts, and of their ids.
        writes = [Create(paths.run(path, run.id), codec.to_fields(run)) for run in reversed(RUNS)]
        ms.session.documents.apply(writes)
    yield opened
    for ms in opened:
        ms.close()


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    test=st.none() | TESTS,
    order=st.none() | st.builds(str.__add__, st.sampled_from(["", "-"]), NAMES),
    limit=st.none() | st.integers(1, 8),
    debug=st.booleans(),
)
def test_the_answer_is_the_same_on_every_store(stores, test, order, limit, debug):
    wanted = expected(test, order, limit, debug=debug)
    where = None if test is None else written(test)

    for ms in stores:
        assert ms.experiment("e").runs(where, order, limit, debug=debug).ids == wanted, ms.url
