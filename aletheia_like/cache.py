"""Local copies of blobs: complete and verified under their final name, or not there at all.

The layout is an interface; other programs may read it:

    CACHEDIR.TAG                      backup programs skip the folder
    blobs/{digest[:2]}/{digest}       a blob, read-only, named by its sha-256
    trees/{digest}/...                a directory by its manifest's digest, or a file under its
                                      own name: hard links to blobs if possible, else copies
    records/...                       what `stat` said when a file was last verified
    rows/                             rows of runs that have ended, for SQL
    documents/                        what data sets and artifacts are opened by, for offline work
    locks/                            best effort, so that one process downloads for all
    making/                           files of objects that are being stored
    quarantine/                       files that no longer had their content

A hit costs one `stat`: a file whose size, times or inode differ from its record is hashed anew; if
its content is right the record is renewed, else it is set aside and fetched again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aletheia_like.errors import AccessDeniedError, AletheiaError, UnavailableError
from aletheia_like.model.digests import (
    Manifest,
    ManifestEntry,
    check_digest,
    check_relative,
    digest_stream,
)
from aletheia_like.ports.blobs import BlobStore, Progress

_DOWNLOAD_THREADS = 16
_THREADED_FILES = 4
_LOCK_SECONDS = 600.0
_STALE_SECONDS = 24 * 3600.0
_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of aletheia-like; everything in it can be fetched again.\n"
)

StatRecord = list[int]


@dataclass(frozen=True, slots=True)
class CachedBlob:
    """One blob in the cache.

    Attributes:
        used_at: Seconds since the epoch when it was last asked for.
    """

    digest: str
    size: int
    used_at: float
    path: Path


class Source(Protocol):
    """Where a blob can be had from: a blob store, or a place where blobs wait for one."""

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        """Put a blob at a path, complete and verified, or leave the path as it is."""
        ...


@dataclass(frozen=True, slots=True)
class CacheReport:
    """What `verify` found: how many files were hashed, and which did not have their content."""

    checked: int
    wrong: tuple[Path, ...]


class LocalCache:
    """A folder of verified copies; any number of threads and processes may share it.

    Args:
        root: The folder; created by the first download.
        origin: Where blobs come from.
    """

    def __init__(self, root: Path, origin: BlobStore) -> None:
        self._root = root
        self._origin = origin
        self._cleaned: set[Path] = set()

    @property
    def root(self) -> Path:
        """The folder."""
        return self._root

    def path(self, digest: str) -> Path | None:
        """Return where a blob is, verified, or None if it is not here; never downloads."""
        blob = self._blob(digest)
        return blob if self._is_intact(blob, digest, self._record(digest)) else None

    def fetch(
        self,
        digest: str,
        progress: Progress | None = None,
        *,
        verify: bool = False,
        source: Source | None = None,
    ) -> Path:
        """Return where a blob is, downloading it if need be.

        Args:
            digest: Which.
            progress: Told of downloaded bytes.
            verify: Hash the local copy anew, whatever its record says.
            source: Where to get it, if not from the origin.

        Raises:
            NotFoundError: The store has no such blob.
            IntegrityError: What the store has is wrong.
            UnavailableError: The store is away, or the disk is full.
        """
        blob, record = self._blob(digest), self._record(digest)
        if self._is_intact(blob, digest, record, trust=not verify):
            _touch(record)
            return blob
        with self._locked(digest):
            if not self._is_intact(blob, digest, record):
                self._download(digest, blob, progress, source)
                with _translated(record):
                    _write_record(record, _stat_record(blob))
        return blob

    def fetch_file(
        self, digest: str, name: str, progress: Progress | None = None, *, verify: bool = False
    ) -> Path:
        """Return a blob as a file called `name`, so that it keeps its suffix."""
        check_relative(name)
        entry = ManifestEntry(name, digest, 0)
        folder = self._materialise(digest, [entry], progress, verify=verify)
        return folder / name

    def fetch_tree(
        self, manifest: Manifest, progress: Progress | None = None, *, verify: bool = False
    ) -> Path:
        """Return a directory with the files of a manifest, downloading what is missing."""
        return self._materialise(manifest.digest, manifest.entries, progress, verify=verify)

    def tree(self, digest: str, files: int) -> Path | None:
        """Return a directory that is here whole and unchanged, or None; never downloads.

        Args:
            digest: Of its manifest.
            files: How many files it has.
        """
        folder = self._root / "trees" / check_digest(digest)
        record = self._root / "records" / "trees" / f"{digest}.json"
        known = _read_records(record)
        below = f"{folder}/"
        if len(known) != files or not all(_matches(below + name, known[name]) for name in known):
            return None
        _touch(record)
        return folder

    def ls(self) -> list[CachedBlob]:
        """Return every blob here, the most recently used first."""
        blobs = [self._cached(path) for path in self._blobs()]
        return sorted(blobs, key=lambda blob: blob.used_at, reverse=True)

    def size(self) -> int:
        """Return the bytes of all blobs here."""
        return sum(path.stat().st_size for path in self._blobs())

    def verify(self, *, repair: bool = False) -> CacheReport:
        """Hash every blob here, whatever the records say.

        Args:
            repair: Set wrong files aside, so that the next use fetches them anew.
        """
        checked, wrong = 0, []
        for path in self._blobs():
            checked += 1
            if _digest(path) != path.name:
                wrong.append(path)
                if repair:
                    self._quarantine(path)
        return CacheReport(checked, tuple(wrong))

    def _materialise(
        self,
        digest: str,
        entries: Iterable[ManifestEntry],
        progress: Progress | None,
        *,
        verify: bool,
    ) -> Path:
        folder = self._root / "trees" / check_digest(digest)
        record = self._root / "records" / "trees" / f"{digest}.json"
        known = _read_records(record)
        below = f"{folder}/"
        stale = [
            entry
            for entry in entries
            if verify or not _matches(below + entry.path, known.get(entry.path))
        ]
        if not stale:
            _touch(record)
            return folder
        with self._locked(digest), _translated(folder):
            self._fetch_all(stale, progress, verify=verify)
            for entry in stale:
                self._place(entry, folder / entry.path)
            # Only now: every further link to a blob changes the ctime of the earlier ones.
            known |= {entry.path: _stat_record(folder / entry.path) or [] for entry in stale}
            _write_records(record, known)
        return folder

    def _fetch_all(
        self, entries: list[ManifestEntry], progress: Progress | None, *, verify: bool
    ) -> None:
        """Fetch blobs; the caller holds a lock for all of them."""
        digests = list(dict.fromkeys(entry.digest for entry in entries))
        if len(digests) < _THREADED_FILES:
            for digest in digests:
                self._fetch_unlocked(digest, progress, verify=verify)
            return
        with ThreadPoolExecutor(_DOWNLOAD_THREADS, thread_name_prefix="aletheia-fetch") as pool:
            futures = [
                pool.submit(self._fetch_unlocked, one, progress, verify=verify) for one in digests
            ]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _fetch_unlocked(self, digest: str, progress: Progress | None, *, verify: bool) -> None:
        blob, record = self._blob(digest), self._record(digest)
        if not self._is_intact(blob, digest, record, trust=not verify):
            self._download(digest, blob, progress)

    def _place(self, entry: ManifestEntry, target: Path) -> None:
        """Put a blob at its place in a tree, whole."""
        blob = self._blob(entry.digest)
        with contextlib.suppress(FileNotFoundError):
            if target.samefile(blob):
                return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = f"{target.parent}/.{secrets.token_hex(8)}.part"
        try:
            _link_or_copy(blob, temporary)
            os.replace(temporary, target)  # noqa: PTH105 - once a file, for speed
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108
            raise
        record = self._record(entry.digest)
        if record.exists():
            # A new link changes the blob's ctime, which its record holds too.
            _write_record(record, _stat_record(blob))

    def _download(
        self,
        digest: str,
        blob: Path,
        progress: Progress | None,
        source: Source | None = None,
    ) -> None:
        with _translated(blob):
            self._make_root()
            blob.parent.mkdir(parents=True, exist_ok=True)
            if blob.parent not in self._cleaned:
                _remove_leftovers(blob.parent)
                self._cleaned.add(blob.parent)
        (source or self._origin).download(digest, blob, progress)
        with _translated(blob):
            blob.chmod(0o444)

    def _is_intact(self, blob: Path, digest: str, record: Path, *, trust: bool = True) -> bool:
        """Whether a file has its content; one that does not is set aside."""
        status = _stat_record(blob)
        if status is None:
            return False
        if trust and status == _read_record(record):
            return True
        if _digest(blob) == digest:
            with contextlib.suppress(OSError):
                _write_record(record, status)
            return True
        self._quarantine(blob)
        return False

    def _quarantine(self, path: Path) -> None:
        aside = self._root / "quarantine" / f"{path.name}.{secrets.token_hex(4)}"
        with _translated(path):
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.replace(aside)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Hold a lock so that others wait for the same work; go on without it if that fails."""
        import filelock

        folder = self._root / "locks"
        lock: filelock.BaseFileLock | None = None
        with contextlib.suppress(OSError, filelock.Timeout, NotImplementedError):
            folder.mkdir(parents=True, exist_ok=True)
            wanted = filelock.FileLock(folder / f"{name}.lock", timeout=_LOCK_SECONDS)
            wanted.acquire()
            lock = wanted
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    def _make_root(self) -> None:
        tag = self._root / "CACHEDIR.TAG"
        if not tag.exists():
            self._root.mkdir(parents=True, exist_ok=True)
            tag.write_text(_TAG)

    def _blob(self, digest: str) -> Path:
        return self._root / "blobs" / check_digest(digest)[:2] / digest

    def _record(self, digest: str) -> Path:
        return self._root / "records" / digest[:2] / digest

    def _blobs(self) -> Iterator[Path]:
        for path in sorted((self._root / "blobs").glob("[0-9a-f][0-9a-f]/*")):
            if not path.name.startswith("."):
                yield path

    def _cached(self, path: Path) -> CachedBlob:
        record = self._record(path.name)
        status = path.stat()
        used_at = record.stat().st_mtime if record.exists() else status.st_mtime
        return CachedBlob(path.name, status.st_size, used_at, path)

    def __repr__(self) -> str:
        return f"<LocalCache {self._root}>"


