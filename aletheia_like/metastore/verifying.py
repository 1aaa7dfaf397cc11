"""Hashes what a run or a version refers to anew, in the store, and tells what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Final, Literal

from aletheia_like.errors import IntegrityError, NotFoundError
from aletheia_like.metastore.progress import transfer_progress
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.versions import list_versions
from aletheia_like.model import codec, paths
from aletheia_like.model.digests import Manifest
from aletheia_like.model.records import RunRecord, VersionRecord
from aletheia_like.model.rows import unpack_stored
from aletheia_like.ports.blobs import Progress
from aletheia_like.ports.documents import Document, Query

_CHUNK_BYTES = 1 << 20
_INDEX_BATCH = 300
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONG = ("@text", "@json")
_WORST_FIRST: Final = ("corrupt", "missing", "waiting")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a run or a version refers to and that is not as it was.

    Attributes:
        what: What it is to the run or version, such as `artifact model@2: weights.bin`.
        kind: Whether it is `missing`, `corrupt`, or `waiting` on this machine to be sent.
        detail: What exactly was found.
        digest: The blob, if it is one.
    """

    what: str
    kind: Literal["missing", "corrupt", "waiting"]
    detail: str
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    Attributes:
        subject: What was verified: a run as `EXPERIMENT/RUN`, or a version as `NAME@VERSION`.
        blobs: How many were read and hashed.
        size: Their bytes.
        noted: Versions of which only path and hash were recorded; there is nothing to hash.
        problems: What is wrong.
    """

    subject: str
    blobs: int
    size: int
    noted: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is there and right."""
        return not self.problems

    @property
    def verdict(self) -> Literal["intact", "not stored", "missing", "corrupt", "waiting"]:
        """All of it in a word; `not stored` if there never were any bytes."""
        kinds = {one.kind for one in self.problems}
        for kind in _WORST_FIRST:
            if kind in kinds:
                return kind
        return "not stored" if self.noted and not self.blobs else "intact"


def verify_run(session: Session, path: str, *, workers: int) -> Verification:
    """Hash everything that the run of a document refers to; see `Run.verify`."""
    document = session.documents.get(path)
    if document is None:
        message = f"no run at {path}: it was deleted"
        raise NotFoundError(message)
    record = codec.run_record(path, document.fields, document.updated_at)
    check = _Check(session, workers)
    check.captured(record, document)
    check.versions(record, path)
    check.rows(path)
    return check.done(f"{record.experiment}/{record.id}")


def verify_version(
    session: Session, record: VersionRecord, what: str, *, workers: int
) -> Verification:
    """Hash the bytes of a version; see `StoredVersion.verify`."""
    check = _Check(session, workers)
    check.version(what, record, record.digest)
    return check.done(what)


