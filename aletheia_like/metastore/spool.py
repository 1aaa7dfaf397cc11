"""Bytes that wait on this machine for their blob store, so that nobody waits for the network.

A spooled file lies in a folder named by its digest, under the name that tells its media type. It
is sent before any document that mentions it, by the recorder or by `aletheia sync`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from aletheia_like.errors import (
    IntegrityError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
)
from aletheia_like.forking import watch_forks
from aletheia_like.model.digests import digest_bytes
from aletheia_like.ports.blobs import Progress

if TYPE_CHECKING:
    from aletheia_like.metastore.session import Session
    from aletheia_like.metastore.storing import LocalFile

_NAME_BYTES = 120
_CHUNK_BYTES = 1 << 20


class Spool:
    """Files that wait to be sent; safe for threads and processes that share the folder.

    Args:
        folder: Where they wait; made when the first one comes.
        refuse: Raises for a file of this name if there is no place to send it to.
    """

    def __init__(self, folder: Path, refuse: Callable[[str], None] | None = None) -> None:
        self._folder = folder
        self._refuse = refuse
        self._sending = threading.Lock()
        self._may_wait = False
        watch_forks(None, None, self._after_fork)

    def put_bytes(self, data: bytes, name: str) -> str:
        """Keep bytes until they are sent; return their digest."""
        self._check(name)
        digest = digest_bytes(data)
        if not self._waits(digest):
            with self._temporary() as temporary:
                temporary.write_bytes(data)
                self._place(temporary, digest, name)
        return digest

    def put_file(self, path: Path) -> tuple[str, int]:
        """Keep a copy of a file until it is sent; return the digest and size of the copy.

        What is written to the file from now on is not waited for.
        """
        self._check(path.name)
        with path.open("rb") as source, self._temporary() as temporary:
            digest, size = _copy(source, temporary)
            if not self._waits(digest):
                self._place(temporary, digest, path.name)
        return digest, size

    def path(self, digest: str) -> Path | None:
        """Return the waiting file of this digest, if there is one; it goes when it is sent."""
        with contextlib.suppress(FileNotFoundError):
            return next((self._folder / digest).iterdir(), None)
        return None

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        """Copy a waiting file, verified, as a blob store does.

        Raises:
            NotFoundError: It does not wait, or no longer.
            IntegrityError: It was damaged.
        """
        temporary = path.with_name(f".{digest}.{secrets.token_hex(8)}.part")
        try:
            with self._open(digest) as source:
                copied, size = _copy(source, temporary)
            if copied != digest:
                message = f"{source.name} has not the sha-256 {digest}: its bytes were changed"
                raise IntegrityError(message)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        if progress is not None:
            progress(size)

    def waiting(self) -> list[tuple[str, Path]]:
        """Return the digest and path of every file that waits."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for folder in sorted(self._folder.iterdir()):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    found += [(folder.name, path) for path in folder.iterdir()]
        return [(digest, path) for digest, path in found if not path.name.endswith(".part")]

    def drain(self, session: Session, *, look: bool = False) -> int:
        """Send what waits; return how many files that was.

        Args:
            session: Where to.
            look: Send what other processes left, too.

        Raises:
            UnavailableError: The store is away; what is not sent stays.
        """
        with self._sending:
            if not (self._may_wait or look):
                return 0
            # Before the look, so that what comes during it is not overlooked next time.
            self._may_wait = False
            try:
                return self._send(session)
            except BaseException:
                self._may_wait = True
                raise

    def _check(self, name: str) -> None:
        if self._refuse is not None:
            self._refuse(name)

    def _open(self, digest: str) -> IO[bytes]:
        waiting = self.path(digest)
        message = f"no blob {digest} waits in {self._folder}"
        if waiting is None:
            raise NotFoundError(message)
        try:
            return waiting.open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(message) from error

    def _send(self, session: Session) -> int:
        from aletheia_like.metastore.storing import store_files

        while True:
            files = self._files()
            try:
                if files:
                    store_files(session, files, "what waited")
            except (FileNotFoundError, InvalidValueError):
                if all(file.path.exists() for file in files):
                    raise
                # Another process has sent one of them meanwhile, and removed it.
                continue
            for file in files:
                file.path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    file.path.parent.rmdir()
            return len(files)

    def _files(self) -> list[LocalFile]:
        from aletheia_like.metastore.storing import LocalFile

        files = []
        for digest, path in self.waiting():
            with contextlib.suppress(FileNotFoundError):
                files.append(LocalFile(digest, path.stat().st_size, path))
        return files

    def _waits(self, digest: str) -> bool:
        """Whether content waits already; it is sent before whatever is noted after this."""
        if self.path(digest) is None:
            return False
        self._may_wait = True
        return True

    def _after_fork(self) -> None:
        """Forget that a thread of the parent may have been sending."""
        self._sending = threading.Lock()

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[Path]:
        """Give the path of a new file, which is removed if it was not put in its place."""
        temporary = self._folder / f".{secrets.token_hex(8)}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            yield temporary
        except OSError as error:
            message = f"{temporary} cannot be written: {error.strerror or error}: free some space"
            raise UnavailableError(message) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def _place(self, temporary: Path, digest: str, name: str) -> None:
        folder = self._folder / digest
        placed = False
        while not placed:
            try:
                folder.mkdir(exist_ok=True)
                temporary.replace(folder / _short(name))
                placed = True
            except (FileNotFoundError, FileExistsError):
                # Another process has sent what was in the folder, and removed it: before the
                # move, or between the making that it prevented and the look at what was there.
                if not temporary.exists() or folder.is_file():
                    raise
        self._may_wait = True


def _copy(source: IO[bytes], target: Path) -> tuple[str, int]:
    """Copy an open file as long as it is now; return the digest and size of what was copied."""
    hasher, size = hashlib.sha256(), 0
    # A file of a kernel's own, such as in /proc, has content but no length.
    left = os.fstat(source.fileno()).st_size or sys.maxsize
    with target.open("wb") as writer:
        while chunk := source.read(min(_CHUNK_BYTES, left)):
            hasher.update(chunk)
            size += len(chunk)
            left -= len(chunk)
            writer.write(chunk)
    return hasher.hexdigest(), size


def _short(name: str) -> str:
    stem, suffix = os.path.splitext(name.lstrip("."))  # noqa: PTH122 - of a bare name
    return f"{stem[: _NAME_BYTES // 4] or 'file'}{suffix[:20]}"
