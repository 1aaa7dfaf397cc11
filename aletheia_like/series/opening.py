"""What a metastore can do with series: create, open, list, move and delete collections.

What needs numpy is imported only when a series is used.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aletheia_like.errors import AlreadyExistsError, InvalidValueError
from aletheia_like.metastore.metastore import OpenMetastore
from aletheia_like.metastore.session import Session, new_token
from aletheia_like.model import paths
from aletheia_like.model.names import check_name, from_id
from aletheia_like.ports.documents import (
    MAX_WRITES,
    Create,
    Delete,
    Document,
    Query,
    Write,
)
from aletheia_like.series.schema import Schema
from aletheia_like.transfer.moving import MovingMetastore, copy_project, wishes_of
from aletheia_like.transfer.report import ImportReport, Tally

if TYPE_CHECKING:
    from aletheia_like.metastore.run import Run
    from aletheia_like.series.changelog import Changelog
    from aletheia_like.series.collection import Collection
    from aletheia_like.series.moving import Origin
    from aletheia_like.series.series import Series
    from aletheia_like.transfer.source import Entry, Source

_COPIED = 50
Chosen = tuple[Sequence[str] | None, Sequence[str] | None, Sequence[str] | None]
"""Experiments, runs and collections; None for all, or none if others are named."""


class SeriesMetastore(MovingMetastore):
    """A metastore with collections of versioned series; see `OpenMetastore`."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._changelogs: dict[str, Changelog] = {}

    def create_collection(
        self, schema: Schema | Any, label: str, *, exist_ok: bool = False
    ) -> Collection:
        """Create a collection of series.

        Args:
            schema: A `Schema`, or what one is made of.
            label: Unique within the project.
            exist_ok: Open one that exists, if it has the same schema.

        Raises:
            AlreadyExistsError: It exists and `exist_ok` is False.
            InvalidValueError: The name is not possible, or it exists with another schema.
        """
        wanted = schema if isinstance(schema, Schema) else Schema(schema)
        path = self._path(label)
        from aletheia_like.series.documents import collection_fields

        fields = collection_fields(label, wanted, new_token())
        fields |= {"created_at": self._session.clock(), "changes": 0}
        made: list[bool] = []

        def decide(document: Document | None) -> Sequence[Write]:
            made[:] = [document is None]
            if document is not None:
                return []
            self._purge(path)
            return [*self._session.project_writes(), Create(path, fields)]

        self._session.change(path, decide)
        found = self._open(label)
        if not made[0] and found.schema != wanted:
            message = f"collection {label!r} exists with another schema: {found.schema}"
            raise InvalidValueError(message)
        if not made[0] and not exist_ok:
            message = f"collection {label!r} exists: give exist_ok=True to open it"
            raise AlreadyExistsError(message)
        return found

    def collection(self, label: str) -> Collection:
        """Open a collection; one read.

        Raises:
            NotFoundError: There is none of that name.
        """
        found = self._open(label)
        found.changelog.refresh()
        return found

    def __truediv__(self, label: str) -> Collection:
        return self.collection(label)

    def collections(self) -> list[str]:
        """Return the names of all collections, sorted; one read each."""
        path = paths.collections(self._session.project_path)
        found = self._session.documents.query(Query(path))
        return sorted(from_id(one.id) for one in found)

    def rename_collection(self, label: str, to: str) -> Collection:
        """Give a collection another name.

        Raises:
            AlreadyExistsError: There is one of that name; nothing was changed.
            NotFoundError: There is none to rename.
        """
        old, new = self._path(label), self._path(to)
        opened = self.collection(label)
        if old == new:
            return opened
        documents = self._session.documents
        if documents.get(new) is not None:
            message = f"collection {to!r} exists: delete it first, or choose another name"
            raise AlreadyExistsError(message)
        self._purge(new)

        def attempt() -> None:
            head = documents.get(old)
            if head is None:
                opened.changelog.refresh()
                return
            self._copy_revisions(old, new)
            fields = {**head.fields, "name": to, "token": new_token()}
            documents.apply([Create(new, fields), Delete(old, head.revision)])

        self._session.retry(attempt)
        # Somebody who was about to create the new one may have swept copies that had no owner yet.
        self._copy_revisions(old, new)
        self._purge(old)
        self._changelogs.pop(old, None)
        return self.collection(to)

    def delete_collection(self, label: str) -> None:
        """Delete a collection with all its series and its history; `gc` frees their bytes.

        Raises:
            NotFoundError: There is none of that name.
        """
        path = self._path(label)
        self.collection(label)
        self._session.documents.apply([Delete(path)])
        self._purge(path)
        self._changelogs.pop(path, None)

    def promote_metrics(
        self,
        run: Run,
        *metrics: str,
        to: str,
        label: str | None = None,
        index: str = "step",
    ) -> Series:
        """Write metrics that a run logged into a series, so that they have a history.

        Args:
            run: Which.
            metrics: Columns of its rows; rows without a number in any of them are left out.
            to: Collection; it is created if there is none.
            label: Of the series; the experiment's name and the run's id by default.
            index: `step`, or `timestamp`.

        Raises:
            NotFoundError: The run has no such column.
            InvalidValueError: The collection has another schema.
        """
        from aletheia_like.series.promoting import promote

        return promote(self, run, metrics, to=to, label=label, index=index)

    def push(
        self,
        other: OpenMetastore | str,
        *,
        experiments: Sequence[str] | None = None,
        runs: Sequence[str] | None = None,
        collections: Sequence[str] | None = None,
        shallow: bool = False,
        rename: bool = False,
    ) -> Tally:
        r"""Copy this project into another store, with its blobs; only what is missing there moves.

        Args:
            other: An opened metastore, or the address of a store.
            experiments: Names of the experiments that are wanted; all by default.
            runs: Runs that are wanted beside these, as `EXPERIMENT/RUN`; a slash in a name is
                written `\/`.
            collections: Labels of the collections of series that are wanted; all by default, none
                if experiments or runs are named.
            shallow: Of series copy what is shown, without the history.
            rename: Give new names to runs and versions whose names mean something else there.

        Raises:
            ConflictError: Other runs of the same ids are there and `rename` is false; nothing was
                changed.
            InvalidValueError: A collection there has another schema; nothing was changed.
            NotFoundError: There is no such experiment, run or collection.
        """
        with self._reached(other) as target:
            chosen = (experiments, runs, collections)
            return _move_all(self, _with_series(target), chosen, shallow=shallow, rename=rename)

    def pull(
        self,
        other: OpenMetastore | str,
        *,
        experiments: Sequence[str] | None = None,
        runs: Sequence[str] | None = None,
        collections: Sequence[str] | None = None,
        shallow: bool = False,
        rename: bool = False,
    ) -> Tally:
        """Copy from another store into this project; see `push`."""
        with self._reached(other) as source:
            chosen = (experiments, runs, collections)
            return _move_all(_with_series(source), self, chosen, shallow=shallow, rename=rename)

    def import_(
        self,
        path: str | Path,
        *,
        rename: bool = False,
        format: str | None = None,  # noqa: A002
        experiment: str | None = None,
        artifacts: str | Path | None = None,
        run_column: str | None = None,
        time_column: str | None = None,
    ) -> ImportReport:
        """Bring an export, or what another tracker recorded, into this project.

        Collections of series come with their history; for the rest see `MovingMetastore.import_`.

        Raises:
            InvalidValueError: A collection here has another schema; nothing was changed.
        """
        from aletheia_like.transfer.importing import own_source

        source = own_source(path, format)
        entries = [] if source is None else list(source.collection("collections"))
        with tempfile.TemporaryDirectory(prefix="aletheia-") as folder:
            origins = self._exported(source, entries, Path(folder)) if source else []
            wishes = wishes_of(experiment, artifacts, run_column, time_column)
            report = self._import(path, rename, format, wishes, source)
            tally = self._import_series(origins) if origins else Tally()
        return replace(
            report,
            collections=tally.collections,
            revisions=tally.revisions,
            blobs=report.blobs + tally.blobs,
            bytes=report.bytes + tally.bytes,
        )

    def _exported(self, source: Source, entries: Sequence[Entry], folder: Path) -> list[Origin]:
        """Return the collections of an export, if they fit those that are here."""
        if not entries:
            return []
        from aletheia_like.series.moving import check_schemas, exported

        origins = [exported(source, entry, folder) for entry in entries]
        there = set(self.collections())
        for one in origins:
            if one.label in there:
                check_schemas(one, self.collection(one.label).changelog)
        return origins

    def _import_series(self, origins: Sequence[Origin]) -> Tally:
        from aletheia_like.series.moving import move_collection

        tally, there = Tally(), set(self.collections())
        for one in origins:
            tally.collections += one.label not in there
            target = self.create_collection(one.schema, one.label, exist_ok=True)
            move_collection(one, target.changelog, tally=tally)
        return tally

    def _path(self, label: str) -> str:
        return paths.series_collection(self._session.project_path, check_name(label, "collection"))

    def _open(self, label: str) -> Collection:
        from aletheia_like.series.changelog import Changelog
        from aletheia_like.series.collection import Collection

        path = self._path(label)
        if path not in self._changelogs:
            self._changelogs[path] = Changelog(self._session, path, label)
        return Collection(self, self._changelogs[path])

    def _purge(self, path: str) -> None:
        """Take away revisions that belong to no collection any more.

        Those that were there before the collection was seen to be gone belong to none. Others may
        create it meanwhile and bring the same ones, so each goes in the revision that was listed.
        """
        documents = self._session.documents

        def attempt() -> None:
            found = list(documents.query(Query(f"{path}/revisions")))
            if not found or documents.get(path) is not None:
                return
            for start in range(0, len(found), MAX_WRITES):
                part = found[start : start + MAX_WRITES]
                documents.apply([Delete(one.path, one.revision) for one in part])

        self._session.retry(attempt)

    def _copy_revisions(self, old: str, new: str) -> None:
        from aletheia_like.series.columnstore import renew
        from aletheia_like.series.documents import blobs_of

        documents = self._session.documents
        there = {one.id for one in documents.query(Query(f"{new}/revisions"))}
        found = list(documents.query(Query(f"{old}/revisions")))
        renew(self._session, [digest for one in found for digest in blobs_of(one.fields)])
        batch: list[Write] = []
        for one in found:
            if one.id not in there:
                batch.append(Create(f"{new}/revisions/{one.id}", one.fields))
            if len(batch) == _COPIED:
                documents.apply(batch)
                batch = []
        if batch:
            documents.apply(batch)


