"""What each call costs in billed operations, exactly."""  # B12

from __future__ import annotations

import secrets

import pytest

from aletheia_like.ports.usage import UsageRecord


@pytest.fixture
def counted(ms):
    """Return what an action costs: document reads, writes, blob uploads, blob reads."""

    def count(action):
        before = ms.usage
        action()
        used = ms.usage - before
        return used.document_reads, used.document_writes, used.blob_writes, used.blob_reads

    return count


@pytest.fixture
def warm(ms):
    """An experiment whose process has stored its list of packages with an earlier run."""
    exper = ms.exper("e")
    exper.start_run().finish()
    return exper


def test_opening_a_metastore_costs_nothing(ms):
    assert ms.usage == UsageRecord()


def test_the_first_experiment_of_a_project(ms, counted):
    # Reads: is there the experiment, is there the project. Writes: both.
    assert counted(lambda: ms.exper("e")) == (2, 2, 0, 0)
    assert counted(lambda: ms.exper("e")) == (1, 0, 0, 0)


def test_a_run_with_three_metrics_and_one_artifact(warm, counted, tmp_path):
    path = tmp_path / "model.pt"
    # New bytes: what another test has stored in the bucket would be looked for.
    path.write_text(f"weights {secrets.token_hex(4)}")

    def record():
        with warm.start_run(hyper_params={"lr": 0.1}) as run:
            for number in range(3):
                run.add_metric(f"metric {number}", number)
            run.add_artifact("weights", path)

    # Reads: the index of the file, the artifact's document. Writes: the experiment's counter and
    # the run; the file's index; artifact, version and its file; the run's end and its line in the
    # leaderboard. One upload.
    assert counted(record) == (2, 8, 1, 0)
    # The same content again: a version of the new run, but no file and no upload.
    assert counted(record) == (1, 7, 0, 0)


def test_a_hundred_changes_within_a_second_are_two_writes(warm, counted):  # M24
    run = warm.start_run()

    def change():
        for number in range(100):
            run.add_metric("a", number)
        run.finish()

    reads, writes, *_ = counted(change)
    assert reads == 0
    assert writes <= 3  # at most one in the background, then the end and the leaderboard


def test_a_run_with_a_thousand_rows(warm, counted):
    def record():
        with warm.start_run() as run:
            run.log_batch({"step": n, "loss": n / 7} for n in range(1_000))

    # Writes: the experiment's counter and the run; the rows; the run's end and its line in the
    # leaderboard.
    assert counted(record) == (0, 5, 0, 0)


def test_rows_that_are_flushed_one_by_one(warm, counted):
    run = warm.start_run()

    def record():
        for n in range(20):
            run.log(step=n, loss=n / 7)
            run.flush()

    reads, writes, *_ = counted(record)
    assert reads == 0
    assert writes == 40  # each time the chunk, which grows, and the run's summary


def test_a_hundred_thousand_numbers_are_few_writes(warm, counted):
    def record():
        with warm.start_run() as run:
            for n in range(10_000):
                run.log({f"column {k}": n / (k + 1) for k in range(10)})

    reads, writes, blob_writes, _ = counted(record)
    assert (reads, blob_writes) == (0, 0)
    assert writes <= 40


def test_a_history_costs_at_most_a_read_for_a_thousand_rows(ms, warm, counted, open_ms):
    with warm.start_run() as run:
        run.log_batch({f"column {k}": n / (k + 1) for k in range(10)} for n in range(10_000))
        run.flush()
        run.log(last=1)
    other = open_ms()
    loaded = other.experiment("e").run(run.id)
    before = other.usage

    assert len(loaded.rows()) == 10_001
    assert (other.usage - before).document_reads <= 10

    before = other.usage
    assert len(other.rows(experiment="e", run_id=run.id)) == 10_001
    assert (other.usage - before).document_reads <= 10


