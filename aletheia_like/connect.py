"""The only place that chooses: from settings to adapters to an opened metastore."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from aletheia_like.adapters.counting import CountingBlobStore, CountingDocumentStore
from aletheia_like.adapters.retrying import RetryingBlobStore, RetryingDocumentStore
from aletheia_like.cache import LocalCache
from aletheia_like.cache.places import Places
from aletheia_like.collect.metastore import CollectingMetastore
from aletheia_like.metastore.session import Session, utc_now
from aletheia_like.metastore.spool import Spool
from aletheia_like.model.digests import digest_bytes
from aletheia_like.model.names import check_name
from aletheia_like.ports.blobs import BlobStore, is_near
from aletheia_like.ports.documents import DocumentStore
from aletheia_like.ports.usage import Usage
from aletheia_like.recorder import Recorder
from aletheia_like.reproduce.metastore import ReproducingMetastore
from aletheia_like.series.opening import SeriesMetastore
from aletheia_like.settings import (
    EmbeddedUrl,
    FirestoreUrl,
    MemoryUrl,
    Settings,
    load_settings,
    parse_blobs_url,
    parse_url,
)

_log = logging.getLogger("aletheia")


class Metastore(SeriesMetastore, ReproducingMetastore, CollectingMetastore):
    """A project in the metastore that arguments, environment and configuration name.

    Nothing is read or written, and no network is touched, before the first use.

    Args:
        project: Name of the project; else from the settings.
        url: The store: `firestore://gcp-project/(default)?bucket=b`, `file:///folder`, `memory://`.
        blobs: Where bytes go, if not beside the documents: `gs://b/p`, `file:///d`, `s3://b/p`.
        cache_dir: Folder for local copies of blobs.
        git: What to do about a dirty tree: `refuse`, `snapshot`, `warn`, `off`, `require`.
        offline: Touch no network: data sets and artifacts that were opened on this machine before
            still open, nothing can be written.

    Raises:
        SettingsError: A setting is missing or makes no sense; the message names it.
    """

    def __init__(
        self,
        project: str | None = None,
        *,
        url: str | None = None,
        blobs: str | None = None,
        cache_dir: str | Path | None = None,
        git: str | None = None,
        offline: bool | None = None,
    ) -> None:
        settings = load_settings(
            project=project,
            url=url,
            blobs=blobs,
            cache_dir=None if cache_dir is None else str(cache_dir),
            git=git,
            offline=offline or None,
        )
        super().__init__(open_session(settings))
        _log.info("metastore %r: %s", self.project, self._session.description)

    def _open_other(self, url: str) -> Metastore:
        # Where this store's bytes go does not tell where another's are.
        cache_dir = self._session.settings.cache_dir
        return Metastore(self.project, url=url, blobs=_own_blobs(url), cache_dir=cache_dir)


@dataclass(frozen=True, slots=True)
class _Stores:
    """What an address stands for: adapters that have touched nothing yet."""

    documents: DocumentStore
    blobs: BlobStore
    blobs_url: str
    console: str
    refuse: Callable[[str], None] | None = None


def open_session(settings: Settings) -> Session:
    """Return the live parts for these settings; does no network I/O."""
    project = check_name(settings.project, "project")
    stores = _choose(settings)
    usage = Usage()
    documents = _documents(stores, settings, usage)
    blobs = _counted_blobs(stores, settings, usage)
    journals = journal_folder(settings)
    session = Session(
        opener=open_session,
        project=project,
        settings=settings,
        documents=documents,
        blobs=blobs,
        blobs_url=stores.blobs_url,
        cache=LocalCache(
            Path(settings.cache_dir),
            blobs,
            max_size=settings.cache_max_bytes,
            min_free=settings.cache_min_free_bytes,
            near=is_near(stores.blobs_url),
        ),
        usage=usage,
        recorder=Recorder(documents, utc_now),
        document_url=lambda path: (
            stores.console + quote(path, safe="/").replace("/", "~2F")
            if stores.console.startswith("https:")
            else f"{stores.console}{path}"
        ),
        description=f"{settings.url} ({settings.origin('url')})",
        journal_folder=journals,
        spool=Spool(journals / "blobs", stores.refuse),
    )
    session.recorder.settle = _drain(weakref.ref(session))
    if isinstance(parse_url(settings.url), MemoryUrl):
        weakref.finalize(session, _remove, journals, os.getpid())
    return session


def _drain(reference: weakref.ref[Session]) -> Callable[[], None]:
    """Return what sends the waiting blobs of a session, without keeping it alive."""

    def drain() -> None:
        session = reference()
        if session is not None:
            session.spool.drain(session)

    return drain


def _remove(folder: Path, process: int) -> None:
    """Remove a folder, unless this is the child of the process that made it."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def journal_folder(settings: Settings) -> Path:
    """Return where journals for a store lie: each store has a folder of its own.

    A store that dies with its process has journals that do, too.
    """
    if isinstance(parse_url(settings.url), MemoryUrl):
        return Path(tempfile.gettempdir()) / f"aletheia-{os.getpid()}-{secrets.token_hex(6)}"
    store = f"{settings.url} {settings.blobs or ''}"
    return Path(settings.home) / "journal" / digest_bytes(store.encode())[:16]


