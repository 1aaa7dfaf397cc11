"""Runs are found by what they are: the same ones on every store, in the same order."""

import contextlib
import datetime as dt
import decimal
import math
import operator
import secrets
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aletheia_like as al
from aletheia_like.metastore.searching import understood
from aletheia_like.model import codec, paths
from aletheia_like.model.records import GitState, ModelInfo, RunRecord
from aletheia_like.ports.documents import Create

UTC = dt.UTC
DAY = dt.datetime(2026, 1, 31, 12, tzinfo=UTC)

# Values that are equal or not, of kinds that documents have no type for, and of mixed kinds.
VALUES = [
    *[None, True, False, 0, 1, 1.0, -2.5, 0.1, math.nan, math.inf, 2**62, 2**70, "", "a", "base"],
    *["2026-01-31", "0.1", decimal.Decimal("0.1"), decimal.Decimal(2), dt.date(2026, 1, 31)],
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


def meant(name, sign, literal):
    """Return a literal's value; the id of a run may be written as a number."""
    value = LITERALS[literal]
    is_id = name == "id" and sign in ("=", "==", "!=", "<>") and type(value) is int
    return str(value) if is_id else value


def answer(test, run):
    """What a test means, told anew in the plainest way."""
    match test:
        case ("compare", name, sign, literal):
            return compares(COLUMNS[name](run), sign, meant(name, sign, literal))
        case ("columns", name, sign, other):
            left, right = COLUMNS[name](run), COLUMNS[other](run)
            return right is not None and compares(left, sign, right)
        case ("null", name, negated):
            return (COLUMNS[name](run) is None) != bool(negated)
        case ("in", name, negated, literals):
            left = COLUMNS[name](run)
            found = any(compares(left, "=", meant(name, "=", one)) for one in literals)
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
    never = dt.datetime.max.replace(tzinfo=UTC)
    found.sort(key=lambda run: (run.started_at or never, run.number or 0))
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


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@pytest.fixture
def exper(ms):
    """Twelve runs of one question; the last two are of another name."""
    exper = ms.exper("e")
    for number in range(12):
        run = exper.start_run(
            name="late" if number > 9 else "early",
            hyper_params={"lr": number / 10, "opt": {"name": "adam"}},
            tags=["base"] if number == 3 else [],
        )
        run.add_metric("acc", number / 12)
        run.saved_model = f"model {number}"
        run.finish()
    ms.flush()
    return exper


def reads_of(ms, action):
    before = ms.usage.document_reads
    found = action()
    return ms.usage.document_reads - before, found.ids


@pytest.mark.parametrize(
    ("where", "order_by", "limit", "reads", "ids"),
    [
        ("hyper_params.lr > 0.95", None, None, 4, ["11", "12"]),
        ("metrics.acc >= 0.5 and metrics.acc < 0.6", None, None, 3, ["7", "8"]),
        ("tags contains 'base'", None, None, 1, ["4"]),
        ("name = 'late' and status = 'finished'", None, None, 2, ["11", "12"]),
        ("saved_model = 'model 5'", None, None, 1, ["6"]),
        ("saved_model in ('model 5', 'model 7') and seconds < 100", None, None, 2, ["6", "8"]),
        (None, "-metrics.acc", 2, 4, ["12", "11"]),
        (None, "-started_at", 1, 2, ["12"]),
        (None, None, 3, 4, ["1", "2", "3"]),
        ("metrics.acc < 0.5", "-metrics.acc", 1, 3, ["6"]),
        ("hyper_params.lr > 0.2 and metrics.acc < 0.5", "-metrics.acc", 1, 7, ["6"]),
        ("name = 'late'", "metrics.acc", 1, 2, ["11"]),
        ("hyper_params.lr > 0.95 or number = 1", None, None, 12, ["1", "11", "12"]),
        ("not debug", None, None, 12, [str(number) for number in range(1, 13)]),
    ],
)
def test_the_store_is_asked_for_little(ms, exper, where, order_by, limit, reads, ids):
    reader = ms.experiment("e")
    # Firestore bills one read for a query without an answer; so it is counted everywhere.
    assert reads_of(ms, lambda: reader.runs(where, order_by, limit)) == (reads, ids)


def test_looking_for_runs_writes_nothing(ms, exper):  # M12
    before = ms.usage
    exper.runs("metrics.acc > 0.1 and hyper_params.opt.name = 'adam'", "-metrics.acc", 3)
    exper.filter(lambda run: run.hyper_params["lr"] > 0.5)

    assert ms.usage.document_writes == before.document_writes


def test_runs_are_filtered_by_a_function(exper):  # M18
    found = exper.filter(lambda run: run.hyper_params["lr"] in (0.2, 0.9))

    assert found.ids == ["3", "10"]
    assert found.filter(lambda run: run.number > 5).ids == ["10"]


def test_a_run_is_opened_by_its_id_its_name_or_its_age(exper):  # M18
    assert exper["3"].id == exper[3].id == "3"
    assert exper["late"].id == exper[-1].id == "12"
    assert exper[-12].id == "1"
    assert "3" in exper
    assert 3 in exper
    assert "early" in exper
    assert not {"13", "earl", "", "a\nb", None, 1.5} & set(exper.runs().ids)
    assert all(one not in exper for one in ("13", "earl", "", "a\nb", None, 1.5))
    with pytest.raises(al.ReadOnlyError):
        exper["3"].desc = "no"
    for missing in ("none", 13, -13):
        with pytest.raises(al.NotFoundError):
            exper[missing]


def test_iterating_gives_the_records(exper):
    assert [run.metrics["acc"] for run in exper][:2] == [0, 1 / 12]


def test_runs_of_all_experiments_are_found(ms, exper):
    with ms.exper("f").start_run() as run:
        run.add_metric("acc", 0.95)
    with ms.exper("trial", debug=True).start_run() as run:
        run.add_metric("acc", 0.99)

    found = ms.runs("metrics.acc > 0.9", "-metrics.acc", 2)
    assert [(run.experiment, run.id) for run in found] == [("f", "1"), ("e", "12")]
    assert ms.runs("metrics.acc > 0.9", debug=True)["experiment"] == ["e", "f", "trial"]
    assert "f" in ms
    assert ms["f"].name == "f"
    with pytest.raises(al.NotFoundError, match="no experiment 'g'"):
        ms["g"]
    assert all(name not in ms for name in ("g", "", 5))


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("metric.acc > 0.9", "did you mean 'metrics.acc'?\n    metric.acc > 0.9\n    ^"),
        ("status = 'finished' and acc > 1", "no run has 'acc': did you mean 'metrics.acc'?"),
        ("status = finished", "a text has quotes: 'finished'"),
        ("number > 1 or saved_modle = 'x'", "did you mean 'saved_model'?"),
        ("started_at > 'yesterday'", "started_at is a moment"),
        ("ended_at in ('2026-01-31', 'x')", "not 'x'"),
        ("NUMBER > 1", "no run has 'NUMBER': did you mean 'number'"),
        ("metrics.acc >", "expected a value or the name of a column, found the end"),
    ],
)
def test_a_condition_that_cannot_be_meant_is_refused(exper, where, told):
    with pytest.raises(al.InvalidValueError) as caught:
        exper.runs(where)

    assert told in str(caught.value)


