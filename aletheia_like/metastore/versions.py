"""Versions of artifacts and datasets: published once, numbered from 0, never changed.

The document of the name (`artifacts/{name}`, `datasets/{name}`) counts the versions and repeats
the newest, so that opening it costs one read. A version's manifest is a blob, so listing and
fetching its files costs no document; the file documents below it are for people and queries.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from aletheia_like.capture.files import FileTree, read_manifest
from aletheia_like.errors import (
    AletheiaError,
    AlreadyExistsError,
    IntegrityError,
    NotFoundError,
)
from aletheia_like.metastore.progress import transfer_progress
from aletheia_like.metastore.session import Session, author, new_token
from aletheia_like.metastore.storing import LocalFile, store_bytes, store_files
from aletheia_like.model import paths
from aletheia_like.model.codec import SCHEMA_VERSION, to_fields, version_record
from aletheia_like.model.digests import Manifest, ManifestEntry
from aletheia_like.model.names import from_id, to_id
from aletheia_like.model.records import FileRecord, VersionRecord
from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.documents import Create, Document, Query, Removal, Update, Write

_FILE_BATCH = 400


@dataclass(frozen=True, slots=True)
class Draft:
    """A version before it has a number: what is known, and the local files behind it."""

    record: VersionRecord
    tree: FileTree | None = None


def normalised(location: str | Path) -> Path:
    """Return an absolute path without `..`, which may lead elsewhere after a symbolic link."""
    path = Path(location).expanduser().absolute()
    return path.resolve() if ".." in path.parts else path


def read_local(path: Path, what: str) -> FileTree:
    """Hash a file or directory, with a bar if that takes long."""
    with transfer_progress(f"hashing {what}", size=0, files=0, show=False) as progress:
        return read_manifest(path, progress=progress)


def store_tree(
    session: Session, tree: FileTree, what: str, media_type: str | None = None
) -> str | None:
    """Store the files of a tree; return the digest of its manifest's blob, None for one file.

    Args:
        session: Where to.
        tree: What.
        what: Named beside the progress bar.
        media_type: Of its files, if their names do not tell.
    """
    below = tree.path if tree.kind == "directory" else tree.path.parent
    files = [
        LocalFile(one.digest, one.size, below / one.path, media_type) for one in tree.manifest
    ]
    store_files(session, files, what)
    if tree.kind == "file":
        return None
    return store_bytes(session, tree.manifest.to_text().encode(), "manifest.jsonl")


def publish(
    session: Session,
    owner_path: str,
    draft: Draft,
    same: Callable[[VersionRecord, VersionRecord], bool],
) -> VersionRecord:
    """Give a draft the next number and publish it; return the newest version if it is the same.

    Args:
        session: Where to.
        owner_path: Document of the artifact or dataset.
        draft: What to publish; its blobs are stored already.
        same: Whether the newest version, given first, makes the draft superfluous.

    Returns:
        The published or the existing version.
    """
    draft_record = replace(
        draft.record, token=new_token(), created_at=session.clock(), created_by=author()
    )

    def attempt() -> tuple[VersionRecord, bool]:
        owner = session.documents.get(owner_path)
        newest = newest_of(owner)
        if newest is not None and same(newest, draft_record):
            return newest, False
        number = next_number(owner)
        record = replace(draft_record, version=number)
        files = _file_writes(paths.version(owner_path, number), draft.tree)
        writes = _owner_writes(session, owner_path, owner, record)
        session.documents.apply([*writes, *files[:_FILE_BATCH]])
        return record, True

    record, is_new = session.retry(attempt, AlreadyExistsError)
    rest = _file_writes(paths.version(owner_path, record.version), draft.tree)[_FILE_BATCH:]
    if not is_new and rest:
        # A process that died here left the version whole but its file documents incomplete.
        rest = [] if session.documents.get(rest[-1].path) else _missing(session, rest)
    for start in range(0, len(rest), _FILE_BATCH):
        session.documents.apply(rest[start : start + _FILE_BATCH])
    return record


def _missing(session: Session, writes: Sequence[Create]) -> list[Create]:
    found = session.documents.get_many([write.path for write in writes])
    return [write for write, document in zip(writes, found, strict=True) if document is None]


def read_version(
    session: Session, owner_path: str, what: str, version: int | None
) -> VersionRecord:
    """Return one version, the newest by default; either costs one read.

    Raises:
        NotFoundError: There is no such name, or no such version of it.
    """
    name = from_id(owner_path.rpartition("/")[2])
    if version is None:
        newest = newest_of(session.documents.get(owner_path))
        if newest is None:
            message = (
                f"no {what} {name!r} in project {session.project!r}{_known(session, owner_path)}"
            )
            raise NotFoundError(message)
        return newest
    document = session.documents.get(paths.version(owner_path, version))
    if document is None:
        message = f"no version {version} of {what} {name!r} in project {session.project!r}"
        raise NotFoundError(message)
    return version_record(document.path, document.fields)


def list_versions(session: Session, owner_path: str) -> list[VersionRecord]:
    """Return every version of a name, oldest first."""
    found = session.documents.query(Query(paths.versions(owner_path)))
    records = [version_record(one.path, one.fields) for one in found]
    return sorted(records, key=lambda record: record.version)


def list_newest(session: Session, collection: str) -> list[VersionRecord]:
    """Return the newest version of every name in a collection, one read each."""
    found = (newest_of(document) for document in session.documents.query(Query(collection)))
    return [record for record in found if record is not None]


class StoredVersion:
    """One version of an artifact or a dataset, ready to be listed, opened or downloaded."""

    def __init__(self, session: Session, record: VersionRecord) -> None:
        self._session = session
        self._record = record

    @property
    def record(self) -> VersionRecord:
        """Everything that is stored about this version."""
        return self._record

    @property
    def name(self) -> str:
        """The name that its versions share."""
        return self._record.name

    @property
    def version(self) -> int:
        """0, 1, … in the order of publication."""
        return self._record.version

    @property
    def digest(self) -> str | None:
        """sha-256 of the file, or of the directory's manifest; None for a bare reference."""
        return self._record.digest

    @property
    def size(self) -> int | None:
        """Bytes of all files."""
        return self._record.size

    @property
    def created_at(self) -> Any:
        """When it was published."""
        return self._record.created_at

    @property
    def run(self) -> str | None:
        """Id of the run that made it."""
        return self._record.run

    @property
    def commit(self) -> str | None:
        """Git commit of the code that made it."""
        return self._record.commit

    @property
    def aliases(self) -> tuple[str, ...]:
        """Movable names given to it."""
        return self._record.aliases

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return self._record.kind == "directory"

    def files(self) -> list[FileRecord]:
        """Return its files, sorted by path; reads no documents.

        Raises:
            NotFoundError: It is a reference whose content was never stored.
        """
        return [FileRecord(one.path, one.digest, one.size) for one in self._manifest()]

    def download(self, dest: str | Path | None = None) -> Path:
        """Fetch it and return where it is: in the local cache, or copied below `dest`.

        What is in `dest` already, with this very content, stays.

        Raises:
            NotFoundError: Only its path and hash were recorded, or the blob is gone.
            AlreadyExistsError: There is something else of its name in `dest`.
        """
        if dest is None:
            return self._fetch()
        return self.download_as(Path(dest) / (self._record.filename or self.name))

    def download_as(self, target: str | Path) -> Path:
        """Fetch it and copy it to this very path; see `download`."""
        local, target = self._fetch(), Path(target).expanduser()
        if target.exists():
            if self._has_content(target):
                return target
            message = f"{target} exists and differs: remove it, or download to another folder"
            raise AlreadyExistsError(message)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Under another name first: half a copy must not look like the whole.
        part = target.with_name(f".{new_token()}.part")
        try:
            if local.is_dir():
                shutil.copytree(local, part, copy_function=shutil.copyfile)
            else:
                shutil.copyfile(local, part)
            part.rename(target)
        finally:
            _remove(part)
        return target

    def _has_content(self, path: Path) -> bool:
        """Whether a file or directory is this version; every file is hashed."""
        try:
            tree = read_local(path, self.name)
        except AletheiaError:
            return False
        is_dir = tree.kind == "directory"
        return is_dir == self.is_dir and tree.digest == (
            self._manifest().digest if is_dir else self.digest
        )

    def open(self, path: str | None = None) -> IO[bytes]:
        """Open one file for reading; fetches only that file.

        Args:
            path: Which file of a directory; may be left out if there is only one.

        Raises:
            NotFoundError: There is no such file, or its content was never stored.
        """
        entry = self._entry(path)
        return self._session.cache.fetch(entry.digest).open("rb")

    def _entry(self, path: str | None) -> ManifestEntry:
        entries = {entry.path: entry for entry in self._manifest()}
        if path is None and len(entries) == 1:
            return next(iter(entries.values()))
        if path not in entries:
            message = f"no file {path!r} in {self}: it has {', '.join(list(entries)[:10])}"
            raise NotFoundError(message)
        return entries[path]

    def _manifest(self) -> Manifest:
        record = self._record
        self._check_stored()
        if record.kind == "directory" and record.manifest is not None:
            local = self._session.cache.fetch(record.manifest)
            manifest = Manifest.from_text(local.read_text(encoding="utf-8"))
            if manifest.digest != record.digest:
                message = f"the manifest of {self} does not have the digest {record.digest}"
                raise IntegrityError(message)
            return manifest
        filename = record.filename or record.name
        return Manifest((ManifestEntry(filename, str(record.digest), record.size or 0),))

    @property
    def _is_whole(self) -> bool:
        """Whether all its files are meant."""
        return True

    def _check_stored(self) -> None:
        if not self._record.uploaded or self._record.digest is None:
            message = (
                f"the bytes of {self} are not in the store, only where they were: "
                f"{self._record.location}"
            )
            raise NotFoundError(message)

    def _fetch(self, *, verify: bool = False) -> Path:
        self._check_stored()
        record, cache = self._record, self._session.cache
        if record.kind == "directory" and not verify and self._is_whole:
            warm = cache.tree(str(record.digest), record.files)
            if warm is not None:
                return warm
        with transfer_progress(
            f"fetching {self.name}",
            size=record.size or 0,
            files=record.files,
            show=self._session.settings.progress,
        ) as progress:
            if record.kind == "directory":
                return cache.fetch_tree(self._manifest(), progress, verify=verify)
            filename = record.filename or record.name
            return cache.fetch_file(str(record.digest), filename, progress, verify=verify)

    def __str__(self) -> str:
        version = self.version if self.version >= 0 else "waiting for the store"
        return f"{self.name}@{version}"

    def __repr__(self) -> str:
        digest = (self.digest or "no digest")[:12]
        return f"<{type(self).__name__} {self} {digest} {self.size} bytes>"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _known(session: Session, owner_path: str) -> str:
    collection = owner_path.rpartition("/")[0]
    names = [record.name for record in list_newest(session, collection)][:10]
    return f": there are {', '.join(map(repr, names))}" if names else ": there are none yet"


