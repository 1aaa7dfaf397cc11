"""How a run starts: its code is checked first, then its number and document come in one apply."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aletheia_like.capture.environment import read_environment
from aletheia_like.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
)
from aletheia_like.feeds import Changes
from aletheia_like.metastore import telling
from aletheia_like.metastore.assets import AssetWriter
from aletheia_like.metastore.marks import check_kept
from aletheia_like.metastore.repeating import note_started, read_repetition
from aletheia_like.metastore.requesting import RunRequest
from aletheia_like.metastore.run import Run
from aletheia_like.metastore.session import Session, author, new_id, new_name, new_token
from aletheia_like.metastore.storing import shorten, store_bytes
from aletheia_like.metastore.surroundings import note_surroundings
from aletheia_like.metastore.writing import RunWriter
from aletheia_like.model import codec, paths
from aletheia_like.model.records import GitState, RunRecord
from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.documents import (
    REMOVE,
    Create,
    Document,
    Removal,
    Update,
    Write,
    changed_fields,
)

if TYPE_CHECKING:
    from aletheia_like.metastore.experiment import Experiment

_log = logging.getLogger("aletheia")


@dataclass(frozen=True, slots=True)
class Code:
    """The repository a run starts from: where it is and in which state."""

    root: Path | None
    state: GitState | None


def start(experiment: Experiment, request: RunRequest) -> Run:
    """Start or resume a run; see `Experiment.start_run`."""
    session = experiment._session  # noqa: SLF001 - handles of one metastore
    repetition = read_repetition()
    if repetition is not None and request.id is not None:
        request = replace(request, id=repetition.own_id(request.id))
    code = _read_code(session, experiment, request.git)
    run = _resume_or_create(session, experiment, request, code)
    session.live_runs.add(run)
    if run.reproduces is not None:
        note_started(session.settings.url, run.path)
    note_surroundings(session, run.path, code.root)
    if session.settings.tag_runs and code.root and code.state and code.state.commit:
        _tag(run, code.root, code.state.commit)
    return run


def _resume_or_create(
    session: Session, experiment: Experiment, request: RunRequest, code: Code
) -> Run:
    earlier = _find(session, experiment, request)
    if earlier is None:
        try:
            return _create(session, experiment, request, code)
        except AlreadyExistsError:
            # Another process that allows the same has created it a moment ago.
            earlier = _find(session, experiment, request)
            if earlier is None:
                raise
    return _resume(session, experiment, earlier, request)


def _find(session: Session, experiment: Experiment, request: RunRequest) -> Document | None:
    """Return the document to resume, or None to create one."""
    if request.id is None:
        return None
    path = paths.run(experiment.path, request.id)
    if request.resume == "never":
        return None
    try:
        document = session.documents.get(path)
    except UnavailableError:
        if request.resume == "must":
            raise
        return None
    if document is not None:
        what = f"run {experiment.name}/{request.id}"
        check_kept(document, what, f"exper.restore_run({request.id!r})")
    if document is None and request.resume == "must":
        message = f"no run {request.id!r} in experiment {experiment.name!r} to resume"
        raise NotFoundError(message)
    return document


def _read_code(session: Session, experiment: Experiment, asked: str | None) -> Code:
    """Read the state of the repository and refuse what the mode refuses."""
    mode = asked or session.settings.git
    if mode == "off":
        return Code(None, None)
    from aletheia_like.capture import git

    root = git.find_repository()
    if experiment.debug and mode in ("refuse", "require"):
        mode = "warn"
    state, failure = None, None
    if root is not None:
        try:
            state = git.read_git_state(root)
        except git.GitFailedError as error:
            failure = str(error)
    told = git.check_git(
        state,
        mode,
        require_pushed=session.settings.require_pushed and not experiment.debug,
        where=root or Path.cwd(),
        failure=failure,
    )
    for message in () if experiment.debug else told:
        session.warn_once(message)
    if mode == "snapshot" and state is not None and state.dirty and root is not None:
        from aletheia_like.capture.git_snapshot import take_snapshot

        data = take_snapshot(root, state, max_bytes=session.settings.snapshot_max_bytes)
        state = replace(state, snapshot=store_bytes(session, data, "snapshot.tar"))
    return Code(root, state)


def _create(session: Session, experiment: Experiment, request: RunRequest, code: Code) -> Run:
    now = session.clock()
    repetition = read_repetition()
    record = RunRecord(
        project=session.project,
        experiment=experiment.name,
        id="",
        token=new_token(),
        name=request.name or new_name(),
        fold=request.fold,
        hyper_params=request.hyper_params,
        git=code.state,
        environment=read_environment(allow=session.settings.environment_variables),
        desc=request.desc,
        tags=request.tags,
        parent=request.parent,
        reproduces=repetition.run if repetition is not None else None,
        debug=experiment.debug,
        created_by=author(),
        started_at=now,
        heartbeat_at=now,
    )
    fields = shorten(session, codec.to_fields(record))
    try:
        experiment.confirm()
        if request.id is not None or not experiment.auto_inc_ids:
            document = _create_named(session, experiment, fields, request.id or new_id())
        else:
            document = _create_numbered(session, experiment, fields)
    except UnavailableError as outage:
        return _begin_away(session, experiment, request, fields, outage)
    return _opened(session, experiment, document, main=True)


def _create_named(
    session: Session, experiment: Experiment, fields: dict[str, Value], id_: str
) -> Document:
    path = paths.run(experiment.path, id_)
    try:
        (revision,) = session.documents.apply([Create(path, fields)])
    except AlreadyExistsError as error:
        message = (
            f"run {id_!r} exists in experiment {experiment.name!r}: "
            "give resume='allow' to go on with it, or another id; a deleted run keeps its id "
            "while it can be restored"
        )
        raise AlreadyExistsError(message) from error
    return _as_created(session, path, fields, revision)


def _create_numbered(
    session: Session, experiment: Experiment, fields: dict[str, Value]
) -> Document:
    """Take the experiment's next number and create the run of that id, both or neither."""
    taken = 0

    def attempt() -> Document:
        nonlocal taken
        counter = experiment.counter(at_least=taken + 1)
        number = counter.number
        path = paths.run(experiment.path, str(number))
        try:
            revisions = session.documents.apply(
                [
                    Update(experiment.path, {("next_run_number",): number + 1}, counter.revision),
                    Create(path, {**fields, "number": number}),
                ]
            )
        except ConflictError:
            experiment.forget_counter()
            raise
        except AlreadyExistsError:
            # Somebody gave this number as an id of their own: count past it.
            experiment.forget_counter()
            taken = number
            raise
        experiment.remember_counter(number + 1, str(revisions[0]))
        return _as_created(session, path, {**fields, "number": number}, revisions[1])

    return session.retry(attempt, AlreadyExistsError)


