"""What is known of files and directories on this machine once they were hashed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from aletheia_like.model.bulk import uncollected
from aletheia_like.model.digests import Manifest, ManifestEntry
from aletheia_like.ports.blobs import FileState


class Seen(NamedTuple):
    """A file that was hashed.

    Attributes:
        state: What `stat` said, before and after.
        digest: sha-256 of its content.
        crc32c: As Cloud Storage shows it: base64 of four bytes, big end first.
        settled: Whether any later change must show in `stat`: nothing wrote to it for a while,
            so that no change can hide in a tick of the clock, and this process has not mapped
            it into memory for writing.
    """

    state: FileState
    digest: str
    crc32c: str
    settled: bool = True


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a file or a directory since it was hashed.

    Attributes:
        files: What was learned of each file, by its path in the manifest.
        digest: Of a directory that has these very files; None if that is not known.
    """

    files: Mapping[str, Seen] = field(default_factory=dict)
    digest: str | None = None


@dataclass(frozen=True)
class FileTree:
    """A file, or the files of a directory, as they were when they were hashed.

    Attributes:
        path: Where it is.
        kind: `file` or `directory`.
        digest: sha-256 of the file, or of the directory's manifest.
        seen: What was learned of each file on this machine, by its path in the manifest.
        listed: The manifest, if it was made already; always if the files are not on this machine.
    """

    path: Path
    kind: Literal["file", "directory"]
    digest: str
    seen: Mapping[str, Seen] = field(default_factory=dict)
    listed: Manifest | None = None

    @cached_property
    def manifest(self) -> Manifest:
        """The files; of a single file, one entry with its name.

        It is made when somebody asks: an unchanged directory is known by its digest.
        """
        return self.listed if self.listed is not None else manifest_of(self.seen)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        if self.listed is not None:
            return self.listed.size
        return sum(one.state[0] for one in self.seen.values())

    @property
    def last_path(self) -> str:
        """Path of the last file, in the order of the manifest."""
        return max(self.seen) if self.listed is None else self.listed.entries[-1].path

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self.seen if self.listed is None else self.listed)


@dataclass(frozen=True, slots=True)
class Taken:
    """A small file that was hashed, with the bytes that were.

    Attributes:
        path: Where it is.
        seen: What was learned.
        data: Its bytes; they have the digest.
    """

    path: str
    seen: Seen
    data: bytes


NOTHING_KNOWN = Known()

Take = Callable[[Sequence[Taken], int, int], None]
"""Called with some files, and of how many bytes and files in all they are a part."""


def manifest_of(seen: Mapping[str, Seen]) -> Manifest:
    """Return the manifest of files, by their paths in it."""
    with uncollected():
        return Manifest.of(
            ManifestEntry(name, one.digest, one.state[0]) for name, one in seen.items()
        )
