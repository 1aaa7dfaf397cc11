"""Data sets whose bytes stay where they are: fetched from there, if they are still the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path

from aletheia_like.errors import IntegrityError, NotFoundError, SettingsError, UnavailableError
from aletheia_like.metastore.places import Place, RemoteFile, check_state
from aletheia_like.metastore.progress import Transfer
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.storing import store_bytes
from aletheia_like.metastore.versions import read_local
from aletheia_like.model import paths
from aletheia_like.model.codec import file_record
from aletheia_like.model.digests import Manifest, ManifestEntry
from aletheia_like.model.records import VersionRecord
from aletheia_like.ports.blobs import Progress, is_near
from aletheia_like.ports.documents import Query

_THREADS = 8


@dataclass(frozen=True, slots=True)
class _Origin:
    """One file at its place, as the cache asks for it."""

    place: Place
    file: RemoteFile

    def download(self, digest: str, path: Path, progress: Progress | None = None) -> None:
        """Put it at a path, complete and verified, or leave the path as it is."""
        self.place.download(self.file, digest, path, progress)


def place_at(session: Session, url: str) -> Place:
    """Return what reads an address.

    Raises:
        UnavailableError: No network is to be touched, and there it would be.
    """
    if session.settings.offline and not is_near(url):
        message = (
            f"offline, and {url} is not on this machine: open the metastore without offline=True "
            "(ALETHEIA_OFFLINE)"
        )
        raise UnavailableError(message)
    return Place(url, session.settings.timeout)


def is_elsewhere(record: VersionRecord) -> bool:
    """Whether a version's bytes are at an address that is no path of a machine."""
    return not record.uploaded and "://" in (record.location or "")


def keep_manifest(session: Session, manifest: Manifest) -> str | None:
    """Store the list of a referenced directory's files; None if there is no place for blobs."""
    try:
        return store_bytes(session, manifest.to_text().encode(), "manifest.jsonl")
    except SettingsError:
        return None


def listed_files(session: Session, record: VersionRecord) -> Manifest:
    """Return a referenced directory's files by their documents; a read for each.

    Raises:
        NotFoundError: They are not there.
    """
    version = paths.version(paths.dataset(session.project_path, record.name), record.version)
    found = map(file_record, (one.fields for one in session.documents.query(_files(version))))
    manifest = Manifest.of(ManifestEntry(one.path, one.digest, one.size) for one in found)
    if manifest.digest != record.digest:
        message = f"the files of {record.name}@{record.version} are not all recorded: add it again"
        raise NotFoundError(message)
    return manifest


def fetch_elsewhere(
    session: Session, record: VersionRecord, entries: Manifest, transfer: Transfer
) -> None:
    """Bring files of a reference into the cache, unless they are there already.

    They are of an address, or of a folder of this machine of which only a part is wanted.

    Raises:
        NotFoundError: The place has changed, or there is nothing any more.
        UnavailableError: The place cannot be reached.
    """
    cache, url = session.cache, str(record.location)
    missing = {one.digest: one for one in entries if cache.path(one.digest) is None}
    if not missing:
        return
    what = f"{record.name}@{record.version}"
    origin_of = _origins(session, record, what)

    def fetch(entry: ManifestEntry) -> None:
        try:
            cache.fetch(entry.digest, transfer.add, source=origin_of(entry))
        except IntegrityError as error:
            message = f"{url} has changed since it was added as {what}: {error}: add it again"
            raise NotFoundError(message) from error
        transfer.finish()

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="aletheia-fetch") as pool:
        futures = [pool.submit(copy_context().run, fetch, one) for one in missing.values()]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _origins(
    session: Session, record: VersionRecord, what: str
) -> Callable[[ManifestEntry], _Origin]:
    """Return what tells where each file of a reference is, once its place is as it was."""
    if not is_elsewhere(record):
        folder = unchanged_origin(session, record)
        here = Place(f"file://{folder}", session.settings.timeout)
        return lambda one: _Origin(
            here, RemoteFile(one.path, str(folder / one.path), one.size, None)
        )
    url = str(record.location)
    place = place_at(session, url)
    listing = place.look()
    check_state(url, record.state, listing, what)
    origins = {file.path: file for file in listing.files}

    def origin_of(entry: ManifestEntry) -> _Origin:
        name = entry.path if listing.kind == "directory" else next(iter(origins))
        if name not in origins:
            message = f"{url} no longer has {entry.path!r} of {what}: add it again"
            raise NotFoundError(message)
        return _Origin(place, origins[name])

    return origin_of


def unchanged_origin(session: Session, record: VersionRecord, *, verify: bool = False) -> Path:
    """Return the path of this machine that a reference names, if its content is the same.

    Args:
        session: Its cache remembers what files held.
        record: The reference.
        verify: Read every byte.

    Raises:
        NotFoundError: It is not there, or has changed.
    """
    what = f"{record.name}@{record.version}"
    origin = Path(record.location or "")
    if not origin.exists():
        message = (
            f"{what} was recorded without its bytes and is not at {origin} on this machine: "
            "add it again with upload=True"
        )
        raise NotFoundError(message)
    if read_local(session, origin, anew=verify).digest != record.digest:
        message = f"{origin} has changed since it was added as {what}: add it again"
        raise NotFoundError(message)
    return origin


def _files(version_path: str) -> Query:
    return Query(f"{version_path}/files")
