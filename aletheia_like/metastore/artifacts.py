"""Artifacts: named files and directories that runs and experiments make, version by version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.versions import (
    Draft,
    StoredVersion,
    normalised,
    publish,
    read_local,
    store_tree,
)
from aletheia_like.model import paths
from aletheia_like.model.names import with_article
from aletheia_like.model.records import ArtifactUse, VersionRecord


class ArtifactVersion(StoredVersion):
    """One version of an artifact."""

    @property
    def experiment(self) -> str | None:
        """Name of the experiment it belongs to."""
        return self._record.experiment

    @property
    def location(self) -> str | None:
        """Where it was when it was added."""
        return self._record.location

    @property
    def use(self) -> ArtifactUse:
        """What a run's document says about it."""
        record = self._record
        return ArtifactUse(record.name, record.version, record.digest, record.size, record.kind)


@dataclass(frozen=True, slots=True)
class Maker:
    """Who adds an artifact: the experiment, and the run and commit if it is a run."""

    project: str
    experiment: str
    experiment_path: str
    run: str | None = None
    commit: str | None = None


def add_artifact(
    session: Session,
    maker: Maker,
    name: str,
    value: Any,
    *,
    is_local: bool = True,
    is_dir: bool | None = None,
    upload_file: bool = True,
    aliases: tuple[str, ...] = (),
    location: str | None = None,
) -> ArtifactVersion:
    """Hash, store and publish a file or directory; see `Run.add_artifact`.

    `location` says where it was, if that is not where it is.
    """
    owner_path = paths.artifact(maker.experiment_path, name)
    record = VersionRecord(
        name=name,
        version=0,
        kind="reference",
        digest=None,
        size=None,
        location=str(value),
        uploaded=False,
        aliases=aliases,
        project=maker.project,
        experiment=maker.experiment,
        run=maker.run,
        commit=maker.commit,
    )
    if is_local:
        draft = _draft_local(session, record, _local_path(name, value), is_dir, upload=upload_file)
    else:
        draft = Draft(_as_reference(record, value))
    if location is not None:
        draft = replace(draft, record=replace(draft.record, location=location))
    published = publish(session, owner_path, draft, _is_same)
    return ArtifactVersion(session, published)


def _local_path(name: str, value: Any) -> Path:
    if not isinstance(value, str | Path):
        message = (
            f"artifact {name!r} is {with_article(type(value).__name__)}: "
            "save it to a file and give its path"
        )
        raise InvalidValueError(message)
    return normalised(value)


def _as_reference(record: VersionRecord, value: Any) -> VersionRecord:
    if not isinstance(value, str) or "://" not in value:
        message = (
            f"artifact {record.name!r} with is_local=False needs a URI such as gs://bucket/file, "
            f"not {value!r:.80}"
        )
        raise InvalidValueError(message)
    return replace(record, location=value)


def _draft_local(
    session: Session, record: VersionRecord, path: Path, is_dir: bool | None, *, upload: bool
) -> Draft:
    tree = read_local(path, record.name)
    found_dir = tree.kind == "directory"
    if is_dir is not None and is_dir != found_dir:
        found, asked = ("directory", "False") if found_dir else ("file", "True")
        message = f"artifact {record.name!r} was given is_dir={asked}, but {path} is a {found}"
        raise InvalidValueError(message)
    manifest = store_tree(session, tree, record.name) if upload else None
    stored = replace(
        record,
        kind=tree.kind,
        digest=tree.digest,
        size=tree.size,
        files=len(tree.manifest),
        filename=path.name,
        manifest=manifest,
        location=str(path),
        uploaded=upload,
    )
    return Draft(stored, tree)


def _is_same(newest: VersionRecord, draft: VersionRecord) -> bool:
    """The same run adding the same content again makes no new version."""
    if newest.run != draft.run or newest.kind != draft.kind or newest.aliases != draft.aliases:
        return False
    if draft.kind == "reference":
        return newest.location == draft.location
    return newest.digest == draft.digest and newest.uploaded == draft.uploaded
