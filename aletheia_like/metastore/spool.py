"""Bytes that wait on this machine for their blob store, so that nobody waits for the network.

A spooled file lies in a folder named by its digest, under the name that tells its media type. It
is sent before any document that mentions it, by the recorder or by `aletheia sync`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aletheia_like.errors import UnavailableError
from aletheia_like.model.digests import digest_bytes

if TYPE_CHECKING:
    from aletheia_like.metastore.session import Session

_NAME_BYTES = 120


class Spool:
    """Files that wait to be sent; safe for threads and processes that share the folder.

    Args:
        folder: Where they wait; made when the first one comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._may_wait = False

    def put_bytes(self, data: bytes, name: str) -> str:
        """Keep bytes until they are sent; return their digest."""
        digest = digest_bytes(data)
        with self._making(digest, name) as temporary:
            if temporary is not None:
                temporary.write_bytes(data)
        return digest

    def put_file(self, digest: str, path: Path) -> None:
        """Keep a copy of a file whose digest is known, until it is sent."""
        with self._making(digest, path.name) as temporary:
            if temporary is not None:
                shutil.copyfile(path, temporary)

    def path(self, digest: str) -> Path | None:
        """Return the waiting file of this digest, if there is one."""
        if not self._may_wait:
            return None
        with contextlib.suppress(FileNotFoundError):
            return next((self._folder / digest).iterdir(), None)
        return None

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
        if not (self._may_wait or look):
            return 0
        from aletheia_like.metastore.storing import LocalFile, store_files

        with self._lock:
            files = [
                LocalFile(digest, path.stat().st_size, path)
                for digest, path in self.waiting()
                if path.exists()
            ]
            if files:
                store_files(session, files, "what waited")
            for file in files:
                file.path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    file.path.parent.rmdir()
            self._may_wait = False
        return len(files)

    @contextlib.contextmanager
    def _making(self, digest: str, name: str) -> Iterator[Path | None]:
        """Give the path to write a file to, or None if it waits already."""
        folder = self._folder / digest
        with self._lock:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._may_wait = True
                present = [one for one in folder.iterdir() if not one.name.endswith(".part")]
                if present:
                    yield None
                    return
                temporary = folder / f".{secrets.token_hex(4)}.part"
                yield temporary
                temporary.replace(folder / _short(name))
            except OSError as error:
                message = f"{folder} cannot be written: {error.strerror or error}: free some space"
                raise UnavailableError(message) from error


def _short(name: str) -> str:
    stem, suffix = os.path.splitext(name.lstrip("."))  # noqa: PTH122 - of a bare name
    return f"{stem[: _NAME_BYTES // 4] or 'file'}{suffix[:20]}"
