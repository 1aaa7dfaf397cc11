"""Reads the files that W&B leaves on this machine, offline or not: `run-ID.wandb`.

Their frames are those of LevelDB's log; what is in them is read by W&B's own messages. Recent
releases of W&B have no reader of frames in Python.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aletheia_like.errors import IntegrityError, InvalidValueError, NotFoundError
from aletheia_like.extras import import_extra
from aletheia_like.model.records import ErrorInfo, GitState
from aletheia_like.model.rows import STEP
from aletheia_like.transfer.foreign.artifacts import files_below
from aletheia_like.transfer.foreign.records import (
    Entry,
    Files,
    Foreign,
    ForeignRun,
    Wishes,
    moment_of,
)
from aletheia_like.transfer.report import Left

_MAGIC = b":W&B"
_HEADER_BYTES = 7
_BLOCK_BYTES = 32_768
_FRAME_BYTES = 7
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_OTHERS = {"artifact": "artifact", "output_raw": "line of output", "output": "line of output"}
_OTHERS |= {"alert": "alert", "use_artifact": "use of an artifact", "tbrecord": "TensorBoard link"}
_HEX_COMMIT = 40


@dataclass(slots=True)
class _Run:
    """What the files of one run come to; a run that was resumed has several."""

    run_id: str
    project: str
    record: Any
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    files: dict[str, Files] = field(default_factory=dict)
    exit_code: int | None = None
    runtime: float = 0.0


def read_wandb(path: Path, wishes: Wishes) -> Foreign:
    """Return what `*.wandb` files at a path hold: one, a run's folder, or the folder of all.

    Raises:
        NotFoundError: There are none.
        InvalidValueError: None can be read.
        MissingExtraError: W&B is not installed.
    """
    files = list(_found(path))
    if not files:
        message = f"no *.wandb in {path}: give the folder `wandb`, or one of a run in it"
        raise NotFoundError(message)
    runs: dict[tuple[str, str], _Run] = {}
    left: list[Left] = []
    for file in files:
        run = _read(file, runs, left)
        if run is not None:
            folder = file.parent / "files"
            roots = [file.parent, *([] if wishes.artifacts is None else [wishes.artifacts])]
            found, missing = files_below(folder, roots, run.run_id)
            run.files |= {one.name: one for one in found}
            left += missing
    if not runs:
        message = f"{path} has no run that could be read: are these W&B's files?"
        raise InvalidValueError(message)
    return Foreign("wandb", path, [_foreign(run, wishes) for run in runs.values()], left)


def _found(path: Path) -> Iterator[Path]:
    """Yield the files of runs, in the order of their starts, without W&B's links to the latest."""
    if path.is_file():
        yield path
        return
    for pattern in ("*.wandb", "*run-*/*.wandb", "wandb/*run-*/*.wandb"):
        for file in sorted(path.glob(pattern)):
            if not file.is_symlink() and not file.parent.is_symlink():
                yield file


def _foreign(run: _Run, wishes: Wishes) -> ForeignRun:
    record = run.record
    what = f"run {run.run_id}"
    start = record.start_time.seconds + record.start_time.nanos / 1e9
    last = max((one.at for one in run.entries), default=start)
    # How long it ran is told in whole seconds, so an event may be later.
    end = max(last, start + run.runtime)
    code = run.exit_code
    facts = {
        "project": run.project,
        "entity": record.entity,
        "group": record.run_group,
        "job_type": record.job_type,
        "sweep": record.sweep_id,
        "host": record.host,
    }
    commit = record.git.commit
    git = GitState(commit, remote=_bare(record.git.remote_url) or None)
    return ForeignRun(
        key=f"{record.entity}\0{run.project}\0{run.run_id}",
        id=run.run_id,
        experiment=wishes.experiment or run.project,
        name=record.display_name or None,
        status="running" if code is None else "failed" if code else "finished",
        started_at=moment_of(start, what),
        ended_at=None if code is None else moment_of(end, what),
        params=run.params,
        metrics={name: one for name, one in run.metrics.items() if not name.startswith("_")},
        tags=tuple(record.tags),
        notes=record.notes or None,
        error=ErrorInfo("failed", f"it ended with the exit code {code}") if code else None,
        git=git if len(commit) == _HEX_COMMIT else None,
        facts={name: fact for name, fact in facts.items() if fact},
        entries=lambda: run.entries,
        files=list(run.files.values()),
    )


