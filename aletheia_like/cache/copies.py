"""Blobs in a cache, one by one: whether a copy is right, and how it gets here."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from aletheia_like.cache.places import Places, translated
from aletheia_like.cache.records import read_record, seen, settle, this_boot, write_record
from aletheia_like.cache.sweeping import remove_parts, sweep_daily
from aletheia_like.errors import UnavailableError
from aletheia_like.model.digests import ManifestEntry
from aletheia_like.ports.blobs import SMALL_BYTES, Progress, download_many

_THREADED_FILES = 4
_MANY_FILES, _AHEAD_THREADS = 16, 2
"""So many small files are asked for ahead, by so many threads."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NEAR, _FAR = (2, 64), (16, 1)
"""Threads, and files that one of them takes at once: a disk is faster than taking turns."""


T = TypeVar("T")


class Source(Protocol):
    """Where a blob can be had from: a blob store, or a place where blobs wait for one."""

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        """Put a blob at a path, complete and verified, or leave the path as it is."""
        ...


class Copies:
    """The blobs of a cache.

    Args:
        places: The cache.
        origin: Where blobs come from.
        near: Whether that is a disk of this machine.
    """

    def __init__(self, places: Places, origin: Source, *, near: bool = False) -> None:
        self._places = places
        self._origin = origin
        self._threads, self._portion = _NEAR if near else _FAR
        self._tidied: set[str] = set()
        self.downloaded = 0
        """Bytes that came since somebody set this to 0."""
        self.make_room: Callable[[], bool] = lambda: False
        """Called when the disk is full; returns whether something was removed."""

    def is_intact(self, digest: str, *, trust: bool = True) -> bool:
        """Whether a blob is here and has its content; one that has not is set aside.

        Args:
            digest: Which.
            trust: Believe the record, if the file looks as it says; else hash it.
        """
        status = seen(self._places.blob_name(digest))
        if status is None:
            return False
        blob, record = self._places.blob(digest), self._places.record(digest)
        if trust and status == read_record(record):
            return True
        if digest_of(blob) == digest:
            with contextlib.suppress(OSError):
                # What was hashed is on the disk already, but for what was downloaded just now.
                settle(blob)
                write_record(self._places, record, status, settled=True)
            return True
        self.quarantine(blob)
        return False

    def remember(self, digest: str) -> None:
        """Write down how a blob looks that was verified a moment ago."""
        record = self._places.record(digest)
        blob = self._places.blob(digest)
        with translated(record):
            if not this_boot():
                settle(blob)
            write_record(self._places, record, seen(blob), settled=not this_boot())

    def get_all(
        self,
        files: Iterable[ManifestEntry],
        progress: Progress | None,
        *,
        verify: bool,
        is_alone: bool,
        finished: Progress | None = None,
    ) -> None:
        """Download what is missing or wrong, many at once.

        Args:
            files: Of which the contents are wanted.
            progress: Told of downloaded bytes.
            verify: Hash what is here.
            is_alone: Whether nobody else downloads the same.
            finished: Told of files that are here, each time one more content is.
        """
        each_file = list(files)
        sizes = {one.digest: one.size for one in each_file}
        wanted = Counter(one.digest for one in each_file)
        done: set[str] = set()

        def finish(digest: str) -> None:
            done.add(digest)
            if finished is not None:
                finished(wanted[digest])

        def get(some: list[str]) -> None:
            for digest in some:
                if not self.is_intact(digest, trust=not verify):
                    self.download(digest, progress, is_alone=is_alone)
                finish(digest)

        def get_small(waiting: deque[str]) -> None:
            came = True
            while waiting and came:
                asked: list[str] = []
                missing = self._missing(waiting, asked, finish, verify=verify, is_alone=is_alone)
                came = False
                for digest, size in download_many(self._origin, missing, progress):
                    with translated(self._places.blobs):
                        os.chmod(self._places.blob_name(digest), 0o444)  # noqa: PTH101 - for speed
                    self.downloaded += size
                    finish(digest)
                    came = True
                if came:
                    # Something went wrong with a few: by themselves they are tried again.
                    get([digest for digest in asked if digest not in done])

        small = deque(digest for digest, size in sizes.items() if size <= SMALL_BYTES)
        if self._portion == 1 and len(small) >= _MANY_FILES:
            _by_threads(_AHEAD_THREADS, get_small, [small] * _AHEAD_THREADS)
        each, step = [one for one in wanted if one not in done], self._portion
        if len(each) < max(_THREADED_FILES, step):
            get(each)
            return
        _by_threads(self._threads, get, [each[at : at + step] for at in range(0, len(each), step)])

    def _missing(
        self,
        waiting: deque[str],
        asked: list[str],
        finish: Callable[[str], None],
        *,
        verify: bool,
        is_alone: bool,
    ) -> Iterator[tuple[str, str]]:
        """Take from a queue, and yield and note what is not here, with the path of it."""
        while True:
            try:
                digest = waiting.popleft()
            except IndexError:
                return
            if self.is_intact(digest, trust=not verify):
                finish(digest)
                continue
            asked.append(digest)
            self._make_folder(digest, is_alone=is_alone)
            yield digest, self._places.blob_name(digest)

    def download(
        self,
        digest: str,
        progress: Progress | None,
        *,
        is_alone: bool,
        source: Source | None = None,
    ) -> None:
        """Bring a blob here."""
        blob = self._places.blob(digest)
        self._make_folder(digest, is_alone=is_alone)
        while True:
            try:
                (source or self._origin).download(digest, blob, progress)
                break
            except UnavailableError as error:
                # What is here already was kept, so a further attempt goes on from there.
                if not is_full(error) or not self.make_room():
                    raise
        with translated(blob):
            os.chmod(blob, 0o444)  # noqa: PTH101 - once a file, so not by way of Path
            self.downloaded += os.stat(blob).st_size  # noqa: PTH116

    def _make_folder(self, digest: str, *, is_alone: bool) -> None:
        """Make the folder of a blob, and remove what killed downloads left there."""
        kind = digest[:2]
        if kind in self._tidied and os.path.isdir(f"{self._places.blobs}/{kind}"):  # noqa: PTH112
            return
        blob = self._places.blob(digest)
        with translated(blob):
            if not self._tidied:
                self._places.make_root()
                sweep_daily(self._places)
            if not self._places.make(blob.parent):
                remove_parts(blob, is_alone=is_alone)
            self._tidied.add(kind)

    def quarantine(self, path: Path) -> None:
        """Set something aside."""
        aside = self._places.quarantine / f"{path.name}.{secrets.token_hex(4)}"
        with translated(path):
            self._places.make(aside.parent)
            with contextlib.suppress(FileNotFoundError):
                path.replace(aside)
                os.utime(aside)


def _by_threads(threads: int, action: Callable[[T], None], portions: list[T]) -> None:
    """Do something with every portion; after the first error no further one is begun."""
    waiting = deque(portions)

    def work() -> None:
        try:
            while True:
                try:
                    portion = waiting.popleft()
                except IndexError:
                    return
                action(portion)
        except BaseException:
            waiting.clear()
            raise

    with ThreadPoolExecutor(threads, thread_name_prefix="aletheia-fetch") as pool:
        workers = [pool.submit(work) for _ in range(min(threads, len(portions)))]
        try:
            for worker in workers:
                worker.result()
        finally:
            waiting.clear()


def is_full(error: BaseException | None) -> bool:
    """Whether a disk without room is behind an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        error = error.__cause__
    return False


def digest_of(path: Path) -> str:
    """Return the sha-256 of a file."""
    with path.open("rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
