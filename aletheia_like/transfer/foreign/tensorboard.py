"""Reads folders of TensorBoard's event files, by TensorBoard's own reader."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aletheia_like.errors import IntegrityError, InvalidValueError, NotFoundError
from aletheia_like.extras import import_extra
from aletheia_like.model.records import ErrorInfo, Status
from aletheia_like.model.rows import STEP
from aletheia_like.transfer.foreign.records import Entry, Foreign, ForeignRun, Wishes, moment_of
from aletheia_like.transfer.report import Left

EVENTS = "*tfevents*"
_EXTRA = "importers"
_STATUSES: Mapping[int, Status] = {1: "finished", 2: "failed", 3: "running"}
_SCALARS = ("scalars", "text")
_HEADER_BYTES = 12
_TAIL_BYTES = 4


@dataclass(slots=True)
class _Run:
    """What the event files of one folder come to.

    Attributes:
        start: Moment of the first event.
        file: Name of the file it is in.
        plugins: What kind of thing each tag is; only its first event says so.
    """

    start: float | None = None
    file: str = ""
    entries: list[Entry] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    status: Status = "finished"
    started: float | None = None
    ended: float | None = None
    plugins: dict[str, str] = field(default_factory=dict)


def read_tensorboard(path: Path, wishes: Wishes) -> Foreign:
    """Return what the event files at or below a path hold, a run for each folder with some.

    Raises:
        NotFoundError: There are none.
        InvalidValueError: None of them is an event file.
        MissingExtraError: TensorBoard is not installed.
    """
    files = [path] if path.is_file() else sorted(one for one in path.rglob(EVENTS))
    files = [one for one in files if one.is_file() and not one.is_symlink()]
    if not files:
        message = f"no event files ({EVENTS}) at {path}: give the folder that TensorBoard is given"
        raise NotFoundError(message)
    root = path.parent if path.is_file() else path
    by_folder: dict[Path, list[Path]] = {}
    for one in files:
        by_folder.setdefault(one.parent, []).append(one)
    left: list[Left] = []
    runs = []
    for folder, found in by_folder.items():
        name = folder.relative_to(root).as_posix()
        run_id = root.name if name == "." else name
        run = _read(found, run_id, left)
        if run.start is not None:
            runs.append(_foreign(run, run_id, wishes.experiment or root.name))
    if not runs:
        message = f"{path} has no event that could be read: are these event files?"
        raise InvalidValueError(message)
    why = "TensorBoard has none: runs count as finished at their last event"
    unknown = sum(1 for run in runs if "status" not in run.facts)
    if unknown:
        left.append(Left("status", unknown, why))
    return Foreign("tensorboard", path, runs, left)


def _foreign(run: _Run, run_id: str, experiment: str) -> ForeignRun:
    what = f"run {run_id}"
    start = run.start or 0.0
    # Whoever sets the times of events does not set that of the file's first.
    times = [one.at for one in run.entries] or [start]
    error = ErrorInfo("failed", "TensorBoard says that it failed, and not why")
    return ForeignRun(
        key=f"{start!r}\0{run.file}",
        id=run_id,
        experiment=experiment,
        name=run_id,
        status=run.status,
        started_at=moment_of(run.started or min(start, *times), what),
        ended_at=moment_of(run.ended or max(times), what),
        params=run.params,
        error=error if run.status == "failed" else None,
        facts={} if run.ended is None else {"status": run.status},
        entries=lambda: run.entries,
        joins=True,
    )


def _read(files: Sequence[Path], run_id: str, left: list[Left]) -> _Run:
    loader = import_extra("tensorboard.backend.event_processing.event_file_loader", _EXTRA)
    run = _Run()
    for file in files:
        count, rest = _records(file)
        seen = 0
        for event in loader.EventFileLoader(str(file)).Load() if count else ():
            seen += 1
            if run.start is None:
                run.start, run.file = event.wall_time, file.name
            for value in event.summary.value if event.HasField("summary") else ():
                _take(run, event, value, run_id, left)
        if rest or seen < count:
            why = f"{file.name} is damaged or half written: what is whole was read"
            left.append(Left("end of an event file", max(1, count - seen), why, run_id))
    if len(files) > 1:
        # Several may grow at once; by their moments what is new comes last.
        run.entries.sort(key=lambda entry: entry.at)
    return run


def _records(file: Path) -> tuple[int, int]:
    """Return how many whole records a file has, and how many bytes follow them.

    TensorBoard's reader ends silently at what is damaged.
    """
    size = file.stat().st_size
    position = count = 0
    with file.open("rb") as stream:
        while position + _HEADER_BYTES <= size:
            stream.seek(position)
            (length,) = struct.unpack("<Q", stream.read(8))
            end = position + _HEADER_BYTES + length + _TAIL_BYTES
            if end > size:
                break
            position, count = end, count + 1
    return count, size - position


def _take(run: _Run, event: Any, value: Any, run_id: str, left: list[Left]) -> None:
    """Take one value of an event into its run, or say that it is left."""
    plugin = run.plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
    if plugin == "hparams":
        _take_params(run, value, run_id)
    elif plugin in _SCALARS and value.WhichOneof("value") == "tensor":
        number = _plain(value.tensor, run_id)
        column = value.tag if value.tag not in ("", STEP) else f"{value.tag or 'value'} (tag)"
        run.entries.append(Entry(event.wall_time, {STEP: event.step, column: number}))
    else:
        what = plugin.rstrip("s") or str(value.WhichOneof("value"))
        why = f"{value.tag!r} is neither scalar nor text: only these become rows"
        left.append(Left(what, 1, why, run_id))


def _plain(tensor: Any, run_id: str) -> Any:
    arrays = import_extra("tensorboard.util.tensor_util", _EXTRA)
    try:
        found = arrays.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        message = f"run {run_id} has a value that TensorBoard cannot read: {error}"
        raise IntegrityError(message) from error
    cells = list(_texts(found.tolist()))
    return cells[0] if len(cells) == 1 else cells


def _texts(found: Any) -> Iterator[Any]:
    if isinstance(found, list):
        for one in found:
            yield from _texts(one)
    else:
        yield found.decode(errors="replace") if isinstance(found, bytes) else found


def _take_params(run: _Run, value: Any, run_id: str) -> None:
    """Take what the plugin for hyper parameters says of a run."""
    messages = import_extra("tensorboard.plugins.hparams.plugin_data_pb2", _EXTRA)
    try:
        data = messages.HParamsPluginData.FromString(value.metadata.plugin_data.content)
    except Exception as error:
        # Protobuf's own error has another place in each version.
        message = f"run {run_id} has hyper parameters that cannot be read: {error}"
        raise IntegrityError(message) from error
    match data.WhichOneof("data"):
        case "session_start_info":
            info = data.session_start_info
            for name, one in info.hparams.items():
                kind = one.WhichOneof("kind")
                run.params[name] = None if kind is None else _number(getattr(one, kind))
            run.started = info.start_time_secs or None
        case "session_end_info":
            run.status = _STATUSES.get(data.session_end_info.status, "finished")
            run.ended = data.session_end_info.end_time_secs or None


def _number(value: Any) -> Any:
    """Return a parameter; protobuf has no integers here, so whole numbers become some."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, str | bool | float) else None
