"""Puts bytes into the blob store and their index documents into `files/`, each content once.

The blob is stored before any document mentions it, so whoever finds the index document may rely
on the blob.
"""

from __future__ import annotations

import contextlib
import logging
import mimetypes
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path

from aletheia_like.capture.files import Seen, digests_of
from aletheia_like.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from aletheia_like.metastore.progress import Transfer, transferring
from aletheia_like.metastore.renewing import RENEWED, SWEPT_BY, is_known, look
from aletheia_like.metastore.session import Session, new_token
from aletheia_like.model import paths
from aletheia_like.model.codec import SCHEMA_VERSION
from aletheia_like.model.digests import digest_bytes
from aletheia_like.model.values import FieldPath, LongText, Value
from aletheia_like.ports.blobs import is_near, upload_hashed
from aletheia_like.ports.documents import (
    REMOVE,
    Create,
    Document,
    Removal,
    Update,
    Write,
)

_log = logging.getLogger("aletheia")

_REMOTE_UPLOADS = (16, 1)
_LOCAL_UPLOADS = (2, 64)
"""Threads, and files that one of them takes at once: a disk is faster than handing over."""
_SMALL_BYTES = 1 << 16
"""Files of about this size are copied one after the other: threads only wait for each other."""
_LARGE_BYTES = 1 << 20
"""Files of about this size are waited for, until the disk has them: best side by side."""

_WRITE_BATCH = 400
_GROUP_BYTES = 4 << 30
_LOOKS = 3
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
    wanted = {file.digest: file for file in files if not is_known(session, file.digest)}
    size = 0
    for _ in range(_LOOKS if wanted else 0):
        begun = time.monotonic()
        size += _store(session, wanted, what)
        session.known_files.update(dict.fromkeys(wanted, begun))
        if time.monotonic() - begun < session.renew_seconds:
            break
        # It took so long that what was there at first may have been collected.
        _log.info("storing %s took long: looking again", what)
    return size


def _store(session: Session, wanted: Mapping[str, LocalFile], what: str) -> int:
    looked = look(session, wanted)
    missing = [wanted[digest] for digest in wanted if digest in looked.missing]
    size = sum(file.size for file in missing)
    with transferring(
        f"storing {what}", size=size, files=len(missing), show=session.settings.progress
    ) as transfer:
        for group in _groups(missing):
            _store_missing(session, group, looked.left, _beating(session, transfer))
    return size


def _store_missing(
    session: Session,
    files: Sequence[LocalFile],
    left: Mapping[str, Document],
    transfer: Transfer,
) -> None:
    """Upload files and index them, again as long as somebody interferes."""
    while files:
        begun = time.monotonic()
        was_there = _upload(session, files, transfer)
        if not _index(session, files, left):
            # Somebody stored, or collected, some of the same content meanwhile.
            looked = look(session, [file.digest for file in files])
            files = [file for file in files if file.digest in looked.missing]
            left = looked.left
            continue
        # Nobody can collect them from now on, but perhaps somebody just has: bytes that were
        # there before their index document, and those that were stored long before.
        if time.monotonic() - begun > session.renew_seconds:
            was_there = list(files)
        lost = [file for file in was_there if not session.blobs.exists(file.digest)]
        if lost:
            _upload(session, lost, transfer)
        return


def _beating(session: Session, transfer: Transfer) -> Transfer:
    """Return what also keeps runs alive: whoever transfers may be who sends their heartbeats."""

    def told(count: int) -> None:
        transfer.add(count)
        session.recorder.beat()

    return Transfer(told, transfer.finished)


def store_bytes(session: Session, data: bytes, name: str) -> str:
    """Store bytes that are in memory and return their digest; `name` tells their media type.

    If the store is away they wait in the spool.
    """
    digest = digest_bytes(data)
    if is_known(session, digest):
        return digest
    with tempfile.TemporaryDirectory(prefix="aletheia-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            store_files(session, [LocalFile(digest, len(data), path)], name)
        except UnavailableError:
            session.spool.put_bytes(data, name)
    return digest


def _upload(session: Session, files: Sequence[LocalFile], transfer: Transfer) -> list[LocalFile]:
    """Upload files; return those whose bytes were there already."""

    def upload(some: Sequence[LocalFile]) -> list[LocalFile]:
        return [one for one in some if not _upload_one(session, one, transfer)]

    near = is_near(session.blobs_url)
    threads, portion = _LOCAL_UPLOADS if near else _REMOTE_UPLOADS
    size = sum(file.size for file in files)
    if size >= _LARGE_BYTES * len(files):
        portion = 1
    is_small = near and size <= _SMALL_BYTES * len(files)
    if is_small or len(files) <= portion or _is_ending():
        return upload(files)
    portions = [files[start : start + portion] for start in range(0, len(files), portion)]
    with ThreadPoolExecutor(threads, thread_name_prefix="aletheia-upload") as pool:
        # Each in a copy of this context, so that it is counted for the same run.
        done = [pool.submit(copy_context().run, upload, some) for some in portions]
        try:
            return [one for future in done for one in future.result()]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _upload_one(session: Session, file: LocalFile, transfer: Transfer) -> bool:
    """Upload a file; return whether its bytes were new."""
    blobs, seen = session.blobs, file.seen
    if seen is None or not seen.settled or seen.digest != file.digest:
        is_new = blobs.upload(file.digest, file.path, transfer.add)
    else:
        is_new = upload_hashed(blobs, file.digest, file.path, seen.state, transfer.add)
    transfer.finish()
    return is_new


def _is_ending() -> bool:
    """Whether the interpreter ends, so that threads can no longer be started."""
    return not threading.main_thread().is_alive()


def _index(session: Session, files: Sequence[LocalFile], left: Mapping[str, Document]) -> bool:
    """Create index documents, or take over what a collection left; False if one is there."""
    writes: list[Write] = []
    for file in files:
        path, earlier = paths.file(file.digest), left.get(file.digest)
        if earlier is None:
            writes.append(Create(path, _index_fields(session, file)))
        else:
            changes: dict[FieldPath, Value | Removal] = {(SWEPT_BY,): REMOVE}
            changes[RENEWED,] = new_token()
            writes.append(Update(path, changes, earlier.revision))
    try:
        session.documents.apply(writes)
    except (AlreadyExistsError, ConflictError):
        return False
    return True


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


def _groups(files: Sequence[LocalFile]) -> Iterator[list[LocalFile]]:
    """Yield files in parts that are stored soon after each other, and indexed at once."""
    group: list[LocalFile] = []
    size = 0
    for file in files:
        if len(group) == _WRITE_BATCH or (group and size + file.size > _GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(file)
        size += file.size
    if group:
        yield group


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


def read_text(session: Session, digest: str) -> str:
    """Return the text of a blob as it was given: its ends of lines stay what they are."""
    return local_blob(session, digest).read_bytes().decode()


def lengthen(session: Session, value: object) -> object:
    """Return a user's value with the references to long texts replaced by the texts."""
    if isinstance(value, LongText):
        return read_text(session, value.digest)
    if isinstance(value, list):
        return [lengthen(session, item) for item in value]
    if isinstance(value, dict):
        return {key: lengthen(session, inner) for key, inner in value.items()}
    return value
