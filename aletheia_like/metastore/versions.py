"""Versions of artifacts and datasets: published once, numbered from 0, never changed.

The document of the name (`artifacts/{name}`, `datasets/{name}`) counts the versions and repeats
the newest, so that opening it costs one read. A version's manifest is a blob, so listing and
fetching its files costs no document; the file documents below it are for people and queries.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aletheia_like.capture.files import read_manifest
from aletheia_like.capture.hashed import HashMemory
from aletheia_like.capture.trees import NOTHING_KNOWN, FileTree, Take, Taken
from aletheia_like.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
)
from aletheia_like.metastore.marks import check_kept, kept
from aletheia_like.metastore.progress import Transfer
from aletheia_like.metastore.renewing import is_known
from aletheia_like.metastore.session import Session, author, new_token
from aletheia_like.metastore.storing import (
    HeldFile,
    LocalFile,
    bar,
    store_bytes,
    store_files,
    store_held,
)
from aletheia_like.model import paths
from aletheia_like.model.codec import SCHEMA_VERSION, to_fields, version_record
from aletheia_like.model.digests import Manifest, ManifestEntry
from aletheia_like.model.names import from_id, to_id
from aletheia_like.model.records import VersionRecord
from aletheia_like.model.values import FieldPath, Value
from aletheia_like.ports.blobs import is_near
from aletheia_like.ports.documents import (
    MAX_WRITES,
    Create,
    Document,
    Query,
    Removal,
    Update,
    Write,
)

_FILE_BATCH = MAX_WRITES - 20
_MANY_FILES = 300


@dataclass(frozen=True, slots=True)
class Draft:
    """A version before it has a number: what is known, and the local files behind it."""

    record: VersionRecord
    tree: FileTree | None = None


def normalised(location: str | Path) -> Path:
    """Return an absolute path without `..`, which may lead elsewhere after a symbolic link."""
    path = Path(location)
    # A tilde before what is no user is part of a name.
    with contextlib.suppress(RuntimeError):
        path = path.expanduser()
    path = path.absolute()
    return path.resolve() if ".." in path.parts else path


def read_local(
    session: Session, path: Path, *, anew: bool = False, take: Take | None = None
) -> FileTree:
    """Hash a file or directory, but for what is remembered of its unchanged files.

    Args:
        session: Its cache remembers.
        path: What to read.
        anew: Read every byte.
        take: Given the small files of a directory while they are read.
    """
    memory = HashMemory(session.cache.root / "hashed")
    known = NOTHING_KNOWN if anew else memory.recall(path)
    tree = read_manifest(path, known=known, take=take)
    memory.keep(tree, known)
    return tree


def read_to_store(
    session: Session, path: Path, owner_path: str, media_type: str | None = None
) -> FileTree:
    """Do as `read_local`, and store small files as soon as they are read, where that is quick.

    That spares a second look at each of them. It stores no more than `store_tree` would, which
    has to follow: it relies on what was stored here for as long as that may be relied on.

    Args:
        session: Where to.
        path: What to read.
        owner_path: Document of the artifact or dataset.
        media_type: Of the files, if their names do not tell.
    """
    if not is_near(session.blobs_url):
        return read_local(session, path)
    what = from_id(owner_path.rpartition("/")[2])
    with contextlib.ExitStack() as stack:
        begun: list[tuple[Transfer, frozenset[str]]] = []
        beginning = threading.Lock()

        def take(taken: Sequence[Taken], size: int, files: int) -> None:
            with beginning:
                if not begun:
                    newest = newest_of(session.documents.get(owner_path))
                    transfer = stack.enter_context(bar(session, what, size, files))
                    begun.append((transfer, _files_of(session, newest)))
            transfer, held = begun[0]
            new = [HeldFile(one, media_type) for one in taken if one.seen.digest not in held]
            store_held(session, new, what, transfer)

        return read_local(session, path, take=take)


def store_tree(
    session: Session,
    tree: FileTree,
    what: str,
    newest: VersionRecord | None,
    media_type: str | None = None,
) -> str | None:
    """Store the files of a tree; return the digest of its manifest's blob, None for one file.

    Args:
        session: Where to.
        tree: What.
        what: Named beside the progress bar.
        newest: A version in the store, not deleted. If it has this content, all is there;
            otherwise its list tells which of many files are, for one read instead of a read for
            each. Only for `publish`, with the name's document that tells it: that refuses if the
            version was deleted meanwhile, so a collection cannot have come in between.
        media_type: Of its files, if their names do not tell.
    """
    if newest is not None and newest.uploaded and _content(newest) == (tree.kind, tree.digest):
        return newest.manifest
    wanted = [one for one in tree.manifest if not is_known(session, one.digest)]
    if len(wanted) > _MANY_FILES:
        held = _files_of(session, newest)
        wanted = [one for one in wanted if one.digest not in held]
    store_files(session, _local(tree, wanted, media_type), what)
    if tree.kind == "file":
        return None
    return store_bytes(session, tree.manifest.to_text().encode(), "manifest.jsonl")


def _content(record: VersionRecord) -> tuple[str, str | None]:
    return record.kind, record.digest


def _files_of(session: Session, newest: VersionRecord | None) -> frozenset[str]:
    """Return the digests of a version's files in the store; none if its list is gone."""
    if newest is None or not newest.uploaded or newest.manifest is None:
        return frozenset()
    with contextlib.suppress(NotFoundError, IntegrityError, InvalidValueError):
        text = session.cache.fetch(newest.manifest).read_text(encoding="utf-8")
        return frozenset(one.digest for one in Manifest.from_text(text))
    return frozenset()


