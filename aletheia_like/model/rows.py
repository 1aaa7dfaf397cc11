"""Rows: how one travels as a line of JSON, and how many lie as columns in one text.

A row is a mapping of column names to values. On its way it is `[sequence, timestamp, cells]`, in
a chunk the cells lie by column, which is four times smaller and ten times faster to read:

    "loss": [0.5, 0.25]                            every row has the column
    "model": {"all": "resnet18"}                   every row, and always this value
    "note": {"at": [3], "values": ["x"]}           only these rows, counted from 0
    "acc": {"not_at": [0], "values": [0.9]}        all but these rows
    "timestamp": {"from": 1.7e9, "us": [0, 105]}   seconds since 1970, then microseconds apart

Cells are in the form of `values.encode`, and NaN and infinity are bare words, as Python reads and
writes them. A column whose name starts with `@` is ours; a user's own gets one `@` more.
"""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.values import MAX_KEY_BYTES, Value, check_text, decode, encode

TIMESTAMP = "timestamp"
RUN_ID = "run_id"
STEP = "step"

STREAM = "@stream"
"""Column that tells rows of another stream, such as system metrics, from a run's own."""

AMEND = "@set"
"""Column of a row that changes cells of the rows before it: a map of name, value and where."""

_PLAIN = frozenset({float, int, str, bool})
_REPEATED = (str, bool, int)
_NESTED = frozenset({dict, list})
_OPTIONS = (
    orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
)
_MICROSECONDS = 1_000_000


class Absent:
    """The cell of a row that does not have the column; `None` is a value."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


class Line(NamedTuple):
    """A row on its way.

    Attributes:
        sequence: 1, 2, … for each writer.
        timestamp: Seconds since 1970.
        cells: Values by column, in their storable form.
    """

    sequence: int
    timestamp: float
    cells: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows by column; every list has a cell for each row, `ABSENT` where a row has none.

    Attributes:
        timestamps: Seconds since 1970 of each row.
        cells: Values by column.
        is_flat: Whether every cell is known to be a number, a text, a truth value or none.
    """

    timestamps: list[float] = field(default_factory=list)
    cells: dict[str, list[Any]] = field(default_factory=dict)
    is_flat: bool = False

    def __len__(self) -> int:
        return len(self.timestamps)


def is_plain(row: Mapping[Any, Any]) -> bool:
    """Whether a row's values are numbers, texts and truth values only, which need no encoding."""
    return _PLAIN.issuperset(map(type, row.values()))


def check_mapping(given: object, what: str) -> None:
    """Refuse what is no mapping.

    Raises:
        InvalidValueError: It is something else; the message names it as `what`.
    """
    if not isinstance(given, Mapping):
        message = f"{what} come as a mapping, not {given!r:.80}"
        raise InvalidValueError(message)


