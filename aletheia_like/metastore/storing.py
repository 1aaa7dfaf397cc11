"""Puts bytes into the blob store and their index documents into `files/`, each content once.

The blob is stored before any document mentions it, so whoever finds the index document may rely
on the blob.
"""

from __future__ import annotations

import contextlib
import mimetypes
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path

from aletheia_like.capture.files import Seen, digests_of
from aletheia_like.errors import AlreadyExistsError, NotFoundError, UnavailableError
from aletheia_like.metastore.progress import transferring
from aletheia_like.metastore.session import Session
from aletheia_like.model import paths
from aletheia_like.model.codec import SCHEMA_VERSION
from aletheia_like.model.digests import digest_bytes
from aletheia_like.model.values import LongText, Value
from aletheia_like.ports.blobs import Progress, is_near, upload_hashed
from aletheia_like.ports.documents import Create

_REMOTE_UPLOADS = (16, 1)
_LOCAL_UPLOADS = (2, 64)
"""Threads, and files that one of them takes at once: a disk is faster than handing over."""

_READ_BATCH = 300
_WRITE_BATCH = 400
_HEAD_CHARACTERS = 200

LONG_TEXT_BYTES = 16_384
"""A text over this many bytes of UTF-8 leaves its document for a blob."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine whose content has been hashed.

    Attributes:
        media_type: What it holds; None is guessed from its name.
        seen: What else was learned when it was hashed, if that is still known.
    """

    digest: str
    size: int
    path: Path
    media_type: str | None = None
    seen: Seen | None = None


def store_files(session: Session, files: Iterable[LocalFile], what: str) -> int:
    """Store what is not there yet; return how many bytes that was.

    Args:
        session: Where to.
        files: What; files of equal content are stored once.
        what: Named beside the progress bar.

    Raises:
        IntegrityError: A file no longer has the content that was hashed.
        SettingsError: The store has no place for bytes.
        UnavailableError: The store is away.
    """
    wanted = {file.digest: file for file in files if file.digest not in session.known_files}
    missing = _not_indexed(session, wanted)
    size = sum(file.size for file in missing)
    with transferring(
        f"storing {what}", size=size, files=len(missing), show=session.settings.progress
    ) as transfer:
        _upload(session, missing, _beating(session, transfer.add), transfer.finish)
    _index(session, missing)
    session.known_files.update(wanted)
    return size


def _beating(session: Session, progress: Progress) -> Progress:
    """Return what also keeps runs alive: whoever transfers may be who sends their heartbeats."""

    def told(count: int) -> None:
        progress(count)
        session.recorder.beat()

    return told


def store_bytes(session: Session, data: bytes, name: str) -> str:
    """Store bytes that are in memory and return their digest; `name` tells their media type.

    If the store is away they wait in the spool.
    """
    digest = digest_bytes(data)
    if digest in session.known_files:
        return digest
    with tempfile.TemporaryDirectory(prefix="aletheia-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            store_files(session, [LocalFile(digest, len(data), path)], name)
        except UnavailableError:
            session.spool.put_bytes(data, name)
    return digest


def _not_indexed(session: Session, wanted: dict[str, LocalFile]) -> list[LocalFile]:
    missing: list[LocalFile] = []
    for batch in _batches(list(wanted.values()), _READ_BATCH):
        found = session.documents.get_many([paths.file(file.digest) for file in batch])
        missing += [file for file, document in zip(batch, found, strict=True) if document is None]
    return missing


def _upload(
    session: Session, files: Sequence[LocalFile], progress: Progress, finish: Callable[[], None]
) -> None:
    def upload(some: Sequence[LocalFile]) -> None:
        for one in some:
            _upload_one(session, one, progress)
            finish()

    near = is_near(session.blobs_url)
    threads, portion = _LOCAL_UPLOADS if near else _REMOTE_UPLOADS
    if len(files) <= portion or _is_ending():
        upload(files)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="aletheia-upload") as pool:
        # Each in a copy of this context, so that it is counted for the same run.
        done = [pool.submit(copy_context().run, upload, some) for some in _batches(files, portion)]
        try:
            for future in done:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _upload_one(session: Session, file: LocalFile, progress: Progress) -> None:
    seen = file.seen
    if seen is None or not seen.settled or seen.digest != file.digest:
        session.blobs.upload(file.digest, file.path, progress)
    else:
        upload_hashed(session.blobs, file.digest, file.path, seen.state, progress)


def _is_ending() -> bool:
    """Whether the interpreter ends, so that threads can no longer be started."""
    return not threading.main_thread().is_alive()


def _index(session: Session, files: Sequence[LocalFile]) -> None:
    for batch in _batches(files, _WRITE_BATCH):
        try:
            session.documents.apply(
                [Create(paths.file(file.digest), _index_fields(session, file)) for file in batch]
            )
        except AlreadyExistsError:
            # Somebody stored some of the same content meanwhile: add what is still missing.
            _index(session, _not_indexed(session, {file.digest: file for file in batch}))


def _index_fields(session: Session, file: LocalFile) -> dict[str, Value]:
    media_type = file.media_type or mimetypes.guess_type(file.path.name)[0]
    return {
        "schema_version": SCHEMA_VERSION,
        "size": file.size,
        "crc32c": _crc32c(file.path) if file.seen is None else file.seen.crc32c,
        "media_type": media_type or "application/octet-stream",
        "where": session.blobs_url,
        "created_at": session.clock(),
    }


def _crc32c(path: Path) -> str:
    with path.open("rb", buffering=0) as stream:
        return digests_of(stream)[1]


def _batches(items: Sequence[LocalFile], size: int) -> Iterable[Sequence[LocalFile]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def shorten(session: Session, value: Value) -> Value:
    """Return a storable value with its long texts moved to blobs, each leaving a reference."""
    if isinstance(value, str) and len(value) > LONG_TEXT_BYTES // 4:
        data = value.encode()
        if len(data) > LONG_TEXT_BYTES:
            digest = store_bytes(session, data, "text.txt")
            return {"@text": [digest, len(data), value[:_HEAD_CHARACTERS]]}
    if isinstance(value, list):
        return [shorten(session, item) for item in value]
    if isinstance(value, dict):
        return {key: shorten(session, inner) for key, inner in value.items()}
    return value


def local_blob(session: Session, digest: str) -> Path:
    """Return a local file with the content of a blob, whether it was sent already or not."""
    if session.spool.path(digest) is not None:
        # What waits goes away when it is sent; the copy stays.
        with contextlib.suppress(NotFoundError):
            return session.cache.fetch(digest, source=session.spool)
    return session.cache.fetch(digest)


def local_file(session: Session, digest: str, name: str) -> Path:
    """Return a local file of this name with the content of a blob."""
    return session.cache.fetch_file(local_blob(session, digest).name, name)


def lengthen(session: Session, value: object) -> object:
    """Return a user's value with the references to long texts replaced by the texts."""
    if isinstance(value, LongText):
        return local_blob(session, value.digest).read_text(encoding="utf-8")
    if isinstance(value, list):
        return [lengthen(session, item) for item in value]
    if isinstance(value, dict):
        return {key: lengthen(session, inner) for key, inner in value.items()}
    return value