def test_an_order_by_what_no_run_has_is_refused(exper):
    with pytest.raises(al.InvalidValueError, match=r"did you mean 'metrics\.acc'"):
        exper.runs(order_by="-metrics_acc", limit=2)


@pytest.mark.parametrize(
    "order_by", ["metrics.acc desc", "-metrics.acc,number", "metrics.acc ASC"]
)
def test_an_order_in_words_of_sql_is_refused(exper, order_by):
    with pytest.raises(al.InvalidValueError, match=r"one column, .*'-metrics\.acc'"):
        exper.runs(order_by=order_by)


def test_a_name_that_looks_like_an_order_is_a_name(ms):
    exper = ms.exper("names")
    for value in (1, 2):
        with exper.start_run() as run:
            run.add_metrics({"acc desc": value, "a,b": -value})

    assert exper.runs(order_by="-metrics.acc desc").ids == ["2", "1"]
    assert exper.runs(order_by="metrics.a,b").ids == ["2", "1"]


def test_a_limit_beyond_what_a_store_takes_is_none(exper):
    assert exper.runs(limit=10**30).ids == exper.runs().ids


@pytest.mark.parametrize("key", [slice(2), 1.5, None, True])
def test_a_run_is_not_opened_by_what_names_none(exper, key):  # M12
    with pytest.raises(al.InvalidValueError, match="by its id, its name, or -1"):
        exper[key]


