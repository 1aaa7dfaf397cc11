"""Does a run again: code, inputs, environment, command, and then the verdict."""

from __future__ import annotations

import os
import platform
import secrets
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from aletheia_like.capture.environment import MASK, mask_arguments, read_packages
from aletheia_like.errors import (
    AletheiaError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
)
from aletheia_like.metastore.datasets import DatasetVersion, get_dataset
from aletheia_like.metastore.repeating import (
    VARIABLE,
    Repetition,
    read_started,
    write_repetition,
)
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.storing import local_blob
from aletheia_like.model import codec, paths
from aletheia_like.model.records import Environment, GitState, RunRecord
from aletheia_like.ports.documents import Filter, Query
from aletheia_like.reproduce.comparing import (
    ATOL,
    RTOL,
    Bound,
    Outcome,
    Tolerance,
    Verdict,
    check_bound,
    choose_run,
    compare_records,
    verdict_of,
)
from aletheia_like.reproduce.executing import Ended, execute
from aletheia_like.reproduce.lastvalues import last_values
from aletheia_like.reproduce.packages import (
    OURSELVES,
    Packages,
    fresh_environment,
    own_source,
    recorded_packages,
)
from aletheia_like.reproduce.planning import (
    CannotError,
    Checkout,
    check_command,
    check_record,
    checkout_of,
    moved_command,
    moved_search_path,
    package_differences,
    requirements,
)
from aletheia_like.reproduce.worktree import find_code, fresh_worktree, lacks_submodules

Difference = tuple[str, str | None, str | None]
"""Name, what it was when the run was recorded, what it is now."""

_GIT_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is done again; see `Metastore.reproduce`."""

    repo: Path | None = None
    fresh: bool = False
    strict: bool = False
    as_committed: bool = False
    command: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    tolerance: Tolerance = field(default_factory=Tolerance)
    ignore: Sequence[str] = ()
    timeout: float | None = None
    keep: bool = False
    dry_run: bool = False
    show: Callable[[bytes], None] | None = None


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came of doing a run again.

    Attributes:
        run: The run that was recorded, as `EXPERIMENT/RUN`.
        verdict: `same`, `within tolerance`, `differs` or `cannot`; None if it was only planned.
        reason: Why it cannot be done again or compared.
        again: Id of the run that did it again, in the same experiment.
        outcomes: What was compared, thing by thing.
        environment: What is not as it was: Python, packages; empty in a fresh environment.
        notes: What else should be known.
        commit: The commit that was checked out.
        command: What was run, secrets masked.
        folder: The working tree, if it was kept.
        exit_code: Of the command.
        seconds: How long the command took.
        output: The end of what it printed, if it failed.
    """

    run: str
    verdict: Verdict | None = None
    reason: str | None = None
    again: str | None = None
    outcomes: tuple[Outcome, ...] = ()
    environment: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    commit: str | None = None
    command: str | None = None
    folder: Path | None = None
    exit_code: int | None = None
    seconds: float | None = None
    output: str = ""

    @property
    def differences(self) -> tuple[Outcome, ...]:
        """What is not the same, within tolerance or not."""
        return tuple(one for one in self.outcomes if one.verdict not in ("same", "ignored"))


def reproduce_run(session: Session, path: str, options: Options) -> Reproduction:
    """Do the run of a document again and compare; see `Metastore.reproduce`."""
    first = _read(session, path)
    attempt = _Attempt(session, first, options)
    try:
        attempt.go()
    except CannotError as refusal:
        attempt.found = replace(attempt.found, verdict="cannot", reason=str(refusal))
    return attempt.found


def make_options(
    *,
    repo: str | Path | None,
    rtol: Bound = RTOL,
    atol: Bound = ATOL,
    ignore: Sequence[str] = (),
    timeout: float | None = None,
    **others: object,
) -> Options:
    """Return options, checked.

    Raises:
        InvalidValueError: A tolerance or the timeout makes no sense.
    """
    if isinstance(ignore, str):
        message = f"ignore is a list of names, such as [{ignore!r}]"
        raise InvalidValueError(message)
    if timeout is not None and not timeout > 0:
        message = f"timeout is a positive number of seconds, not {timeout!r}"
        raise InvalidValueError(message)
    tolerance = Tolerance(check_bound(rtol, "rtol"), check_bound(atol, "atol"))
    where = None if repo is None else Path(repo).expanduser().absolute()
    return Options(
        repo=where,
        tolerance=tolerance,
        ignore=tuple(ignore),
        timeout=timeout,
        **others,  # type: ignore[arg-type]
    )