def _documents(stores: _Stores, settings: Settings, usage: Usage) -> DocumentStore:
    """Wrap the document store: counted, retried, and remembered for offline work if it is away."""
    counted = CountingDocumentStore(stores.documents, usage)
    if not isinstance(parse_url(settings.url), FirestoreUrl):
        return RetryingDocumentStore(counted, deadline=settings.timeout)
    from aletheia_like.adapters.mirroring import MirroringDocumentStore, OfflineDocumentStore
    from aletheia_like.adapters.sqlite import SqliteDocumentStore

    name = f"{digest_bytes(settings.url.encode())[:16]}.sqlite"
    places = Places(Path(settings.cache_dir))
    path = places.root / "documents" / name
    mirror = SqliteDocumentStore(path)
    if settings.offline:
        return OfflineDocumentStore(mirror)
    return MirroringDocumentStore(
        RetryingDocumentStore(counted, deadline=settings.timeout),
        mirror,
        lambda: places.make_shared(path),
    )


def _counted_blobs(stores: _Stores, settings: Settings, usage: Usage) -> BlobStore:
    """Wrap the blob store: counted and retried, or cut off when offline."""
    if settings.offline and not stores.blobs_url.startswith(("file:", "memory:")):
        from aletheia_like.adapters.mirroring import OfflineBlobStore

        return OfflineBlobStore()
    return RetryingBlobStore(CountingBlobStore(stores.blobs, usage), deadline=settings.timeout)


def _choose(settings: Settings) -> _Stores:
    """Build the adapters that the settings' address names."""
    place = parse_url(settings.url)
    if isinstance(place, MemoryUrl):
        from aletheia_like.adapters.memory import MemoryBlobStore, MemoryDocumentStore

        stores = _Stores(MemoryDocumentStore(), MemoryBlobStore(), "memory://", "memory://")
    elif isinstance(place, EmbeddedUrl):
        stores = _embedded(place)
    else:
        stores = _firestore(place)
    if settings.blobs is None:
        return stores
    return _Stores(stores.documents, _blobs(settings.blobs), settings.blobs, stores.console)


def _embedded(place: EmbeddedUrl) -> _Stores:
    from aletheia_like.adapters.directory import DirectoryBlobStore
    from aletheia_like.adapters.sqlite import SqliteDocumentStore

    return _Stores(
        SqliteDocumentStore(place.path / "metastore.sqlite"),
        DirectoryBlobStore(place.path / "blobs"),
        (place.path / "blobs").as_uri(),
        place.path.as_uri() + "#",
    )


def _firestore(place: FirestoreUrl) -> _Stores:
    from aletheia_like.adapters.firestore import FirestoreDocumentStore

    documents = FirestoreDocumentStore(place.project, place.database)
    database = "-default-" if place.database == "(default)" else place.database
    console = (
        f"https://console.firebase.google.com/project/{place.project}/firestore/databases/"
        f"{database}/data/~2F"
    )
    emulator = os.environ.get("FIRESTORE_EMULATOR_HOST")
    if emulator:
        # The emulator has no page to look at, but shows each document as JSON.
        name = f"projects/{place.project}/databases/{place.database}/documents/"
        console = f"http://{emulator}/v1/{name}"
    if place.bucket is None:
        from aletheia_like.adapters.nowhere import NowhereBlobStore

        nowhere = NowhereBlobStore(str(place))
        return _Stores(documents, nowhere, "nowhere", console, nowhere.refuse)
    return _Stores(documents, _blobs(f"gs://{place.bucket}"), f"gs://{place.bucket}", console)


def _own_blobs(url: str) -> str | None:
    """Return where an address itself says that bytes are, if it says so."""
    place = parse_url(url)
    if isinstance(place, EmbeddedUrl):
        return (place.path / "blobs").as_uri()
    if isinstance(place, FirestoreUrl) and place.bucket is not None:
        return f"gs://{place.bucket}"
    return None


def _blobs(url: str) -> BlobStore:
    """Build the blob store of an address."""
    place = parse_blobs_url(url)
    if place.scheme == "gs":
        from aletheia_like.adapters.gcs import GcsBlobStore

        return GcsBlobStore(place.bucket, place.prefix)
    if place.scheme == "file":
        from aletheia_like.adapters.directory import DirectoryBlobStore

        return DirectoryBlobStore(Path(place.prefix))
    from aletheia_like.adapters.fsspec import FsspecBlobStore

    return FsspecBlobStore(url)
