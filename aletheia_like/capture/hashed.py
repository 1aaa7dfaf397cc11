"""Remembers what files held when they were hashed, so that unchanged ones are not read again.

One file for each path that was hashed: a checksum, and JSON on the next line. The folder may be
removed at any time. Only files that had settled are remembered, see `Seen`; any doubt means that
they are read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

from aletheia_like.capture.trees import NOTHING_KNOWN, FileTree, Known, Seen
from aletheia_like.model.bulk import uncollected
from aletheia_like.model.digests import digest_bytes

_FORMAT = 1
"""Another manifest, and so another digest of a directory, would be another format."""

_WORTH_BYTES = 1 << 20
_WORTH_FILES = 16
_KEPT_SECONDS = 90 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class HashMemory:
    """What files held, by the path of the file or directory that was hashed.

    Args:
        folder: Where it is kept; made when something is worth it.
    """

    folder: Path

    def recall(self, path: Path) -> Known:
        """Return what is remembered of a file or a directory."""
        place = self._place(path)
        try:
            checksum, _, data = place.read_bytes().partition(b"\n")
            if digest_bytes(data).encode() != checksum:
                return NOTHING_KNOWN
            told = orjson.loads(data)
            if (told["format"], told["path"]) != (_FORMAT, str(path)):
                return NOTHING_KNOWN
            with uncollected():
                files = {name: _seen(*one) for name, one in told["files"].items()}
                return Known(files, told["digest"])
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return NOTHING_KNOWN

    def keep(self, tree: FileTree, known: Known) -> None:
        """Remember a tree, if it is worth it and was not known already."""
        if tree.seen == known.files and (known.digest is not None or tree.kind == "file"):
            with contextlib.suppress(OSError):
                os.utime(self._place(tree.path))
            return
        if tree.size < _WORTH_BYTES and len(tree.seen) < _WORTH_FILES:
            return
        files = {
            name: [list(one.state), one.digest, one.crc32c]
            for name, one in tree.seen.items()
            if one.settled
        }
        if files:
            # A file of the same name in a directory of this name has the same state.
            is_whole = tree.kind == "directory" and len(files) == len(tree.seen)
            told = {
                "format": _FORMAT,
                "path": str(tree.path),
                "digest": tree.digest if is_whole else None,
                "files": files,
            }
            # JSON has no form for a path that is no UTF-8.
            with contextlib.suppress(OSError, orjson.JSONEncodeError):
                self._write(tree.path, orjson.dumps(told))

    def _write(self, path: Path, data: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        oldest = time.time() - _KEPT_SECONDS
        for old in self.folder.iterdir():
            if old.stat().st_mtime < oldest:
                old.unlink(missing_ok=True)
        temporary = self.folder / f".{secrets.token_hex(8)}.part"
        try:
            temporary.write_bytes(digest_bytes(data).encode() + b"\n" + data)
            temporary.replace(self._place(path))
        finally:
            temporary.unlink(missing_ok=True)

    def _place(self, path: Path) -> Path:
        named = hashlib.sha256(os.fsencode(path)).hexdigest()
        return self.folder / named[:32]


def _seen(state: list[int], digest: str, crc32c: str) -> Seen:
    size, changed, inode, inode_changed, device = state
    return Seen((size, changed, inode, inode_changed, device), digest, crc32c)
