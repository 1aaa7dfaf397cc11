"""Spark reads what a metastore holds: the same as SQL shows, in parts, and no more than asked."""

from __future__ import annotations

import datetime as dt
import json
import math

import pandas as pd
import pyarrow as pa
import pytest

import aletheia_like as al
from aletheia_like.integrations import sparkoptions
from aletheia_like.integrations.spark import register
from aletheia_like.model import paths
from aletheia_like.ports.documents import Query, Update

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)


@pytest.fixture
def ms(tmp_path):
    url = (tmp_path / "store").as_uri()
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as opened:
        yield opened


def frame(spark, ms, table, schema=None, **options):
    """Return a table as Spark reads it, in processes with a cache of their own."""
    cache = f"{ms.cache.root}-of-spark"
    given = {"url": ms.url, "project": ms.project, "cache_dir": cache, "table": table, **options}
    reader = spark.read.format("aletheia").options(**given)
    return (reader if schema is None else reader.schema(schema)).load()


def record(ms, runs=5, rows=3):
    """Record runs of two experiments, whose columns drift."""
    for number in range(runs):
        with ms.exper(f"e/{number % 2}.x").start_run(hyper_params={"lr": number / 10}) as run:
            drifting = (1, 0.5, "text", True, None)[number % 5]
            run.log_batch(
                {"step": step, "val/loss": number + step / 2, "a.b": drifting, f"c{number}": step}
                for step in range(rows)
            )
            run.add_metric("acc", number)
            run.notes = f"run {number}"


def plain(found):
    """Return a pandas frame as rows of values that compare: NULL and NaN are None."""
    as_objects = found.astype(object).where(found.notna(), None)
    return [[_plain(value) for value in row] for row in as_objects.itertuples(index=False)]


def _plain(value):
    if isinstance(value, dt.date):
        return pd.Timestamp(value).isoformat()
    # Firestore gives the keys of a map in any order.
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def refused(action):
    """Return what Spark says to a read that fails."""
    from pyspark.errors import PySparkException

    with pytest.raises(PySparkException) as caught:
        action()
    return str(caught.value)


# A19
@pytest.mark.parametrize("table", ["runs", "rows", "results", "datasets"])
@pytest.mark.parametrize("store", ["embedded", "firestore"])
def test_a_table_is_what_sql_shows_in_pandas(spark, store, table, request, tmp_path):
    ms = request.getfixturevalue("ms" if store == "embedded" else "firestore_metastore")
    record(ms)
    (tmp_path / "data.txt").write_text("words")
    ms.add_dataset("words", tmp_path / "data.txt", features={"line": "string"})

    found = frame(spark, ms, table, partitions="4")

    expected = ms.sql(f"FROM {table}")
    # Firestore gives fields in any order.
    assert sorted(found.columns) == sorted(expected.columns)
    assert plain(found.toArrow().to_pandas()) == plain(expected[found.columns])
    assert len(expected) > 0


def test_several_tasks_read(spark, ms):
    record(ms, runs=6)

    assert frame(spark, ms, "rows").rdd.getNumPartitions() == 6
    assert frame(spark, ms, "rows", partitions="4").rdd.getNumPartitions() == 4
    assert frame(spark, ms, "results").rdd.getNumPartitions() == 2


def test_a_filter_leaves_runs_unread(spark, ms):
    record(ms)
    damage_rows(ms, "e/0.x", "1")
    register(spark, push_filters=True)

    def count(condition):
        schema = "run_id STRING, experiment STRING, `val/loss` DOUBLE"
        return frame(spark, ms, "rows", schema=schema).where(condition).count()

    try:
        assert count("experiment = 'e/0.x' AND run_id IN ('2', '3')") == 6
        assert count("experiment = 'e/1.x' AND `val/loss` < 3") == 3
        assert count("run_id = '1' AND run_id = '2'") == 0
        assert "holds no rows that can be read" in refused(lambda: count("`val/loss` < 3"))
    finally:
        register(spark)


def damage_rows(ms, experiment, run):
    store = ms.session.documents
    path = ms.experiment(experiment).run(run).path
    chunks = list(store.query(Query(paths.rows(path))))
    store.apply([Update(one.path, {("columns",): "?"}) for one in chunks])


def test_one_data_frame_answers_many_questions(spark, ms):
    record(ms)
    found = frame(spark, ms, "runs", columns="experiment,run_id")
    first, second = found.where("run_id = '1'"), found.where("run_id = '2'")

    assert (first.count(), second.count(), found.count()) == (2, 2, 5)
    assert sorted(row.run_id for row in first.union(second).collect()) == ["1", "1", "2", "2"]


