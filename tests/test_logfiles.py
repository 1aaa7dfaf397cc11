"""Rows become log lines that nothing tears, mixes or changes, and come back from them."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import io
import json
import logging
import logging.config
import math
import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aletheia_like import logfiles
from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.logfiles import (
    RowLog,
    active,
    configure_logging,
    experiment_log,
    monitor,
    read_logs,
)
from aletheia_like.metastore.tables import Table
from aletheia_like.model.values import encode, equal

NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
FORMATS = pytest.mark.parametrize("style", ["text", "jsonl"])
ODD_ROW = {
    "nan": math.nan,
    "infinity": -math.inf,
    "none": None,
    "text": 'über\n" | TRACKING | \u2028',
    "bytes": b"\x00\xff",
    "aware": NOON,
    "naive": dt.datetime(2026, 1, 1, 12),
    "day": dt.date(2026, 1, 31),
    "pause": dt.timedelta(seconds=90),
    "decimal": decimal.Decimal("1.10"),
    "complex": complex(1, 2),
    "huge": 2**70,
    "nested": {"a": [1, [2.5, {"b": math.inf}]], "@odd": {1: "one"}, "__x__": True},
    "empty": {},
}
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.datetimes(timezones=st.sampled_from([None, dt.UTC])),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@pytest.fixture(autouse=True)
def nothing_configured():
    yield
    configure_logging(stdout=False)


@pytest.fixture
def logs(tmp_path):
    return tmp_path / "logs"


def lines(folder):
    files = sorted(folder.iterdir())
    return [line for file in files for line in file.read_text("utf-8").splitlines()]


def records(folder):
    """Return the rows without the columns that every line has."""
    added = ["timestamp", "level"]
    return read_logs(folder).drop(columns=added).to_dict("records")


def run(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


def test_a_row_is_one_line_on_stdout(capsys):  # G1
    RowLog(stdout=True, clock=lambda: NOON).row({"accuracy": 0.9, "step": 3})

    assert capsys.readouterr().out == (
        '2026-11-21T12:00:00.000000+00:00 | TRACKING | aletheia | {"accuracy":0.9,"step":3}\n'
    )


def test_a_daily_file_has_the_rows(logs):  # G2
    RowLog(path=logs, clock=lambda: NOON).row({"a": 1})

    assert (logs / "2026-11-21.log").read_text() == (
        '2026-11-21T12:00:00.000000+00:00 | TRACKING | aletheia | {"a":1}\n'
    )


def test_nothing_is_written_before_the_first_row(logs, capsys):
    log = RowLog(stdout=True, path=logs)
    log.close()

    assert not logs.exists()
    assert capsys.readouterr().out == ""


def test_two_logs_with_different_paths_do_not_mix(tmp_path):  # G2
    first, second = RowLog(path=tmp_path / "1"), RowLog(path=tmp_path / "2")
    for number in range(10):
        first.row({"first": number})
        second.row({"second": number})

    assert list(read_logs(tmp_path / "1")) == ["first", "timestamp", "level"]
    assert list(read_logs(tmp_path / "2")) == ["second", "timestamp", "level"]


def test_a_new_day_in_utc_is_a_new_file(logs):
    times = iter([NOON, NOON + dt.timedelta(hours=12)])
    log = RowLog(path=logs, clock=lambda: next(times))
    log.row({"a": 1})
    log.row({"a": 2})

    assert sorted(file.name for file in logs.iterdir()) == ["2026-11-21.log", "2026-11-22.log"]


def test_a_relative_path_stays_when_the_program_moves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = RowLog(path="logs")
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    log.row({"a": 1})

    assert len(read_logs(tmp_path / "logs")) == 1


def test_each_line_of_a_jsonl_log_is_strict_json_with_zoned_time_and_level(logs):  # G7
    log = RowLog(path=logs, format="jsonl")
    log.row(ODD_ROW)
    log.row(ODD_ROW, level="EXPERIMENT")

    for line, level in zip(lines(logs), ("TRACKING", "EXPERIMENT"), strict=True):
        entry = json.loads(line, parse_constant=pytest.fail)
        assert list(entry) == ["time", "level", "row"]
        assert dt.datetime.fromisoformat(entry["time"]).utcoffset() == dt.timedelta(0)
        assert entry["level"] == level


@FORMATS
@pytest.mark.parametrize("level", ["TRACKING", "MONITOR", "EXPERIMENT"])
def test_any_row_comes_back_as_it_was(logs, style, level):  # G3, G5, G7
    RowLog(path=logs, format=style).row(ODD_ROW, level=level)
    (row,) = records(logs)

    assert equal(encode(row), encode(ODD_ROW))


def test_a_line_is_plain_for_readers_that_know_no_types(logs):
    row = {"timestamp": NOON, "when": NOON, "loss": math.nan, "sizes": [1, [-math.inf]]}
    RowLog(path=logs, format="jsonl").row(row)

    assert json.loads(lines(logs)[0])["row"] == {
        "timestamp": "2026-11-21T12:00:00+00:00",
        "when": "2026-11-21T12:00:00+00:00",
        "loss": "NaN",
        "sizes": [1, ["-Infinity"]],
        "@types": {"when": "datetime", "loss": "float", "sizes": {"1": {"0": "float"}}},
    }


def test_a_line_that_others_wrote_has_its_texts(logs):
    logs.mkdir()
    head = "2026-11-21T12:00:00.000000+00:00 | MONITOR | aletheia | "
    texts = '{"loss":"NaN","day":"2026-01-31","level":"low"}'
    (logs / "2026-11-21.log").write_text(f"{head}{texts}\n")

    (row,) = read_logs(logs).to_dict("records")
    assert row == {"loss": "NaN", "day": "2026-01-31", "timestamp": NOON, "level": "low"}


def test_every_row_has_a_time_and_a_level(logs):
    log = RowLog(path=logs, clock=lambda: NOON)
    earlier = NOON - dt.timedelta(hours=1)
    log.row({"a": 1, "timestamp": earlier})
    log.row({"a": 2}, level="MONITOR")

    frame = read_logs(logs)
    assert list(frame["timestamp"]) == [earlier, NOON]
    assert list(frame["level"]) == ["TRACKING", "MONITOR"]


ROWS = st.dictionaries(st.text() | st.sampled_from(["timestamp", "@types", "@@types"]), VALUES)


@FORMATS
@settings(max_examples=50)
@given(row=ROWS)
def test_no_row_is_changed_by_its_line(style, row):
    log = RowLog(format=style)
    for level in ("TRACKING", "EXPERIMENT"):
        text = log._line("2026-11-21T12:00:00.000000+00:00", level, encode(row))
        (entry,) = logfiles._entries(io.BytesIO(text.encode()), skipped := logfiles.Counter())
        head = logfiles._TEXT_HEAD.match(entry) or logfiles._JSON_HEAD.match(entry)
        found = logfiles._row(head)

        assert equal(encode(found), encode(row))
        assert not skipped


@FORMATS
def test_no_character_of_a_row_ends_a_line(logs, style):
    log = RowLog(path=logs, format=style)
    log.row({"a": "\x0b\x0c\r\n\x1c\x85\u2028\u2029"})
    log.row({"a": "\x85\u2028\u2029"}, level="EXPERIMENT")

    assert len(lines(logs)) == (2 if style == "jsonl" else 4)


def test_scalars_of_numpy_become_pythons(logs):
    RowLog(path=logs).row({"a": np.float32(0.5), "b": np.int64(7), "c": np.array([1, 2])})

    assert records(logs) == [{"a": 0.5, "b": 7, "c": [1, 2]}]


def test_rows_come_newest_file_first_and_in_order_within(logs):  # G3
    for day in (20, 22, 21):
        time = dt.datetime(2026, 11, day, tzinfo=dt.UTC)
        log = RowLog(path=logs, format="jsonl" if day == 21 else "text", clock=lambda t=time: t)
        log.row({"day": day, "step": 0})
        log.row({"day": day, "step": 1})

    assert list(read_logs(logs)["day"]) == [22, 22, 21, 21, 20, 20]
    assert list(read_logs(logs)["step"]) == [0, 1] * 3


def test_a_limit_keeps_the_newest_rows(logs):
    for day in (20, 21):
        time = dt.datetime(2026, 11, day, tzinfo=dt.UTC)
        for step in range(3):
            RowLog(path=logs, clock=lambda t=time: t).row({"day": day, "step": step})

    frame = read_logs(logs, limit=4)
    assert list(zip(frame["day"], frame["step"], strict=True)) == [
        (21, 0),
        (21, 1),
        (21, 2),
        (20, 2),
    ]
    assert list(read_logs(logs, limit=1)["step"]) == [2]
    assert read_logs(logs, limit=0).empty


def test_foreign_and_broken_lines_are_left_out_and_counted(logs, caplog):  # G3
    log = RowLog(path=logs, clock=lambda: NOON)
    log.row({"a": 1})
    with (logs / "2026-11-21.log").open("ab") as file:
        file.write(b"INFO an ordinary message\n\n  indented\n\xff\xfe\x00\n")
        file.write(b'{"time": "2026-11-21T12:00:00", "level": "INFO", "message": "x"}\n')
        file.write(b'{"a": 7}\n')
        file.write(b'2026-11-21T12:00:00.000000+00:00 | INFO | aletheia | {"a": 8}\n')
        file.write(b"2026-11-21T12:00:00.000000+00:00 | TRACKING | aletheia | [9]\n")
        file.write(b'2026-99-21T12:00:00.000000+00:00 | TRACKING | aletheia | {"a":9}\n')
        for odd in (b'{"a":"x","@types":{"a":"date"}}', b'{"@types":{"b":"float"}}'):
            file.write(b"2026-11-21T12:00:00.000000+00:00 | TRACKING | aletheia | %b\n" % odd)
        file.write(b'2026-11-21T12:00:00.000000+00:00 | EXPERIMENT | aletheia | {\n  "a":\n')
        file.write(b'2026-11-21T12:00:00.000000+00:00 | TRACKING | aletheia | {"a": 0.')
    log.row({"a": 2})
    log.row({"a": 3}, level="EXPERIMENT")

    assert list(read_logs(logs)["a"]) == [1, 2, 3]
    (record,) = caplog.records
    assert "6 broken and 6 foreign lines" in record.getMessage()


def test_a_torn_record_over_lines_takes_no_other_with_it(logs):
    log = RowLog(path=logs, clock=lambda: NOON)
    log.row({"a": {"b": 1}}, level="EXPERIMENT")
    file = logs / "2026-11-21.log"
    os.truncate(file, file.stat().st_size - 5)
    log.row({"a": {"b": 2}}, level="EXPERIMENT")

    assert list(read_logs(logs)["a"]) == [{"b": 2}]


def test_a_single_file_of_any_name_can_be_read(tmp_path):
    done = run(
        "import aletheia_like.logfiles as lf\n"
        "lf.configure_logging()\nlf.monitor([{'a': 1}, {'a': 2}])\nprint('an ordinary line')"
    )
    file = tmp_path / "output.txt"
    file.write_text(done.stdout)

    assert list(read_logs(file)["a"]) == [1, 2]


def test_times_and_levels_can_be_read_too(logs):
    log = RowLog(path=logs, clock=lambda: NOON)
    log.row({"a": 1})
    log.row({"a": 2}, level="EXPERIMENT")

    frame = read_logs(logs, stamped=True)
    assert list(frame["log_level"]) == ["TRACKING", "EXPERIMENT"]
    assert list(frame["log_time"]) == [NOON, NOON]


def test_large_integers_beside_gaps_stay_exact(logs):
    log = RowLog(path=logs)
    log.row({"id": 2**60 + 1, "loss": 0.5})
    log.row({"loss": None})

    assert read_logs(logs)["id"].tolist() == [2**60 + 1, None]
    assert read_logs(logs)["loss"].dtype == "float64"


def test_a_folder_without_rows_gives_an_empty_frame(logs):
    configure_logging(stdout=False, path=logs)

    assert read_logs(logs).empty


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="nowhere"):
        read_logs(tmp_path / "nowhere")
    with pytest.raises(InvalidValueError, match="-1"):
        read_logs(tmp_path, limit=-1)


def test_wrong_formats_levels_and_rows_are_refused(tmp_path):
    with pytest.raises(InvalidValueError, match=r"'xml'.*'text' or 'jsonl'"):
        configure_logging(format="xml")
    with pytest.raises(InvalidValueError, match="'INFO'"):
        RowLog().row({}, level="INFO")
    with pytest.raises(InvalidValueError, match="not a list"):
        experiment_log([1])
    with pytest.raises(InvalidValueError, match="not an int"):
        experiment_log(1)
    with pytest.raises(InvalidValueError, match=r"a: a builtins\.object"):
        RowLog(stdout=True).row({"a": object()})
    (tmp_path / "file").touch()
    with pytest.raises(InvalidValueError, match="file"):
        configure_logging(path=tmp_path / "file")


def test_the_active_log_is_set_and_turned_off(logs):
    assert active() is None
    log = configure_logging(stdout=False, path=logs)
    assert active() is log
    assert str(logs) in repr(log)

    configure_logging(stdout=False)
    assert active() is None


@FORMATS
@pytest.mark.parametrize(
    "given",
    [
        [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}],
        pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}),
        Table([{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]),
    ],
    ids=["list", "pandas", "table"],
)
def test_monitor_writes_one_line_a_record(logs, given, style):  # G4
    configure_logging(stdout=False, path=logs, format=style)
    monitor(given)

    assert len(lines(logs)) == 2
    assert all("MONITOR" in line for line in lines(logs))
    assert records(logs) == [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]


def test_monitor_takes_a_generator(logs):  # G4
    configure_logging(stdout=False, path=logs)
    monitor({"x": x} for x in range(3))

    assert list(read_logs(logs)["x"]) == [0, 1, 2]


def test_monitor_takes_one_mapping_and_prints_by_default(capsys):  # G4
    monitor({"x": 1})

    assert capsys.readouterr().out.endswith(' | MONITOR | aletheia | {"x":1}\n')


def test_gaps_of_a_data_frame_become_none_and_nan(logs):
    configure_logging(stdout=False, path=logs)
    monitor(
        pd.DataFrame(
            {
                "t": [pd.NaT, pd.Timestamp(NOON)],
                "i": pd.array([pd.NA, 1], dtype="Int64"),
                "f": [math.nan, 1.0],
            }
        )
    )

    assert '{"t":null,"i":null,"f":"NaN","@types":{"f":"float"}}' in lines(logs)[0]
    assert read_logs(logs)["t"][1] == NOON


@pytest.mark.parametrize("records", ["text", b"bytes", 7, [1], pd.Series([1.0])])
def test_monitor_refuses_what_is_no_record(records):
    with pytest.raises(InvalidValueError, match="mapping"):
        monitor(records)


def test_an_experiment_is_pretty_on_several_lines_and_one_row_again(logs, capsys):  # G5
    record = {"model": "xgboost", "scores": {"auc": 0.9}, "sizes": [1, 2], "note": "a\n}\nb"}
    configure_logging(stdout=True, path=logs)
    experiment_log(record)
    monitor({"after": 1})

    printed = capsys.readouterr().out
    assert printed.splitlines()[0].endswith(" | EXPERIMENT | aletheia | {")
    assert printed.splitlines()[1:4] == [
        '  "model": "xgboost",',
        '  "scores": {',
        '    "auc": 0.9',
    ]
    assert printed.splitlines() == lines(logs)
    first, second = read_logs(logs).to_dict("records")
    assert {key: first[key] for key in record} == record
    assert second["after"] == 1


def test_no_store_and_no_file_is_touched_without_a_path(tmp_path, monkeypatch):  # G4
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALETHEIA_HOME", str(tmp_path / "home"))
    run(
        "import sys, aletheia_like.logfiles as lf\n"
        "lf.monitor({'a': 1}); lf.experiment_log({'a': 1})\n"
        "heavy = 'pandas numpy sqlite3 google git aletheia_like.connect'.split()\n"
        "assert not [name for name in heavy if name in sys.modules]"
    )

    assert list(tmp_path.iterdir()) == []


def test_ordinary_messages_are_no_rows_and_loggers_stay_untouched(logs, capsys):  # G9
    root = logging.getLogger()
    before = (root.level, list(root.handlers), set(root.manager.loggerDict))
    configure_logging(stdout=True, path=logs)
    logging.getLogger().warning("of the root")
    logging.getLogger("aletheia").warning("of the package")
    logging.getLogger("aletheia.rows").error("of a logger below")
    monitor({"a": 1})

    assert len(lines(logs)) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert (root.level, root.handlers) == before[:2]
    assert set(root.manager.loggerDict) - before[2] <= {"aletheia.rows"}


def test_rows_still_come_after_logging_was_configured_anew(logs):  # G9
    configure_logging(stdout=False, path=logs)
    level = logging.getLogger().level
    logging.disable(logging.CRITICAL)
    monitor({"a": 1})
    logging.disable(logging.NOTSET)

    assert logging.getLogger().level == level
    assert list(read_logs(logs)["a"]) == [1]


WRITER = """
import sys, threading
from aletheia_like.logfiles import RowLog
log = RowLog(path=sys.argv[1], format=sys.argv[3])
def write(thread):
    for step in range(500):
        log.row({"writer": sys.argv[2], "thread": thread, "step": step, "pad": "x" * (step * 37)},
                level="EXPERIMENT" if step % 10 == 0 else "TRACKING")
threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@FORMATS
def test_processes_and_threads_tear_nothing_in_one_folder(logs, style, caplog):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(logs), name, style])
        for name in ("a", "b")
    ]
    for writer in writers:
        assert writer.wait(timeout=120) == 0

    frame = read_logs(logs)
    assert not caplog.records
    assert len(frame) == 2000
    assert (frame["pad"].str.len() == frame["step"] * 37).all()
    for _, group in frame.groupby(["writer", "thread"]):
        assert list(group["step"]) == list(range(500))


def log_ten(name):
    for step in range(10):
        active().row({"name": name, "step": step})


def test_a_forked_child_logs_to_its_parents_log(logs):
    configure_logging(stdout=False, path=logs)
    stop = threading.Event()

    def keep_logging():
        while not stop.is_set():
            active().row({"name": "thread", "step": 0})

    thread = threading.Thread(target=keep_logging)
    thread.start()
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=log_ten, args=(f"child {n}",)) for n in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(timeout=30)
    stop.set()
    thread.join()

    counts = read_logs(logs)["name"].value_counts()
    assert [counts[f"child {n}"] for n in range(4)] == [10] * 4


def test_a_deleted_folder_is_made_again(logs):
    log = RowLog(path=logs, clock=lambda: NOON)
    log.row({"a": 1})
    (logs / "2026-11-21.log").unlink()
    logs.rmdir()
    log.row({"a": 2})

    assert list(read_logs(logs)["a"]) == [2]


