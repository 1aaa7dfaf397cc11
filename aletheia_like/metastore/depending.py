"""What a run or an experiment builds on: other runs and experiments of the same store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.marks import check_kept
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.names import check_name, from_id
from aletheia_like.model.values import FieldPath, Value, check_key

if TYPE_CHECKING:
    from aletheia_like.metastore.experiment import Experiment
    from aletheia_like.metastore.run import Run

DEPENDENCIES = "dependencies"
"""Field of a run or an experiment: what it builds on, by name."""


class Dependencies(Mapping[str, "Run | Experiment"]):
    """Runs and experiments by name; each is read when it is asked for, one read for each level."""

    def __init__(self, session: Session, noted: Mapping[str, Any]) -> None:
        self._session = session
        self._noted = noted

    def __getitem__(self, name: str) -> Run | Experiment:
        """Open one for reading.

        Raises:
            NotFoundError: There is none of this name, or it was deleted.
        """
        told = self._noted.get(name)
        if not isinstance(told, Mapping):
            known = ", ".join(map(repr, self._noted)) or "none"
            message = f"no dependency {name!r}: there are {known}"
            raise NotFoundError(message)
        return _open(self._session, told)

    def __iter__(self) -> Iterator[str]:
        return iter(self._noted)

    def __len__(self) -> int:
        return len(self._noted)

    def __contains__(self, name: object) -> bool:
        return name in self._noted

    def __repr__(self) -> str:
        return f"<Dependencies {', '.join(self._noted) or 'none'}>"


class Depending:
    """A handle that can tell what it builds on."""

    _session: Session
    _fields: dict[str, Value]

    def depend_on(self, other: Run | Experiment, name: str | None = None) -> None:
        """Note that this builds on another run or experiment, also of another project.

        Args:
            other: Of the same store.
            name: What to find it by; by default `EXPERIMENT` or `EXPERIMENT/RUN`.

        Raises:
            InvalidValueError: It is in another store, is this one, or the name is not possible.
        """
        if not hasattr(other, "path"):
            message = f"a run or an experiment is wanted, not {other!r:.80}: open it first"
            raise InvalidValueError(message)
        mine, its = self._session, other._session  # noqa: SLF001 - handles of one kind
        if (mine.settings.url, mine.blobs_url) != (its.settings.url, its.blobs_url):
            message = f"{other!r} is in another store, {its.settings.url}: pull its project first"
            raise InvalidValueError(message)
        if getattr(self, "path", None) == other.path:
            message = f"{other!r} cannot depend on itself"
            raise InvalidValueError(message)
        parts = [from_id(one) for one in other.path.split("/")[1::2]]
        words = ("project", "experiment", "run")
        told = dict(zip(words, parts, strict=False))
        key = check_key(check_name(name or "/".join(parts[1:]), "dependency"))
        self._change({(DEPENDENCIES, key): told})

    @property
    def dependencies(self) -> Dependencies:
        """The runs and experiments that this builds on, by name."""
        noted = self._fields.get(DEPENDENCIES)
        return Dependencies(self._session, noted if isinstance(noted, dict) else {})

    def _change(self, changes: Mapping[FieldPath, Any]) -> None:
        """Change its document, or refuse if it may only be read."""
        raise NotImplementedError


def _open(session: Session, told: Mapping[str, Any]) -> Run | Experiment:
    from aletheia_like.metastore.experiment import Experiment

    project, name = str(told.get("project")), str(told.get("experiment"))
    path = paths.experiment(paths.project(project), name)
    document = session.documents.get(path)
    if document is None:
        message = f"experiment {name!r} of project {project!r} is gone"
        raise NotFoundError(message)
    check_kept(document, f"experiment {name!r}", f"ms.restore_experiment({name!r})")
    experiment = Experiment(session, document, writable=False)
    return experiment if told.get("run") is None else experiment.run(str(told["run"]))
