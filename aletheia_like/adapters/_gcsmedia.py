"""Bytes to and from Cloud Storage by its JSON interface: bounded memory, ranges, sessions.

Small objects go and come in one request. Of large ones a few parts are in memory, however many
threads ask: a download has its parts fetched side by side and in order, and goes on where an
earlier one broke off; so does an upload, by the session that the server keeps.
"""

from __future__ import annotations

import io
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aletheia_like.adapters._answers import Answer
from aletheia_like.adapters._gcschecksums import Checksum, crc32c, is_changed
from aletheia_like.adapters._gcsdirect import DirectRequests, base_url
from aletheia_like.adapters._gcsmany import Wanted, fetch_ahead
from aletheia_like.adapters._partials import in_order
from aletheia_like.adapters._verified import CHUNK_BYTES, HashingReader, VerifiedSink, chunks
from aletheia_like.errors import AletheiaError, IntegrityError, UnavailableError
from aletheia_like.ports.blobs import SMALL_BYTES, Progress

PART_BYTES = 8 << 20
_SENT_BYTES = 64 << 20
"""A server has a part when it has all of it; some copy what they have for each part."""

_LEAST_SENT_BYTES = 1 << 20

_WORKERS = 3
_DOWNLOADS_AT_ONCE = 1
"""Beyond its first part: one more part than there are workers is in memory, 32 MiB."""

_UPLOADS_AT_ONCE = 4
RESUMABLE_BYTES = 8 << 20
"""A larger file is sent in parts; each costs a round trip."""

_MOST_SESSIONS = 64
_OK, _CREATED, _PARTIAL, _RESUME, _RANGE = 200, 201, 206, 308, 416
_PLAIN = re.compile("[0-9A-Za-z/_.-]*")
"""Names of which only the slashes are quoted."""

_GONE = frozenset({404, 410})


class GcsMedia:
    """Moves the bytes of one bucket's objects; see the module's docstring.

    Args:
        bucket: Its name.
        timeout: Seconds to connect, and between two packets.
        refuse: Raises the error that an answer means.
    """

    def __init__(
        self, bucket: str, timeout: tuple[float, float], refuse: Callable[[Any], None]
    ) -> None:
        self._bucket = quote(bucket, safe="")
        self._timeout = timeout
        self._refuse = refuse
        self._direct = DirectRequests(timeout)
        self._sessions: dict[str, _Session] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Forget what threads of the parent held."""
        self._direct.after_fork()
        self._downloads = threading.BoundedSemaphore(_DOWNLOADS_AT_ONCE)
        self._uploads = threading.BoundedSemaphore(_UPLOADS_AT_ONCE)

    def begin(self, client: Any, name: str) -> bytes | Answer:
        """Return an object if it is small, else an answer with its first part.

        Raises:
            UnavailableError: The transfer broke off, or bytes were changed on their way.
        """
        response: Answer = self._get(client, name, 0, PART_BYTES)
        if not response.ok and response.status_code != _RANGE:
            self._refuse(response)
        size = _size(response)
        if size is None or size > SMALL_BYTES:
            return response
        with response, _broken():
            data = response.body.read(size)
        if len(data) != size:
            raise _cut(name, len(data), size)
        if is_changed(response.headers, data):
            raise _changed(name)
        return data

    def begin_many(
        self, client: Any, wanted: Iterable[tuple[str, str, str]], progress: Progress | None
    ) -> Iterator[tuple[str, int]]:
        """Yield digest and size of small objects that were fetched, until anything is wrong.

        Args:
            client: Of `google.cloud.storage`.
            wanted: Digest, name and path of each.
            progress: Told of each.
        """
        blobs = (Wanted(digest, path, name, self._target(name)) for digest, name, path in wanted)
        return fetch_ahead(self._direct, client, blobs, is_changed, progress)

    def receive(
        self, client: Any, name: str, sink: VerifiedSink, begun: Answer | None = None
    ) -> None:
        """Write an object to a sink, from the sink's size on.

        Args:
            client: Of `google.cloud.storage`.
            name: Of the object.
            sink: Where to write it.
            begun: What `begin` answered.

        Raises:
            UnavailableError: The transfer broke off, or bytes were changed on their way.
        """
        if begun is None or sink.size:
            begun = self._get(client, name, sink.size, sink.size + PART_BYTES)
        total = self._first(name, sink, begun)
        if sink.size < total:
            with self._downloads:
                for part in in_order(
                    lambda start, view: self._part(client, name, start, view),
                    sink.size,
                    total,
                    PART_BYTES,
                    _WORKERS,
                ):
                    sink.write(part)
        if sink.size != total:
            raise _cut(name, sink.size, total)

    def send(
        self, client: Any, name: str, digest: str, path: Path, progress: Progress | None
    ) -> None:
        """Create an object from a file that has the digest."""
        reader = HashingReader(path, digest, progress)
        with reader:
            if reader.size <= SMALL_BYTES:
                self._send_small(client, name, reader)
                return
            with self._uploads:
                if reader.size <= RESUMABLE_BYTES:
                    self._send_small(client, name, reader)
                else:
                    self._send_large(client, name, path, reader)

    def _first(self, name: str, sink: VerifiedSink, answer: Any) -> int:
        """Write the next part of an object; return its size."""
        start = sink.size
        with answer as response:
            if response.status_code == _RANGE:
                # There is nothing behind what is here: it is whole, empty, or of something else.
                total = _total(response.headers)
                if total is None or total != start:
                    sink.restart()
                return start if total == start else _empty(total, name)
            self._check(response)
            if response.status_code != _PARTIAL:
                sink.restart()
            checksum = Checksum(response.headers) if not sink.size else None
            self._write(response, sink, checksum)
            total = _size(response)
            if total is None:
                total = sink.size
        if checksum is not None and sink.size == total and checksum.is_wrong:
            sink.restart()
            raise _changed(name)
        return total

    def _write(self, response: Any, sink: VerifiedSink, checksum: Checksum | None) -> None:
        for chunk in _chunks(response):
            if checksum is not None:
                checksum.add(chunk)
            sink.write(chunk)

    def _part(self, client: Any, name: str, start: int, view: memoryview) -> None:
        with self._get(client, name, start, start + len(view)) as response:
            self._check(response)
            count = _read_into(response, view) if response.status_code == _PARTIAL else 0
        if count != len(view):
            raise _cut(name, count, len(view))

    def _get(self, client: Any, name: str, start: int, end: int) -> Any:
        return self._direct.request(
            client,
            "GET",
            self._target(name),
            {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"},
        )

    def _target(self, name: str) -> str:
        return f"/download/storage/v1/b/{self._bucket}/o/{_quoted(name)}?alt=media"

    def _send_small(self, client: Any, name: str, reader: HashingReader) -> None:
        data = b"".join(chunks(io.BufferedReader(reader, CHUNK_BYTES)))
        mark = f"=={secrets.token_hex(12)}=="
        checksum = crc32c([data])
        told = json.dumps({"name": name, "crc32c": checksum})
        head = (
            f"--{mark}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{told}\r\n"
            f"--{mark}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        body = b"".join((head.encode(), data, f"\r\n--{mark}--\r\n".encode()))
        kind = f'multipart/related; boundary="{mark}"'
        with self._direct.request(
            client,
            "POST",
            f"/upload/storage/v1/b/{self._bucket}/o?uploadType=multipart&ifGenerationMatch=0",
            {"Content-Type": kind, "Accept-Encoding": "identity"},
            body,
        ) as response:
            self._check(response)
            stored = json.loads(b"".join(_chunks(response)))
        self._check_stored(client, stored, name, len(data), checksum)

    def _send_large(self, client: Any, name: str, path: Path, reader: HashingReader) -> None:
        with path.open("rb", buffering=0) as stream:
            checksum = crc32c(chunks(stream))
        session = self._sessions.get(name) or self._begun(client, name, checksum)
        reached, size = session.reached, session.part_bytes
        _skip(reader, reached)
        while reached < reader.size:
            # Should this part break off, the next attempt begins there, and with a smaller one.
            # Where only the answer was lost the server skips what it has.
            smaller = max(_LEAST_SENT_BYTES, size // 2)
            self._sessions[name] = _Session(session.url, reached, smaller)
            part = _Part(reader, reached, min(size, reader.size - reached))
            response = self._put(client, session.url, part, reader.size)
            if response.status_code in (_OK, _CREATED):
                self._sessions.pop(name, None)
                self._check_stored(client, response.json(), name, reader.size, checksum)
                return
            reached = self._advance(response, name, reached, len(part), reader)
            size = min(_SENT_BYTES, size * 2)

    def _advance(
        self, response: Any, name: str, reached: int, size: int, reader: HashingReader
    ) -> int:
        """Return how far the server has come, and read on from there."""
        if response.status_code in _GONE:
            self._sessions.pop(name, None)
            message = f"{name}: the server has forgotten the upload: it begins anew"
            raise UnavailableError(message)
        if response.status_code != _RESUME:
            self._check(response)
        end = _reached(response.headers)
        if not reached < end <= reached + size:
            self._sessions.pop(name, None)
            message = f"{name}: the upload lost its place, {end} after {reached}: it begins anew"
            raise UnavailableError(message)
        reader.seek(end)
        return end

    def _begun(self, client: Any, name: str, checksum: str) -> _Session:
        told = json.dumps({"name": name, "crc32c": checksum}).encode()
        headers = {
            "Content-Type": "application/json; charset=UTF-8",
            "X-Upload-Content-Type": "application/octet-stream",
        }
        response = client._http.request(  # noqa: SLF001 - the client offers no other way
            "POST",
            f"{base_url(client)}/upload/storage/v1/b/{self._bucket}/o",
            params={"uploadType": "resumable", "ifGenerationMatch": "0", "name": name},
            data=told,
            headers=headers,
            timeout=self._timeout,
        )
        self._check(response)
        if len(self._sessions) >= _MOST_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)), None)
        return _Session(str(response.headers["Location"]), 0, _SENT_BYTES)

    def _put(self, client: Any, url: str, part: _Part, total: int) -> Any:
        extent = f"bytes {part.start}-{part.start + len(part) - 1}/{total}"
        return client._http.request(  # noqa: SLF001
            "PUT",
            url,
            data=part,
            headers={"Content-Range": extent},
            timeout=self._timeout,
            allow_redirects=False,
        )

    def _check_stored(
        self, client: Any, told: Mapping[str, Any], name: str, size: int, checksum: str
    ) -> None:
        """Compare what a server says that it stored with what was meant; take back what is wrong.

        Raises:
            UnavailableError: Bytes were changed on their way: send them again.
            IntegrityError: They were, and what is stored cannot be taken back.
        """
        if (int(told.get("size", size)), told.get("crc32c", checksum)) == (size, checksum):
            return
        response = client._http.request(  # noqa: SLF001
            "DELETE",
            f"{base_url(client)}/storage/v1/b/{self._bucket}/o/{quote(name, safe='')}",
            params={"ifGenerationMatch": str(told.get("generation", ""))},
            timeout=self._timeout,
        )
        if not response.ok:
            message = f"the server stored other bytes as {name} than were sent: delete it"
            raise IntegrityError(message)
        raise _changed(name)

    def _check(self, response: Any) -> None:
        if not response.ok:
            self._refuse(response)


@dataclass(frozen=True, slots=True)
class _Session:
    """An upload that the server keeps.

    Attributes:
        url: Where its bytes are sent.
        reached: How many the server has.
        part_bytes: How many to send next.
    """

    url: str
    reached: int
    part_bytes: int


class _Part:
    """Some bytes of a file that are read, hashed and sent piece by piece.

    The last bytes of the file are read, and with them the whole is verified, before they are sent.

    Args:
        reader: The file.
        start: Where the part begins.
        size: How many bytes it has.
    """

    def __init__(self, reader: HashingReader, start: int, size: int) -> None:
        self.start = start
        self._reader = reader
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytearray]:
        self._reader.seek(self.start)
        left = self._size
        while left:
            piece = _read(self._reader, min(CHUNK_BYTES, left))
            yield piece
            left -= len(piece)


def _chunks(response: Any) -> Iterator[bytes]:
    """Yield a body, straight from the connection."""
    with _broken():
        while chunk := response.body.read(CHUNK_BYTES):
            yield chunk


def _read_into(response: Any, view: memoryview) -> int:
    """Fill a buffer with a body, straight from the connection; return how many bytes came."""
    count = 0
    with _broken():
        while count < len(view) and (more := response.body.readinto(view[count:])):
            count += more
    return count


@contextmanager
def _broken() -> Iterator[None]:
    """Tell in our words that a connection broke off."""
    try:
        yield
    except AletheiaError:
        raise
    except (OSError, HTTPException) as error:
        message = f"the transfer broke off: {error or type(error).__name__}"
        raise UnavailableError(message) from error


def _quoted(name: str) -> str:
    return name.replace("/", "%2F") if _PLAIN.fullmatch(name) else quote(name, safe="")


def _cut(name: str, count: int, size: int) -> UnavailableError:
    return UnavailableError(f"{name}: {count} of {size} bytes came: the transfer broke off")


def _changed(name: str) -> UnavailableError:
    return UnavailableError(f"{name}: bytes were changed on their way")


def _total(headers: Mapping[str, str]) -> int | None:
    total = headers.get("content-range", "").rpartition("/")[2]
    return int(total) if total.isdecimal() else None


def _size(response: Any) -> int | None:
    """Return how many bytes an object has, of which an answer brings all or the beginning."""
    if response.status_code == _PARTIAL:
        return _total(response.headers)
    length = response.headers.get("content-length", "")
    return int(length) if length.isdecimal() and response.ok else None


def _reached(headers: Mapping[str, str]) -> int:
    """Return how many bytes a session holds."""
    end = headers.get("Range", "").rpartition("-")[2]
    return int(end) + 1 if end.isdecimal() else 0


def _empty(total: int | None, name: str) -> int:
    if total:
        message = f"{name}: its size has changed: download it again"
        raise UnavailableError(message)
    return 0


def _read(reader: HashingReader, size: int) -> bytearray:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        count = reader.readinto(view[at:])
        if not count:
            message = "the file became shorter while it was stored: wait until it is complete"
            raise IntegrityError(message)
        at += count
    return data


def _skip(reader: HashingReader, count: int) -> None:
    """Read over what the server has, so that it is hashed."""
    while count > 0:
        count -= len(_read(reader, min(CHUNK_BYTES, count)))
