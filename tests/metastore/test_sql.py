"""SQL over what is stored: the tables, what they cost, and what is refused."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import os
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aletheia_like as al
from aletheia_like.metastore import accompanying
from aletheia_like.metastore.arrowcolumns import array, stored_array
from aletheia_like.metastore.chunkcache import ChunkCache, RunRows
from aletheia_like.model.rows import ABSENT, Line, encode_cells, from_lines, pack, stored_columns
from aletheia_like.model.values import decode
from aletheia_like.ports.documents import Document

TABLES = "runs rows events system results artifacts datasets repositories files".split()
NAME = "a; DROP TABLE x"


def record(ms, experiment="e", runs=3, rows=2):
    """Record finished runs; run N has rows with step and loss, a parameter and a metric."""
    exper = ms.exper(experiment)
    for number in range(1, runs + 1):
        with exper.start_run(hyper_params={"lr": number / 10}) as run:
            run.log_batch({"step": step, "loss": 1.0 / (step + number)} for step in range(rows))
            run.add_metric("acc", number)
    return exper


def cost(ms, query, *arguments, **options):
    """Return how many documents a query reads, and its answer."""
    before = ms.usage
    frame = ms.sql(query, *arguments, **options)
    spent = ms.usage - before
    assert (spent.document_writes, spent.document_deletes) == (0, 0)
    return spent.document_reads, frame


def stored(frame):
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


# Q24
def test_rows_that_match_a_condition_come_back(ms):
    with ms.exper("e").start_run() as run:
        run.log_batch({"accuracy": value} for value in (0.5, 0.85, 0.9))

    frame = ms.sql("SELECT * FROM events WHERE accuracy > 0.8")

    assert list(frame["accuracy"]) == [0.85, 0.9]
    assert list(frame.columns) == ["experiment", "run_id", "timestamp", "accuracy"]
    assert set(zip(frame["experiment"], frame["run_id"], strict=True)) == {("e", "1")}


# C4
def test_runs_and_rows_are_joined_by_experiment_and_run(ms):
    record(ms, "a")
    record(ms, "b", runs=1)

    frame = ms.sql(
        "SELECT experiment, run_id, count(*) AS rows, max(metrics.acc) AS acc "
        "FROM runs JOIN rows USING (experiment, run_id) GROUP BY ALL ORDER BY ALL"
    )

    found = [tuple(row) for row in frame.values.tolist()]
    assert found == [("a", "1", 2, 1), ("a", "2", 2, 2), ("a", "3", 2, 3), ("b", "1", 2, 1)]


def test_every_table_of_an_empty_store_has_its_columns(ms):
    for table in TABLES:
        frame = ms.sql(f"SELECT * FROM {table}")

        assert len(frame) == 0
        assert len(frame.columns) >= 3
    assert set(ms.sql("SHOW TABLES")["name"]) == set(TABLES)


def test_a_query_reads_only_the_tables_that_it_names(ms):
    record(ms, runs=3)

    assert cost(ms, "SELECT 1")[0] == 0
    assert cost(ms, "SELECT 'rows'")[0] == 0
    assert cost(ms, "SHOW TABLES")[0] == 0
    assert cost(ms, "SELECT * FROM runs")[0] == 1 + 3
    assert cost(ms, "SELECT * FROM results")[0] == 1 + 3
    assert cost(ms, "SELECT * FROM datasets")[0] == 1


def test_the_rows_of_an_ended_run_are_read_once(ms, open_ms):
    record(ms, runs=3)

    first, rows = cost(ms, "SELECT * FROM rows")
    again, same = cost(open_ms(), "SELECT * FROM rows")
    joined, _ = cost(ms, "SELECT * FROM rows JOIN runs USING (experiment, run_id)")

    assert (first, again, joined) == (1 + 3 + 3, 1 + 3, 1 + 3)
    assert same.equals(rows)


def test_a_new_process_reads_no_rows_that_another_has_kept(ms, store_url, tmp_path):
    record(ms, runs=2)
    ms.sql("SELECT * FROM rows")
    program = (
        "import sys, aletheia_like as al\n"
        "ms = al.Metastore('p', url=sys.argv[1], cache_dir=sys.argv[2], git='off')\n"
        "print(len(ms.sql('SELECT * FROM rows')), ms.usage.document_reads, ms.usage.bytes_down)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, store_url, str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["4", "3", "0"]


# The experiment, to see that it was not deleted; then runs, and their chunks.
PUSHED = [
    ("SELECT * FROM rows WHERE experiment = 'a' AND run_id = '3'", 1 + 1 + 1),
    ("SELECT * FROM rows r WHERE r.run_id = '3' AND 'a' = r.experiment AND step > 0", 1 + 1 + 1),
    ("SELECT * FROM rows WHERE experiment = 'a' AND run_id IN ('2', '3', '99')", 1 + 3 + 2),
    ("SELECT * FROM rows WHERE experiment = 'a'", 1 + 3 + 3),
    ("SELECT * FROM rows WHERE run_id = '1'", 2 + 2 + 2),
    ("SELECT * FROM rows WHERE experiment = 'none'", 1),
    ("SELECT * FROM runs WHERE experiment = 'b' AND run_id = '1'", 1 + 1),
    ("SELECT * FROM results WHERE experiment = 'b'", 1 + 1),
    ("EXPLAIN SELECT * FROM runs WHERE experiment = 'b'", 1 + 1),
    (
        """SELECT * FROM runs JOIN rows USING (experiment, run_id)
        WHERE experiment = 'a' AND run_id = '1'""",
        1 + 1 + 1,
    ),
    (
        """SELECT * FROM runs q JOIN rows r ON q.experiment = r.experiment AND q.run_id = r.run_id
        WHERE q.experiment = 'a' AND q.run_id = '1'""",
        1 + 1 + 1,
    ),
    (
        """WITH mine AS (SELECT * FROM rows WHERE experiment = 'a' AND run_id = '1')
        SELECT max(loss) FROM mine""",
        1 + 1 + 1,
    ),
]


@pytest.mark.parametrize(("query", "reads"), PUSHED)
def test_filters_by_experiment_and_run_are_pushed_into_what_is_read(ms, query, reads):
    record(ms, "a", runs=3)
    record(ms, "b", runs=1)

    assert cost(ms, query)[0] == reads


def test_filters_with_parameters_are_pushed_too(ms):
    record(ms, "a", runs=3)
    text = "SELECT * FROM rows WHERE experiment = {} AND run_id = {}"

    assert cost(ms, text.format("?", "?"), ["a", "2"])[0] == 1 + 1 + 1
    assert cost(ms, text.format("$2", "$1"), ["2", "a"])[0] == 1 + 1
    reads, frame = cost(ms, text.format("$e", "$r"), {"e": "a", "r": "2"})
    assert (reads, len(frame)) == (1 + 1, 2)


SAME = [
    *(query for query, _ in PUSHED if not query.startswith("EXPLAIN")),
    "SELECT * FROM rows WHERE experiment = 'a' OR run_id = '1'",
    "SELECT * FROM rows WHERE NOT experiment = 'a'",
    "SELECT * FROM rows WHERE experiment = 'a' AND (run_id = '1' OR step = 1)",
    "SELECT * FROM rows WHERE experiment = 'a' AND experiment = 'b'",
    "SELECT * FROM rows WHERE run_id = 1",
    "SELECT * FROM rows WHERE experiment = 'A'",
    "SELECT * FROM rows WHERE EXPERIMENT = 'a'",
    "SELECT * FROM rows WHERE experiment = 'a' UNION ALL SELECT * FROM rows WHERE run_id = '1'",
    "SELECT * FROM rows r LEFT JOIN runs q USING (experiment, run_id) WHERE r.run_id = '2'",
    "SELECT * FROM rows r RIGHT JOIN runs q USING (experiment, run_id) WHERE q.run_id = '2'",
    "SELECT * FROM rows r FULL JOIN runs q USING (experiment, run_id) WHERE q.run_id = '2'",
    "SELECT * FROM rows r FULL JOIN runs q USING (experiment, run_id) WHERE run_id = '2'",
    "SELECT * FROM runs q LEFT JOIN rows r ON q.run_id = r.run_id WHERE q.experiment = 'b'",
    "SELECT * FROM runs q LEFT JOIN rows r ON q.run_id = r.run_id AND r.experiment = 'b'",
    "SELECT * FROM runs q ANTI JOIN rows r USING (experiment, run_id) WHERE q.run_id = '1'",
    "SELECT * FROM runs q SEMI JOIN rows r USING (experiment, run_id) WHERE experiment = 'b'",
    "SELECT q.run_id, r.run_id FROM runs q, rows r WHERE q.run_id = '1' AND r.step = 0",
    "SELECT q.run_id, r.step FROM runs q POSITIONAL JOIN rows r WHERE q.experiment = 'b'",
    "SELECT * FROM runs NATURAL JOIN rows WHERE runs.experiment = 'b'",
    "SELECT (SELECT count(*) FROM rows WHERE experiment = 'a'), count(*) FROM rows",
    """SELECT * FROM runs q
    WHERE EXISTS (SELECT 1 FROM rows WHERE experiment = q.experiment AND run_id = '3')""",
    "SELECT * FROM runs WHERE run_id IN (SELECT run_id FROM rows WHERE experiment = 'b')",
    "WITH rows AS (SELECT * FROM runs WHERE experiment = 'b') SELECT * FROM rows",
    "SELECT count(*) FROM rows TABLESAMPLE 100% WHERE experiment = 'a'",
    "SELECT run_id, count(*) FROM rows GROUP BY run_id HAVING run_id = '1'",
    "SELECT *, sum(step) OVER () FROM rows WHERE run_id = '1'",
    "SELECT * FROM (SELECT * FROM rows) WHERE experiment = 'a'",
    "SELECT lower(experiment) AS run_id, loss FROM rows WHERE run_id = '1'",
]


@pytest.fixture(scope="module")
def two_experiments(tmp_path_factory):
    """Two experiments, and the same tables whole in a plain DuckDB."""
    folder = tmp_path_factory.mktemp("sql")
    with al.Metastore("p", url=folder.as_uri(), cache_dir=folder / "cache", git="off") as ms:
        record(ms, "a", runs=3)
        record(ms, "b", runs=1)
        ms.exper("b").start_run().finish()
        with duckdb.connect() as whole:
            whole.execute("SET TimeZone = 'UTC'")
            for table in ("runs", "rows", "results"):
                whole.register(table, ms.sql(f"SELECT * FROM {table}"))
            yield ms, whole


@pytest.mark.parametrize("query", SAME)
def test_what_is_pushed_changes_no_answer(two_experiments, query):
    ms, whole = two_experiments
    with warnings.catch_warnings(action="ignore"):
        wanted = whole.execute(query).df()

    found = ms.sql(query)

    assert sorted(map(str, found.values.tolist())) == sorted(map(str, wanted.values.tolist()))


def test_one_experiment_can_be_all_there_is(ms):
    record(ms, "a", runs=2)
    record(ms, "b", runs=1)

    reads, frame = cost(ms, "SELECT DISTINCT experiment FROM rows", experiment="b")

    assert (reads, list(frame["experiment"])) == (1 + 1 + 1, ["b"])


def test_a_live_run_is_read_anew_with_what_is_not_sent_yet(ms, open_ms):
    run = ms.exper("e").start_run()
    run.log(loss=1.0)
    query = "SELECT count(*) AS n FROM rows"
    assert ms.sql(query)["n"][0] == 1
    run.log(loss=0.5)

    assert ms.sql(query)["n"][0] == 2
    run.flush()
    other = open_ms()
    assert other.sql(query)["n"][0] == 2
    run.log(loss=0.25)
    run.finish()
    assert other.sql(query)["n"][0] == 3


def test_a_run_that_is_resumed_is_read_again(ms):
    exper = record(ms, runs=1)
    assert len(ms.sql("SELECT * FROM rows")) == 2

    with exper.start_run(id="1", resume="must") as run:
        run.log(loss=0.0)

    assert len(ms.sql("SELECT * FROM rows")) == 3


def test_changes_to_logged_rows_are_seen(ms):
    with ms.exper("e").start_run() as run:
        run.log_batch([{"step": 0, "acc": 0.5}, {"step": 1, "acc": 0.6}])
        run.set_value("acc", 0.9, where={"step": 0})
        run.log(step=2, acc=0.7)

    frame = ms.sql("SELECT acc FROM rows ORDER BY step")

    assert list(frame["acc"]) == [0.9, 0.6, 0.7]


def test_a_change_after_the_end_is_seen_although_the_rows_were_kept(ms, open_ms):
    from aletheia_like.metastore.amending import amend, plan_amendment

    record(ms, runs=1)
    assert "note" not in ms.sql("SELECT * FROM rows").columns
    path = "projects/p/experiments/e/runs/1"
    other = open_ms()

    amend(other.session, plan_amendment(other.session, path, "note", "good", {"step": 1}))

    assert list(ms.sql("SELECT note FROM rows WHERE note IS NOT NULL")["note"]) == ["good"]


def test_rows_of_another_process_that_come_after_the_end_are_seen(ms, open_ms):
    run = ms.exper("e").start_run(id="x")
    other = open_ms().exper("e").start_run(id="x", resume="allow")
    run.finish()
    assert len(ms.sql("SELECT * FROM rows")) == 0
    assert len(open_ms().sql("SELECT * FROM rows")) == 0

    other.log(note="late")
    other.finish()

    assert list(open_ms().sql("SELECT note FROM rows")["note"]) == ["late"]


def test_rows_of_the_machine_are_a_table_of_their_own(ms):
    with ms.exper("e").start_run() as run:
        run.log(loss=1.0)
        run._open_writer().log_stream(accompanying.SYSTEM, {"cpu_percent": 12.5})

    for _ in range(2):
        assert list(ms.sql("SELECT cpu_percent FROM system")["cpu_percent"]) == [12.5]
        assert "cpu_percent" not in ms.sql("SELECT * FROM rows").columns


def test_values_keep_their_types(ms):
    moment = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    row = {
        "whole": 2**60 + 1,
        "number": 0.1,
        "truth": True,
        "text": "x",
        "moment": moment,
        "day": dt.date(2026, 1, 31),
        "took": dt.timedelta(seconds=1.5),
        "exact": decimal.Decimal("1.10"),
        "data": b"\x00\xff",
        "nested": {"a": [1, {"b": None}], "nan": math.nan},
        "listed": [1, 2.5, "x"],
        "nothing": None,
    }
    with ms.exper("e").start_run() as run:
        run.log(row)

    kinds = dict(ms.sql("DESCRIBE rows")[["column_name", "column_type"]].values)
    found = stored(ms.sql("SELECT *, nested->>'$.a[1].b' AS b FROM rows"))[0]

    assert kinds["whole"] == "BIGINT"
    assert (kinds["number"], kinds["truth"], kinds["text"]) == ("DOUBLE", "BOOLEAN", "VARCHAR")
    assert kinds["timestamp"] == kinds["moment"] == "TIMESTAMP WITH TIME ZONE"
    assert (kinds["day"], kinds["took"], kinds["data"]) == ("DATE", "INTERVAL", "BLOB")
    assert (kinds["exact"], kinds["nested"], kinds["listed"]) == ("VARCHAR",) * 3
    assert found["whole"] == 2**60 + 1
    assert found["moment"] == moment
    assert (found["exact"], found["took"]) == ("1.10", dt.timedelta(seconds=1.5))
    assert found["nested"] == '{"a":[1,{"b":null}],"nan":"NaN"}'
    assert (found["listed"], found["b"], found["nothing"]) == ('[1,2.5,"x"]', None, None)


def test_a_column_of_mixed_types_is_text_and_whole_numbers_beside_floats_are_floats(ms):
    values = [1, 0.5, "x", True, None, math.nan, [1]]
    exper = ms.exper("e")
    with exper.start_run() as run:
        run.log_batch({"mixed": value, "number": 1} for value in values)
    with exper.start_run() as run:
        run.log(mixed=7, number=0.5)

    for _ in range(2):
        frame = ms.sql("SELECT mixed, number FROM rows")

        mixed = [row["mixed"] for row in stored(frame)]
        assert mixed == ["1", "0.5", "x", "true", None, "NaN", "[1]", "7"]
        assert list(frame["number"]) == [1.0] * 7 + [0.5]


@pytest.mark.parametrize("wanted", ["sum(x)", "count(*) FILTER (x > 1)", "sum(x + 1)"])
def test_numbers_among_texts_are_had_as_the_message_says(ms, wanted):
    with ms.exper("e").start_run() as run:
        run.log_batch([{"x": 1}, {"x": "two"}, {"x": 3.5}])

    with pytest.raises(al.InvalidValueError, match=r"TRY_CAST\(name AS DOUBLE\)"):
        ms.sql(f"SELECT {wanted} FROM rows")

    numbers = wanted.replace("x", "TRY_CAST(x AS DOUBLE)")
    assert ms.sql(f"SELECT {numbers} FROM rows").iloc[0, 0] in (4.5, 1, 6.5)


def test_nan_is_not_null(ms):
    with ms.exper("e").start_run() as run:
        run.log_batch([{"loss": math.nan}, {"loss": None}, {"other": 1}, {"loss": 1.0}])

    frame = ms.sql("SELECT count(loss) AS n, sum(isnan(loss)::INT) AS nans FROM rows")

    assert (frame["n"][0], frame["nans"][0]) == (2, 1)


def test_files_are_their_digest_and_join_the_index(ms, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"123")
    with ms.exper("e").start_run() as run:
        run.log(model=al.File(tmp_path / "model.bin"))

    frame = ms.sql("SELECT size FROM rows JOIN files ON rows.model = files.sha256")

    assert list(frame["size"]) == [3]


def test_long_values_are_fetched_only_where_they_are_asked_for(ms, open_ms, tmp_path):
    text, long = "y" * 70_000, {"x": list(range(20_000))}
    with ms.exper("e").start_run() as run:
        run.log_batch([{"step": 0}, {"step": 1, "text": text, "long": long}])
    other = open_ms(cache_dir=tmp_path / "other")

    for _ in range(2):
        before = other.usage
        assert list(other.sql("SELECT step FROM rows")["step"]) == [0, 1]
        assert (other.usage - before).blob_reads == 0
    query = "SELECT max(length(text)) AS t, max(json_array_length(long, 'x')) AS n FROM rows"
    assert other.sql(query).values.tolist() == [[70_000, 20_000]]


def test_a_column_that_is_called_like_one_of_ours_gets_a_number(ms):
    with ms.exper("e").start_run() as run:
        run.log({"experiment": "mine", "Loss": 1, "loss": 2})

    frame = ms.sql("SELECT * FROM rows")

    names = ["experiment", "run_id", "timestamp", "experiment_1", "Loss", "loss_1"]
    assert list(frame.columns) == names
    assert frame[["experiment", "experiment_1", "Loss", "loss_1"]].values.tolist() == [
        ["e", "mine", 1, 2]
    ]


# N
def test_names_are_only_names(ms):
    odd = 'x"; DROP TABLE rows; --'
    with ms.exper(NAME).start_run(id="1'; DROP TABLE rows") as run:
        run.log({odd: 1, NAME: 2})
        run.set_hyper_params({odd: 3})

    doubled = odd.replace('"', '""')
    frame = ms.sql(f'SELECT "{doubled}" FROM rows WHERE experiment = ?', [NAME])
    runs = ms.sql("SELECT * FROM runs")

    assert frame.values.tolist() == [[1]]
    assert runs[f"hyper_params.{odd}"][0] == 3
    assert len(ms.sql("SELECT * FROM rows WHERE run_id = ?", ["1'; DROP TABLE rows"])) == 1
    assert len(ms.sql("SELECT * FROM rows WHERE experiment = ?", ["@x"])) == 0
    assert len(ms.sql("SELECT * FROM rows")) == 1


def test_parameters_and_metrics_need_no_quotes(ms):
    record(ms)

    plain = ms.sql("SELECT r.hyper_params.lr FROM runs r WHERE metrics.acc > 1 ORDER BY run_id")
    quoted = ms.sql('SELECT "hyper_params.lr" FROM runs WHERE "metrics.acc" > 1 ORDER BY run_id')

    assert list(plain["hyper_params.lr"]) == list(quoted["hyper_params.lr"]) == [0.2, 0.3]


def test_runs_tell_what_their_record_tells(ms):
    exper = ms.exper("e", debug=True)
    with exper.start_run(name="first", fold=2, tags=["x", "y"], desc="why") as run:
        run.notes = "seen"
    frame = ms.sql("SELECT *, environment->>'$.python' AS python FROM runs")

    (found,) = stored(frame)
    record = exper.run("1").record
    assert (found["run_id"], found["id"], found["number"], found["name"]) == ("1", "1", 1, "first")
    assert (found["status"], found["fold"], found["debug"]) == ("finished", 2, True)
    assert (found["tags"], found["desc"], found["notes"]) == ('["x","y"]', "why", "seen")
    assert (found["started_at"], found["ended_at"]) == (record.started_at, record.ended_at)
    assert found["python"] == record.environment.python
    assert str(frame["started_at"].dtype) == "datetime64[us, UTC]"


def test_versions_and_files_are_tables(ms, tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    ms.add_dataset("table", tmp_path / "a.csv", type="table")
    (tmp_path / "a.csv").write_text("a\n2\n")
    ms.add_dataset("table", tmp_path / "a.csv")
    with ms.exper("e").start_run() as run:
        run.add_artifact("model", tmp_path / "a.csv")

    datasets = ms.sql("SELECT name, version, size, sha256 FROM datasets ORDER BY version")
    artifacts = ms.sql("SELECT experiment, run_id, name, sha256 FROM artifacts")
    indexed = ms.sql("SELECT sha256 FROM files")

    assert datasets[["name", "version", "size"]].values.tolist() == [
        ["table", 0, 4],
        ["table", 1, 4],
    ]
    assert artifacts.values.tolist() == [["e", "1", "model", datasets["sha256"][1]]]
    assert set(datasets["sha256"]) <= set(indexed["sha256"])


REFUSED = [
    ("DROP TABLE rows", "only read by SQL, and DROP"),
    ("INSERT INTO rows VALUES (1)", "INSERT"),
    ("CREATE TABLE x AS SELECT 1", "CREATE"),
    ("COPY rows TO 'x.csv'", "COPY"),
    ("ATTACH 'x.db'", "ATTACH"),
    ("INSTALL httpfs", "LOAD"),
    ("SET threads = 1", "SET"),
    ("WITH x AS (SELECT 1) DELETE FROM rows", "DELETE"),
    ("SELECT 1; DROP TABLE rows", "one query"),
    (5, "a query is a text, not an int"),
    ("", "there is no query"),
    ("SELEC 1", "syntax error"),
    ("SELECT * FROM nope", "no table 'nope': there are runs"),
    ("SELECT * FROM ms", "no table 'ms'"),
    ("SELECT * FROM rows WHERE step = ?", "parameter"),
    ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
    ("SELECT * FROM '/etc/passwd'", "no table"),
    ("SELECT * FROM '/etc/x.csv'", "disabled"),
    ("SELECT * FROM read_text('https://127.0.0.1:9/x')", "disabled"),
    ("SELECT * FROM glob('/etc/*')", "disabled"),
]


@pytest.mark.parametrize(("query", "words"), REFUSED)
def test_whatever_is_no_query_over_the_tables_is_refused(two_experiments, query, words, tmp_path):
    ms, _ = two_experiments
    with pytest.raises(al.InvalidValueError, match=words) as caught:
        ms.sql(query)

    assert "\n" not in str(caught.value)


def test_an_unknown_column_is_told_with_those_that_are_near(two_experiments):
    ms, _ = two_experiments
    for query, near in (
        ("SELECT los FROM rows", "did you mean loss?"),
        ("SELECT r.los FROM rows r", "did you mean loss?"),
        ("SELECT acc FROM runs", 'did you mean "metrics.acc"?'),
        ("SELECT metrics.ac FROM runs", 'did you mean "metrics.acc"?'),
        ("SELECT qqqq FROM rows", "there are experiment, run_id, timestamp, step, loss"),
    ):
        with pytest.raises(al.InvalidValueError, match="there is no column") as caught:
            ms.sql(query)

        assert near in str(caught.value)


def test_a_run_that_has_no_rows_yet_has_every_column(ms):
    ms.exper("e").start_run().flush()

    frame = ms.sql("SELECT avg(loss) FROM rows WHERE run_id = '1' GROUP BY step")

    assert len(frame) == 0


def test_a_damaged_file_of_the_cache_is_as_good_as_none(ms, tmp_path):
    record(ms, runs=1)
    wanted = ms.sql("SELECT * FROM rows")
    (kept,) = (path for path in (tmp_path / "cache" / "rows").rglob("*") if path.is_file())
    whole = kept.read_bytes()

    for place in (0, 5, 12, len(whole) // 2, len(whole) - 1):
        kept.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert cost(ms, "SELECT * FROM rows")[0] == 1 + 1 + 1
        assert ms.sql("SELECT * FROM rows").equals(wanted)
    for size in (0, 5, len(whole) - 1):
        kept.write_bytes(whole[:size])
        assert ms.sql("SELECT * FROM rows").equals(wanted)
    assert cost(ms, "SELECT * FROM rows")[0] == 1 + 1


def test_a_cache_that_cannot_be_written_is_done_without(ms, open_ms, tmp_path):
    record(ms, runs=1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "rows").write_text("in the way")
    other = open_ms(cache_dir=tmp_path / "full")

    for _ in range(2):
        assert cost(other, "SELECT * FROM rows")[0] == 1 + 1 + 1


def test_the_least_recently_used_files_go_when_the_cache_is_full(tmp_path):
    now = dt.datetime.now(dt.UTC)
    runs = [Document(f"projects/p/experiments/e/runs/{n}", {}, "r", now, now) for n in range(4)]
    rows = RunRows({"": pa.table({"x": range(100)})})
    small = ChunkCache(tmp_path, "store", max_bytes=3_500)
    for number, run in enumerate(runs[:3]):
        small.store(run, rows)
        os.utime(small._path(run), (number, number))
    assert small.load(runs[0], "") is not None

    small.store(runs[3], rows)
    small.tidy()

    kept = [small.load(run, "") is not None for run in runs]
    assert kept == [True, False, False, True]


def count_rows(url, cache):
    with al.Metastore("p", url=url, cache_dir=cache, git="off") as ms:
        return [len(ms.sql("SELECT * FROM rows")) for _ in range(5)]


def test_processes_share_the_cache(tmp_path):
    url = (tmp_path / "store").as_uri()
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        record(ms, runs=5, rows=20)

    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(count_rows, [url] * 4, [tmp_path / "cache"] * 4))

    assert found == [[100] * 5] * 4


def test_a_store_in_memory_keeps_nothing(tmp_path):
    with al.Metastore("p", url="memory://", cache_dir=tmp_path / "cache", git="off") as ms:
        record(ms, runs=1)

        assert len(ms.sql("SELECT * FROM rows")) == 2
    assert not (tmp_path / "cache" / "rows").exists()


def test_without_the_packages_the_install_line_is_told(ms, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)

    with pytest.raises(al.MissingExtraError, match=r"pip install 'aletheia-like\[sql\]'"):
        ms.sql("SELECT 1")


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=3),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(dt.UTC)),
    st.timedeltas(dt.timedelta(-9), dt.timedelta(9)),
    st.binary(max_size=3),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from("ab"), st.floats(), max_size=2),
)
COLUMN = st.one_of(
    *(st.lists(st.one_of(one, st.just(ABSENT)), min_size=1, max_size=8) for one in CELLS.branches),
    st.lists(st.one_of(CELLS, st.just(ABSENT)), min_size=1, max_size=8),
    st.tuples(CELLS, st.integers(1, 8)).map(lambda pair: [pair[0]] * pair[1]),
)


@settings(max_examples=400)
@given(COLUMN)
def test_a_column_is_the_same_by_the_quick_and_the_general_way(values):
    lines = [
        Line(number, float(number), encode_cells({} if value is ABSENT else {"c": value}))
        for number, value in enumerate(values, 1)
    ]
    _, stored_form = stored_columns(pack(lines))
    wanted = array(from_lines(lines).cells.get("c", [None] * len(lines)))

    column = stored_form.get("c", {"at": [], "values": []})
    found = stored_array(column, len(lines), decode)

    assert found.type == wanted.type
    assert repr(found.to_pylist()) == repr(wanted.to_pylist())


def test_versions_of_repositories_are_a_table(tmp_path):
    local_ms = al.Metastore("p", url="memory://", cache_dir=tmp_path / "c", git="off")
    with local_ms.exper("e").start_run() as run:
        run.add_artifact("weights", [1], handler="json")
    with local_ms.repository("models") as repository:
        repository.log_artifact("old", [0], "json")
    with local_ms.repository("models", "w") as repository:
        repository.log_artifact("features", [2], "json")
    run.promote_artifact(local_ms.repository("models"), "weights", aliases=["production"])
    local_ms.repository("models").set_alias("features", "staging", 0)

    found = local_ms.sql(
        "SELECT repository, name, version, aliases, experiment, run_id FROM repositories"
    )
    assert found.fillna("").values.tolist() == [
        ["models", "features", 0, '["staging"]', "", ""],
        ["models", "weights", 0, '["production"]', "e", "1"],
    ]
    assert len(local_ms.sql("SELECT * FROM artifacts")) == 1
