"""What runs and experiments have in common: they keep artifacts, and load them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aletheia_like.errors import AlreadyExistsError
from aletheia_like.metastore.artifacts import Addition, ArtifactVersion
from aletheia_like.metastore.choosing import Version
from aletheia_like.metastore.depending import Depending
from aletheia_like.metastore.finding import find_version
from aletheia_like.metastore.labels import given_aliases
from aletheia_like.metastore.objects import as_content
from aletheia_like.model import paths
from aletheia_like.model.names import from_id, to_id
from aletheia_like.model.records import VersionRecord
from aletheia_like.model.values import FieldPath

USED = "used_artifacts"
"""Field of a run: versions that other runs made and that it asked for."""


def use_key(record: VersionRecord, place: str | None) -> str:
    """Return under which key a run notes that it used a version.

    Args:
        record: The version.
        place: The repository or the other experiment that it is in; None if that is the run's own.
    """
    return to_id(f"{f'{place}/' if place else ''}{record.name}@{record.version}", "artifact")


class KeepsArtifacts(Depending):
    """A handle to which artifacts can be added."""

    def add_artifact(
        self,
        name: str,
        value: Any,
        *,
        handler: str | None = None,
        is_local: bool = True,
        is_dir: bool | None = None,
        upload_file: bool = True,
        aliases: Sequence[str] = (),
        overwrite: bool | None = None,
        **options: Any,
    ) -> ArtifactVersion:
        """Store a file, a directory or an object as the next version of its name.

        Args:
            name: What to find it by.
            value: Path of a file or directory; with `is_local=False`, a URI that is only noted;
                or an object. Text is a path, unless a handler is named.
            handler: What turns the object into a file, such as `json` or `npy`; by default the
                one for its type. A `Path` is a file that this handler can load.
            is_local: Whether a path is on this machine.
            is_dir: Refuse anything but a directory, or anything but a file.
            upload_file: False stores path, size and hash, not the bytes.
            aliases: Movable names for this version; no numbers or dates.
            overwrite: False refuses a name that this run, or else the experiment, has already.
                What was there before stays an older version in any case.
            **options: For the handler, such as `indent=2`; they are recorded.

        Returns:
            The version. If the store is away it is -1: a copy waits on this machine, and gets its
            number when it is stored.

        Raises:
            NotFoundError: There is nothing at the path; nothing was written.
            AlreadyExistsError: The name is taken and `overwrite` is False; nothing was written.
            InvalidValueError: The name, the kind of file, or the value cannot be stored; there is
                no such handler, or it failed. Nothing was written.
            MissingExtraError: The handler needs something that is not installed.
            IntegrityError: The file changed while it was read.
        """
        self._change({})
        checked = given_aliases(aliases)
        if overwrite is False and self._has_artifact(name):
            message = f"there is an artifact {name!r} already: overwrite=True makes it anew"
            raise AlreadyExistsError(message)
        with as_content(
            self._session,
            name,
            value,
            handler,
            options,
            is_local=is_local,
            is_dir=is_dir,
            upload_file=upload_file,
        ) as content:
            return self._keep(Addition(name, content, is_local, is_dir, upload_file, checked))

    def artifact(
        self, name: str, version: Version = None, match: str = "exact"
    ) -> ArtifactVersion:
        """Return a version of an artifact of the experiment, without fetching its bytes.

        Args:
            name: Of the artifact.
            version: Number in the experiment, alias, or date as ISO text or datetime. By default
                the newest that this run made, or else the newest of the experiment.
            match: `asof` takes the newest of that date or before.

        A run that is being recorded notes versions of other runs as what it used; its `lineage`
        shows them.

        Raises:
            NotFoundError: There is no such artifact, or no such version of it.
            InvalidValueError: It is no version, or `asof` does not go with it.
        """
        if version is None and match == "exact":
            version = self._made_version(name)
        path = paths.artifact(self._keeper_path(), name)
        where = f"experiment {from_id(self._keeper_path().rpartition('/')[2])!r}"
        record = find_version(self._session, path, where, version, match)
        found = ArtifactVersion(self._session, record)
        self._note_use(found)
        return found

    def load_artifact(
        self,
        name: str,
        version: Version = None,
        match: str = "exact",
        trust: bool = False,  # noqa: FBT002 - the contract's call
        *,
        validate: bool = True,
        **options: Any,
    ) -> Any:
        """Return the object that was added under a name; see `ArtifactVersion.load`.

        Args:
            name: Of the artifact.
            version: Number, alias or date; by default the newest that this run made; see
                `artifact`.
            match: `asof` takes the newest of that date or before.
            trust: Allow loading to run code.
            validate: Refuse an environment that differs too much.
            **options: For the handler.

        Raises:
            NotFoundError: There is no such artifact or version.
            UntrustedArtifactError: Loading would run code.
            MissingExtraError: Something is not installed.
            InvalidValueError: It is no version, no object, or cannot be loaded here.
        """
        found = self.artifact(name, version, match)
        return found.load(trust, validate=validate, **options)

    def _made_version(self, name: str) -> int | None:  # noqa: ARG002 - for runs
        """Return the newest version that this handle stands for; None for the newest of all."""
        return None

    def _has_artifact(self, name: str) -> bool:
        """Whether something was added under a name."""
        path = paths.artifact(self._keeper_path(), name)
        return self._session.documents.get(path) is not None

    def _note_use(self, found: ArtifactVersion) -> None:
        """Note that a version was asked for, if that is to be known."""

    def _keeper_path(self) -> str:
        """Return the path of the experiment that keeps the artifacts."""
        raise NotImplementedError

    def _change(self, changes: Mapping[FieldPath, Any]) -> None:
        """Change its document, or refuse if it may only be read."""
        raise NotImplementedError

    def _keep(self, addition: Addition) -> ArtifactVersion:
        """Store and publish it."""
        raise NotImplementedError
