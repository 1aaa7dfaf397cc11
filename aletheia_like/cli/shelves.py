"""Where artifacts lie, and which version is meant: what options of verbs say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from aletheia_like.cli import completing
from aletheia_like.connect import Metastore
from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.artifacts import ArtifactVersion
from aletheia_like.metastore.choosing import Version
from aletheia_like.metastore.experiment import Experiment
from aletheia_like.metastore.finding import find_all, find_newest
from aletheia_like.metastore.repository import Repository
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where artifacts lie: a repository or an experiment.

    Attributes:
        session: The live parts of the metastore.
        name: What it is called, for people.
        holder: The opened one.
    """

    session: Session
    name: str
    holder: Repository | Experiment

    def newest(self) -> list[ArtifactVersion]:
        """Return the newest version of each artifact."""
        if isinstance(self.holder, Repository):
            return self.holder.artifacts()
        session = self.session
        records = find_newest(session, paths.artifacts(self.holder.path))
        return [ArtifactVersion(session, one) for one in records]

    def versions(self, name: str) -> list[ArtifactVersion]:
        """Return every version of an artifact."""
        if isinstance(self.holder, Repository):
            return self.holder.versions(name)
        session, owner = self.session, paths.artifact(self.holder.path, name)
        return [ArtifactVersion(session, one) for one in find_all(session, owner, self.name)]


def shelf_options(command: F) -> F:
    """Add the options that say where an artifact lies."""
    options = (
        click.option(
            "-e",
            "--experiment",
            shell_complete=completing.plain_experiments,
            help="The experiment it belongs to.",
        ),
        click.option(
            "-r",
            "--repo",
            shell_complete=completing.repositories,
            help="The repository it is in.",
        ),
    )
    for option in options:
        command = option(command)
    return command


def version_options(command: F) -> F:
    """Add the options that choose a version."""
    options = (
        click.option("--as-of", metavar="DATE", help="The newest of this date or before."),
        click.option("--version", help="A number, an alias or an exact date; else the newest."),
    )
    for option in options:
        command = option(command)
    return command


def where_is(name: str) -> str:
    """Return what to tell somebody who named an artifact, but not where it is."""
    return f"where is {name!r}? Give --repo REPOSITORY or --experiment EXPERIMENT"


def open_shelf(ms: Metastore, repo: str | None, experiment: str | None, name: str | None) -> Shelf:
    """Open what the options name.

    Raises:
        InvalidValueError: They name nothing, or both.
        NotFoundError: There is no such repository or experiment.
    """
    if repo is not None and experiment is not None:
        message = "give --repo or --experiment, not both"
        raise InvalidValueError(message)
    if repo is not None:
        return open_repository(ms, repo)
    if experiment is None:
        raise InvalidValueError(where_is(str(name)))
    return open_experiment(ms, experiment)


def open_repository(ms: Metastore, name: str) -> Shelf:
    """Open a repository for reading.

    Raises:
        NotFoundError: There is none of that name.
    """
    try:
        return Shelf(ms.session, f"repository {name}", ms.repository(name, "r"))
    except NotFoundError as error:
        known = ", ".join(map(repr, ms.repositories())) or "none yet"
        message = f"no repository {name!r} in project {ms.project!r}: there are {known}"
        raise NotFoundError(message) from error


def open_experiment(ms: Metastore, name: str) -> Shelf:
    """Open an experiment for reading."""
    return Shelf(ms.session, f"experiment {name}", ms.experiment(name))


def asked_version(text: str | None) -> Version:
    """Return a number for a text of digits, else the text: an alias or a date."""
    return int(text) if text is not None and text.isdecimal() else text


def chosen(shelf: Shelf, name: str, version: str | None, as_of: str | None) -> ArtifactVersion:
    """Return the version that options choose."""
    if version is not None and as_of is not None:
        message = "give --version or --as-of, not both"
        raise InvalidValueError(message)
    if as_of is not None:
        return shelf.holder.artifact(name, as_of, "asof")
    return shelf.holder.artifact(name, asked_version(version))
