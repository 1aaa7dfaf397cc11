"""Files at an address that fsspec reads: what is there, its bytes, and whether it has changed.

Bytes are hashed as they come, a mebibyte at a time, so neither memory nor a second reading is
needed, whatever the size. What a place tells of itself - sizes, and generations, entity tags or
times - is compared before and after, and later again by whoever holds a reference.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aletheia_like.capture.trees import FileTree
from aletheia_like.errors import IntegrityError, InvalidValueError, NotFoundError, UnavailableError
from aletheia_like.metastore.fetching import persistently
from aletheia_like.metastore.progress import Transfer
from aletheia_like.model.digests import Manifest, ManifestEntry, check_relative, digest_bytes
from aletheia_like.ports.blobs import Progress

_CHUNK_BYTES = 1 << 20
_BLOCK_BYTES = 8 << 20
_THREADS = 8
_MARKS = (
    "generation",
    "etag",
    "ETag",
    "md5Hash",
    "Content-MD5",
    "Digest",
    "mtime",
    "LastModified",
    "Last-Modified",
    "updated",
    "created",
)
_MARK_DIGITS = 32
_WEB = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as its place describes it.

    Attributes:
        path: Relative to the folder, or its name.
        at: How the file system calls it.
        size: Bytes, if it is told.
        mark: Changes whenever the content does: a generation, an entity tag, a time.
    """

    path: str
    at: str
    size: int | None
    mark: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What is at an address."""

    kind: Literal["file", "directory"]
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files whose size is told."""
        return sum(file.size or 0 for file in self.files)

    @property
    def state(self) -> dict[str, Any]:
        """What is recorded of it, and compared later."""
        if self.kind == "file":
            return _known(size=self.files[0].size, mark=self.files[0].mark)
        lines = [f"{one.path}\0{one.size}\0{one.mark}" for one in self.files]
        mark = digest_bytes("\n".join(lines).encode())[:_MARK_DIGITS]
        return {"files": len(self.files), "size": self.size, "mark": mark}


