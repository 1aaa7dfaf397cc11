"""Rows as lines of a log: on stdout, or in daily files that many processes append to.

    text   2026-11-21T07:38:12.123456+00:00 | TRACKING | aletheia | {"loss":0.1,"step":3}
    jsonl  {"time":"2026-11-21T07:38:12.123456+00:00","level":"TRACKING","row":{"loss":0.1}}

A file is named by the day in UTC: `2026-11-21.log` or `.jsonl`. Levels are TRACKING (rows of
runs), MONITOR and EXPERIMENT; as text, a record of level EXPERIMENT is spread over lines, of which
the inner ones begin with two spaces and the last is `}`. A row is strict JSON for any reader, see
`plainjson`: moments are ISO 8601 text, NaN is `"NaN"`, and a last key `@types` tells them from
text.

Nothing is kept open between two rows, so there is no lock, and threads, forks, deleted folders and
rotated files need no care. Python's `logging` is used for warnings only: rows are no messages, and
another package that configures logging anew must not turn them off.
"""

from __future__ import annotations

import datetime as dt
import errno
import json
import logging
import os
import re
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from aletheia_like.errors import AccessDeniedError, InvalidValueError, NotFoundError
from aletheia_like.model.names import with_article
from aletheia_like.model.plainjson import from_plain, to_plain
from aletheia_like.model.values import Value, encode

if TYPE_CHECKING:
    from pandas import DataFrame

Format = Literal["text", "jsonl"]
Level = Literal["TRACKING", "MONITOR", "EXPERIMENT"]

_log = logging.getLogger("aletheia")
_SUFFIXES: Mapping[Format, str] = {"text": ".log", "jsonl": ".jsonl"}
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
_EXACT_FLOATS = 2**53
_LEVELS: tuple[Level, ...] = get_args(Level)
_TIME = r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00)"
_LEVEL = rf"(?P<level>{'|'.join(_LEVELS)})"
_TEXT_HEAD = re.compile(rf"{_TIME} \| {_LEVEL} \| aletheia \| ")
_JSON_HEAD = re.compile(rf'\{{"time": ?"{_TIME}", ?"level": ?"{_LEVEL}", ?"row": ?')
_ONE_LINE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_SPREAD = json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=2)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_LINE_ENDS = re.compile("[\x85\u2028\u2029]")  # for some readers, not for JSON
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class RowLog:
    """Writes rows as log lines; safe for threads, processes and forks.

    A line is appended by one write of the operating system, so lines of many writers never mix on
    a local disk; network file systems promise less. What cannot be written, because the disk is
    full or stdout is closed, is told once as a warning of the logger `aletheia`, and again with
    its count at `close`; it never stops the caller.

    Args:
        stdout: Print the lines.
        path: Folder of the daily files, made when it is needed; None writes no files.
        format: `text` for people, `jsonl` for machines. Both can be read back.
        clock: Tells the time, in UTC.

    Raises:
        InvalidValueError: There is no such format.
    """

    def __init__(
        self,
        *,
        stdout: bool = False,
        path: str | Path | None = None,
        format: Format = "text",  # noqa: A002 - the public name
        clock: Callable[[], dt.datetime] = _utc_now,
    ) -> None:
        if format not in _SUFFIXES:
            message = f"no log format {format!r}: choose 'text' or 'jsonl'"
            raise InvalidValueError(message)
        self._format = format
        self._clock = clock
        self._stdout = _Place("stdout") if stdout else None
        # Absolute, because a program may change its working directory later.
        self.folder = Path(path).expanduser().absolute() if path is not None else None
        self._files = _Place(str(self.folder)) if path is not None else None

    def row(self, row: Mapping[str, Any], level: Level = "TRACKING") -> None:
        """Write one row as one line; as text, one of level EXPERIMENT as several.

        Raises:
            InvalidValueError: The row is no mapping, a value has no storable form, or there is no
                such level.
        """
        _check(row, level)
        time = self._clock().isoformat(timespec="microseconds")
        line = self._line(time, level, encode(row))
        if self._stdout is not None:
            self._stdout.attempt(lambda: _print(line))
        if self._files is not None:
            path = f"{self.folder}/{time[:10]}{_SUFFIXES[self._format]}"
            self._files.attempt(lambda: _append(path, line.encode()))

    def close(self) -> None:
        """Tell of rows that could not be written; there is nothing else to close."""
        for place in (self._stdout, self._files):
            if place is not None:
                place.close()

    def _line(self, time: str, level: Level, row: Value) -> str:
        is_spread = level == "EXPERIMENT" and self._format == "text"
        text = (_SPREAD if is_spread else _ONE_LINE).encode(to_plain(row))
        if not text.isascii():
            text = _escaped(text, _LINE_ENDS)
        if self._format == "jsonl":
            return f'{{"time":"{time}","level":"{level}","row":{text}}}\n'
        return f"{time} | {level} | aletheia | {text}\n"

    def __repr__(self) -> str:
        places = [place.name for place in (self._stdout, self._files) if place is not None]
        return f"<RowLog {self._format} to {' and '.join(places) or 'nowhere'}>"


