"""Content addresses: the sha-256 of bytes, and the manifest that gives a directory one digest."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import IO

from aletheia_like.errors import IntegrityError, InvalidValueError

_CHUNK_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNSAFE_PARTS = frozenset({"", ".", ".."})
_PART = r"[^\\/.\n][^\\/\n]*"
_PLAIN_PATH = re.compile(f"{_PART}(?:/{_PART})*")
"""No part is empty or begins with a point."""

_PLAIN_PATHS = re.compile(f"(?:{_PART}(?:/{_PART})*+\n)*+")
"""Many such paths, a line each."""

_in_order = attrgetter("path")
_as_json = json.JSONEncoder(ensure_ascii=False).encode


def check_digest(digest: object) -> str:
    """Return `digest` if it is a lowercase hexadecimal sha-256.

    Raises:
        InvalidValueError: It is anything else; this also keeps paths out of file names.
    """
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        message = f"not a sha-256 in lowercase hexadecimal: {digest!r:.80}"
        raise InvalidValueError(message)
    return digest


def digest_bytes(data: bytes) -> str:
    """Return the sha-256 of `data` in lowercase hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_stream(stream: IO[bytes]) -> str:
    """Return the sha-256 of an open file from its present position to its end."""
    hasher = hashlib.sha256()
    while chunk := stream.read(_CHUNK_BYTES):
        hasher.update(chunk)
    return hasher.hexdigest()


@dataclass(frozen=True, slots=True, order=True)
class ManifestEntry:
    """One file of a manifest.

    Attributes:
        path: Relative, with `/` between the parts, never climbing out.
        digest: sha-256 of the content.
        size: Bytes.
    """

    path: str
    digest: str
    size: int

    def __post_init__(self) -> None:
        check_digest(self.digest)
        check_relative(self.path)
        if type(self.size) is not int or self.size < 0:
            message = f"the size of {self.path!r} is no count of bytes: {self.size!r:.80}"
            raise InvalidValueError(message)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a directory, sorted by path; equal content gives an equal digest."""

    entries: tuple[ManifestEntry, ...]

    @classmethod
    def of(cls, entries: Iterable[ManifestEntry]) -> Manifest:
        """Return the manifest of these files, sorted.

        Raises:
            InvalidValueError: Two entries have one path, or one has that of a folder.
        """
        ordered = tuple(sorted(entries, key=_in_order))
        for left, right in pairwise(ordered):
            if left.path == right.path:
                message = f"two files of one manifest have the path {left.path!r}"
                raise InvalidValueError(message)
        _check_folders({entry.path for entry in ordered})
        return cls(ordered)

    @classmethod
    def from_text(cls, text: str) -> Manifest:
        """Read what `to_text` wrote.

        Raises:
            IntegrityError: The text is not a manifest.
        """
        try:
            rows = [json.loads(line) for line in text.split("\n") if line]
            return cls.of(ManifestEntry(row["path"], row["sha256"], row["size"]) for row in rows)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            message = f"this is not a manifest of ours: {error}"
            raise IntegrityError(message) from error

    def to_text(self) -> str:
        """Return the canonical text: one JSON object a line, in the order of the paths."""
        # The digest and the size need no escapes, and to make a map for each file takes longer.
        return "".join(
            f'{{"path":{_as_json(entry.path)},"sha256":"{entry.digest}","size":{entry.size}}}\n'
            for entry in self.entries
        )

    @property
    def digest(self) -> str:
        """The sha-256 of the canonical text."""
        return digest_bytes(self.to_text().encode())

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.entries)

    def __iter__(self) -> Iterator[ManifestEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def check_relative(path: str) -> str:
    """Return `path` if it is a relative path that stays below where it starts.

    Raises:
        InvalidValueError: It is absolute, climbs, has empty parts, or is no valid text.
    """
    if isinstance(path, str) and _PLAIN_PATH.fullmatch(path) and path.isprintable():
        return path
    parts = path.split("/") if isinstance(path, str) else [""]
    if isinstance(path, str) and ("\\" in path or _has_control(path)):
        message = (
            f"the file name {path!r} has a backslash, control characters or bytes that are no "
            "UTF-8, which not every system can hold: rename the file"
        )
        raise InvalidValueError(message)
    if not _UNSAFE_PARTS.isdisjoint(parts):
        message = f"a file's path must be relative and stay inside its directory: {path!r}"
        raise InvalidValueError(message)
    return path


def check_all_relative(paths: Sequence[str]) -> None:
    """Refuse a path that `check_relative` refuses; most are plain, and looked at all together.

    Raises:
        InvalidValueError: One of them is refused.
    """
    if "".join(paths).isprintable() and _PLAIN_PATHS.fullmatch("\n".join([*paths, ""])):
        return
    for path in paths:
        check_relative(path)


def _check_folders(paths: set[str]) -> None:
    """Refuse a file that is a folder of other files, which no file system can hold."""
    folders = {path.rpartition("/")[0] for path in paths} - {""}
    while folders:
        for folder in folders & paths:
            message = f"{folder!r} is a file and a folder in one manifest"
            raise InvalidValueError(message)
        folders = {folder.rpartition("/")[0] for folder in folders} - {""}


def _has_control(text: str) -> bool:
    """Whether there are control characters or lone surrogates; odd spaces occur in real names."""
    return not text.isprintable() and any(
        unicodedata.category(character) in ("Cc", "Cs") for character in text
    )
