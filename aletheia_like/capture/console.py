"""Copies what this program prints into a file, and stays out of its way.

The `write` of the very objects behind `sys.stdout` and `sys.stderr` is wrapped, so `isatty`,
`encoding`, `fileno` and everyone who holds the object already, such as a logging handler, see no
difference. What does not go through these objects is not seen: output of C code, of other
processes (forked children too), and bytes written to `sys.stdout.buffer`. Redirecting the file
descriptors would catch these, but through a pipe that makes a terminal look like a file, that a
forked child keeps open, and that swallows the last words of a program that crashes.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

KEEP_BYTES = 2 << 20
"""How much of the beginning, and of the end, of a long output is kept."""

_CHUNK_BYTES = 1 << 16
_TAIL_FACTOR = 8
_CUT = "\n[… {} bytes of output cut here …]\n"
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


class ConsoleCapture:
    """Tees the program's output into a file, from `start` to `stop`; a context manager too.

    An output that cannot be copied, for example to a full disk, is still printed: the copy then
    ends, and `error` says why. Several captures may overlap and end in any order.

    Args:
        path: The file, made with its folder; what it holds already is kept and continued.
        keep_bytes: How much of the beginning, and of the end, is kept of a long output.
    """

    def __init__(self, path: str | os.PathLike[str], *, keep_bytes: int = KEEP_BYTES) -> None:
        self.path = Path(path)
        self.error: OSError | None = None
        self._keep = max(keep_bytes, 1)
        # Reentrant: a signal handler may print while the same thread is printing.
        self._lock = threading.RLock()
        self._tees: list[_Tee] = []
        self._file = -1
        self._pid = 0
        self._size = 0
        self._seen = 0
        self._head = 0
        self._shortening = False

    def start(self) -> None:
        """Begin; does nothing if it has begun.

        Raises:
            OSError: The file cannot be written.
        """
        if self._file >= 0:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _open(self.path)
        self._pid = os.getpid()
        self._size = os.fstat(self._file).st_size
        self._seen = max(self._seen, self._size)
        for stream in {id(one): one for one in (sys.stdout, sys.stderr)}.values():
            tee = _Tee(stream, self._copy)
            if tee.attach():
                self._tees.append(tee)

    def stop(self) -> None:
        """End, and put everything back as it was; does nothing if it has ended."""
        tees, self._tees = self._tees, []
        for tee in tees:
            tee.detach()
        if self._pid != os.getpid():
            return
        with self._lock:
            file, self._file = self._file, -1
            if file >= 0:
                with contextlib.suppress(OSError):
                    if self._size > 2 * self._keep + len(_CUT):
                        self._shorten()
                with contextlib.suppress(OSError):
                    os.close(file)

    def tail(self, size: int = 10_000) -> str:
        """Return the end of the output as a person would see it, at most `size` bytes of it.

        Of a line that was drawn again and again, such as a progress bar, only the last state is
        given; colours are left out. Works before, during and after the capture.
        """
        try:
            with self.path.open("rb") as stream:
                end = stream.seek(0, os.SEEK_END)
                stream.seek(max(end - max(size * _TAIL_FACTOR, _CHUNK_BYTES), 0))
                data = stream.read()
        except FileNotFoundError:
            return ""
        shown = _as_seen(data.decode(errors="ignore")).encode()
        return shown[max(len(shown) - size, 0) :].decode(errors="ignore")

    def _copy(self, text: str) -> None:
        # A forked child shares the file but not the lock and the count of bytes.
        if self._pid != os.getpid():
            return
        data = text.encode(errors="backslashreplace")
        with self._lock:
            if self._file < 0 or self.error is not None:
                return
            try:
                _write(self._file, data)
                self._size += len(data)
                self._seen += len(data)
                # A signal handler that prints while this is shortening must not shorten too.
                if self._size > 4 * self._keep and not self._shortening:
                    self._shorten()
                    self._reopen()
            except OSError as error:
                self.error = error

    def _shorten(self) -> None:
        """Put a file with the beginning and the end in the place of the whole one."""
        self._shortening = True
        try:
            with self.path.open("rb") as old:
                first = _whole_lines(old.read(self._head or self._keep))
                old.seek(self._size - self._keep)
                last = _from_next_line(old.read())
            self._head = len(first)
            whole = first + _CUT.format(self._seen - len(first) - len(last)).encode() + last
            temporary = self.path.with_name(f".{self.path.name}.tmp")
            temporary.unlink(missing_ok=True)
            file = _open(temporary)
            try:
                _write(file, whole)
            finally:
                os.close(file)
            temporary.replace(self.path)
            self._size = len(whole)
        finally:
            self._shortening = False

    def _reopen(self) -> None:
        old, self._file = self._file, _open(self.path)
        os.close(old)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Tee:
    """Stands for the `write` of one stream: prints first, then copies, and never fails itself."""

    def __init__(self, stream: Any, copy: Callable[[str], None]) -> None:
        self._stream = stream
        self.copy: Callable[[str], None] | None = copy
        self.previous: Callable[[str], Any] | None = None
        self.was_own = False

    def __call__(self, text: str) -> Any:
        written = self.previous(text) if self.previous is not None else len(text)
        copy = self.copy
        if copy is not None:
            # Whatever is wrong with the copy, the program has printed and must not notice.
            with contextlib.suppress(Exception):
                copy(text)
        return written

    def attach(self) -> bool:
        """Wrap the stream's `write`; return whether the stream lets itself be wrapped."""
        try:
            own = vars(self._stream)
        except TypeError:
            return False
        self.was_own = "write" in own
        self.previous = self._stream.write
        own["write"] = self
        return True

    def detach(self) -> None:
        """Put back what was there, and what a tee below us that has ended meanwhile could not."""
        self.copy = None
        own = vars(self._stream)
        while isinstance(top := own.get("write"), _Tee) and top.copy is None:
            if top.was_own:
                own["write"] = top.previous
            else:
                del own["write"]


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _whole_lines(data: bytes) -> bytes:
    """Return the beginning without a last line that is cut, if it has a line at all."""
    return data[: data.rfind(b"\n") + 1] or data


def _from_next_line(data: bytes) -> bytes:
    """Return the end without a first line that is cut, if it has another line at all."""
    return data[data.find(b"\n") + 1 :] or data


def _as_seen(text: str) -> str:
    """Return text without escapes, and of lines that were drawn over the last state."""
    lines = _ESCAPES.sub("", text).split("\n")
    return "\n".join(_last_state(line) for line in lines)


def _last_state(line: str) -> str:
    states = [state for state in line.split("\r") if state.strip()]
    return states[-1] if states else line.replace("\r", "")
