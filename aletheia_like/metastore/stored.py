"""A version that is in the store: what is known of it, and its bytes when they are wanted."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from aletheia_like.errors import (
    AletheiaError,
    AlreadyExistsError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
)
from aletheia_like.metastore.progress import transferring
from aletheia_like.metastore.session import Session, new_token
from aletheia_like.metastore.versions import read_local
from aletheia_like.model.digests import Manifest, ManifestEntry, check_relative
from aletheia_like.model.records import FileRecord, VersionRecord

if TYPE_CHECKING:
    from aletheia_like.metastore.verifying import Verification


class StoredVersion:
    """One version of an artifact or a dataset, ready to be listed, opened or downloaded."""

    word: ClassVar[str] = "artifact"

    def __init__(self, session: Session, record: VersionRecord) -> None:
        self._session = session
        self._record = record

    @property
    def record(self) -> VersionRecord:
        """Everything that is stored about this version."""
        return self._record

    @property
    def session(self) -> Session:
        """The live parts of its metastore."""
        return self._session

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
            AlreadyExistsError: Something else has its name in `dest`, or that is no folder.
            IntegrityError: What is stored is wrong, or would lie outside of `dest`.
            UnavailableError: This machine refuses to write it, or has no room.
        """
        if dest is None:
            return self._fetch()
        return self.download_as(Path(dest) / file_name(self._record))

    def download_as(self, target: str | Path) -> Path:
        """Fetch it and copy it to this very path; see `download`."""
        local, target = self._fetch(), Path(target).expanduser()
        if target.exists():
            if self._has_content(target):
                return target
            message = f"{target} exists and differs: remove it, or download to another folder"
            raise AlreadyExistsError(message)
        try:
            _copy(local, target)
        except (FileExistsError, NotADirectoryError) as error:
            message = f"{target.parent} is no folder: download to another"
            raise AlreadyExistsError(message) from error
        except OSError as error:
            message = f"{target} cannot be written: {error.strerror or error}"
            raise UnavailableError(message) from error
        return target

    def _has_content(self, path: Path) -> bool:
        """Whether a file or directory is this version; every file is hashed."""
        try:
            tree = read_local(self._session, path, anew=True)
        except AletheiaError:
            return False
        is_dir = tree.kind == "directory"
        return is_dir == self.is_dir and tree.digest == (
            self._manifest().digest if is_dir else self.digest
        )

    def verify(self, *, workers: int = 8) -> Verification:
        """Read and hash its bytes in the store, and say what is wrong; no cache is asked.

        Args:
            workers: How many blobs are read at once.

        Raises:
            UnavailableError: The store cannot be reached.
        """
        from aletheia_like.metastore.verifying import verify_version

        return verify_version(self._session, self._record, str(self), workers=workers)

    def open(self, path: str | None = None, *, stream: bool = False) -> IO[bytes]:
        """Open one file for reading; fetches only that file.

        Args:
            path: Which file of a directory; may be left out if there is only one.
            stream: Read from the store, from the start to the end, without keeping a copy; what
                is in the cache is read from there. Wrong bytes are told at the end.

        Raises:
            NotFoundError: There is no such file, or its content was never stored.
            IntegrityError: The stored bytes are wrong.
        """
        entry = self._entry(path)
        if stream and self._session.cache.path(entry.digest) is None:
            return self._stream(entry)
        return self._local(entry).open("rb")

    def _local(self, entry: ManifestEntry) -> Path:
        """Return where one file is on this machine, fetching it if need be."""
        return self._session.cache.fetch(entry.digest)

    def _stream(self, entry: ManifestEntry) -> IO[bytes]:
        return self._session.blobs.open(entry.digest)

    def _entry(self, path: str | None) -> ManifestEntry:
        entries = {entry.path: entry for entry in self._manifest()}
        if path is None and len(entries) == 1:
            return next(iter(entries.values()))
        if path not in entries:
            message = f"no file {path!r} in {self}: it has {', '.join(list(entries)[:10])}"
            raise NotFoundError(message)
        return entries[path]

    def _manifest(self) -> Manifest:
        self._check_stored()
        return self._listed()

    def _listed(self) -> Manifest:
        """Return the files, whether or not their bytes are in the store."""
        record = self._record
        if record.kind == "directory" and record.manifest is not None:
            local = self._session.cache.fetch(record.manifest)
            manifest = Manifest.from_text(local.read_text(encoding="utf-8"))
            if manifest.digest != record.digest:
                message = f"the manifest of {self} does not have the digest {record.digest}"
                raise IntegrityError(message)
            return manifest
        entry = ManifestEntry(file_name(record), str(record.digest), record.size or 0)
        return Manifest((entry,))

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
        with transferring(
            f"fetching {self.name}",
            size=record.size or 0,
            files=record.files,
            show=self._session.settings.progress,
        ) as transfer:
            if record.kind == "directory":
                return cache.fetch_tree(
                    self._manifest(), transfer.add, verify=verify, finished=transfer.finished
                )
            name = file_name(record)
            return cache.fetch_file(str(record.digest), name, transfer.add, verify=verify)

    def __str__(self) -> str:
        version = self.version if self.version >= 0 else "waiting for the store"
        return f"{self.name}@{version}"

    def __repr__(self) -> str:
        if self.digest is None:
            return f"<{type(self).__name__} {self} of {self._record.location}>"
        return f"<{type(self).__name__} {self} {self.digest[:12]} {self.size} bytes>"


def file_name(record: VersionRecord) -> str:
    """Return what the file or directory of a version is called on a disk.

    Raises:
        IntegrityError: The store says a name that leads elsewhere.
    """
    name = record.filename or record.name.replace("/", "_")
    if "/" not in name:
        with contextlib.suppress(InvalidValueError):
            return check_relative(name)
    message = (
        f"the file of {record.name}@{record.version} is called {name!r:.200} in the store, which "
        "leads out of its folder: somebody has changed the store"
    )
    raise IntegrityError(message)


def _copy(local: Path, target: Path) -> None:
    """Copy a file or directory, whole or not at all."""
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


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
