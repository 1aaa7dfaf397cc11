"""Datasets: named inputs with versions, fetched into the local cache and recorded where used."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from aletheia_like.capture.trees import FileTree
from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.datadiffs import DatasetDifference, compare_manifests
from aletheia_like.metastore.objects import making_folder
from aletheia_like.metastore.progress import transferring
from aletheia_like.metastore.references import (
    fetch_elsewhere,
    is_elsewhere,
    keep_manifest,
    listed_files,
    place_at,
    unchanged_origin,
)
from aletheia_like.metastore.repeating import read_repetition
from aletheia_like.metastore.session import Session
from aletheia_like.metastore.sparkframes import to_spark
from aletheia_like.metastore.stored import StoredVersion
from aletheia_like.metastore.versions import (
    Draft,
    list_newest,
    list_versions,
    newest_of,
    normalised,
    publish,
    read_local,
    read_to_store,
    read_version,
    store_tree,
)
from aletheia_like.model import paths
from aletheia_like.model.digests import Manifest, ManifestEntry
from aletheia_like.model.records import DatasetUse, VersionRecord

if TYPE_CHECKING:
    from aletheia_like.metastore.lineage import Node

Partitions = Mapping[str, str | Sequence[str]]
"""Files of each partition: patterns such as `train/*.csv` by the partition's name."""


class DatasetVersion(StoredVersion):
    """One version of a dataset.

    Attributes:
        local_path: Where its content is on this machine; None until it was downloaded. A file
            keeps its name and suffix.
    """

    word: ClassVar[str] = "dataset"

    def __init__(
        self, session: Session, record: VersionRecord, partition: str | None = None
    ) -> None:
        super().__init__(session, record)
        self._partition = partition
        self.local_path: Path | None = None

    @property
    def type(self) -> str | None:
        """What kind of data it is, in the words of whoever added it."""
        return self._record.type

    @property
    def desc(self) -> str | None:
        """Its description."""
        return self._record.desc

    @property
    def partition(self) -> str | None:
        """The part that was asked for."""
        return self._partition

    @property
    def partitions(self) -> dict[str, Any]:
        """The patterns of each partition's files, by its name."""
        return dict(self._record.partitions or {})

    @property
    def use(self) -> DatasetUse:
        """What a run's document says about it."""
        return DatasetUse(self.name, self.version, str(self.digest), self._partition)

    @property
    def source(self) -> Any:
        """What it was made from; `parents` and `code` if it was made from other data sets."""
        return self._record.source

    @property
    def features(self) -> dict[str, Any]:
        """What a record holds, by column."""
        return dict(self._record.features or {})

    @property
    def location(self) -> str | None:
        """The path or address that it was added from."""
        return self._record.location

    def fetch(self, *, verify: bool = False) -> Path:
        """Bring its files into the local cache and return where they are.

        Args:
            verify: Hash every local file anew, whatever the cache remembers.

        Raises:
            NotFoundError: Its bytes are not in the store and not where they were added from, or
                have changed there.
            IntegrityError: The stored bytes are wrong.
        """
        self.local_path = self._fetch(verify=verify)
        return self.local_path

    def diff(self, other: DatasetVersion) -> DatasetDifference:
        """Return what another version, or another data set, has differently; fetches no file.

        Raises:
            NotFoundError: The files of one of them are not recorded.
        """
        return compare_manifests(str(self), self._manifest(), str(other), other._manifest())

    def lineage(self) -> Node:
        """Return what it was made from, as far as that is recorded; a read for each parent."""
        from aletheia_like.metastore.lineage import lineage_of_dataset

        return lineage_of_dataset(self._session, self._record)

    def to_spark(self, spark: Any, *, format: str | None = None, **options: Any) -> Any:  # noqa: A002 - Spark's word
        """Return its files as a DataFrame of Spark.

        What is in the local cache is read from there, once it is verified. What is not, and was
        added from a place that Spark reads by itself (`gs://`, `s3://`, `hdfs://`, …), is read
        from that place as it is now; everything else is downloaded first.

        Args:
            spark: A SparkSession.
            format: How to read the files, if their suffixes do not tell: `parquet`, `orc`, `csv`,
                `json`, `text`, `binaryFile`, or any other that Spark knows.
            **options: For Spark's reader. CSV files have a header and their types are inferred,
                unless these say otherwise.

        Raises:
            InvalidValueError: The files are of several formats or of none that is known, or
                `spark` is no session.
            NotFoundError: Its bytes are not in the store and not where they were added from.
        """
        return to_spark(self, spark, format, options)

    @property
    def _is_whole(self) -> bool:
        return self._partition is None

    def _manifest(self) -> Manifest:
        whole = self._whole_manifest()
        if self._partition is None:
            return whole
        patterns = (self._record.partitions or {}).get(self._partition)
        if patterns is None:
            known = ", ".join(map(repr, self.partitions)) or "none"
            message = f"{self} has no partition {self._partition!r}: it has {known}"
            raise NotFoundError(message)
        return Manifest(tuple(one for one in whole if _matches(one.path, patterns)))

    def _whole_manifest(self) -> Manifest:
        record = self._record
        if record.kind == "directory" and record.manifest is None:
            return listed_files(self._session, record)
        return self._listed()

    def _fetch(self, *, verify: bool = False) -> Path:
        if not self._is_whole:
            self._check_not_empty()
        if self._record.uploaded:
            return super()._fetch(verify=verify)
        if not is_elsewhere(self._record) and (self._is_whole or not self.is_dir):
            return unchanged_origin(self._session, self._record, verify=verify)
        manifest = self._manifest()
        self._from_elsewhere(manifest)
        cache = self._session.cache
        if self.is_dir:
            return cache.fetch_tree(manifest, verify=verify)
        (only,) = manifest
        return cache.fetch_file(only.digest, only.path, verify=verify)

    def _check_not_empty(self) -> None:
        """Make sure that nobody works on nothing because a pattern is mistyped."""
        if not self._manifest().entries:
            patterns = self.partitions[str(self._partition)]
            message = (
                f"the partition {self._partition!r} of {self} is empty: no file of it matches "
                f"{patterns!r}; add it again with other partitions"
            )
            raise NotFoundError(message)

    def _local(self, entry: ManifestEntry) -> Path:
        if self._record.uploaded:
            return super()._local(entry)
        if not is_elsewhere(self._record):
            origin = unchanged_origin(self._session, self._record)
            return origin / entry.path if self.is_dir else origin
        self._from_elsewhere(Manifest((entry,)))
        return self._session.cache.fetch(entry.digest)

    def _stream(self, entry: ManifestEntry) -> IO[bytes]:
        return super()._stream(entry) if self._record.uploaded else self._local(entry).open("rb")

    def _from_elsewhere(self, manifest: Manifest) -> None:
        with transferring(
            f"fetching {self.name}",
            size=manifest.size,
            files=len(manifest),
            show=self._session.settings.progress,
        ) as transfer:
            fetch_elsewhere(self._session, self._record, manifest, transfer)


