"""The journal: what one writer wants stored, first of all on this machine's own disk.

One file a writer, appended with one `write` a line, so a line that `append` returned from survives
the death of the process. Each line carries a checksum of its content:

    1a2b3c4d {"journal":1,"writer":"k3…","path":"projects/…"}     the head, twice: whose it is
    5e6f7081 [1,1763712345.5,{"loss":0.5}]                         a row
    92a3b4c5 {"note":1,"set":[…]}                                  changes of the document
    d6e7f809 {"done":1}                                            notes so far that are stored

Whoever reads skips a line whose checksum is wrong: the torn end of a machine that lost its power.
A journal grows to 32 MiB and goes on in a new file; a file whose lines are all stored is removed.
An exception may come between any two steps, since Ctrl-C does: what is written is learned from the
file itself, not from a count beside it.

The writer holds a lock on its file. A file without one was left by a process that is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import threading
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aletheia_like.errors import UnavailableError
from aletheia_like.forking import is_held_here
from aletheia_like.model.jsontext import from_text, to_text

SUFFIX = ".journal"
SEGMENT_BYTES = 32 << 20
_READ_BYTES = 4 << 20
_MAX_HELD_BYTES = 64 << 20
_CHECKSUM = 9
_BEGINNING = re.compile(rb"[0-9a-f]{8} [\[{]")

_log = logging.getLogger("aletheia")


@dataclass(frozen=True, slots=True)
class Content:
    """What a journal's file holds.

    Attributes:
        path: The file.
        head: Whose journal it is; empty if that cannot be read.
        rows: Lines of rows, in order.
        notes: Everything else that was noted, in order.
        torn: How many lines could not be read.
    """

    path: Path
    head: Mapping[str, Any]
    rows: list[bytes] = field(default_factory=list)
    notes: list[Mapping[str, Any]] = field(default_factory=list)
    torn: int = 0


@dataclass(slots=True)
class _Segment:
    """One file: how much of it has been taken, and the last note in it."""

    path: Path
    descriptor: int
    taken: int = 0
    note: int = 0

    @property
    def size(self) -> int:
        """How much of it is written."""
        return os.fstat(self.descriptor).st_size


class Journal:
    """Appends for one writer; nothing is touched before the first line.

    If the disk refuses a line it is held in memory, after one warning, and written as soon as the
    disk takes it again; what is held is taken to the store like everything else.

    Args:
        folder: Where journals lie.
        writer: Unique name of the writer.
        head: What must be known to store the lines without this process.
        strict: Raise if the disk refuses a line.
        segment_bytes: Size at which the journal goes on in a new file.
    """

    def __init__(
        self,
        folder: Path,
        writer: str,
        head: Mapping[str, Any],
        *,
        strict: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self._folder = folder
        self._writer = writer
        self._head = {"journal": 1, "writer": writer, **head}
        self._strict = strict
        self._segment_bytes = segment_bytes
        # Reentrant: a signal handler may log while the same thread is logging.
        self._lock = threading.RLock()
        self._segments: deque[_Segment] = deque()
        self._last: _Segment | None = None
        self._written = 0
        self._count = 0
        self._torn = False
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._told = False
        self._waiting = 0
        self._notes = 0
        self._open = 0

    def append(self, row: bytes) -> None:
        """Write the line of a row; it survives the process when this returns.

        Raises:
            UnavailableError: The disk refuses it, and the journal is strict or holds 64 MiB.
        """
        self._append(row, rows=1)

    def note(self, note: Mapping[str, Any]) -> int:
        """Write a note, whose values may be whatever a document holds; return its number.

        A note with `artifact` is open until there is one with `delivered`.
        """
        with self._lock:
            self._notes += 1
            number = self._notes
            self._open += ("artifact" in note) - ("delivered" in note)
            self._append(to_text({"note": number, **note}).encode())
            if self._segments:
                self._segments[-1].note = number
            return number

    def done(self, note: int) -> None:
        """Everything that was taken is stored, and so are the notes up to this one."""
        if note:
            self._append(to_text({"done": note}).encode())
        with self._lock:
            while len(self._segments) > 1 and not self._open:
                segment = self._segments[0]
                if segment.taken < segment.size or segment.note > note:
                    return
                _remove(self._segments.popleft())

    def _append(self, body: bytes, rows: int = 0) -> None:
        line = _line(body)
        with self._lock:
            self._waiting += rows
            if not self._held and self._last is not None:
                try:
                    count = os.write(self._last.descriptor, line)
                except OSError as error:
                    self._hold(line, error, rows)
                    return
                self._written += count
                if count == len(line):
                    if self._written >= self._segment_bytes:
                        self._last = None
                    return
                self._torn = True
            self._append_slowly(line, rows)

    def take(self, limit: int = _READ_BYTES) -> list[bytes]:
        """Return the next rows that were not taken yet, about `limit` bytes of them at most."""
        with self._lock:
            for segment in self._segments:
                while segment.taken < segment.size:
                    rows = [line for line in self._read(segment, limit) if line.startswith(b"[")]
                    if rows:
                        self._waiting -= len(rows)
                        return rows
            held, self._held, self._held_bytes = self._held, [], 0
            self._waiting = 0
            return [line[_CHECKSUM:-1] for line in held if line[_CHECKSUM:].startswith(b"[")]

    def peek(self) -> list[bytes]:
        """Return all rows that were not taken yet, and leave them."""
        rows: list[bytes] = []
        with self._lock:
            for segment in self._segments:
                before = segment.taken
                try:
                    while segment.taken < segment.size:
                        rows += self._read(segment, _READ_BYTES)
                finally:
                    segment.taken = before
            rows += [line[_CHECKSUM:-1] for line in self._held]
        return [row for row in rows if row.startswith(b"[")]

    def is_interrupted(self) -> bool:
        """Whether this thread is in the midst of writing a line."""
        return is_held_here(self._lock)

    def has_more(self) -> bool:
        """Whether there are rows that were not taken yet."""
        return self._waiting > 0

    def sync(self) -> None:
        """Force what is written to the disk itself, so that it survives a loss of power."""
        with self._lock:
            descriptors = [segment.descriptor for segment in self._segments]
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                os.fsync(descriptor)

    def remove(self) -> None:
        """Everything is stored: remove the files, unless a row came meanwhile."""
        with self._lock:
            if self._waiting > 0:
                return
            while self._segments:
                _remove(self._segments.popleft())
            self._last = None

    def leave(self) -> None:
        """Something is not stored: close the files and leave them for `aletheia sync`."""
        with self._lock:
            while self._segments:
                os.close(self._segments.popleft().descriptor)
            self._last = None

    def forget(self) -> None:
        """Give up the files of the process this one was forked from; they stay its own."""
        self._lock = threading.RLock()
        while self._segments:
            with contextlib.suppress(OSError):
                os.close(self._segments.popleft().descriptor)
        self._last = None
        self._held, self._held_bytes, self._waiting = [], 0, 0
        self._notes, self._open = 0, 0
        self._torn = False

    def _append_slowly(self, line: bytes, rows: int) -> None:
        """Write a line after what had to wait, into a new file where one is due."""
        waiting = [*self._held, line]
        try:
            segment = self._last or self._begin()
            while waiting:
                data = b"\n" + waiting[0] if self._torn else waiting[0]
                count = os.write(segment.descriptor, data)
                self._written += count
                if count < len(data):
                    self._torn = True
                    _refuse_short_write(segment.path)
                self._torn = False
                waiting.pop(0)
        except OSError as error:
            self._held, self._held_bytes = waiting[:-1], sum(map(len, waiting[:-1]))
            if waiting:
                self._hold(line, error, rows)
        else:
            self._held, self._held_bytes = [], 0

    def _begin(self) -> _Segment:
        self._folder.mkdir(parents=True, exist_ok=True)
        segment = self._create()
        head = _line(to_text(self._head).encode()) * 2
        try:
            if os.write(segment.descriptor, head) < len(head):
                _refuse_short_write(segment.path)
        except OSError:
            _remove(segment)
            raise
        segment.taken = self._written = len(head)
        self._segments.append(segment)
        self._last = segment
        return segment

    def _create(self) -> _Segment:
        """Return a new file that is locked before anybody else has looked at it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
        while True:
            path = self._folder / f"{self._writer}-{self._count:04d}{SUFFIX}"
            self._count += 1
            segment = _Segment(path, os.open(path, flags, 0o600))
            try:
                lock(segment.descriptor)
            except BlockingIOError:
                # Somebody took it for one that was left.
                _remove(segment)
                continue
            except OSError:
                _remove(segment)
                raise
            if os.fstat(segment.descriptor).st_nlink:
                return segment
            os.close(segment.descriptor)

    def _hold(self, line: bytes, error: OSError, rows: int) -> None:
        """Keep in memory what the disk does not take."""
        place = self._last.path if self._last else self._folder
        told = f"{place} cannot be written: {error.strerror or error}: free some space"
        if self._strict or self._held_bytes + len(line) > _MAX_HELD_BYTES:
            self._waiting -= rows
            message = f"{told}; this line is not recorded"
            raise UnavailableError(message) from error
        if not self._told:
            self._told = True
            _log.warning("%s; until then rows are held in memory and die with the process", told)
        self._held.append(line)
        self._held_bytes += len(line)

    def _read(self, segment: _Segment, limit: int) -> list[bytes]:
        total = segment.size
        size = min(limit, total - segment.taken)
        data = os.pread(segment.descriptor, size, segment.taken)
        end = data.rfind(b"\n") + 1
        if end == 0 and segment.taken + size < total:
            return self._read(segment, limit * 4)
        end = end or len(data)
        segment.taken += end
        return [body for body in map(check_line, data[:end].split(b"\n")) if body is not None]


