"""Starts the page on this machine and says where it is."""

from __future__ import annotations

import errno
import ipaddress
import secrets
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from aletheia_like.errors import SettingsError, UnavailableError
from aletheia_like.ui.security import LOOPBACK

DEFAULT_PORT = 8420
_TRIES = 20


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(24)


def is_this_machine(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bound_socket(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens at an address.

    Args:
        host: The address, or a name of this machine.
        port: Which; 0 for any that is free. None for the usual one, or the next that is free.

    Raises:
        UnavailableError: The port is taken, or may not be used.
        SettingsError: The address is none of this machine.
    """
    tried = range(DEFAULT_PORT, DEFAULT_PORT + _TRIES) if port is None else [port]
    for one in tried:
        try:
            return _bound(host, one)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and one != tried[-1]:
                continue
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                message = f"port {one} of {host} cannot be used ({error.strerror}): give --port"
                raise UnavailableError(message) from error
            message = f"{host!r} is no address of this machine: {error.strerror or error}"
            raise SettingsError(message) from error
    raise AssertionError


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen()
    except OSError:
        bound.close()
        raise
    return bound


def address_of(host: str, bound: socket.socket) -> str:
    """Return the address for a browser."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{bound.getsockname()[1]}/"


class _Server(uvicorn.Server):
    """A server that says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def server_of(app: ASGIApp, ready: Callable[[], None]) -> uvicorn.Server:
    """Return a server that answers for an application, once it is told to `run(sockets=[…])`.

    Args:
        app: What answers.
        ready: Called when it can be reached.
    """
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # Streams of events never end by themselves.
        timeout_graceful_shutdown=1,
        lifespan="on",
        ws="none",
    )
    return _Server(config, ready)