def check_columns(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row under the column names that it is stored by.

    A whole number becomes its text. Nothing else is changed, so no two names can meet unseen.

    Raises:
        InvalidValueError: A name is no text or whole number, is empty, over 1,500 bytes, or two
            are the same.
    """
    check_mapping(row, "columns and their values")
    named: dict[str, Any] = {}
    for key, value in row.items():
        name = _column_name(key)
        if name in named:
            message = f"two columns are called {name!r}: one as text, one as a number"
            raise InvalidValueError(message)
        named[name] = value
    return named


def encode_cells(row: Mapping[str, Any]) -> dict[str, Value]:
    """Return the storable form of a row's values.

    Raises:
        InvalidValueError: A value has none; the message names its column.
    """
    return {key: encode(value, (key,)) for key, value in row.items()}


def to_line(sequence: int, timestamp: float, cells: Mapping[str, Value]) -> bytes:
    """Return a row's line, without its end.

    Raises:
        InvalidValueError: A text is no valid Unicode.
    """
    line = (sequence, timestamp, cells)
    try:
        data = orjson.dumps(line, _tag, _OPTIONS)
    except TypeError:
        # A plain row comes as it is, and may hold an integer that no reader of JSON takes.
        exact = {key: encode(cell) if type(cell) is int else cell for key, cell in cells.items()}
        return _slow_text((sequence, timestamp, exact)).encode()
    # NaN and infinity come out as null: whoever has one takes the slower way, which keeps it.
    return _slow_text(line).encode() if b"null" in data else data


def from_line(line: bytes) -> Line:
    """Return the row of a line.

    Raises:
        ValueError: It is no such line.
    """
    sequence, timestamp, cells = _loads(line)
    return Line(sequence, timestamp, cells)


def cell_text(value: Value) -> str:
    """Return one stored value as JSON."""
    return _text(value)


def read_cell(text: bytes) -> Any:
    """Return the user's value of a text that `cell_text` wrote."""
    return decode(_loads(text))


def pack(lines: Sequence[Line]) -> str:
    """Return the rows as one text of columns."""
    return pack_rows([line.timestamp for line in lines], [line.cells for line in lines])


def pack_rows(timestamps: Sequence[float], rows: Sequence[dict[str, Any]]) -> str:
    """Return rows that are given by their moments and cells, as `pack` does."""
    return _packed(timestamps, _by_column(rows))


def pack_columns(columns: Columns) -> str:
    """Return rows that are given by column, their cells in the stored form, as `pack` does."""
    return _packed(columns.timestamps, _by_place(columns.cells, len(columns)))


def _packed(timestamps: Sequence[float], columns: Iterable[tuple[str, Any]]) -> str:
    moments = [round(timestamp * _MICROSECONDS) for timestamp in timestamps]
    steps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    start = {"from": moments[0] / _MICROSECONDS, "us": [0, *steps]} if moments else {}
    texts = [f'"{TIMESTAMP}":{_text(start)}']
    for name, column in columns:
        texts.append(f"{_text(name)}:{_text(column)}")
    return "{" + ",\n".join(texts) + "}"


def unpack(text: str, count: int) -> Columns:
    """Return the rows of a text that `pack` wrote.

    Args:
        text: The columns.
        count: How many rows there are.

    Raises:
        ValueError: It is no such text.
    """
    moments, stored = stored_columns(text)
    cells = {name: _dense(column, count) for name, column in stored.items()}
    is_flat = _is_flat(text, stored)
    if not is_flat:
        cells = {name: _decoded(column) for name, column in cells.items()}
    return Columns(_seconds(moments), cells, is_flat)


def unpack_stored(text: str, count: int) -> Columns:
    """Return the rows of a text that `pack` wrote, their cells in the form they have in it.

    Such cells can be packed again as they are.

    Raises:
        ValueError: It is no such text.
    """
    moments, stored = stored_columns(text)
    cells = {name: _dense(column, count) for name, column in stored.items()}
    return Columns(_seconds(moments), cells)


def stored_columns(text: str) -> tuple[list[int], dict[str, Any]]:
    """Return what a text that `pack` wrote holds, as it lies there.

    Returns:
        The moments, in microseconds since 1970, and each column in one of its forms.

    Raises:
        ValueError: It is no such text.
    """
    stored = _loads(text)
    start = stored.pop(TIMESTAMP)
    first = round(start["from"] * _MICROSECONDS) if start else 0
    moments = itertools.accumulate(start.get("us", ()), initial=first)
    next(moments)
    return list(moments), stored


def _seconds(moments: Iterable[int]) -> list[float]:
    return [moment / _MICROSECONDS for moment in moments]


def _is_flat(text: str, stored: Mapping[str, Any]) -> bool:
    """Whether a text of columns has no brackets but those of the columns themselves.

    No cell needs decoding then, and to look for brackets takes a tenth of looking at each.
    """
    maps = [column for column in stored.values() if isinstance(column, dict)]
    inner = sum(isinstance(part, list) for column in maps for part in column.values())
    # The moments are a map with a list, in the map of all columns.
    return not (
        _is_oftener("[", text, len(stored) - len(maps) + inner + 1)
        or _is_oftener("{", text, len(maps) + 2)
    )


def _is_oftener(mark: str, text: str, times: int) -> bool:
    """Whether a text has a mark more than so many times."""
    place = -1
    for _ in range(times + 1):
        place = text.find(mark, place + 1)
        if place < 0:
            return False
    return True


def from_lines(lines: Sequence[Line]) -> Columns:
    """Return rows on their way as columns."""
    rows = [line.cells for line in lines]
    cells = {name: _decoded(_dense(column, len(lines))) for name, column in _by_column(rows)}
    return Columns([line.timestamp for line in lines], cells)


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the rows of all parts, one after the other."""
    if len(parts) <= 1:
        return parts[0] if parts else Columns()
    names = dict.fromkeys(name for part in parts for name in part.cells)
    cells: dict[str, list[Any]] = {}
    for name in names:
        column: list[Any] = []
        for part in parts:
            column += part.cells.get(name) or [ABSENT] * len(part)
        cells[name] = column
    timestamps = [moment for part in parts for moment in part.timestamps]
    return Columns(timestamps, cells, all(part.is_flat for part in parts))


def moment(timestamp: float) -> dt.datetime:
    """Return a row's timestamp as a moment in UTC, to the microsecond until the year 2106."""
    return dt.datetime.fromtimestamp(timestamp, dt.UTC)


def microseconds(timestamps: Sequence[float]) -> Any:
    """Return the timestamps of rows as an array of whole microseconds since 1970."""
    import numpy as np

    return np.rint(np.array(timestamps, dtype=float) * _MICROSECONDS).astype("i8")


def _column_name(key: object) -> str:
    if type(key) is not int and (not isinstance(key, str) or not key):
        message = f"a column is named by text or a whole number, not {key!r:.80}"
        raise InvalidValueError(message)
    # A member of an enumeration of texts prints as something else than it is.
    name = str.__str__(key) if isinstance(key, str) else str(key)
    if not name.isascii():
        check_text(name, ("the name of a column",))
    if len(name.encode()) > MAX_KEY_BYTES:
        message = f"the name of a column is over {MAX_KEY_BYTES} bytes: {name[:40]!r}…"
        raise InvalidValueError(message)
    return f"@{name}" if name.startswith("@") else name


def shown_name(name: str) -> str | None:
    """Return a stored column's name as the user gave it, or None if it is ours."""
    if not name.startswith("@"):
        return name
    return name[1:] if name.startswith("@@") else None


def _by_column(rows: Sequence[dict[str, Any]]) -> Iterable[tuple[str, Any]]:
    """Yield each column's name and its shortest form."""
    if not rows:
        return
    names = rows[0].keys()
    if all(map(names.__eq__, map(dict.keys, rows))):
        for name in names:
            yield name, _shortest(list(map(itemgetter(name), rows)))
        return
    places: dict[str, list[int]] = {}
    values: dict[str, list[Value]] = {}
    for index, row in enumerate(rows):
        for name, value in row.items():
            places.setdefault(name, []).append(index)
            values.setdefault(name, []).append(value)
    for name, at in places.items():
        yield name, _placed(at, values[name], len(rows))


def _by_place(cells: Mapping[str, list[Any]], count: int) -> Iterable[tuple[str, Any]]:
    """Yield each column's name and its shortest form, in the order in which rows have them."""
    full = {name: Absent not in set(map(type, column)) for name, column in cells.items()}
    if all(full.values()):
        for name, column in cells.items() if count else ():
            yield name, _shortest(column)
        return
    places = {
        name: range(count)
        if full[name]
        else [row for row, cell in enumerate(column) if type(cell) is not Absent]
        for name, column in cells.items()
    }
    for name in sorted((one for one in cells if places[one]), key=lambda one: places[one][0]):
        at, column = places[name], cells[name]
        values = column if full[name] else [column[row] for row in at]
        yield name, _placed(at, values, count)


def _placed(at: Sequence[int], values: list[Any], count: int) -> Any:
    if len(at) == count:
        return _shortest(values)
    if len(at) <= count // 2:
        return {"at": at, "values": values}
    return {"not_at": sorted(set(range(count)).difference(at)), "values": values}


def _shortest(values: list[Value]) -> Any:
    first = values[0]
    if len(values) > 1 and type(first) in _REPEATED and values.count(first) == len(values):
        kind = type(first)
        if all(type(value) is kind for value in values):
            return {"all": first}
    return values


def _dense(column: Any, count: int) -> list[Any]:
    """Return a column with a cell for each row."""
    if isinstance(column, list):
        return column
    if "all" in column:
        return [column["all"]] * count
    values = column["values"]
    cells: list[Any] = [ABSENT] * count
    if "at" in column:
        for index, value in zip(column["at"], values, strict=True):
            cells[index] = value
        return cells
    missing = set(column["not_at"])
    present = iter(values)
    return [ABSENT if index in missing else next(present) for index in range(count)]


def _decoded(cells: list[Any]) -> list[Any]:
    if _NESTED.isdisjoint(map(type, cells)):
        return cells
    return [decode(cell) if type(cell) in _NESTED else cell for cell in cells]


def _text(value: Any) -> str:
    try:
        data = orjson.dumps(value, _tag, _OPTIONS)
    except TypeError:
        return _slow_text(value)
    return _slow_text(value) if b"null" in data else data.decode()


def _slow_text(value: Any) -> str:
    text = json.dumps(value, default=_tag, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"text with a lone surrogate, no valid Unicode: {text!r:.80}"
        raise InvalidValueError(message) from error
    return text


def _loads(text: str | bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # NaN and infinity are no JSON; Python's own reader knows them.
        return json.loads(text)


def _tag(value: object) -> Any:
    if isinstance(value, dt.datetime):
        return {"@at": value.astimezone(dt.UTC).isoformat()}
    if isinstance(value, bytes):
        return {"@bytes": base64.b64encode(value).decode()}
    if isinstance(value, str):
        return str.__str__(value)
    message = f"no row holds a {type(value).__name__}"
    raise TypeError(message)