def _with_series(other: OpenMetastore) -> SeriesMetastore:
    if not isinstance(other, SeriesMetastore):
        message = f"{other!r} cannot hold series: open it as al.Metastore"
        raise InvalidValueError(message)
    return other


def _move_all(
    source: SeriesMetastore,
    target: SeriesMetastore,
    chosen: Chosen,
    *,
    shallow: bool,
    rename: bool,
) -> Tally:
    """Copy experiments, runs and series; schemas are compared before anything is written."""
    experiments, runs, collections = chosen
    labels = _labels(source, chosen)
    new = _new_labels(source, target, labels)
    tally = Tally()
    if collections is None or experiments is not None or runs is not None:
        tally = copy_project(source, target, experiments, runs, rename=rename)
    for label in labels:
        from aletheia_like.series.moving import move_collection, stored

        opened = source.collection(label)
        tally.collections += label in new
        there = target.create_collection(opened.schema, label, exist_ok=True)
        origin = stored(opened.changelog)
        move_collection(origin, there.changelog, shallow=shallow, tally=tally)
    return tally


def _labels(source: SeriesMetastore, chosen: Chosen) -> list[str]:
    experiments, runs, collections = chosen
    if collections is None:
        return [] if experiments is not None or runs is not None else source.collections()
    if isinstance(collections, str):
        message = "collections is a list of labels: collections=['temperature']"
        raise InvalidValueError(message)
    return list(collections)


def _new_labels(
    source: SeriesMetastore, target: SeriesMetastore, labels: Sequence[str]
) -> set[str]:
    """Return the collections that the target lacks.

    Raises:
        InvalidValueError: One that it has is of another schema.
    """
    there = set(target.collections()) if labels else set()
    for label in labels:
        opened = source.collection(label)
        if label in there:
            from aletheia_like.series.moving import check_schemas

            check_schemas(opened.changelog, target.collection(label).changelog)
    return set(labels) - there