def _bare(url: str) -> str:
    """Return an address without the credentials that it may have."""
    scheme, found, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if found else url


def _read(file: Path, runs: dict[tuple[str, str], _Run], left: list[Left]) -> _Run | None:
    messages = import_extra("wandb.proto.wandb_internal_pb2", "wandb")
    run: _Run | None = None
    for data in _frames(file, left):
        try:
            record = messages.Record.FromString(data)
        except Exception as error:
            # Protobuf's own error has another place in each version.
            message = f"{file} has a record that W&B cannot read: {error}"
            raise IntegrityError(message) from error
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found = record.run
            project = found.project or "uncategorized"
            run = runs.setdefault((project, found.run_id), _Run(found.run_id, project, found))
            _update(run.params, found.config)
            _update(run.metrics, found.summary)
        elif run is not None:
            _take(run, record, kind, left)
    return run


def _take(run: _Run, record: Any, kind: str | None, left: list[Left]) -> None:
    match kind:
        case "history":
            run.entries.append(_row(run, record.history))
        case "summary":
            _update(run.metrics, record.summary)
        case "config":
            _update(run.params, record.config)
        case "stats":
            at = record.stats.timestamp.seconds + record.stats.timestamp.nanos / 1e9
            cells = {one.key: _value(one.value_json) for one in record.stats.item}
            run.entries.append(Entry(at, cells, "system"))
        case "exit":
            run.exit_code, run.runtime = record.exit.exit_code, float(record.exit.runtime)
        case str() if kind in _OTHERS:
            why = "what W&B keeps elsewhere, or prints, is not carried"
            left.append(Left(_OTHERS[kind], 1, why, run.run_id))


def _row(run: _Run, history: Any) -> Entry:
    cells: dict[str, Any] = {}
    for one in history.item:
        _put(cells, _keys(one), _value(one.value_json))
    at = cells.pop("_timestamp", None)
    cells.pop("_runtime", None)
    step = cells.pop("_step", history.step.num)
    if not isinstance(at, int | float):
        at = run.entries[-1].at if run.entries else float(run.record.start_time.seconds)
    if STEP in cells:
        # What its user called `step` stays beside W&B's own count.
        return Entry(at, {"_step": step, **cells})
    return Entry(at, {STEP: step, **cells})


def _update(values: dict[str, Any], changes: Any) -> None:
    for one in changes.update:
        keys = _keys(one)
        if keys[0] != "_wandb":
            _put(values, keys, _value(one.value_json))
    for one in changes.remove:
        *above, last = _keys(one)
        inner: Any = values
        for key in above:
            inner = inner.get(key, {}) if isinstance(inner, dict) else {}
        if isinstance(inner, dict):
            inner.pop(last, None)


def _keys(item: Any) -> Sequence[str]:
    return list(item.nested_key) or [item.key]


def _put(values: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = values.get(key)
        values[key] = inner if isinstance(inner, dict) else {}
        values = values[key]
    values[keys[-1]] = value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _frames(file: Path, left: list[Left]) -> Iterator[bytes]:
    """Yield the records of a file as far as they are whole."""
    data = file.read_bytes()
    if not data.startswith(_MAGIC):
        left.append(Left("file", 1, f"{file.name} is no file of W&B's"))
        return
    position, parts = _HEADER_BYTES, b""
    while position + _FRAME_BYTES <= len(data):
        room = _BLOCK_BYTES - position % _BLOCK_BYTES
        if room < _FRAME_BYTES:
            position += room
            continue
        checksum, length, kind = struct.unpack_from("<IHB", data, position)
        begin = position + _FRAME_BYTES
        part = data[begin : begin + length]
        if len(part) < length or not _is_whole(checksum, kind, part):
            break
        parts = parts + part if kind in (_MIDDLE, _LAST) else part
        if kind in (_FULL, _LAST):
            yield parts
            parts = b""
        position = begin + length
    if position < len(data) or parts:
        why = "the file is damaged or half written: what is whole was read"
        left.append(Left("end of a file", 1, why, file.name))


def _is_whole(checksum: int, kind: int, part: bytes) -> bool:
    # The sum covers the kind, too; W&B masks none of its bits.
    return zlib.crc32(part, zlib.crc32(bytes([kind]))) == checksum
