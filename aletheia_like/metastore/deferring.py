"""Artifacts that a run made while the store was away: kept on this machine until it is back.

The bytes are copied beside the journal, and a note says what they are; the recorder publishes them
as soon as the store answers, or `aletheia sync` does after the run has ended.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

from aletheia_like.errors import UnavailableError
from aletheia_like.metastore.artifacts import (
    Addition,
    ArtifactVersion,
    Maker,
    add_artifact,
    told_of,
)
from aletheia_like.metastore.objects import Content, Written
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.versions import read_local
from aletheia_like.model import codec
from aletheia_like.model.digests import Manifest
from aletheia_like.model.names import to_id
from aletheia_like.model.records import VersionRecord
from aletheia_like.ports.documents import Update

_log = logging.getLogger("aletheia")

UNNUMBERED = -1
"""The version of an artifact that has not reached the store yet."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """An artifact that waits.

    Attributes:
        token: Names it in the journal, and its folder.
        name: Of the artifact.
        value: Where its copy is, or the URI that it refers to.
        location: Where it was; None if it was an object.
        is_local: Whether `value` is a path.
        upload_file: Whether its bytes are to be stored.
        aliases: Movable names for it.
        maker: Who made it.
        written: How an object became the file.
    """

    token: str
    name: str
    value: str
    location: str | None
    is_local: bool
    upload_file: bool
    aliases: Sequence[str]
    maker: Mapping[str, Any]
    written: Mapping[str, Any] | None = None


class WaitingVersion(ArtifactVersion):
    """A version that has no number yet: its bytes are here, and later in the store.

    Args:
        session: The metastore.
        record: What is known of it.
        kept: Where its bytes wait; removed when they are stored.
    """

    def __init__(self, session: Session, record: VersionRecord, kept: Path) -> None:
        super().__init__(session, record)
        self._kept = kept

    def open(self, path: str | None = None, *, stream: bool = False) -> IO[bytes]:
        """Open one file for reading; see `StoredVersion.open`."""
        if not self._kept.exists():
            return self._published().open(path, stream=stream)
        entry = self._entry(path)
        return (self._kept / entry.path if self.is_dir else self._kept).open("rb")

    def _manifest(self) -> Manifest:
        if not self._kept.exists():
            return self._published()._manifest()  # noqa: SLF001 - the same version
        return read_local(self._session, self._kept).manifest

    def _fetch(self, *, verify: bool = False) -> Path:
        if not self._kept.exists():
            return self._published()._fetch(verify=verify)  # noqa: SLF001 - the same version
        return self._kept

    def _published(self) -> ArtifactVersion:
        """Return it as it is in the store, where content is found by its digest."""
        manifest = self.digest if self.is_dir else None
        return ArtifactVersion(
            self._session, replace(self._record, uploaded=True, manifest=manifest)
        )


class Deferring(Protocol):
    """What remembers artifacts until the store is back: a run's writer."""

    def defer(self, deferred: Deferred) -> None:
        """Publish an artifact when the store is back."""
        ...


def add_or_defer(
    session: Session, writer: Deferring, maker: Maker, addition: Addition
) -> ArtifactVersion:
    """Add an artifact, or keep it here if the store is away; see `Run.add_artifact`."""
    try:
        return add_artifact(session, maker, addition)
    except UnavailableError as outage:
        if session.settings.strict:
            raise
        deferred, version = _deferred(session, maker, addition)
        _log.warning("artifact %r waits on this machine: %s", addition.name, outage)
        writer.defer(deferred)
        return version


def _deferred(
    session: Session, maker: Maker, addition: Addition
) -> tuple[Deferred, ArtifactVersion]:
    """Keep a copy of an artifact, and return it as a version without a number, too."""
    name, content = addition.name, addition.content
    is_local, upload_file = addition.is_local, addition.upload_file
    token = secrets.token_hex(8)
    record = VersionRecord(name, UNNUMBERED, "reference", None, None, location=content.location)
    kept = str(content.value)
    if is_local:
        path = Path(content.value)
        tree = read_local(session, path)
        kept = str(_copied(path, _folder(session, token)) if upload_file else path)
        record = VersionRecord(
            name,
            UNNUMBERED,
            tree.kind,
            tree.digest,
            tree.size,
            files=tree.count,
            filename=path.name,
            location=content.location or kept,
            uploaded=False,
            run=maker.run,
            **told_of(content.written),
        )
    deferred = Deferred(
        token,
        name,
        kept,
        content.location,
        is_local,
        upload_file,
        list(addition.aliases),
        asdict(maker),
        None if content.written is None else asdict(content.written),
    )
    if is_local and upload_file:
        return deferred, WaitingVersion(session, record, Path(kept))
    return deferred, ArtifactVersion(session, record)


def deliver_artifact(session: Session, run_path: str, deferred: Deferred) -> None:
    """Publish an artifact that waited, and mention it in its run; doing it again changes nothing.

    Raises:
        UnavailableError: The store is still away.
    """
    written = None if deferred.written is None else Written(**deferred.written)
    addition = Addition(
        deferred.name,
        Content(deferred.value, deferred.location, written),
        is_local=deferred.is_local,
        upload_file=deferred.upload_file,
        aliases=tuple(deferred.aliases),
    )
    version = add_artifact(session, Maker(**deferred.maker), addition)
    field = ("artifacts", to_id(deferred.name, "artifact"))
    session.documents.apply([Update(run_path, {field: codec.to_value(version.use)})])
    shutil.rmtree(_folder(session, deferred.token), ignore_errors=True)


def to_deferred(noted: Mapping[str, Any]) -> Deferred:
    """Return the artifact that a note tells of."""
    return Deferred(**noted)


def _folder(session: Session, token: str) -> Path:
    return session.journal_folder / "artifacts" / token


def _copied(path: Path, folder: Path) -> Path:
    target = folder / path.name
    try:
        folder.mkdir(parents=True)
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            shutil.copyfile(path, target)
            os.utime(target, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        message = f"{folder} cannot be written: {error.strerror or error}: free some space"
        raise UnavailableError(message) from error
    return target