@pytest.fixture
def cost(ms, monkeypatch):
    """Plan and read a table as Spark does; return the documents that took, the rows, and the
    filters that were left to Spark."""
    sparksource = pytest.importorskip("aletheia_like.integrations.sparksource")
    counted = []

    class CountedMetastore(al.Metastore):
        def close(self, timeout=60.0):
            counted.append(self.usage.document_reads)
            super().close(timeout)

    monkeypatch.setattr(sparkoptions, "Metastore", CountedMetastore)

    def read(table, *filters, **options):
        given = {"url": ms.url, "project": ms.project, "cache_dir": f"{ms.cache.root}-of-spark"}
        source = sparksource.FilteredDataSource({**given, "table": table, **options})
        reader = source.reader(source.schema())
        counted.clear()
        left = list(reader.pushFilters(list(filters)))
        rows = sum(batch.num_rows for one in reader.partitions() for batch in reader.read(one))
        return sum(counted), rows, left

    return read


def test_what_is_read_is_counted(ms, cost):
    record(ms, runs=6)

    # Planning reads two experiments and six runs, a part its run and whether the experiment was
    # deleted meanwhile; rows are in the cache since inferring.
    assert cost("rows") == (8 + 6 * 2, 18, [])
    assert cost("runs") == (8 + 6 * 2, 6, [])
    assert cost("results") == (2 + 2 + 6, 6, [])
    assert cost("rows", experiment="e/0.x", run_id="2") == (3 + 2, 3, [])
    assert cost("results", experiment="e/0.x", run_id="2") == (1 + 2, 1, [])


def test_filters_on_keys_save_reads(ms, cost):
    source = pytest.importorskip("pyspark.sql.datasource")
    keys = [source.EqualTo(("experiment",), "e/0.x"), source.In(("run_id",), ("1", "2"))]
    others = [source.GreaterThan(("run_id",), "0"), source.EqualTo(("run_id",), 1)]
    record(ms, runs=6)

    assert cost("rows", *keys, *others) == (3 + 2 * 2, 6, others)
    assert cost("results", *keys) == (3, 2, [])
    assert cost("datasets", *keys) == (1, 0, keys)


def test_other_filters_are_answered_by_spark(spark, ms):
    record(ms)
    found = frame(spark, ms, "rows")

    def count(condition):
        return found.where(condition).count()

    assert count("run_id != '1'") == 9
    assert count("run_id > '1' OR experiment = 'e/1.x'") == 12
    assert count("run_id LIKE '%2' AND `val/loss` >= 2.5") == 5
    assert count("run_id IS NULL") == 0


def test_what_drifts_is_text(spark, ms):
    record(ms)

    found = frame(spark, ms, "rows", partitions="2").select("`a.b`").distinct().collect()

    assert {row[0] for row in found} == {"1", "0.5", "text", "true", None}


def test_names_that_differ_by_capitals_or_are_those_of_keys_have_numbers(spark, ms):
    exper = ms.exper("e")
    for row in ({"Loss": 1, "experiment": "mine"}, {"loss": 2}):
        with exper.start_run() as run:
            run.log(row)

    found = frame(spark, ms, "rows").select(
        "run_id", "experiment", "experiment_1", "Loss", "loss_1"
    )

    assert sorted(map(tuple, found.collect())) == [
        ("1", "e", "mine", 1, None),
        ("2", "e", None, None, 2),
    ]


def test_values_keep_their_types(spark, ms):
    values = {
        "float": -math.inf,
        "whole": 2**62,
        "truth": True,
        "bytes": b"\x00\xff",
        "day": dt.date(1969, 7, 20),
        "moment": MOMENT,
        "local": MOMENT.replace(tzinfo=None),
        "lasting": dt.timedelta(days=-1, microseconds=1),
        "large": 2**70,
        "nested": {"a": [1, math.nan]},
        "time": dt.time(1, 2, 3),
        "none": None,
    }
    with ms.exper("e").start_run() as run:
        run.log(values)

    row = frame(spark, ms, "rows").select(*values).collect()[0].asDict()

    # Spark gives moments without zone, in the zone of this machine.
    assert row.pop("moment").astimezone(dt.UTC) == values.pop("moment")
    assert row == {
        **values,
        "bytes": bytearray(values["bytes"]),
        "large": str(2**70),
        "nested": '{"a":[1,"NaN"]}',
        "time": "01:02:03",
    }


