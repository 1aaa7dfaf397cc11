"""`aletheia sql`, as people and scripts call it."""

from __future__ import annotations

import csv
import io

import pytest

import aletheia_like as al


@pytest.fixture
def sweep(tmp_path):
    """Two runs of three rows in project `p`, and one of another experiment."""
    url = (tmp_path / "home").as_uri()
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        for number in (1, 2):
            with ms.exper("sweep").start_run(hyper_params={"lr": number / 10}) as run:
                run.log_batch({"step": step, "loss": number / (step + 1)} for step in range(3))
                run.add_metric("acc", number / 2)
        with ms.exper("other").start_run() as run:
            run.log(loss=float("nan"), note="a\nb", nested={"x": [1]})


def test_the_answer_is_a_table(aletheia, sweep):  # C4
    query = "SELECT run_id, min(loss) AS least FROM rows WHERE experiment = 'sweep' GROUP BY ALL"

    shown = aletheia("sql", f"{query} ORDER BY ALL", "-p", "p")

    assert shown.code == 0
    assert [line.split() for line in shown.out.splitlines() if line.strip("─ ")] == [
        ["run_id", "least"],
        ["1", "0.333333"],
        ["2", "0.666667"],
    ]
    assert "2 rows" in shown.err


def test_scripts_get_json_or_comma_separated_values(aletheia, sweep):
    query = "SELECT run_id, step, loss FROM rows WHERE step = 1 AND experiment = 'sweep'"

    as_json = aletheia("sql", f"{query} ORDER BY run_id", "-p", "p", "--json")
    as_csv = aletheia("sql", f"{query} ORDER BY run_id", "-p", "p", "--csv")

    wanted = [{"run_id": "1", "step": 1, "loss": 0.5}, {"run_id": "2", "step": 1, "loss": 1.0}]
    assert as_json.json == wanted
    rows = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert rows == [{key: str(value) for key, value in row.items()} for row in wanted]


def test_json_has_moments_and_null_where_nothing_is(aletheia, sweep):
    query = "SELECT timestamp, loss, note, nested FROM rows"

    (row,) = aletheia("sql", query, "-p", "p", "--experiment", "other", "--json").json

    assert row.pop("timestamp").endswith("+00:00")
    assert row == {"loss": None, "note": "a\nb", "nested": '{"x":[1]}'}


def test_a_table_shows_each_row_on_one_line(aletheia, sweep):
    shown = aletheia("sql", "SELECT * FROM rows", "-p", "p", "--experiment", "other")

    assert shown.code == 0
    assert "a⏎b" in shown.out
    assert len(shown.out.splitlines()) == 3


def test_lists_bytes_and_moments_are_printed(aletheia, sweep):
    query = (
        "SELECT [1, 2] AS listed, '\\x00'::BLOB AS data, TIMESTAMP '2026-01-31 12:00' AS moment"
    )

    assert aletheia("sql", query, "-p", "p", "--json").json == [
        {"listed": [1, 2], "data": "AA==", "moment": "2026-01-31T12:00:00"}
    ]
    assert aletheia("sql", query, "-p", "p").code == 0


def test_the_query_can_come_from_standard_input(process, sweep):
    done = process("sql", "-", "-p", "p", "--csv", stdin="SELECT count(*) AS n FROM rows")

    assert (done.code, done.out) == (0, "n\n7\n")


def test_an_experiment_limits_what_is_asked(aletheia, sweep):
    query = "SELECT count(*) AS n FROM rows"

    assert aletheia("sql", query, "-p", "p", "--json").json == [{"n": 7}]
    only = aletheia("sql", query, "-p", "p", "--json", "--experiment", "other")
    assert only.json == [{"n": 1}]
    missing = aletheia("sql", query, "-p", "p", "--experiment", "nothing")
    assert (missing.code, missing.out) == (3, "")
    assert "'sweep'" in missing.err


def test_tables_and_columns_can_be_looked_up(aletheia, sweep):
    tables = aletheia("sql", "SHOW TABLES", "-p", "p", "--json").json
    columns = aletheia("sql", "DESCRIBE rows", "-p", "p", "--json").json

    assert {"name": "runs"} in tables
    assert {"loss", "step"} <= {one["column_name"] for one in columns}
    assert "PROJECTION" in aletheia("sql", "EXPLAIN SELECT 1", "-p", "p").out.upper()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT los FROM rows", "did you mean loss?"),
        ("SELECT * FROM nope", "no table 'nope'"),
        ("DROP TABLE rows", "only read"),
        ("SELEC", "syntax error"),
    ],
)
def test_an_error_is_a_message_and_a_code(aletheia, sweep, query, words):  # C4
    failed = aletheia("sql", query, "-p", "p")

    assert (failed.code, failed.out) == (2, "")
    assert words in failed.err
    assert len(failed.err.splitlines()) == 1


def test_asking_writes_nothing(aletheia, sweep, tmp_path):
    database = tmp_path / "home" / "metastore.sqlite"
    before = database.read_bytes()

    assert aletheia("sql", "SELECT * FROM rows", "-p", "p").code == 0
    assert aletheia("sql", "DROP TABLE rows", "-p", "p").code == 2

    assert database.read_bytes() == before


def test_an_empty_store_stays_empty(aletheia, tmp_path):
    assert aletheia("sql", "SELECT * FROM runs", "-p", "p", "--json").code == 3
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("query", ["SELECT * FROM runs", "SELECT count(*) FROM rows"])
def test_a_project_that_does_not_exist_is_not_an_empty_answer(aletheia, sweep, query):  # C4
    asked = aletheia("sql", query, "-p", "typo")

    assert (asked.code, asked.out) == (3, "")
    assert "no project 'typo'" in asked.err
    assert "'p'" in asked.err
    assert aletheia("ls", "-p", "typo", "--where", "fold = 1").code == 3


def test_the_cache_verbs_know_of_kept_rows(aletheia, sweep, tmp_path):
    aletheia("sql", "SELECT * FROM rows", "-p", "p")

    assert "rows of 3 ended runs" in aletheia("cache", "ls").err
    assert aletheia("cache", "verify", "--json").json["checked"] == 3
    kept = next(path for path in (tmp_path / "cache" / "rows").rglob("*") if path.is_file())
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    damaged = aletheia("cache", "verify")
    assert (damaged.code, damaged.out.strip()) == (6, str(kept))
    assert aletheia("cache", "verify", "--repair").code == 0
    assert not kept.exists()


def test_kept_rows_take_no_more_than_the_setting_allows(aletheia, sweep, tmp_path):
    for _ in range(2):
        asked = aletheia(
            "sql", "SELECT * FROM rows", "-p", "p", ALETHEIA_ROWS_CACHE_MAX_BYTES="1500"
        )
        assert asked.code == 0

    kept = [path for path in (tmp_path / "cache" / "rows").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) <= 1_500