def newest_of(owner: Document | None) -> VersionRecord | None:
    """Return the newest version of a name, which the name's document repeats."""
    if owner is None or not isinstance(owner.fields.get("latest"), dict):
        return None
    latest = owner.fields["latest"]
    return version_record(paths.version(owner.path, int(latest["version"])), latest)


def next_number(owner: Document | None) -> int:
    """Return the number that the next version of a name gets."""
    counted = owner.fields.get("next_version") if owner is not None else None
    return counted if isinstance(counted, int) else 0


def _owner_writes(
    session: Session, owner_path: str, owner: Document | None, record: VersionRecord
) -> list[Write]:
    fields = to_fields(record)
    counted: dict[str, Value] = {"next_version": record.version + 1, "latest": fields}
    moved: dict[str, Value] = {to_id(one, "alias"): record.version for one in record.aliases}
    version = Create(paths.version(owner_path, record.version), fields)
    if owner is None:
        first = {
            "schema_version": SCHEMA_VERSION,
            "name": record.name,
            "created_at": session.clock(),
            **counted,
            **({"aliases": moved} if moved else {}),
        }
        return [*session.project_writes(), Create(owner_path, first), version]
    changes: dict[FieldPath, Value | Removal] = {(key,): counted[key] for key in counted}
    changes |= {("aliases", key): moved[key] for key in moved}
    return [Update(owner_path, changes, owner.revision), version]


def _file_writes(version_path: str, tree: FileTree | None) -> list[Create]:
    if tree is None:
        return []
    return [
        Create(
            paths.version_file(version_path, entry.path),
            {"path": entry.path, "sha256": entry.digest, "size": entry.size},
        )
        for entry in tree.manifest
    ]