def test_nan_is_not_null(spark, ms):
    with ms.exper("e").start_run() as run:
        run.log_batch([{"x": math.nan}, {"x": None}, {"x": math.inf}, {"x": 1}])

    found = frame(spark, ms, "rows")

    assert found.where("isnan(x)").count() == 1
    assert found.where("x IS NULL").count() == 1
    assert found.where("x > 1").count() == 2  # to Spark NaN is the greatest


def test_an_empty_project_has_empty_tables(spark, ms):
    assert frame(spark, ms, "rows").collect() == []
    assert frame(spark, ms, "datasets").where("version = 0").collect() == []


def test_how_a_table_is_divided_changes_no_value(ms):
    sparksource = pytest.importorskip("aletheia_like.integrations.sparksource")
    record(ms, runs=10)
    with ms.exper("e/0.x").start_run() as run:
        run.log_batch([{"A.B": 1}, {"a.b": 2.5, "experiment": math.nan}])

    def batches(table, partitions):
        given = {"url": ms.url, "project": ms.project, "cache_dir": str(ms.cache.root)}
        given |= {"table": table, "partitions": partitions}
        source = sparksource.AletheiaDataSource(given)
        reader = source.reader(source.schema())
        return pa.Table.from_batches(
            batch for one in reader.partitions() for batch in reader.read(one)
        )

    for table in ("rows", "runs", "results"):
        whole = batches(table, "1")
        assert whole.num_rows >= 10
        assert str(batches(table, "32").to_pydict()) == str(whole.to_pydict())


def test_a_long_text_is_whole(spark, ms):
    with ms.exper("e").start_run() as run:
        run.log({"said": "word " * 20_000})

    assert frame(spark, ms, "rows").selectExpr("length(said)").collect()[0][0] == 100_000


def test_only_the_columns_of_a_schema_are_read(spark, ms):
    record(ms)

    found = frame(spark, ms, "rows", schema="RUN_ID STRING, `val/loss` FLOAT, nothing DATE")

    row = found.where("run_id = '2'").orderBy("`val/loss`").first()
    assert row.asDict() == {"RUN_ID": "2", "val/loss": 2.0, "nothing": None}


def test_columns_are_chosen_by_name(spark, ms):
    record(ms)

    assert frame(spark, ms, "runs", columns="run_id, metrics.acc").columns == [
        "run_id",
        "metrics.acc",
    ]
    assert frame(spark, ms, "rows", columns='["val/loss"]').columns == ["val/loss"]


def test_values_that_do_not_fit_a_schema_are_told(spark, ms):
    record(ms)

    told = refused(frame(spark, ms, "rows", schema="`a.b` DOUBLE").collect)

    assert "column 'a.b' of table 'rows' of project 'p' does not fit double" in told
    assert "read it as string" in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"experiment": "none"}, "no experiment 'none' in project 'p': there are 'e/0.x'"),
        (
            {"table": "row"},
            "there is no table 'row' to set the option 'table' to: there are runs,",
        ),
        ({"experimnt": "e"}, "has no option 'experimnt': did you mean 'experiment'?"),
        ({"run_id": "1,7"}, "no run '7' in project 'p'"),
        ({"path": "e"}, "has no option 'path': "),
        ({"columns": "los"}, "table 'rows' has no column 'los': "),
        ({"columns": '["'}, "the option 'columns' takes names such as"),
        ({"partitions": "0"}, "the option 'partitions' takes 1 to 10000, not '0'"),
        ({"url": "memory://"}, "do not see memory://"),
        ({"url": "nowhere"}, "nowhere"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_option_that_makes_no_sense_is_named(ms, options, told):
    sparksource = pytest.importorskip("aletheia_like.integrations.sparksource")
    record(ms, runs=1)
    given = {"url": ms.url, "project": ms.project, "table": "rows", **options}

    with pytest.raises(al.AletheiaError) as caught:
        sparksource.AletheiaDataSource(given).schema()

    assert told in str(caught.value)


def test_what_is_wrong_reaches_who_asks(spark, ms):
    assert "did you mean 'experiment'?" in refused(lambda: frame(spark, ms, "rows", experimnt="e"))


def test_an_experiment_that_is_not_there_is_told_with_a_schema_too(spark, ms):
    record(ms, runs=1)

    found = frame(spark, ms, "rows", schema="run_id STRING", experiment="none")

    assert "no experiment 'none' in project 'p'" in refused(found.collect)


def test_one_experiment_is_read(spark, ms):
    record(ms)

    assert frame(spark, ms, "runs", experiment="e/1.x").count() == 2


def test_only_a_session_can_be_registered_in():
    pytest.importorskip("pyspark")

    with pytest.raises(al.InvalidValueError, match="a SparkSession is needed to register in"):
        register("local[2]")
