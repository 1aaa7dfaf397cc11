"""The cache as everybody sees it."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from aletheia_like.cache.copies import Copies, Source, digest_of
from aletheia_like.cache.leases import gate, lease_on
from aletheia_like.cache.places import Places, translated
from aletheia_like.cache.pruning import Bounds, PruneReport, free_bytes, prune
from aletheia_like.cache.records import (
    is_intact,
    read_tree_record,
    settle_blob,
    settle_tree,
    touch,
)
from aletheia_like.cache.sweeping import sweep
from aletheia_like.cache.taking_stock import (
    CachedBlob,
    Holding,
    blob_paths,
    holdings,
    pins,
    size_of,
)
from aletheia_like.cache.trees import GetAll, Trees
from aletheia_like.cache.turns import Turn, turn
from aletheia_like.errors import AletheiaError
from aletheia_like.model.bytecounts import parse_size
from aletheia_like.model.digests import Manifest, ManifestEntry, check_digest, check_relative
from aletheia_like.ports.blobs import BlobStore, Progress

_log = logging.getLogger("aletheia")

_BATCH = 64
_WAY_BYTES = 64 << 20
_LOOK_SECONDS = 300.0
"""After this long a process looks again how much others have put into the cache."""


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
        max_size: Bytes that it may take after a download; without it as much as there is.
        min_free: Bytes that stay free on its disk after a download.
    """

    def __init__(
        self,
        root: Path,
        origin: BlobStore,
        *,
        max_size: int | None = None,
        min_free: int | None = None,
        near: bool = False,
    ) -> None:
        self._places = Places(root)
        self._copies = Copies(self._places, origin, near=near)
        self._copies.make_room = self._make_way
        self._trees = Trees(self._places, self._copies)
        self._lease = lease_on(root)
        self._bounds = Bounds(max_size, min_free)
        self._size = 0
        self._look_at = 0.0

    @property
    def root(self) -> Path:
        """The folder."""
        return self._places.root

    def path(self, digest: str) -> Path | None:
        """Return where a blob is, verified, or None if it is not here; never downloads."""
        blob = self._places.blob(digest)
        if not blob.exists():
            return None
        self._lease.take(digest)
        return blob if self._copies.is_intact(digest) else None

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
        blob, copies = self._places.blob(digest), self._copies
        self._lease.take(digest)
        if copies.is_intact(digest, trust=not verify):
            record = self._places.record(digest)
            if touch(record):
                settle_blob(self._places, blob, record)
            return blob
        with turn(self._places, digest) as mine:
            if not copies.is_intact(digest):
                told = mine.show(progress)
                copies.download(digest, told, is_alone=mine.is_alone, source=source)
                copies.remember(digest)
        self._make_room()
        return blob

    def fetch_file(
        self, digest: str, name: str, progress: Progress | None = None, *, verify: bool = False
    ) -> Path:
        """Return a blob as a file called `name`, so that it keeps its suffix."""
        folder, entry = self._places.tree(digest), ManifestEntry(check_relative(name), digest, 0)
        self._lease.take(digest)
        if verify or self._trees.stale(digest, [entry]):
            self._materialise(digest, [entry], None, progress, verify=verify)
        else:
            self._used(folder, self._places.tree_record(digest))
        return folder / name

    def fetch_tree(
        self,
        manifest: Manifest,
        progress: Progress | None = None,
        *,
        verify: bool = False,
        finished: Progress | None = None,
    ) -> Path:
        """Return a directory with the files of a manifest and no others; download the missing.

        Args:
            manifest: The files.
            progress: Told of downloaded bytes.
            verify: Hash local copies anew, whatever their records say.
            finished: Told of numbers of files that are here.
        """
        digest, entries = manifest.digest, manifest.entries
        self._lease.take(digest)
        if verify or self.tree(digest, len(entries)) is None:
            self._materialise(digest, entries, entries, progress, verify=verify, finished=finished)
        return self._places.tree(digest)

    def tree(self, digest: str, files: int) -> Path | None:
        """Return a directory that is here whole and unchanged, or None; never downloads.

        Args:
            digest: Of its manifest.
            files: How many files it has.
        """
        folder, record = self._places.tree(digest), self._places.tree_record(digest)
        if not folder.exists():
            return None
        self._lease.take(digest)
        if not is_intact(folder, record, files):
            return None
        self._used(folder, record)
        return folder

    def _used(self, folder: Path, record: Path) -> None:
        if touch(record):
            settle_tree(self._places, folder, record)

    def ls(self) -> list[CachedBlob]:
        """Return every blob here, the most recently used first."""
        pinned = pins(self._places)
        blobs = [one for one in reversed(self.holdings()) if one.kind == "blob"]
        return [
            CachedBlob(one.digest, one.size, one.used_at, one.path, one.digest in pinned)
            for one in blobs
        ]

    def holdings(self) -> list[Holding]:
        """Return what is pruned as a whole, the least recently used first."""
        return holdings(self._places)

    def size(self) -> int:
        """Return the bytes of all that a bound counts; files with several names count once."""
        return size_of(self.holdings())

    def pin(self, digest: str) -> None:
        """Never prune what has this digest, whether it is here already or not.

        Args:
            digest: Of a file, or of a directory's manifest, as `dataset.digest` tells it.

        Raises:
            AccessDeniedError: The cache may not be written.
        """
        path = self._places.pins / check_digest(digest)
        with translated(path):
            self._places.make_root()
            with gate(self._places):
                self._places.replace(path, b"")

    def unpin(self, digest: str) -> bool:
        """Let something be pruned again; return whether it was pinned."""
        path = self._places.pins / check_digest(digest)
        with translated(path):
            was_pinned = path.exists()
            path.unlink(missing_ok=True)
        return was_pinned

    def pinned(self) -> list[str]:
        """Return the digests that are pinned, sorted."""
        return sorted(pins(self._places))

    def release(self) -> None:
        """Let what this process was given be pruned, whatever opened it.

        A process keeps what it was given until it ends; one that ends late can say here that it
        has no more use for any path that it has.
        """
        self._lease.release()

    def prune(
        self,
        max_size: int | str | None = None,
        min_free: int | str | None = None,
        *,
        dry_run: bool = False,
    ) -> PruneReport:
        """Remove the least recently used, but nothing that is pinned or in use.

        Args:
            max_size: What to leave at most, in bytes or as text such as `50 GB`. Without either
                argument the bounds are those of the settings.
            min_free: What to leave free on the disk.
            dry_run: Only tell what would go.

        Raises:
            AccessDeniedError: The cache may not be written.
        """
        bounds = Bounds(
            *(None if one is None else parse_size(one) for one in (max_size, min_free))
        )
        if not dry_run:
            sweep(self._places)
        return prune(self._places, bounds if bounds.are_set else self._bounds, dry_run=dry_run)

    def verify(self, *, repair: bool = False, progress: Progress | None = None) -> CacheReport:
        """Hash every file here, whatever the records say, on all cores.

        Args:
            repair: Set wrong files aside, so that the next use fetches them anew.
            progress: Told of hashed bytes.
        """
        files = dict(self._to_verify())

        def is_right(path: Path) -> bool | None:
            try:
                size = path.stat().st_size
                right = digest_of(path) == files[path]
            except FileNotFoundError:
                return None
            if progress is not None:
                progress(size)
            return right

        paths = list(files)
        batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
        with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="aletheia-verify") as pool:
            answers = pool.map(lambda batch: [is_right(path) for path in batch], batches)
            found = dict(zip(paths, chain.from_iterable(answers), strict=True))
        wrong = tuple(path for path, right in found.items() if right is False)
        if repair and wrong:
            self._set_aside(wrong)
        return CacheReport(sum(right is not None for right in found.values()), wrong)

    def _to_verify(self) -> Iterator[tuple[Path, str]]:
        """Yield every blob, and files of directories that are no links to one, with sha-256."""
        linked = set()
        for path in blob_paths(self._places):
            with contextlib.suppress(FileNotFoundError):
                linked.add(path.stat().st_ino)
                yield path, path.name
        for path, inode, digest in self._tree_files():
            if inode not in linked:
                yield path, digest

    def _tree_files(self) -> Iterator[tuple[Path, int, str]]:
        """Yield the files of directories with inode and sha-256."""
        for record in sorted((self._places.records / "trees").glob("*.json")):
            for name, (digest, _) in read_tree_record(record, believed=False).items():
                path = self._places.trees / record.stem / name
                with contextlib.suppress(OSError):
                    yield path, path.stat().st_ino, digest

    def _set_aside(self, wrong: Sequence[Path]) -> None:
        """Put wrong files into quarantine, with every name that they have."""
        inodes = set()
        for path in wrong:
            with contextlib.suppress(FileNotFoundError):
                inodes.add(path.stat().st_ino)
                self._copies.quarantine(path)
        for path, inode, _ in list(self._tree_files()):
            if inode in inodes:
                with translated(path):
                    path.unlink(missing_ok=True)

    def _materialise(
        self,
        digest: str,
        entries: Sequence[ManifestEntry],
        whole: Sequence[ManifestEntry] | None,
        progress: Progress | None,
        *,
        verify: bool,
        finished: Progress | None = None,
    ) -> None:
        with turn(self._places, digest) as mine, translated(self._places.tree(digest)):
            stale = list(entries) if verify else self._trees.stale(digest, entries)
            if finished is not None and len(stale) < len(entries):
                finished(len(entries) - len(stale))
            if stale or not self._is_whole(digest, whole):
                getting = self._getting(mine, progress, finished, verify=verify)
                self._trees.make(digest, stale, whole, getting)
        self._make_room()

    def _is_whole(self, digest: str, whole: Sequence[ManifestEntry] | None) -> bool:
        if whole is None:
            return True
        return is_intact(self._places.tree(digest), self._places.tree_record(digest), len(whole))

    def _getting(
        self, mine: Turn, progress: Progress | None, finished: Progress | None, *, verify: bool
    ) -> GetAll:
        told = mine.show(progress)

        def get_all(entries: Iterable[ManifestEntry]) -> None:
            self._copies.get_all(
                entries, told, verify=verify, is_alone=mine.is_alone, finished=finished
            )

        return get_all

    def _make_room(self) -> None:
        """After a download: keep the bounds of the settings; what cannot be done is let be."""
        new, self._copies.downloaded = self._copies.downloaded, 0
        if not new or not self._bounds.are_set:
            return
        self._size += new
        now = time.monotonic()
        excess = self._bounds.excess(self._size, free_bytes(self._places))
        if now < self._look_at and not excess:
            return
        with contextlib.suppress(AletheiaError, OSError):
            report = prune(self._places, self._bounds, dry_run=True)
            if report.freed or report.missing:
                report = prune(self._places, self._bounds.lowered())
            self._size, self._look_at = report.size, now + _LOOK_SECONDS
            if report.missing:
                _log.info("%s passes its bound: what it holds is pinned or in use", self.root)

    def _make_way(self) -> bool:
        """Remove some of the least recently used, bounds or not, because the disk is full."""
        with contextlib.suppress(AletheiaError, OSError):
            some = max(_WAY_BYTES, self.size() // 10)
            bounds = Bounds(min_free=free_bytes(self._places) + some)
            return bool(prune(self._places, bounds).removed)
        return False

    def __repr__(self) -> str:
        return f"<LocalCache {self.root}>"
