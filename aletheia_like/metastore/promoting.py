"""Promotion: an artifact of a run becomes the next version in a repository, by reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, cast

from aletheia_like.errors import AlreadyExistsError, InvalidValueError, NotFoundError
from aletheia_like.metastore.artifacts import ArtifactVersion
from aletheia_like.metastore.keeping import USED, KeepsArtifacts, use_key
from aletheia_like.metastore.labels import given_aliases
from aletheia_like.metastore.saving import INPUTS, ORIGIN, Staged, not_newer
from aletheia_like.metastore.session import new_token
from aletheia_like.metastore.versions import newest_of
from aletheia_like.model.names import check_name
from aletheia_like.model.records import ENDED, VersionRecord

if TYPE_CHECKING:
    from aletheia_like.metastore.lineage import Node
    from aletheia_like.metastore.repository import Repository
    from aletheia_like.metastore.run import Run


class Promoting(KeepsArtifacts):
    """A run as what made artifacts that others will use."""

    def lineage(self) -> Node:
        """Return what this run came from, and what came of it, as far as to repositories."""
        from aletheia_like.metastore.lineage import lineage_of_run

        return lineage_of_run(cast("Run", self))

    def use_artifact(self, version: ArtifactVersion) -> None:
        """Note, once, that this run used a version of an artifact; `lineage` shows it.

        What `load_artifact` of this run takes from other runs is noted by itself, and what a
        repository of the same metastore loads, while one run is recorded.

        Raises:
            ReadOnlyError: The run has ended or was opened for reading.
        """
        record, run = version.record, cast("Run", self)
        is_own = version.repository is None and record.experiment == run.experiment.name
        key = use_key(record, None if is_own else version.repository or record.experiment)
        if key not in (run.fields.get(USED) or {}):
            told = {"name": record.name, "version": record.version, "digest": record.digest}
            if not is_own:
                told |= {"repository": version.repository, "experiment": record.experiment}
            told |= {"run": record.run}
            if record.project != run.record.project:
                told |= {"project": record.project}
            self._change({(USED, key): told})

    def promote_artifact(
        self,
        repository: Repository,
        name: str,
        version: int | None = None,
        *,
        aliases: Sequence[str] = (),
        allow_older: bool = False,
    ) -> ArtifactVersion | None:
        """Make an artifact of this run the next version in a repository; no byte is copied.

        The version there tells of the project, experiment, run, commit and data sets. While this
        process records the run it is only staged, and `repository.save()` publishes it; from a
        run that has ended or was opened for reading it is saved at once, with all that is staged.

        Args:
            repository: Where to.
            name: Of the artifact, here and there.
            version: Which; the newest that this run made by default.
            aliases: Movable names that the version there takes.
            allow_older: Promote it even if the newest version there is of a later date.

        Returns:
            The version in the repository; None if it is only staged.

        Raises:
            ReadOnlyError: The repository was opened for reading.
            NotFoundError: The run made no such artifact, or its bytes are not in the store.
            AlreadyExistsError: The newest version there is this one, or of a later date.
            InvalidValueError: The repository is in another store.
        """
        run = cast("Run", self)
        _check_same_store(run, repository)
        record = _made(run, name, version)
        promoted = _promoted(run, record, given_aliases(aliases))
        staged = Staged(promoted, allow_older=allow_older)
        if not allow_older:
            _check_newer(repository, promoted)
        repository.add_staged(staged)
        if run.is_recorded_here and run.status not in ENDED:
            return None
        try:
            return repository.save()[-1]
        except BaseException:
            # Who calls it again would promote it twice.
            repository.remove_staged(staged)
            raise


def _check_same_store(run: Run, repository: Repository) -> None:
    if not hasattr(repository, "place"):
        message = (
            f"a repository is wanted, such as ms.repository('models'), not {repository!r:.80}"
        )
        raise InvalidValueError(message)
    mine, its = run.session, repository.session
    if (mine.settings.url, mine.blobs_url) != (its.settings.url, its.blobs_url):
        message = (
            f"{run!r} is in {mine.settings.url}, repository {repository.name!r} in "
            f"{its.settings.url}: a promoted version shares its bytes with the run, so copy the "
            "project there first"
        )
        raise InvalidValueError(message)


def _made(run: Run, name: str, version: int | None) -> VersionRecord:
    """Return a version that a run made.

    Raises:
        NotFoundError: It made no such version, or its bytes are not in the store.
    """
    own = run.artifacts.get(check_name(name, "artifact"))
    if own is None:
        known = ", ".join(map(repr, run.artifacts)) or "none"
        message = (
            f"run {run.experiment.name}/{run.id} made no artifact {name!r} that is in the store: "
            f"it made {known}"
        )
        raise NotFoundError(message)
    number = own.version if version is None else version
    record = run.artifact(name, number).record
    if record.run != run.id:
        message = f"{name}@{number} was made by run {record.run}, not by run {run.id}"
        raise NotFoundError(message)
    if record.kind != "reference" and not record.uploaded:
        message = (
            f"{name}@{number} was added with upload_file=False, so that its bytes are only at "
            f"{record.location}: add it again to promote it"
        )
        raise NotFoundError(message)
    return record


def _promoted(run: Run, record: VersionRecord, aliases: tuple[str, ...]) -> VersionRecord:
    origin: Mapping[str, Any] = {
        "name": record.name,
        "version": record.version,
        "created_at": record.created_at,
    }
    inputs = {
        key: {word: value for word, value in asdict(use).items() if value is not None}
        for key, use in run.datasets.items()
    }
    extra = {**record.extra, ORIGIN: origin, **({INPUTS: inputs} if inputs else {})}
    return replace(record, token=new_token(), aliases=aliases, expires_at=None, extra=extra)


def _check_newer(repository: Repository, promoted: VersionRecord) -> None:
    """Refuse early what the save would refuse."""
    place = repository.place
    newest = repository.last_staged(promoted.name)
    if newest is None:
        newest = newest_of(repository.session.documents.get(place.owner(promoted.name)))
    why = not_newer(place, newest, promoted)
    if why is not None:
        message = f"{promoted.name!r} is not promoted: {why}"
        raise AlreadyExistsError(message)
