"""Many small objects of Cloud Storage: asked for ahead, on some connections, and taken in turn.

A thread for each request would cost more than the request does, because all of them take turns at
every call of the system.

A fork does not wait for these requests. A child has other connections, and gives these up.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from aletheia_like.adapters._gcsdirect import DirectRequests, Line
from aletheia_like.adapters._verified import write_whole
from aletheia_like.errors import UnavailableError
from aletheia_like.ports.blobs import SMALL_BYTES, Progress

_AHEAD = 8
_OK = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """A blob that is on its way.

    Attributes:
        digest: Its sha-256.
        path: Where it goes.
        what: The blob, for errors.
        target: What is asked for.
    """

    digest: str
    path: str
    what: str
    target: str


def fetch_ahead(
    direct: DirectRequests,
    client: Any,
    wanted: Iterable[Wanted],
    is_changed: Callable[[Any, bytes], bool],
    progress: Progress | None,
) -> Iterator[tuple[str, int]]:
    """Yield digest and size of each blob that is in its place; end when anything is wrong.

    Args:
        direct: Makes the requests.
        client: Of `google.cloud.storage`.
        wanted: Blobs.
        is_changed: Whether bytes do not have the checksum of an answer's headers.
        progress: Told of each blob.
    """
    flying: deque[tuple[Line, Wanted]] = deque()
    waiting, process = iter(wanted), os.getpid()
    try:
        for one in islice(waiting, _AHEAD):
            line = direct.line(client)
            if line is None:
                return
            flying.append((line, one))
            line.ask(one.target)
        while flying and os.getpid() == process:
            line, one = flying[0]
            data = _heard(line, is_changed)
            flying.popleft()
            following = next(waiting, None)
            if following is None:
                line.keep()
            else:
                flying.append((line, following))
                line.ask(following.target)
            write_whole(one.path, data, one.digest, one.what, progress)
            yield one.digest, len(data)
    except Exception:  # noqa: BLE001 - who asks for this blob by itself is told what is wrong
        return
    finally:
        for line, _ in flying:
            line.drop()


def _heard(line: Line, is_changed: Callable[[Any, bytes], bool]) -> bytes:
    """Return the body of an answer, if it is whole, right and small."""
    heard = line.hear()
    length = heard.headers.get("content-length", "")
    if heard.status == _OK and not heard.is_last and length.isdecimal():
        size = int(length)
        data = heard.body.read(size) if size <= SMALL_BYTES else b""
        if len(data) == size and heard.body.isclosed() and not is_changed(heard.headers, data):
            return data
    message = "this object does not come by the short way"
    raise UnavailableError(message)