@dataclass(slots=True)
class _Place:
    """Somewhere that lines go to, and how many it did not take."""

    name: str
    missed: int = 0

    def attempt(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (OSError, ValueError, RuntimeError) as error:
            # Closed streams raise ValueError, those that a signal handler re-enters RuntimeError.
            self.missed += 1
            if self.missed == 1:
                _log.warning("rows are missing in the log at %s: %s", self.name, error)

    def close(self) -> None:
        if self.missed:
            _log.warning("%d rows are missing in the log at %s", self.missed, self.name)
        self.missed = 0


def _check(row: object, level: str) -> None:
    if not isinstance(row, Mapping):
        message = f"a row of a log is a mapping, not {with_article(type(row).__name__)}"
        raise InvalidValueError(message)
    if level not in _LEVELS:
        message = f"no level {level!r} for rows: choose {', '.join(_LEVELS)}"
        raise InvalidValueError(message)


def _print(line: str) -> None:
    stream = sys.stdout
    if stream is None:
        message = "there is no stdout"
        raise ValueError(message)
    try:
        stream.write(line)
    except UnicodeEncodeError:
        stream.write(_escaped(line, _NOT_ASCII))
    stream.flush()


def _append(path: str, data: bytes) -> None:
    try:
        file = os.open(path, _APPEND, 0o666)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, _APPEND, 0o666)
    try:
        # The torn line of a killed process or a full disk must not take this one with it.
        data = data if _is_at_line_start(file) else b"\n" + data
        written = os.write(file, data)
    finally:
        os.close(file)
    if written < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def _is_at_line_start(file: int) -> bool:
    size = os.lseek(file, 0, os.SEEK_END)
    if size == 0:
        return True
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) == b"\n"


@dataclass(slots=True)
class _Process:
    """The row log of this process; a forked child has its parent's."""

    log: RowLog | None = None


_PROCESS = _Process()


def configure_logging(
    *,
    stdout: bool = True,
    path: str | Path | None = None,
    format: Format = "text",  # noqa: A002 - the public name
) -> RowLog:
    """Mirror the rows of all runs of this process as log lines, from now on.

    Args:
        stdout: Print the lines.
        path: Folder of daily files, `2026-11-21.log` or `.jsonl`, by the day in UTC; made now.
        format: `text` or `jsonl`.

    Returns:
        What the lines go through. With neither stdout nor a path, no rows are mirrored.

    Raises:
        InvalidValueError: There is no such format, or the folder cannot be made.
    """
    log = RowLog(stdout=stdout, path=path, format=format)
    if log.folder is not None:
        try:
            log.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"the log folder {log.folder} cannot be made: {error.strerror}"
            raise InvalidValueError(message) from error
    before, _PROCESS.log = _PROCESS.log, log if stdout or log.folder is not None else None
    if before is not None:
        before.close()
    return log


def active() -> RowLog | None:
    """Return what `configure_logging` set for this process, if anything."""
    return _PROCESS.log


def monitor(records: Any) -> None:
    """Write records as log lines of level MONITOR; no store is touched.

    They go where `configure_logging` said, by default to stdout.

    Args:
        records: A mapping, an iterable of mappings, a DataFrame (pandas, whose index is left out,
            or Polars), or the rows of a run.

    Raises:
        InvalidValueError: Something else, or a value that has no storable form.
    """
    log = _PROCESS.log or RowLog(stdout=True)
    for record in _records(records):
        log.row(record, "MONITOR")


def experiment_log(record: Mapping[str, Any]) -> None:
    """Write one record, such as parameters and scores, as a log entry of level EXPERIMENT.

    It goes where `configure_logging` said, by default to stdout; no store is touched. As text it
    is spread over lines for reading, and is one row again in `read_logs`.

    Raises:
        InvalidValueError: It is no mapping, or a value has no storable form.
    """
    (_PROCESS.log or RowLog(stdout=True)).row(record, "EXPERIMENT")


def _records(records: Any) -> Iterable[Any]:
    if isinstance(records, Mapping):
        return [records]
    if callable(getattr(records, "to_dicts", None)):
        return list(records.to_dicts())
    if hasattr(records, "to_dict") and hasattr(records, "columns"):
        return _frame_records(records)
    if isinstance(records, str | bytes) or not isinstance(records, Iterable):
        message = (
            f"cannot log {with_article(type(records).__name__)}: give mappings or a DataFrame"
        )
        raise InvalidValueError(message)
    return records


def _frame_records(frame: DataFrame) -> Iterator[dict[Any, Any]]:
    """Yield the rows of a DataFrame; pandas' own words for a missing value become None."""
    import pandas as pd

    missing = (pd.NaT, pd.NA)
    for record in frame.to_dict(orient="records"):
        yield {
            key: None if any(value is one for one in missing) else value
            for key, value in record.items()
        }


def read_logs(path: str | Path, limit: int | None = None, *, stamped: bool = False) -> DataFrame:
    """Return the rows of log files as a pandas DataFrame; what a row lacks is NaN.

    Files come newest first, the rows of a file in the order of writing. Text and JSON lines may be
    mixed. Lines that are no rows, or broken ones, are left out; one warning tells how many. A row
    that has no `timestamp` or `level` of its own gets those of its line.

    Args:
        path: A log file, or a folder with files `*.log` and `*.jsonl`.
        limit: Only so many of the newest rows.
        stamped: Add the columns `log_time` and `log_level`: of the lines, whatever rows hold.

    Raises:
        NotFoundError: There is nothing at `path`.
        InvalidValueError: The limit is negative.
        AccessDeniedError: A file may not be read.
    """
    import pandas as pd

    if limit is not None and limit < 0:
        message = f"limit={limit}: give the number of rows to read, or None for all"
        raise InvalidValueError(message)
    skipped: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    for file in _files(Path(path).expanduser()):
        left = None if limit is None else limit - len(rows)
        if left == 0:
            break
        rows += deque(_read(file, skipped, stamped=stamped), maxlen=left)
    if skipped:
        counts = " and ".join(f"{count} {kind}" for kind, count in sorted(skipped.items()))
        _log.warning("%s: %s lines were left out", path, counts)
    frame = pd.DataFrame(rows)
    for column in frame.columns[frame.dtypes == "float64"]:
        cells = [row.get(column) for row in rows]
        if any(type(cell) is int and abs(cell) > _EXACT_FLOATS for cell in cells):
            # Beside a gap pandas makes integers floats, which cannot hold these.
            frame[column] = pd.Series(cells, dtype=object)
    return frame


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        message = f"no log files at {path}: give the folder that rows were logged to"
        raise NotFoundError(message)
    files = [file for file in path.iterdir() if file.suffix in _SUFFIXES.values()]
    return sorted(filter(Path.is_file, files), key=_age, reverse=True)


def _age(file: Path) -> tuple[str, float]:
    """Return by what files are sorted: the day in the name, which survives copying, then time."""
    changed = file.stat().st_mtime
    day = _DAY.match(file.name)
    return day[0] if day else str(dt.datetime.fromtimestamp(changed, dt.UTC).date()), changed


def _read(file: Path, skipped: Counter[str], *, stamped: bool) -> Iterator[dict[str, Any]]:
    try:
        stream = file.open("rb")
    except PermissionError as error:
        message = f"the log file {file} may not be read: {error.strerror}"
        raise AccessDeniedError(message) from error
    with stream:
        for entry in _entries(stream, skipped):
            head = _TEXT_HEAD.match(entry) or _JSON_HEAD.match(entry)
            if head is None:
                skipped["foreign"] += 1
                continue
            try:
                row = _row(head)
                time = dt.datetime.fromisoformat(head["time"])
            except (ValueError, TypeError, RecursionError):
                skipped["broken"] += 1
                continue
            row.setdefault("timestamp", time)
            row.setdefault("level", head["level"])
            yield {"log_time": time, "log_level": head["level"], **row} if stamped else row


def _entries(lines: Iterable[bytes], skipped: Counter[str]) -> Iterator[str]:
    """Yield the entries of a log: lines, and records over several lines as one."""
    spread: list[str] = []
    for data in lines:
        try:
            line = data.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            skipped["foreign"] += 1
            continue
        if spread and line.startswith("  "):
            spread.append(line)
            continue
        if spread and line == "}":
            yield "".join(map(str.lstrip, [*spread, line]))
            spread = []
            continue
        skipped.update(["broken"] if spread else [])
        spread = [line] if line.endswith("{") and _TEXT_HEAD.match(line) else []
        if line and not spread:
            yield line
    skipped.update(["broken"] if spread else [])


def _row(head: re.Match[str]) -> dict[Any, Any]:
    """Return the row that follows the head of an entry; the error varies if there is none."""
    text = head.string[head.end() :]
    row = json.loads(text if head.re is _TEXT_HEAD else text.removesuffix("}"))
    if isinstance(row, dict):
        return from_plain(row)
    message = f"a row was expected: {text:.80}"
    raise TypeError(message)


def _escaped(text: str, characters: re.Pattern[str]) -> str:
    return characters.sub(lambda found: json.dumps(found[0])[1:-1], text)
