"""Blobs in Google Cloud Storage, `{prefix}/blobs/{digest[:2]}/{digest}`; alone knows its client.

An upload creates or does nothing, checked by crc32c on the wire and hashed while it is sent. Bytes
go past the client's own transfers, which keep up to 100 MiB in memory, begin anew when they break
off, and whose repetitions hide for how long a call will block.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

from aletheia_like.adapters._clients import ForkGate, PerProcess
from aletheia_like.adapters._gcschecksums import crc32c
from aletheia_like.adapters._gcsmedia import RESUMABLE_BYTES, GcsMedia
from aletheia_like.adapters._partials import is_begun, resumable_sink
from aletheia_like.adapters._verified import (
    check_file,
    chunks,
    only_digests,
    translated,
    verifying,
    write_whole,
)
from aletheia_like.errors import (
    AccessDeniedError,
    AletheiaError,
    IntegrityError,
    MissingExtraError,
    NotFoundError,
    SettingsError,
    UnavailableError,
)
from aletheia_like.forking import watch_forks
from aletheia_like.model.digests import check_digest
from aletheia_like.ports.blobs import BlobStore, GivesMany, Progress, StoredBlob

T = TypeVar("T")

_POOL = 32
_READ_BYTES = 8 << 20


class GcsBlobStore:
    """Blobs in one bucket, or in an emulator's.

    Args:
        bucket: Its name.
        prefix: Put before every object's name.
        project: The Google Cloud project that pays; the credentials' own by default.
        timeout: Seconds to connect, and between two packets.
    """

    def __init__(
        self, bucket: str, prefix: str = "", *, project: str | None = None, timeout: float = 5.0
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/blobs/" if prefix.strip("/") else "blobs/"
        self._project = project
        self._timeout = (timeout, timeout * 6)
        self._gate = ForkGate()
        self._clients: PerProcess[Any] = PerProcess(self._build)
        self._media = GcsMedia(bucket, self._timeout, _refuse)
        watch_forks(None, None, self._media.after_fork)

    def exists(self, digest: str) -> bool:
        name = self._name(digest)
        return bool(self._call(lambda: self._at(name).exists(retry=None, timeout=self._timeout)))

    def upload(self, digest: str, path: Path, progress: Progress | None = None) -> bool:
        name = self._name(digest)
        check_file(path)
        # Some emulators ignore the precondition of a resumable upload; looking first costs little
        # beside what it may save.
        if path.stat().st_size > RESUMABLE_BYTES and self._call(lambda: self._has(name, path)):
            return False
        return self._call(lambda: self._upload(name, digest, path, progress))

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        name = self._name(digest)
        self._call(lambda: self._download(name, digest, path, progress))

    def download_many(
        self, wanted: Iterable[tuple[str, str]], progress: Progress | None = None
    ) -> Iterator[tuple[str, int]]:
        named = ((digest, self._name(digest), path) for digest, path in wanted)
        yield from self._media.begin_many(self._call(self._clients.get), named, progress)

    def open(self, digest: str) -> BinaryIO:
        what = f"gs://{self._bucket}/{self._name(digest)}"
        return verifying(self._stream(digest), digest, what, self._call)

    def delete(self, digest: str) -> None:
        from google.api_core.exceptions import NotFound

        name = self._name(digest)

        def request() -> None:
            try:
                self._at(name).delete(retry=None, timeout=self._timeout)
            except NotFound as error:
                if "bucket" in str(error).lower() and name not in str(error):
                    raise

        self._call(request)

    def digests(self) -> Iterator[str]:
        listed = self._listed("name")
        yield from only_digests(str(one.name).rpartition("/")[2] for one in listed)

    def stored(self) -> Iterator[StoredBlob]:
        for one in self._listed("name,size,timeCreated"):
            for digest in only_digests([str(one.name).rpartition("/")[2]]):
                yield StoredBlob(digest, int(one.size or 0), one.time_created)

    def _listed(self, fields: str) -> list[Any]:
        """Return every object, with no more than these fields."""

        def request() -> list[Any]:
            listed = self._clients.get().list_blobs(
                self._bucket,
                prefix=self._prefix,
                retry=None,
                timeout=self._timeout,
                fields=f"items({fields}),nextPageToken",
            )
            return list(listed)

        return self._call(request)

    def close(self) -> None:
        client = self._clients.take()
        if client is not None:
            client.close()

    def _name(self, digest: str) -> str:
        return f"{self._prefix}{check_digest(digest)[:2]}/{digest}"

    def _at(self, name: str) -> Any:
        return self._clients.get().bucket(self._bucket).blob(name)

    def _upload(self, name: str, digest: str, path: Path, progress: Progress | None) -> bool:
        from google.api_core.exceptions import PreconditionFailed

        with translated(path):
            path.open("rb").close()
        try:
            self._media.send(self._clients.get(), name, digest, path, progress)
        except PreconditionFailed:
            self._check_same(name, path)
            return False
        return True

    def _has(self, name: str, path: Path) -> bool:
        """Whether there is an object of that name; makes sure that it is this file."""
        from google.api_core.exceptions import NotFound

        try:
            self._check_same(name, path)
        except NotFound:
            return False
        return True

    def _check_same(self, name: str, path: Path) -> None:
        """Make sure that what is there already is the same content, by size and checksum."""
        blob = self._at(name)
        blob.reload(retry=None, timeout=self._timeout)
        if blob.size != path.stat().st_size or blob.crc32c != _crc32c(path):
            message = f"gs://{self._bucket}/{name} holds other bytes than its name says: delete it"
            raise IntegrityError(message)

    def _download(self, name: str, digest: str, path: Path, progress: Progress | None) -> None:
        what, client = f"gs://{self._bucket}/{name}", self._clients.get()
        begun = None
        with self._missing(digest):
            if not is_begun(path, digest):
                begun = self._media.begin(client, name)
            if isinstance(begun, bytes):
                write_whole(path, begun, digest, what, progress)
                return
            with (
                nullcontext() if begun is None else begun,
                resumable_sink(path, digest, what, progress) as sink,
            ):
                self._media.receive(client, name, sink, begun)

    @contextmanager
    def _missing(self, digest: str) -> Iterator[None]:
        """Tell a blob that is not there from a bucket that is not there."""
        from google.api_core.exceptions import NotFound

        try:
            yield
        except NotFound as error:
            if not self._has_bucket():
                raise
            message = f"there is no blob {digest} in gs://{self._bucket}"
            raise NotFoundError(message) from error

    def _stream(self, digest: str) -> Any:
        name = self._name(digest)

        def request() -> Any:
            blob = self._at(name)
            with self._missing(digest):
                blob.reload(retry=None, timeout=self._timeout)
            stream = blob.open(
                "rb", chunk_size=_READ_BYTES, retry=None, timeout=self._timeout, raw_download=True
            )
            return _UpToEnd(stream, int(blob.size or 0))

        return self._call(request)

    def _has_bucket(self) -> bool:
        bucket = self._clients.get().bucket(self._bucket)
        return bool(bucket.exists(retry=None, timeout=self._timeout))

    def _build(self) -> Any:
        try:
            from google.auth.exceptions import DefaultCredentialsError
            from google.cloud import storage
        except ImportError as error:
            message = "Cloud Storage needs a package: pip install google-cloud-storage"
            raise MissingExtraError(message) from error
        try:
            client = self._client(storage)
        except (DefaultCredentialsError, OSError, ValueError) as error:
            message = (
                f"no usable credentials for gs://{self._bucket}: set "
                "GOOGLE_APPLICATION_CREDENTIALS to a key file, or run `gcloud auth "
                "application-default login`, or set STORAGE_EMULATOR_HOST"
            )
            raise SettingsError(message) from error
        _widen_pool(client)
        _ask_once(client._http)  # noqa: SLF001
        return client

    def _client(self, storage: Any) -> Any:
        if os.environ.get("STORAGE_EMULATOR_HOST"):
            from google.auth.credentials import AnonymousCredentials

            return storage.Client(
                project=self._project or "demo-aletheia", credentials=AnonymousCredentials()
            )
        return storage.Client(project=self._project) if self._project else storage.Client()

    def _call(self, request: Callable[[], T]) -> T:
        """Make a request, with errors in our words."""
        with self._gate.request():
            try:
                return request()
            except AletheiaError:
                raise
            except Exception as error:
                raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        """Return our error for one of the client's, or the error itself if it is none of these."""
        import requests
        import urllib3
        from google.api_core import exceptions as api
        from google.auth.exceptions import GoogleAuthError, TransportError

        where = f"gs://{self._bucket}"
        told = str(getattr(error, "message", error)).partition("\n")[0][:300]
        match error:
            case api.NotFound():
                message = f"there is no bucket {where}: gcloud storage buckets create {where}"
                return SettingsError(message)
            case api.Forbidden() | api.Unauthorized():
                message = f"{where}: the credentials do not allow this: {told}"
                return AccessDeniedError(f"{message} (roles/storage.objectUser does)")
            case TransportError():
                return UnavailableError(f"{where} cannot be reached: {told}")
            case GoogleAuthError():
                return AccessDeniedError(f"{where}: the credentials are refused: {told}")
            case api.GoogleAPIError() | requests.RequestException() | ConnectionError():
                return UnavailableError(f"{where} cannot be reached: {told}")
            case (
                urllib3.exceptions.NewConnectionError() | urllib3.exceptions.ConnectTimeoutError()
            ):
                return UnavailableError(f"{where} cannot be reached: {told}")
            case _ if type(error).__module__.startswith(("google.", "urllib3")):
                return UnavailableError(f"{where}: a transfer broke off: {told}")
        return error


