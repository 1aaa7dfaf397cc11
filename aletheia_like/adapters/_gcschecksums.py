"""The checksum by which Cloud Storage and we know that bytes were not changed on their way."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any


class Checksum:
    """Compares bytes with the checksum that an answer names, if it names one."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        import google_crc32c

        self._found = google_crc32c.Checksum()
        self._told = _told(headers)

    def add(self, chunk: bytes) -> None:
        """Take more bytes."""
        self._found.update(chunk)

    @property
    def is_wrong(self) -> bool:
        """Whether the bytes are others than were meant."""
        return self._told not in (None, base64.b64encode(self._found.digest()).decode())


def is_changed(headers: Mapping[str, str], data: bytes) -> bool:
    """Whether bytes do not have the checksum that an answer names."""
    told = _told(headers)
    return told is not None and told != crc32c([data])


def _told(headers: Mapping[str, str]) -> str | None:
    """Return the checksum that an answer names, if it names one."""
    named = (one.strip().partition("=") for one in headers.get("x-goog-hash", "").split(","))
    return next((value for kind, _, value in named if kind == "crc32c"), None)


def crc32c(parts: Any) -> str:
    """Return the checksum of bytes as Cloud Storage shows it."""
    import google_crc32c

    checksum = google_crc32c.Checksum()
    for part in parts:
        checksum.update(part)
    return base64.b64encode(checksum.digest()).decode()
