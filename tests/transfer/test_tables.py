"""Other programs read exports: SQLite, DuckDB, pandas, Polars, Arrow."""

from __future__ import annotations

import json
import sqlite3

import pytest

from aletheia_like.transfer.sqlite import insert_columns, quoted
from tests.transfer.conftest import fill


@pytest.fixture
def drifting(opened):
    """Experiments whose columns are not of one type, or differ by case only."""
    ms = opened()
    with ms.exper("a").start_run() as run:
        run.log(x=1, y=1, only_a=True, Acc=0.5, experiment="mine")
    with ms.exper("b").start_run() as run:
        run.log({"x": 0.5, "y": 0.5, "acc": 0.9, "a; DROP TABLE x": 1, '"': 2, "_writer": "me"})
    with ms.exper("b").start_run() as run:
        run.log(x="text", y=2)
    return ms


def test_events_of_sqlite_answer_as_rows_do(filled, tmp_path):  # Q24, Q25
    filled.export(tmp_path / "x.db")
    connection = sqlite3.connect(tmp_path / "x.db")

    query = "SELECT run_id, step FROM events WHERE experiment = 'which/one' AND loss > 0.8"
    found = connection.execute(query).fetchall()
    (count,) = connection.execute("SELECT count(*) FROM rows").fetchone()
    best = connection.execute('SELECT run_id FROM runs ORDER BY "metrics.acc" DESC').fetchone()
    asset = connection.execute("SELECT data FROM assets WHERE name = 'table.csv'").fetchone()
    changed = connection.execute("SELECT DISTINCT note FROM events WHERE step = 2").fetchall()

    assert sorted(found) == [(run, step) for run in "123" for step in (0, 1)]
    assert count == len(filled.rows())
    assert best == ("3",)
    assert asset == (b"a,b\n1,2\n",)
    assert changed == [("changed",)]


def test_duckdb_attaches_the_file(filled, drifting, tmp_path):  # Q25, X24
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    try:
        connection.execute("LOAD sqlite")
    except duckdb.Error as error:
        pytest.skip(f"once, with a network: duckdb -c 'INSTALL sqlite' ({error})")
    filled.export(tmp_path / "x.db")

    connection.execute(f"ATTACH '{tmp_path / 'x.db'}' AS db (TYPE sqlite)")

    query = "SELECT run_id, step FROM db.events WHERE experiment = 'which/one' AND loss > 0.8"
    found = connection.execute(query).fetchall()
    assert sorted(found) == [(run, step) for run in "123" for step in (0, 1)]
    for table in ("events", "rows", "runs", "artifacts", "datasets", "files", "assets"):
        assert connection.execute(f"SELECT * FROM db.{table}").fetchall()


def test_long_texts_of_runs_are_shown_by_their_beginning(filled, tmp_path):
    filled.export(tmp_path / "x.db")

    query = 'SELECT DISTINCT "hyper_params.long" FROM runs'
    found = sqlite3.connect(tmp_path / "x.db").execute(query).fetchall()
    assert found == [("x" * 200 + "…",)]


def test_columns_of_sqlite_have_one_type_each(drifting, tmp_path):
    drifting.export(tmp_path / "x.db")
    connection = sqlite3.connect(tmp_path / "x.db")

    types = {name: kind for _, name, kind, *_ in connection.execute("PRAGMA table_info(events)")}
    for name, kind in types.items():
        query = f"SELECT DISTINCT typeof({quoted(name)}) FROM events"
        stored = {one for (one,) in connection.execute(query)}
        expected = {"DOUBLE": "real", "BIGINT": "integer", "TEXT": "text", "TIMESTAMP": "text"}
        assert stored <= {expected[kind], "null"}, name
    assert types["x"] == "TEXT"
    assert types["y"] == "DOUBLE"
    assert {"Acc", "acc_2", "experiment_2", "_writer_2", "a; DROP TABLE x", '"'} <= set(types)
    assert connection.execute("SELECT x FROM events ORDER BY x").fetchall() == [
        ("0.5",),
        ("1",),
        ("text",),
    ]


