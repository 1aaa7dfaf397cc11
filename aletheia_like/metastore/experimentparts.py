"""What an experiment does about single parts of it: open, delete and restore them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aletheia_like.errors import NotFoundError
from aletheia_like.metastore import deleting
from aletheia_like.metastore.handle import DocumentHandle
from aletheia_like.metastore.marks import check_kept
from aletheia_like.metastore.run import Run
from aletheia_like.metastore.searching import find_run
from aletheia_like.metastore.versiondeleting import delete_version, restore_version
from aletheia_like.model import paths
from aletheia_like.model.names import from_id

if TYPE_CHECKING:
    from aletheia_like.metastore.experiment import Experiment


class HasParts(DocumentHandle):
    """An experiment, of which runs and versions of artifacts can be deleted and restored."""

    def run(self, id: str | int, *, deleted: bool = False) -> Run:  # noqa: A002 - the contract's word
        """Open a run for reading; nothing is written.

        Args:
            id: Which run.
            deleted: Open it even if it was deleted and can still be restored.

        Raises:
            NotFoundError: There is no such run, or it was deleted.
        """
        name = from_id(self._path.rpartition("/")[2])
        document = self._session.documents.get(paths.run(self._path, str(id)))
        if document is None:
            message = f"no run {str(id)!r} in experiment {name!r} of {self._session.project!r}"
            raise NotFoundError(message + self._named(str(id)))
        if not deleted:
            check_kept(document, f"run {name}/{id}", f"exper.restore_run({str(id)!r})")
        return Run(self._experiment, document)

    def _named(self, name: str) -> str:
        """Tell which run has a name for which somebody took an id."""
        found = find_run(self._session, self._path, name)
        return "" if found is None else f": {found.id!r} is the newest of that name"

    def delete_run(
        self,
        id: str | int,  # noqa: A002
        *,
        force: bool = False,
        forever: bool = False,
    ) -> None:
        """Delete a run: no table, search or query shows it, and `restore_run` brings it back.

        Its number is not used again. `gc` deletes it for ever after some time, and then the bytes
        that nothing else refers to.

        Args:
            id: Which run.
            force: Delete it even if it is running. It goes on recording: end it first.
            forever: Delete its rows, its line in the leaderboard and its document now. After an
                interruption it can be done again.

        Raises:
            NotFoundError: There is no such run, or it was deleted already.
            RunStateError: It is running.
        """
        self._change({})
        deleting.delete_run(self._session, self._experiment, str(id), force=force, forever=forever)

    def restore_run(self, id: str | int) -> bool:  # noqa: A002
        """Bring a deleted run back, as it was; return whether it had been deleted.

        Raises:
            NotFoundError: There is no such run: it was deleted for ever, or never was.
        """
        self._change({})
        return deleting.restore_run(self._session, self._experiment, str(id))

    def delete_artifact(self, name: str, version: int, *, dry_run: bool = False) -> None:
        """Delete a version of an artifact; `restore_artifact` brings it back.

        Args:
            name: Of the artifact.
            version: Which.
            dry_run: Only find out whether it can be deleted.

        Raises:
            NotFoundError: There is no such version, or it was deleted already.
            RunStateError: An alias leads to it.
        """
        self._change({})
        where = f"artifact {name!r} of {self._what} {self._experiment.name!r}"
        path = paths.artifact(self._path, name)
        delete_version(self._session, path, version, where, dry_run=dry_run)

    def restore_artifact(self, name: str, version: int) -> bool:
        """Bring a deleted version back; return whether it had been deleted.

        Raises:
            NotFoundError: There is no such version: it was deleted for ever, or never was.
        """
        self._change({})
        where = f"artifact {name!r} of {self._what} {self._experiment.name!r}"
        return restore_version(self._session, paths.artifact(self._path, name), version, where)

    @property
    def _experiment(self) -> Experiment:
        return cast("Experiment", self)
