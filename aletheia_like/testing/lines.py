"""A line to a server on this machine that a test can cut, hold and mend."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 1 << 16


class Line:
    """Passes bytes between a port of its own and a server, while it is whole.

    Args:
        server: Host and port of the server, such as `127.0.0.1:8080`.
    """

    def __init__(self, server: str) -> None:
        host, _, port = server.rpartition(":")
        self._server = (host, int(port))
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._listening: socket.socket | None = None
        self._ends: set[socket.socket] = set()
        self._port = 0
        self._taken = 0

    @property
    def host(self) -> str:
        """Address and port for clients."""
        return f"127.0.0.1:{self._port}"

    @property
    def connections(self) -> int:
        """How many connections clients have made so far."""
        return self._taken

    def cut(self) -> None:
        """Break every connection and refuse new ones, as when the server has died."""
        with self._lock:
            listening, self._listening = self._listening, None
            ends, self._ends = self._ends, set()
        for one in [*ends, *([listening] if listening else [])]:
            _close(one)
        self._flowing.set()

    def hold(self) -> None:
        """Pass nothing on, but keep every connection and take new ones, as a dead router does."""
        self._flowing.clear()

    def mend(self) -> None:
        """Be whole again, on the same port; what was held is passed on."""
        self._flowing.set()
        with self._lock:
            if self._listening is not None:
                return
            self._listening = socket.create_server(("127.0.0.1", self._port))
            self._port = int(self._listening.getsockname()[1])
            listening = self._listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                self._taken += 1
                try:
                    far = socket.create_connection(self._server, timeout=5)
                except OSError:
                    _close(near)
                    continue
                far.settimeout(None)
                with self._lock:
                    is_whole = self._listening is listening
                    self._ends |= {near, far} if is_whole else set()
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()
                if not is_whole:
                    _close(near)
                    _close(far)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK_BYTES):
                self._flowing.wait()
                target.sendall(chunk)
        _close(source)
        _close(target)


def _close(end: socket.socket) -> None:
    # Closing alone does not wake a thread that reads from it.
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
