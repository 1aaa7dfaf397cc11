"""Puts bytes into the blob store and their index documents into `files/`, each content once.

The blob is stored before any document mentions it, so whoever finds the index document may rely
on the blob.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import mimetypes
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aletheia_like.capture.files import digests_of
from aletheia_like.capture.trees import Seen, Taken
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
from aletheia_like.ports.blobs import is_near, upload_bytes, upload_hashed
from aletheia_like.ports.documents import (
    MAX_WRITES,
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

_WRITE_BATCH = MAX_WRITES - 20
_GROUP_BYTES = 4 << 30
_LOOKS = 3
_HEAD_CHARACTERS = 200

LONG_TEXT_BYTES = 16_384
"""A text over this many bytes of UTF-8 leaves its document for a blob."""

_SURELY_SHORT = LONG_TEXT_BYTES // 4
_SHORT = frozenset({type(None), bool, int, float})


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

    @property
    def crc32c(self) -> str:
        """As Cloud Storage shows it; reads the file if that is not known."""
        if self.seen is not None:
            return self.seen.crc32c
        with self.path.open("rb", buffering=0) as stream:
            return digests_of(stream)[1]

    @property
    def name(self) -> str:
        """What it is called in its folder."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A small file whose bytes were hashed and are still in memory.

    Attributes:
        taken: Its bytes, and what was learned.
        media_type: What it holds; None is guessed from its name.
    """

    taken: Taken
    media_type: str | None = None

    @property
    def digest(self) -> str:
        """The sha-256 of its bytes."""
        return self.taken.seen.digest

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.taken.data)

    @property
    def crc32c(self) -> str:
        """As Cloud Storage shows it."""
        return self.taken.seen.crc32c

    @property
    def name(self) -> str:
        """What it is called in its folder."""
        return self.taken.path.rpartition(os.sep)[2]

    @property
    def local(self) -> LocalFile:
        """The file that it is on this machine."""
        seen = self.taken.seen
        return LocalFile(seen.digest, self.size, Path(self.taken.path), self.media_type, seen)


_File = LocalFile | HeldFile
F = TypeVar("F", LocalFile, HeldFile)


def store_files(
    session: Session, files: Iterable[LocalFile], what: str, transfer: Transfer | None = None
) -> int:
    """Store what is not there yet; return how many bytes that was.

    Args:
        session: Where to.
        files: What; files of equal content are stored once.
        what: Named beside the progress bar.
        transfer: Whom to tell instead of a progress bar.

    Raises:
        IntegrityError: A file no longer has the content that was hashed.
        SettingsError: The store has no place for bytes.
        UnavailableError: The store is away.
    """
    wanted = {file.digest: file for file in files if not is_known(session, file.digest)}
    return _store_wanted(session, wanted, what, transfer) if wanted else 0


def store_held(session: Session, files: Sequence[HeldFile], what: str, transfer: Transfer) -> None:
    """Store files whose bytes are in memory, in a store where it costs little to do so in vain.

    A blob that was not there has hardly an index document, so this is not looked for: creating
    it tells. All others are stored as `store_files` does it.
    """
    wanted = {file.digest: file for file in files if not is_known(session, file.digest)}
    for group in _groups(list(wanted.values())):
        begun = time.monotonic()
        new = _upload_held(session, group, _beating(session, transfer))
        is_indexed = bool(new) and _index(session, new, {})
        # What took long may have been collected before it was indexed.
        if is_indexed and time.monotonic() - begun < session.renew_seconds:
            session.known_files.update((file.digest, begun) for file in new)
    others = (file.local for file in wanted.values() if not is_known(session, file.digest))
    store_files(session, others, what, transfer)


def _store_wanted(
    session: Session, wanted: Mapping[str, LocalFile], what: str, transfer: Transfer | None
) -> int:
    size = 0
    for _ in range(_LOOKS):
        begun = time.monotonic()
        size += _store(session, wanted, what, transfer)
        session.known_files.update(dict.fromkeys(wanted, begun))
        if time.monotonic() - begun < session.renew_seconds:
            break
        # It took so long that what was there at first may have been collected.
        _log.info("storing %s took long: looking again", what)
    return size


def _store(
    session: Session, wanted: Mapping[str, LocalFile], what: str, told: Transfer | None
) -> int:
    looked = look(session, wanted)
    missing = [wanted[digest] for digest in wanted if digest in looked.missing]
    size = sum(file.size for file in missing)
    with (
        contextlib.nullcontext(told)
        if told
        else bar(session, what, size, len(missing)) as transfer
    ):
        for group in _groups(missing):
            _store_missing(session, group, looked.left, _beating(session, transfer))
    return size


def bar(
    session: Session, what: str, size: int, files: int
) -> contextlib.AbstractContextManager[Transfer]:
    """Draw a progress bar, if it is wanted, while so many bytes and files are stored."""
    return transferring(f"storing {what}", size=size, files=files, show=session.settings.progress)


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


def _upload_held(
    session: Session, files: Sequence[HeldFile], transfer: Transfer
) -> list[HeldFile]:
    """Upload files from memory; return those whose bytes were not there."""
    contents = [(file.digest, file.taken.data) for file in files]
    stored = upload_bytes(session.blobs, contents, transfer.add)
    transfer.finished(len(files))
    return list(itertools.compress(files, stored))


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


def _index(session: Session, files: Sequence[_File], left: Mapping[str, Document]) -> bool:
    """Create index documents, or take over what a collection left; False if one is there."""
    writes: list[Write] = []
    created = {"schema_version": SCHEMA_VERSION, "where": session.blobs_url}
    created["created_at"] = session.clock()
    types: dict[str, str] = {}
    for file in files:
        path, earlier = paths.file(file.digest), left.get(file.digest)
        if earlier is None:
            writes.append(Create(path, {**_fields(file, types), **created}))
        else:
            changes: dict[FieldPath, Value | Removal] = {(SWEPT_BY,): REMOVE}
            changes[RENEWED,] = new_token()
            writes.append(Update(path, changes, earlier.revision))
    try:
        session.documents.apply(writes)
    except (AlreadyExistsError, ConflictError):
        return False
    return True


def _fields(file: _File, types: dict[str, str]) -> dict[str, Value]:
    """Return what an index document says of a file; `types` are those of earlier suffixes."""
    name = file.name.lstrip(".")
    suffixes = ".".join(["", *name.split(".")[1:][-2:]])
    if suffixes not in types:
        guessed = mimetypes.guess_type(f"file{suffixes}")[0]
        types[suffixes] = guessed or "application/octet-stream"
    return {
        "size": file.size,
        "crc32c": file.crc32c,
        "media_type": file.media_type or types[suffixes],
    }


def _groups(files: Sequence[F]) -> Iterator[list[F]]:
    """Yield files in parts that are stored soon after each other, and indexed at once."""
    group: list[F] = []
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
    if isinstance(value, str) and len(value) > _SURELY_SHORT:
        data = value.encode()
        if len(data) > LONG_TEXT_BYTES:
            digest = store_bytes(session, data, "text.txt")
            return {"@text": [digest, len(data), value[:_HEAD_CHARACTERS]]}
    if isinstance(value, list):
        return [shorten(session, item) for item in value]
    if isinstance(value, dict):
        return {
            key: inner if type(inner) in _SHORT else shorten(session, inner)
            for key, inner in value.items()
        }
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
