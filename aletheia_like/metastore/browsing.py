"""What a repository holds: versions, their differences, snapshots, and who did what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore import labels
from aletheia_like.metastore.artifacts import ArtifactVersion
from aletheia_like.metastore.choosing import Version, moment_of
from aletheia_like.metastore.differing import ArtifactDiff, compare_versions
from aletheia_like.metastore.finding import find_all, find_newest, find_version
from aletheia_like.metastore.lineage import Node, lineage_of_version
from aletheia_like.metastore.noting import note_use
from aletheia_like.metastore.saving import Place
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.snapshots import Snapshot, read_snapshot
from aletheia_like.model import paths
from aletheia_like.model.records import VersionRecord


class HoldsVersions:
    """A repository as something to read; nothing here writes."""

    _session: Session
    _place: Place

    @property
    def names(self) -> list[str]:
        """Names of the saved artifacts, sorted; one read each."""
        return [one.name for one in self._newest()]

    def artifacts(self) -> list[ArtifactVersion]:
        """Return the newest version of every artifact, sorted by name; one read each."""
        return [self._version(one) for one in self._newest()]

    def artifact(
        self, name: str, version: Version = None, match: str = "exact"
    ) -> ArtifactVersion:
        """Return a version without fetching its bytes.

        Args:
            name: Of the artifact.
            version: Number, alias, or date as ISO text or datetime; the newest by default.
            match: `asof` takes the newest of that date or before.

        Raises:
            NotFoundError: There is no such artifact, or no such version of it.
            InvalidValueError: It is no version, or `asof` does not go with it.
        """
        owner = self._place.owner(name)
        record = find_version(self._session, owner, self._called, version, match)
        return self._version(record)

    def load_artifact(
        self,
        name: str,
        version: Version = None,
        match: str = "exact",
        trust: bool = False,  # noqa: FBT002 - as of a run
        *,
        validate: bool = True,
        **options: Any,
    ) -> Any:
        """Return the object of a version; see `artifact` and `ArtifactVersion.load`.

        The run that this metastore is recording, if it is one, notes that it used the version.

        Args:
            name: Of the artifact.
            version: Number, alias, or date as ISO text or datetime; the newest by default.
            match: `asof` takes the newest of that date or before.
            trust: Allow loading to run code.
            validate: Refuse an environment that differs too much.
            **options: For the handler.

        Raises:
            NotFoundError: There is no such artifact, or no such version of it.
            InvalidValueError: It is no version, no object, or cannot be loaded here.
            UntrustedArtifactError: Loading would run code, and `trust` is not given.
        """
        found = self.artifact(name, version, match)
        note_use(self._session, found)
        return found.load(trust, validate=validate, **options)

    def versions(self, name: str) -> list[ArtifactVersion]:
        """Return every version of an artifact, oldest first; one read each.

        Raises:
            NotFoundError: There is no such artifact.
        """
        records = find_all(self._session, self._place.owner(name), self._called)
        return [self._version(one) for one in records]

    def diff(self, name: str, v1: Version, v2: Version = None) -> ArtifactDiff:
        """Return in what two versions of an artifact differ; the second is the newest by default.

        Raises:
            NotFoundError: There is no such artifact or version, or its bytes are gone.
            InvalidValueError: It holds neither text, JSON nor a table.
        """
        return compare_versions(self.artifact(name, v1), self.artifact(name, v2))

    def aliases(self, name: str) -> dict[str, int]:
        """Return the numbers of versions by their aliases.

        Raises:
            NotFoundError: There is no such artifact.
        """
        return labels.read_aliases(self._session, self._place.owner(name), self._called)

    def releases(self) -> list[labels.Release]:
        """Return the releases, oldest first; one read each."""
        return labels.list_releases(self._session, self._place)

    def released(self, tag: str) -> Snapshot:
        """Return the artifacts of a release, for reading.

        Raises:
            NotFoundError: There is no such release.
        """
        release = labels.read_release(self._session, self._place, tag)
        return read_snapshot(self._session, self._place, release)

    def lineage(self, name: str, version: Version = None) -> Node:
        """Return what a version came from: its artifact, run, data sets, and their sources.

        Raises:
            NotFoundError: There is no such artifact or version.
        """
        found = self.artifact(name, version).record
        return lineage_of_version(self._session, found, self._place.name)

    def snapshot(self, date: str | dt.date | Mapping[str, Version]) -> Snapshot:
        """Return the artifacts as they were at a moment, or chosen versions, for reading.

        Artifacts that had no version then, or only such as have expired, are left out.

        Args:
            date: As ISO text, date or datetime; or exactly which versions, by the names of their
                artifacts: numbers, aliases or dates, None for the newest.

        Raises:
            InvalidValueError: It is no date, or no version.
            NotFoundError: There is no such artifact or version.
        """
        if isinstance(date, Mapping):
            found = {name: self.artifact(name, version) for name, version in date.items()}
            return Snapshot(f"chosen versions of {self._called}", found)
        return read_snapshot(self._session, self._place, moment_of(date))

    def audit(self, name: str | None = None) -> list[labels.AuditEntry]:
        """Return what was done, oldest first: saves, moves of aliases, releases, expiries.

        Args:
            name: Only what concerns this artifact.
        """
        return labels.read_audit(self._session, self._place, name)

    def __contains__(self, name: object) -> bool:
        """Whether an artifact of this name was saved."""
        if not isinstance(name, str):
            return False
        try:
            self.artifact(name)
        except (NotFoundError, InvalidValueError):
            return False
        return True

    @property
    def _called(self) -> str:
        return f"repository {self._place.name!r}"

    def _version(self, record: VersionRecord) -> ArtifactVersion:
        return ArtifactVersion(self._session, record, self._place.name)

    def _newest(self) -> list[VersionRecord]:
        return find_newest(self._session, paths.artifacts(self._place.below))
