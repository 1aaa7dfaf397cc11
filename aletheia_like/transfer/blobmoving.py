"""Moves blobs into a store, what a blob mentions before the blob itself."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aletheia_like.errors import IntegrityError
from aletheia_like.metastore.renewing import look
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.storing import LocalFile, store_files
from aletheia_like.transfer.blobfolder import FOLDER
from aletheia_like.transfer.mentions import MENTIONING, inside, safe_name
from aletheia_like.transfer.source import Blob, Source

_THREADS = 8
_BATCH_FILES = 64
_BATCH_BYTES = 256 << 20


class BlobMover:
    """Moves each blob once; safe for threads.

    Args:
        source: Where from.
        session: Where to.

    Attributes:
        moved: How many blobs were not there before.
        bytes: Of these.
    """

    def __init__(self, source: Source, session: Session) -> None:
        self._source = source
        self._session = session
        # Two threads that move one blob would both count it.
        self._lock = threading.RLock()
        self._done: dict[str, float] = {}
        self.moved = 0
        self.bytes = 0

    def move(self, names: Mapping[str, str]) -> None:
        """Move the blobs of these digests that the source has and the target lacks.

        Args:
            names: What mentions call each.

        Raises:
            NotFoundError: The bytes of one are gone.
            IntegrityError: The bytes of one are wrong.
        """
        if any(map(self._is_wanted, names)):
            with self._lock:
                self._move(list(filter(self._is_wanted, names)), names)

    def _is_wanted(self, digest: str) -> bool:
        """Whether a blob was not moved, or so long ago that it may have been collected."""
        done = self._done.get(digest)
        return done is None or time.monotonic() - done > self._session.renew_seconds

    def _move(self, wanted: Sequence[str], names: Mapping[str, str]) -> None:
        begun = time.monotonic()
        found = self._source.blobs(wanted)
        # What is there must stay until a document mentions it, which may be much later.
        there = look(self._session, found).here
        missing = [blob for digest, blob in found.items() if digest not in there]
        plain = [blob for blob in missing if names[blob.digest] not in MENTIONING]
        for batch in _batches(plain):
            self._transfer(batch, names)
        for blob in missing:
            if names[blob.digest] in MENTIONING:
                self._transfer([blob], names)
        self._done.update(dict.fromkeys(wanted, begun))

    def _transfer(self, blobs: Sequence[Blob], names: Mapping[str, str]) -> None:
        with tempfile.TemporaryDirectory(prefix="aletheia-") as folder:

            def download(blob: Blob) -> LocalFile:
                path = Path(folder) / blob.digest / safe_name(names[blob.digest], blob.media_type)
                path.parent.mkdir()
                self._source.download(blob.digest, path)
                return LocalFile(blob.digest, path.stat().st_size, path, blob.media_type)

            if len(blobs) == 1:
                files = [download(blobs[0])]
            else:
                with ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-blobs") as pool:
                    files = list(pool.map(download, blobs))
            for file in files:
                self.move(inside(file.path, names[file.digest]))
            try:
                store_files(self._session, files, "what is moved")
            except IntegrityError as error:
                # People know the file in their export, not the copy of it that was hashed.
                message = f"{str(error).replace(folder, FOLDER)}; restore it, or export again"
                raise IntegrityError(message) from error
        self.moved += len(files)
        self.bytes += sum(file.size for file in files)


def _batches(blobs: Sequence[Blob]) -> list[list[Blob]]:
    """Return the blobs in parts that a disk has room for."""
    batches: list[list[Blob]] = []
    size = _BATCH_BYTES
    for blob in blobs:
        if size + blob.size > _BATCH_BYTES or len(batches[-1]) >= _BATCH_FILES:
            batches.append([])
            size = 0
        batches[-1].append(blob)
        size += blob.size
    return batches