class _UpToEnd:
    """A stream that asks for nothing behind its end: a server may then end the connection.

    Args:
        stream: Of an object.
        size: Its bytes.
    """

    def __init__(self, stream: Any, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(min(size, self._left)) if self._left else b""
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._stream.close()


def _widen_pool(client: Any) -> None:
    """Let as many threads as we use talk at once without waiting for a connection."""
    from requests.adapters import HTTPAdapter

    adapter = HTTPAdapter(pool_connections=_POOL, pool_maxsize=_POOL)
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, adapter)  # noqa: SLF001 - the client offers no other way


def _ask_once(session: Any) -> None:
    """Ask the environment for proxies and certificates once for each host, not for each request.

    It is a quarter of what a request for a small object costs.
    """
    ask = session.merge_environment_settings
    known: dict[tuple[Any, ...], dict[str, Any]] = {}

    def remembered(url: str, proxies: Any, stream: Any, verify: Any, cert: Any) -> dict[str, Any]:
        if proxies:
            return dict(ask(url, proxies, stream, verify, cert))
        key = (urlsplit(url)[:2], stream, verify, cert)
        if key not in known:
            known[key] = ask(url, proxies, stream, verify, cert)
        return dict(known[key])

    session.merge_environment_settings = remembered


def _refuse(response: Any) -> None:
    from google.api_core.exceptions import from_http_response

    raise from_http_response(response)


def _crc32c(path: Path) -> str:
    with path.open("rb", buffering=0) as stream:
        return crc32c(chunks(stream))


if TYPE_CHECKING:
    _: type[BlobStore] = GcsBlobStore
    _many: type[GivesMany] = GcsBlobStore