@pytest.mark.parametrize("limit", [0, -1, "3", 1.5, True])
def test_a_limit_that_is_no_number_of_runs_is_refused(limit):
    with pytest.raises(al.InvalidValueError, match="limit"):
        understood(None, None, limit, debug=False)


@pytest.mark.parametrize("words", [(5, None), (None, 5), (None, ["-a"]), ("", None), (None, "")])
def test_words_that_are_no_text_or_nothing_are_refused(words):
    with pytest.raises(al.InvalidValueError, match=r"text|name of a column|found the end"):
        understood(*words, None, debug=False)


def test_an_id_may_be_written_as_a_number(exper):
    assert exper.runs("id = 3").ids == exper.runs("3 = id").ids == exper.runs("id = '3'").ids
    assert exper.runs("id in (3, '10', 99)").ids == ["3", "10"]
    assert "3" not in exper.runs("id != 3").ids
    assert exper.runs("name = 3").ids == []


def test_a_parameter_that_no_run_has_finds_nothing(exper):
    assert exper.runs("hyper_params.dropout > 0").ids == []
    assert len(exper.runs(order_by="metrics.none")) == 12
    assert exper.runs("hyper_params.`x'); DROP TABLE documents; --` = 1").ids == []


def test_an_empty_experiment_has_no_such_names_to_miss(ms):
    assert ms.exper("empty").runs("anything = 1", order_by="whatever", limit=1).ids == []
    assert ms.runs("anything = 1").ids == []


def test_a_lost_run_is_found_as_lost(tmp_path):
    store = tmp_path / "store"
    ms = al.Metastore("p", url=store.as_uri(), cache_dir=tmp_path / "cache", git="off")
    exper = ms.exper("e")
    lost, running, ended = (exper.start_run() for _ in range(3))
    ended.finish()
    ms.flush()
    with contextlib.closing(sqlite3.connect(store / "metastore.sqlite")) as database:
        database.execute(
            "UPDATE documents SET updated_at = ? WHERE id = ? AND collection LIKE '%runs'",
            ("2026-01-31T12:00:00+00:00", lost.id),
        )
        database.commit()

    found = ms.experiment("e")
    assert found.runs("status = 'lost'").ids == [lost.id]
    assert found.runs("status = 'running'").ids == [running.id]
    assert found.runs("status in ('lost', 'finished')").ids == [lost.id, ended.id]
    assert found.runs("status != 'lost'").ids == [running.id, ended.id]


@pytest.fixture
def mixed(tmp_path):
    """Runs in which every column has values of many kinds."""
    ms = al.Metastore("p", url="memory://", cache_dir=tmp_path / "cache", git="off")
    path = ms.exper("e").path
    writes = [Create(paths.run(path, run.id), codec.to_fields(run)) for run in RUNS]
    ms.session.documents.apply(writes)
    return ms.experiment("e")


def test_every_kind_of_table_keeps_types(mixed):
    runs = mixed.runs(debug=True)
    pandas, polars, arrow = runs.to_pandas(), runs.to_polars(), runs.to_arrow()

    assert list(pandas.columns) == polars.columns == arrow.column_names == runs.columns
    assert len(pandas) == len(polars) == len(arrow) == len(runs.to_dicts()) == len(RUNS)
    assert str(pandas["started_at"].dtype).endswith("UTC]")
    assert str(polars["started_at"].dtype).startswith("Datetime")
    assert arrow["started_at"].to_pylist() == runs["started_at"]
    assert arrow["number"].to_pylist() == runs["number"]
    assert polars["tags"].to_list() == runs["tags"]
    assert set(map(type, arrow["metrics.acc"].to_pylist())) == {str, type(None)}


def test_a_column_that_drifts_from_integers_to_floats_is_one_of_floats(exper):
    runs = exper.runs("number < 4")

    assert runs["metrics.acc"] == [0, 1 / 12, 2 / 12]
    assert runs.to_polars()["metrics.acc"].to_list() == [0, 1 / 12, 2 / 12]


def test_runs_are_shown_as_a_table(exper):
    html = exper.runs("number = 4")._repr_html_()

    assert "<th>metrics.acc</th>" in html
    assert "<td>base</td>" in html


def test_some_of_the_runs_are_runs(exper):
    runs = exper.runs()

    assert runs[:2].ids == ["1", "2"]
    assert runs[-1].id == "12"
    assert runs["id"][0] == "1"
