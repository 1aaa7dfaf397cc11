"""The port to bytes: blobs named by their sha-256, so nothing is ever overwritten.

Every implementation passes `aletheia_like.testing.blobs.BlobStoreSuite`; the contract in short:

* A blob is visible whole or not at all, and never changes.
* `upload` hashes what it really sends: a file that no longer has the digest leaves nothing behind.
* `download` and `open(...)` to the end never give wrong bytes: `IntegrityError` instead.
* `download` puts the file in place by one rename; the folder must exist.
* An instance may be used by many threads, and by a child after `fork`.
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

Progress = Callable[[int], None]
"""Called with the number of bytes that just went through."""

SMALL_BYTES = 1 << 20
"""Blobs up to this size may be whole in memory."""

FileState = tuple[int, int, int, int, int]
"""Size, time of the last change, inode, time of the last change of the inode, device."""


Content = tuple[str, bytes]
"""A digest, and the bytes that have it."""


def is_near(url: str) -> bool:
    """Whether blobs at an address are on this machine, where bytes cost less than requests."""
    return url.startswith(("file:", "memory:"))


def file_state(status: os.stat_result) -> FileState:
    """Return what tells a file from a changed one."""
    return (
        status.st_size,
        status.st_mtime_ns,
        status.st_ino,
        status.st_ctime_ns,
        status.st_dev,
    )


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob as it is listed.

    Attributes:
        digest: Its sha-256.
        size: Its bytes.
        stored_at: Since when it is whole, by the store's clock; None if the store does not tell.
    """

    digest: str
    size: int
    stored_at: dt.datetime | None


class BlobStore(Protocol):
    """Holds blobs by digest; see the module's docstring for the contract."""

    def exists(self, digest: str) -> bool:
        """Whether the blob is here."""
        ...

    def upload(self, digest: str, path: Path, progress: Progress | None = None) -> bool:
        """Store the file at `path` as the blob `digest`; already there is success.

        Returns:
            Whether bytes were stored; False if the blob was already here.

        Raises:
            IntegrityError: The file's content does not have this digest.
            InvalidValueError: `digest` is no sha-256, or `path` no file.
        """
        ...

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        """Write the blob to `path`, verified, replacing what is there.

        Raises:
            NotFoundError: There is no such blob.
            IntegrityError: The stored bytes do not have this digest; `path` is untouched.
        """
        ...

    def open(self, digest: str) -> BinaryIO:
        """Return the blob as a readable stream that verifies the digest when it reaches the end.

        Raises:
            NotFoundError: There is no such blob.
        """
        ...

    def delete(self, digest: str) -> None:
        """Take the blob away; nothing happens if it is not here."""
        ...

    def digests(self) -> Iterator[str]:
        """Yield every blob's digest, in no particular order."""
        ...

    def stored(self) -> Iterator[StoredBlob]:
        """Yield every blob with its size and since when it is here, in no particular order."""
        ...

    def close(self) -> None:
        """Free connections; may be called twice. The store opens again when it is used."""
        ...


class GivesMany(Protocol):
    """A blob store that gives many small blobs for less than each by itself."""

    def download_many(
        self, wanted: Iterable[tuple[str, str]], progress: Progress | None = None
    ) -> Iterator[tuple[str, int]]:
        """Put small blobs at their paths; yield digest and size of each that is there, verified.

        What is not yielded, whatever the reason, has to be downloaded by itself: nothing is tried
        twice, and no error of the store or the disk is raised.
        """
        ...


class TakesBytes(Protocol):
    """A blob store that stores many small blobs at once for less than one after the other."""

    def upload_bytes(
        self, contents: Sequence[Content], progress: Progress | None = None
    ) -> list[bool]:
        """Store bytes that are in memory, each under the digest that its caller made of them.

        Returns:
            Of each whether it was stored; False if the blob was already here. If this raises,
            some may have been.

        Raises:
            InvalidValueError: A digest is no sha-256.
        """
        ...


def download_many(
    store: object, wanted: Iterable[tuple[str, str]], progress: Progress | None = None
) -> Iterator[tuple[str, int]]:
    """Yield what a store gives; nothing, and nothing is taken, if it cannot. See `GivesMany`."""
    giving: Callable[..., Iterator[tuple[str, int]]] | None
    giving = getattr(store, "download_many", None)
    return iter(()) if giving is None else giving(wanted, progress)


class TakesHashed(Protocol):
    """A blob store that need not hash what its caller has hashed a moment ago."""

    def upload_hashed(
        self, digest: str, path: Path, state: FileState, progress: Progress | None = None
    ) -> bool:
        """Do as `upload`, trusting the digest if the file is in this state before and after.

        Raises:
            IntegrityError: The file is in another state, and no longer has this digest.
            InvalidValueError: `digest` is no sha-256, or `path` no file.
        """
        ...


def upload_bytes(
    store: BlobStore, contents: Sequence[Content], progress: Progress | None = None
) -> list[bool]:
    """Store bytes, by way of files if the store takes nothing else; see `TakesBytes`."""
    taking: Callable[..., list[bool]] | None = getattr(store, "upload_bytes", None)
    if taking is not None:
        return taking(contents, progress)
    with tempfile.TemporaryDirectory(prefix="aletheia-") as folder:
        return [_upload_one(store, Path(folder) / "blob", one, progress) for one in contents]


def _upload_one(store: BlobStore, path: Path, content: Content, progress: Progress | None) -> bool:
    path.write_bytes(content[1])
    return store.upload(content[0], path, progress)


def upload_hashed(
    store: BlobStore, digest: str, path: Path, state: FileState, progress: Progress | None = None
) -> bool:
    """Upload to a store that may be able to trust a digest; see `TakesHashed`."""
    # Asking whether it is an instance of a protocol takes longer than hashing a small file.
    trusting: Callable[..., bool] | None = getattr(store, "upload_hashed", None)
    if trusting is not None:
        return trusting(digest, path, state, progress)
    return store.upload(digest, path, progress)
