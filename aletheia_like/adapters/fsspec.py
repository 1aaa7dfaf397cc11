"""Blobs anywhere that fsspec reaches: `s3://bucket/prefix`, `memory://`, and, to read, `https://`."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from aletheia_like.adapters._clients import PerProcess
from aletheia_like.adapters._verified import (
    CHUNK_BYTES,
    check_file,
    chunks,
    verifying,
    write_verified,
    wrong_bytes,
)
from aletheia_like.errors import (
    AccessDeniedError,
    AletheiaError,
    MissingExtraError,
    NotFoundError,
    SettingsError,
    UnavailableError,
)
from aletheia_like.model.digests import check_digest, digest_stream
from aletheia_like.ports.blobs import BlobStore, Progress

T = TypeVar("T")

_READ_ONLY = frozenset({"http", "https"})
_EXTRAS = {"s3": "s3", "s3a": "s3", "http": "http", "https": "http"}


class FsspecBlobStore:
    """Blobs below a URL, in the layout of the directory store.

    Args:
        url: Where.
        **options: Passed to the file system, such as `client_kwargs` for S3.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url.rstrip("/")
        self._scheme = url.partition("://")[0]
        self._options = options
        self._systems: PerProcess[Any] = PerProcess(self._build)
        self._writing = threading.Lock()

    def exists(self, digest: str) -> bool:
        path = self._path(digest)
        return bool(self._call(lambda: self._systems.get().exists(path)))

    def upload(self, digest: str, path: Path, progress: Progress | None = None) -> bool:
        target = self._path(digest)
        self._check_writable()
        check_file(path)
        if self.exists(digest):
            return False
        with path.open("rb") as stream:
            if digest_stream(stream) != digest:
                raise wrong_bytes(str(path), digest)
        self._call(lambda: self._put(path, target, digest))
        if progress is not None:
            progress(path.stat().st_size)
        return True

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        with self._stream(digest) as stream:
            write_verified(path, chunks(stream), digest, self._path(digest), progress)

    def open(self, digest: str) -> BinaryIO:
        return verifying(self._stream(digest), digest, self._path(digest))

    def delete(self, digest: str) -> None:
        self._check_writable()
        if self.exists(digest):
            self._call(lambda: self._systems.get().rm_file(self._path(digest)))

    def digests(self) -> Iterator[str]:
        found = self._call(lambda: self._systems.get().find(self._root()))
        yield from (path.rpartition("/")[2] for path in found if _is_blob(path))

    def close(self) -> None:
        self._systems.take()

    def _put(self, path: Path, target: str, digest: str) -> None:
        """Send a file; where a writer in between could be seen, under another name first."""
        system = self._systems.get()
        system.makedirs(target.rpartition("/")[0], exist_ok=True)
        with path.open("rb") as source, system.open(target, "wb") as sink:
            shutil.copyfileobj(source, sink, CHUNK_BYTES)
        with system.open(target, "rb") as stored:
            same = digest_stream(stored) == digest
        if not same:
            system.rm_file(target)
            raise wrong_bytes(str(path), digest)

    def _stream(self, digest: str) -> Any:
        path = self._path(digest)
        try:
            return self._call(lambda: self._systems.get().open(path, "rb"))
        except FileNotFoundError as error:
            message = f"there is no blob {digest} at {self._url}"
            raise NotFoundError(message) from error

    def _root(self) -> str:
        stripped = self._systems.get()._strip_protocol(self._url)  # noqa: SLF001 - as fsspec names it
        return str(stripped).rstrip("/")

    def _path(self, digest: str) -> str:
        check_digest(digest)
        return f"{self._call(self._root)}/{digest[:2]}/{digest}"

    def _check_writable(self) -> None:
        if self._scheme in _READ_ONLY:
            message = f"{self._url} can only be read: name another place for blobs"
            raise AccessDeniedError(message)

    def _build(self) -> Any:
        try:
            import fsspec

            system = fsspec.get_filesystem_class(self._scheme)
            return system(**self._options, skip_instance_cache=self._scheme != "memory")
        except ImportError as error:
            extra = _EXTRAS.get(self._scheme)
            what = f"'aletheia-like[{extra}]'" if extra else "the package that fsspec names"
            message = f"{self._scheme}:// needs a package: pip install {what} ({error})"
            raise MissingExtraError(message) from error
        except ValueError as error:
            message = f"{self._url!r} is no address that fsspec knows: {error}"
            raise SettingsError(message) from error

    def _call(self, request: Callable[[], T]) -> T:
        """Make a request, with errors in our words."""
        try:
            return request()
        except (AletheiaError, FileNotFoundError):
            raise
        except PermissionError as error:
            message = f"{self._url}: the credentials do not allow this: {error}"
            raise AccessDeniedError(message) from error
        except (OSError, TimeoutError) as error:
            message = f"{self._url} cannot be reached: {error}"
            raise UnavailableError(message) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("aiohttp", "botocore"):
                message = f"{self._url} cannot be reached: {error}"
                raise UnavailableError(message) from error
            raise


def _is_blob(path: str) -> bool:
    name = path.rpartition("/")[2]
    return len(name) == 64 and not name.startswith(".")  # noqa: PLR2004 - hexadecimal sha-256


if TYPE_CHECKING:
    _: type[BlobStore] = FsspecBlobStore
