"""What `start_run` is asked for: checked before anything else happens."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from aletheia_like.errors import InvalidValueError, NotFoundError, UnavailableError
from aletheia_like.metastore.handle import check_tags
from aletheia_like.metastore.run import Run
from aletheia_like.model import paths
from aletheia_like.model.names import check_name
from aletheia_like.model.parameters import to_mapping
from aletheia_like.settings import GIT_MODES

if TYPE_CHECKING:
    from aletheia_like.metastore.experiment import Experiment

Resume = Literal["never", "allow", "must"]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What `start_run` was asked for, checked."""

    name: str | None
    id: str | None
    fold: Any
    resume: Resume
    parent: str | None
    tags: tuple[str, ...]
    hyper_params: dict[Any, Any]
    desc: str | None
    git: str | None


def check_request(
    experiment: Experiment,
    name: str | None,
    id_: object,
    fold: Any,
    resume: str,
    parent: object,
    tags: Sequence[str],
    hyper_params: object,
    desc: str | None,
    git: str | None,
) -> RunRequest:
    """Refuse what cannot be a run, before anything else happens.

    Raises:
        InvalidValueError: A name, id, tag, parameter or word is not possible.
        NotFoundError: There is no run of the id of `parent`.
    """
    if resume not in get_args(Resume):
        message = f"resume is never, allow or must, not {resume!r}"
        raise InvalidValueError(message)
    if resume == "must" and id_ is None:
        message = "resume='must' needs the id of the run: start_run(id=…, resume='must')"
        raise InvalidValueError(message)
    if git is not None and git not in GIT_MODES:
        message = f"git is one of {', '.join(GIT_MODES)}, not {git!r}"
        raise InvalidValueError(message)
    return RunRequest(
        name=None if name is None else check_name(name, "run"),
        id=None if id_ is None else _run_id(id_),
        fold=fold,
        resume=cast("Resume", resume),
        parent=_parent_id(experiment, parent),
        tags=check_tags(tags),
        hyper_params={} if hyper_params is None else to_mapping(hyper_params),
        desc=desc,
        git=git,
    )


def _run_id(given: object) -> str:
    """Return the id of a run, of which the number may be given, as `exper.run(3)` takes it."""
    return check_name(str(given) if type(given) is int else given, "run")


def _parent_id(experiment: Experiment, parent: object) -> str | None:
    """Return the id of the run that another is to belong to; one given by its id is looked up."""
    if isinstance(parent, Run):
        if parent.path.rpartition("/runs/")[0] != experiment.path:
            message = (
                f"{parent!r} is no run of experiment {experiment.name!r}: "
                "a child run belongs to the experiment of its parent"
            )
            raise InvalidValueError(message)
        return parent.id
    if parent is None:
        return None
    id_ = _run_id(parent)
    session = experiment._session  # noqa: SLF001 - handles of one metastore
    with contextlib.suppress(UnavailableError):
        if session.documents.get(paths.run(experiment.path, id_)) is None:
            message = f"no run {id_!r} in experiment {experiment.name!r} to be the parent"
            raise NotFoundError(message)
    return id_
