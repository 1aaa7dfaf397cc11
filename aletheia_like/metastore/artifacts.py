"""Artifacts: named files and directories that runs and experiments make, version by version."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from aletheia_like.capture.trees import FileTree
from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.objects import Content, Written, load_object
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.stored import StoredVersion
from aletheia_like.metastore.versions import (
    Draft,
    newest_of,
    publish,
    read_local,
    read_to_store,
    store_tree,
)
from aletheia_like.model import paths
from aletheia_like.model.records import ArtifactUse, VersionRecord


class ArtifactVersion(StoredVersion):
    """One version of an artifact.

    Args:
        session: Where it is.
        record: What is known of it.
        repository: Name of the repository it was opened in, if it was one.
    """

    def __init__(
        self, session: Session, record: VersionRecord, repository: str | None = None
    ) -> None:
        super().__init__(session, record)
        self._repository = repository

    @property
    def repository(self) -> str | None:
        """Name of the repository it was opened in; None if it is an experiment's."""
        return self._repository

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

    def load(
        self,
        trust: bool = False,  # noqa: FBT002 - the contract's call
        *,
        handler: str | None = None,
        validate: bool = True,
        **options: Any,
    ) -> Any:
        """Return the object that was added.

        Args:
            trust: Allow loading to run code: pickles run whatever their maker wrote.
            handler: Another than the recorded one; for what was added as a file.
            validate: Refuse an environment that differs too much, and warn if it differs.
            **options: For the handler, such as `mmap_mode="r"`.

        Raises:
            UntrustedArtifactError: Loading would run code; the message says what.
            MissingExtraError: The handler, or what it needs, is not installed.
            InvalidValueError: It is no object, the environment differs too much, or the handler
                failed.
            NotFoundError: Its bytes are not in the store.
            IntegrityError: The stored bytes are wrong.
        """
        return load_object(
            self._record,
            str(self),
            self._fetch,
            self._session.warn_once,
            trust=trust,
            validate=validate,
            handler=handler,
            options=options,
        )


@dataclass(frozen=True, slots=True)
class Maker:
    """Who adds an artifact: the experiment, and the run and commit if it is a run."""

    project: str
    experiment: str
    experiment_path: str
    run: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Addition:
    """What is added under a name, and how; see `Run.add_artifact`."""

    name: str
    content: Content
    is_local: bool = True
    is_dir: bool | None = None
    upload_file: bool = True
    aliases: tuple[str, ...] = ()


def add_artifact(session: Session, maker: Maker, addition: Addition) -> ArtifactVersion:
    """Hash, store and publish a file or directory; see `Run.add_artifact`."""
    name, content = addition.name, addition.content
    owner_path = paths.artifact(maker.experiment_path, name)
    record = VersionRecord(
        name=name,
        version=0,
        kind="reference",
        digest=None,
        size=None,
        location=content.location,
        uploaded=False,
        aliases=addition.aliases,
        project=maker.project,
        experiment=maker.experiment,
        run=maker.run,
        commit=maker.commit,
    )
    tree = None
    if addition.is_local:
        tree = _read(session, owner_path, addition)
    owner = session.documents.get(owner_path)
    draft = Draft(record)
    if tree is not None:
        record = replace(record, **told_of(content.written))
        draft = _draft(session, record, tree, newest_of(owner), upload=addition.upload_file)
    return ArtifactVersion(session, publish(session, owner_path, draft, _is_same, owner))


def told_of(written: Written | None) -> dict[str, Any]:
    """Return the fields of a version's record that its handler tells."""
    if written is None:
        return {}
    return {one.name: getattr(written, one.name) for one in fields(written)}


def _read(session: Session, owner_path: str, addition: Addition) -> FileTree:
    path, is_dir = Path(addition.content.value), addition.is_dir
    if addition.upload_file and is_dir is not False:
        written = addition.content.written
        tree = read_to_store(session, path, owner_path, written.media_type if written else None)
    else:
        tree = read_local(session, path)
    found_dir = tree.kind == "directory"
    if is_dir is not None and is_dir != found_dir:
        found, asked = ("directory", "False") if found_dir else ("file", "True")
        message = f"artifact {addition.name!r} was given is_dir={asked}, but {path} is a {found}"
        raise InvalidValueError(message)
    return tree


def _draft(
    session: Session,
    record: VersionRecord,
    tree: FileTree,
    newest: VersionRecord | None,
    *,
    upload: bool,
) -> Draft:
    manifest = None
    if upload:
        manifest = store_tree(session, tree, record.name, newest, record.media_type)
    stored = replace(
        record,
        kind=tree.kind,
        digest=tree.digest,
        size=tree.size,
        files=tree.count,
        filename=tree.path.name,
        manifest=manifest,
        uploaded=upload,
    )
    return Draft(stored, tree)


def _is_same(newest: VersionRecord, draft: VersionRecord) -> bool:
    """The same run adding the same content again makes no new version."""
    if newest.run != draft.run or newest.kind != draft.kind or newest.aliases != draft.aliases:
        return False
    if draft.kind == "reference":
        return newest.location == draft.location
    if newest.handler != draft.handler or newest.load_options != draft.load_options:
        return False
    return newest.digest == draft.digest and newest.uploaded == draft.uploaded
