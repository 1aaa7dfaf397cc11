"""What a metastore does about what is not wanted any more: delete, restore, collect."""

from __future__ import annotations

from aletheia_like.metastore import deleting
from aletheia_like.metastore.metastore import OpenMetastore
from aletheia_like.metastore.versiondeleting import delete_version, restore_version
from aletheia_like.model import paths


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
