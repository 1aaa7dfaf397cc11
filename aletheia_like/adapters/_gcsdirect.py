"""Requests to Cloud Storage past the package `requests`, which costs more than a small object.

Connections, certificates and credentials stay those of Google's client. Where a proxy or a client
certificate is in use, and for whatever else is unusual, its own session makes the request.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

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
        self._known: tuple[Any, Any] = (None, None)

    def request(
        self,
        client: Any,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Any:
        """Return the answer, whose body is still to be read, as `requests` would show it.

        Args:
            client: Of `google.cloud.storage`.
            method: Such as `GET`.
            target: Path and query, quoted.
            headers: Without those that say who asks.
            body: What is sent.
        """
        session, url = client._http, base_url(client) + target  # noqa: SLF001 - it offers no other way
        pool = self._pool(client)
        if pool is None:
            return self._by_session(session, method, url, headers, body)
        told = dict(headers)
        session.credentials.before_request(session._auth_request, method, url, told)  # noqa: SLF001
        raw = self._send(pool, method, url, told, body)
        if raw.status == _REFUSED:
            raw.drain_conn()
            session.credentials.refresh(session._auth_request)  # noqa: SLF001
            return self._by_session(session, method, url, headers, body)
        if raw.status >= _ERRORS:
            if raw.connection is not None:
                # A server that refuses may end the connection, a moment later than the next
                # request might be sent by it.
                raw.connection.close()
            return _as_response(session, method, url, raw)
        return Answer(raw.status, raw.headers, raw)

    def _send(
        self, pool: Any, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Any:
        import urllib3

        parts = urlsplit(url)
        connect, read = self._timeout
        return pool.urlopen(
            method,
            f"{parts.path}?{parts.query}",
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(connect=connect, read=read),
        )

    def _by_session(
        self, session: Any, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Any:
        return session.request(
            method, url, data=body, headers=dict(headers), stream=True, timeout=self._timeout
        )

    def _pool(self, client: Any) -> Any:
        """Return the connections that a client's session would use; None if it must be asked."""
        with self._lock:
            known, pool = self._known
            if known is not client:
                pool = _pool_of(client)
                self._known = (client, pool)
            return pool


@dataclass(slots=True)
class Answer:
    """An answer without error.

    Attributes:
        status_code: Of HTTP.
        headers: By name, in any case.
        raw: The body, as urllib3 gives it.
    """

    status_code: int
    headers: Mapping[str, str]
    raw: Any
    ok: bool = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.raw._fp.isclosed():  # noqa: SLF001 - the body was read past urllib3
            self.raw.release_conn()
        else:
            self.raw.close()


def base_url(client: Any) -> str:
    """Return where a client finds the server."""
    return str(client._connection.API_BASE_URL)  # noqa: SLF001


def _pool_of(client: Any) -> Any:
    import requests

    session, url = client._http, base_url(client)  # noqa: SLF001
    told = session.merge_environment_settings(url, {}, True, None, None)
    adapter = session.get_adapter(url)
    if getattr(session, "is_mtls", False) or told["cert"] or any(told["proxies"].values()):
        return None
    if not hasattr(adapter, "get_connection_with_tls_context"):
        return None
    prepared = requests.Request("GET", url).prepare()
    return adapter.get_connection_with_tls_context(prepared, told["verify"], told["proxies"])


def _as_response(session: Any, method: str, url: str, raw: Any) -> Any:
    """Return an error as `requests` shows it, which is what Google's client understands."""
    import requests

    prepared = requests.Request(method, url).prepare()
    return session.get_adapter(url).build_response(prepared, raw)
