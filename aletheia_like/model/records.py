"""Frozen snapshots of everything that is stored; `codec` turns them into documents and back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["running", "finished", "failed", "killed", "lost"]
"""`lost` is never stored: it is how a reader sees a running run whose heartbeat has stopped."""

ENDED: frozenset[Status] = frozenset({"finished", "failed", "killed"})

HEARTBEAT_SECONDS = 30.0
"""A live run's document changes at least this often."""

LOST_SECONDS = 100.0
"""Older than this without a change, a running run is lost: three heartbeats and some slack."""

Kind = Literal["file", "directory", "reference"]
"""What a version holds: one file, a tree of files, or a place that was not copied."""


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A named body of work."""

    name: str
    created_at: dt.datetime | None = None
    created_by: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """A question that many runs ask.

    Attributes:
        name: What people call it.
        next_run_number: The number that the next run gets.
        deleted_at: Since when it is only kept to be restored.
        extra: Fields set as attributes or by hand.
    """

    name: str
    desc: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()
    debug: bool = False
    next_run_number: int = 1
    created_at: dt.datetime | None = None
    created_by: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    deleted_at: dt.datetime | None = None
    deleted_by: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GitState:
    """The code a run was started from.

    Attributes:
        commit: 40 hexadecimal digits; None before the first commit.
        branch: None when the head is detached.
        remote: URL of the remote the branch follows, or of the only one, without credentials.
        dirty: Whether tracked or untracked, not ignored, files differ from the commit.
        files: Those files, relative to the root; a hundred at most.
        changed: How many there are.
        subdirectory: Where the run started, relative to the root; empty at the root.
        upstream: The branch that is followed, such as `origin/main`.
        ahead: Commits that the upstream lacks; None without an upstream.
        behind: Commits that only the upstream has, as of the last fetch.
        pushed: Whether some remote-tracking branch holds the commit; None without a remote.
        snapshot: Digest of the blob from which the dirty tree can be rebuilt.
        tag: The tag that was set on the commit for this run.
        root: Folder of the working tree on the machine it ran on.
    """

    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    dirty: bool = False
    files: tuple[str, ...] = ()
    changed: int = 0
    subdirectory: str = ""
    upstream: str | None = None
    ahead: int | None = None
    behind: int | None = None
    pushed: bool | None = None
    snapshot: str | None = None
    tag: str | None = None
    root: str | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """The process and the machine a run happened in; secrets are masked.

    Attributes:
        command: The command line, as the system saw it.
        entry_point: The script, module or notebook that was started.
        memory: Bytes of main memory.
        gpus: One line for each: name, memory, driver.
        packages: Digest of the blob that lists the installed distributions.
        lock_files: Digest of each lock file found beside the code, by its name.
        job: Ids that a scheduler gave: SLURM, Kubernetes, and the like.
        variables: Environment variables that the settings allow to be recorded, and the few that
            change results: hash seed, threads, determinism.
    """

    command: tuple[str, ...] = ()
    entry_point: str | None = None
    cwd: str | None = None
    host: str | None = None
    user: str | None = None
    os: str | None = None
    python: str | None = None
    executable: str | None = None
    process: int | None = None
    cpu: str | None = None
    cpu_count: int | None = None
    memory: int | None = None
    gpus: tuple[str, ...] = ()
    packages: str | None = None
    lock_files: Mapping[str, str] = field(default_factory=dict)
    job: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """What ended a failed run."""

    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model a run trained, as the researcher names it."""

    name: str
    desc: str | None = None
    version: str | None = None
    project: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatasetUse:
    """A dataset that a run asked for."""

    name: str
    version: int
    digest: str
    partition: str | None = None


@dataclass(frozen=True, slots=True)
class ArtifactUse:
    """An artifact that a run made, as its document mentions it."""

    name: str
    version: int
    digest: str | None = None
    size: int | None = None
    kind: Kind = "file"