def local_files(tree: FileTree, media_type: str | None = None) -> list[LocalFile]:
    """Return the files of a tree, ready to be stored."""
    return _local(tree, tree.manifest, media_type)


def _local(
    tree: FileTree, entries: Iterable[ManifestEntry], media_type: str | None
) -> list[LocalFile]:
    below = tree.path if tree.kind == "directory" else tree.path.parent
    return [
        LocalFile(one.digest, one.size, below / one.path, media_type, tree.seen.get(one.path))
        for one in entries
    ]


def publish(
    session: Session,
    owner_path: str,
    draft: Draft,
    same: Callable[[VersionRecord, VersionRecord], bool],
    owner: Document | None,
) -> VersionRecord:
    """Give a draft the next number and publish it; return the newest version if it is the same.

    Args:
        session: Where to.
        owner_path: Document of the artifact or dataset.
        draft: What to publish; its blobs are stored already.
        same: Whether the newest version, given first, makes the draft superfluous.
        owner: That document as it was read a moment ago; None if there was none.

    Returns:
        The published or the existing version.
    """
    draft_record = replace(
        draft.record, token=new_token(), created_at=session.clock(), created_by=author()
    )

    read: list[Document | None] = [owner]

    def attempt() -> tuple[VersionRecord, bool]:
        is_first = bool(read)
        owner = read.pop() if is_first else session.documents.get(owner_path)
        newest = newest_of(owner)
        if newest is not None and same(newest, draft_record):
            return newest, False
        if not is_first and draft.tree is not None and draft_record.uploaded:
            # What the newest version vouched for may be gone with it.
            store_tree(session, draft.tree, draft_record.name, None, draft_record.media_type)
        number = next_number(owner)
        record = replace(draft_record, version=number)
        files = _file_writes(paths.version(owner_path, number), _entries(draft)[:_FILE_BATCH])
        writes = _owner_writes(session, owner_path, owner, record)
        session.documents.apply([*writes, *files])
        return record, True

    record, is_new = session.retry(attempt, AlreadyExistsError)
    path = paths.version(owner_path, record.version)
    if not is_new and _has_last_file(session, path, draft.tree):
        return record
    rest = _file_writes(path, _entries(draft)[_FILE_BATCH:])
    if not is_new and rest:
        # A process that died here left the version whole but its file documents incomplete.
        rest = _missing(session, rest)
    for start in range(0, len(rest), _FILE_BATCH):
        session.documents.apply(rest[start : start + _FILE_BATCH])
    return record