def add_dataset(
    session: Session,
    name: str,
    location: str | Path,
    *,
    upload: bool,
    described: VersionRecord,
) -> DatasetVersion:
    """Hash, store and publish what is at `location`; see `Metastore.add_dataset`."""
    owner_path = paths.dataset(session.project_path, name)
    if isinstance(location, str) and "://" in location and not location.startswith("file://"):
        place = place_at(session, location)
        listing = place.look()
        described = replace(described, state=None if upload else listing.state)
        with transferring(
            f"reading {name}",
            size=listing.size,
            files=len(listing.files),
            show=session.settings.progress,
        ) as transfer:
            if not upload:
                tree = place.read(listing, None, transfer)
                return _add_tree(session, owner_path, tree, described, upload=False)
            with making_folder(session) as folder:
                tree = place.read(listing, folder, transfer)
                return _add_tree(session, owner_path, tree, described, upload=True)
    local = normalised(str(location).removeprefix("file://"))
    described = replace(described, location=str(local))
    tree = read_to_store(session, local, owner_path) if upload else read_local(session, local)
    if not tree.count:
        message = f"{local} has no files: a dataset needs at least one"
        raise InvalidValueError(message)
    return _add_tree(session, owner_path, tree, described, upload=upload)


def get_dataset(
    session: Session,
    name: str,
    version: int | None = None,
    *,
    download: bool = False,
    partition: str | None = None,
    verify: bool = False,
) -> DatasetVersion:
    """Return a version, the newest by default, without recording who asked."""
    owner_path = paths.dataset(session.project_path, name)
    repetition = read_repetition() if version is None else None
    if repetition is not None:
        version = repetition.version(session.project, name)
    record = read_version(session, owner_path, "dataset", version)
    dataset = DatasetVersion(session, record, partition)
    if partition is not None and partition not in dataset.partitions:
        known = ", ".join(map(repr, dataset.partitions)) or "none"
        message = f"{dataset} has no partition {partition!r}: it has {known}"
        raise NotFoundError(message)
    if download or verify:
        dataset.fetch(verify=verify)
    return dataset


def list_datasets(session: Session) -> list[DatasetVersion]:
    """Return the newest version of every dataset of the project, sorted by name."""
    records = list_newest(session, paths.datasets(session.project_path))
    return [DatasetVersion(session, record) for record in records]


def dataset_versions(session: Session, name: str) -> list[DatasetVersion]:
    """Return every version of a dataset, oldest first.

    Raises:
        NotFoundError: There is no dataset of that name.
    """
    owner_path = paths.dataset(session.project_path, name)
    records = list_versions(session, owner_path)
    if not records:
        records = [read_version(session, owner_path, "dataset", None)]
    return [DatasetVersion(session, record) for record in records]


def _add_tree(
    session: Session, owner_path: str, tree: FileTree, described: VersionRecord, *, upload: bool
) -> DatasetVersion:
    for partition, patterns in (described.partitions or {}).items():
        if not any(_matches(one.path, patterns) for one in tree.manifest):
            session.warn_once(
                f"the partition {partition!r} of {described.name} is empty: none of its files "
                f"matches {patterns!r}"
            )
    owner = session.documents.get(owner_path)
    manifest = None
    if upload:
        manifest = store_tree(session, tree, described.name, newest_of(owner))
    elif tree.kind == "directory":
        manifest = keep_manifest(session, tree.manifest)
    record = replace(
        described,
        kind=tree.kind,
        digest=tree.digest,
        size=tree.size,
        files=tree.count,
        filename=tree.path.name,
        manifest=manifest,
        uploaded=upload,
    )
    published = publish(session, owner_path, Draft(record, tree), _is_unchanged, owner)
    for word in ("type", "desc", "source", "features"):
        given, kept = getattr(described, word), getattr(published, word)
        if given is not None and given != kept:
            session.warn_once(
                f"{described.name}@{published.version} has this content already and keeps its "
                f"{word}: {kept!r:.80}"
            )
    return DatasetVersion(session, published)


def _is_unchanged(newest: VersionRecord, draft: VersionRecord) -> bool:
    """Equal content is no new version, unless it is divided differently."""
    parted = draft.partitions is None or draft.partitions == newest.partitions
    if not newest.uploaded and newest.state != draft.state:
        # A reference to the same content at a place that tells another state of itself.
        return False
    return newest.digest == draft.digest and newest.uploaded >= draft.uploaded and parted


def _matches(path: str, patterns: str | Sequence[str]) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in listed)