def test_a_folder_that_cannot_be_made_is_told_once_and_stops_nobody(tmp_path, caplog):
    log = RowLog(path=tmp_path / "logs")
    (tmp_path / "logs").touch()
    for step in range(3):
        log.row({"step": step})
    log.close()

    first, last = [record.getMessage() for record in caplog.records]
    assert "logs" in first
    assert "3 rows are missing" in last


def test_a_full_disk_stops_nobody_and_later_rows_are_whole(tmp_path, mounted, caplog):
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=64k", "tmpfs"):
        log = RowLog(path=disk)
        (disk / "ballast").write_bytes(bytes(40_000))
        for step in range(30):
            log.row({"step": step, "pad": "x" * 1000})
        missed = log._files.missed
        (disk / "ballast").unlink()
        log.row({"step": 30})
        log.close()
        told = [record.getMessage() for record in caplog.records]
        steps = list(read_logs(disk)["step"])

    assert missed > 0
    assert steps == [*range(30 - missed), 30]
    assert [str(disk) in message for message in told] == [True, True]


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["none", "closed"])
def test_a_stdout_that_is_gone_stops_nobody(stream, logs, monkeypatch, caplog):
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    RowLog(stdout=True, path=logs).row({"a": 1})

    assert len(lines(logs)) == 1
    assert len(caplog.records) == 1


def test_a_broken_pipe_stops_nobody():
    program = (
        "import sys, time, aletheia_like.logfiles as lf\n"
        "log = lf.RowLog(stdout=True)\n"
        "sys.stdin.readline()\n"
        "for step in range(3): log.row({'step': step})\n"
        "sys.stderr.write('done'); sys.stderr.flush()\n"
        "import os; os._exit(0)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        told = process.stderr.read().decode()

    assert told.endswith("done")
    assert told.count("rows are missing") == 1


def test_a_stdout_without_unicode_gets_escapes():
    raw = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(raw, encoding="ascii")):
        RowLog(stdout=True).row({"name": "über 😀"})
        written = raw.getvalue()

    assert json.loads(written.decode("ascii").split(" | ", 3)[3]) == {"name": "über 😀"}