def _entries(draft: Draft) -> Sequence[ManifestEntry]:
    return () if draft.tree is None else draft.tree.manifest.entries


def _has_last_file(session: Session, version_path: str, tree: FileTree | None) -> bool:
    """Whether a version that exists has the document of its last file, which is written last."""
    if tree is None or tree.count <= _FILE_BATCH:
        return True
    return session.documents.get(paths.version_file(version_path, tree.last_path)) is not None


def _missing(session: Session, writes: Sequence[Create]) -> list[Create]:
    found = session.documents.get_many([write.path for write in writes])
    return [write for write, document in zip(writes, found, strict=True) if document is None]


def read_version(
    session: Session, owner_path: str, what: str, version: int | None
) -> VersionRecord:
    """Return one version, the newest by default; either costs one read.

    Raises:
        NotFoundError: There is no such name, or no such version of it.
    """
    name = from_id(owner_path.rpartition("/")[2])
    if version is None:
        newest = newest_of(session.documents.get(owner_path))
        if newest is None:
            message = (
                f"no {what} {name!r} in project {session.project!r}{_known(session, owner_path)}"
            )
            raise NotFoundError(message)
        return newest
    document = session.documents.get(paths.version(owner_path, version))
    if document is None:
        message = f"no version {version} of {what} {name!r} in project {session.project!r}"
        raise NotFoundError(message)
    restoring = f"ms.restore_{what}({name!r}, {version})"
    check_kept(document, f"version {version} of {what} {name!r}", restoring)
    return version_record(document.path, document.fields)


def list_versions(
    session: Session, owner_path: str, *, deleted: bool = False
) -> list[VersionRecord]:
    """Return every version of a name, oldest first; `deleted` ones only if they are wanted."""
    found = kept(session.documents.query(Query(paths.versions(owner_path))), deleted=deleted)
    records = [version_record(one.path, one.fields) for one in found]
    return sorted(records, key=lambda record: record.version)


def list_newest(session: Session, collection: str) -> list[VersionRecord]:
    """Return the newest version of every name in a collection, one read each."""
    found = (newest_of(document) for document in session.documents.query(Query(collection)))
    return [record for record in found if record is not None]


def _known(session: Session, owner_path: str) -> str:
    collection = owner_path.rpartition("/")[0]
    names = [record.name for record in list_newest(session, collection)][:10]
    return f": there are {', '.join(map(repr, names))}" if names else ": there are none yet"


def newest_of(owner: Document | None) -> VersionRecord | None:
    """Return the newest version of a name, which the name's document repeats."""
    if owner is None or not isinstance(owner.fields.get("latest"), dict):
        return None
    latest = owner.fields["latest"]
    return version_record(paths.version(owner.path, int(latest["version"])), latest)


def next_number(owner: Document | None) -> int:
    """Return the number that the next version of a name gets."""
    counted = owner.fields.get("next_version") if owner is not None else None
    return counted if isinstance(counted, int) else 0


def _owner_writes(
    session: Session, owner_path: str, owner: Document | None, record: VersionRecord
) -> list[Write]:
    fields = to_fields(record)
    counted: dict[str, Value] = {"next_version": record.version + 1, "latest": fields}
    moved: dict[str, Value] = {to_id(one, "alias"): record.version for one in record.aliases}
    version = Create(paths.version(owner_path, record.version), fields)
    if owner is None:
        first = {
            "schema_version": SCHEMA_VERSION,
            "name": record.name,
            "created_at": session.clock(),
            **counted,
            **({"aliases": moved} if moved else {}),
        }
        return [*session.project_writes(), Create(owner_path, first), version]
    changes: dict[FieldPath, Value | Removal] = {(key,): counted[key] for key in counted}
    changes |= {("aliases", key): moved[key] for key in moved}
    return [Update(owner_path, changes, owner.revision), version]


def _file_writes(version_path: str, entries: Sequence[ManifestEntry]) -> list[Create]:
    return [
        Create(
            paths.version_file(version_path, entry.path),
            {"path": entry.path, "sha256": entry.digest, "size": entry.size},
        )
        for entry in entries
    ]