def test_parquet_is_read_by_every_program(filled, drifting, tmp_path):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    duckdb = pytest.importorskip("duckdb")
    filled.export(tmp_path / "x.parquet")
    folder = tmp_path / "x.parquet"
    (table,) = (folder / "rows").glob("which_one-*.parquet")

    frame = pandas.read_parquet(table)
    others = polars.read_parquet(table)
    answer = duckdb.sql(
        f"SELECT experiment, count(*), max(y) FROM read_parquet('{folder}/rows/*.parquet', "
        "union_by_name = true) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    joined = duckdb.sql(
        f"SELECT DISTINCT r.\"metrics.acc\" FROM '{folder}/runs.parquet' r "
        f"JOIN '{table}' e USING (experiment, run_id) ORDER BY 1"
    ).fetchall()

    assert len(frame) == len(others) == len(filled.rows(experiment="which/one"))
    assert frame["loss"].dtype == "float64"
    assert frame["flag"].dropna().tolist() == [True] * 3
    assert str(frame["timestamp"].dtype.tz) == "UTC"
    assert frame["data"].dropna().tolist() == [b"\x00\xff"] * 3
    assert json.loads(frame["deep"].dropna().iloc[0]) == [
        {"@list": [1]},
        {"@items": [{"key": 2, "value": 3}]},
    ]
    assert [one[:2] for one in answer[:2]] == [("a", 1), ("b", 2)]
    assert joined == [(0.5,), (0.6,), (0.7,)]


def test_metadata_of_parquet_tells_what_a_column_is(filled, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    filled.export(tmp_path / "x.parquet")
    (table,) = (tmp_path / "x.parquet" / "rows").glob("which_one-*.parquet")

    schema = parquet.read_schema(table)

    kinds = {one.name: one.metadata[b"aletheia.kind"].decode() for one in schema}
    assert kinds["deep"] == kinds["file"] == "json"
    assert kinds["at"] == "time"
    assert kinds["mixed"] == "text"
    assert schema.field("@odd").metadata[b"aletheia.name"] == b"@@odd"


def test_files_of_experiments_have_names_that_every_system_takes(opened, tmp_path):
    ms = opened()
    names = ["a/b", "a?b", "A_B", "a_b", "..", "ünïcode", "x" * 300, "x" * 301, ":*<>|"]
    for name in names:
        with ms.exper(name).start_run() as run:
            run.log(x=1)

    ms.export(tmp_path / "x.parquet")

    files = [path.name for path in (tmp_path / "x.parquet" / "rows").iterdir()]
    assert len({name.casefold() for name in files}) == len(names)
    assert all(len(name.encode()) < 200 for name in files)
    copy = opened("copy")
    copy.import_(tmp_path / "x.parquet")
    assert {one.name for one in copy.experiments()} == set(names)
    assert all(copy.experiment(name).run(1).latest("x") == 1 for name in names)


def test_more_columns_than_sqlite_has_are_carried(opened, tmp_path):
    ms = opened()
    with ms.exper("wide").start_run() as run:
        for start in range(0, 2_500, 500):
            run.log({f"c{number}": number for number in range(start, start + 500)})
    ms.export(tmp_path / "x.db")
    copy = opened("copy")

    copy.import_(tmp_path / "x.db")

    assert copy.experiment("wide").run(1).rows().to_dicts() == run.rows().to_dicts()


def test_a_later_export_replaces_tables_as_a_whole(opened, tmp_path, files):
    ms = opened()
    fill(ms, files)
    targets = [tmp_path / "x.db", tmp_path / "x.parquet"]
    for target in targets:
        ms.export(target)
    for run in (1, 2, 3):
        ms.exper("which/one").delete_run(run)
    with ms.exper("new").start_run() as run:
        run.log(x=1)

    for target in targets:
        ms.export(target)
        copy = opened(f"copy {target.suffix}")
        copy.import_(target)
        assert copy.experiment("which/one").runs().ids == []
        assert copy.experiment("new").runs().ids == ["1"]

    assert [path.name for path in (tmp_path / "x.parquet" / "rows").iterdir()] == ["new.parquet"]


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 50])
def test_columns_are_inserted_as_rows(count):
    numbers = list(range(count))
    columns = [
        ["it's"] * count,
        ["with \x00 inside"] * count,
        [None] * count,
        [f"'{number}'" for number in numbers],
        [b"bytes"] * count,
        [0.1] * count,
        [None if number % 2 else number for number in numbers],
    ]
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a, b, c, d, e, f, g)")

    insert_columns(connection, "t", columns, count)
    insert_columns(connection, "t", [["x"] * count] * 7, count)

    found = connection.execute("SELECT * FROM t ORDER BY rowid").fetchall()
    assert found == [*zip(*columns, strict=True), *[("x",) * 7] * count]