def _as_created(
    session: Session, path: str, fields: dict[str, Value], revision: str | None
) -> Document:
    now = session.clock()
    return Document(path, fields, str(revision), now, now)


def _begin_away(
    session: Session,
    experiment: Experiment,
    request: RunRequest,
    fields: dict[str, Value],
    outage: UnavailableError,
) -> Run:
    """Begin a run that the store does not know yet; it is created when the store is back."""
    if request.resume == "must":
        raise outage
    path = paths.run(experiment.path, request.id or new_id())
    session.warn_once(
        f"the store is away ({outage}); runs are recorded in the journal until it is back, "
        "and `aletheia sync` sends what is left then"
    )
    begun = {
        "project": session.project_fields(),
        "experiment": experiment.fields,
        "run": fields,
        "numbered": request.id is None and experiment.auto_inc_ids,
        "join": request.resume == "allow",
    }
    document = _as_created(session, path, fields, None)
    return _opened(session, experiment, document, main=True, begun=begun)


def create_late(session: Session, path: str, begun: Mapping[str, Any]) -> dict[str, Value]:
    """Create a run that was begun while the store was away, with all it lies in.

    Returns:
        The run's fields, its number among them.

    Raises:
        AlreadyExistsError: There is another run of this id.
        UnavailableError: The store is still away.
    """

    def attempt() -> dict[str, Value]:
        run = session.documents.get(path)
        fields = dict(begun["run"])
        if run is not None:
            if begun["join"] or run.fields.get("token") == fields.get("token"):
                return run.fields
            message = f"{path} exists and is another run: its rows stay in the journal"
            raise InvalidValueError(message)
        experiment_path = path.rpartition("/runs/")[0]
        experiment = session.documents.get(experiment_path)
        known = experiment.fields if experiment is not None else dict(begun["experiment"])
        number = int(known.get("next_run_number", 1))
        if begun["numbered"]:
            fields["number"] = number
            number += 1
        writes: list[Write] = list(session.project_writes(begun["project"]))
        if experiment is None:
            writes.append(Create(experiment_path, {**known, "next_run_number": number}))
        elif begun["numbered"]:
            changes: Changes = {("next_run_number",): number}
            writes.append(Update(experiment_path, changes, experiment.revision))
        session.documents.apply([*writes, Create(path, fields)])
        return fields

    return session.retry(attempt, AlreadyExistsError)