class _Attempt:
    """One attempt: what it found so far survives a refusal."""

    def __init__(self, session: Session, first: RunRecord, options: Options) -> None:
        self._session = session
        self._first = first
        self._options = options
        self.found = Reproduction(f"{first.experiment}/{first.id}")

    def go(self) -> None:
        """Do everything, in the order in which refusals are cheapest."""
        first, options = self._first, self._options
        if self._session.settings.url.startswith("memory:"):
            message = "its store is in the memory of this process, where no command can record"
            raise CannotError(message)
        commit = check_record(first, as_committed=options.as_committed)
        command = check_command(first.environment, options.command)
        git = first.git or GitState(commit)
        self._add(commit=commit, command=shlex.join(mask_arguments(command)))
        repository = find_code(git, commit, options.repo)
        datasets = _fetch_inputs(self._session, first)
        snapshot = self._snapshot(git)
        packages = self._packages()
        if options.dry_run:
            return
        with (
            fresh_worktree(repository, commit, snapshot, keep=options.keep) as tree,
            _scratch() as scratch,
        ):
            if options.keep:
                self._add(folder=tree)
            if lacks_submodules(tree):
                self._note("the commit has submodules; their folders are empty")
            checkout = checkout_of(git, first.environment, tree)
            python = self._python(packages, checkout, scratch)
            told = scratch / "reproduction.json"
            mark = f"again-{secrets.token_hex(3)}"
            pins = {one.name: one.version for one in reversed(datasets)}
            write_repetition(told, Repetition(first.project, self.found.run, pins, mark))
            variables = self._variables(told, packages, checkout)
            moved = moved_command(command, first.environment, checkout, python)
            ended = self._run(moved, checkout, variables)
            self._judge(ended, told, mark)

    def _add(self, **changes: object) -> None:
        self.found = replace(self.found, **changes)  # type: ignore[arg-type]

    def _note(self, text: str) -> None:
        self._add(notes=(*self.found.notes, text))

    def _snapshot(self, git: GitState) -> bytes | None:
        if git.snapshot is None:
            if git.dirty:
                self._note("the differences of its tree from the commit are not known")
            return None
        try:
            return local_blob(self._session, git.snapshot).read_bytes()
        except (NotFoundError, IntegrityError) as error:
            message = f"the snapshot of its dirty tree is gone or damaged: {error}"
            raise CannotError(message) from error

    def _packages(self) -> Packages:
        """Return the recorded packages; say what is different here."""
        around = self._first.environment or Environment()
        try:
            recorded = recorded_packages(self._session, around.packages)
        except CannotError as refusal:
            if self._options.fresh or self._options.strict:
                raise
            self._note(str(refusal))
            return {}
        if not self._options.fresh:
            differences = list(_environment_differences(around, recorded))
            self._add(environment=tuple(differences))
            if differences and self._options.strict:
                names = ", ".join(name for name, _, _ in differences[:10])
                message = (
                    f"the environment is not the recorded one: {names}: --venv makes one that is"
                )
                raise CannotError(message)
        return recorded

    def _python(self, packages: Packages, checkout: Checkout, scratch: Path) -> Path:
        import sys

        if not self._options.fresh:
            return Path(sys.executable)
        without = (OURSELVES,) if own_source() is not None else ()
        wanted = requirements(packages, checkout, without=without)
        local = [line.partition(" ")[0] for line in wanted if " @ file:" in line]
        if local:
            self._note(f"installed from folders as they are now: {', '.join(local)}")
        around = self._first.environment or Environment()
        return fresh_environment(scratch / "venv", around.python, wanted)

    def _variables(self, told: Path, packages: Packages, checkout: Checkout) -> dict[str, str]:
        """Return the environment of the command: ours, what was recorded, what is given."""
        around = self._first.environment or Environment()
        settings = self._session.settings
        variables = {
            name: value for name, value in os.environ.items() if name not in _GIT_VARIABLES
        }
        variables |= {name: value for name, value in around.variables.items() if MASK not in value}
        hidden = [name for name, value in around.variables.items() if MASK in value]
        if hidden:
            self._note(f"recorded without their values: {', '.join(hidden)}")
        search = moved_search_path(os.environ.get("PYTHONPATH"), packages, checkout)
        source = own_source() if self._options.fresh else None
        if source is not None and str(source) not in search:
            search.append(str(source))
        if search:
            variables["PYTHONPATH"] = os.pathsep.join(search)
        is_dirty = self._first.git is not None and self._first.git.snapshot is not None
        variables |= {
            "ALETHEIA_URL": settings.url,
            "ALETHEIA_PROJECT": self._session.project,
            "ALETHEIA_CACHE_DIR": settings.cache_dir,
            "ALETHEIA_HOME": settings.home,
            "ALETHEIA_GIT": "snapshot" if is_dirty else "warn",
            "ALETHEIA_TAG_RUNS": "0",
            "ALETHEIA_REQUIRE_PUSHED": "0",
            "PYTHONUNBUFFERED": "1",
            VARIABLE: str(told),
        }
        if settings.blobs is not None:
            variables["ALETHEIA_BLOBS"] = settings.blobs
        return variables | dict(self._options.variables)

    def _run(
        self, command: Sequence[str], checkout: Checkout, variables: Mapping[str, str]
    ) -> Ended:
        folder = checkout.now / checkout.subdirectory
        if not folder.is_dir():
            message = f"the folder it started in, {checkout.subdirectory}, is not in the commit"
            raise CannotError(message)
        options = self._options
        ended = execute(command, folder, variables, timeout=options.timeout, show=options.show)
        self._add(exit_code=ended.code, seconds=ended.seconds)
        return ended

    def _judge(self, ended: Ended, told: Path, mark: str) -> None:
        """Find the run that did it again, and compare."""
        if ended.code is None:
            self._add(output=ended.tail)
            message = f"the command did not end within {self._options.timeout:g} seconds"
            raise CannotError(message)
        first = self._first
        started = read_started(told)
        url = self._session.settings.url
        records = [_read(self._session, path) for where, path in started if where == url]
        again = choose_run(first, _place(self._session, first), records, f"{first.id}-{mark}")
        if again is not None:
            self._add(again=again.id)
        if ended.code != 0 or again is None:
            self._add(output=ended.tail)
        if again is None:
            raise CannotError(_nothing_recorded(ended, first, bool(started), bool(records)))
        if again.status != first.status and first.status == "finished":
            error = f": {again.error.type}: {again.error.message}" if again.error else ""
            self._add(output=ended.tail)
            message = f"the run that did it again is {again.status}{error}"
            raise CannotError(message)
        lasts = [last_values(self._session, _path_of(one)) for one in (first, again)]
        outcomes = compare_records(
            first, again, self._options.tolerance, self._options.ignore, (lasts[0], lasts[1])
        )
        verdict = verdict_of(outcomes)
        self._add(outcomes=tuple(outcomes), verdict=verdict)
        if verdict == "cannot":
            message = "it recorded no metrics, rows or artifacts that could be compared"
            raise CannotError(message)