def _line(body: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(body), body)


def check_line(line: bytes) -> bytes | None:
    """Return the content of a line, or None if its checksum is wrong."""
    body = line[_CHECKSUM:]
    try:
        right = body and int(line[:8], 16) == zlib.crc32(body)
    except ValueError:
        return None
    return body if right else None


def read_journal(path: Path) -> Content:
    """Return what a journal's file holds."""
    head: Mapping[str, Any] = {}
    torn = 0
    rows: list[bytes] = []
    notes: list[Mapping[str, Any]] = []
    with path.open("rb") as stream:
        for line in stream:
            whole = line.rstrip(b"\n")
            body = check_line(whole)
            found = [body] if body is not None else _parts(whole)
            torn += bool(whole) and not found
            for one in found:
                if one.startswith(b"["):
                    rows.append(one)
                    continue
                told = from_text(one.decode())
                if "journal" in told:
                    head = head or told
                else:
                    notes.append(told)
    return Content(path, head, rows, notes, torn)


def _parts(line: bytes) -> list[bytes]:
    """Return the lines that a damaged one is made of: what was lost may be the end of a line."""
    ends = [match.start() for match in _BEGINNING.finditer(line)]
    parts = [line[start : end - 1] for start, end in itertools.pairwise([0, *ends, len(line) + 1])]
    return [body for body in map(check_line, parts) if body is not None]


