"""The files in which the local cache keeps rows: how much room they take, whether they are whole.

    {cache}/rows/{key[:2]}/{key}    a checksummed line of JSON, then what it tells of

See `chunkcache` for what is in them; this module needs nothing that is not always installed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c

FOLDER = "rows"
"""Below the folder of the local cache."""

TEMPORARY = ".tmp-"
"""How names of files begin that are being written."""

HEADER_BYTES = 1 << 20


class KeptRows:
    """All files with rows, of every store.

    Args:
        folder: Where they lie; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def files(self) -> list[Path]:
        """Return every file that is complete."""
        found = sorted(self._folder.glob("??/*"))
        return [path for path in found if not path.name.startswith(TEMPORARY)]

    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(size for _, size, _ in self._seen())

    def verify(self, *, repair: bool = False) -> list[Path]:
        """Return the files that are damaged.

        Args:
            repair: Remove them; the next query reads those rows from the store.
        """
        wrong = [path for path in self.files() if not _is_whole(path)]
        for path in wrong if repair else ():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        return wrong

    def trim(self, max_bytes: int) -> None:
        """Remove the least recently used files until the others take no more than this."""
        found = sorted(self._seen())
        total = sum(size for _, size, _ in found)
        for _, size, path in found:
            if total <= max_bytes:
                return
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            total -= size

    def _seen(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each file was last used, its size and path; others may remove it."""
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                status = path.stat()
                yield status.st_mtime, status.st_size, path


def header_line(header: dict[str, Any]) -> bytes:
    """Return the line that a file begins with."""
    text = json.dumps(header).encode()
    return b"%08x %s\n" % (google_crc32c.value(text), text)


def read_header(line: bytes) -> dict[str, Any]:
    """Return what the first line of a file says.

    Raises:
        ValueError: It is damaged.
    """
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if int(checksum, 16) != google_crc32c.value(text):
        message = "the header is damaged"
        raise ValueError(message)
    header: dict[str, Any] = json.loads(text)
    return header


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            parts = read_header(stream.readline(HEADER_BYTES))["parts"]
            start = stream.tell()
            for at, size, checksum in parts.values():
                stream.seek(start + at)
                data = stream.read(size)
                if len(data) != size or google_crc32c.value(data) != checksum:
                    return False
    except FileNotFoundError:
        # Another process made room.
        return True
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return True