def _path_of(record: RunRecord) -> str:
    experiment = paths.experiment(paths.project(record.project), record.experiment)
    return paths.run(experiment, record.id)


def _read(session: Session, path: str) -> RunRecord:
    document = session.documents.get(path)
    if document is None:
        message = f"no run at {path}: it was deleted"
        raise NotFoundError(message)
    from aletheia_like.model.records import seen_status

    record = codec.run_record(path, document.fields, document.updated_at)
    seen = seen_status(record.status, document.updated_at, document.read_at)
    return replace(record, status=seen)


def _fetch_inputs(session: Session, first: RunRecord) -> list[DatasetVersion]:
    """Bring every data set the run read into the cache, verified by its recorded digest.

    Raises:
        CannotError: A version or its bytes are gone, or are not what the run read.
    """
    found = []
    for use in first.datasets.values():
        what = f"its data set {use.name}@{use.version}"
        try:
            dataset = get_dataset(session, use.name, use.version, partition=use.partition)
            if dataset.digest != use.digest:
                message = f"{what} has the sha-256 {dataset.digest}, the run read {use.digest}"
                raise CannotError(message)
            dataset.fetch()
        except UnavailableError:
            raise
        except AletheiaError as error:
            message = f"{what} cannot be had: {error}"
            raise CannotError(message) from error
        found.append(dataset)
    return found


def _environment_differences(around: Environment, recorded: Packages) -> Iterator[Difference]:
    import json

    here = platform.python_version()
    if around.python is not None and around.python != here:
        yield "python", around.python, here
    if around.os is not None and around.os != platform.platform():
        yield "os", around.os, platform.platform()
    yield from package_differences(recorded, json.loads(read_packages()))


def _place(session: Session, first: RunRecord) -> int:
    """Return how many runs of its experiment the run's process had started before it.

    Only runs of the same commit are read.
    """
    commit = first.git.commit if first.git is not None else None
    collection = paths.runs(paths.experiment(paths.project(first.project), first.experiment))
    query = Query(collection, (Filter(("git", "commit"), "==", commit),))
    process = _process(first)
    return sum(
        other.id != first.id
        and _process(other) == process
        and other.started_at is not None
        and first.started_at is not None
        and other.started_at < first.started_at
        for other in (
            codec.run_record(one.path, one.fields, one.updated_at)
            for one in session.documents.query(query)
        )
    )


def _process(record: RunRecord) -> tuple[object, ...]:
    around = record.environment or Environment()
    return around.host, around.process, around.command, record.reproduces


def _nothing_recorded(
    ended: Ended,
    first: RunRecord,
    has_started: bool,
    has_records: bool,
) -> str:
    if ended.code != 0:
        return f"the command ended with exit code {ended.code} and recorded no run"
    if has_started and not has_records:
        return "the command recorded into another store than the one the run is in"
    return f"the command recorded no run in experiment {first.experiment!r}"


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="aletheia-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
