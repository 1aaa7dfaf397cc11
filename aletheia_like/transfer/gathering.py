"""Reads a project once for tables: rows as people see them, and what the columns are.

What a column is is known only when the last row has been seen, so rows wait in a temporary file.
"""

from __future__ import annotations

import contextlib
import pickle
import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, Any

from aletheia_like.metastore.reading import amended, merged_by_time
from aletheia_like.model.names import from_id
from aletheia_like.model.rows import AMEND, STREAM, Absent, Columns
from aletheia_like.transfer.bar import counting_bar
from aletheia_like.transfer.cells import Kind, cell_json, kinds_of
from aletheia_like.transfer.mentions import Names, merge, of_fields, of_rows
from aletheia_like.transfer.source import Entry, Source, is_run, with_rows
from aletheia_like.transfer.storedrows import WriterRows, read_writers

_MEMORY_BYTES = 256 << 20
_WRITER, _SEQUENCE, _PLACE = "@writer", "@sequence", "@place"


@dataclass(frozen=True, slots=True)
class RunRows:
    """The rows of a run as people see them: by time, later changes applied, no streams.

    Attributes:
        experiment: Name of its experiment.
        run_id: Its id.
        columns: The rows, cells in their stored form; columns of nothing but floats, or of
            integers of 64 bits, may be arrays.
        writers: Who wrote each.
        sequences: Where each stands among all that its writer wrote.
        before: Cells that were changed later, as they were logged, by row and column.
        others: Rows that are none of the run's own: streams, and changes of other rows.
    """

    experiment: str
    run_id: str
    columns: Columns
    writers: list[str]
    sequences: list[int]
    before: dict[int, dict[str, Any]]
    others: list[OtherRow]

    def __len__(self) -> int:
        return len(self.sequences)


@dataclass(frozen=True, slots=True)
class OtherRow:
    """A row of a stream, such as system metrics, or a change of rows before it."""

    timestamp: float
    stream: str | None
    writer: str
    sequence: int
    data: str


@dataclass(slots=True)
class Gathered:
    """A project, ready to be written as tables.

    Attributes:
        documents: Every document but the rows.
        kinds: What the cells of each column are, by experiment; in order of first appearance.
        names: Blobs that are mentioned.
        rows: How many rows there are.
        others: How many there are of streams and changes, which an import counts, too.
    """

    documents: list[Entry] = field(default_factory=list)
    kinds: dict[str, dict[str, frozenset[Kind]]] = field(default_factory=dict)
    names: Names = field(default_factory=dict)
    rows: int = 0
    others: int = 0
    _waiting: IO[bytes] = field(
        default_factory=lambda: tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115
    )
    _places: dict[str, list[int]] = field(default_factory=dict)

    def add(self, run: RunRows) -> None:
        """Take in the rows of a run."""
        run = _packed_rows(run)
        known = self.kinds.setdefault(run.experiment, {})
        for name, cells in run.columns.cells.items():
            known[name] = known.get(name, frozenset()) | kinds_of(cells)
        self._places.setdefault(run.experiment, []).append(self._waiting.tell())
        pickle.dump(run, self._waiting, protocol=pickle.HIGHEST_PROTOCOL)
        self.rows += len(run)
        self.others += len(run.others)

    def runs(self, experiment: str) -> Iterator[RunRows]:
        """Yield the rows of an experiment's runs."""
        for place in self._places.get(experiment, ()):
            self._waiting.seek(place)
            yield pickle.load(self._waiting)  # noqa: S301 - this object wrote it

    def close(self) -> None:
        """Let the temporary file go."""
        self._waiting.close()


def _packed_rows(run: RunRows) -> RunRows:
    """Return rows with their columns of numbers as arrays, which wait and are written faster."""
    cells = {name: _packed(column) for name, column in run.columns.cells.items()}
    columns = Columns(_packed(run.columns.timestamps), cells)
    return replace(run, columns=columns, sequences=_packed(run.sequences))


def _packed(column: Any) -> Any:
    types = set(map(type, column))
    if types == {float}:
        return array("d", column)
    if types == {int}:
        with contextlib.suppress(OverflowError):
            return array("q", column)
    return column


def gather(source: Source, *, show: bool | None) -> Gathered:
    """Read everything but blobs; `show` tells whether to draw a bar."""
    gathered = Gathered()
    with counting_bar(f"reading {source.project}", None, show=show) as done:
        for entry, chunks in with_rows(source):
            gathered.documents.append(entry)
            merge(gathered.names, of_fields(entry.fields).items())
            for chunk in chunks:
                columns, count = chunk.fields.get("columns"), chunk.fields.get("count")
                if isinstance(columns, str) and isinstance(count, int):
                    merge(gathered.names, of_rows(columns, count).items())
            if is_run(entry.path):
                gathered.add(seen_rows(entry.path, read_writers(chunks)))
            done(1)
    return gathered


def seen_rows(run_path: str, writers: Sequence[WriterRows]) -> RunRows:
    """Return rows as people see them."""
    _, experiment, _, run = map(from_id, run_path.split("/"))
    parts = [
        Columns(
            one.columns.timestamps,
            {
                **one.columns.cells,
                _WRITER: [one.writer] * len(one),
                _SEQUENCE: one.sequences,
            },
        )
        for one in writers
    ]
    all_rows = merged_by_time(parts)
    before: dict[int, dict[str, Any]] = {}
    others: list[OtherRow] = []
    shown = all_rows
    if AMEND in all_rows.cells or STREAM in all_rows.cells:
        shown, before, others = _separated(all_rows)
    cells = dict(shown.cells)
    ids, sequences = cells.pop(_WRITER, []), cells.pop(_SEQUENCE, [])
    columns = Columns(shown.timestamps, cells)
    return RunRows(experiment, run, columns, ids, sequences, before, others)


def _separated(
    all_rows: Columns,
) -> tuple[Columns, dict[int, dict[str, Any]], list[OtherRow]]:
    """Part a run's own rows from others, and apply changes."""
    count = len(all_rows)
    absent = [Absent()] * count
    places = list(range(count))
    changed = amended(Columns(all_rows.timestamps, {**all_rows.cells, _PLACE: places}))
    streams = changed.cells.pop(STREAM, None)
    kept = [row for row in range(len(changed)) if not streams or type(streams[row]) is Absent]
    here = [changed.cells[_PLACE][row] for row in kept]
    del changed.cells[_PLACE]
    cells = {name: [column[row] for row in kept] for name, column in changed.cells.items()}
    before: dict[int, dict[str, Any]] = {}
    for name, column in cells.items() if AMEND in all_rows.cells else ():
        logged = all_rows.cells.get(name, absent)
        for row, (cell, place) in enumerate(zip(column, here, strict=True)):
            earlier = logged[place]
            if cell is not earlier and not (type(cell) is Absent and type(earlier) is Absent):
                before.setdefault(row, {})[name] = earlier
    own = set(here)
    others = [_other(all_rows.cells, all_rows.timestamps[i], i) for i in places if i not in own]
    seen = {
        name: column
        for name, column in cells.items()
        if any(type(cell) is not Absent for cell in column)
    }
    return Columns([changed.timestamps[row] for row in kept], seen), before, others


def _other(cells: Mapping[str, Sequence[Any]], timestamp: float, row: int) -> OtherRow:
    own = {name: column[row] for name, column in cells.items() if type(column[row]) is not Absent}
    writer, sequence = own.pop(_WRITER), own.pop(_SEQUENCE)
    stream = own.get(STREAM)
    shown = stream if isinstance(stream, str) else None
    return OtherRow(timestamp, shown, writer, sequence, cell_json(own))
