"""What a metastore does about what is not wanted any more: delete, restore, collect."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aletheia_like.errors import AlreadyExistsError
from aletheia_like.metastore import deleting
from aletheia_like.metastore.metastore import OpenMetastore
from aletheia_like.metastore.storing import local_blob
from aletheia_like.metastore.versiondeleting import delete_version, restore_version
from aletheia_like.model import paths
from aletheia_like.model.digests import check_digest

if TYPE_CHECKING:
    from aletheia_like.collect.collecting import Collected
    from aletheia_like.collect.inrows import RowObject
    from aletheia_like.collect.references import Referring
    from aletheia_like.metastore.resultcache import ResultCache


class CollectingMetastore(OpenMetastore):
    """A metastore of which parts can be deleted and restored; see `OpenMetastore`."""

    def delete_experiment(self, name: str, *, force: bool = False, forever: bool = False) -> None:
        """Delete an experiment with its runs and artifacts; `restore_experiment` brings it back.

        `gc` deletes it for ever after some time, and then the bytes that nothing else refers to.

        Args:
            name: Of the experiment.
            force: Delete it even if runs of it are running. They go on recording: end them first.
            forever: Delete all its documents now. After an interruption it can be done again.

        Raises:
            NotFoundError: There is no such experiment, or it was deleted already.
            RunStateError: Some of its runs are running.
        """
        session = self._session
        plan = deleting.plan_experiment_deletion(session, name, force=force, forever=forever)
        deleting.carry_out_experiment(session, plan)

    def restore_experiment(self, name: str) -> bool:
        """Bring a deleted experiment back, as it was; return whether it had been deleted.

        Raises:
            NotFoundError: There is no such experiment: it was deleted for ever, or never was.
        """
        return deleting.restore_experiment(self._session, name)

    def gc(
        self,
        *,
        dry_run: bool = True,
        grace: dt.timedelta | None = None,
        keep: dt.timedelta | None = None,
        exclusive: bool = False,
    ) -> Collected:
        """Delete for ever what was deleted long ago, and every blob that nothing refers to.

        It reads every document of every project of the store. Writers need not stop, and after an
        interruption it can be done again.

        Args:
            dry_run: Only say what would be deleted.
            grace: Blobs that were stored or renewed in this time stay, by the store's clock;
                7 days by default.
            keep: What was deleted in this time stays, and can be restored; 30 days by default.
            exclusive: Allow a short grace, and take many blobs that this store never knew: nothing
                else uses the store, on any machine, and no other store keeps its bytes there.

        Raises:
            InvalidValueError: The grace is too short.
            UnavailableError: The store is away.
        """
        from aletheia_like.collect import collecting

        options = collecting.Options(
            grace=collecting.GRACE if grace is None else grace,
            keep=collecting.KEEP if keep is None else keep,
            dry_run=dry_run,
            show=self._session.settings.progress,
            also=self._referring(),
            exclusive=exclusive,
        )
        collecting.check_options(options.grace, options.keep, exclusive=exclusive)
        return collecting.collect(self._session, options)

    def export_object(self, digest: str, path: str | Path) -> Path:
        """Write the bytes of an object or a file of a row to a file, verified.

        An object's bytes are what `cloudpickle.load` reads.

        Raises:
            NotFoundError: There is no such object.
            AlreadyExistsError: There is such a file.
        """
        target = Path(path).expanduser()
        local = local_blob(self._session, check_digest(digest))
        try:
            with target.open("xb") as sink, local.open("rb") as source:
                shutil.copyfileobj(source, sink)
        except FileExistsError as error:
            message = f"{target} exists: name another file"
            raise AlreadyExistsError(message) from error
        return target

    def objects(self, experiment: str | None = None, run_id: str | None = None) -> list[RowObject]:
        """Return the objects, files and tables that rows show, in order of first appearance.

        It reads all rows of the project, or of an experiment or a run, and an index document for
        each object. What only deleted runs show is left out.

        Args:
            experiment: Only those of this experiment.
            run_id: Only those of this run.
        """
        from aletheia_like.collect.inrows import objects_in_rows
        from aletheia_like.metastore.allrows import EXPERIMENT
        from aletheia_like.model.rows import RUN_ID

        chosen = {EXPERIMENT: experiment, RUN_ID: run_id}
        return objects_in_rows(
            self._session, {key: value for key, value in chosen.items() if value is not None}
        )

    def delete_object(
        self, digest: str, *, clear: bool = False, exclusive: bool = False, dry_run: bool = False
    ) -> int:
        """Delete an object or a file of a row for ever, if nothing in the store refers to it.

        Every document is read. Copies that others have in their caches stay.

        Args:
            digest: Its sha-256.
            clear: Set cells that hold this hash and nothing else to None first.
            exclusive: Allow it for what was stored or used in the last day: nothing else uses the
                store, on any machine.
            dry_run: Only find out whether it could be done.

        Returns:
            How many rows were cleared.

        Raises:
            NotFoundError: There is no such object.
            RunStateError: Something refers to it, or it was used a short time ago.
        """
        from aletheia_like.collect import objects

        return objects.delete_object(
            self._session, digest, clear=clear, exclusive=exclusive, dry_run=dry_run
        )

    def cached_results(self, folder: str | Path | None = None) -> ResultCache:
        """Return the results of functions that are kept on this machine, to list and delete them.

        Args:
            folder: That was given as `cache=`; by default that of `cache=True`.
        """
        from aletheia_like.metastore.resultcache import FOLDER, ResultCache

        default = Path(self._session.settings.cache_dir) / FOLDER
        chosen = default if folder is None else Path(folder).expanduser()
        return ResultCache(chosen, self._session.warn_once)

    def _referring(self) -> Sequence[Referring]:
        """Return what else refers to blobs than documents of projects; for parts that store so."""
        return ()

    def delete_dataset(self, name: str, version: int) -> None:
        """Delete a version of a data set; `restore_dataset` brings it back.

        Raises:
            NotFoundError: There is no such version, or it was deleted already.
        """
        owner = paths.dataset(self._session.project_path, name)
        delete_version(self._session, owner, version, f"data set {name!r}")

    def restore_dataset(self, name: str, version: int) -> bool:
        """Bring a deleted version back; return whether it had been deleted.

        Raises:
            NotFoundError: There is no such version: it was deleted for ever, or never was.
        """
        owner = paths.dataset(self._session.project_path, name)
        return restore_version(self._session, owner, version, f"data set {name!r}")