def journals(folder: Path) -> list[Path]:
    """Return the files of all journals below a folder, oldest writers' first."""
    found: list[tuple[float, Path]] = []
    for path in folder.glob(f"*{SUFFIX}"):
        # Its writer, or another sync, may remove it at any moment.
        with contextlib.suppress(FileNotFoundError):
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found)]


def writer_of(path: Path) -> str:
    """Return the writer that a journal's file belongs to."""
    return path.name.rpartition("-")[0]


def read_head(path: Path) -> Mapping[str, Any]:
    """Return whose journal a file is; empty if that cannot be read."""
    # Whoever else looks through the folder may have removed it by now.
    with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        for line in itertools.islice(stream, 2):
            body = check_line(line.rstrip(b"\n"))
            if body is not None and body.startswith(b"{"):
                return from_text(body.decode())
    return {}


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold a journal's file for a block, if its writer is gone and nobody else holds it.

    Yields:
        Whether it is held; False too if it was removed meanwhile.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            lock(descriptor)
        except BlockingIOError:
            yield False
        else:
            yield path.exists()
    finally:
        os.close(descriptor)


def lock(descriptor: int) -> None:
    """Lock an open file for as long as it is open, until the process ends at the latest.

    Raises:
        BlockingIOError: Another process holds it.
    """
    try:
        import fcntl
    except ImportError:
        import msvcrt

        # Windows locks bytes, and one far behind the end is in nobody's way.
        os.lseek(descriptor, 1 << 40, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError as error:
            raise BlockingIOError(*error.args) from error
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove(segment: _Segment) -> None:
    # The name goes before the lock, so that nobody takes it for a journal that was left.
    segment.path.unlink(missing_ok=True)
    os.close(segment.descriptor)


def _refuse_short_write(path: Path) -> None:
    message = "no space left"
    raise OSError(28, message, str(path))
