"""The blob store of a metastore that was given no place for bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from aletheia_like.errors import NotFoundError, SettingsError
from aletheia_like.ports.blobs import Progress, StoredBlob


class NowhereBlobStore:
    """Holds nothing, and says how to name a bucket when asked to.

    Args:
        store: The document store's address, for the message.
    """

    def __init__(self, store: str) -> None:
        self._store = store

    def exists(self, digest: str) -> bool:
        del digest
        return False

    def upload(self, digest: str, path: Path, progress: Progress | None = None) -> bool:
        del digest, progress
        self.refuse(path.name)
        return False

    def refuse(self, name: str) -> None:
        """Refuse to store anything, and say what would help.

        Raises:
            SettingsError: Always.
        """
        message = (
            f"{self._store} has no bucket, so {name!r} cannot be stored: name one, as in "
            "url='firestore://PROJECT/(default)?bucket=BUCKET', blobs='gs://BUCKET' or "
            "ALETHEIA_BLOBS=gs://BUCKET"
        )
        raise SettingsError(message)

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        del path, progress
        raise self._missing(digest)

    def open(self, digest: str) -> BinaryIO:
        raise self._missing(digest)

    def delete(self, digest: str) -> None:
        del digest

    def digests(self) -> Iterator[str]:
        return iter(())

    def stored(self) -> Iterator[StoredBlob]:
        return iter(())

    def close(self) -> None:
        pass

    def _missing(self, digest: str) -> NotFoundError:
        return NotFoundError(f"blob {digest}: {self._store} has no bucket: name one with blobs=")


if TYPE_CHECKING:
    from aletheia_like.ports.blobs import BlobStore

    _: BlobStore = NowhereBlobStore("")
