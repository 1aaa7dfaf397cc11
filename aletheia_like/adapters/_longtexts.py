"""How a long text lies in a column of SQLite: compressed, with a checksum."""

from __future__ import annotations

import zlib
from typing import Final

PLAIN_CHARACTERS: Final = 64_000
"""A longer text is stored compressed: half the size, and no search looks into it."""

_LEVEL: Final = 2
"""For digits smaller than zlib's level 1, in half its time; read in a fifth of it."""

_MOST_BYTES: Final = 1 << 26
"""No document takes so many: a damaged length must not fill the memory."""

_ZSTANDARD: Final = b"\x28\xb5\x2f\xfd"
"""How a text begins that zstandard compressed; the first stores were made with zlib."""


def packed(text: str) -> str | bytes:
    """Return what is stored for a text."""
    if len(text) <= PLAIN_CHARACTERS:
        return text
    import zstandard

    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(text.encode())


def unpacked(stored: str | bytes) -> str:
    """Return the text of what `packed` gave; if that is damaged, some text that says so."""
    if isinstance(stored, str):
        return stored
    try:
        return _decompressed(stored).decode()
    except (ValueError, zlib.error):
        # The reader of the text reports what cannot be read, and where.
        return stored.decode(errors="replace")


def _decompressed(stored: bytes) -> bytes:
    if not stored.startswith(_ZSTANDARD):
        return zlib.decompress(stored)
    import zstandard

    try:
        size = zstandard.frame_content_size(stored)
        if size > _MOST_BYTES:
            message = f"a document of {size} bytes"
            raise ValueError(message)
        return zstandard.ZstdDecompressor().decompress(stored)
    except zstandard.ZstdError as error:
        raise ValueError(*error.args) from error