def test_rows_changed_by_condition_are_read_once_more_at_the_end(warm, counted):
    def record():
        with warm.start_run() as run:
            run.log_batch({"step": n, "loss": n / 7} for n in range(100))
            run.set_value("loss", 0.0, where={"step": 5})

    # The read finds no chunk yet; what this process has logged is merged with it.
    assert counted(record) == (1, 5, 0, 0)


def test_a_file_in_a_row(warm, counted, tmp_path):
    from aletheia_like import File

    path = tmp_path / "image.png"
    path.write_text(f"pixels {secrets.token_hex(4)}")

    def record():
        with warm.start_run() as run:
            run.log(image=File(path))
            run.log(image=File(path))

    # Beside a run with rows: the index of the file, and its upload.
    assert counted(record) == (1, 6, 1, 0)
    assert counted(record) == (0, 5, 0, 0)


def test_the_table_costs_one_read_a_run(ms, warm, counted):
    for _ in range(9):
        warm.start_run().finish()

    assert counted(warm.runs) == (10, 0, 0, 0)
    assert counted(warm.results) == (10, 0, 0, 0)
    assert counted(lambda: warm.run(1)) == (1, 0, 0, 0)


def test_what_a_condition_excludes_is_not_read(ms, warm, counted):
    for number in range(9):
        with warm.start_run(hyper_params={"lr": number / 10}) as run:
            run.add_metric("acc", number)

    # One read for the query that finds nothing: values that lie in another form.
    few = counted(lambda: warm.runs("metrics.acc > 6").to_pandas())
    assert few == (2 + 1, 0, 0, 0)
    first = counted(lambda: warm.runs(order_by="-metrics.acc", limit=2).to_pandas())
    assert first == (3 + 1, 0, 0, 0)


def test_sql_reads_rows_once(ms, warm, counted):
    for number in range(3):
        with warm.start_run() as run:
            run.log_batch({"n": number} for _ in range(100))

    # The experiment, its four runs, three chunks, and a query that finds none; then no chunks.
    assert counted(lambda: ms.sql("SELECT sum(n) FROM rows")) == (1 + 4 + 3 + 1, 0, 0, 0)
    assert counted(lambda: ms.sql("SELECT sum(n) FROM rows")) == (1 + 4, 0, 0, 0)
    assert counted(lambda: ms.sql("SELECT * FROM runs")) == (1 + 4, 0, 0, 0)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "db"])
def test_an_export_reads_each_document_once(ms, warm, counted, tmp_path, suffix):
    for _ in range(3):
        with warm.start_run() as run:
            run.log_batch({"n": n} for n in range(100))

    # The project twice, to see that it is there; its experiment, four runs, three chunks and
    # four lines of the leaderboard; one read for each query without an answer: metadata, data
    # sets, artifacts, repositories, series, and the rows of a run without any. The index of a
    # blob, and the blob.
    documents = 2 + 1 + 4 + 3 + 4
    reads, *others = counted(lambda: ms.export(tmp_path / f"out.{suffix}"))

    assert reads == documents + 6 + 1
    assert others == [0, 0, 1]


def test_a_dataset(ms, open_ms, counted, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(secrets.token_hex(4))
    ms.exper("e")

    # Reads: the index of the file, the dataset's document. Writes: the file's index; dataset,
    # version and its file.
    assert counted(lambda: ms.add_dataset("table", path)) == (2, 4, 1, 0)
    assert counted(lambda: ms.add_dataset("table", path)) == (1, 0, 0, 0)
    assert counted(lambda: ms.get_dataset("table")) == (1, 0, 0, 0)
    assert counted(lambda: ms.get_dataset("table", download=True)) == (1, 0, 0, 1)
    assert counted(lambda: ms.get_dataset("table", download=True)) == (1, 0, 0, 0)


def test_usage_prices_itself_as_an_estimate(ms):
    ms.exper("e")

    assert 0 < ms.usage.estimate() < 0.001