class Place:
    """A file or folder at an address; nothing is asked before the first call.

    Args:
        url: The address.
        deadline: Seconds for which one file is tried again while it makes no progress.
    """

    def __init__(self, url: str, deadline: float) -> None:
        self._url = url
        self._scheme = url.partition("://")[0].lower()
        self._deadline = deadline

    def look(self) -> Listing:
        """Return what is there now.

        Raises:
            NotFoundError: Nothing is.
            InvalidValueError: It is no address, or a name there leads out of its folder.
            UnavailableError: Whoever has it cannot be reached.
        """
        return persistently(self._url, self._look, self._deadline)

    def read(
        self, listing: Listing, folder: Path | None, transfer: Transfer | None = None
    ) -> FileTree:
        """Hash what is there, and copy it into a folder if one is given.

        Raises:
            IntegrityError: It changed meanwhile.
            UnavailableError: A transfer broke off, again and again.
        """
        name = self._url.rstrip("/").rpartition("/")[2].partition("?")[0] or "data"
        name = listing.files[0].path if listing.kind == "file" else _safe(name)
        root = (folder or Path()) / name
        below = root if listing.kind == "directory" else root.parent

        told = transfer or Transfer()

        def one(file: RemoteFile) -> ManifestEntry:
            entry = self._read(file, None if folder is None else below / file.path, told.add)
            told.finish()
            return entry

        entries = _each(one, listing.files)
        if self.look().state != listing.state:
            message = f"{self._url} changed while it was read: wait until it is complete"
            raise IntegrityError(message)
        manifest = Manifest.of(entries)
        digest = manifest.digest if listing.kind == "directory" else entries[0].digest
        return FileTree(root, listing.kind, digest, listed=manifest)

    def download(
        self, file: RemoteFile, digest: str, path: Path, progress: Progress | None = None
    ) -> None:
        """Put one file at a path, complete and verified, or leave the path as it is.

        Raises:
            IntegrityError: Its content is not what it was.
        """
        temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(8)}.part")
        try:
            found = self._read(file, temporary, progress)
            if found.digest != digest:
                message = f"{self._url}: {file.path} no longer has the sha-256 {digest}"
                raise IntegrityError(message)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _look(self) -> Listing:
        filesystem, path = self._opened()
        filesystem.invalidate_cache()
        # `exists` says no of a server that is away, too.
        is_folder = self._scheme in _WEB and self._url.endswith("/")
        info = {} if is_folder else filesystem.info(path)
        if not is_folder and info["type"] != "directory":
            return Listing("file", (_file(_safe(_last(path)), path, info),))
        found: Mapping[str, Mapping[str, Any]] = filesystem.find(path, detail=True)
        if self._scheme in _WEB:
            asked = [one for one in found if one.startswith(path) and not one.endswith("/")]
            found = dict(zip(asked, _each(filesystem.info, asked), strict=True))
        root = filesystem._strip_protocol(path).rstrip("/") + "/"  # noqa: SLF001 - as fsspec names it
        files = [
            _file(_below(at, root), at, info)
            for at, info in sorted(found.items())
            if info["type"] == "file"
        ]
        if not files:
            message = f"{self._url} has no files: a dataset needs at least one"
            raise InvalidValueError(message)
        return Listing("directory", tuple(sorted(files, key=lambda file: file.path)))

    def _read(
        self, file: RemoteFile, target: Path | None, progress: Progress | None
    ) -> ManifestEntry:
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
        furthest, moved_at = 0, time.monotonic()

        def reached(size: int) -> None:
            nonlocal furthest, moved_at
            if size > furthest:
                furthest, moved_at = size, time.monotonic()

        return persistently(
            self._url,
            lambda: self._transfer(file, target, progress, reached),
            self._deadline,
            lambda: moved_at,
        )

    def _transfer(
        self,
        file: RemoteFile,
        target: Path | None,
        progress: Progress | None,
        reached: Callable[[int], None],
    ) -> ManifestEntry:
        """Read one file from its start to its end."""
        filesystem, _ = self._opened()
        hasher, size = hashlib.sha256(), 0
        told = progress or (lambda _: None)
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(target.open("wb")) if target is not None else None
            if self._scheme == "memory":
                # All who open a file in memory share one position.
                chunks = iter([filesystem.cat_file(file.at)])
            else:
                stream = stack.enter_context(filesystem.open(file.at, "rb", **self._reading()))
                chunks = iter(lambda: stream.read(_CHUNK_BYTES), b"")
            try:
                for chunk in chunks:
                    hasher.update(chunk)
                    if sink is not None:
                        sink.write(chunk)
                    size += len(chunk)
                    told(len(chunk))
                    reached(size)
                self._check_size(file, size)
            except BaseException:
                told(-size)
                raise
        return ManifestEntry(file.path, hasher.hexdigest(), size)

    def _check_size(self, file: RemoteFile, size: int) -> None:
        if file.size is not None and size != file.size:
            message = f"{self._url} broke off: {size} of {file.size} bytes of {file.path} came"
            raise UnavailableError(message)

    def _reading(self) -> dict[str, Any]:
        """Return how to open: web servers need not know ranges, so the whole is streamed."""
        if self._scheme in _WEB:
            return {"block_size": 0}
        return {"block_size": _BLOCK_BYTES, "cache_type": "readahead"} if self._is_far else {}

    @property
    def _is_far(self) -> bool:
        return self._scheme not in ("file", "local", "memory")

    def _opened(self) -> tuple[Any, str]:
        emulator = os.environ.get("STORAGE_EMULATOR_HOST")
        if self._scheme in ("gs", "gcs") and emulator:
            # By its own name: the class that the scheme stands for speaks gRPC, too.
            from gcsfs.core import GCSFileSystem

            system = GCSFileSystem(token="anon", endpoint_url=emulator)  # noqa: S106 - none
            return system, system._strip_protocol(self._url)  # noqa: SLF001 - as fsspec names it
        import fsspec

        return fsspec.core.url_to_fs(self._url, **self._options())  # type: ignore[no-any-return]

    def _options(self) -> dict[str, Any]:
        if self._scheme in _WEB:
            import aiohttp

            # By default a transfer may take five minutes, however large it is.
            limits = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
            return {"client_kwargs": {"timeout": limits}}
        return {}


def check_state(url: str, recorded: Any, listing: Listing, what: str) -> None:
    """Make sure that a place still is as it was recorded.

    Raises:
        NotFoundError: It has changed.
    """
    if not isinstance(recorded, Mapping) or dict(recorded) == listing.state:
        return
    then, now = (
        ", ".join(f"{key} {state[key]}" for key in sorted(state))
        for state in (recorded, listing.state)
    )
    message = f"{url} has changed since it was added as {what} ({then}; now {now}): add it again"
    raise NotFoundError(message)


def _each(action: Any, items: Sequence[Any]) -> list[Any]:
    """Return what an action makes of each item; several at once."""
    if len(items) == 1:
        return [action(items[0])]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-read") as pool:
        futures = [pool.submit(action, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _file(path: str, at: str, info: Mapping[str, Any]) -> RemoteFile:
    size = info.get("size")
    mark = next((str(info[key]) for key in _MARKS if info.get(key) is not None), None)
    return RemoteFile(path, at, size if isinstance(size, int) else None, mark)


def _below(at: str, root: str) -> str:
    """Return a path relative to its folder; a listing that leads elsewhere is refused."""
    if not at.startswith(root):
        message = f"the listing of {root} names {at}, which is not below it"
        raise InvalidValueError(message)
    return check_relative(at.removeprefix(root))


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2].partition("?")[0]


def _safe(name: str) -> str:
    try:
        return check_relative(name)
    except InvalidValueError:
        return "data"


def _known(**facts: Any) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None}