def lasted(begun: dt.datetime | None, until: dt.datetime | None) -> dt.timedelta | None:
    """Return how long something took; None if its begin or its end is not known."""
    return until - begun if until and begun else None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One execution: parameters in, metrics and artifacts out.

    Attributes:
        id: Unique within its experiment; never reused.
        number: 1, 2, … where the experiment counts; else None.
        token: Random; tells this run's own document from another's after a lost answer.
        summary: Last, least, greatest value and step of each numeric column.
        summary_of_others: The same, of processes that joined the run.
        last_step: The step that its rows have come to.
        console: The end of what it printed, and the blob that holds all of it.
        reproduces: The run, as `EXPERIMENT/RUN`, whose command was done again when it started.
        stop_requested: Who asked it to stop, when and why.
        rows_at: When rows were added or changed after its end.
        updated_at: When the document last changed, by the store's clock.
        deleted_at: Since when it is only kept to be restored.
        extra: Free fields.
    """

    project: str
    experiment: str
    id: str
    token: str = ""
    number: int | None = None
    name: str | None = None
    status: Status = "running"
    fold: Any = None
    model: ModelInfo | None = None
    hyper_params: Any = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    summary_of_others: Mapping[str, Any] = field(default_factory=dict)
    last_step: Any = None
    console: Any = None
    stop_requested: Any = None
    datasets: Mapping[str, DatasetUse] = field(default_factory=dict)
    artifacts: Mapping[str, ArtifactUse] = field(default_factory=dict)
    git: GitState | None = None
    environment: Environment | None = None
    desc: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()
    parent: str | None = None
    reproduces: str | None = None
    debug: bool = False
    created_by: str | None = None
    started_at: dt.datetime | None = None
    resumed_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    heartbeat_at: dt.datetime | None = None
    rows_at: dt.datetime | None = None
    error: ErrorInfo | None = None
    updated_at: dt.datetime | None = None
    deleted_at: dt.datetime | None = None
    deleted_by: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def duration(self) -> dt.timedelta | None:
        """From start to end, or to the last sign of life."""
        return lasted(self.started_at, self.ended_at or self.updated_at)


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version of an artifact or a dataset.

    Attributes:
        version: 0, 1, … within its name.
        kind: One file, a directory, or a reference.
        digest: sha-256 of the file, or of the directory's manifest; None for a bare reference.
        size: Bytes of all files.
        files: How many there are.
        filename: What the file or directory was called.
        manifest: Digest of the blob that lists a directory's files.
        location: Where it came from, a path or a URL.
        uploaded: Whether the bytes are in the blob store.
        state: What the place of a reference told of itself: size, and generation or entity tag.
        handler: What turned an object into the file; None if it was a file already.
        media_type: Of the file that the handler made.
        options: What the handler was told.
        load_options: What it wants to be told when it reads the file.
        libraries: Versions of Python and of what the handler used, by distribution.
        project, experiment, run, commit: What made it.
        expires_at: From when on it is found only by its number, alias or exact date.
        deleted_at: Since when it is only kept to be restored.
    """

    name: str
    version: int
    kind: Kind
    digest: str | None = None
    size: int | None = None
    files: int = 1
    filename: str | None = None
    manifest: str | None = None
    location: str | None = None
    uploaded: bool = True
    state: Any = None
    token: str = ""
    type: str | None = None
    desc: str | None = None
    source: Any = None
    partitions: Any = None
    features: Any = None
    handler: str | None = None
    media_type: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    load_options: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    project: str | None = None
    experiment: str | None = None
    run: str | None = None
    commit: str | None = None
    created_at: dt.datetime | None = None
    created_by: str | None = None
    expires_at: dt.datetime | None = None
    deleted_at: dt.datetime | None = None
    deleted_by: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a version: the way to it, and the blob that holds its bytes."""

    path: str
    digest: str
    size: int


def seen_status(
    stored: Status, updated_at: dt.datetime | None, read_at: dt.datetime | None
) -> Status:
    """Return a run's status as a reader should see it.

    Both moments are by the store's clock, so a wrong clock on either machine changes nothing.
    """
    if stored != "running" or updated_at is None or read_at is None:
        return stored
    silent = (read_at - updated_at).total_seconds()
    return "lost" if silent > LOST_SECONDS else "running"