def _resume(
    session: Session, experiment: Experiment, earlier: Document, request: RunRequest
) -> Run:
    """Reopen a run: what it had stays, it is running again, and its end is open."""
    changes: dict[FieldPath, Value | Removal] = {
        ("status",): "running",
        ("resumed_at",): session.clock(),
        ("updated_by",): author(),
        ("heartbeat_at",): session.clock(),
        ("ended_at",): REMOVE,
        ("error",): REMOVE,
    }
    if request.hyper_params:
        encoded = codec.to_value(request.hyper_params, ("hyper_params",))
        changes["hyper_params",] = shorten(session, encoded)
    given = {"fold": request.fold, "desc": request.desc, "tags": list(request.tags) or None}
    changes |= {(key,): codec.to_value(value) for key, value in given.items() if value is not None}
    session.documents.apply([Update(earlier.path, changes)])
    document = session.documents.get(earlier.path)
    if document is None:
        message = f"run {request.id!r} was deleted while it was resumed"
        raise NotFoundError(message)
    # Another rank may have ended it just now: here it goes on all the same.
    document = replace(document, fields=changed_fields(document.fields, changes))
    run = _opened(session, experiment, document, main=False)
    run._resumed = True  # noqa: SLF001 - its line in the leaderboard may exist already
    # Its user may ask how far it came.
    try:
        if run._take_over():  # noqa: SLF001
            run._see_again(changes)  # noqa: SLF001
    except UnavailableError as outage:
        session.warn_once(f"what {run!r} recorded before waits in its journal: {outage}")
    run._carry_step()  # noqa: SLF001
    return run


def _opened(
    session: Session,
    experiment: Experiment,
    document: Document,
    *,
    main: bool,
    begun: Mapping[str, Any] | None = None,
) -> Run:
    """Return the live run of a document, with a writer of its own."""
    run = Run(experiment, document)
    assets = AssetWriter(session, run._note_log_file)  # noqa: SLF001 - parts of one run

    def prepare() -> None:
        if begun is not None:
            run._learn(create_late(session, document.path, begun))  # noqa: SLF001

    head: dict[str, Any] = {"url": session.settings.url, "blobs": session.settings.blobs}
    head |= {"project": session.project, "begun": session.clock(), "create": begun}
    head |= {"resumed": document.fields.get("resumed_at")}
    writer = RunWriter(
        session,
        document.path,
        run.id,
        head={key: value for key, value in head.items() if value is not None},
        main=main,
        summary={},
        prepare=prepare,
        convert=assets.cell,
        show=assets.shown,
        shrink=assets.shrink,
    )
    run._writer = writer  # noqa: SLF001
    session.recorder.watch(document.path, writer)
    if session.settings.console:
        run.capture_console()
    if session.settings.system_metrics:
        run.sample_system(session.settings.system_metrics)
    return run


def _tag(run: Run, root: Path, commit: str) -> None:
    from aletheia_like.capture.git import GitFailedError, tag_commit

    try:
        tag = tag_commit(root, f"exp/{run.experiment.name}/{run.id}", commit)
    except (ConflictError, GitFailedError) as error:
        telling.warn(str(error))
        return
    run.note_tag(tag)
