"""What recording costs: documents are counted, operations are estimated from how runs are written.

A run is written about once a second while rows come, and every half minute while none come; see
`recorder` and `chunks`. What it was written with is not remembered, so an operation count is an
estimate, never a bill.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aletheia_like.errors import NotFoundError
from aletheia_like.metastore.chunks import FULL_BYTES, SMALL_BYTES
from aletheia_like.metastore.session import Session
from aletheia_like.model import codec, paths
from aletheia_like.model.records import HEARTBEAT_SECONDS
from aletheia_like.model.rows import ABSENT, AMEND, unpack
from aletheia_like.ports.documents import Document, Query
from aletheia_like.ports.usage import UsageRecord

SAMPLE = 100
"""Of more runs than this only so many are read, unless all are asked for."""

_THREADS = 8
_START_AND_END = 4
_LINE_PER_PACKED = 1.6
_VERSION_WRITES = 3
_VERSION_READS = 2
_FILE_WRITES = 2
_DATASET_READS = 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded, or would be.

    Attributes:
        sampled: How many of the runs were read; the rest is taken to be like them.
        results: Lines in the leaderboard.
        row_bytes: Bytes of rows as they are stored.
        seconds: How long the runs took, together.
        busy_seconds: How many of those had rows.
        versions: Versions of artifacts and data sets.
        files: Files in them.
        blobs: Files and objects in rows.
        blob_bytes: Bytes of all files and objects.
        others: Documents that hold these together: experiments, names of artifacts and data sets.
    """

    runs: int = 0
    sampled: int = 0
    results: int = 0
    rows: int = 0
    chunks: int = 0
    row_bytes: int = 0
    seconds: float = 0.0
    busy_seconds: int = 0
    versions: int = 0
    files: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    others: int = 0

    def __add__(self, other: Recorded) -> Recorded:
        names = (one.name for one in dataclasses.fields(self))
        return Recorded(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def times(self, factor: float) -> Recorded:
        """Return so many times as much, rounded."""
        values = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return Recorded(
            **{
                name: value * factor if name == "seconds" else round(value * factor)
                for name, value in values.items()
            }
        )

    @property
    def documents(self) -> int:
        """How many documents that is, without the index of files, which all projects share."""
        return self.runs + self.results + self.chunks + self.versions + self.files + self.others

    def estimate(self) -> UsageRecord:
        """Return about how many operations recording it takes."""
        lines = self.row_bytes * _LINE_PER_PACKED
        full = math.ceil(lines / FULL_BYTES)
        flushes = max(min(self.rows, self.busy_seconds), full) if self.rows else 0
        is_small = flushes > 0 and lines / flushes < FULL_BYTES / 2
        small = min(flushes, math.ceil(lines / SMALL_BYTES)) if is_small else 0
        quiet = max(0.0, self.seconds - flushes)
        return UsageRecord(
            document_reads=_VERSION_READS * self.versions + self.files + self.blobs,
            document_writes=self.runs * _START_AND_END
            + max(0, 2 * flushes - self.runs)
            + round(quiet / HEARTBEAT_SECONDS)
            + _VERSION_WRITES * self.versions
            + _FILE_WRITES * self.files
            + self.blobs
            + self.others,
            document_deletes=max(0, small - max(full, self.runs)),
            blob_writes=self.files + self.versions + self.blobs,
            bytes_up=self.blob_bytes,
        )


def projected(known: Recorded, rows: int | None, seconds: float | None) -> Recorded:
    """Return one run like those that are known, except in what is given.

    Args:
        known: What was recorded; may be nothing.
        rows: How many rows it logs.
        seconds: How long it takes; as the known ones, else an hour.
    """
    count = max(1, known.runs)
    like = dataclasses.replace(known, others=0).times(1 / count)
    row_bytes = known.row_bytes / known.rows if known.rows else _TYPICAL_ROW_BYTES
    wanted = like.rows if rows is None else rows
    duration = (known.seconds / count or _TYPICAL_SECONDS) if seconds is None else seconds
    return dataclasses.replace(
        like,
        runs=1,
        sampled=0,
        results=1,
        rows=wanted,
        row_bytes=round(wanted * row_bytes),
        chunks=math.ceil(wanted * row_bytes * _LINE_PER_PACKED / FULL_BYTES),
        seconds=duration,
        busy_seconds=min(wanted, math.ceil(duration)),
    )


_TYPICAL_ROW_BYTES = 160
_TYPICAL_SECONDS = 3_600.0


def run_recorded(session: Session, experiment_path: str, id_: str) -> Recorded:
    """Return what a run recorded; a read for each chunk and each version of an artifact.

    Raises:
        NotFoundError: There is no such run.
    """
    document = session.documents.get(paths.run(experiment_path, id_))
    if document is None:
        message = f"no run {id_!r} in {experiment_path}"
        raise NotFoundError(message)
    return _of_run(session, document)


def experiment_recorded(
    session: Session, experiment_path: str, *, sample: int | None = SAMPLE
) -> Recorded:
    """Return what an experiment recorded; a read for each run, and what the sampled ones need.

    Args:
        session: The metastore.
        experiment_path: The experiment's document.
        sample: How many runs to read at most, evenly spread; None reads all.
    """
    runs = list(session.documents.query(Query(paths.runs(experiment_path))))
    names = list(session.documents.query(Query(paths.artifacts(experiment_path))))
    together = Recorded(others=1 + len(names))
    if not runs:
        return together
    some = _spread(runs, sample or len(runs))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-read") as pool:
        read = sum(pool.map(lambda one: _of_run(session, one), some), Recorded())
    scaled = read.times(len(runs) / len(some))
    return together + dataclasses.replace(scaled, runs=len(runs), sampled=len(some))


def project_recorded(session: Session, *, sample: int | None = SAMPLE) -> Recorded:
    """Return what a project recorded; see `experiment_recorded`."""
    experiments = session.documents.query(Query(paths.experiments(session.project_path)))
    datasets = list(session.documents.query(Query(paths.datasets(session.project_path))))
    versions = [
        one
        for dataset in datasets
        for one in session.documents.query(Query(paths.versions(dataset.path)))
    ]
    parts = [_of_version(one) for one in versions]
    parts += [experiment_recorded(session, one.path, sample=sample) for one in experiments]
    return sum(parts, Recorded(others=1 + len(datasets)))


def _of_run(session: Session, document: Document) -> Recorded:
    record = codec.run_record(document.path, document.fields, document.updated_at)
    duration = record.duration
    experiment_path = document.path.rpartition("/runs/")[0]
    made = [
        paths.version(paths.artifact(experiment_path, use.name), use.version)
        for use in record.artifacts.values()
    ]
    versions = session.documents.get_many(made) if made else []
    run = Recorded(
        runs=1,
        sampled=1,
        results=int(record.status == "finished"),
        seconds=duration.total_seconds() if duration else 0.0,
    )
    return sum(
        (_of_version(one) for one in versions if one is not None),
        run + _of_rows(list(session.documents.query(Query(paths.rows(document.path))))),
    )


def _of_rows(chunks: Sequence[Document]) -> Recorded:
    seconds: set[int] = set()
    blobs: dict[str, int] = {}
    amendments = 0
    for chunk in chunks:
        columns = unpack(chunk.fields["columns"], chunk.fields["count"])
        amendments += sum(cell is not ABSENT for cell in columns.cells.get(AMEND, ()))
        seconds.update(int(one) for one in columns.timestamps)
        for cells in columns.cells.values():
            for cell in cells:
                blobs |= _files_in(cell)
    return Recorded(
        rows=sum(int(one.fields["count"]) for one in chunks) - amendments,
        chunks=len(chunks),
        row_bytes=sum(len(one.fields["columns"].encode()) for one in chunks),
        busy_seconds=len(seconds),
        blobs=len(blobs),
        blob_bytes=sum(blobs.values()),
    )


def _files_in(cell: Any) -> dict[str, int]:
    """Return the size of each file in a cell by its digest."""
    if not isinstance(cell, Mapping):
        return {}
    file = cell.get("@file")
    if isinstance(file, Mapping):
        return {str(file["sha256"]): int(file.get("size", 0))} if "sha256" in file else {}
    found: dict[str, int] = {}
    for inner in cell.values():
        found |= _files_in(inner)
    return found


def _of_version(document: Document) -> Recorded:
    record = codec.version_record(document.path, document.fields)
    size = record.size if record.uploaded else 0
    return Recorded(versions=1, files=record.files, blob_bytes=size or 0)


def _spread(items: Sequence[Document], count: int) -> list[Document]:
    """Return so many items, evenly spread over all."""
    if len(items) <= count:
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]