class _Check:
    """Blobs that were mentioned so far, by what mentions them, and what is wrong."""

    def __init__(self, session: Session, workers: int) -> None:
        self._session = session
        self._workers = max(1, workers)
        self._wanted: dict[str, str] = {}
        self._maybe: dict[str, str] = {}
        self._noted: list[str] = []
        self._problems: list[Problem] = []

    def captured(self, record: RunRecord, document: Document) -> None:
        """Take in what was captured, and the long texts of the document."""
        if record.git is not None and record.git.snapshot is not None:
            self._want(record.git.snapshot, "snapshot of the working tree")
        if record.environment is not None:
            if record.environment.packages is not None:
                self._want(record.environment.packages, "list of packages")
            for name, digest in record.environment.lock_files.items():
                self._want(digest, f"lock file {name}")
        self._mention(document.fields.get("console"), "console", certain=False)
        for name, value in document.fields.items():
            self._mention(value, name, certain=True)

    def versions(self, record: RunRecord, path: str) -> None:
        """Take in the files of the artifacts it made and of the data sets it read."""
        experiment_path = path.rpartition("/runs/")[0]
        for name, made in record.artifacts.items():
            owner = paths.artifact(experiment_path, name)
            own = [
                one
                for one in list_versions(self._session, owner, deleted=True)
                if one.run == record.id
            ]
            if made.version not in [one.version for one in own]:
                self._gone(f"artifact {name}@{made.version}")
            for one in own:
                digest = made.digest if one.version == made.version else one.digest
                self.version(f"artifact {name}@{one.version}", one, digest)
        for used in record.datasets.values():
            owner = paths.dataset(paths.project(record.project), used.name)
            what = f"data set {used.name}@{used.version}"
            document = self._session.documents.get(paths.version(owner, used.version))
            if document is None:
                self._gone(what)
            else:
                found = codec.version_record(document.path, document.fields)
                self.version(what, found, used.digest)

    def rows(self, path: str) -> None:
        """Take in what the rows mention; every chunk is unpacked."""
        for chunk in self._session.documents.query(Query(paths.rows(path))):
            what = f"rows {chunk.path.rpartition('/')[2]}"
            try:
                columns = unpack_stored(chunk.fields["columns"], chunk.fields["count"])
            except (ValueError, KeyError, TypeError) as error:
                self._problems.append(Problem(what, "corrupt", f"cannot be unpacked: {error}"))
                continue
            for name, cells in columns.cells.items():
                self._mention(list(cells), f"column {name}", certain=False)

    def version(self, what: str, record: VersionRecord, digest: str | None) -> None:
        """Take in the files of a version, which should have this digest."""
        if record.digest != digest:
            detail = f"its document says {record.digest}, the run says {digest}"
            self._problems.append(Problem(what, "corrupt", detail, digest))
        if not record.uploaded or record.digest is None:
            self._noted.append(what)
        elif record.kind == "directory" and record.manifest is not None:
            self._manifest(what, record)
        else:
            self._want(record.digest, what)

    def done(self, subject: str) -> Verification:
        """Hash what was mentioned and return what was found."""
        sizes = self._indexed([*self._wanted, *self._maybe])
        # A text that looks like a hash is one of ours only if the store once had it.
        self._wanted |= {
            digest: what
            for digest, what in self._maybe.items()
            if digest in sizes and digest not in self._wanted
        }
        size = sum(sizes.get(digest, 0) for digest in self._wanted)
        with transfer_progress(
            f"verifying {subject}",
            size=size,
            files=len(self._wanted),
            show=self._session.settings.progress,
        ) as progress:
            self._hash_all(progress)
        return Verification(
            subject, len(self._wanted), size, tuple(self._noted), tuple(self._problems)
        )

    def _manifest(self, what: str, record: VersionRecord) -> None:
        self._want(str(record.manifest), f"{what}: list of files")
        try:
            with closing(self._session.blobs.open(str(record.manifest))) as stream:
                manifest = Manifest.from_text(stream.read().decode())
        except (NotFoundError, IntegrityError, UnicodeDecodeError):
            # It is hashed with the others, and told then.
            return
        if manifest.digest != record.digest:
            detail = f"its files hash to {manifest.digest}, not to {record.digest}"
            self._problems.append(Problem(what, "corrupt", detail, record.digest))
        for one in manifest:
            self._want(one.digest, f"{what}: {one.path}")

    def _gone(self, what: str) -> None:
        detail = "its document is not in the store"
        self._problems.append(Problem(what, "missing", detail))

    def _want(self, digest: str, what: str) -> None:
        self._wanted.setdefault(digest, what)

    def _mention(self, value: Any, what: str, *, certain: bool) -> None:
        """Take in the blobs that a stored value mentions; `certain` means by tags only."""
        for digest, tag in _mentioned(value):
            if tag is not None:
                self._want(digest, what)
                if tag == "@json":
                    self._inside(digest, what)
            elif not certain:
                self._maybe.setdefault(digest, what)

    def _inside(self, digest: str, what: str) -> None:
        """Take in what a long value mentions."""
        try:
            with closing(self._session.blobs.open(digest)) as stream:
                value = json.loads(stream.read())
        except (NotFoundError, IntegrityError, ValueError):
            return
        self._mention(value, what, certain=False)

    def _indexed(self, digests: Sequence[str]) -> dict[str, int]:
        """Return the size of each blob that the index of files knows."""
        sizes = {}
        for start in range(0, len(digests), _INDEX_BATCH):
            batch = digests[start : start + _INDEX_BATCH]
            found = self._session.documents.get_many([paths.file(one) for one in batch])
            for digest, document in zip(batch, found, strict=True):
                if document is not None:
                    sizes[digest] = int(document.fields.get("size", 0))
        return sizes

    def _hash_all(self, progress: Progress) -> None:
        with ThreadPoolExecutor(self._workers, thread_name_prefix="aletheia-verify") as pool:
            # Each in a copy of this context, so that it is counted for the same run.
            waiting = [
                (digest, pool.submit(copy_context().run, self._hash, digest, progress))
                for digest in self._wanted
            ]
            try:
                for digest, future in waiting:
                    problem = future.result()
                    if problem is not None:
                        kind, detail = problem
                        what = self._wanted[digest]
                        self._problems.append(Problem(what, kind, detail, digest))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _hash(
        self, digest: str, progress: Callable[[int], None]
    ) -> tuple[Literal["missing", "corrupt", "waiting"], str] | None:
        try:
            with closing(self._session.blobs.open(digest)) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    progress(len(chunk))
        except NotFoundError as error:
            if self._session.spool.path(digest) is not None:
                return "waiting", "its bytes are on this machine only: aletheia sync sends them"
            return "missing", str(error)
        except IntegrityError as error:
            return "corrupt", str(error)
        return None


def _mentioned(value: Any) -> Iterator[tuple[str, str | None]]:
    """Yield digests inside a stored value, and the tag that says so, None for a mere text."""
    if isinstance(value, str):
        if _DIGEST.fullmatch(value):
            yield value, None
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _LONG and isinstance(inner, list | tuple) and inner:
                yield str(inner[0]), key
            elif key == "@file" and isinstance(inner, Mapping):
                if isinstance(inner.get("sha256"), str):
                    yield inner["sha256"], key
            else:
                yield from _mentioned(inner)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _mentioned(item)
