"""Requests to Cloud Storage past the package `requests`, which costs more than a small object.

Connections, certificates and credentials stay those of Google's client. Where a proxy or a client
certificate is in use, and for whatever else is unusual, its own session makes the request.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from aletheia_like.adapters._answers import Answer, Heard, hear, send

_FINE = frozenset({200, 201, 206})
_REFUSED = 401
_ERRORS = 400


class DirectRequests:
    """Makes requests by the connections of a client's session.

    Args:
        timeout: Seconds to connect, and between two packets.
    """

    def __init__(self, timeout: tuple[float, float]) -> None:
        self._timeout = timeout
        self.after_fork()

    def after_fork(self) -> None:
        """Forget what threads of the parent held."""
        self._lock = threading.Lock()
        self._known: _Way | None = None

    def request(
        self,
        client: Any,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Any:
        """Return the answer, or an error as `requests` shows it.

        Args:
            client: Of `google.cloud.storage`.
            method: Such as `GET`.
            target: Path and query, quoted.
            headers: Without those that say who asks.
            body: What is sent.
        """
        way = self._way_to(client)
        session, url = client._http, way.base + target  # noqa: SLF001 - it offers no other way
        if way.pool is None:
            return self._by_session(session, method, url, headers, body)
        told = dict(headers)
        session.credentials.before_request(session._auth_request, method, url, told)  # noqa: SLF001
        connection = way.pool._get_conn()  # noqa: SLF001 - urllib3's own requests cost too much
        try:
            send(connection, way.head(method, target, told, body), body, self._timeout)
            heard = hear(connection, method)
            if heard.status in _FINE:
                return _answer(way, connection, heard)
            # Who refuses may end the connection a moment later than the next request is sent by
            # it, so it does not go back to the others.
            content = heard.body.read() if heard.status >= _ERRORS else b""
        except (OSError, HTTPException) as error:
            connection.close()
            raise _broken(error) from error
        except BaseException:
            connection.close()
            raise
        connection.close()
        if heard.status == _REFUSED:
            session.credentials.refresh(session._auth_request)  # noqa: SLF001
        if heard.status == _REFUSED or heard.status < _ERRORS:
            return self._by_session(session, method, url, headers, body)
        return _refusal(method, url, heard, content)

    def line(self, client: Any) -> Line | None:
        """Return a connection of its own; None where a session must be asked."""
        way = self._way_to(client)
        return None if way.pool is None else Line(way, self._timeout)

    def _by_session(
        self, session: Any, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Any:
        response = session.request(
            method, url, data=body, headers=dict(headers), stream=True, timeout=self._timeout
        )
        if not response.ok:
            return response
        raw = response.raw
        # Straight from the connection: what urllib3 offers itself copies each byte twice more.
        return Answer(response.status_code, response.headers, raw._fp, raw.release_conn, raw.close)  # noqa: SLF001

    def _way_to(self, client: Any) -> _Way:
        known = self._known
        if known is None or known.client is not client:
            with self._lock:
                self._known = known = _way_to(client)
        return known


@dataclass(frozen=True, slots=True)
class _Way:
    """How the server of a client is reached.

    Attributes:
        client: Of `google.cloud.storage`.
        pool: Its connections; None if its session must be asked.
        base: Where it finds the server.
        host: As the header says it.
        path: What precedes every target.
    """

    client: Any
    pool: Any
    base: str
    host: str
    path: str

    def head(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        """Return a request without its body."""
        lines = [f"{method} {self.path}{target} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join((*lines, "", "")).encode("latin-1")


class Line:
    """A connection on which one asks first, and hears the answer later.

    Args:
        way: To the server.
        timeout: Seconds to connect, and between two packets.
    """

    def __init__(self, way: _Way, timeout: tuple[float, float]) -> None:
        self._way = way
        self._timeout = timeout
        self._connection = way.pool._get_conn()  # noqa: SLF001

    def ask(self, target: str) -> None:
        """Ask for something; whoever asks hears the answer, all of it, before asking again."""
        session, headers = self._way.client._http, {"Accept-Encoding": "identity"}  # noqa: SLF001
        url = self._way.base + target
        session.credentials.before_request(session._auth_request, "GET", url, headers)  # noqa: SLF001
        head = self._way.head("GET", target, headers, None)
        send(self._connection, head, None, self._timeout)

    def hear(self) -> Heard:
        """Return the answer."""
        return hear(self._connection, "GET")

    def keep(self) -> None:
        """Let others have the connection: the answer was read."""
        self._way.pool._put_conn(self._connection)  # noqa: SLF001

    def drop(self) -> None:
        """End the connection."""
        self._connection.close()


def base_url(client: Any) -> str:
    """Return where a client finds the server."""
    return str(client._connection.API_BASE_URL)  # noqa: SLF001


def _way_to(client: Any) -> _Way:
    base = base_url(client)
    parts = urlsplit(base)
    return _Way(client, _pool_of(client), base, parts.netloc, parts.path.rstrip("/"))


def _pool_of(client: Any) -> Any:
    """Return the connections that a client's session would use; None if it must be asked."""
    import requests

    session, url = client._http, base_url(client)  # noqa: SLF001
    told = session.merge_environment_settings(url, {}, True, None, None)
    adapter = session.get_adapter(url)
    if getattr(session, "is_mtls", False) or told["cert"] or any(told["proxies"].values()):
        return None
    if not hasattr(adapter, "get_connection_with_tls_context"):
        return None
    prepared = requests.Request("GET", url).prepare()
    pool = adapter.get_connection_with_tls_context(prepared, told["verify"], told["proxies"])
    return pool if hasattr(pool, "_get_conn") and hasattr(pool, "_put_conn") else None


def _answer(way: _Way, connection: Any, heard: Heard) -> Answer:
    def keep() -> None:
        if heard.is_last:
            connection.close()
        way.pool._put_conn(connection)  # noqa: SLF001

    return Answer(heard.status, heard.headers, heard.body, keep, connection.close)


def _broken(error: Exception) -> Exception:
    """Return the error of urllib3 for a connection that broke off."""
    from urllib3.exceptions import HTTPError, ProtocolError

    if isinstance(error, HTTPError):
        return error
    return ProtocolError(f"{error or type(error).__name__}")


def _refusal(method: str, url: str, heard: Heard, content: bytes) -> Any:
    """Return an error as `requests` shows it, which is what Google's client understands."""
    import requests

    response = requests.Response()
    response.status_code = heard.status
    response.headers.update(heard.headers)
    response.raw, response.url, response.encoding = io.BytesIO(content), url, "utf-8"
    response.request = requests.Request(method, url).prepare()
    return response
