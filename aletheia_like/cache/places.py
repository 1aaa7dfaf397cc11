"""Where things lie in a cache, and who may change them.

A cache whose folder may be written by its group, or by everybody, is shared: what is made in it
gets the same permissions, whatever the umask of who makes it says.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from aletheia_like.errors import AccessDeniedError, AletheiaError, UnavailableError
from aletheia_like.model.digests import check_digest

TAG = "CACHEDIR.TAG"
PART = ".part"
"""How names of files and folders end that are being written; they begin with a dot."""

TRASH = ".trash"
"""How names of folders end that are being removed; they begin with a dot."""

_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of aletheia-like; everything in it can be fetched again.\n"
)
_SHARED = stat.S_IWGRP | stat.S_IWOTH
_FOLDER_BITS = 0o2777
_FILE_BITS = 0o666


class Places:
    """The folders and files of one cache.

    Args:
        root: The folder of the cache; made when something is first written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs"
        self._blobs, self._records = f"{root}/blobs", f"{root}/records"
        self.trees = root / "trees"
        self.records = root / "records"
        self.pins = root / "pins"
        self.leases = root / "leases"
        self.locks = root / "locks"
        self.rows = root / "rows"
        self.quarantine = root / "quarantine"

    def blob(self, digest: str) -> Path:
        """Where a blob is, if it is here."""
        return Path(self.blob_name(digest))

    def blob_name(self, digest: str) -> str:
        """Where a blob is, as text: of that thousands are made in the time of as many paths."""
        return f"{self._blobs}/{check_digest(digest)[:2]}/{digest}"

    def record(self, digest: str) -> Path:
        """What is known of a blob."""
        return Path(self.record_name(digest))

    def record_name(self, digest: str) -> str:
        """What is known of a blob, as text."""
        return f"{self._records}/{digest[:2]}/{digest}"

    def tree(self, digest: str) -> Path:
        """Where a directory, or a file under its own name, is, if it is here."""
        return self.trees / check_digest(digest)

    def tree_record(self, digest: str) -> Path:
        """What is known of a directory."""
        return self.records / "trees" / f"{digest}.json"

    def make_root(self) -> None:
        """Make the folder of the cache, and what tells backup programs to leave it out."""
        tag = self.root / TAG
        if not tag.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            self.replace(tag, _TEXT.encode())

    def make(self, folder: Path) -> bool:
        """Make a folder of the cache, with what is missing above it; whether it was missing."""
        missing: list[Path] = []
        while not os.path.isdir(folder) and folder != self.root:  # noqa: PTH112 - as often as files
            if not missing and folder.parent != self.root and self._made(folder):
                return True
            missing.append(folder)
            folder = folder.parent
        if missing and folder == self.root:
            folder.mkdir(parents=True, exist_ok=True)
        for one in reversed(missing):
            one.mkdir(exist_ok=True)
            self._share(one, _FOLDER_BITS)
        return bool(missing)

    def _made(self, folder: Path) -> bool:
        """Make a folder below another one; False if that is missing, too."""
        try:
            os.mkdir(folder)  # noqa: PTH102 - as often as files
        except FileNotFoundError:
            return False
        except FileExistsError:
            if not folder.is_dir():
                raise
        self._share(folder, _FOLDER_BITS)
        return True

    def replace(self, path: Path, data: bytes) -> None:
        """Write a small file, whole, by one rename."""
        self.make(path.parent)
        temporary = path.with_name(f".{secrets.token_hex(8)}{PART}")
        try:
            temporary.write_bytes(data)
            self._share(temporary, _FILE_BITS)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def open(self, path: Path, flags: int) -> int:
        """Open a file of the cache, making it if need be, and return its descriptor."""
        self.make(path.parent)
        try:
            return os.open(path, flags | os.O_CLOEXEC)
        except FileNotFoundError:
            descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_CREAT, 0o644)
        self._share(path, _FILE_BITS)
        return descriptor

    def make_shared(self, path: Path) -> None:
        """Make an empty file of the cache for whoever writes there by other means.

        Raises:
            AccessDeniedError: It may not be written.
            UnavailableError: The disk is full, or broken.
        """
        with translated(path):
            self.make_root()
            os.close(self.open(path, os.O_RDWR))

    @property
    def file_mode(self) -> int:
        """Permissions of files that every user of this cache may change."""
        return (self._mode() or 0o644) & _FILE_BITS

    def _share(self, path: Path, bits: int) -> None:
        mode = self._mode()
        if mode is not None:
            with contextlib.suppress(PermissionError):
                path.chmod(mode & bits)

    def _mode(self) -> int | None:
        """Return the permissions of a shared cache."""
        try:
            mode = self.root.stat().st_mode
        except OSError:
            return None
        return mode if mode & _SHARED else None


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the operating system's errors about files of the cache into ours."""
    try:
        yield
    except AletheiaError:
        # Some of ours are the operating system's too, and say it better.
        raise
    except OSError as error:
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            message = f"{path} may not be written: choose another cache_dir"
            raise AccessDeniedError(message) from error
        message = (
            f"{path}: {error.strerror or error}: free some space, or choose another cache_dir"
        )
        raise UnavailableError(message) from error
