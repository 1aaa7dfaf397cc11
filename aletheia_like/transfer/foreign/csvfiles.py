"""Reads CSV files: a file for each run, or one whose column tells the runs apart."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aletheia_like.errors import IntegrityError, InvalidValueError, NotFoundError
from aletheia_like.extras import import_extra
from aletheia_like.transfer.foreign.records import Entry, Foreign, ForeignRun, Wishes, moment_of
from aletheia_like.transfer.report import Left

TIME = "timestamp"
"""A column of this name has the moments of the rows, if no other was named."""

_OTHER_SIGNS = ";\t|"
_WORDS = frozenset(
    "#N/A,#N/A N/A,#NA,-1.#IND,-1.#QNAN,-NaN,-nan,1.#IND,1.#QNAN,<NA>,N/A,NA,NULL,NaN,None,n/a,"
    "nan,null".split(",")
)
"""What pandas takes for an empty cell: among texts they are texts, and NaN is a number."""
_NAN = frozenset({"nan", "-nan", "NaN", "-NaN"})


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a first look at a file has found.

    Attributes:
        header: Names of its columns.
        count: How many rows it has.
        words: By column and row, the cells that pandas takes for empty ones.
    """

    header: list[str]
    count: int
    words: dict[str, dict[int, str]]


def read_csv(path: Path, wishes: Wishes) -> Foreign:
    """Return what a file, or every `*.csv` directly in a folder, holds.

    Raises:
        NotFoundError: There is none in the folder.
        IntegrityError: A line has more or fewer cells than the first.
        InvalidValueError: Columns have one name, or one that was named is missing.
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        message = f"no *.csv in {path}: give a file, or their folder"
        raise NotFoundError(message)
    experiment = wishes.experiment or (path.name if path.is_dir() else path.stem)
    runs: list[ForeignRun] = []
    left: list[Left] = []
    for file in files:
        looked = _look(file)
        for column in (wishes.run_column, wishes.time_column):
            if column is not None and column not in looked.header:
                names = ", ".join(looked.header[:20])
                message = f"{file} has no column {column!r}: it has {names}"
                raise InvalidValueError(message)
        time = wishes.time_column or (TIME if TIME in looked.header else None)
        found = _runs(file, looked, experiment, wishes.run_column, time)
        if time is None and looked.count:
            why = "no column has times: all rows have that of the file; name one as `time_column`"
            left.append(Left("time of rows", looked.count, why, file.name))
        runs += found
    return Foreign("csv", path, runs, left)


def _look(file: Path) -> _Looked:
    """Look at every line of a file, and refuse what pandas would make something else of.

    It would give other names to columns that are called alike, and fill lines that are short.
    """
    count = 0
    words: dict[str, dict[int, str]] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream, strict=True)
            header = next(lines, [])
            _check_names(header, file)
            for line in lines:
                if line and len(line) != len(header):
                    message = (
                        f"line {lines.line_num} of {file} has {len(line)} cells, the first has "
                        f"{len(header)}: mend it; nothing was imported"
                    )
                    raise IntegrityError(message)
                if not _WORDS.isdisjoint(line):
                    for name, cell in zip(header, line, strict=True):
                        if cell in _WORDS:
                            words.setdefault(name, {})[count] = cell
                count += bool(line)
    except (csv.Error, UnicodeDecodeError) as error:
        message = f"{file} is no CSV file in UTF-8: {error}"
        raise IntegrityError(message) from error
    return _Looked(header, count, words)


def _check_names(header: Sequence[str], file: Path) -> None:
    if not header:
        message = f"{file} is empty: its first line names the columns"
        raise InvalidValueError(message)
    if len(header) == 1 and any(sign in header[0] for sign in _OTHER_SIGNS):
        message = f"{file} has one column, {header[0]!r:.80}: part its cells by commas"
        raise InvalidValueError(message)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or "" in header:
        what = f"the columns {', '.join(map(repr, twice))} twice" if twice else "a nameless column"
        message = f"{file} has {what}: give every column a name of its own"
        raise InvalidValueError(message)


def _runs(
    file: Path, looked: _Looked, experiment: str, run_column: str | None, time: str | None
) -> list[Any]:
    pandas = import_extra("pandas", None)
    try:
        table = pandas.read_csv(
            file,
            encoding="utf-8-sig",
            dtype_backend="numpy_nullable",
            dtype=None if run_column is None else {run_column: str},
            **_exact_floats(pandas.__version__),
        )
        moments = _moments(pandas, table, time, file)
    except (ValueError, TypeError, OverflowError) as error:
        message = f"{file} cannot be read: {error}"
        raise IntegrityError(message) from error
    kept = [name for name in table.columns if name not in (run_column, time)]
    named = kept if run_column is None else [run_column, *kept]
    columns = _columns(pandas, table, named, looked)
    whose = [file.stem] * len(table) if run_column is None else columns.pop(0)
    by_run: dict[str, list[Entry]] = {} if run_column else {file.stem: []}
    for number, (run_id, at, *cells) in enumerate(zip(whose, moments, *columns, strict=True)):
        if pandas.isna(run_id) or at != at:  # noqa: PLR0124 - what is missing
            message = f"row {number + 1} of {file} has no run or no time: fill it in"
            raise IntegrityError(message)
        row = {name: cell for name, cell in zip(kept, cells, strict=True) if cell is not pandas.NA}
        by_run.setdefault(str(run_id), []).append(Entry(float(at), row))
    return [_run(file, experiment, one, entries) for one, entries in by_run.items()]


def _columns(pandas: Any, table: Any, names: Sequence[str], looked: _Looked) -> list[list[Any]]:
    """Return the cells of columns; pandas.NA is only what is empty in the file."""
    columns = {name: table[name].astype(object).tolist() for name in names}
    types = pandas.api.types
    # Of a file whose lines pandas counts in another way, its own reading is kept.
    for name, words in looked.words.items() if looked.count == len(table) else ():
        if name not in columns or types.is_bool_dtype(table[name]):
            continue
        if table[name].isna().all():
            is_numeric = {*words.values()} <= _NAN
        else:
            is_numeric = types.is_numeric_dtype(table[name])
        for row, word in words.items():
            if not is_numeric:
                columns[name][row] = word
            elif word in _NAN:
                columns[name][row] = math.nan
    return list(columns.values())


def _exact_floats(version: str) -> dict[str, str]:
    """Return the option by which pandas reads every digit; from 3 on it does so by itself."""
    return {"float_precision": "round_trip"} if int(version.partition(".")[0]) <= 2 else {}  # noqa: PLR2004


def _run(file: Path, experiment: str, run_id: str, entries: list[Entry]) -> ForeignRun:
    times = [one.at for one in entries] or [file.stat().st_mtime]
    what = f"run {run_id} of {file}"
    return ForeignRun(
        key=f"{file.resolve()}\0{run_id}",
        id=run_id,
        experiment=experiment,
        name=run_id,
        started_at=moment_of(min(times), what),
        ended_at=moment_of(max(times), what),
        facts={"file": file.name},
        entries=lambda: entries,
    )


def _moments(pandas: Any, table: Any, time: str | None, file: Path) -> Iterator[float]:
    """Return each row's seconds since 1970; a column of texts is read as dates, in UTC."""
    if time is None:
        return iter([file.stat().st_mtime] * len(table))
    column = table[time]
    if pandas.api.types.is_numeric_dtype(column):
        return iter(column.astype("Float64").to_numpy(dtype=float, na_value=float("nan")))
    parsed = pandas.to_datetime(column, utc=True, format="ISO8601", errors="coerce")
    wrong = [row for row in range(len(table)) if parsed[row] is pandas.NaT and column.notna()[row]]
    if wrong:
        message = (
            f"row {wrong[0] + 1} of {file} has the time {column[wrong[0]]!r:.80}, which is none: "
            "write 2026-01-31T12:00:00, or seconds since 1970"
        )
        raise IntegrityError(message)
    return iter([float("nan") if one is pandas.NaT else one.timestamp() for one in parsed])
