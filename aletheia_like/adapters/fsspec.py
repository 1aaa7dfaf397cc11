"""Blobs anywhere that fsspec reaches: `s3://bucket/prefix`, `memory://`, and, to read, `https://`."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TypeVar

from aletheia_like.adapters._clients import PerProcess
from aletheia_like.adapters._partials import resumable_sink
from aletheia_like.adapters._verified import (
    CHUNK_BYTES,
    HashingReader,
    VerifiedSink,
    check_file,
    chunks,
    only_digests,
    translated,
    verifying,
)
from aletheia_like.errors import (
    AccessDeniedError,
    AletheiaError,
    MissingExtraError,
    NotFoundError,
    SettingsError,
    UnavailableError,
)
from aletheia_like.model.digests import check_digest
from aletheia_like.ports.blobs import BlobStore, Progress, StoredBlob

T = TypeVar("T")

_READ_ONLY = frozenset({"http", "https"})
_ONE_ATTEMPT = {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 0}}
_DEFAULTS: Mapping[str, dict[str, Any]] = {
    scheme: {"config_kwargs": _ONE_ATTEMPT} for scheme in ("s3", "s3a")
}
_MOMENTS = ("LastModified", "last_modified", "updated", "mtime", "created")
_ABSENT = frozenset({404, 410})
_REFUSED = frozenset({401, 403})
_REFUSED_CODES = frozenset({"InvalidToken", "TokenRefreshRequired", "CredentialsNotSupported"})
_WITHOUT_FOLDERS = frozenset({"s3", "s3a"})
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

    def exists(self, digest: str) -> bool:
        path = self._path(digest)
        try:
            # `exists` of fsspec takes any failure for an answer.
            self._call(lambda: self._fresh().info(path))
        except FileNotFoundError:
            return False
        return True

    def upload(self, digest: str, path: Path, progress: Progress | None = None) -> bool:
        target = self._path(digest)
        self._check_writable()
        check_file(path)
        if self.exists(digest):
            return False
        with translated(path):
            source = io.BufferedReader(HashingReader(path, digest, progress), CHUNK_BYTES)
        with source:
            self._call(lambda: self._put(source, target))
        return True

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        what = self._path(digest)
        with (
            self._stream(digest) as stream,
            resumable_sink(path, digest, what, progress) as sink,
        ):
            self._call(lambda: self._receive(stream, sink))

    def open(self, digest: str) -> BinaryIO:
        return verifying(self._stream(digest), digest, self._path(digest), self._call)

    def delete(self, digest: str) -> None:
        path = self._path(digest)
        self._check_writable()
        with contextlib.suppress(FileNotFoundError):
            if self.exists(digest):
                self._call(lambda: self._systems.get().rm_file(path))

    def digests(self) -> Iterator[str]:
        found = self._call(lambda: self._fresh().find(self._root()))
        yield from only_digests(path.rpartition("/")[2] for path in found)

    def stored(self) -> Iterator[StoredBlob]:
        found = self._call(lambda: self._fresh().find(self._root(), detail=True))
        for path, details in found.items():
            for digest in only_digests([path.rpartition("/")[2]]):
                yield StoredBlob(digest, int(details.get("size") or 0), _moment(details))

    def close(self) -> None:
        self._systems.take()

    def _put(self, source: IO[bytes], target: str) -> None:
        """Send a file; what breaks off, or is found to be wrong, never gets the name."""
        system = self._systems.get()
        if self._scheme == "memory":
            system.pipe_file(target, source.read())
            return
        if self._scheme not in _WITHOUT_FOLDERS:
            # There it would make the bucket, should that be gone.
            system.makedirs(target.rpartition("/")[0], exist_ok=True)
        sink = system.open(target, "wb", autocommit=False)
        with contextlib.suppress(ValueError):
            # This one is completed here; the file system would keep it for ever.
            system.transaction.files.remove(sink)
        try:
            with sink:
                shutil.copyfileobj(source, sink, CHUNK_BYTES)
        except BaseException:
            sink.discard()
            raise
        sink.commit()

    def _receive(self, stream: Any, sink: VerifiedSink) -> None:
        """Copy a blob into a sink, from the sink's size on where that can be asked for."""
        if sink.size:
            if stream.seekable() and sink.size <= stream.seek(0, io.SEEK_END):
                stream.seek(sink.size)
            else:
                sink.restart()
        for chunk in chunks(stream):
            sink.write(chunk)

    def _stream(self, digest: str) -> Any:
        path = self._path(digest)

        def request() -> Any:
            system = self._fresh()
            if self._scheme == "memory":
                # All who open a file in memory share one position.
                return io.BytesIO(system.cat_file(path))
            return system.open(path, "rb", **self._reading())

        try:
            return self._call(request)
        except FileNotFoundError as error:
            message = f"there is no blob {digest} at {self._url}"
            raise NotFoundError(message) from error

    def _fresh(self) -> Any:
        """Return the file system without what it remembers of folders: others write there too."""
        system = self._systems.get()
        system.invalidate_cache()
        return system

    def _reading(self) -> dict[str, Any]:
        """Return how to open: web servers need not know ranges, so the whole is streamed."""
        return {"block_size": 0} if self._scheme in _READ_ONLY else {}

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
            options = _DEFAULTS.get(self._scheme, {}) | _limits(self._scheme) | self._options
            return system(**options, skip_instance_cache=self._scheme != "memory")
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
        except AletheiaError:
            raise
        except FileNotFoundError as error:
            self._check_absent(error)
            raise
        except Exception as error:
            is_client = type(error).__module__.partition(".")[0] in ("aiohttp", "botocore")
            if _is_refused(error):
                message = f"{self._url}: the credentials do not allow this: {error}"
                raise AccessDeniedError(message) from error
            if is_client or isinstance(error, OSError | TimeoutError):
                message = f"{self._url} cannot be reached: {error}"
                raise UnavailableError(message) from error
            raise

    def _check_absent(self, error: FileNotFoundError) -> None:
        """Make sure that there is nothing; fsspec says so of whatever a web server answers."""
        cause = error.__cause__
        if _code(error) == "NoSuchBucket":
            message = f"there is no bucket for {self._url}: make it, or name another place"
            raise SettingsError(message) from error
        if self._scheme not in _READ_ONLY or cause is None:
            return
        status = getattr(cause, "status", None)
        if status in _REFUSED:
            message = f"{self._url}: the credentials do not allow this: {cause}"
            raise AccessDeniedError(message) from error
        if status not in _ABSENT:
            message = f"{self._url} cannot be reached: {cause}"
            raise UnavailableError(message) from error


def _is_refused(error: Exception) -> bool:
    """Whether a server, or the file system itself, refuses whoever asks."""
    return (
        isinstance(error, PermissionError)
        or getattr(error, "status", None) in _REFUSED
        or _code(error) in _REFUSED_CODES
        or type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError")
    )


def _code(error: Exception) -> str | None:
    """Return what S3 calls what went wrong."""
    response = getattr(error.__cause__, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None


def _limits(scheme: str) -> dict[str, Any]:
    """Return how long the web is waited for: by default a transfer may take five minutes."""
    if scheme not in _READ_ONLY:
        return {}
    import aiohttp

    limits = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    return {"client_kwargs": {"timeout": limits}}


def _moment(details: Mapping[str, Any]) -> dt.datetime | None:
    """Return when a file was written, as far as its file system tells."""
    found = next((details[one] for one in _MOMENTS if details.get(one)), None)
    if isinstance(found, int | float):
        return dt.datetime.fromtimestamp(found, dt.UTC)
    if isinstance(found, dt.datetime):
        return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
    return None


if TYPE_CHECKING:
    _: type[BlobStore] = FsspecBlobStore