def _link_or_copy(blob: Path, target: str) -> None:
    try:
        os.link(blob, target)  # once a file, so not by way of Path
    except OSError:
        # Another file system, or too many links to one file.
        shutil.copyfile(blob, target)
        os.chmod(target, 0o444)  # noqa: PTH101


def _digest(path: Path) -> str:
    with path.open("rb", buffering=0) as stream:
        return digest_stream(stream)


def _stat_record(path: str | Path) -> StatRecord | None:
    """Return what tells a file from a changed one: size, times, inode."""
    try:
        status = os.stat(path)  # noqa: PTH116 - paths of trees are texts, for speed
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]


def _matches(path: str, record: StatRecord | None) -> bool:
    return record is not None and record == _stat_record(path)


def _read_record(path: Path) -> StatRecord | None:
    try:
        return [int(part) for part in path.read_text().split()]
    except (OSError, ValueError):
        return None


def _write_record(path: Path, record: StatRecord | None) -> None:
    if record is not None:
        _replace(path, " ".join(map(str, record)))


def _read_records(path: Path) -> dict[str, StatRecord]:
    try:
        records = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return records if isinstance(records, dict) else {}


def _write_records(path: Path, records: Mapping[str, StatRecord]) -> None:
    _replace(path, json.dumps(records, ensure_ascii=False))


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        temporary.write_text(text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_leftovers(folder: Path) -> None:
    """Remove what downloads that were killed left here long ago."""
    oldest = time.time() - _STALE_SECONDS
    for path in folder.glob(".*.part"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def _touch(record: Path) -> None:
    """Remember that something was used now; a read-only cache just does not."""
    with contextlib.suppress(OSError):
        os.utime(record)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except AletheiaError:
        # Some of ours are the operating system's too, and say it better.
        raise
    except OSError as error:
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            message = f"{path} may not be written: choose another cache_dir"
            raise AccessDeniedError(message) from error
        message = (
            f"{path}: {error.strerror or error}: free some space, or choose another cache_dir"
        )
        raise UnavailableError(message) from error
