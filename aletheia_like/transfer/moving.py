"""What a metastore can do to move its project: export, import, push and pull."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.metastore import OpenMetastore
from aletheia_like.transfer.report import ImportReport, Tally

if TYPE_CHECKING:
    from aletheia_like.transfer.foreign.records import Wishes
    from aletheia_like.transfer.source import Source


class MovingMetastore(OpenMetastore):
    """A metastore whose project can be moved; see `OpenMetastore`."""

    def export(
        self,
        path: str | Path,
        *,
        experiments: Sequence[str] | None = None,
        runs: Sequence[str] | None = None,
        format: str | None = None,  # noqa: A002 - the contract's word
    ) -> Tally:
        r"""Write the project into files that other programs read, and `import_` reads back.

        `NAME.parquet` is a folder of tables, `NAME.sqlite` or `NAME.db` one file with the table
        `events`, `NAME.jsonl` a folder to which a later export only adds. The other two are
        replaced as a whole by a later export of the same project.

        Args:
            path: Where to.
            experiments: Names of the experiments that are wanted; all by default.
            runs: Runs that are wanted beside these, as `EXPERIMENT/RUN`; a slash in a name is
                written `\/`.
            format: `parquet`, `sqlite` or `jsonl`, whatever the suffix says.

        Returns:
            What was written; for `jsonl` what was added.

        Raises:
            InvalidValueError: The suffix tells no format.
            AlreadyExistsError: There is something else at the path; it is left as it is.
            NotFoundError: There is no such experiment or run.
        """
        from aletheia_like.transfer.exporting import export_project

        return export_project(
            self._session, path, experiments=experiments, runs=runs, format_=format
        )

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

        What is there already stays. Importing again adds what has come since, or nothing.

        Args:
            path: What `export` wrote, or a file or folder of MLflow, TensorBoard, W&B, or CSV.
            rename: Give new names to runs and versions whose names mean something else here.
            format: `parquet`, `sqlite`, `jsonl`, `mlflow`, `tensorboard`, `wandb` or `csv`; by
                default it is recognised.
            experiment: What the runs of another tracker become part of; by default MLflow's
                experiments, W&B's projects, or the name of the folder or file.
            artifacts: Folder from which files may be taken, beside the source's own.
            run_column: Column of a CSV file that tells runs apart; without it a file is a run.
            time_column: Column of a CSV file with moments, or seconds since 1970.

        Returns:
            What was brought, and what was not carried.

        Raises:
            NotFoundError: There is nothing at the path.
            InvalidValueError: It is nothing that can be imported, or may be of several formats.
            IntegrityError: It is half written or damaged. Nothing was changed, unless the damage
                is in bytes that are only seen on their way: then what came before is whole.
            ConflictError: Other runs of the same ids are here and `rename` is false; nothing was
                changed.
            MissingExtraError: A package that reads it is not installed.
        """
        wishes = wishes_of(experiment, artifacts, run_column, time_column)
        return self._import(path, rename, format, wishes)

    def _import(
        self,
        path: str | Path,
        rename: bool,
        format_: str | None,
        wishes: Wishes,
        source: Source | None = None,
    ) -> ImportReport:
        """Bring what lies at a path, or its opened export if there is one."""
        from aletheia_like.transfer.importing import import_project

        return import_project(
            self._session, path, rename=rename, format_=format_, wishes=wishes, source=source
        )

    def push(
        self,
        other: OpenMetastore | str,
        *,
        experiments: Sequence[str] | None = None,
        runs: Sequence[str] | None = None,
        rename: bool = False,
    ) -> Tally:
        r"""Copy this project into another store, with its blobs; only what is missing there moves.

        Args:
            other: An opened metastore, or the address of a store.
            experiments: Names of the experiments that are wanted; all by default.
            runs: Runs that are wanted beside these, as `EXPERIMENT/RUN`; a slash in a name is
                written `\/`.
            rename: Give new names to runs and versions whose names mean something else there.

        Raises:
            ConflictError: Other runs of the same ids are there and `rename` is false; nothing was
                changed.
            NotFoundError: There is no such project, experiment or run.
        """
        with self._reached(other) as target:
            return copy_project(self, target, experiments, runs, rename=rename)

    def pull(
        self,
        other: OpenMetastore | str,
        *,
        experiments: Sequence[str] | None = None,
        runs: Sequence[str] | None = None,
        rename: bool = False,
    ) -> Tally:
        """Copy from another store into this project; see `push`."""
        with self._reached(other) as source:
            return copy_project(source, self, experiments, runs, rename=rename)

    @contextmanager
    def _reached(self, other: Any) -> Iterator[OpenMetastore]:
        """Give another metastore; what is opened for this alone is closed again."""
        if isinstance(other, OpenMetastore):
            yield other
        elif not isinstance(other, str | os.PathLike):
            message = f"{other!r:.80} is no store: give an opened metastore or an address"
            raise InvalidValueError(message)
        else:
            with self._open_other(str(other)) as opened:
                yield opened

    @abstractmethod
    def _open_other(self, url: str) -> OpenMetastore:
        """Open this project in another store."""


def wishes_of(
    experiment: str | None,
    artifacts: str | Path | None,
    run_column: str | None,
    time_column: str | None,
) -> Wishes:
    """Return what is wanted of another tracker's records."""
    from aletheia_like.transfer.foreign.records import Wishes

    folder = None if artifacts is None else Path(artifacts).expanduser().absolute()
    return Wishes(experiment, folder, run_column, time_column)


def copy_project(
    source: OpenMetastore,
    target: OpenMetastore,
    experiments: Sequence[str] | None,
    runs: Sequence[str] | None,
    *,
    rename: bool,
) -> Tally:
    """Copy experiments and runs of one metastore into another; see `MovingMetastore.push`."""
    from aletheia_like.transfer.copying import move
    from aletheia_like.transfer.selecting import select
    from aletheia_like.transfer.source import StoreSource

    mine, its = source.session, target.session
    is_shared = mine.settings.url == its.settings.url and not mine.settings.url.startswith(
        "memory"
    )
    if mine is its or (is_shared and mine.project == its.project):
        message = f"{target!r} is where it comes from: name another store or project"
        raise InvalidValueError(message)
    source.flush()
    chosen = select(StoreSource(mine), experiments, runs)
    if chosen.get("") is None:
        message = f"project {mine.project!r} has nothing to copy in {mine.description}"
        raise NotFoundError(message)
    return move(chosen, its, rename=rename)
