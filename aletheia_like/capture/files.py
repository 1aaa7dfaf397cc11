"""Files and directories as they are on this machine: hashed, and noticed if they change."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aletheia_like.errors import (
    AccessDeniedError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
)
from aletheia_like.model.digests import Manifest, ManifestEntry, check_relative, digest_stream
from aletheia_like.ports.blobs import Progress

_HASH_THREADS = 2
_THREADED_FILES = 8


@dataclass(frozen=True, slots=True)
class FileTree:
    """A file, or the files of a directory, as they were when they were hashed.

    Attributes:
        path: Where it is.
        kind: `file` or `directory`.
        manifest: The files; of a single file, one entry with its name.
        digest: sha-256 of the file, or of the directory's manifest.
    """

    path: Path
    kind: Literal["file", "directory"]
    manifest: Manifest
    digest: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self.manifest.size


def read_manifest(path: Path, progress: Progress | None = None) -> FileTree:
    """Hash a file, or every file below a directory; empty directories leave no trace.

    Args:
        path: What to read; symbolic links are followed, links out of a cycle are refused.
        progress: Called with the bytes of each file when it has been hashed.

    Raises:
        NotFoundError: There is nothing at `path`.
        InvalidValueError: Something there is no regular file, or has a name that cannot be kept.
        AccessDeniedError: Something there may not be read.
        IntegrityError: A file changed while it was read.
    """
    if not path.exists():
        link = ": it is a link to nothing" if path.is_symlink() else ""
        message = f"nothing at {path}{link}: check the path"
        raise NotFoundError(message)
    if not path.is_dir():
        entry = _hash(path, _named(path.name), progress)
        return FileTree(path, "file", Manifest((entry,)), entry.digest)
    found = list(_walk(path))
    if len(found) < _THREADED_FILES:
        entries = [_hash(file, name, progress) for name, file in found]
    else:
        with ThreadPoolExecutor(_HASH_THREADS, thread_name_prefix="aletheia-hash") as pool:
            entries = list(pool.map(lambda one: _hash(one[1], one[0], progress), found))
    manifest = Manifest.of(entries)
    return FileTree(path, "directory", manifest, manifest.digest)


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file below a directory with its relative name."""
    yield from _walk_inside(root, "", (_identity(root),))


def _walk_inside(
    folder: Path, prefix: str, above: tuple[tuple[int, int], ...]
) -> Iterator[tuple[str, Path]]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except PermissionError as error:
        message = f"{folder} may not be read: change its permissions"
        raise AccessDeniedError(message) from error
    for entry in listed:
        path = Path(entry.path)
        name = prefix + entry.name
        if entry.is_symlink() and not path.exists():
            message = f"{path} is a link that leads nowhere or in a circle: remove it"
            raise InvalidValueError(message)
        if entry.is_dir():
            identity = _identity(path)
            if identity in above:
                message = f"{path} is a link to a directory that contains it: remove it"
                raise InvalidValueError(message)
            yield from _walk_inside(path, f"{name}/", (*above, identity))
        else:
            yield _named(name), path


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _named(name: str) -> str:
    return check_relative(name)


def _hash(path: Path, name: str, progress: Progress | None) -> ManifestEntry:
    """Hash one file and make sure that it was the same all the while."""
    try:
        before = path.stat()
        if not stat.S_ISREG(before.st_mode):
            message = f"{path} is no regular file: sockets, pipes and devices cannot be stored"
            raise InvalidValueError(message)
        with path.open("rb", buffering=0) as stream:
            digest = digest_stream(stream)
            after = os.fstat(stream.fileno())
    except FileNotFoundError as error:
        message = f"{path} vanished while it was read"
        raise IntegrityError(message) from error
    except PermissionError as error:
        message = f"{path} may not be read: change its permissions"
        raise AccessDeniedError(message) from error
    if _state(before) != _state(after):
        message = f"{path} changed while it was read: wait until it is complete"
        raise IntegrityError(message)
    if progress is not None:
        progress(after.st_size)
    return ManifestEntry(name, digest, after.st_size)


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino
