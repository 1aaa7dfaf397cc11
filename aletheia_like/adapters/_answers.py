"""A request and its answer on a connection of urllib3's, for a third of what `http.client` costs.

The head of a plain answer is read here: 200 or 206, in one piece, with the length of its body.
Every other answer is left to `http.client`, which finds the very same bytes: there is one request.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from http.client import HTTPResponse
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 64 << 10
_PLAIN = (b"HTTP/1.1 200 ", b"HTTP/1.1 206 ")
_END = b"\r\n\r\n"
_FIELD = re.compile(
    rb"\r\n(connection|content-length|content-range|transfer-encoding|x-goog-hash)"
    rb":[ \t]*([^\r\n]*)",
    re.IGNORECASE,
)
"""What is read of the head of a plain answer."""

_FOLDED = re.compile(rb"\n[ \t]")
"""A line that goes on with the one before it."""

_JOINED_BYTES = 1 << 20


class Heard(NamedTuple):
    """What a server said.

    Attributes:
        status: Of HTTP.
        headers: By their names in small letters; of a plain answer those that are asked for here.
        body: To be read.
        is_last: Whether the connection ends with it.
    """

    status: int
    headers: Mapping[str, str]
    body: Body
    is_last: bool


class Body(Protocol):
    """What an answer brings; `http.client` has it, too."""

    def read(self, size: int = -1, /) -> bytes:
        """Return so many bytes, all without a number; fewer at the end."""
        ...

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill a buffer; return how many bytes came."""
        ...

    def isclosed(self) -> bool:
        """Whether everything was read."""
        ...


class Answer:
    """An answer without error, whose body is still to be read.

    Args:
        status: Of HTTP.
        headers: By their names in small letters, or whatever their case.
        body: To be read.
        keep: Called at the end, if everything was read.
        drop: Called at the end, if something was not.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        body: Body,
        keep: Callable[[], object],
        drop: Callable[[], object],
    ) -> None:
        self.status_code = status
        self.headers = headers
        self.body = body
        self.ok = True
        self._keep = keep
        self._drop = drop

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Once only: after that the connection is somebody else's.
        end = self._keep if self.body.isclosed() else self._drop
        self._keep = self._drop = lambda: None
        end()


def send(connection: Any, head: bytes, body: bytes | None, timeout: tuple[float, float]) -> None:
    """Send a request.

    Args:
        connection: Of urllib3's; connected if it is not.
        head: Of the request, whole.
        body: What is sent after it.
        timeout: Seconds to connect, and between two packets.

    Raises:
        OSError: The connection broke off.
    """
    socket = _connected(connection, timeout)
    # Who answers before it has taken everything in may say why.
    with contextlib.suppress(BrokenPipeError):
        if body is None or len(body) < _JOINED_BYTES:
            socket.sendall(head + body if body else head)
        else:
            socket.sendall(head)
            socket.sendall(body)


def hear(connection: Any, method: str) -> Heard:
    """Return what the server says to what was sent, with a body that is still to be read.

    Args:
        connection: Of urllib3's.
        method: Of the request, such as `GET`.

    Raises:
        OSError: The connection broke off.
        HTTPException: What came is no answer.
    """
    stream = connection.sock.makefile("rb", _BUFFER_BYTES)
    plain = _plain(stream)
    if plain is not None:
        return plain
    response = HTTPResponse(_Again(stream), method=method)  # type: ignore[arg-type]
    response.begin()
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        _add(headers, name.lower(), value.strip())
    return Heard(response.status, headers, response, response.will_close)


def _connected(connection: Any, timeout: tuple[float, float]) -> Any:
    if connection.sock is None:
        connection.timeout = timeout[0]
        connection.connect()
        socket: Any = connection.sock
        socket.settimeout(timeout[1])
    return connection.sock


def _plain(stream: IO[bytes]) -> Heard | None:
    """Return a plain answer; None, and nothing is read, if it is any other."""
    start = stream.peek(_BUFFER_BYTES)  # type: ignore[attr-defined]
    end = start.find(_END)
    if end < 0 or not start.startswith(_PLAIN):
        return None
    headers: dict[str, str] = {}
    for name, value in _FIELD.findall(start, 0, end):
        _add(headers, name.decode().lower(), value.decode("latin-1").rstrip())
    length = headers.get("content-length", "")
    if not length.isdecimal() or "transfer-encoding" in headers or _FOLDED.search(start, 0, end):
        return None
    stream.read(end + len(_END))
    closes = headers.get("connection", "keep-alive").lower() != "keep-alive"
    return Heard(int(start[9:12]), headers, _Known(stream, int(length)), closes)


def _add(headers: dict[str, str], name: str, value: str) -> None:
    headers[name] = f"{headers[name]}, {value}" if name in headers else value


class _Known:
    """A body of known length.

    Args:
        stream: Where it comes from.
        size: Its bytes.
    """

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")[: self._left]
        count: int = self._stream.readinto(view)  # type: ignore[attr-defined]
        self._left -= count
        return count

    def isclosed(self) -> bool:
        return not self._left


class _Again:
    """Gives `http.client` a stream of which nothing was taken yet."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def makefile(self, _: str) -> IO[bytes]:
        """Return the stream."""
        return self._stream
